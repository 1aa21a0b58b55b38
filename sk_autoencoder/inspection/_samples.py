"""Plots of a report of sampled rows."""

import numpy as np

from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.metrics import sample_report

IDEALS = {"trees": 0.5, "neighbours": 0.5, "nearness": 0.5}  # of real rows


class SampleReportDisplay:
    """Plot of measures of sampled rows, beside those of real rows.

    Use :meth:`from_samples` or :meth:`from_estimator` to make one.

    Parameters
    ----------
    report : dict of tuple
        The result of :func:`~sk_autoencoder.metrics.sample_report`.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : list of matplotlib BarContainer
        Bars of sampled and of real rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_autoencoder import SampleReportDisplay
    >>> X, held_out, samples = np.random.default_rng(0).normal(size=(3, 200, 2))
    >>> display = SampleReportDisplay.from_samples(X, samples, held_out, random_state=0)
    >>> len(display.bars_)
    2
    """

    def __init__(self, report: dict[str, tuple[float, float]]):
        self.report = report

    @classmethod
    def from_samples(cls, X, samples, held_out, *, target=None, random_state=None, ax=None):
        """Compare sampled rows with real ones, and plot the measures.

        Parameters
        ----------
        X : array-like or frame of shape (n_samples, n_features)
            Training rows of the model.
        samples : array-like or frame of shape (n_generated, n_features)
            Sampled rows.
        held_out : array-like or frame of shape (n_held_out, n_features)
            Real rows that the model was not fitted to.
        target : str, int or None, default=None
            Column that trees learn to predict from sampled rows, by name or index.
        random_state : int, RandomState instance or None, default=None
            Seeds the choice of rows and the trees.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.

        Returns
        -------
        display : SampleReportDisplay
        """
        options = {"target": target, "random_state": random_state}
        return cls(sample_report(X, samples, held_out, **options)).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls, estimator, X, held_out, *, target=None, random_state=None, ax=None
    ):
        """Sample as many rows as are held out, and plot their measures.

        Parameters
        ----------
        estimator : estimator with ``sample(n_samples, random_state)``
            The fitted model.
        X : array-like or frame of shape (n_samples, n_features)
            Its training rows.
        held_out : array-like or frame of shape (n_held_out, n_features)
            Real rows that it was not fitted to.
        target : str, int or None, default=None
            Column that trees learn to predict from sampled rows, by name or index.
        random_state : int, RandomState instance or None, default=None
            Seeds the samples, the choice of rows and the trees.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.

        Returns
        -------
        display : SampleReportDisplay
        """
        samples = estimator.sample(len(held_out), random_state=random_state)
        options = {"target": target, "random_state": random_state, "ax": ax}
        return cls.from_samples(X, samples, held_out, **options)

    def plot(self, ax=None):
        """Plot the measures.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.

        Returns
        -------
        display : SampleReportDisplay
        """
        ax = drawing.make_axes(ax)
        where = np.arange(len(self.report))
        values = np.array(list(self.report.values()))  # (n_measures, 2)
        self.bars_ = [
            ax.barh(where - 0.2, values[:, 0], 0.4, label="sampled rows", color="C0"),
            ax.barh(where + 0.2, values[:, 1], 0.4, label="real rows", color="C7"),
        ]
        for i, name in enumerate(self.report):
            if name in IDEALS:
                ax.plot([IDEALS[name]] * 2, [i - 0.4, i + 0.4], "k--", linewidth=1)
        ax.set(yticks=where, xlim=(min(0, values.min()), 1.02))
        ax.set_yticklabels(self.report)
        ax.invert_yaxis()
        ax.legend(loc="lower right")
        self.ax_, self.figure_ = ax, ax.figure
        return self
