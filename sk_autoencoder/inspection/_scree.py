"""Plot of the variance that components explain."""

from collections.abc import Sequence

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.utils import _pipelines


class ScreeDisplay:
    """Plot of the share of the variance that each component explains, and of their sum.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    explained_variance_ratio : array-like of shape (n_components,)
        Share of the variance that each component adds to those before it.
    estimator_name : str or None, default=None
        Label of the curves.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The share that the first components explain together.
    share_line_ : matplotlib Line2D
        The share of each component.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sk_autoencoder import AutoencoderTransformer, ScreeDisplay
    >>> X = load_digits().data
    >>> ours = AutoencoderTransformer(4, ordered=True, max_epochs=10, random_state=0)
    >>> display = ScreeDisplay.from_estimator(ours.fit(X))
    >>> beside = ScreeDisplay.from_estimator(PCA(4).fit(X), ax=display.ax_)
    >>> bool((display.line_.get_ydata() > beside.line_.get_ydata()).all())
    True
    """

    def __init__(
        self,
        explained_variance_ratio: Sequence[float],
        *,
        estimator_name: str | None = None,
    ) -> None:
        self.explained_variance_ratio = explained_variance_ratio
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, **line_kw):
        """Plot the shares of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            An autoencoder that was fitted with ``ordered=True``, PCA, or a pipeline or a
            search that holds one.
        ax : matplotlib Axes or None, default=None
            The axes to draw in, such as those of another estimator; None makes a figure.
        name : str or None, default=None
            Label; None takes the name of the estimator's class.
        **line_kw
            Options of ``matplotlib``'s ``plot``, for both lines.

        Returns
        -------
        display : ScreeDisplay

        Raises
        ------
        TypeError
            If `estimator` holds nothing that explains shares of the variance.
        """
        check_is_fitted(estimator)
        ordered = _pipelines.find_ordered(estimator)
        if ordered is None:
            raise TypeError(
                f"{type(estimator).__name__} holds no step with "
                "explained_variance_ratio_. Fit an autoencoder with ordered=True."
            )
        name = type(ordered).__name__ if name is None else name
        display = cls(ordered.explained_variance_ratio_, estimator_name=name)
        return display.plot(ax=ax, **line_kw)

    def plot(self, ax=None, *, name=None, **line_kw):
        """Plot the shares.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in; None makes a figure.
        name : str or None, default=None
            Label; None takes `estimator_name`.
        **line_kw
            Options of ``matplotlib``'s ``plot``, for both lines.

        Returns
        -------
        display : ScreeDisplay
        """
        self.ax_ = ax = drawing.make_axes(ax, (6, 4))
        self.figure_ = ax.figure
        shares = np.asarray(self.explained_variance_ratio, dtype=float)
        numbers = np.arange(1, len(shares) + 1)
        label = (self.estimator_name if name is None else name) or "components"
        (self.line_,) = ax.plot(
            numbers, np.cumsum(shares), **{"marker": "o", "label": label, **line_kw}
        )
        options = {"color": self.line_.get_color(), "linestyle": ":", "marker": "."}
        options["label"] = f"{label}, each"
        (self.share_line_,) = ax.plot(numbers, shares, **options)
        ax.set(xlabel="components", ylabel="share of the variance")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        return self
