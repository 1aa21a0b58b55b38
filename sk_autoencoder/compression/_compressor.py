"""Rows as few bytes: any autoencoder, a quantizer and an entropy coder."""

from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sk_autoencoder import metrics
from sk_autoencoder.compression import _codec, _range_coder
from sk_autoencoder.compression._autoencoder import make_default_autoencoder
from sk_autoencoder.compression._codec import Codec, quality
from sk_autoencoder.compression._container import DTYPES, Header, pack, unpack
from sk_autoencoder.compression._residuals import Residuals, as_type
from sk_autoencoder.core._export import ExportMixin, ExportSpec
from sk_autoencoder.core._model_selection import MIN_VALIDATION_ROWS
from sk_autoencoder.persistence._files import Savable
from sk_autoencoder.utils._random import clone_with_seed, draw_seed
from sk_autoencoder.utils._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)


@dataclass(kw_only=True, eq=False, repr=False)
class AutoencoderCompressor(
    Savable, ExportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    r"""Lossy compression of rows to bytes, for a budget of bytes a row.

    An autoencoder gives codes, a quantizer rounds them to multiples of a step, and a range
    coder writes each with a table of how frequent its values are. By default the
    autoencoder is trained for just that [1]_, from PCA on: it minimises

    .. math:: \frac1n \sum_i \|g(f(x_i) + u_i) - x_i\|^2 - \lambda \log_2 p(f(x_i) + u_i)

    with uniform noise :math:`u` as wide as a step in place of rounding, a mixture of
    logistic distributions :math:`p` of each code, learned with the rest [2]_, and a price
    :math:`\lambda` of a bit that follows the budget. Held-out rows choose between it and
    PCA with the same budget, and find the step.

    Parameters
    ----------
    autoencoder : estimator or None, default=None
        What gives codes: anything with ``fit``, ``transform`` and ``inverse_transform``. It
        is fitted to a clone, on nine tenths of the rows; ``sklearn.frozen.FrozenEstimator``
        keeps what is fitted already. Its codes are rounded the more finely, the more
        they change the rows. None takes the design above.
    bytes_per_row : float, default=16.0
        Bytes that a row may cost on average, without the 24 bytes of the header of each
        blob and without residuals. Found on held-out rows, a standard error included: what
        others cost differs by some per cent. More than can be used is not.
    max_error : float or None, default=None
        Largest error of any cell, in the units of X: residuals are stored too, at the
        price that they have. Rows of an integer type come back exactly for less than 1.
        None stores none.
    scaling : {"global", "standard"} or None, default="global"
        In which units errors count: ``"global"`` in those of X, ``"standard"`` in standard
        deviations of each feature. With None, PCA is centred all the same.
    verbose : int, default=0
        With 1, a line is printed after each epoch of training.
    random_state : int, RandomState instance or None, default=None
        Seeds the training and the choice of rows that are held out and, unless None, the
        autoencoder in place of its own `random_state`. Global generators are left as they
        were.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder: PCA, as an :class:`AutoencoderTransformer` without epochs,
        where training did not beat it.
    n_components_ : int
        Number of codes.
    step_ : float
        Step of the codes, relative to their effect on a row in scaled units.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names.

    See Also
    --------
    RateDistortionDisplay : Error against bytes, beside PCA.
    AutoencoderTransformer : Codes that are not rounded.

    Notes
    -----
    A blob begins with a header: format version, type and shape of X, a fingerprint of the
    fitted compressor, and a checksum of all bytes. Only the compressor that wrote it, or a
    pickle of that, reads it. Tables are whole numbers that are stored with the
    compressor, so that no rounding decides what bytes mean.

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
    >>> from sk_autoencoder import AutoencoderCompressor
    >>> X = load_digits().data.astype("uint8")
    >>> compressor = AutoencoderCompressor(bytes_per_row=8, random_state=0).fit(X[:1000])
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
    scaling: str | None = "global"
    verbose: int = 0
    random_state: Any = None

    _parameter_constraints: ClassVar[dict] = {
        "autoencoder": [
            HasMethods(["fit", "transform", "inverse_transform"]),
            None,
        ],
        "bytes_per_row": [Interval(Real, 0, None, closed="neither")],
        "max_error": [Interval(Real, 0, None, closed="neither"), None],
        "scaling": [StrOptions({"global", "standard"}), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # Fitting

    @fit_context
    def fit(self, X, y=None):
        """Learn codes, steps and tables from rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : None
            Ignored.

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
        X = self._read(X, reset=True, ensure_min_samples=2)
        rows = X.astype(np.float64)
        seed = draw_seed(check_random_state(self.random_state))
        self._linear, codec = self._find_codecs(rows, seed)
        self._codec = self._linear if codec is None else codec
        self.autoencoder_, self.step_ = self._codec.autoencoder, self._codec.step
        self._residuals = None
        if self.max_error is not None:
            restored = self._codec.rows(self._codec.numbers(rows))
            self._residuals = Residuals(X, restored, self.max_error)
        self._peak = float(np.ptp(rows))
        self._fingerprint = self._take_fingerprint()
        return self

    def _read(self, X, *, reset: bool, ensure_min_samples: int = 1) -> np.ndarray:
        """Return checked rows in their own type, or in float64 if it is none of `TYPES`."""
        return validate_data(
            self,
            X,
            reset=reset,
            dtype=[*DTYPES.values()],
            ensure_min_samples=ensure_min_samples,
        )

    def _find_codecs(self, rows: np.ndarray, seed: int) -> tuple[Codec, Codec | None]:
        """Fit the linear codec, and a nonlinear codec if one is better."""
        split, budget = _codec.split(rows, self.scaling, seed), 8 * self.bytes_per_row
        linear = _codec.linear_codec(
            split.train, _codec.MAX_LINEAR_CODES, self.scaling, seed
        )
        linear, errors = _codec.best_codec([linear], split, budget)
        codec = None
        if self.autoencoder is not None:
            user = clone_with_seed(self.autoencoder, self.random_state, seed)
            codecs = _codec.user_codecs(user.fit(split.train, None), split)
            codec, _ = _codec.best_codec(codecs, split, budget)
        elif not linear.is_finest and len(errors) >= MIN_VALIDATION_ROWS:
            autoencoder = make_default_autoencoder(len(split.train), self.bytes_per_row)
            autoencoder.set_params(
                scaling=self.scaling, random_state=seed, verbose=self.verbose
            ).fit(rows)  # it holds out the same rows
            trained, trained_errors = _codec.best_codec(
                [_codec.trained_codec(autoencoder)], split, budget
            )
            codec = trained if _codec.is_better(trained_errors, errors) else None
        if codec is not None:
            codec.fit_tables(rows)
        return _codec.refit_linear_codec(linear, rows, self.scaling, seed), codec

    def _take_fingerprint(self) -> bytes:
        tables = [] if self._residuals is None else self._residuals.tables
        parts = [np.r_[t.low, t.shift, t.frequencies] for t in tables]
        bound = np.array(self.max_error or 0.0)
        return _codec.fingerprint([bound, *parts, *self._codec.fingerprint_arrays()])

    @property
    def n_components_(self) -> int:
        """Number of codes."""
        return len(self._codec.relative_steps)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    # Using

    def compress(self, X) -> bytes:
        """Return rows as bytes.

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
            If X does not fit, or has cells for which `max_error` is too small.
        """
        check_is_fitted(self)
        X = self._read(X, reset=False)
        return self._write(X, self._codec, 1.0, self._residuals)

    def _write(self, X: np.ndarray, codec: Codec, depth: float, residuals) -> bytes:
        numbers = codec.numbers(X.astype(np.float64), depth)
        columns, tables = [*numbers.T], [*codec.quantizers[depth].tables]
        if residuals is not None:
            columns += [*residuals.numbers(X, codec.rows(numbers)).T]
            tables += residuals.tables
        header = Header(X.dtype, *X.shape, self._fingerprint)
        return pack(header, _range_coder.encode(columns, tables))

    def decompress(self, blob: bytes) -> np.ndarray:
        """Return the rows that bytes hold.

        Parameters
        ----------
        blob : bytes
            What :meth:`compress` has returned.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the type of the rows that were compressed; rounded if it is one of integers.

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
        columns = _range_coder.decode(payload, [*tables, *residuals], header.n_rows)
        numbers = np.stack(columns, axis=1)
        n_codes = len(tables)
        rows = self._codec.rows(numbers[:, :n_codes])
        if residuals:
            rows = self._residuals.add(rows, numbers[:, n_codes:], header.dtype)
        return as_type(rows, header.dtype)

    def transform(self, X):
        """Return the codes of X as the bytes will hold them: rounded.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In the units of the codes of `autoencoder_`, in the precision of X.
        """
        check_is_fitted(self)
        X = self._read(X, reset=False)
        quantizer = self._codec.quantizers[1.0]
        codes = quantizer.dequantize(self._codec.numbers(X.astype(np.float64)))
        return codes if X.dtype.kind != "f" else codes.astype(X.dtype)

    def inverse_transform(self, X):
        """Return the rows that codes stand for, without residuals.

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
            found = f"X has {X.shape[1]} columns"
            raise ValueError(f"{found}, and codes have {self.n_components_}.")
        return self._codec.decode(X.astype(np.float64)).astype(X.dtype)

    def reconstruct(self, X):
        """Return X as it is after compression, without the bytes in between.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the type of X, as ``decompress(compress(X))``.
        """
        check_is_fitted(self)
        return self._restore(self._read(X, reset=False))

    def _restore(self, X: np.ndarray) -> np.ndarray:
        rows = self._codec.rows(self._codec.numbers(X.astype(np.float64)))
        if self._residuals is not None:
            rows = self._residuals.add(rows, self._residuals.numbers(X, rows), X.dtype)
        return as_type(rows, X.dtype)

    def score(self, X, y=None) -> float:
        """Return the coefficient of determination R² of the rows after compression.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        score : float
            One minus the squared error over the variance of X, each summed over all cells.
        """
        check_is_fitted(self)
        X = self._read(X, reset=False)
        return metrics.reconstruction_r2(X, self._restore(X))

    def report(self, X) -> dict[str, np.ndarray]:
        """Return what X costs and how well it comes back, for steps around the one in use.

        Whole blobs are counted, without residuals. The default autoencoder is trained for
        its own budget: for another one, another fit is better than another step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        report : dict of ndarray of shape (5,)
            A table by columns, for ``pandas.DataFrame``, coarse steps first: ``"step"`` in
            multiples of `step_`, ``"bytes_per_row"``, ``"ratio"`` of the bytes of X to
            these, ``"r2"``, and ``"psnr"``, that of the range of the training rows to the
            error, in dB. Then ``"pca_bytes_per_row"``, ``"pca_r2"`` and ``"pca_psnr"`` of
            PCA, quantised and coded the same way.
        """
        check_is_fitted(self)
        X = self._read(X, reset=False)
        raw = X.itemsize * X.shape[1]
        rows = []
        for depth in _codec.STEP_FACTORS:
            size, *quality = self._measure(X, self._codec, depth)
            pca = self._measure(X, self._linear, depth)
            rows.append([depth, size, raw / size, *quality, *pca])
        names = ("step", "bytes_per_row", "ratio", "r2", "psnr")
        pca_names = ("pca_bytes_per_row", "pca_r2", "pca_psnr")
        return dict(zip((*names, *pca_names), np.array(rows).T, strict=True))

    def _measure(self, X: np.ndarray, codec: Codec, depth: float) -> tuple:
        """Return bytes a row, R² and PSNR."""
        rows = X.astype(np.float64)
        size = len(self._write(X, codec, depth, None)) / len(X)
        found = as_type(codec.rows(codec.numbers(rows, depth), depth), X.dtype)
        return size, *quality(rows, found, self._peak)

    def __onnx_spec__(self, method: str, allow_nan: bool) -> ExportSpec:
        raise ValueError(
            "AutoencoderCompressor cannot be exported: ONNX has no range coder. Export an "
            "autoencoder, and store its codes."
        )
