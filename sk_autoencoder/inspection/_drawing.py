"""Helpers of the displays: axes, colours, feature names, labels of rows, images."""

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from sk_autoencoder.nn._convolutional import Convolutional
from sk_autoencoder.utils import _pipelines
from sk_autoencoder.utils._checks import check_image_shape
from sk_autoencoder.utils._optional import require

MAX_NUMERIC_CLASSES = 20  # more distinct numbers are a colour scale
GREY = "0.6"
PETROFF = "3f90da ffa90e bd1f01 94a4a2 832db6 a96b59 e76300 b9ac70 717581 92dadd"
COLOURS = [f"#{colour}" for colour in PETROFF.split()]  # matplotlib 3.10: "petroff10"


def pyplot():
    """Import ``matplotlib.pyplot``, or raise an ImportError that names the extra."""
    return require("matplotlib.pyplot", extra="plot", purpose="Drawing")


def make_axes(ax=None, figsize: tuple[float, float] | None = None):
    """Make the axes of a new figure if `ax` is None."""
    plt = pyplot()
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax


def make_grid(ax, n_rows: int, n_columns: int, figsize: tuple[float, float], **options):
    """Make a figure with a grid of axes, or divide `ax` into a grid."""
    plt = pyplot()
    if ax is None:
        figure = plt.figure(figsize=figsize, layout="constrained")
        return figure, figure.add_gridspec(n_rows, n_columns, **options)
    subplot = ax.get_subplotspec()
    if subplot is None:
        raise ValueError(
            "This picture has several axes, and ax is none of a grid, which could be "
            "divided. Make it by plt.subplots() or figure.add_subplot()."
        )
    ax.set_axis_off()
    return ax.figure, subplot.subgridspec(n_rows, n_columns, **options)


def use_plain_tick_labels(axis) -> None:
    """Label a logarithmic axis with numbers instead of powers of ten."""
    from matplotlib import ticker

    axis.set_major_formatter(ticker.FuncFormatter(_format_tick))
    axis.set_minor_formatter(ticker.FuncFormatter(_format_tick))


def _format_tick(value: float, position: int | None) -> str:
    """Format 1, 2 or 5 times a power of ten; other ticks have no label."""
    text = f"{value:g}"
    return text if text.strip("0.")[:1] in "125" and len(text.strip("0.")) == 1 else ""


def colours(n: int) -> list[str]:
    """List `n` colours, of which ten are distinct, also for the colour-blind."""
    return [COLOURS[i % len(COLOURS)] for i in range(n)]


def as_rows(X):
    """Convert a list to an array; X with a shape stays as it is."""
    return X if hasattr(X, "shape") else np.asarray(X)


def dense(rows) -> np.ndarray:
    """Convert rows, dense or sparse, to an array."""
    return rows.toarray() if issparse(rows) else np.asarray(rows)


def find_table(estimator):
    """Find the encoder of an autoencoder that was fitted to a table; None without one."""

    def has_table(candidate) -> bool:
        return getattr(candidate, "table_", None) is not None

    fitted = _pipelines.find_estimator(estimator, has_table)
    return None if fitted is None else fitted.table_


def name_features(X, estimator, n_features: int) -> np.ndarray:
    """Name the features by the columns of X, or by those seen in ``fit``."""
    names = getattr(X, "columns", getattr(estimator, "feature_names_in_", ()))
    return names_or_numbers(names if len(names) == n_features else None, n_features)


def names_or_numbers(names, n_features: int) -> np.ndarray:
    """Convert `names` to an array; None numbers the features."""
    if names is None:
        names = [f"feature {j}" for j in range(n_features)]
    return np.asarray(names, dtype=object)


def class_name(estimator, method: str = "transform") -> str:
    """Name the class of `estimator`, or of a pipeline's last step with `method`."""
    inner = getattr(estimator, "best_estimator_", estimator)
    steps = [step for _, step in getattr(inner, "steps", ())]
    candidates = [step for step in steps if hasattr(step, method)] or steps
    return class_name(candidates[-1], method) if candidates else type(inner).__name__


def argmax_n(values: np.ndarray, n: int) -> np.ndarray:
    """Find the indices of the `n` largest values, in descending order, without NaN."""
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    return order[: min(n, np.isfinite(values).sum())]


class Labels(NamedTuple):
    """Labels that set the colours of rows.

    Attributes
    ----------
    values : ndarray of shape (n_samples,)
        Numbers with NaN for missing ones, or indices of classes with -1 for missing ones.
    classes : list or None
        The classes; None if the labels are numbers on a colour scale.
    name : str or None
        Name of the labels, if any.
    """

    values: np.ndarray
    classes: list | None
    name: str | None

    def groups(self) -> list[tuple[str, np.ndarray]]:
        """List the name of each class and a mask of its rows."""
        names = [f"{c:g}" if isinstance(c, float) else str(c) for c in self.classes]
        groups = [(name, self.values == i) for i, name in enumerate(names)]
        is_missing = self.values < 0
        return [*groups, ("missing", is_missing)] if is_missing.any() else groups


def _is_missing(value) -> bool:
    kind = type(value).__name__
    return value is None or kind in ("NAType", "NaTType") or bool(value != value)


def read_labels(y, n_rows: int) -> Labels | None:
    """Convert `y` to classes, or to numbers on a colour scale."""
    if y is None:
        return None
    name = getattr(y, "name", None)
    values = np.asarray(y, dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values.ravel()
    if values.shape != (n_rows,):
        raise ValueError(
            f"y has shape {values.shape}, and there are {n_rows} rows. Give each a label."
        )
    is_missing = np.array([_is_missing(value) for value in values], bool)
    known = values[~is_missing]
    if all(isinstance(v, Number) and not isinstance(v, bool | np.bool_) for v in known):
        numbers = known.astype(float)
        is_fraction = numbers != np.round(numbers)
        if len(np.unique(numbers)) > MAX_NUMERIC_CLASSES or is_fraction.any():
            scale = np.full(n_rows, np.nan)
            scale[~is_missing] = numbers
            return Labels(scale, None, name)
    classes = sorted(set(known), key=lambda v: (type(v).__name__, v))
    index = np.full(n_rows, -1)
    index[~is_missing] = [classes.index(value) for value in known]
    return Labels(index, classes, name)


def find_images(estimator, image_shape, n_features: int) -> tuple[Any, Callable]:
    """Find the shape of the images in rows, and a function that puts channels last.

    The shape is `image_shape`, or that of a convolutional network in `estimator`. It is
    None for tables.
    """
    if image_shape is not None:
        return check_image_shape(image_shape, n_features), lambda rows: rows
    autoencoder = _pipelines.find_estimator(
        estimator, lambda step: _images_of(step) is not None
    )
    specification = None if autoencoder is None else _images_of(autoencoder)
    try:
        size = specification and specification.image_size(n_features)
    except ValueError:  # other steps stand between the rows and the images
        size = None
    if size is None:
        return None, lambda rows: rows
    shape = tuple(size[1:]) if size[0] == 1 else (*size[1:], size[0])
    if specification.data_format == "channels_last":
        return shape, lambda rows: rows
    return shape, lambda rows: _last_channels(rows, size)


def _images_of(step):
    """Get the convolutional network that `step` specifies, if any."""
    if hasattr(step, "image_shape") and hasattr(step, "data_format"):
        return Convolutional(step.image_shape, data_format=step.data_format)
    network = getattr(step, "network", None)
    return network if hasattr(network, "image_size") else None


def _last_channels(rows: np.ndarray, size: Sequence[int]) -> np.ndarray:
    images = rows.reshape(*rows.shape[:-1], *size)
    return np.moveaxis(images, -3, -1).reshape(rows.shape)


def draw_images(ax, images: np.ndarray, image_shape: Sequence[int], limits, **image_kw):
    """Plot images in rows and columns with gaps between them.

    Parameters
    ----------
    ax : matplotlib Axes
    images : ndarray of shape (n_rows, n_columns, n_features)
    image_shape : tuple of int
        ``(height, width)`` or ``(height, width, n_channels)``.
    limits : tuple of float
        Values that are plotted as black and as white.

    Returns
    -------
    image : matplotlib AxesImage
    centres : tuple of ndarray
        Vertical centres of the rows and horizontal centres of the columns.
    """
    n_rows, n_columns, _ = images.shape
    height, width, n_channels = (*image_shape, 1)[:3]
    if n_channels not in (1, 3, 4):
        raise ValueError(
            f"image_shape={tuple(image_shape)} has {n_channels} channels, and pictures "
            "have 1, 3 or 4."
        )
    gap = max(1, min(height, width) // 12)
    tiles = images.reshape(n_rows, n_columns, height, width, n_channels)
    padding = [(0, 0), (0, 0), (0, gap), (0, gap), (0, 0)]
    tiles = np.pad(tiles.astype(float), padding, constant_values=np.nan)
    grid = tiles.swapaxes(1, 2).reshape(n_rows * (height + gap), -1, n_channels)
    grid = grid[:-gap, :-gap]
    low, high = limits
    if n_channels > 1:
        grid = ((grid - low) / max(high - low, 1e-12)).clip(0, 1)
        grid = np.nan_to_num(grid, nan=1.0)
    options = {"cmap": "gray", "vmin": low, "vmax": high, "interpolation": "nearest"}
    image = ax.imshow(grid.squeeze(-1) if n_channels == 1 else grid, **options | image_kw)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    rows = np.arange(n_rows) * (height + gap) + (height - 1) / 2
    return image, (rows, np.arange(n_columns) * (width + gap) + (width - 1) / 2)
