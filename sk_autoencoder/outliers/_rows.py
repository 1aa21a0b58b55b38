"""Outlier detection by autoencoders, or by another estimator with scores."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._chunkwise import ChunkwiseMixin
from sk_autoencoder.core._data import (
    RowSource,
    evenly_spaced_indices,
    iter_chunks,
    spread_indices,
)
from sk_autoencoder.core._export import ExportMixin, ExportSpec, check_export_method
from sk_autoencoder.core._fit_summary import FitSummaryMixin
from sk_autoencoder.core._inference import pad_rows
from sk_autoencoder.core._lazy_rows import to_sample
from sk_autoencoder.core._memory import SAMPLE_BYTES, rows_within
from sk_autoencoder.core._tables import TableMixin, table_layout
from sk_autoencoder.decomposition._transformer import AutoencoderTransformer
from sk_autoencoder.nn._dense import Dense
from sk_autoencoder.outliers._novelty import (
    Memory,
    fit_distances,
    iterate_distances,
    make_novelty_score,
    make_points,
)
from sk_autoencoder.outliers._samples import (
    N_SAMPLES,
    draw_rows,
    draw_samples,
    make_sample_errors,
    scale_rows,
)
from sk_autoencoder.outliers._scores import (
    ENTRIES,
    Cells,
    Part,
    combine_cells,
    fit_part,
    iterate_members,
    judge,
    make_score_function,
    make_table_cells,
    mark_unseen,
    measure_rounding,
    stack_in_two_precisions,
    stack_members,
)
from sk_autoencoder.outliers._threshold import (
    find_offset,
    find_valley,
    label,
    rank_scores,
    reject,
    warn_of_few_rows,
)
from sk_autoencoder.persistence import PersistenceMixin
from sk_autoencoder.utils._checks import check_n_observed, check_n_weighted
from sk_autoencoder.utils._constraints import count
from sk_autoencoder.utils._random import clone_with_seed, draw_seed
from sk_autoencoder.utils._sklearn_compat import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    allows_nan,
    fit_context,
    wrap_like,
)
from sk_autoencoder.utils._transactions import as_fitted, atomic

# Chosen on the tables of benchmarks.outliers, 2026-11.
N_DETECTOR_MEMBERS, N_WIDE_DETECTOR_MEMBERS = 6, 4
MAX_NARROW_FEATURES = 256  # tables with more features are wide: fewer members, to save time
MAX_MEMBER_ROWS, MAX_REGULAR_ROWS = 512, 1_024  # that a member is fitted to
MIN_KEPT_ROWS = 64  # of a member, however wide rows are that are all regular
MAX_MEMBER_FRACTION = 0.85  # of the rows
SINGLE_MEMBER_FRACTION = 0.8  # of the rows; the others set the threshold
MAX_DEFAULT_COMPONENTS = 32
N_CALIBRATION_ROWS = 1024  # that set the error scales and the threshold
MIN_CALIBRATION_ROWS = 256  # however wide the rows are
N_FLAGGED_ROWS = 50  # calibration rows beyond the threshold of a false_positive_rate
NOVELTY_RATE = 0.05  # of regular rows that novelty=True flags


def default_autoencoder(n_features: int, novelty: bool = False) -> AutoencoderTransformer:
    """Make a member of the default ensemble, with the design of the Notes."""
    return AutoencoderTransformer(
        min(n_features, MAX_DEFAULT_COMPONENTS),
        network=Dense((32,), "relu", code_activation="tanh", code_noise=0.2),
        init="random",
        loss="absolute_error",
        scaling="standard",
        noise_level=0,
        trim_fraction=0 if novelty else 0.2,
        lr=0.02,
        weight_decay=0,
        batch_size=64,
        max_epochs=12 if novelty else 5,
        early_stopping=False,
    )


def _is_ours(autoencoder) -> bool:
    return isinstance(autoencoder, BaseAutoencoder)


def _has_density(autoencoder) -> bool:
    return hasattr(autoencoder, "log_likelihood")


def _labels_training_rows(detector: "AutoencoderOutlierDetector") -> bool:
    if detector.novelty:
        raise AttributeError(
            "fit_predict labels training rows, and novelty=True says that they are all "
            "regular. Fit, and predict the labels of new rows."
        )
    return True


def _explains(detector: "AutoencoderOutlierDetector") -> bool:
    return getattr(detector, "method_", detector.method) != "score_samples"


@dataclass(kw_only=True, eq=False, repr=False)
class AutoencoderOutlierDetector(
    PersistenceMixin,
    ExportMixin,
    FitSummaryMixin,
    ChunkwiseMixin,
    OutlierMixin,
    TableMixin,
    BaseEstimator,
):
    r"""Outlier detection by reconstruction errors, with the interface of IsolationForest.

    An autoencoder reconstructs typical rows well and outliers badly. The default is an
    ensemble of small autoencoders, each fitted to a subset of the rows [1]_. Each training
    step ignores the rows of the batch with the largest errors, so that outliers among the
    training rows are not learned [2]_. The anomaly score of a row is the mean over members
    :math:`m` of

    .. math:: w_m \sum_j c\Big(\frac{|e_{mj}|}{s_{mj}}\Big), \qquad
       c(u) = \begin{cases} u & u \le 4 \\ 5 - 4 / u & u > 4 \end{cases}

    where :math:`e_{mj}` is the error of feature :math:`j`, :math:`s_{mj}` the 0.9 quantile
    of the feature's absolute errors on training rows, and :math:`w_m` the weight that makes
    the median score 1. The cap :math:`c` bounds the effect of a single entry.

    The default has 12 members of a second kind: samples of 8 training rows, each of which
    gives a row back as the nearest of its own [3]_. The score is the geometric mean of the
    scores of both kinds.

    With ``novelty=True`` training rows are taken to be regular. Nothing is trimmed, and
    members keep the rows that they were fitted to. The score is the geometric mean of
    distances to the nearest of these, in scaled features and in codes and errors.

    Parameters
    ----------
    autoencoder : estimator or None, default=None
        An autoencoder of this library, or an estimator with ``fit`` and
        ``score_samples``, such as :class:`~sklearn.mixture.GaussianMixture` or a pipeline
        that ends in an autoencoder. None takes the default design of the Notes.
    n_estimators : int or "auto", default="auto"
        Number of autoencoders, which are trained at once. ``"auto"`` takes one for a given
        `autoencoder`, and 6 for the default design (4 for more than 256 features).
    max_samples : int, float in (0, 1] or "auto", default="auto"
        Number or fraction of the rows that a member is fitted to; the other rows set the
        threshold. ``"auto"`` takes 80 % of the rows for a single autoencoder, and for an
        ensemble 512 rows (1,024 with `novelty`), or 85 % of the rows if these are fewer.
    method : {"auto", "reconstruction", "score_samples"}, default="auto"
        The score: reconstruction errors by the formula above, or ``score_samples`` of the
        autoencoder. ``"auto"`` takes errors for the autoencoders of this library without a
        likelihood, and ``score_samples`` for all other estimators.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Fraction of the training rows that are outliers. ``"auto"`` looks for a valley
        between the scores of regular rows and outliers, and else takes a fixed rule (see
        Notes), which flags some 3 to 25 % of regular rows, by the tail of their scores.
    false_positive_rate : float in (0, 0.5] or None, default=None
        Fraction of new regular rows that may be flagged, for training rows without
        outliers. The threshold is a quantile of the calibration scores, as in split
        conformal prediction [4]_, and never below the lowest score. None is 0.05 with
        `novelty`.
    random_state : int, RandomState instance or None, default=None
        Seeds the subsets of rows. Unless None, it also replaces the `random_state` of
        `autoencoder`. Global generators are not used.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns to take for categories: a mask, indices or names. ``"from_dtype"`` takes
        columns of text and of categorical dtypes, and encodes booleans, dates and durations
        too. None takes all columns for numbers.
    novelty : bool, default=False
        Whether all training rows are regular. New rows are to be scored then, not training
        rows, which are at no distance from themselves. Entries more than ten ranges beyond
        the training rows count as ten. With ``method="score_samples"`` the scores stay the
        same, and the threshold changes.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder. The code of an ensemble concatenates the codes of its
        members, and its reconstruction is the mean of their reconstructions.
    offset_ : float
        Threshold: rows with lower ``score_samples`` are outliers.
    method_ : str
        The score that is used, ``"reconstruction"`` or ``"score_samples"``.
    error_scale_ : ndarray of shape (n_members, n_features)
        Scale :math:`s_{mj}` of the absolute errors, in scaled units, for
        ``"reconstruction"``.
    error_weight_ : ndarray of shape (n_members,)
        Weight :math:`w_m` of each autoencoder, for ``"reconstruction"`` without `novelty`.
    calibration_scores_ : ndarray of shape (n_scores,)
        Sorted scores of calibration rows, for ``p_values``. Rows behind a valley are left
        out.
    calibration_shares_ : ndarray of shape (n_scores, n_features) or None
        Sorted contributions of each feature to minus these scores, at most 1,024, for
        ``explain(X, p_values=True)``; None for ``"score_samples"``.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names.
    table_ : sk_autoencoder.preprocessing.TableEncoder or None
        Encoder of a table of mixed columns; None after a fit to numbers.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Trees that isolate rows; the same interface.
    AutoencoderTransformer : The autoencoder itself.

    Notes
    -----
    Entries of X may be missing (NaN). They are imputed for the encoder, and have no error.
    A row without observed entries is therefore an inlier.

    In a table of mixed columns the error of a category is the cross-entropy of its level,
    in nats, and the sum has one term for each column.

    The threshold is computed from calibration rows: up to 1,024 training rows, or more for
    a small `false_positive_rate`. A calibration row is scored by the members that were not
    fitted to it. If every member is fitted to every row, all members score all rows.

    With ``contamination="auto"`` the threshold lies in the first valley of the density of
    scores, or of their logarithms, behind its mode: where the density rises to twice its
    depth again, and at least 5 rows, 0.2 % and at most 45 % of the rows are behind.
    Without a valley it is a fence, the 60 % quantile of the anomaly scores plus 3.3 times
    its distance from the 40 % quantile: up to 40 % of outliers do not move it. Rows with
    equal scores get one label.

    ``p_values`` ranks the score of a row among those of calibration rows. For regular rows
    it is about uniform, and too large for small tables. ``predict(X,
    false_discovery_rate=0.1)`` keeps the share of regular rows among those that it finds at
    0.1 or less in the mean [5]_: about, since calibration rows are scored by fewer members.
    With outliers among the training rows p-values are too large, and few rows are found.

    The default design is computed in float32, from rows that are scaled in float64. A row
    has the same score beside any others.

    The default design is::

        AutoencoderTransformer(
            n_components=min(n_features, 32),
            network=Dense((32,), "relu", code_activation="tanh", code_noise=0.2),
            init="random", loss="absolute_error", scaling="standard", noise_level=0,
            trim_fraction=0.2, lr=0.02, weight_decay=0, batch_size=64, max_epochs=5,
            early_stopping=False,
        )

    With `novelty` it has ``trim_fraction=0`` and ``max_epochs=12``.

    `y` is ignored, as in scikit-learn's detectors, so that searches can hand labels to a
    scorer. For a stream, fit to the last rows from time to time: that takes about a second.

    With `novelty` the model holds up to 1,024 dense rows for each member, and fewer wide
    ones: 32 MiB of them, and as much of their codes and errors.

    References
    ----------
    .. [1] J. Chen, S. Sathe, C. Aggarwal and D. Turaga, "Outlier detection with autoencoder
       ensembles", SIAM International Conference on Data Mining, 2017.
    .. [2] C. Zhou and R. C. Paffenroth, "Anomaly detection with robust deep autoencoders",
       KDD, 2017.
    .. [3] G. Pang, K. M. Ting and D. Albrecht, "LeSiNN: detecting anomalies by identifying
       least similar nearest neighbours", ICDM Workshops, 2015. NOTE[DIFF]: capped errors in
       place of distances.
    .. [4] S. Bates, E. Candès, L. Lei, Y. Romano and M. Sesia, "Testing for outliers with
       conformal p-values", Annals of Statistics 51, 2023.
    .. [5] Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", Journal of
       the Royal Statistical Society B 57, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder import AutoencoderOutlierDetector
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, 500)
    >>> X = np.c_[np.sin(angle), np.cos(angle)] + rng.normal(0, 0.05, (500, 2))
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    >>> detector.predict([[0.0, 1.0], [3.0, 1.0]])
    array([ 1, -1])
    >>> int(detector.explain([[3.0, 1.0]]).argmax())
    0

    Training rows that are all regular say more:

    >>> novelty = AutoencoderOutlierDetector(novelty=True, random_state=0).fit(X)
    >>> bool(novelty.p_values([[0.6, 0.6]])[0] < 0.01)
    True
    """

    autoencoder: Any = field(default=None, kw_only=False)
    n_estimators: int | str = "auto"
    max_samples: int | float | str = "auto"
    method: str = "auto"
    contamination: float | str = "auto"
    false_positive_rate: float | None = None
    random_state: Any = None
    categorical_features: Any = "from_dtype"
    novelty: bool = False

    _parameter_constraints: ClassVar[dict] = {
        "autoencoder": [HasMethods(["fit", "score_samples"]), None],
        "n_estimators": [
            count(1),
            StrOptions({"auto"}),
        ],
        "max_samples": [
            count(1),
            Interval(RealNotInt, 0, 1, closed="right"),
            StrOptions({"auto"}),
        ],
        "method": [StrOptions({"auto", "reconstruction", "score_samples"})],
        "contamination": [
            Interval(Real, 0, 0.5, closed="right"),
            StrOptions({"auto"}),
        ],
        "false_positive_rate": [Interval(Real, 0, 0.5, closed="right"), None],
        "random_state": ["random_state"],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "novelty": ["boolean"],
    }

    @fit_context
    @atomic
    @to_sample
    def fit(self, X, y=None, sample_weight=None):
        """Fit the autoencoder, its error scales and the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, with or without outliers. Sparse rows become dense one batch at
            a time. Of rows that are read in chunks a random sample of 32 MiB is taken.
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
            If a parameter, X or a weight is invalid.

        Warns
        -----
        UserWarning
            If X has ten rows or fewer.
        """
        X, weight = self.check_weighted_rows(
            X, sample_weight, reset=True, ensure_min_samples=2
        )
        check_n_weighted(weight, 2)
        source = RowSource(X, weight=weight).select_fitted()
        X, weight = source.X, source.weight
        check_n_observed(X.shape[0], 2)
        warn_of_few_rows(X.shape[0])
        rng = check_random_state(self.random_state)
        autoencoder = self._make_autoencoder(X.shape[1], rng)
        rows = self._draw_rows(*X.shape, rng, weight)  # (n_members, n_rows of each)
        self._check_parameters(autoencoder, len(rows))
        if _is_ours(autoencoder):
            autoencoder.fit_members(X, rows, self._table, weight)
        elif weight is None:
            autoencoder.fit(X[rows[0]])
        else:
            autoencoder.fit(X[rows[0]], sample_weight=weight[rows[0]])
        self.autoencoder_ = autoencoder
        for name in ("error_scale_", "error_weight_"):  # of an earlier fit
            vars(self).pop(name, None)
        self._samples = self._memory = None
        self.method_ = "reconstruction" if self._scores_errors() else "score_samples"
        scores, cells = self._calibrate(X, weight, rows, rng)
        self.offset_ = self._find_offset(X, weight, scores)
        self.calibration_shares_ = None
        if cells is not None:
            regular = np.sort(cells[scores >= self.calibration_scores_[0]], axis=0)
            chosen = evenly_spaced_indices(len(regular), N_CALIBRATION_ROWS)
            self.calibration_shares_ = regular[chosen].astype(np.float32)
        return self

    def _find_offset(self, X, weight: np.ndarray | None, scores: np.ndarray) -> float:
        """Find the threshold, and keep the scores of regular calibration rows."""
        rate = self.false_positive_rate
        are_positive = self.method_ == "reconstruction"
        regular = np.sort(scores)
        if self.novelty:
            rate = NOVELTY_RATE if rate is None else rate
        elif rate is None:
            valley = find_valley(-scores, are_positive=are_positive)
            regular = regular if valley is None else regular[regular >= -valley]
        self.calibration_scores_ = regular
        if self.contamination != "auto":
            scores = self._score(X)[spread_indices(X.shape[0], np.inf, weight)]
        return find_offset(scores, self.contamination, rate, are_positive=are_positive)

    def _make_autoencoder(self, n_features: int, rng: np.random.RandomState):
        seed = draw_seed(rng)
        if self.autoencoder is None:
            default = default_autoencoder(n_features, self.novelty)
            return default.set_params(random_state=seed)
        return clone_with_seed(self.autoencoder, self.random_state, seed)

    def _draw_rows(
        self, n_rows: int, n_features: int, rng, weight: np.ndarray | None
    ) -> np.ndarray:
        n_members, n_drawn = self.n_estimators, self.max_samples
        n_full = n_rows  # rows of full weight that would count as much
        if weight is not None:
            n_full = max(int(weight.sum() ** 2 / (weight**2).sum()), 1)
        if n_members == "auto":
            is_wide = n_features > MAX_NARROW_FEATURES
            default = N_WIDE_DETECTOR_MEMBERS if is_wide else N_DETECTOR_MEMBERS
            n_members = default if self.autoencoder is None else 1
        if n_drawn == "auto":
            kept_bytes = 2 * n_members * n_features * np.dtype(np.float32).itemsize
            n_storable = rows_within(SAMPLE_BYTES, kept_bytes, MIN_KEPT_ROWS)
            limit = min(MAX_REGULAR_ROWS, n_storable) if self.novelty else MAX_MEMBER_ROWS
            subset = min(limit, int(MAX_MEMBER_FRACTION * n_full))
            n_drawn = subset if n_members > 1 else int(SINGLE_MEMBER_FRACTION * n_full)
        elif not isinstance(n_drawn, Integral):
            n_drawn = int(n_drawn * n_rows)
        n_drawn = min(max(n_drawn, 2), n_rows)
        if self.novelty:  # a row that all members hold says nothing of new ones
            n_drawn = min(n_drawn, max(int(MAX_MEMBER_FRACTION * n_full), 1))
        drawn = [draw_rows(n_rows, n_drawn, rng, weight) for _ in range(n_members)]
        return np.stack(drawn)

    def _check_parameters(self, autoencoder, n_members: int) -> None:
        if self.false_positive_rate is not None and self.contamination != "auto":
            raise ValueError(
                f"contamination={self.contamination} and false_positive_rate="
                f"{self.false_positive_rate} both set the threshold. Leave one of them out."
            )
        if self.novelty and self.contamination != "auto":
            raise ValueError(
                f"contamination={self.contamination} is a share of outliers among training "
                "rows, and novelty=True says that there are none. Use false_positive_rate."
            )
        if _is_ours(autoencoder):
            return
        name = type(autoencoder).__name__
        if self._table is not None:
            raise ValueError(
                f"autoencoder is a {name}, which takes numbers, and X is a table of mixed "
                "columns. Put sk_autoencoder.preprocessing.TableEncoder before the "
                "detector, in a Pipeline."
            )
        if n_members > 1:
            raise ValueError(
                f"n_estimators={n_members} needs an autoencoder of sk_autoencoder, and "
                f"autoencoder is a {name}. Use n_estimators=1."
            )
        if self.method == "reconstruction":
            raise ValueError(
                "method='reconstruction' needs an autoencoder of sk_autoencoder, and "
                f"autoencoder is a {name}. Use method='score_samples'."
            )

    # Calibration

    def _calibrate(
        self, X, weight: np.ndarray | None, rows: np.ndarray, rng
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Fit what the score needs; score training rows by members not fitted to them.

        Returns
        -------
        scores : ndarray of shape (n_scores,)
        cells : ndarray of shape (n_scores, n_cells) or None
            Contributions of cells to minus the scores, if they are known.
        """
        n_values = max(2 * len(rows), N_SAMPLES) * X.shape[1]  # in two precisions
        row_bytes = n_values * np.dtype(np.float64).itemsize
        n_rows = max(N_CALIBRATION_ROWS, N_FLAGGED_ROWS / (self.false_positive_rate or 1))
        n_affordable = rows_within(SAMPLE_BYTES, row_bytes, MIN_CALIBRATION_ROWS)
        n_rows = min(n_affordable, int(n_rows))
        indices = rng.permutation(X.shape[0])
        n_members = np.bincount(rows.ravel(), minlength=X.shape[0])  # that have seen a row
        indices = indices[np.argsort(n_members[indices] == len(rows), kind="stable")]
        if weight is not None:
            indices = indices[spread_indices(len(indices), n_rows, weight[indices])]
        indices = np.sort(indices[:n_rows])
        is_unseen = mark_unseen(indices, rows)
        if self.method_ == "score_samples":
            scores = judge(self._score(X[indices])[:, None], is_unseen)
            return scores[~np.isnan(scores)], None
        if self.novelty:
            cells = self._fit_memory(X, rows, indices, is_unseen)
        else:
            cells = self._fit_parts(X, weight, indices, is_unseen, rng)
        cells = cells[~np.isnan(cells[:, 0])]
        return -cells.sum(axis=1), cells

    def _fit_parts(self, X, weight, indices, is_unseen: np.ndarray, rng) -> np.ndarray:
        """Fit the usual errors of autoencoders, and of samples of rows beside them."""
        compare = iterate_members(self._cells().compare)
        if self._is_in_float32():
            errors = self._map_rows(stack_members(compare, self._dtype()), X[indices])
            rounding = 0.0
        else:
            both = self._map_rows(stack_in_two_precisions(compare), X[indices])
            errors, coarse = both.swapaxes(0, 1)
            rounding = measure_rounding(errors, coarse)
        self.error_scale_, self.error_weight_, shares = fit_part(
            errors, is_unseen, rounding
        )
        if self.autoencoder is not None:
            return shares
        drawn = draw_samples(X.shape[0], rng, weight)
        rows = self._map_rows(scale_rows, X[drawn.ravel()])
        rows = rows.reshape(*drawn.shape, -1).astype(np.float32)
        nearest = stack_members(make_sample_errors(rows, self._cells()), torch.float32)
        scale, weight, others = fit_part(
            self._map_rows(nearest, X[indices]), mark_unseen(indices, drawn)
        )
        self._samples = {"rows": rows, "scale": scale, "weight": weight}
        return combine_cells([torch.from_numpy(part) for part in (shares, others)]).numpy()

    def _fit_memory(self, X, rows, indices, is_unseen: np.ndarray) -> np.ndarray:
        """Keep the rows of each member, and fit usual distances to them."""
        cells, dtype = self._cells(), self._dtype()
        errors = stack_members(iterate_members(cells.compare), dtype)
        self.error_scale_ = fit_part(self._map_rows(errors, X[indices]), is_unseen)[0]
        points = stack_members(make_points(self.error_scale_, cells), dtype)
        union, places = np.unique(rows, return_inverse=True)
        places = places.reshape(rows.shape)
        described = self._map_rows(points, X[union]).astype(np.float32)
        memory = {
            "rows": self._map_rows(scale_rows, X[union]).astype(np.float32)[places],
            "points": described[places, np.arange(len(rows))[:, None]],
            "scale": self.error_scale_,
            "usual": np.ones((2, len(rows))),
        }
        distances = stack_members(iterate_distances(Memory(**memory), cells), dtype)
        values = self._map_rows(distances, X[indices])
        memory["usual"], shares = fit_distances(values, is_unseen)
        self._memory = memory
        return shares

    def _scores_errors(self) -> bool:
        if self.method == "auto":
            return _is_ours(self.autoencoder_) and not _has_density(self.autoencoder_)
        return self.method == "reconstruction"

    # Scores and labels

    @as_fitted
    def score_samples(self, X):
        """Compute the scores of rows: the lower, the more abnormal.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the anomaly scores for ``method="reconstruction"``, with a median of about
            -1 on regular rows; otherwise the scores of the autoencoder.
        """
        check_is_fitted(self)
        return self._score(self.check_rows(X, reset=False))

    def _score(self, X) -> np.ndarray:
        if self.method_ == "score_samples" and _is_ours(self.autoencoder_):
            return self.autoencoder_.score_encoded(X)
        if self.method_ == "score_samples":
            return self.autoencoder_.score_samples(X)
        return -self._map_rows(self._anomaly_function(), X)

    def _map_rows(self, function: Callable, X) -> np.ndarray:
        """Apply a function in torch to rows in float64: no score depends on rounding."""
        in_float32 = self._is_in_float32()
        function = pad_rows(function) if in_float32 else function
        function_map = partial(
            self.autoencoder_.map_encoded, function, in_float32=in_float32
        )
        if X.dtype == np.float64:
            return function_map(X)
        chunks = iter_chunks(X, np.arange(X.shape[0]))
        values = [function_map(chunk.astype(np.float64)) for chunk in chunks]
        return np.concatenate(values).astype(X.dtype)

    def _is_in_float32(self) -> bool:
        """Check whether scaled rows are computed on in float32.

        The default design makes no errors so small that rounding matters.
        """
        return self.autoencoder is None

    def _dtype(self) -> torch.dtype | None:
        return torch.float32 if self._is_in_float32() else None

    def _anomaly_function(self, by_cell: bool = False) -> Callable:
        """Make the function ``(module, rows) -> anomaly scores``, of cells if asked for."""
        cells = self._cells()
        if self.novelty:
            memory = Memory(**self._memory)
            return make_novelty_score(memory, cells, self._dtype(), by_cell)
        errors = iterate_members(cells.compare)
        parts = [Part(errors, self.error_scale_, self.error_weight_)]
        if self._samples is not None:
            nearest = make_sample_errors(self._samples["rows"], cells)
            parts.append(Part(nearest, self._samples["scale"], self._samples["weight"]))
        return make_score_function(parts, cells, self._dtype(), by_cell)

    def _cells(self) -> Cells:
        if self._table is None:
            return ENTRIES
        return make_table_cells(table_layout(self._table))

    def decision_function(self, X):
        """Compute the scores less the threshold: negative for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X, *, false_discovery_rate: float | None = None):
        """Label rows as outliers or inliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        false_discovery_rate : float in (0, 1) or None, default=None
            Largest share of regular rows among the rows of X that are labelled as outliers,
            in the mean over such X, for training rows without outliers (Benjamini and
            Hochberg). The labels of rows depend on the other rows of X then. None takes the
            threshold `offset_`.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers, +1 for inliers.

        Raises
        ------
        ValueError
            If `false_discovery_rate` is not in (0, 1).
        """
        if false_discovery_rate is None:
            return label(self.decision_function(X))
        if not 0 < false_discovery_rate < 1:
            raise ValueError(
                f"false_discovery_rate={false_discovery_rate!r} has to be a share of the "
                "rows that are found, in (0, 1)."
            )
        return np.where(reject(np.asarray(self.p_values(X)), false_discovery_rate), -1, 1)

    @available_if(_labels_training_rows)
    def fit_predict(self, X, y=None, **kwargs):
        """Fit to X, and label its rows as outliers or inliers, without `novelty`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : None
            Ignored.
        **kwargs : dict
            Arguments of ``fit``.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers, +1 for inliers.
        """
        return super().fit_predict(X, y, **kwargs)

    def p_values(self, X):
        """Compute p-values: how probable as low a score is for a regular row.

        It is the rank of the score among those of calibration rows, by members that were
        not fitted to them (conformal inference). Of regular rows at most a share of
        about p has a p-value of p or less, if the training rows are regular; outliers among
        them make p-values larger.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            In (0, 1], at least 1 / (n + 1) for n calibration rows.
        """
        return rank_scores(self.score_samples(X), self.calibration_scores_)

    @available_if(_explains)
    @as_fitted
    def explain(self, X, *, p_values: bool = False):
        """Compute the contribution of each feature to the anomaly scores of rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        p_values : bool, default=False
            Whether to give p-values in place of contributions: for each feature, how
            probable as large a contribution is for a regular row. The same holds for them
            as for ``p_values``, one feature at a time.

        Returns
        -------
        shares : ndarray of shape (n_samples, n_features), or a frame like X
            Contributions, 0 or larger, in multiples of the median anomaly score. They sum
            over features to ``-score_samples(X)``. Or p-values, in (0, 1].
        """
        check_is_fitted(self)
        rows = self.check_rows(X, reset=False)
        shares = self._map_rows(self._anomaly_function(by_cell=True), rows)
        if p_values:
            shares = shares.astype(np.float32)  # as those of calibration rows
            pairs = zip(shares.T, self.calibration_shares_.T, strict=True)
            ranks = [rank_scores(-share, -known[::-1]) for share, known in pairs]
            shares = np.stack(ranks, axis=1)
        return wrap_like(X, shares)

    @as_fitted
    def __onnx_spec__(self, method: str, allow_nan: bool) -> ExportSpec:
        if not _is_ours(self.autoencoder_):
            raise ValueError(
                f"A detector around a {type(self.autoencoder_).__name__} cannot be "
                "exported: autoencoder has to be one of sk_autoencoder, or None."
            )
        check_export_method(self, method, ("auto", "score_samples"))
        inner = self.autoencoder_.__onnx_spec__("score_samples", allow_nan)
        score = inner.function
        if self.method_ == "reconstruction":
            anomaly = self._anomaly_function()

            def score(module: torch.nn.Module, rows: torch.Tensor):
                return -anomaly(module, rows)

        if method == "score_samples":
            return inner._replace(function=score)

        def decide(module: torch.nn.Module, rows: torch.Tensor):
            scores = score(module, rows)[:, None] - self.offset_
            return label(scores), scores

        outputs = {"label": [1], "scores": [1]}
        return inner._replace(function=decide, outputs=outputs)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = allows_nan(self.autoencoder)
        return tags
