"""The picture of a decoder: what rows become along each component of the code."""

from math import ceil

import numpy as np
from scipy.stats import norm
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.utils import _pipelines as _reaching

LOW, HIGH = 0.02, 0.98  # quantiles of a component between which it is moved
SHADE = 0.005  # of the pixels that are drawn as black, and as white
N_STEPS, N_STEPS_PLANE = 9, 15
PRIOR_ROWS = 10_001  # that stand for a prior
MOST_STRIPS, MOST_PANELS, MOST_LINES = 10, 6, 6  # components of images, of tables; features


class TraversalDisplay:
    """Rows that are decoded while one component of the code moves and the others rest.

    Made by :meth:`from_estimator`. Images of one component stand side by side; two
    components of images make a plane, the manifold of a variational autoencoder; features
    of a table are lines.

    Parameters
    ----------
    rows : ndarray of shape (n_shown, n_steps, n_features)
        Decoded rows of each component shown, or for ``kind="plane"`` of each value of the
        second component (along the first axis) and of the first.
    values : ndarray of shape (n_shown, n_steps)
        What each component was set to, or for ``kind="plane"`` the first and the second.
    components : sequence of int
        The components shown.
    kind : {"lines", "strips", "plane"}
        Lines of features, strips of images, or a plane of images.
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(height, width, n_channels)`` if rows are images.
    feature_names : sequence of str or None, default=None
        What features are called.
    center, scale : ndarray of shape (n_features,) or None, default=None
        Mean and standard deviation of each feature, in whose units lines are drawn; None
        draws them in the units of X.
    estimator_name : str or None, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first axes.
    axes_ : ndarray of matplotlib Axes
        All axes: one, or one a component for lines.
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage or None
        The images; None for tables.

    References
    ----------
    D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014, figure 4.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_autoencoder import TraversalDisplay, VAETransformer
    >>> X = load_iris(as_frame=True).data
    >>> vae = VAETransformer(2, max_epochs=5, random_state=0).fit(X)
    >>> display = TraversalDisplay.from_estimator(vae, X)
    >>> len(display.axes_), display.rows.shape
    (2, (2, 9, 4))
    """

    def __init__(
        self,
        rows,
        values,
        components,
        *,
        kind,
        image_shape=None,
        feature_names=None,
        center=None,
        scale=None,
        estimator_name=None,
    ) -> None:
        self.rows = rows
        self.values = values
        self.components = components
        self.kind = kind
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.center = center
        self.scale = scale
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X=None,
        *,
        kind="auto",
        components=None,
        n_steps=None,
        image_shape=None,
        ax=None,
        name=None,
        **kwargs,
    ):
        """Decode along components of the code, and draw what comes of it.

        Parameters
        ----------
        estimator : estimator
            Fitted: an autoencoder, PCA or another estimator with ``inverse_transform``, or
            a pipeline, a search or a wrapper that holds one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows whose codes say where to go: each component moves between its 2 % and 98 %
            quantiles, in equal shares of the rows, while the others rest at their medians.
            None is for a :class:`~sk_autoencoder.VAETransformer`: quantiles of its prior,
            the standard normal distribution.
        kind : {"auto", "lines", "strips", "plane"}, default="auto"
            Lines of features, strips of images, or a plane of images over two components.
            ``"auto"`` takes lines for tables, and for images a plane where there are two
            components.
        components : sequence of int or None, default=None
            The components to show. None takes those that change rows most, the first one
            most of all: at most 10 of images, 6 of tables, and 2 for a plane.
        n_steps : int or None, default=None
            Values of each component; None takes 9, and 15 for a plane.
        image_shape : tuple of int or None, default=None
            ``(height, width)`` or ``(height, width, n_channels)`` if rows are images. None
            takes that of a convolutional network, and otherwise X for a table.
        ax : matplotlib Axes or None, default=None
            Where to draw, divided for lines; None makes a figure.
        name : str or None, default=None
            Title; None takes the name of the class.
        **kwargs
            Passed on to ``matplotlib``'s ``imshow`` or ``plot``.

        Returns
        -------
        display : TraversalDisplay

        Raises
        ------
        TypeError
            If `estimator` has no ``inverse_transform``.
        ValueError
            If X is None and codes have no known distribution, or `kind` or `components`
            do not fit.
        """
        check_is_fitted(estimator)
        codes = _codes_of(estimator, X)
        middle = np.median(codes, axis=0)
        width = _reaching.decode(estimator, middle[None]).shape[1]
        shape, reorder = drawing.find_images(estimator, image_shape, width)
        kind = _find_kind(kind, shape, components, codes.shape[1])
        n_steps = n_steps or (N_STEPS_PLANE if kind == "plane" else N_STEPS)
        values = np.array([_steps(column, n_steps) for column in codes.T])

        def decode(codes: np.ndarray) -> np.ndarray:
            rows = _reaching.decode(estimator, codes.reshape(-1, codes.shape[-1]))
            return reorder(np.asarray(rows)).reshape(*codes.shape[:-1], width)

        center, scale = _moments(X) if shape is None else (None, None)
        chosen = components
        if components is None:
            chosen = _most_telling(decode, middle, values, scale, kind)
        path = _plane if kind == "plane" else _paths
        display = cls(
            decode(path(middle, values, chosen)),
            values[list(chosen)],
            chosen,
            kind=kind,
            image_shape=shape,
            feature_names=drawing.name_features(X, estimator, width),
            center=center,
            scale=scale,
            estimator_name=drawing.name_of(estimator) if name is None else name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw, divided for lines; None makes a figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.
        **kwargs
            Passed on to ``matplotlib``'s ``imshow`` or ``plot``.

        Returns
        -------
        display : TraversalDisplay
        """
        name = self.estimator_name if name is None else name
        self.image_ = None
        if self.kind == "lines":
            self._plot_lines(ax, name, kwargs)
        else:
            self._plot_images(ax, name, kwargs)
        self.ax_ = self.axes_[0]
        return self

    def _plot_images(self, ax, name: str | None, kwargs: dict) -> None:
        is_plane = self.kind == "plane"
        rows = self.rows[::-1] if is_plane else self.rows  # large values on top
        n_rows, n_columns = rows.shape[:2]
        cell = min(0.7, 9 / n_columns)
        height = n_rows * cell * self.image_shape[0] / self.image_shape[1]
        ax = drawing.make_axes(ax, (n_columns * cell + 1.2, height + 0.9))
        limits = tuple(np.quantile(rows, [SHADE, 1 - SHADE]))
        self.image_, (down, across) = drawing.draw_images(
            ax, rows, self.image_shape, limits, **kwargs
        )
        ax.set_title(name)
        self.axes_, self.figure_ = np.array([ax]), ax.figure
        if is_plane:
            _mark(ax.set_xticks, across, self.values[0])
            _mark(ax.set_yticks, down, self.values[1][::-1])
            first, second = self.components
            ax.set(xlabel=f"component {first}", ylabel=f"component {second}")
        else:
            ax.set_yticks(down, [f"component {j}" for j in self.components])
            ax.set_xticks(across[[0, -1]], ["low", "high"])

    def _plot_lines(self, ax, name: str | None, kwargs: dict) -> None:
        rows = self.rows
        if self.scale is not None:
            rows = (rows - self.center) / self.scale
        change = np.ptp(rows, axis=1).max(axis=0)  # (n_features,)
        shown = drawing.largest(change, MOST_LINES)
        n_columns = 2 if len(rows) == 4 else min(len(rows), 3)
        n_rows = ceil(len(rows) / n_columns)
        size = (2.6 * n_columns + 2.4, 2.4 * n_rows + 0.6)
        self.figure_, grid = drawing.make_grid(ax, n_rows, n_columns, size)
        axes: list = []
        for i, (values, curves, j) in enumerate(
            zip(self.values, rows, self.components, strict=True)
        ):
            share = {"sharey": axes[0]} if axes else {}
            panel = self.figure_.add_subplot(grid[divmod(i, n_columns)], **share)
            self._plot_panel(panel, values, curves, shown, kwargs)
            panel.set_xlabel(f"component {j}")
            panel.tick_params(labelleft=i % n_columns == 0)
            axes.append(panel)
        self.axes_ = np.array(axes)
        unit = "units of X" if self.scale is None else "standard deviations"
        for panel in axes[::n_columns]:
            panel.set_ylabel(unit)
        axes[0].set_title(name, loc="left")
        axes[n_columns - 1].legend(loc="upper left", bbox_to_anchor=(1, 1))

    def _plot_panel(self, panel, values, curves, shown, kwargs: dict) -> None:
        others = np.setdiff1d(np.arange(curves.shape[1]), shown)
        if len(others):
            lines = panel.plot(values, curves[:, others], color="0.85", linewidth=0.8)
            lines[0].set_label(f"{len(others)} others")
        names = drawing.given_names(self.feature_names, curves.shape[1])
        for j, colour in zip(shown, drawing.colours(len(shown)), strict=True):
            label = str(names[j])
            panel.plot(values, curves[:, j], **{"color": colour, "label": label} | kwargs)


def _codes_of(estimator, X) -> np.ndarray:
    """Return codes whose quantiles say where to go."""
    if X is not None:
        codes = _reaching.encode(estimator, X, *_reaching.CODE_METHODS)
        return drawing.dense(codes)
    _, last = _reaching.split_pipeline(estimator, *_reaching.CODE_METHODS)
    if not hasattr(last, "transform_distribution"):
        raise ValueError(
            f"X=None is for a VAETransformer, whose codes have a known distribution; those "
            f"of {type(last).__name__} have none. Give rows as X."
        )
    drawn = norm.ppf((np.arange(PRIOR_ROWS) + 0.5) / PRIOR_ROWS)  # as even as can be
    return np.tile(drawn[:, None], last.n_components_)


def _find_kind(kind: str, shape, components, n_components: int) -> str:
    kinds = ("auto", "lines", "strips", "plane")
    if kind not in kinds:
        raise ValueError(f"kind={kind!r} has to be one of {kinds}.")
    n_shown = n_components if components is None else len(components)
    if components is not None and not all(0 <= j < n_components for j in components):
        raise ValueError(
            f"components={components!r} has to hold numbers from 0 to {n_components - 1}."
        )
    if kind == "auto":
        return "lines" if shape is None else "plane" if n_shown == 2 else "strips"
    if kind != "lines" and shape is None:
        raise ValueError(f"kind={kind!r} draws images. Give their image_shape.")
    if kind == "plane" and (n_components < 2 or (n_shown != 2 and components is not None)):
        raise ValueError(
            f"kind='plane' is for two components, and components={components!r} of "
            f"{n_components}. Use kind='strips'."
        )
    return kind


def _steps(column: np.ndarray, n_steps: int) -> np.ndarray:
    """Return values at equal shares of the rows, or of the range where most are equal."""
    found = np.quantile(column, np.linspace(LOW, HIGH, n_steps))
    if found[0] == found[-1]:
        return np.linspace(column.min(), column.max(), n_steps)
    return found


def _moments(X) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return mean and standard deviation of each column of X, if there are rows."""
    if X is None:
        return None, None
    rows = drawing.dense(X).astype(np.float64)
    std = np.nanstd(rows, axis=0)
    return np.nanmean(rows, axis=0), np.where(std == 0, 1, std)


def _paths(middle: np.ndarray, values: np.ndarray, components) -> np.ndarray:
    """Return codes (n_shown, n_steps, n_components), of which one component moves."""
    codes = np.tile(middle, (len(components), values.shape[1], 1))
    for path, j in zip(codes, components, strict=True):
        path[:, j] = values[j]
    return codes


def _plane(middle: np.ndarray, values: np.ndarray, components) -> np.ndarray:
    """Return codes (n_steps, n_steps, n_components) over the plane of two components."""
    first, second = components
    codes = np.tile(middle, (values.shape[1], values.shape[1], 1))
    codes[..., first] = values[first]
    codes[..., second] = values[second][:, None]
    return codes


def _most_telling(decode, middle, values, scale, kind: str) -> np.ndarray:
    """Return the components whose ends differ most."""
    n_shown = {"plane": 2, "lines": MOST_PANELS, "strips": MOST_STRIPS}[kind]
    ends = decode(_paths(middle, values[:, [0, -1]], range(len(middle))))
    change = (ends[:, 1] - ends[:, 0]) / (1 if scale is None else scale)
    chosen = drawing.largest(np.square(change).sum(axis=1), n_shown)
    return np.sort(chosen) if kind == "plane" else chosen


def _mark(set_ticks, places: np.ndarray, values: np.ndarray) -> None:
    """Label the ends and the middle of an axis of images."""
    shown = [0, len(places) // 2, len(places) - 1]
    set_ticks(places[shown], [f"{values[i]:.2g}" for i in shown])
