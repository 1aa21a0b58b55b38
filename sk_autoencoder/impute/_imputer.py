"""Imputation of missing entries by any autoencoder that takes them."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, check_scalar

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._chunkwise import ChunkwiseMixin
from sk_autoencoder.core._data import RowSource, iter_chunks, split_chunks
from sk_autoencoder.core._export import ExportMixin, ExportSpec, check_export_method
from sk_autoencoder.core._fit_summary import FitSummaryMixin
from sk_autoencoder.core._lazy_rows import to_sample
from sk_autoencoder.core._memory import FORWARD_BYTES
from sk_autoencoder.core._moments import measure_moments
from sk_autoencoder.core._tables import TableMixin, missing_cells
from sk_autoencoder.impute._autoencoder import (
    ImputationAutoencoder,
    make_default_autoencoder,
)
from sk_autoencoder.impute._multiple import sample_missing
from sk_autoencoder.impute._placeholders import (
    check_no_nan,
    is_number,
    replace_placeholder,
)
from sk_autoencoder.persistence import PersistenceMixin
from sk_autoencoder.preprocessing import select_columns
from sk_autoencoder.utils._checks import check_n_observed, check_n_weighted, check_weights
from sk_autoencoder.utils._constraints import count
from sk_autoencoder.utils._random import clone_with_seed, draw_seed, seeded_fit
from sk_autoencoder.utils._sklearn_compat import (
    BaseImputer,
    HasMethods,
    StrOptions,
    allows_nan,
    feature_names,
    fit_context,
)
from sk_autoencoder.utils._transactions import as_fitted, atomic
from sk_autoencoder.utils._validation import validate_rows

N_MEMBERS, N_MEMBERS_OF_MANY_ROWS = 4, 2  # of the default design
# From here on two members are within .5 % of the error of four in the median of ten tables,
# in half of the time (December 2026); with fewer rows behind by up to 5 %.
MANY_ROWS = 2_000
N_SAMPLING_MEMBERS = 8  # whose spread is that of the parameters
# Rounding adds a variance of 1/12 to an error: at most 4 % of that of the column.
MIN_ROUNDED_STD = 1.5


def _has_categories(imputer: "AutoencoderImputer") -> bool:
    if getattr(imputer, "table_", None) is None:
        raise AttributeError(
            "predict_proba needs categories: fit the imputer to a frame that has some, or "
            "name them by categorical_features."
        )
    return True


@dataclass(kw_only=True, eq=False, repr=False)
class AutoencoderImputer(
    PersistenceMixin,
    ExportMixin,
    FitSummaryMixin,
    ChunkwiseMixin,
    TableMixin,
    BaseImputer,
):
    r"""Imputation of missing values by autoencoders, in IterativeImputer's contract.

    The default design is an ensemble of denoising autoencoders [1]_ on top of a linear
    imputation. A factor model, fitted by EM, imputes missing entries; in tables of mixed
    columns its covariance is averaged with that of the rows. Residual networks
    learn to correct it by hiding observed entries, at random and as other rows miss theirs,
    and minimising the error of the hidden ones. Kernel regression on near training rows
    then shrinks the result. Validation rows, hidden in several ways where they are few,
    select the weight of each stage, so that stages without a benefit are left out.

    Parameters
    ----------
    autoencoder : estimator or None, default=None
        Autoencoder of this library that takes missing values, fitted to a clone. Its
        parameters can be searched as ``autoencoder__n_components``. None takes the default
        design.
    n_estimators : int or "auto", default="auto"
        Number of autoencoders, trained side by side, whose mean is imputed. ``"auto"``
        trains 4 of the default design, 2 from 2,000 rows on, 8 with
        ``sample_posterior=True``, and one of any other `autoencoder`.
    sample_posterior : bool, default=False
        Whether to impute samples given the observed entries in place of their mean, for
        multiple imputation [2]_. Set another `random_state` for another sample, without a
        fit. An `autoencoder` has to be a :class:`VAETransformer`, which is sampled by
        Metropolis within Gibbs [3]_.
    clip : bool, default=True
        Whether to clip imputed values to the observed range of their column.
    round_discrete : bool or "auto", default="auto"
        Whether to round imputed values in columns whose observed values are all integers.
        ``"auto"`` rounds samples, and tables of mixed columns but for flags and small
        counts, with a standard deviation below 1.5: rounded to 0 and 1 they could be worse
        than the mean. Columns with a dtype of integers are always rounded there.
    missing_values : int, float, str, np.nan, None or pandas.NA, default=np.nan
        Placeholder of missing values.
    add_indicator : bool, default=False
        Whether to append a missing indicator, zeros and ones, for each column that had
        missing values in ``fit``.
    keep_empty_features : bool, default=False
        Whether to fill columns without any observed value with zeros, or to drop them.
    verbose : int, default=0
        With 1, each epoch prints one loss of training rows and one of held-out rows,
        without noise, and the seconds left at most. With 2 it prints all terms of the
        training loss.
    random_state : int, RandomState instance or None, default=None
        Seeds the training and the samples of ``sample_posterior=True``. Unless None, it
        replaces the `random_state` of the autoencoder. torch's generators do not change.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns to take for categories: a mask, indices or names. ``"from_dtype"`` takes
        columns of text and of categorical dtypes, and encodes booleans, dates and durations
        too. None takes all columns for numbers.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.
    statistics_ : ndarray of shape (n_features,)
        Mean of the observed values of each column, imputed in rows without any observed
        value. NaN for columns without one.
    indicator_ : sklearn.impute.MissingIndicator or None
        Indicator of missing values. None if ``add_indicator=False``.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names.
    table_ : sk_autoencoder.preprocessing.TableEncoder or None
        Encoder of a table of mixed columns; None after a fit to numbers.

    See Also
    --------
    sklearn.impute.IterativeImputer : Regress each column on the others in turn.
    sklearn.impute.KNNImputer : Average the nearest rows.

    Notes
    -----
    In a table of mixed columns the levels of categories are imputed by their probabilities,
    which ``predict_proba`` returns, and whole numbers stay whole (see `round_discrete`).

    The default design standardises columns, so that their units do not matter. Observed
    entries do not change.

    The input of a network of the default design is the imputation of the factor model, the
    mask of missing entries and the normal scores. From 30 columns on, Huber's loss replaces
    the squared error, so that training does not memorise rare extreme entries.

    The default design shrinks imputed values towards a kernel-weighted mean of near
    training rows, and columns towards their means and frequencies, as far as this improves
    hidden entries of validation rows. It stores up to 5,000 imputed training rows, also in
    pickles, files and ONNX graphs.

    With ``sample_posterior=True`` each network of the default design is trained on
    bootstrapped rows, so that the parameters of imputations vary too. A sample is that of
    one network: the missing columns are sampled in random order, each given those before,
    numbers with the residual of a row like it that the networks have not seen [4]_.

    References
    ----------
    .. [1] L. Gondara and K. Wang, "MIDA: multiple imputation using denoising autoencoders",
       PAKDD 2018.
    .. [2] D. B. Rubin, "Multiple imputation for nonresponse in surveys", Wiley, 1987.
    .. [3] P.-A. Mattei and J. Frellsen, "Leveraging the exact likelihood of deep latent
       variable models", NeurIPS 2018, algorithm 1.
    .. [4] T. P. Morris, I. R. White and P. Royston, "Tuning multiple imputation by
       predictive mean matching and local residual draws", BMC Medical Research Methodology
       14, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder import AutoencoderImputer
    >>> angle = np.random.default_rng(0).uniform(0, np.pi, 70)
    >>> X = np.c_[np.cos(angle), np.sin(angle)]
    >>> X[::4, 1] = np.nan
    >>> imputer = AutoencoderImputer(random_state=0).fit(X)
    >>> imputer.transform([[-0.6, np.nan], [0.7, 0.7]]).round(1)
    array([[-0.6,  0.8],
           [ 0.7,  0.7]])
    """

    autoencoder: Any = field(default=None, kw_only=False)
    n_estimators: int | str = "auto"
    sample_posterior: bool = False
    clip: bool = True
    round_discrete: bool | str = "auto"
    missing_values: Any = np.nan
    add_indicator: bool = False
    keep_empty_features: bool = False
    verbose: int = 0
    random_state: Any = None
    categorical_features: Any = "from_dtype"

    _parameter_constraints: ClassVar[dict] = {
        **BaseImputer._parameter_constraints,
        "autoencoder": [HasMethods(["fit", "reconstruct"]), None],
        "n_estimators": [
            count(1),
            StrOptions({"auto"}),
        ],
        "sample_posterior": ["boolean"],
        "clip": ["boolean"],
        "round_discrete": ["boolean", StrOptions({"auto"})],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    }

    @fit_context
    @atomic
    @to_sample
    def fit(self, X, y=None, sample_weight=None):
        """Fit the autoencoder to incomplete rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows. Of rows that are read in chunks a random sample of 32 MiB is
            taken.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows: a row of weight 2 is a row given twice. None gives all rows
            a weight of 1.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter or X does not fit, or no row has an observed value.
        """
        weight = check_weights(sample_weight, X)
        check_n_weighted(weight, 2)
        X, is_missing = self._read(X, reset=True, sample_weight=weight)
        if weight is not None:  # rows of weight 0 are rows that were not given
            X, is_missing, weight = (a[weight > 0] for a in (X, is_missing, weight))
        self._fit_indicator(self._missing_cells(X, is_missing))
        self._is_kept = ~is_missing.all(axis=0)
        source = RowSource(self._select_kept(X), weight=weight).select_fitted()
        rows, weight = source.X, source.weight
        check_n_observed(len(rows), 2)
        self._learn_columns(rows, weight)
        n_columns = rows.shape[1] if self._table is None else self.n_features_in_
        self.autoencoder_ = self._make_autoencoder(len(rows), n_columns)
        if self.verbose:
            self.autoencoder_.set_params(verbose=self.verbose)
        n_members = self._count_members(len(rows))
        indices = np.arange(len(rows))
        if n_members > 1:  # permuted, so that members have different validation rows
            rng = check_random_state(self.random_state)
            indices = np.stack([rng.permutation(indices) for _ in range(n_members)])
        self.autoencoder_.fit_members(rows, indices, self._table, weight)
        return self

    def _select_kept(self, X: np.ndarray) -> np.ndarray:
        return X if self._is_kept.all() else X[:, self._is_kept]

    def _learn_columns(self, rows: np.ndarray, weight: np.ndarray | None) -> None:
        self.statistics_ = np.full(len(self._is_kept), np.nan)
        indices = np.arange(len(rows))
        moments = measure_moments(rows, indices, weight=weight)
        self.statistics_[self._is_kept] = moments.mean
        self._low, self._high = moments.low, moments.high
        self._is_discrete = np.ones(rows.shape[1], dtype=bool)
        for chunk in iter_chunks(rows, indices):
            is_whole = np.isnan(chunk) | (chunk == np.round(chunk))
            self._is_discrete &= is_whole.all(axis=0)

    def _read(
        self, X, *, reset: bool, sample_weight: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Check X, and return rows with NaN for missing values and the mask of these.

        The rows are a copy of X, unless ``fit``, which changes no cell, finds NaN already.
        A table is encoded.
        """
        X = replace_placeholder(X, self.missing_values)
        rows = self._encode_table(
            X, reset=reset, ensure_min_samples=1 + reset, sample_weight=sample_weight
        )
        if rows is not None:
            return rows, np.isnan(rows)
        X = validate_rows(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=1 + reset,  # fit needs training and validation rows
            copy=not reset or is_number(self.missing_values),
        )
        if is_number(self.missing_values):
            check_no_nan(np.isnan(X), self.missing_values)
            X[self.missing_values == X] = np.nan
        return X, np.isnan(X)

    def _missing_cells(self, rows: np.ndarray, is_missing: np.ndarray) -> np.ndarray:
        """Tell which cells of X are missing, which may have several entries of `rows`."""
        return is_missing if self._table is None else missing_cells(self._table, rows)

    def _make_autoencoder(self, n_rows: int, n_columns: int):
        rng = check_random_state(self.random_state)
        seed = draw_seed(rng)
        if self.autoencoder is None:
            default = self._default_autoencoder(n_rows, n_columns)
            return default.set_params(random_state=seed)
        autoencoder = clone_with_seed(self.autoencoder, self.random_state, seed)
        name = type(autoencoder).__name__
        is_ours = isinstance(autoencoder, BaseAutoencoder)
        if not (is_ours and allows_nan(autoencoder)):
            raise ValueError(
                f"autoencoder={name}(...) takes no missing values. Use None, or an "
                "AutoencoderTransformer, DenoisingAutoencoder or VAETransformer."
            )
        if self.sample_posterior and not hasattr(autoencoder, "transform_distribution"):
            raise ValueError(
                f"sample_posterior=True draws from a variational autoencoder, and "
                f"autoencoder is a {name}. Use VAETransformer()."
            )
        return autoencoder

    def _default_autoencoder(self, n_rows: int, n_columns: int):
        return make_default_autoencoder(n_rows, n_columns, self.sample_posterior)

    def _count_members(self, n_rows: int) -> int:
        is_default = self.autoencoder is None
        if (
            self.sample_posterior
            and not is_default
            and self.n_estimators not in ("auto", 1)
        ):
            raise ValueError(
                f"n_estimators={self.n_estimators} averages, and sample_posterior=True "
                "draws. Use n_estimators=1."
            )
        if self.n_estimators != "auto":
            return self.n_estimators
        if not is_default:
            return 1
        if self.sample_posterior:
            return N_SAMPLING_MEMBERS
        return N_MEMBERS if n_rows < MANY_ROWS else N_MEMBERS_OF_MANY_ROWS

    @as_fitted
    def transform(self, X):
        """Impute the missing values of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features_out), or a frame
            Imputed rows in the precision of X. Observed values do not change. A table of
            mixed columns comes back as it was, with its dtypes.
        """
        return self._transform(X, self.random_state)

    @as_fitted
    def multiple_impute(self, X, n_imputations: int = 5, random_state=None) -> np.ndarray:
        """Sample several imputations of X, each as likely as the others.

        Analyse each of them, and pool the results by :func:`sk_autoencoder.impute.pool`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_imputations : int, default=5
        random_state : int, RandomState instance or None, default=None
            Seeds the samples. None takes the seed from numpy's global generator.

        Returns
        -------
        imputations : ndarray of shape (n_imputations, n_samples, n_features_out)
            Observed values are the same in all of them. A list of frames for a table of
            mixed columns.

        Raises
        ------
        ValueError
            If the imputer was fitted with ``sample_posterior=False``.
        """
        check_scalar(n_imputations, "n_imputations", Integral, min_val=1)
        if not self.sample_posterior:
            raise ValueError(
                "multiple_impute needs samples, and this imputer was fitted with "
                "sample_posterior=False. Fit it with sample_posterior=True."
            )
        rng = check_random_state(random_state)
        drawn = [self._transform(X, draw_seed(rng)) for _ in range(n_imputations)]
        return np.stack(drawn) if self._table is None else drawn

    @available_if(_has_categories)
    @as_fitted
    def predict_proba(self, X) -> dict[str, np.ndarray]:
        """Predict the probabilities of the levels of each category.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : dict of ndarray of shape (n_samples, n_levels)
            By the name of the column. Levels are in the order of ``table_.categories_``;
            the level of an observed cell has the probability 1.

        Raises
        ------
        AttributeError
            If the imputer was fitted to numbers.
        """
        check_is_fitted(self)
        rows, _ = self._read(X, reset=False)
        return self._table.probabilities(self._fill(rows, self.random_state))

    def _transform(self, X, random_state):
        check_is_fitted(self)
        table, (X, is_missing) = X, self._read(X, reset=False)
        indicators = self._transform_indicator(self._missing_cells(X, is_missing))
        if self._table is not None:
            table = replace_placeholder(table, self.missing_values)
            filled = self._table.complete(
                table, self._fill(X, random_state), is_rounded=self._rounded_columns()
            )
            return self._append_indicators(filled, indicators)
        rows = self._fill(self._select_kept(X), random_state)
        if self.keep_empty_features and rows is not X:
            X[:, self._is_kept] = rows
            X[np.isnan(X)] = 0  # columns without an observed value in fit
            rows = X
        return self._concatenate_indicator(rows, indicators)

    @property
    def _rounds_all(self) -> bool:
        if self.round_discrete == "auto":
            return self.sample_posterior
        return bool(self.round_discrete)

    def _rounded_columns(self) -> np.ndarray | None:
        """Find the columns of a table in which whole numbers stay whole; None for all."""
        if self._rounds_all:
            return None
        is_wide = [
            self._table.scale_[block].sum() >= MIN_ROUNDED_STD
            for block in self._table.blocks_
        ]
        return np.array(is_wide) & (self.round_discrete == "auto")

    def _append_indicators(self, table, indicators: np.ndarray | None):
        """Append indicators of missing cells to a table, and drop its empty columns."""
        names = self.get_feature_names_out()
        return select_columns(table, names, indicators, self._kept_columns())

    def _kept_columns(self) -> np.ndarray:
        """Find the columns that transform returns, as a mask."""
        if self._table is None:
            return self._is_kept | self.keep_empty_features
        has_entries = np.array([block.stop > block.start for block in self._table.blocks_])
        return has_entries | self.keep_empty_features

    def _fill(self, rows: np.ndarray, random_state) -> np.ndarray:
        """Fill the missing entries of rows that are numbers, in place."""
        incomplete = np.flatnonzero(np.isnan(rows).any(axis=1))
        if not len(incomplete):
            return rows
        device = torch.device(self.autoencoder_.net_.device)
        seeded = (
            seeded_fit(random_state, device) if self.sample_posterior else nullcontext()
        )
        with seeded:
            reconstruct = self._make_reconstruct()
            for chunk in split_chunks(rows, incomplete, FORWARD_BYTES):
                rows[chunk] = self._impute_rows(rows[chunk], reconstruct)
        return rows

    def _impute_rows(self, rows: np.ndarray, reconstruct: Callable) -> np.ndarray:
        is_observed = ~np.isnan(rows).all(axis=1)
        reconstruction = np.full_like(rows, np.nan)
        if is_observed.any():  # others get the column means
            reconstruction[is_observed] = reconstruct(rows[is_observed])
        return self._impute(np, rows, reconstruction)

    def _impute(self, xp, rows, reconstruction):
        """Replace missing entries by those of the reconstruction, or by column means.

        `xp` is the namespace of the arrays, numpy or torch, both (n_samples, n_features).
        """

        def like_rows(values: np.ndarray):
            return xp.asarray(values, dtype=rows.dtype)

        is_missing = xp.isnan(rows)
        means = like_rows(self.statistics_[self._is_kept])
        imputed = xp.where(is_missing.all(1)[:, None], means, reconstruction)
        if self._rounds_all and self._table is None:
            is_discrete = xp.asarray(self._is_discrete)
            imputed = xp.where(is_discrete, xp.round(imputed), imputed)
        if self.clip:
            imputed = xp.clip(imputed, like_rows(self._low), like_rows(self._high))
        return xp.where(is_missing, imputed, rows)

    def _make_reconstruct(self) -> Callable[[np.ndarray], np.ndarray]:
        """Make the function that imputes encoded rows: by the mean, or by one sample."""
        if not self.sample_posterior:
            return self.autoencoder_.reconstruct_encoded
        if isinstance(self.autoencoder_, ImputationAutoencoder):
            function = self.autoencoder_.make_sample()
        else:
            function = sample_missing
        return partial(self.autoencoder_.map_encoded, function)

    @as_fitted
    def __onnx_spec__(self, method: str, allow_nan: bool) -> ExportSpec:
        check_export_method(self, method, ("auto", "transform"))
        for name in ("sample_posterior", "add_indicator"):
            if getattr(self, name):
                raise ValueError(
                    f"An AutoencoderImputer with {name}=True cannot be exported. Fit it "
                    f"with {name}=False."
                )
        if self._table is not None:
            raise ValueError(
                "An AutoencoderImputer of a table of mixed columns cannot be exported: it "
                "returns a frame. Export one of numbers, or a detector or transformer, "
                "which take missing cells themselves."
            )
        inner = self.autoencoder_.__onnx_spec__("reconstruct", True)
        function = self._make_transform(inner.function)
        outputs = {"variable": [len(self.get_feature_names_out())]}
        return ExportSpec(inner.module, function, self.n_features_in_, outputs)

    def _make_transform(self, reconstruct: Callable) -> Callable:
        """Make ``transform`` in torch, a function of a module and of rows."""
        columns, marker = np.flatnonzero(self._is_kept), self.missing_values
        marker = marker if is_number(marker) else np.nan  # graphs have numbers
        order = np.arange(self.n_features_in_)  # imputed columns stand behind the others
        order[columns] = len(order) + np.arange(len(columns))

        def transform(module: torch.nn.Module, X: torch.Tensor) -> torch.Tensor:
            is_missing = X.isnan() if np.isnan(marker) else marker == X
            rows = torch.where(is_missing, torch.nan, X)[:, columns]
            imputed = self._impute(torch, rows, reconstruct(module, rows))
            if not self.keep_empty_features:
                return imputed
            return torch.cat([torch.where(is_missing, 0.0, X), imputed], 1)[:, order]

        return transform

    @as_fitted
    def get_feature_names_out(self, input_features=None):
        """Get the names of the columns of the output of ``transform``.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the features, if X had none in ``fit``.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        names = feature_names(self, input_features)
        imputed = names[self._kept_columns()]
        return self._concatenate_indicator_feature_names_out(imputed, names)
