"""Outlier detection in time series, by a detector of windows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sk_autoencoder.core._export import ExportMixin, ExportSpec
from sk_autoencoder.core._tables import (
    TableMixin,
    sum_by_column,
    table_layout,
)
from sk_autoencoder.outliers import _windows
from sk_autoencoder.outliers._companions import (
    ROWS_WEIGHT,
    SAMPLES_WEIGHT,
    average_nearby,
    draw_window_samples,
    find_axes,
    fit_row_detector,
    measure_distances,
    measure_spread,
)
from sk_autoencoder.outliers._held_out import compute_p_values, fit_folds
from sk_autoencoder.outliers._period import estimate_window
from sk_autoencoder.outliers._rows import AutoencoderOutlierDetector
from sk_autoencoder.outliers._stretches import (
    find_stretches,
    iter_series,
    make_table,
    name_channels,
    read_labels,
)
from sk_autoencoder.outliers._threshold import find_offset, label
from sk_autoencoder.outliers._timestamps import (
    as_frame,
    find_positions,
    find_step,
    read_timestamps,
    warn_of_holes,
)
from sk_autoencoder.outliers._window_autoencoder import fit_window_autoencoder
from sk_autoencoder.outliers._windows import Series
from sk_autoencoder.persistence import PersistenceMixin
from sk_autoencoder.utils._checks import check_columns, check_variance
from sk_autoencoder.utils._constraints import count
from sk_autoencoder.utils._random import clone_with_seed, draw_seed
from sk_autoencoder.utils._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    allows_nan,
    ensure_all_finite,
    fit_context,
    wrap_like,
)
from sk_autoencoder.utils._transactions import as_fitted, atomic
from sk_autoencoder.utils._validation import validate_rows


def _is_calibrated(detector: "TimeSeriesOutlierDetector") -> bool:
    return bool(getattr(detector, "folds_", detector.calibrate))


def _explains(detector: "TimeSeriesOutlierDetector") -> bool:
    inner = getattr(detector, "detector_", detector.detector)
    return inner is None or hasattr(inner, "explain")


@dataclass(kw_only=True, eq=False, repr=False)
class TimeSeriesOutlierDetector(
    PersistenceMixin, ExportMixin, OutlierMixin, TableMixin, BaseEstimator
):
    """Outlier detection in time series, with the interface of IsolationForest.

    A detector of rows is fitted to windows, that is, to `window` consecutive timestamps
    with all channels side by side. The score of a timestamp is the mean score of the
    windows that cover it. The default design adds two scores. The first one is by an
    autoencoder of windows [1]_, which scores a window by its reconstruction error and by
    the distance of its code from the mean code [2]_. The autoencoder is initialised by PCA,
    which is hard to beat on short or periodic series [3]_, and is trained further only
    while the validation loss improves. The second one is, for one channel, the distance of
    a window to the nearest ones of samples of training windows [4]_, and for several
    channels the score of the timestamp alone, which says most about switches and counts.

    Parameters
    ----------
    detector : estimator or None, default=None
        A detector with ``fit`` and ``score_samples``, such as ``IsolationForest()`` or
        ``LocalOutlierFactor(novelty=True)``, for rows of ``window * n_channels`` values.
        None takes the default design of the Notes.
    window : int or "auto", default="auto"
        Number of timestamps in a window. ``"auto"`` takes a period of the series, a
        sixteenth of the shortest series if there is no period, or 1 if rows are
        independent of each other (see Notes).
    stride : int or "auto", default="auto"
        Number of timestamps between the starts of consecutive windows. The last window
        ends at the last timestamp for every stride. ``"auto"`` fits the detector to all
        windows, and scores so many that at least 32 cover a timestamp, or 640 divided by
        the number of channels, but not fewer than 8.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Fraction of the training timestamps that are outliers. ``"auto"`` looks for a valley
        between the scores of regular timestamps and outliers, and else takes the 40 %
        quantile of the training scores less 3.3 times the distance to the 60 % quantile.
    random_state : int, RandomState instance or None, default=None
        Seeds the detector. Unless None, it replaces the `random_state` of `detector`.
        Global generators are not used.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns to take for categories: a mask, indices or names. ``"from_dtype"`` takes
        columns of text and of categorical dtypes, and encodes booleans, dates and durations
        too. None takes all columns for numbers.
    calibrate : bool, default=False
        Whether to compute ``p_values``. That takes four more fits, each to three quarters
        of each series.

    Attributes
    ----------
    detector_ : estimator
        The detector that was fitted to windows.
    window_ : int
        Number of timestamps in a window.
    stride_ : int
        Number of timestamps between the starts of windows that are scored.
    offset_ : float
        Threshold: timestamps with lower ``score_samples`` are outliers.
    folds_ : list
        Detectors that were fitted without a quarter of each series, and their lowest scores
        of the blocks of the quarters, for ``p_values``; empty without `calibrate`.
    scaler_ : StandardScaler
        Mean and standard deviation of each channel over the training timestamps.
    n_features_in_ : int
        Number of channels seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the channels, if X has string names.
    table_ : sk_autoencoder.preprocessing.TableEncoder or None
        Encoder of a table of mixed columns; None after a fit to numbers.

    See Also
    --------
    AutoencoderOutlierDetector : Outlier detection in rows without an order.

    Notes
    -----
    **Window length.** A period is a peak of the autocorrelation at a lag of 8 to 512
    timestamps, of which the shortest series holds at least eight. A window that is a
    sixteenth of the shortest series has at least 8 and at most 256 timestamps.

    **Default design.** The default `detector_` is an autoencoder with four components for
    each channel, and at most 32, fitted to at most 2,048 windows. Its hidden layers have
    128 and 64 units, for windows of more than 2,048 values fewer, but at least 32. If
    windows overlap, a PCA with two components first removes rare windows: those with more
    than five times the median error, at most a tenth of all. The autoencoder is an ensemble
    of two members with different validation intervals. It stays at PCA if there are fewer
    than 15 validation windows that overlap by at most half. For one channel, 16 samples of
    32 windows are drawn, and distances are along 16 principal axes of these; for several
    channels an :class:`AutoencoderOutlierDetector` is fitted to timestamps, whose score
    counts twice. Each score is divided by the distance of the 50 % and the 90 % quantiles
    of the training scores, and their sum by its median: typical timestamps score about -1.
    For windows of one timestamp the default is an :class:`AutoencoderOutlierDetector`.

    **Score of a window.** The score of the default `detector_` is minus the square of the
    maximum of two numbers. The first one is the squared error, in multiples of its median
    over the training windows, with channels scaled by their median errors. The second one
    is Hotelling's :math:`T^2` of the code, averaged over members, in multiples of twice its
    median. Only the second number detects an abnormal window that is reconstructed well,
    such as one at a level that the series never had.

    **Score of a timestamp.** Rows have to be in the order of time and evenly spaced. The
    score of a timestamp depends on the `window` - 1 rows before and after it, so that a
    series has to be scored as a whole. The first and last timestamps are covered by fewer
    windows. The scores of the default design are averaged once more, over `window`
    timestamps around each one, or `window` - `stride` + 1 if `stride` is a number: labels
    of anomalies are longer than a peak.

    **Memory.** The windows of one series are a view of the scaled rows, without a copy,
    for any number of channels. They are scored in chunks. Windows of several series are
    copied once in ``fit``, and `detector` may copy its input.

    **Missing values.** Entries may be missing (NaN) if the detector supports that, as the
    default does. A timestamp that is only in windows without any value gets a score
    interpolated from its neighbours.

    References
    ----------
    .. [1] P. Malhotra et al., "LSTM-based encoder-decoder for multi-sensor anomaly
       detection", ICML Anomaly Detection Workshop, 2016.
    .. [2] H. H. Yue and S. J. Qin, "Reconstruction-based fault identification using a
       combined index", Industrial & Engineering Chemistry Research 40, 2001.
    .. [3] S. Schmidl, P. Wenig and T. Papenbrock, "Anomaly detection in time series: a
       comprehensive evaluation", PVLDB 15, 2022.
    .. [4] G. Pang, K. M. Ting and D. Albrecht, "LeSiNN: detecting anomalies by identifying
       least similar nearest neighbours", ICDM Workshops, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder import TimeSeriesOutlierDetector
    >>> t = np.arange(1000)
    >>> X = np.sin(2 * np.pi * t / 25)[:, None]
    >>> X += np.random.default_rng(0).normal(0, 0.1, X.shape)
    >>> X[600:615] = 0  # within the range of all values, but no wave
    >>> detector = TimeSeriesOutlierDetector(random_state=0).fit(X)
    >>> detector.window_
    25
    >>> bool(590 < detector.score_samples(X).argmin() < 625)
    True

    The most abnormal stretch:

    >>> table = detector.find_anomalies(X)
    >>> worst = table[table["score"].argmin()]
    >>> bool(worst["start"] <= 605 < 615 <= worst["end"])
    True
    """

    detector: Any = field(default=None, kw_only=False)
    window: int | str = "auto"
    stride: int | str = "auto"
    contamination: float | str = "auto"
    random_state: Any = None
    categorical_features: Any = "from_dtype"
    calibrate: bool = False

    _parameter_constraints: ClassVar[dict] = {
        "detector": [HasMethods(["fit", "score_samples"]), None],
        "window": [
            count(1),
            StrOptions({"auto"}),
        ],
        "stride": [count(1), StrOptions({"auto"})],
        "contamination": [
            Interval(Real, 0, 0.5, closed="right"),
            StrOptions({"auto"}),
        ],
        "random_state": ["random_state"],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "calibrate": ["boolean"],
    }

    @fit_context
    @atomic
    def fit(self, X, y=None, groups=None):
        """Fit the detector to windows of X, and compute the threshold.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels), or a pandas or polars Series
            Rows in the order of time, with or without outliers, in memory. If X has a
            DatetimeIndex, missing timestamps become rows without a value, and a warning
            counts them.
        y : None
            Ignored.
        groups : array-like of shape (n_timestamps,), default=None
            The series of each row. A window never spans two series.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter or X is invalid, a series is shorter than a window (with
            `calibrate`, than four), or a DatetimeIndex is not in the order of time.
        """
        given, times = as_frame(X), read_timestamps(X)
        X = self._check_X(given, reset=True, ensure_min_samples=2)
        check_columns(X)
        with np.errstate(over="ignore", invalid="ignore"):
            self.scaler_ = StandardScaler().fit(X)
        check_variance(self.scaler_.var_)
        if self._table is not None:
            self.scaler_.scale_ = table_layout(self._table).scale
        series = self._make_series(X, groups, times)
        self._step = None if times is None else find_step(series.times)
        self._fill_holes(series)
        is_auto = self.window == "auto"
        self.window_ = estimate_window(series) if is_auto else int(self.window)
        series.check(self.window_)
        is_auto = self.stride == "auto"
        stride = _windows.choose_stride(self.window_, series.n_channels)
        self.stride_ = stride if is_auto else int(self.stride)
        seed = draw_seed(check_random_state(self.random_state))
        windows = self._training_windows(series)
        self.detector_ = self._fit_detector(windows, series.n_channels, seed)
        self._samples = self._row_detector = self._units = None
        parts = None
        if self.detector is None and self.window_ > 1:
            parts = self._fit_companion(windows, series, seed)
        scores = self._score(series, parts)
        self.offset_ = find_offset(scores, self.contamination)
        self.folds_ = []
        if self.calibrate:
            rows = given if hasattr(given, "columns") else X
            self.folds_ = fit_folds(self, rows, groups)
        return self

    def _check_X(self, X, *, reset: bool, ensure_min_samples: int = 1):
        options = {"reset": reset, "ensure_min_samples": ensure_min_samples}
        rows = self._encode_table(X, **options)
        if rows is not None:
            return rows
        options |= {"dtype": [np.float64, np.float32], "order": "C"}
        options |= {"ensure_all_finite": ensure_all_finite(self)}
        return validate_rows(self, X, **options)

    def _make_series(self, X, groups, times: np.ndarray | None) -> Series:
        if groups is not None:
            groups = np.asarray(groups)
            check_consistent_length(X, groups)
        return Series(self.scaler_.transform(X), groups, times)

    def _fill_holes(self, series: Series) -> None:
        """Put rows without a value where timestamps are missing, and warn once."""
        if self._step is None or series.times is None:
            return
        positions = [find_positions(times, self._step) for times in series.times]
        can_be_missing = get_tags(self).input_tags.allow_nan
        warn_of_holes(positions, can_be_missing)
        if can_be_missing:
            series.fill(positions)

    def _fit_detector(self, windows: np.ndarray, n_channels: int, seed: int):
        if self.detector is None and self.window_ == 1:
            return AutoencoderOutlierDetector(random_state=seed).fit(windows)
        if self.detector is None:
            overlap = -(-self.window_ // self._training_stride)
            return fit_window_autoencoder(windows, n_channels, overlap, seed)
        detector = clone_with_seed(self.detector, self.random_state, seed)
        # Temporal networks need the number of channels to reshape a window.
        unknown = [
            name
            for name, value in detector.get_params().items()
            if name.endswith("__n_channels") and value is None
        ]
        detector.set_params(**dict.fromkeys(unknown, n_channels))
        return detector.fit(windows)

    @property
    def _training_stride(self) -> int:
        """Number of timestamps between the starts of training windows."""
        return 1 if self.stride == "auto" else self.stride_

    def _windows_of(self, rows: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
        """View all windows of a series, and select those with an observed value."""
        starts = _windows.window_starts(len(rows), self.window_, stride)
        observed = _windows.observed_windows(rows, self.window_, starts)
        return _windows.window_view(rows, self.window_), observed

    def _training_windows(self, series: Series) -> np.ndarray:
        """Collect the windows of all series, as a view if possible."""
        arrays, stride = [], self._training_stride
        for rows in series:
            view, starts = self._windows_of(rows, stride)
            regular = np.arange(0, len(view), stride)
            is_complete = np.isin(regular, starts).all()  # no window without a value
            arrays.append(view[::stride] if is_complete else view[starts])
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    def _over_timestamps(self, score: Callable, rows: np.ndarray) -> np.ndarray:
        """Average `score` over the windows that cover a row, for every row of a series."""
        view, starts = self._windows_of(rows, self.stride_)
        chunks = _windows.iter_starts(view, starts)
        scores = np.concatenate([score(view[chunk]) for chunk in chunks])
        return _windows.overlap_average(scores, starts, self.window_, len(rows))

    def _score(self, series: Series, parts: list | None = None) -> np.ndarray:
        """Compute the scores of the rows of X: the lower, the more abnormal.

        `parts` are the scores of each series by both parts, if they are known.
        """
        if self._units is None:
            score = self.detector_.score_samples
            return series.restore_order([self._over_timestamps(score, r) for r in series])
        if parts is None:
            parts = [self._score_parts(rows) for rows in series]
        return -series.restore_order(self._combine_all(series, parts))

    # The default design

    def _fit_companion(self, windows: np.ndarray, series: Series, seed: int) -> list:
        """Fit what scores timestamps beside the autoencoder, and the units of both.

        Returns the scores of each series by both parts.
        """
        if series.n_channels == 1:
            samples = draw_window_samples(windows, seed)
            self._samples = [samples, find_axes(samples)]
        else:
            self._row_detector = fit_row_detector(series, seed)
        pairs = [self._score_parts(rows) for rows in series]
        spreads = [measure_spread(np.concatenate(p)) for p in zip(*pairs, strict=True)]
        weights = 1.0, SAMPLES_WEIGHT if series.n_channels == 1 else ROWS_WEIGHT
        self._units = [s / w for s, w in zip(spreads, weights, strict=True)]
        # A typical timestamp of the training series scores -1.
        scores = np.concatenate(self._combine_all(series, pairs))
        typical = float(np.median(scores)) or 1.0
        self._units = [unit * typical for unit in self._units]
        return pairs

    def _score_parts(self, rows: np.ndarray) -> list[np.ndarray]:
        """Compute the anomaly scores of a series by both parts, (n_timestamps,)."""
        return [
            self._over_timestamps(lambda w: -self.detector_.score_samples(w), rows),
            self._score_by_companion(rows),
        ]

    def _score_by_companion(self, rows: np.ndarray) -> np.ndarray:
        if self._row_detector is not None:
            return self._average_rows(rows, -self._row_detector.score_samples(rows))
        return self._over_timestamps(lambda w: measure_distances(w, *self._samples), rows)

    def _explain_parts(self, rows: np.ndarray) -> list[np.ndarray]:
        """Compute the contributions to the scores by both parts, by channel."""
        by_window = self._over_timestamps(self._sum_by_channel, rows)
        if self._row_detector is not None:
            by_row = np.asarray(self._row_detector.explain(rows))
            return [by_window, self._average_rows(rows, by_row)]
        return [by_window, self._score_by_companion(rows)[:, None]]  # of one channel

    def _sum_by_channel(self, windows: np.ndarray) -> np.ndarray:
        entries = self.detector_.explain(windows)
        return entries.reshape(len(entries), self.window_, -1).sum(axis=1)

    def _average_rows(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        values = _windows.interpolate(values, _windows.has_value(rows))
        return average_nearby(values, self._averaged_width())

    def _averaged_width(self) -> int:
        """Count the timestamps to average: one more than training windows share."""
        return max(self.window_ - self._training_stride, 0) + 1

    def _combine_all(self, series: Series, parts: list) -> list[np.ndarray]:
        pairs = zip(series, parts, strict=True)
        return [self._combine(rows, scores) for rows, scores in pairs]

    def _combine(self, rows: np.ndarray, parts: list[np.ndarray]) -> np.ndarray:
        """Add the parts of a series, and average them over nearby timestamps."""
        pairs = zip(parts, self._units, strict=True)
        combined = sum(part / unit for part, unit in pairs)
        averaged = average_nearby(combined, self._averaged_width())
        starts = self._windows_of(rows, self.stride_)[1]
        is_covered = _windows.mark_covered(starts, self.window_, len(rows))
        return _windows.interpolate(averaged, is_covered)

    # Scores and labels

    @as_fitted
    def score_samples(self, X, groups=None):
        """Compute the scores of timestamps: the lower, the more abnormal.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels), or a pandas or polars Series
            Rows in the order of time.
        groups : array-like of shape (n_timestamps,), default=None
            The series of each row.

        Returns
        -------
        scores : ndarray of shape (n_timestamps,)
            The mean of the detector's scores of the windows that cover a timestamp.
        """
        return self._score(self._check_series(X, groups))

    def _check_series(self, X, groups) -> Series:
        check_is_fitted(self)
        X, times = as_frame(X), read_timestamps(X)
        series = self._make_series(self._check_X(X, reset=False), groups, times)
        self._fill_holes(series)
        series.check(self.window_)
        return series

    def decision_function(self, X, groups=None):
        """Compute the scores less the threshold: negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels), or a pandas or polars Series
            Rows in the order of time.
        groups : array-like of shape (n_timestamps,), default=None
            The series of each row.

        Returns
        -------
        scores : ndarray of shape (n_timestamps,)
            ``score_samples(X, groups) - offset_``.
        """
        return self.score_samples(X, groups) - self.offset_

    def predict(self, X, groups=None):
        """Label timestamps as outliers or inliers.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels), or a pandas or polars Series
            Rows in the order of time.
        groups : array-like of shape (n_timestamps,), default=None
            The series of each row.

        Returns
        -------
        is_inlier : ndarray of shape (n_timestamps,)
            -1 for outliers, +1 for inliers.
        """
        return label(self.decision_function(X, groups))

    def fit_predict(self, X, y=None, groups=None):
        """Fit to X, and label its timestamps as outliers or inliers.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels), or a pandas or polars Series
            Rows in the order of time.
        y : None
            Ignored.
        groups : array-like of shape (n_timestamps,), default=None
            The series of each row.

        Returns
        -------
        is_inlier : ndarray of shape (n_timestamps,)
            -1 for outliers, +1 for inliers.
        """
        return self.fit(X, groups=groups).predict(X, groups)

    @available_if(_is_calibrated)
    def p_values(self, X, groups=None):
        """Compute p-values: how probable as low a score is in a regular block of a series.

        A block has `window_` timestamps: scores of neighbours are alike, and no evidence of
        their own. If the training series is regular, and later ones behave as it does, at
        most a share of about p of all regular blocks has a timestamp with a p-value of p or
        less. Outliers in the training series make p-values larger.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels), or a pandas or polars Series
            Rows in the order of time.
        groups : array-like of shape (n_timestamps,), default=None
            The series of each row.

        Returns
        -------
        p_values : ndarray of shape (n_timestamps,)
            In (0, 1], at least 1 / (n + 1) for n blocks in ``fit``.
        """
        check_is_fitted(self)
        return compute_p_values(self.folds_, X, groups)

    def find_anomalies(self, X, groups=None):
        """Find the stretches of outliers, in the order of time.

        Outliers with fewer than `window_` inliers between them are of one stretch: the
        scores of closer timestamps are means over the same windows.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels), or a pandas or polars Series
            Rows in the order of time.
        groups : array-like of shape (n_timestamps,), default=None
            The series of each row.

        Returns
        -------
        table : frame of the library of X, or structured array, of length n_stretches
            Columns ``"start"`` and ``"end"`` (the first and the last timestamp),
            ``"peak"`` (the most abnormal one) and ``"score"`` (its score). Timestamps are
            labels of the index of a pandas object, and else positions of rows.
            ``"channels"`` lists the names, or else the numbers, of the channels that have
            half of the sum of ``explain``, the largest first; it is left out if the
            detector has no ``explain``. ``"p_value"`` is that of the peak; it is left out
            without `calibrate`. ``"series"`` comes first if there are `groups`.
        """
        scores = self.score_samples(X, groups)
        X = as_frame(X)
        names, stretches, peaks = [], [], []
        for name, rows in iter_series(groups, len(scores)):
            is_outlier = scores[rows] < self.offset_
            for start, end in find_stretches(is_outlier, self.window_ - 1):
                stretch = rows[start : end + 1]
                names.append(name)
                stretches.append(stretch)
                peaks.append(stretch[scores[stretch].argmin()])
        starts = np.array([stretch[0] for stretch in stretches], int)
        ends = np.array([stretch[-1] for stretch in stretches], int)
        at_peak = np.array(peaks, int)
        columns = {}
        if groups is not None:
            columns["series"] = np.array(names, np.asarray(groups).dtype)
        columns |= {"start": read_labels(X, starts), "end": read_labels(X, ends)}
        columns |= {"peak": read_labels(X, at_peak), "score": scores[at_peak]}
        if _is_calibrated(self):
            columns["p_value"] = self.p_values(X, groups)[at_peak]
        if _explains(self):
            columns["channels"] = self._name_channels(X, groups, stretches)
        return make_table(X, columns)

    def _name_channels(self, X, groups, stretches: list[np.ndarray]) -> list[list]:
        if not stretches:
            return []
        shares = np.asarray(self.explain(X, groups))
        channels = np.arange(shares.shape[1])
        channels = getattr(self, "feature_names_in_", channels)
        return [name_channels(shares[stretch], channels) for stretch in stretches]

    @available_if(_explains)
    @as_fitted
    def explain(self, X, groups=None):
        """Compute the contribution of each channel to the anomaly scores of timestamps.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels), or a pandas or polars Series
            Rows in the order of time.
        groups : array-like of shape (n_timestamps,), default=None
            The series of each row.

        Returns
        -------
        shares : ndarray of shape (n_timestamps, n_channels), or a frame like X
            Contributions, 0 or larger. They sum over channels to
            ``-score_samples(X, groups)``.
        """
        series = self._check_series(X, groups)
        if self._units is None:
            shares = [self._over_timestamps(self._sum_by_channel, r) for r in series]
        else:
            parts = [self._explain_parts(rows) for rows in series]
            shares = self._combine_all(series, parts)
        shares = series.restore_order(shares)
        if self._table is not None:
            shares = sum_by_column(self._table, shares)
        return wrap_like(as_frame(X), shares)

    def __onnx_spec__(self, method: str, allow_nan: bool) -> ExportSpec:
        raise ValueError(
            "TimeSeriesOutlierDetector cannot be exported: its scores depend on the rows "
            "before and after, in a series of any length. Export its detector_, which "
            "scores windows."
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = allows_nan(self.detector)
        return tags
