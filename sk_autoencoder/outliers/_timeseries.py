"""Outlier detection in time series: a detector of rows sees windows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from sk_autoencoder.core._export import ExportMixin, ExportSpec
from sk_autoencoder.outliers import _windows
from sk_autoencoder.outliers._rows import AutoencoderOutlierDetector
from sk_autoencoder.outliers._threshold import find_offset, label
from sk_autoencoder.outliers._window_autoencoder import fit_windowing
from sk_autoencoder.outliers._windows import Series
from sk_autoencoder.persistence._files import Savable
from sk_autoencoder.utils._checks import check_columns
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


def _explains(detector: "TimeSeriesOutlierDetector") -> bool:
    inner = getattr(detector, "detector_", detector.detector)
    return inner is None or hasattr(inner, "explain")


@dataclass(kw_only=True, eq=False, repr=False)
class TimeSeriesOutlierDetector(Savable, ExportMixin, OutlierMixin, BaseEstimator):
    """Outlier detection in time series, in IsolationForest's contract.

    A detector of rows sees windows: each stretch of `window` timestamps, all channels side
    by side. A timestamp is as unusual as the windows that cover it are on average. By
    default an autoencoder learns what windows look like [1]_, and a window is unusual if
    its squared error is, or if its code lies far from all others [2]_. It starts at PCA,
    and goes on only where a stretch of time that was held out says so: on short or
    periodic series PCA of windows is hard to beat [3]_.

    Parameters
    ----------
    detector : estimator or None, default=None
        What is fitted to windows, flattened to rows of ``window * n_channels`` values:
        any detector of this library or of scikit-learn with ``fit`` and ``score_samples``,
        such as ``IsolationForest()`` or ``LocalOutlierFactor(novelty=True)``. None takes
        the design of the Notes.
    window : int or "auto", default="auto"
        Number of timestamps in a window. ``"auto"`` takes a period of up to 512 timestamps
        where the autocorrelation has one and the shortest series holds eight of it, and
        otherwise a sixteenth of the shortest series, between 8 and 256. Where rows do not
        depend on those before them it takes 1: then their order does not matter.
    stride : int, default=1
        Number of timestamps from the start of one window to that of the next. The last
        window ends at the last timestamp, whatever the stride.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Share of the training timestamps that count as outliers. With ``"auto"`` the
        threshold is the lowest fifth of the training scores less a quarter of the distance
        to the highest fifth.
    random_state : int, RandomState instance or None, default=None
        Seeds the detector, unless None, in place of its own `random_state`. Global
        generators are left as they were.

    Attributes
    ----------
    detector_ : estimator
        The detector that was fitted to windows.
    window_ : int
        Number of timestamps in a window.
    offset_ : float
        Threshold: timestamps with lower ``score_samples`` are outliers.
    scaler_ : StandardScaler
        Mean and standard deviation of each channel over the training timestamps.
    n_features_in_ : int
        Number of channels seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the channels, where X has string names.

    See Also
    --------
    AutoencoderOutlierDetector : The same for rows without an order.

    Notes
    -----
    The default design is an autoencoder of four components for each channel. It is fitted
    to 4,096 windows at most; of overlapping ones, without those (a tenth at most) at which
    PCA with two components has more than five times the usual error. Where fewer than 15
    windows that overlap by half at most can be held out, it stays at PCA; otherwise it has
    four members that hold out different stretches. For windows of one timestamp it is an
    :class:`AutoencoderOutlierDetector`.

    It scores a window by minus the square of the larger one of two numbers: its squared
    error in multiples of the usual one, and half of how far its code is from the mean code
    (Hotelling's :math:`T^2`, the mean over members), in multiples of the usual distance.
    Usual is the median over the windows that were fitted to, of errors channel by channel,
    where they are more than rounding. So an ordinary stretch scores about -1, and -1/4
    where windows are reconstructed without an error. A level that the series never had can
    be, too: only the second number tells.

    Rows are in the order of time and evenly spaced. A timestamp scores the mean over all
    windows that cover it; the first and the last ones are covered by fewer. So a score
    depends on the `window` - 1 rows before and behind, and a series has to be given as a
    whole.

    Windows of one series are a view of the scaled rows, not a copy, also with several
    channels. Scoring makes rows of them a piece at a time; what `detector` copies in
    ``fit`` is its own affair. To fit to several series their windows are copied once.

    Values may be missing (NaN) if the detector takes them, as the default does. Timestamps
    that only windows without any value cover get a score between those on both sides.

    References
    ----------
    .. [1] P. Malhotra et al., "LSTM-based encoder-decoder for multi-sensor anomaly
       detection", ICML Anomaly Detection Workshop, 2016.
    .. [2] H. H. Yue and S. J. Qin, "Reconstruction-based fault identification using a
       combined index", Industrial & Engineering Chemistry Research 40, 2001.
    .. [3] S. Schmidl, P. Wenig and T. Papenbrock, "Anomaly detection in time series: a
       comprehensive evaluation", PVLDB 15, 2022.

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
    """

    detector: Any = field(default=None, kw_only=False)
    window: int | str = "auto"
    stride: int = 1
    contamination: float | str = "auto"
    random_state: Any = None

    _parameter_constraints: ClassVar[dict] = {
        "detector": [HasMethods(["fit", "score_samples"]), None],
        "window": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "contamination": [
            Interval(Real, 0, 0.5, closed="right"),
            StrOptions({"auto"}),
        ],
        "random_state": ["random_state"],
    }

    @fit_context
    def fit(self, X, y=None, groups=None):
        """Fit the detector to windows of X, and learn which scores are usual.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels)
            Rows in the order of time, with outliers among them or without.
        y : None
            Ignored.
        groups : array-like of shape (n_timestamps,), default=None
            The series that each row belongs to. No window crosses from one to the next.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter or X does not fit, or a series is shorter than a window.
        """
        X = self._check_X(X, reset=True, ensure_min_samples=2)
        check_columns(X)
        self.scaler_ = StandardScaler().fit(X)
        series = self._make_series(X, groups)
        auto = self.window == "auto"
        self.window_ = _windows.find_window(series) if auto else int(self.window)
        series.check(self.window_)
        self.detector_ = self._fit_detector(self._training_windows(series), X.shape[1])
        scores = self._over_timestamps(self.detector_.score_samples, series)
        self.offset_ = find_offset(scores, self.contamination)
        return self

    def _check_X(self, X, **kwargs):
        kwargs |= {"dtype": [np.float64, np.float32], "order": "C"}
        kwargs |= {"ensure_all_finite": ensure_all_finite(self)}
        return validate_data(self, X, **kwargs)

    def _make_series(self, X, groups) -> Series:
        if groups is not None:
            groups = np.asarray(groups)
            check_consistent_length(X, groups)
        return Series(self.scaler_.transform(X), groups)

    def _fit_detector(self, windows: np.ndarray, n_channels: int):
        seed = draw_seed(check_random_state(self.random_state))
        if self.detector is None and self.window_ == 1:
            return AutoencoderOutlierDetector(random_state=seed).fit(windows)
        if self.detector is None:
            overlap = -(-self.window_ // self.stride)
            return fit_windowing(windows, n_channels, overlap, seed)
        detector = clone_with_seed(self.detector, self.random_state, seed)
        # Networks of time have to know how many channels a window holds.
        unknown = [
            name
            for name, value in detector.get_params().items()
            if name.endswith("__n_channels") and value is None
        ]
        detector.set_params(**dict.fromkeys(unknown, n_channels))
        return detector.fit(windows)

    def _windows_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a view of all windows, and which of them count."""
        starts = _windows.window_starts(len(rows), self.window_, self.stride)
        observed = _windows.observed_windows(rows, self.window_, starts)
        return _windows.window_view(rows, self.window_), observed

    def _training_windows(self, series: Series) -> np.ndarray:
        """Return the windows to fit to: a view, where that is possible."""
        found = []
        for rows in series:
            view, starts = self._windows_of(rows)
            regular = np.arange(0, len(view), self.stride)
            whole = np.isin(regular, starts).all()  # no window without a value
            found.append(view[:: self.stride] if whole else view[starts])
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _over_timestamps(self, score: Callable, series: Series) -> np.ndarray:
        """Return for each row of X the mean of what `score` gives its windows."""
        found = []
        for rows in series:
            view, starts = self._windows_of(rows)
            parts = [score(view[piece]) for piece in _windows.pieces(view, starts)]
            shape = (starts, self.window_, len(rows))
            found.append(_windows.over_windows(np.concatenate(parts), *shape))
        return series.in_order_of_rows(found)

    # Using

    def score_samples(self, X, groups=None):
        """Return how normal timestamps are: the lower, the more unusual.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels)
            Rows in the order of time.
        groups : array-like of shape (n_timestamps,), default=None
            The series that each row belongs to.

        Returns
        -------
        scores : ndarray of shape (n_timestamps,)
            The mean of the detector's scores of the windows that cover a timestamp, in the
            detector's unit.
        """
        return self._map(lambda windows: self.detector_.score_samples(windows), X, groups)

    def _map(self, score: Callable, X, groups) -> np.ndarray:
        check_is_fitted(self)
        series = self._make_series(self._check_X(X, reset=False), groups)
        series.check(self.window_)
        return self._over_timestamps(score, series)

    def decision_function(self, X, groups=None):
        """Return the scores less the threshold: negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels)
            Rows in the order of time.
        groups : array-like of shape (n_timestamps,), default=None
            The series that each row belongs to.

        Returns
        -------
        scores : ndarray of shape (n_timestamps,)
            ``score_samples(X, groups) - offset_``.
        """
        return self.score_samples(X, groups) - self.offset_

    def predict(self, X, groups=None):
        """Return which timestamps are outliers.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels)
            Rows in the order of time.
        groups : array-like of shape (n_timestamps,), default=None
            The series that each row belongs to.

        Returns
        -------
        is_inlier : ndarray of shape (n_timestamps,)
            -1 for outliers, +1 for inliers.
        """
        return label(self.decision_function(X, groups))

    def fit_predict(self, X, y=None, groups=None):
        """Fit to X and return which of its timestamps are outliers.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels)
            Rows in the order of time.
        y : None
            Ignored.
        groups : array-like of shape (n_timestamps,), default=None
            The series that each row belongs to.

        Returns
        -------
        is_inlier : ndarray of shape (n_timestamps,)
            -1 for outliers, +1 for inliers.
        """
        return self.fit(X, groups=groups).predict(X, groups)

    @available_if(_explains)
    def explain(self, X, groups=None):
        """Return how much each channel adds to how unusual a timestamp is.

        Parameters
        ----------
        X : array-like of shape (n_timestamps, n_channels)
            Rows in the order of time.
        groups : array-like of shape (n_timestamps,), default=None
            The series that each row belongs to.

        Returns
        -------
        shares : ndarray of shape (n_timestamps, n_channels), or a frame like X
            Not negative. Rows sum to ``-score_samples(X, groups)``.
        """

        def share(windows: np.ndarray) -> np.ndarray:
            cells = self.detector_.explain(windows)
            return cells.reshape(len(cells), self.window_, -1).sum(axis=1)

        return wrap_like(X, self._map(share, X, groups))

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
