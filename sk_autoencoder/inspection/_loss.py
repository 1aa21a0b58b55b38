"""The picture of training: each term of the loss, epoch by epoch."""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.utils import _pipelines as _reaching

DECADE = 10  # span of positive losses from which their axis is logarithmic


class LossCurveDisplay:
    """Terms of the loss of training and held-out rows, and the epoch that was kept.

    Made by :meth:`from_estimator`.

    Parameters
    ----------
    train : dict of {str: sequence of float}
        Terms of the training loss after each epoch, and their sum as ``"loss"``.
    valid : dict of {str: sequence of float} or None, default=None
        The same of the rows that were held out, if any.
    best_epoch : int or None, default=None
        Epoch whose weights were kept; 0 is the start.
    estimator_name : str or None, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        One for each term of the training rows, then one for each of the held-out rows.
        Terms that are 0 in all epochs are left out, and so is the sum of a single term.
    best_line_ : matplotlib Line2D or None
        Marks the best epoch; None where nothing was held out.

    Notes
    -----
    Training losses have the noise that rows are given while training, and are means over
    an epoch; held-out ones have none, and are taken behind it. So held-out losses may be
    the lower ones.

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
        estimator_name: str | None = None,
    ) -> None:
        self.train = train
        self.valid = valid
        self.best_epoch = best_epoch
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, yscale="auto", **line_kw):
        """Draw what an autoencoder recorded while it was fitted.

        Parameters
        ----------
        estimator : estimator
            A fitted autoencoder, or a pipeline, a search or a wrapper that holds one. Of an
            ensemble the means over members are drawn.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            Title; None takes the name of the class.
        yscale : {"auto", "linear", "log"}, default="auto"
            ``"auto"`` takes a logarithmic axis for positive losses that span a decade.
        **line_kw
            Passed on to ``matplotlib``'s ``plot`` for every line.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        TypeError
            If there is no autoencoder in `estimator`.
        ValueError
            If it was not trained for a single epoch.
        """
        check_is_fitted(estimator)
        found = _reaching.find_estimator(estimator, lambda part: hasattr(part, "history_"))
        if found is None:
            raise TypeError(
                f"{type(estimator).__name__} holds no fitted autoencoder of "
                "sk_autoencoder, whose history_ could be drawn."
            )
        display = cls(
            _curves(found.net_, "train_"),
            _curves(found.net_, "valid_") or None,
            best_epoch=found.best_epoch_,
            estimator_name=type(found).__name__ if name is None else name,
        )
        return display.plot(ax=ax, yscale=yscale, **line_kw)

    def plot(self, ax=None, *, name=None, yscale="auto", **line_kw):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.
        yscale : {"auto", "linear", "log"}, default="auto"
            ``"auto"`` takes a logarithmic axis for positive losses that span a decade.
        **line_kw
            Passed on to ``matplotlib``'s ``plot`` for every line.

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
        names = _drawn(self.train)
        shades = dict(zip(names, ["black", *drawing.colours(len(names))], strict=False))
        self.lines_ = self._draw(self.train, "training", shades, "-", line_kw)
        self.lines_ += self._draw(self.valid or {}, "held out", shades, "--", line_kw)
        self.best_line_ = None
        if self.valid and self.best_epoch is not None:
            label = f"best epoch, {self.best_epoch}" if self.best_epoch else "best: start"
            self.best_line_ = ax.axvline(
                self.best_epoch, color=drawing.GREY, linestyle=":", label=label
            )
        ax.set(xlabel="epoch", ylabel="loss, mean over rows", yscale=self._scale(yscale))
        if ax.get_yscale() == "log":
            drawing.write_plainly(ax.yaxis)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_title(self.estimator_name if name is None else name)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return self

    def _draw(self, curves, kind: str, shades: dict, style: str, line_kw: dict) -> list:
        lines = []
        for name in _drawn(curves):
            epochs = np.arange(1, len(curves[name]) + 1)
            options = {"color": shades.get(name), "linestyle": style}
            options |= {"marker": "."} if len(epochs) == 1 else {}
            label = f"{name}, {kind}"
            lines += self.ax_.plot(epochs, curves[name], label=label, **options | line_kw)
        return lines

    def _scale(self, yscale: str) -> str:
        if yscale != "auto":
            return yscale
        values = np.concatenate([line.get_ydata() for line in self.lines_])
        is_wide = values.min() > 0 and values.max() >= DECADE * values.min()
        return "log" if is_wide else "linear"


def _curves(net, prefix: str) -> dict[str, list[float]]:
    """Return what was recorded under names that begin with `prefix`, without it."""
    recorded = dict.fromkeys(name for epoch in net.history for name in epoch)
    names = [name for name in recorded if name.startswith(prefix)]
    return {name.removeprefix(prefix): net.curve(name) for name in names}


def _drawn(curves: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the terms to draw, their sum first if there are several."""
    terms = [name for name in curves if name != "loss" and np.any(curves[name])]
    return terms if len(terms) == 1 else ["loss", *terms] if curves else []
