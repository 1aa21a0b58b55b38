"""Plots of the terms of the loss against epochs or training steps."""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.core._trainer import read_curve
from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.utils import _pipelines

MIN_LOG_RATIO = 10  # of the largest to the smallest loss, for a logarithmic axis


class LossCurveDisplay:
    """Plot of the training and validation loss, its terms, and the best epoch.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    train : dict of {str: sequence of float}
        Terms of the training loss after each epoch, with their sum as ``"loss"``.
    valid : dict of {str: sequence of float} or None, default=None
        Terms of the validation loss; None if there are no validation rows.
    best_epoch : int or None, default=None
        Epoch whose weights were kept; 0 is the initialisation.
    steps : sequence of int or None, default=None
        Training steps of each epoch, for an axis of steps; None gives one of epochs.
    estimator_name : str or None, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The terms of the training loss, then those of the validation loss. Terms that are 0
        in all epochs are not plotted, nor is the sum of a single term.
    best_line_ : matplotlib Line2D or None
        The line at the best epoch; None without validation rows.

    Notes
    -----
    The validation loss may be lower than the training loss. The training loss is computed
    on corrupted rows and averaged over an epoch; the validation loss is computed on clean
    rows at the end of the epoch.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_autoencoder import AutoencoderTransformer, LossCurveDisplay
    >>> autoencoder = AutoencoderTransformer(max_epochs=5, random_state=0)
    >>> autoencoder.fit(load_iris().data)
    AutoencoderTransformer(max_epochs=5, random_state=0)
    >>> display = LossCurveDisplay.from_estimator(autoencoder)
    >>> display.ax_.get_xlabel()
    'epoch'
    """

    def __init__(
        self,
        train: Mapping[str, Sequence[float]],
        valid: Mapping[str, Sequence[float]] | None = None,
        *,
        best_epoch: int | None = None,
        steps: Sequence[int] | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.train = train
        self.valid = valid
        self.best_epoch = best_epoch
        self.steps = steps
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, yscale="auto", **line_kw):
        """Plot the loss curves of a fitted autoencoder.

        The axis shows training steps where an epoch was a number of steps, and epochs
        where each was a pass through the rows.

        Parameters
        ----------
        estimator : estimator
            A fitted autoencoder, or a pipeline, a search or a wrapper that holds one. For
            an ensemble, losses are averaged over members.
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str or None, default=None
            Title; None takes the name of the estimator's class.
        yscale : {"auto", "linear", "log"}, default="auto"
            Scale of the losses. ``"auto"`` takes a logarithmic axis for positive losses
            whose largest is at least ten times the smallest.
        **line_kw
            Options of ``matplotlib``'s ``plot``, for every line.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        TypeError
            If `estimator` holds no autoencoder.
        ValueError
            If the autoencoder was not trained for an epoch.
        """
        check_is_fitted(estimator)
        autoencoder = _pipelines.find_estimator(
            estimator, lambda step: hasattr(step, "history_")
        )
        if autoencoder is None:
            raise TypeError(
                f"{type(estimator).__name__} holds no fitted autoencoder of "
                "sk_autoencoder, whose history_ could be drawn."
            )
        display = cls(
            _curves(autoencoder.history_, "train_"),
            _curves(autoencoder.history_, "valid_") or None,
            best_epoch=autoencoder.best_epoch_,
            steps=_steps(autoencoder.history_),
            estimator_name=type(autoencoder).__name__ if name is None else name,
        )
        return display.plot(ax=ax, yscale=yscale, **line_kw)

    def plot(self, ax=None, *, name=None, yscale="auto", **line_kw):
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.
        yscale : {"auto", "linear", "log"}, default="auto"
            Scale of the losses. ``"auto"`` takes a logarithmic axis for positive losses
            whose largest is at least ten times the smallest.
        **line_kw
            Options of ``matplotlib``'s ``plot``, for every line.

        Returns
        -------
        display : LossCurveDisplay
        """
        if not self.train or not len(self.train["loss"]):
            raise ValueError(
                "There is nothing to draw: no epoch was run, for max_epochs=0, in a "
                "wrapper that keeps PCA, or with fine_tune=False, where a "
                "StackedAutoencoder has its curves in layers_."
            )
        self.ax_ = ax = drawing.make_axes(ax, (7.4, 4))
        self.figure_ = ax.figure
        names = _plotted_terms(self.train)
        colours = dict(zip(names, ["black", *drawing.colours(len(names))], strict=False))
        self.lines_ = self._plot_terms(self.train, "training", colours, "-", line_kw)
        self.lines_ += self._plot_terms(
            self.valid or {}, "held out", colours, "--", line_kw
        )
        self.best_line_ = None
        if self.valid and self.best_epoch is not None:
            best = self._positions(self.best_epoch)[-1] if self.best_epoch else 0
            label = f"best {self._unit}, {best}" if self.best_epoch else "best: start"
            self.best_line_ = ax.axvline(
                best, color=drawing.GREY, linestyle=":", label=label
            )
        ax.set(ylabel="loss, mean over rows", yscale=self._scale(yscale))
        ax.set_xlabel(self._unit)
        if ax.get_yscale() == "log":
            drawing.use_plain_tick_labels(ax.yaxis)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_title(self.estimator_name if name is None else name)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return self

    def _plot_terms(
        self, curves, kind: str, colours: dict, style: str, line_kw: dict
    ) -> list:
        lines = []
        for name in _plotted_terms(curves):
            ends = self._positions(len(curves[name]))
            options = {"color": colours.get(name), "linestyle": style}
            options |= {"marker": "."} if len(ends) == 1 else {}
            label = f"{name}, {kind}"
            lines += self.ax_.plot(ends, curves[name], label=label, **options | line_kw)
        return lines

    @property
    def _unit(self) -> str:
        return "epoch" if self.steps is None else "step"

    def _positions(self, n_epochs: int) -> np.ndarray:
        """Compute where the first epochs end on the axis."""
        steps = np.ones(n_epochs, dtype=int) if self.steps is None else self.steps
        return np.cumsum(steps[:n_epochs])

    def _scale(self, yscale: str) -> str:
        if yscale != "auto":
            return yscale
        values = np.concatenate([line.get_ydata() for line in self.lines_])
        is_wide = values.min() > 0 and values.max() >= MIN_LOG_RATIO * values.min()
        return "log" if is_wide else "linear"


def _curves(history: Sequence[Mapping], prefix: str) -> dict[str, list[float]]:
    """Collect the curves whose names begin with `prefix`, by name without the prefix."""
    recorded = dict.fromkeys(name for epoch in history for name in epoch)
    return {
        name.removeprefix(prefix): read_curve(history, name)
        for name in recorded
        if name.startswith(prefix)
    }


def _steps(history: Sequence[Mapping]) -> list[int] | None:
    """List the steps of each epoch; None if epochs are passes, or are not known to be."""
    is_pass = all(epoch.get("passes", 1.0) == 1.0 for epoch in history)
    return None if is_pass else read_curve(history, "steps")


def _plotted_terms(curves: Mapping[str, Sequence[float]]) -> list[str]:
    """List the terms to plot, after their sum if there are several."""
    terms = [name for name in curves if name != "loss" and np.any(curves[name])]
    return terms if len(terms) == 1 else ["loss", *terms] if curves else []
