"""Compression of rows: any autoencoder, a quantizer and an entropy coder."""

from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted

from sk_autoencoder import metrics
from sk_autoencoder.compression import _codec, _range_coder
from sk_autoencoder.compression._autoencoder import make_default_autoencoder
from sk_autoencoder.compression._codec import Codec, quality
from sk_autoencoder.compression._container import DTYPES, Header, pack, unpack
from sk_autoencoder.compression._quantizer import Quantizer
from sk_autoencoder.compression._residuals import Residuals, as_type, bound_levels
from sk_autoencoder.core._chunkwise import ChunkwiseMixin
from sk_autoencoder.core._data import RowSource, repeat_by_weight
from sk_autoencoder.core._export import ExportMixin, ExportSpec
from sk_autoencoder.core._fit_summary import FitSummaryMixin
from sk_autoencoder.core._lazy_rows import to_sample
from sk_autoencoder.core._model_selection import MIN_VALIDATION_ROWS
from sk_autoencoder.core._tables import (
    TableMixin,
    missing_cells,
    table_layout,
)
from sk_autoencoder.nn._tables import TableScaler
from sk_autoencoder.persistence import PersistenceMixin
from sk_autoencoder.utils._checks import check_n_weighted, check_weights
from sk_autoencoder.utils._random import clone_with_seed, draw_seed
from sk_autoencoder.utils._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from sk_autoencoder.utils._transactions import atomic
from sk_autoencoder.utils._validation import validate_rows


@dataclass(kw_only=True, eq=False, repr=False)
class AutoencoderCompressor(
    PersistenceMixin,
    ExportMixin,
    FitSummaryMixin,
    ChunkwiseMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    TableMixin,
    BaseEstimator,
):
    r"""Lossy compression of rows to bytes, for a budget of bytes a row.

    An autoencoder encodes rows, a quantizer rounds the codes to multiples of a step, and a
    range coder writes them by tables of their frequencies. The default autoencoder is
    initialised by PCA and trained for the rate and the distortion [1]_. It minimises

    .. math:: \frac1n \sum_i \|g(f(x_i) + u_i) - x_i\|^2 - \lambda \log_2 p(f(x_i) + u_i)

    Uniform noise :math:`u` of the width of a step replaces rounding. The density :math:`p`
    of each component is a mixture of logistic distributions, trained with the weights [2]_.
    The price :math:`\lambda` of a bit adapts to the budget. Validation rows select the
    step. They select PCA if training does not improve the error at the same budget.

    Parameters
    ----------
    autoencoder : estimator or None, default=None
        Estimator with ``fit``, ``transform`` and ``inverse_transform``, cloned and fitted
        to the training rows. ``sklearn.frozen.FrozenEstimator`` keeps a fitted one. Codes
        that change rows more have finer steps. None trains the default design.
    bytes_per_row : float, default=16.0
        Mean budget, without the header of 24 bytes a blob and without residuals. It is met
        on validation rows, one standard error included; new rows may cost a few per cent
        more or less. Unneeded bytes are not spent.
    max_error : float or None, default=None
        Bound of the error of every entry, in the units of X. The bound is met by stored
        residuals, which take additional bytes. Below 1, integer rows are restored exactly.
        None stores no residuals.
    scaling : {"auto", "global", "standard"} or None, default="auto"
        Units of errors: ``"global"`` those of X, ``"standard"`` standard deviations of each
        feature, ``"auto"`` one of both, as in :class:`AutoencoderTransformer`. None takes X
        as it is; PCA is centred nevertheless.
    verbose : int, default=0
        With 1, each epoch prints one loss of training rows and one of held-out rows,
        without noise, and the seconds left at most. With 2 it prints all terms of the
        training loss.
    random_state : int, RandomState instance or None, default=None
        Seeds the training and the draw of validation rows. Unless None, it replaces the
        `random_state` of the autoencoder. torch's generators do not change.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns to take for categories: a mask, indices or names. ``"from_dtype"`` takes
        columns of text and of categorical dtypes, and encodes booleans, dates and durations
        too. None takes all columns for numbers.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder. If training is no improvement, it is PCA, as an
        :class:`AutoencoderTransformer` without epochs.
    n_components_ : int
        Number of codes.
    step_ : float
        Change of a row by one step of a code, in scaled units. For the default design, if
        it is selected, a multiple of the step that was trained.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names.
    table_ : sk_autoencoder.preprocessing.TableEncoder or None
        Encoder of a table of mixed columns; None after a fit to numbers.

    See Also
    --------
    RateDistortionDisplay : Plot error against bytes, beside PCA.
    AutoencoderTransformer : Encode rows without rounding.

    Notes
    -----
    A blob begins with a header: format version, type and shape of X, a fingerprint of the
    fitted compressor, and a checksum of all bytes. Only the compressor that wrote a blob,
    or a pickle of this compressor, can decompress it. Tables are integers stored with the
    compressor, so that decoding does not depend on rounding.

    Compressing needs the package constriction: ``pip install
    'sk-autoencoder[compression]'``.

    References
    ----------
    .. [1] J. Ballé, V. Laparra and E. P. Simoncelli, "End-to-end optimized image
       compression", ICLR 2017.
    .. [2] L. Theis, W. Shi, A. Cunningham and F. Huszár, "Lossy image compression with
       compressive autoencoders", ICLR 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import AutoencoderCompressor, AutoencoderTransformer
    >>> X = load_digits().data.astype("uint8")
    >>> autoencoder = AutoencoderTransformer(24, max_epochs=3, random_state=0)
    >>> compressor = AutoencoderCompressor(autoencoder, bytes_per_row=8).fit(X[:500])
    >>> blob = compressor.compress(X[1000:])
    >>> len(blob) < 9 * 797
    True
    >>> rows = compressor.decompress(blob)
    >>> rows.shape, rows.dtype
    ((797, 64), dtype('uint8'))
    >>> round(compressor.score(X[1000:]), 1)
    0.9
    """

    autoencoder: Any = field(default=None, kw_only=False)
    bytes_per_row: float = 16.0
    max_error: float | None = None
    scaling: str | None = "auto"
    verbose: int = 0
    random_state: Any = None
    categorical_features: Any = "from_dtype"

    _parameter_constraints: ClassVar[dict] = {
        "autoencoder": [
            HasMethods(["fit", "transform", "inverse_transform"]),
            None,
        ],
        "bytes_per_row": [Interval(Real, 0, None, closed="neither")],
        "max_error": [Interval(Real, 0, None, closed="neither"), None],
        "scaling": [StrOptions({"auto", "global", "standard"}), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    }

    # Fitting

    @fit_context
    @atomic
    @to_sample
    def fit(self, X, y=None, sample_weight=None):
        """Fit an autoencoder, the steps of its codes and their tables.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows. Of rows that are read in chunks a random sample of 32 MiB is
            taken.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows: a row of weight 2 is a row given twice. Rows are repeated
            by systematic sampling. None gives all rows a weight of 1.

        Returns
        -------
        self : object

        Raises
        ------
        ImportError
            If the package constriction is missing.
        ValueError
            If a parameter or X does not fit.
        """
        _range_coder.coders()  # a missing package shows before the fit
        weight = check_weights(sample_weight, X)
        check_n_weighted(weight, 2)
        X, is_missing = self._read(
            X, reset=True, ensure_min_samples=2, sample_weight=weight
        )
        source = RowSource(X, is_missing, weight).select_fitted()
        repeated = repeat_by_weight(np.arange(source.n_rows), source.weight)
        X, is_missing = source.X[repeated], source.targets[repeated]
        rows = X.astype(np.float64)
        seed = draw_seed(check_random_state(self.random_state))
        max_level_error, self._missing_tables = np.inf, []
        if self._table is None:
            self._scale = _codec.column_scale(rows, self.scaling)
        else:
            layout = table_layout(self._table)
            self._scale = TableScaler(layout).units
            max_level_error = bound_levels(layout)
            steps = np.ones(layout.n_columns)
            self._missing_tables = Quantizer(is_missing, steps, 0, False).tables
        self._linear, codec = self._find_codecs(rows, seed)
        self._codec = self._linear if codec is None else codec
        self.autoencoder_, self.step_ = self._codec.autoencoder, self._codec.step
        self._residuals = None
        if self.max_error is not None:
            restored = self._codec.rows(self._codec.numbers(rows))
            bounds = np.minimum(self.max_error, max_level_error)
            self._residuals = Residuals(X, restored, self.max_error, bounds)
        self._peak = float(np.ptp(rows))
        self._fingerprint = self._take_fingerprint()
        return self

    def _read(
        self,
        X,
        *,
        reset: bool,
        ensure_min_samples: int = 1,
        sample_weight: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Check rows, and convert them to float64 if their type is none of `DTYPES`.

        A table is encoded. The second result says which of its cells are missing, as
        numbers.
        """
        options = {"reset": reset, "ensure_min_samples": ensure_min_samples}
        rows = self._encode_table(
            X, fill_missing=False, sample_weight=sample_weight, **options
        )
        if self._table is not None:
            is_missing = missing_cells(self._table, rows)
            rows = np.where(np.isnan(rows), self._table.center_, rows)
            return rows, is_missing.astype(np.float64)
        rows = validate_rows(self, X, dtype=[*DTYPES.values()], **options)
        return rows, np.zeros((len(rows), 0))

    def _find_codecs(self, rows: np.ndarray, seed: int) -> tuple[Codec, Codec | None]:
        """Fit the linear codec, and a nonlinear codec if one is better."""
        table, budget = self._table, 8 * self.bytes_per_row
        split = _codec.split(rows, self._scale, seed, table)
        linear = _codec.linear_codec(
            split.train, _codec.MAX_LINEAR_CODES, self.scaling, seed, table
        )
        linear, errors = _codec.best_codec([linear], split, budget)
        codec = None
        if self.autoencoder is not None:
            user = clone_with_seed(self.autoencoder, self.random_state, seed)
            user = _codec.fit_autoencoder(user, split.train, table)
            codecs = _codec.user_codecs(user, split)
            codec, _ = _codec.best_codec(codecs, split, budget)
        elif not linear.is_finest and len(errors) >= MIN_VALIDATION_ROWS:
            autoencoder = make_default_autoencoder(len(split.train), self.bytes_per_row)
            autoencoder.set_params(
                scaling=self.scaling, random_state=seed, verbose=self.verbose
            )
            # With the validation rows of `split`, by the same seed.
            _codec.fit_autoencoder(autoencoder, rows, table)
            trained, trained_errors = _codec.best_codec(
                [_codec.trained_codec(autoencoder)], split, budget
            )
            codec = trained if _codec.is_better(trained_errors, errors) else None
        if codec is not None:
            codec.fit_tables(rows)
        linear = _codec.refit_linear_codec(linear, rows, self.scaling, seed, table)
        return linear, codec

    def _take_fingerprint(self) -> bytes:
        tables = [] if self._residuals is None else self._residuals.tables
        tables = [*tables, *self._missing_tables]
        tables = [np.r_[t.low, t.shift, t.frequencies] for t in tables]
        bound = np.array(self.max_error or 0.0)
        return _codec.fingerprint([bound, *tables, *self._codec.fingerprint_arrays()])

    @property
    def n_components_(self) -> int:
        """Number of codes."""
        return len(self._codec.relative_steps)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    # Using

    def compress(self, X) -> bytes:
        """Compress rows to bytes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        blob : bytes

        Raises
        ------
        ImportError
            If the package constriction is missing.
        ValueError
            If X does not fit, or has entries for which `max_error` is too small.
        """
        check_is_fitted(self)
        X, is_missing = self._read(X, reset=False)
        return self._write(X, is_missing, self._codec, 1.0, self._residuals)

    def _write(
        self,
        X: np.ndarray,
        is_missing: np.ndarray,
        codec: Codec,
        step_factor: float,
        residuals: Residuals | None,
    ) -> bytes:
        numbers = codec.numbers(X.astype(np.float64), step_factor)
        columns, tables = [*numbers.T], [*codec.quantizers[step_factor].tables]
        if residuals is not None:
            columns += [*residuals.numbers(X, codec.rows(numbers)).T]
            tables += residuals.tables
        columns += [*is_missing.T.astype(np.int64)]
        tables += self._missing_tables
        header = Header(X.dtype, *X.shape, self._fingerprint)
        return pack(header, _range_coder.encode(columns, tables))

    def decompress(self, blob: bytes):
        """Decompress bytes to rows.

        Parameters
        ----------
        blob : bytes
            Output of :meth:`compress`.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features), or a frame
            In the type of the compressed rows. Integers are rounded.

        Raises
        ------
        ValueError
            If the blob is damaged, of another version, or of another compressor.
        """
        check_is_fitted(self)
        header, payload = unpack(blob)
        if header.fingerprint != self._fingerprint:
            raise ValueError(
                f"blob was written by the compressor with fingerprint "
                f"{header.fingerprint.hex()}, and this one has {self._fingerprint.hex()}. "
                "Keep a pickle of the compressor beside what it has written."
            )
        residuals = [] if self._residuals is None else self._residuals.tables
        tables = self._codec.quantizers[1.0].tables
        all_tables = [*tables, *residuals, *self._missing_tables]
        columns = _range_coder.decode(payload, all_tables, header.n_rows)
        ends = np.cumsum([len(tables), len(residuals)])
        codes, steps, is_missing = np.split(np.stack(columns, axis=1), ends, axis=1)
        rows = self._codec.rows(codes)
        if residuals:
            rows = self._residuals.add(rows, steps, header.dtype)
        return self._as_table(as_type(rows, header.dtype), is_missing)

    def _as_table(self, rows: np.ndarray, is_missing: np.ndarray, like=None):
        """Decode rows to a frame, with its missing cells, after a fit to a table."""
        if self._table is None:
            return rows
        column = table_layout(self._table).column
        rows = np.where(is_missing[:, column] > 0, np.nan, rows)
        return self._table.inverse_transform(rows, like=like)

    def transform(self, X):
        """Encode X to quantised codes, as stored by :meth:`compress`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In the units of the codes of `autoencoder_`, in the precision of X.
        """
        check_is_fitted(self)
        X, _ = self._read(X, reset=False)
        quantizer = self._codec.quantizers[1.0]
        codes = quantizer.dequantize(self._codec.numbers(X.astype(np.float64)))
        return codes if X.dtype.kind != "f" else codes.astype(X.dtype)

    def inverse_transform(self, X):
        """Decode codes to rows, without residuals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the units of the training rows, in the precision of the codes.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=[np.float64, np.float32])
        if X.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {X.shape[1]} columns, and codes have {self.n_components_}."
            )
        rows = self._codec.decode(X.astype(np.float64)).astype(X.dtype)
        if self._table is None:
            return rows
        return self._table.inverse_transform(rows)

    def reconstruct(self, X):
        """Restore X as after compression, without writing bytes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the type of X, equal to ``decompress(compress(X))``.
        """
        check_is_fitted(self)
        rows, is_missing = self._read(X, reset=False)
        return self._as_table(self._restore(rows), is_missing, like=X)

    def _restore(self, X: np.ndarray) -> np.ndarray:
        rows = self._codec.rows(self._codec.numbers(X.astype(np.float64)))
        if self._residuals is not None:
            rows = self._residuals.add(rows, self._residuals.numbers(X, rows), X.dtype)
        return as_type(rows, X.dtype)

    @to_sample
    def score(self, X, y=None, sample_weight=None) -> float:
        """Compute the coefficient of determination R² of the restored rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of rows that are read in chunks a random sample of 32 MiB is scored.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        score : float
            One minus the squared error over the variance of X, each summed over all entries
            in scaled units: columns of mixed units count equally.
        """
        check_is_fitted(self)
        weight = check_weights(sample_weight, X)
        X, _ = self._read(X, reset=False)
        pair = X / self._scale, self._restore(X) / self._scale
        return metrics.reconstruction_r2(*pair, sample_weight=weight)

    def report(self, X) -> dict[str, np.ndarray]:
        """Measure the bytes and the error of X for multiples of the step.

        Bytes include the header, but no residuals. The default autoencoder is trained for
        one budget: another fit suits another budget better than another step does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        report : dict of ndarray of shape (5,)
            Columns of a table for ``pandas.DataFrame``, from coarse to fine steps:
            ``"step"`` in multiples of `step_`, ``"bytes_per_row"``, the ``"ratio"`` of the
            bytes of X to the compressed bytes, ``"r2"`` in scaled units, and ``"psnr"``,
            the peak signal-to-noise ratio in dB with the range of the training rows as
            peak. The columns ``"pca_bytes_per_row"``, ``"pca_r2"`` and ``"pca_psnr"`` are
            those of PCA, quantised and coded the same way.
        """
        check_is_fitted(self)
        X, is_missing = self._read(X, reset=False)
        raw = X.itemsize * X.shape[1]
        rows = []
        for step_factor in _codec.STEP_FACTORS:
            size, *quality = self._measure(X, is_missing, self._codec, step_factor)
            pca = self._measure(X, is_missing, self._linear, step_factor)
            rows.append([step_factor, size, raw / size, *quality, *pca])
        names = ("step", "bytes_per_row", "ratio", "r2", "psnr")
        pca_names = ("pca_bytes_per_row", "pca_r2", "pca_psnr")
        return dict(zip((*names, *pca_names), np.array(rows).T, strict=True))

    def _measure(
        self, X: np.ndarray, is_missing: np.ndarray, codec: Codec, step_factor: float
    ) -> tuple:
        """Compute bytes a row, R² and PSNR."""
        rows = X.astype(np.float64)
        size = len(self._write(X, is_missing, codec, step_factor, None)) / len(X)
        numbers = codec.numbers(rows, step_factor)
        restored = as_type(codec.rows(numbers, step_factor), X.dtype)
        return size, *quality(rows, restored, self._scale, self._peak)

    def __onnx_spec__(self, method: str, allow_nan: bool) -> ExportSpec:
        raise ValueError(
            "AutoencoderCompressor cannot be exported: ONNX has no range coder. Export an "
            "autoencoder, and store its codes."
        )
