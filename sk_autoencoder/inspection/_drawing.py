"""What displays share: axes, colours, names of features, labels of rows, images."""

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from sk_autoencoder.nn._convolutional import Convolutional
from sk_autoencoder.utils import _pipelines as _reaching
from sk_autoencoder.utils._checks import check_image_shape
from sk_autoencoder.utils._optional import require

MOST_CLASSES = 20  # of numbers; more of them are drawn as a scale
GREY = "0.6"
PETROFF = "3f90da ffa90e bd1f01 94a4a2 832db6 a96b59 e76300 b9ac70 717581 92dadd"
COLOURS = [f"#{colour}" for colour in PETROFF.split()]  # matplotlib 3.10: "petroff10"


def pyplot():
    """Return ``matplotlib.pyplot``, or raise an ImportError that names the extra."""
    return require("matplotlib.pyplot", extra="plot", purpose="Drawing")


def make_axes(ax=None, figsize: tuple[float, float] | None = None):
    """Return `ax`, or the axes of a new figure."""
    plt = pyplot()
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax


def make_grid(ax, n_rows: int, n_columns: int, figsize: tuple[float, float], **options):
    """Return a new figure and its grid, or the figure of `ax` and a grid in its place."""
    plt = pyplot()
    if ax is None:
        figure = plt.figure(figsize=figsize, layout="constrained")
        return figure, figure.add_gridspec(n_rows, n_columns, **options)
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "This picture has several axes, and ax is none of a grid, which could be "
            "divided. Make it by plt.subplots() or figure.add_subplot()."
        )
    ax.set_axis_off()
    return ax.figure, place.subgridspec(n_rows, n_columns, **options)


def write_plainly(axis) -> None:
    """Label a logarithmic axis by numbers, not by powers of ten."""
    from matplotlib import ticker

    axis.set_major_formatter(ticker.FuncFormatter(_plain))
    axis.set_minor_formatter(ticker.FuncFormatter(_plain))


def _plain(value: float, position: int | None) -> str:
    """Return 1, 2 or 5 times a power of ten as it is, and nothing for other numbers."""
    text = f"{value:g}"
    return text if text.strip("0.")[:1] in "125" and len(text.strip("0.")) == 1 else ""


def colours(n: int) -> list[str]:
    """Return `n` colours that the colour-blind can tell apart, the first ten of them."""
    return [COLOURS[i % len(COLOURS)] for i in range(n)]


def as_rows(X):
    """Return X, or an array where it is a list."""
    return X if hasattr(X, "shape") else np.asarray(X)


def dense(rows) -> np.ndarray:
    """Return rows, dense or sparse, as an array."""
    return rows.toarray() if issparse(rows) else np.asarray(rows)


def name_features(X, estimator, n_features: int) -> np.ndarray:
    """Return the names of the columns of X, or what they were called in ``fit``."""
    names = getattr(X, "columns", getattr(estimator, "feature_names_in_", ()))
    return given_names(names if len(names) == n_features else None, n_features)


def given_names(names, n_features: int) -> np.ndarray:
    """Return `names`, or numbers of features where there are None."""
    if names is None:
        names = [f"feature {j}" for j in range(n_features)]
    return np.asarray(names, dtype=object)


def name_of(estimator, method: str = "transform") -> str:
    """Return the class of `estimator`, or of a pipeline's last step that has `method`."""
    inner = getattr(estimator, "best_estimator_", estimator)
    steps = [step for _, step in getattr(inner, "steps", ())]
    able = [step for step in steps if hasattr(step, method)] or steps
    return name_of(able[-1], method) if able else type(inner).__name__


def largest(values: np.ndarray, n: int) -> np.ndarray:
    """Return the indices of the `n` largest values, the largest first; NaN never."""
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    return order[: min(n, np.isfinite(values).sum())]


class Labels(NamedTuple):
    """What rows are coloured by.

    Attributes
    ----------
    values : ndarray of shape (n_samples,)
        Numbers, NaN where missing, or indices of classes, -1 where missing.
    classes : list or None
        None where the labels are a scale.
    name : str or None
        What the labels are called.
    """

    values: np.ndarray
    classes: list | None
    name: str | None

    def groups(self) -> list[tuple[str, np.ndarray]]:
        """Return the name of each class, and which rows are of it."""
        names = [f"{c:g}" if isinstance(c, float) else str(c) for c in self.classes]
        found = [(name, self.values == i) for i, name in enumerate(names)]
        is_missing = self.values < 0
        return [*found, ("missing", is_missing)] if is_missing.any() else found


def _is_missing(value) -> bool:
    kind = type(value).__name__
    return value is None or kind in ("NAType", "NaTType") or bool(value != value)


def read_labels(y, n_rows: int) -> Labels | None:
    """Return what labels `y` are: classes, or numbers on a scale."""
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
        if len(np.unique(numbers)) > MOST_CLASSES or (numbers != np.round(numbers)).any():
            scale = np.full(n_rows, np.nan)
            scale[~is_missing] = numbers
            return Labels(scale, None, name)
    classes = sorted(set(known), key=lambda v: (type(v).__name__, v))
    index = np.full(n_rows, -1)
    index[~is_missing] = [classes.index(value) for value in known]
    return Labels(index, classes, name)


def find_images(estimator, image_shape, n_features: int) -> tuple[Any, Callable]:
    """Return the shape of images that rows are, or None, and what puts channels last.

    The shape is the given one, or that of a convolutional network.
    """
    if image_shape is not None:
        return check_image_shape(image_shape, n_features), lambda rows: rows
    found = _reaching.find_estimator(estimator, lambda part: _images_of(part) is not None)
    specification = None if found is None else _images_of(found)
    try:
        size = specification and specification.image_size(n_features)
    except ValueError:  # the images stand behind other steps
        size = None
    if size is None:
        return None, lambda rows: rows
    shape = tuple(size[1:]) if size[0] == 1 else (*size[1:], size[0])
    if specification.data_format == "channels_last":
        return shape, lambda rows: rows
    return shape, lambda rows: _last_channels(rows, size)


def _images_of(part):
    """Return the convolutional network that `part` specifies, or None."""
    if hasattr(part, "image_shape") and hasattr(part, "data_format"):
        return Convolutional(part.image_shape, data_format=part.data_format)
    network = getattr(part, "network", None)
    return network if hasattr(network, "image_size") else None


def _last_channels(rows: np.ndarray, size: Sequence[int]) -> np.ndarray:
    images = rows.reshape(*rows.shape[:-1], *size)
    return np.moveaxis(images, -3, -1).reshape(rows.shape)


def draw_images(ax, images: np.ndarray, image_shape: Sequence[int], limits, **image_kw):
    """Draw images in rows and columns with gaps between them.

    Parameters
    ----------
    ax : matplotlib Axes
    images : ndarray of shape (n_rows, n_columns, n_features)
    image_shape : tuple of int
        ``(height, width)`` or ``(height, width, n_channels)``.
    limits : tuple of float
        Values that are drawn as black and as white.

    Returns
    -------
    image : matplotlib AxesImage
    centres : tuple of ndarray
        Where the rows and the columns are.
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
    framed = [(0, 0), (0, 0), (0, gap), (0, gap), (0, 0)]
    tiles = np.pad(tiles.astype(float), framed, constant_values=np.nan)
    whole = tiles.swapaxes(1, 2).reshape(n_rows * (height + gap), -1, n_channels)
    whole = whole[:-gap, :-gap]
    low, high = limits
    if n_channels > 1:
        whole = ((whole - low) / max(high - low, 1e-12)).clip(0, 1)
        whole = np.nan_to_num(whole, nan=1.0)
    options = {"cmap": "gray", "vmin": low, "vmax": high, "interpolation": "nearest"}
    image = ax.imshow(whole.squeeze(-1) if n_channels == 1 else whole, **options | image_kw)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    rows = np.arange(n_rows) * (height + gap) + (height - 1) / 2
    return image, (rows, np.arange(n_columns) * (width + gap) + (width - 1) / 2)
