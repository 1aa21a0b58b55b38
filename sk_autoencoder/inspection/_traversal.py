"""Plots of traversals: decoded rows along each component of the code."""

from math import ceil

import numpy as np
from scipy.stats import norm
from sklearn.utils.validation import check_is_fitted

from sk_autoencoder.inspection import _drawing as drawing
from sk_autoencoder.preprocessing import fit_if_table
from sk_autoencoder.utils import _pipelines

LOW_QUANTILE, HIGH_QUANTILE = 0.02, 0.98  # of a component: the ends of its traversal
SATURATED_FRACTION = 0.005  # of the pixels that are black, and as many that are white
N_TRAVERSAL_STEPS, N_PLANE_STEPS = 9, 15  # values of a component
N_PRIOR_CODES = 10_001  # quantiles of the prior, in place of codes of rows
N_SHOWN = {"plane": 2, "lines": 6, "strips": 10}  # components
MAX_PLOTTED_LINES = 6  # features of a table that have a colour


class TraversalDisplay:
    """Plot of traversals: rows decoded while one component of the code varies.

    Use :meth:`from_estimator` to make one. For images, a component is a strip of images,
    and two components are a plane of images, as in the reference. For tables, each feature
    is a line.

    Parameters
    ----------
    rows : ndarray of shape (n_shown, n_steps, n_features)
        Decoded rows of each component and step. For ``kind="plane"`` the first axis is the
        value of the second component, and the second axis that of the first.
    values : ndarray of shape (n_shown, n_steps)
        Values of each component, or of the two components for ``kind="plane"``.
    components : sequence of int
        The components that are shown.
    kind : {"lines", "strips", "plane"}
        Lines of features, strips of images, or a plane of images.
    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(height, width, n_channels)`` if rows are images.
    feature_names : sequence of str or None, default=None
        Names of the features.
    center, scale : ndarray of shape (n_features,) or None, default=None
        Mean and standard deviation of each feature, which standardise the lines. None
        keeps the units of X.
    estimator_name : str or None, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The first axes.
    axes_ : ndarray of matplotlib Axes
        All axes: one a component for lines, otherwise a single one.
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
        """Decode codes along each component, and plot the decoded rows.

        Parameters
        ----------
        estimator : estimator
            A fitted autoencoder, PCA or another estimator with ``inverse_transform``, or a
            pipeline, a search or a wrapper that holds one.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows whose codes set the range of the traversal: each component takes evenly
            spaced quantiles from 2 % to 98 %, while the others stay at their medians. None
            takes the quantiles of the prior of a :class:`~sk_autoencoder.VAETransformer`.
        kind : {"auto", "lines", "strips", "plane"}, default="auto"
            Lines of features, strips of images, or a plane of images over two components.
            ``"auto"`` takes lines for tables, a plane for images with two components, and
            strips otherwise.
        components : sequence of int or None, default=None
            The components to show. None takes the first of components in order, and of
            others those that change the decoded rows most, in descending order: 10 or fewer
            for images, 6 for tables and 2 for a plane.
        n_steps : int or None, default=None
            Number of values of each component; None takes 9, or 15 for a plane.
        image_shape : tuple of int or None, default=None
            ``(height, width)`` or ``(height, width, n_channels)`` if rows are images. None
            takes the shape from a convolutional network; otherwise rows are a table.
        ax : matplotlib Axes or None, default=None
            The axes to draw in, divided for lines; None makes a figure.
        name : str or None, default=None
            Title; None takes the name of the estimator's class.
        **kwargs
            Options of ``matplotlib``'s ``imshow`` or ``plot``.

        Returns
        -------
        display : TraversalDisplay

        Raises
        ------
        TypeError
            If `estimator` has no ``inverse_transform``.
        ValueError
            If X is None and the codes have no known distribution, or if `kind` or
            `components` is invalid.
        """
        check_is_fitted(estimator)
        codes = _get_codes(estimator, X)
        median = np.median(codes, axis=0)
        encoder = fit_if_table(X) or drawing.find_table(estimator)

        def decode_rows(codes: np.ndarray) -> np.ndarray:
            rows = _pipelines.decode(estimator, codes)
            return np.asarray(rows) if encoder is None else encoder.transform(rows)

        width = decode_rows(median[None]).shape[1]
        shape, reorder = drawing.find_images(estimator, image_shape, width)
        kind = _find_kind(kind, shape, components, codes.shape[1])
        n_steps = n_steps or (N_PLANE_STEPS if kind == "plane" else N_TRAVERSAL_STEPS)
        values = np.array([_quantiles(column, n_steps) for column in codes.T])

        def decode(codes: np.ndarray) -> np.ndarray:
            rows = decode_rows(codes.reshape(-1, codes.shape[-1]))
            return reorder(rows).reshape(*codes.shape[:-1], width)

        names = drawing.name_features(X, estimator, width)
        if encoder is not None:
            names = encoder.get_feature_names_out()
        center, scale = None, None
        if shape is None:
            is_table = encoder is not None and X is not None
            center, scale = _moments(encoder.transform(X) if is_table else X)
        is_ordered = _pipelines.find_ordered(estimator) is not None
        if components is None and is_ordered:
            components = np.arange(min(N_SHOWN[kind], codes.shape[1]))
        elif components is None:
            components = _select_components(decode, median, values, scale, kind)
        make_codes = _plane_codes if kind == "plane" else _line_codes
        display = cls(
            decode(make_codes(median, values, components)),
            values[list(components)],
            components,
            kind=kind,
            image_shape=shape,
            feature_names=names,
            center=center,
            scale=scale,
            estimator_name=drawing.class_name(estimator) if name is None else name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Plot the decoded rows.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            The axes to draw in, divided for lines; None makes a figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.
        **kwargs
            Options of ``matplotlib``'s ``imshow`` or ``plot``.

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
        size = min(0.7, 9 / n_columns)  # width of an image in inches
        height = n_rows * size * self.image_shape[0] / self.image_shape[1]
        ax = drawing.make_axes(ax, (n_columns * size + 1.2, height + 0.9))
        limits = tuple(np.quantile(rows, [SATURATED_FRACTION, 1 - SATURATED_FRACTION]))
        self.image_, (y_centres, x_centres) = drawing.draw_images(
            ax, rows, self.image_shape, limits, **kwargs
        )
        ax.set_title(name)
        self.axes_, self.figure_ = np.array([ax]), ax.figure
        if is_plane:
            _label_ticks(ax.set_xticks, x_centres, self.values[0])
            _label_ticks(ax.set_yticks, y_centres, self.values[1][::-1])
            first, second = self.components
            ax.set(xlabel=f"component {first}", ylabel=f"component {second}")
        else:
            ax.set_yticks(y_centres, [f"component {j}" for j in self.components])
            ax.set_xticks(x_centres[[0, -1]], ["low", "high"])

    def _plot_lines(self, ax, name: str | None, kwargs: dict) -> None:
        rows = self.rows
        if self.scale is not None:
            rows = (rows - self.center) / self.scale
        change = np.ptp(rows, axis=1).max(axis=0)  # (n_features,)
        shown = drawing.argmax_n(change, MAX_PLOTTED_LINES)
        n_columns = 2 if len(rows) == 4 else min(len(rows), 3)
        n_rows = ceil(len(rows) / n_columns)
        size = (2.6 * n_columns + 2.4, 2.4 * n_rows + 0.6)
        self.figure_, grid = drawing.make_grid(ax, n_rows, n_columns, size)
        axes: list = []
        for i, (values, curves, j) in enumerate(
            zip(self.values, rows, self.components, strict=True)
        ):
            options = {"sharey": axes[0]} if axes else {}
            panel = self.figure_.add_subplot(grid[divmod(i, n_columns)], **options)
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
        grey = np.setdiff1d(np.arange(curves.shape[1]), shown)
        if len(grey):
            lines = panel.plot(values, curves[:, grey], color="0.85", linewidth=0.8)
            lines[0].set_label(f"{len(grey)} others")
        names = drawing.names_or_numbers(self.feature_names, curves.shape[1])
        for j, colour in zip(shown, drawing.colours(len(shown)), strict=True):
            label = str(names[j])
            panel.plot(values, curves[:, j], **{"color": colour, "label": label} | kwargs)


def _get_codes(estimator, X) -> np.ndarray:
    """Encode X, or take quantiles of the prior if X is None."""
    if X is not None:
        codes = _pipelines.encode(estimator, X, *_pipelines.CODE_METHODS)
        return drawing.dense(codes)
    _, last = _pipelines.split_pipeline(estimator, *_pipelines.CODE_METHODS)
    if not hasattr(last, "transform_distribution"):
        raise ValueError(
            f"X=None is for a VAETransformer, whose codes have a known distribution; those "
            f"of {type(last).__name__} have none. Give rows as X."
        )
    # Quantiles at evenly spaced levels have less noise than random draws.
    column = norm.ppf((np.arange(N_PRIOR_CODES) + 0.5) / N_PRIOR_CODES)
    return np.tile(column[:, None], last.n_components_)


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


def _quantiles(column: np.ndarray, n_steps: int) -> np.ndarray:
    """Compute evenly spaced quantiles, or values of the range if those are all equal."""
    values = np.quantile(column, np.linspace(LOW_QUANTILE, HIGH_QUANTILE, n_steps))
    if values[0] == values[-1]:
        return np.linspace(column.min(), column.max(), n_steps)
    return values


def _moments(X) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Compute mean and standard deviation of each column of X; None if X is None."""
    if X is None:
        return None, None
    rows = drawing.dense(X).astype(np.float64)
    std = np.nanstd(rows, axis=0)
    return np.nanmean(rows, axis=0), np.where(std == 0, 1, std)


def _line_codes(median: np.ndarray, values: np.ndarray, components) -> np.ndarray:
    """Make codes (n_shown, n_steps, n_components) in which one component varies."""
    codes = np.tile(median, (len(components), values.shape[1], 1))
    for line, j in zip(codes, components, strict=True):
        line[:, j] = values[j]
    return codes


def _plane_codes(median: np.ndarray, values: np.ndarray, components) -> np.ndarray:
    """Make codes (n_steps, n_steps, n_components) on the grid of two components."""
    first, second = components
    codes = np.tile(median, (values.shape[1], values.shape[1], 1))
    codes[..., first] = values[first]
    codes[..., second] = values[second][:, None]
    return codes


def _select_components(decode, median, values, scale, kind: str) -> np.ndarray:
    """Select the components whose ends differ most after decoding."""
    ends = decode(_line_codes(median, values[:, [0, -1]], range(len(median))))
    change = (ends[:, 1] - ends[:, 0]) / (1 if scale is None else scale)
    components = drawing.argmax_n(np.square(change).sum(axis=1), N_SHOWN[kind])
    return np.sort(components) if kind == "plane" else components


def _label_ticks(set_ticks, centres: np.ndarray, values: np.ndarray) -> None:
    """Label the ends and the middle of an axis of images."""
    shown = [0, len(centres) // 2, len(centres) - 1]
    set_ticks(centres[shown], [f"{values[i]:.2g}" for i in shown])
