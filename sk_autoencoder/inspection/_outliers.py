"""Plots of the scores of an outlier detector, and of the features behind them."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.utils import _pipelines

SCORE_METHOD, NAMES_METHOD = "score_samples", "get_feature_names_out"
MAX_PLOTTED_DISTANCE = 4.0  # below the median, in distances from it to the 5 % quantile


class OutlierScoreDisplay:
    """Histogram of scores with the threshold, and explanations of the lowest scores.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of the rows. The lower, the more abnormal.
    threshold : float or None, default=None
        Rows with lower scores are outliers.
    y : array-like of shape (n_samples,) or None, default=None
        Classes of the rows, which set the colours: known outliers, for example.
    shares : ndarray of shape (n_samples, n_features) or None, default=None
        Contribution of each feature to the anomaly score of a row.
    feature_names : sequence of str or None, default=None
        Names of the features.
    row_names : sequence or None, default=None
        Names of the rows; None numbers them from 0.
    estimator_name : str or None, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The histogram.
    axes_ : ndarray of matplotlib Axes
        The histogram, then one plot for each row that is explained.
    figure_ : matplotlib Figure
    threshold_line_ : matplotlib Line2D or None
    explained_ : ndarray of int
        Indices of the rows that are explained, the lowest score first.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sk_autoencoder import AutoencoderOutlierDetector, OutlierScoreDisplay
    >>> X = load_wine(as_frame=True).data
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    >>> display = OutlierScoreDisplay.from_estimator(detector, X)
    >>> bool(display.threshold_line_.get_xdata()[0] == detector.offset_)
    True
    """

    def __init__(
        self,
        scores,
        *,
        threshold=None,
        y=None,
        shares=None,
        feature_names=None,
        row_names=None,
        estimator_name=None,
    ) -> None:
        self.scores = scores
        self.threshold = threshold
        self.y = y
        self.shares = shares
        self.feature_names = feature_names
        self.row_names = row_names
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, ax=None, name=None, n_rows=3, n_features=5, **hist_kw
    ):
        """Score rows, plot the scores and explain the lowest ones.

        Parameters
        ----------
        estimator : estimator
            A fitted detector with ``score_samples``, such as
            :class:`~sklearn.ensemble.IsolationForest`, or a pipeline that ends in one. Its
            ``offset_`` is the threshold, and ``explain`` gives the explanations, if it has
            them.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or None, default=None
            Classes of the rows: known outliers, for example.
        ax : matplotlib Axes or None, default=None
            The axes to draw in, divided if rows are explained; None makes a figure.
        name : str or None, default=None
            Title; None takes the name of the estimator's class.
        n_rows : int, default=3
            Number of rows to explain, those with the lowest scores; 0 plots the histogram
            only.
        n_features : int, default=5
            Number of features in an explanation, those with the largest contributions.
        **hist_kw
            Options of ``matplotlib``'s ``hist``.

        Returns
        -------
        display : OutlierScoreDisplay

        Raises
        ------
        TypeError
            If `estimator` has no ``score_samples``.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, SCORE_METHOD):
            raise TypeError(
                f"{type(estimator).__name__} has no score_samples. Give a detector such as "
                "AutoencoderOutlierDetector or IsolationForest."
            )
        holder = _pipelines.find_estimator(estimator, lambda step: hasattr(step, "offset_"))
        shares, names = explain(estimator, X) if n_rows else (None, None)
        display = cls(
            np.asarray(estimator.score_samples(X)),
            threshold=None if holder is None else float(holder.offset_),
            y=y,
            shares=None if shares is None else np.asarray(shares),
            feature_names=names,
            row_names=getattr(X, "index", None),
            estimator_name=drawing.class_name(estimator, SCORE_METHOD)
            if name is None
            else name,
        )
        return display.plot(ax=ax, n_rows=n_rows, n_features=n_features, **hist_kw)

    @classmethod
    def from_predictions(
        cls,
        scores,
        y=None,
        *,
        threshold=None,
        shares=None,
        ax=None,
        name=None,
        n_rows=3,
        n_features=5,
        **hist_kw,
    ):
        """Plot scores that are already computed.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Scores of the rows. The lower, the more abnormal.
        y : array-like of shape (n_samples,) or None, default=None
            Classes of the rows: known outliers, for example.
        threshold : float or None, default=None
            Rows with lower scores are outliers.
        shares : array-like of shape (n_samples, n_features) or None, default=None
            Contribution of each feature to the anomaly score of a row.
        ax : matplotlib Axes or None, default=None
            The axes to draw in, divided if rows are explained; None makes a figure.
        name : str or None, default=None
            Title.
        n_rows : int, default=3
            Number of rows to explain, those with the lowest scores.
        n_features : int, default=5
            Number of features in an explanation, those with the largest contributions.
        **hist_kw
            Options of ``matplotlib``'s ``hist``.

        Returns
        -------
        display : OutlierScoreDisplay
        """
        width = 0 if shares is None else np.shape(shares)[1]
        display = cls(
            np.asarray(scores),
            threshold=threshold,
            y=y,
            shares=None if shares is None else np.asarray(shares),
            feature_names=drawing.name_features(shares, None, width),
            row_names=getattr(shares, "index", getattr(scores, "index", None)),
            estimator_name=name,
        )
        return display.plot(ax=ax, n_rows=n_rows, n_features=n_features, **hist_kw)

    def plot(self, ax=None, *, name=None, n_rows=3, n_features=5, **hist_kw):
        """Plot the histogram, and bars that explain the lowest scores.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in, divided if rows are explained; None makes a figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.
        n_rows : int, default=3
            Number of rows to explain, those with the lowest scores.
        n_features : int, default=5
            Number of features in an explanation, those with the largest contributions.
        **hist_kw
            Options of ``matplotlib``'s ``hist``.

        Returns
        -------
        display : OutlierScoreDisplay
        """
        # A single feature would explain every row.
        if self.shares is None or self.shares.shape[1] == 1:
            n_rows = 0
        n_rows = min(n_rows, len(self.scores))
        self.explained_ = np.argsort(self.scores, kind="stable")[:n_rows]
        if n_rows:
            n_bars = min(n_features, self.shares.shape[1])
            size = (9.5, max(3.8, n_rows * (0.7 + 0.2 * n_bars)))
            options = {"width_ratios": (3, 2)}
            self.figure_, grid = drawing.make_grid(ax, n_rows, 2, size, **options)
            self.ax_ = self.figure_.add_subplot(grid[:, 0])
            panels = [self.figure_.add_subplot(grid[i, 1]) for i in range(n_rows)]
            for panel, row in zip(panels, self.explained_, strict=True):
                self._plot_explanation(panel, row, n_bars)
            panels[-1].set_xlabel("what the feature adds")
        else:
            self.ax_ = drawing.make_axes(ax, (6.4, 4.2))
            self.figure_, panels = self.ax_.figure, []
        self.axes_ = np.array([self.ax_, *panels])
        self._plot_histogram(hist_kw)
        self.ax_.set_title(self.estimator_name if name is None else name)
        return self

    def _plot_histogram(self, hist_kw: dict) -> None:
        ax, low = self.ax_, self._lowest_plotted()
        n_below = int((self.scores < low).sum())
        scores = self.scores.clip(low)
        labels = drawing.read_labels(self.y, len(scores))
        if labels is not None and labels.classes is None:
            raise ValueError("y holds numbers, and a histogram needs classes.")
        groups = [(None, np.ones(len(scores), bool))] if labels is None else labels.groups()
        colours = drawing.colours(len(groups))
        options = {"bins": np.histogram_bin_edges(scores, self._n_bins(len(scores)))}
        options |= {"stacked": True, "color": colours}
        if labels is not None:
            options["label"] = [name for name, _ in groups]
        ax.hist([scores[members] for _, members in groups], **options | hist_kw)
        self.threshold_line_ = None
        if self.threshold is not None:
            n_flagged = int((self.scores < self.threshold).sum())
            label = f"threshold: {n_flagged} of {len(scores)} rows below"
            self.threshold_line_ = ax.axvline(
                self.threshold, color="black", linestyle="--", label=label
            )
        note = f"\n({n_below} below {low:.3g}, in the first bar)" if n_below else ""
        ax.set(xlabel="score: the lower, the more unusual" + note, ylabel="rows")
        if self.threshold is not None or labels is not None:
            ax.legend(title=None if labels is None else labels.name)

    @staticmethod
    def _n_bins(n_rows: int) -> int:
        return int(np.clip(2 * n_rows**0.5, 10, 50))

    def _lowest_plotted(self) -> float:
        """Compute the lower limit of the axis; lower scores are plotted at it.

        Without a limit, an extreme score would squeeze the others into one bar.
        """
        low, middle = np.quantile(self.scores, [0.05, 0.5])
        fence = middle - MAX_PLOTTED_DISTANCE * (middle - low)
        if self.threshold is not None:
            fence = min(fence, middle - 2 * (middle - self.threshold))
        return max(float(self.scores.min()), fence)

    def _plot_explanation(self, panel, row: int, n_bars: int) -> None:
        shown = drawing.argmax_n(self.shares[row], n_bars)[::-1]
        panel.barh(np.arange(len(shown)), self.shares[row, shown], color=drawing.GREY)
        names = drawing.names_or_numbers(self.feature_names, self.shares.shape[1])
        panel.set_yticks(np.arange(len(shown)), [names[j] for j in shown])
        row_name = row if self.row_names is None else self.row_names[row]
        panel.set_title(f"row {row_name}: score {self.scores[row]:.3g}", fontsize="medium")
        largest = self.shares[self.explained_].max()
        panel.set_xlim(0, 1.05 * largest if largest > 0 else 1)


def explain(estimator, X):
    """Compute the contribution of each feature, and name the features.

    Both are None if the detector has no ``explain``.
    """
    front, detector = _pipelines.split_pipeline(estimator, SCORE_METHOD)
    if not hasattr(detector, "explain"):
        return None, None
    shares = detector.explain(X if front is None else front.transform(X))
    if front is not None and all(hasattr(step, NAMES_METHOD) for _, step in front.steps):
        return shares, front.get_feature_names_out()
    # Earlier steps of a pipeline may make other features than those it was fitted to.
    named = estimator if front is None else None
    return shares, drawing.name_features(shares, named, shares.shape[1])
