"""The default autoencoder of the time series detector, and its score of windows."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._inference import map_array
from sk_autoencoder.core._model_selection import MIN_VALIDATION_ROWS
from sk_autoencoder.core._recipe import Recipe
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.outliers._scores import (
    entry_errors,
    find_missing,
    rescale_observed,
)

# Chosen on the series of benchmarks.timeseries, 2026-11.
N_COMPONENTS_PER_CHANNEL = 4
MAX_WINDOW_COMPONENTS = 32
MIN_FITTED_WINDOWS, MAX_FITTED_WINDOWS = 512, 2048  # if there are as many
MAX_FITTED_VALUES = 2**21  # of these windows together, above the least number
MAX_LAYER_WEIGHTS, MIN_HIDDEN_UNITS = 2**18, 32  # of the layers beside wide windows
N_TRIMMING_COMPONENTS = 2  # of the PCA that finds rare windows
MAX_TRIMMED_FRACTION = 0.1  # of the windows
MIN_TRIMMED_ERROR = 5.0  # of a rare window, in median errors
VALIDATION_TIME_FRACTION = 0.2  # of the timestamps
MAX_VALIDATION_OVERLAP = 2  # validation windows that cover a timestamp
MAX_WINDOW_EPOCHS = 8
N_WINDOW_MEMBERS = 2
CODE_DISTANCE_SCALE = 2.0  # in median distances of codes: codes weigh less than errors
MIN_EXPLAINED_ERROR = 2.0  # in median errors: above it errors explain the score, not codes
# Guards against division by zero and overflow.
CHANNEL_ERROR_OFFSET = 1e-3  # added to the error of a channel, in mean channel errors
ROUNDING_ERROR = 1e-10  # squared error that is rounding, in squared norms of a window
MIN_MEDIAN_ERROR = 1e-3  # of the scaled windows, which is near 0 if all errors are rounding
MIN_RELATIVE_VARIANCE = 1e-6  # of a direction of codes, in variances of the largest one
MIN_CODE_VARIANCE = 1e-12  # largest variance of codes that are constant
MAX_WINDOW_SCORE = 1e15  # before it is squared: the square is finite in float32


def fit_window_autoencoder(
    windows: np.ndarray, n_channels: int, overlap: int, seed: int
) -> "WindowAutoencoder":
    """Fit an autoencoder to windows (n_windows, window * n_channels).

    It stays at PCA if there are too few validation windows with little overlap.
    """
    n_affordable = MAX_FITTED_VALUES // windows.shape[1]
    n_fitted = min(max(n_affordable, MIN_FITTED_WINDOWS), MAX_FITTED_WINDOWS)
    # A whole step could divide the period, and show a few of its phases alone.
    rows = np.linspace(0, len(windows) - 1, min(n_fitted, len(windows))).astype(int)
    overlap = -(-overlap * len(rows) // len(windows))
    if overlap > 1:
        rows = _trim_rare_windows(windows, rows, seed)
    n_validation = VALIDATION_TIME_FRACTION * len(rows) / _validation_stride(overlap)
    trains = n_validation >= MIN_VALIDATION_ROWS
    autoencoder = _make_autoencoder(
        min(N_COMPONENTS_PER_CHANNEL * n_channels, MAX_WINDOW_COMPONENTS),
        windows,
        seed,
        overlap=overlap,
        n_channels=n_channels,
        max_epochs=MAX_WINDOW_EPOCHS if trains else 0,
    )
    if trains:  # each member has another validation interval
        shifts = np.arange(N_WINDOW_MEMBERS) * len(rows) // N_WINDOW_MEMBERS
        rows = np.stack([np.roll(rows, shift) for shift in shifts])
    return autoencoder.fit_members(windows, rows)


def _trim_rare_windows(windows: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Remove the rows of the windows with the largest errors of a small PCA.

    A rare event is in many overlapping windows, so that the autoencoder would learn it.
    """
    pca = _make_autoencoder(N_TRIMMING_COMPONENTS, windows, seed)
    errors = pca.fit_members(windows, rows).map_rows(_window_errors, windows[rows])
    quantile = np.quantile(errors, 1 - MAX_TRIMMED_FRACTION)
    return rows[errors <= max(quantile, MIN_TRIMMED_ERROR * np.median(errors))]


def _make_autoencoder(
    n_components: int, windows: np.ndarray, seed: int, max_epochs: int = 0, **parameters
) -> "WindowAutoencoder":
    n_components = min(n_components, windows.shape[1])
    widest = max(MAX_LAYER_WEIGHTS // windows.shape[1], MIN_HIDDEN_UNITS)
    sizes = [min(size, widest) for size in WindowAutoencoder.hidden_layer_sizes]
    return WindowAutoencoder(
        n_components=n_components,
        hidden_layer_sizes=sizes if max_epochs else [],  # a PCA has none
        max_epochs=max_epochs,
        early_stopping=max_epochs > 0,
        random_state=seed,
        **parameters,
    )


def _validation_stride(overlap: int) -> int:
    return -(-overlap // MAX_VALIDATION_OVERLAP)


def _observed_squared_errors(module: nn.Module, rows: Tensor) -> Tensor:
    """Compute squared errors in scaled units (batch, n_features), averaged over members.

    Missing entries have the error NaN.
    """
    return module.map_members(entry_errors, rows).square().mean(0)


def _errors_and_codes(module: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Compute squared errors, and the codes of the members, in one pass.

    Errors (batch, n_features) are rescaled by the observed fraction of each window. Codes
    have the shape (batch, n_members, n_components).
    """
    errors, codes = module.map_members(_error_and_code, rows)
    squares = rescale_observed(errors.square().mean(0), find_missing(rows))
    return squares, codes.movedim(0, 1)


def _error_and_code(autoencoder: Autoencoder, rows: Tensor) -> tuple[Tensor, Tensor]:
    x = autoencoder.scaler(rows)
    code = autoencoder.encode_scaled(x)
    return autoencoder.link(autoencoder.network.decode(code)) - x, code


def _window_errors(module: nn.Module, rows: Tensor) -> Tensor:
    return _errors_and_codes(module, rows)[0].sum(-1)


def _squared_norms(module: nn.Module, rows: Tensor) -> Tensor:
    return module.scaler(rows).square().nansum(-1)


def _encode(module: nn.Module, rows: Tensor) -> Tensor:
    """Compute the codes of the members, (batch, n_members, n_components)."""
    return module.map_members(Autoencoder.encode, rows).movedim(0, 1)


def _decode(module: nn.Module, codes: Tensor) -> Tensor:
    """Decode codes (n_members, batch, n_components) by their members, in scaled units."""
    return module.scaler(module.map_members(Autoencoder.decode, codes))


class WindowScore(nn.Module):
    r"""Anomaly scores of windows by their errors and by their codes.

    The score by errors and the score by codes are

    .. math:: \frac{1}{m_e} \sum_c \frac{e_c}{m_c}, \qquad
       \frac{1}{2 m_t} (z - \bar z)^T S^{-1} (z - \bar z)

    with squared errors :math:`e_c` of channels, Hotelling's :math:`T^2` of codes :math:`z`,
    and medians :math:`m` over the training windows. The index of [1]_ combines the same two
    statistics by their sum. The detector takes the square of their maximum, so that the
    windows with the largest scores dominate the average over the windows of a timestamp.

    Parameters
    ----------
    errors : ndarray of shape (n_windows, window * n_channels)
        Squared errors of the training windows, NaN for missing entries.
    codes : ndarray of shape (n_windows, n_members, n_components)
        Codes of the training windows.
    n_channels : int
    min_error : float
        Squared error of an entry that rounding explains.

    References
    ----------
    .. [1] H. H. Yue and S. J. Qin, "Reconstruction-based fault identification using a
       combined index", Industrial & Engineering Chemistry Research 40, 2001.
    """

    error_scale: Tensor  # (n_channels,)
    center: Tensor  # (n_members, n_components)
    whitening: Tensor  # (n_members, n_components, n_components)
    median_score: Tensor  # (2,), by errors and by codes

    def __init__(
        self, errors: np.ndarray, codes: np.ndarray, n_channels: int, min_error: float
    ) -> None:
        super().__init__()
        scale = median_channel_errors(errors.reshape(len(errors), -1, n_channels))
        scale += CHANNEL_ERROR_OFFSET * scale.mean() + min_error
        center = codes.mean(axis=0)
        whitening = [whitening_matrix(z) for z in np.moveaxis(codes - center, 1, 0)]
        self.register_buffer("error_scale", _replace_zeros(scale))
        self.register_buffer("center", torch.from_numpy(center))
        self.register_buffer("whitening", torch.from_numpy(np.stack(whitening)))
        self.register_buffer("median_score", torch.ones(2, dtype=self.error_scale.dtype))
        entries = torch.from_numpy(errors)
        entries = rescale_observed(entries, find_missing(entries))
        error, distance = self(entries, torch.from_numpy(codes)).median(dim=1).values
        error, distance = float(error), CODE_DISTANCE_SCALE * float(distance)
        median = np.array([max(error, MIN_MEDIAN_ERROR), distance])
        self.median_score = _replace_zeros(median)

    def forward(self, errors: Tensor, codes: Tensor) -> Tensor:
        """Compute the scores by errors and by codes, (2, n_windows)."""
        distance = self.whiten(codes).square().mean((0, -1))
        scores = torch.stack([self.scale_errors(errors).sum(-1), distance])
        return (scores / self.median_score[:, None]).clamp(max=MAX_WINDOW_SCORE)

    def whiten(self, codes: Tensor) -> Tensor:
        """Centre and decorrelate codes, (n_members, n_windows, n_components)."""
        return (codes - self.center).movedim(1, 0) @ self.whitening

    def gradient_step(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the mean code, and the code one step along the distance's gradient."""
        step = normalize(self.whiten(codes), dim=-1) @ self.whitening.mT
        start = self.center[:, None].expand_as(step)
        return start, start + step

    def scale_errors(self, errors: Tensor) -> Tensor:
        """Divide the errors of entries by the scale of their channel."""
        by_channel = errors.unflatten(-1, (-1, len(self.error_scale)))
        return (by_channel / self.error_scale).flatten(-2)


def _replace_zeros(scale: np.ndarray) -> Tensor:
    return torch.from_numpy(np.where(scale > 0, scale, 1.0))


def median_channel_errors(errors: np.ndarray) -> np.ndarray:
    """Compute the median error of each channel over the windows in which it is observed.

    Parameters
    ----------
    errors : ndarray of shape (n_windows, window, n_channels)
        Squared errors, NaN for missing entries.
    """
    n_observed = (~np.isnan(errors)).sum(axis=1)
    totals = np.nansum(errors, axis=1) * errors.shape[1] / np.maximum(n_observed, 1)
    channels = [
        column[is_observed]
        for column, is_observed in zip(totals.T, n_observed.T > 0, strict=True)
    ]
    return np.array([np.median(column) if len(column) else 0.0 for column in channels])


def whitening_matrix(centred: np.ndarray) -> np.ndarray:
    """Compute the matrix that whitens rows of mean 0; for constant rows it is 0."""
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    if variance[-1] < MIN_CODE_VARIANCE:
        return np.zeros_like(axes)
    return axes / np.sqrt(np.maximum(variance, MIN_RELATIVE_VARIANCE * variance[-1]))


@dataclass(kw_only=True, eq=False, repr=False)
class WindowAutoencoder(BaseAutoencoder):
    """Autoencoder of windows of time series.

    Neighbouring windows share most of their values. The validation windows are therefore
    from one interval of time, not sampled at random, and their overlap is limited.
    """

    overlap: int = 1  # rows with values in common with a row, the row itself included
    n_channels: int = 1
    linear_penalty: float = 0.0

    def make_recipe(self) -> Recipe:
        """Hold out one interval of time, and fit the scores of windows after training."""
        return replace(
            super().make_recipe(),
            split=self._split,
            summarize=self._fit_window_score,
            score=make_window_score,
        )

    def _split(self, n_rows: int) -> tuple[np.ndarray, np.ndarray | None]:
        if not self.early_stopping:
            return np.arange(n_rows), None
        n_validation = int(VALIDATION_TIME_FRACTION * n_rows)
        start = int(torch.randint(n_rows - n_validation, ()))
        rows, end = np.arange(n_rows), start + n_validation
        is_training = (rows <= start - self.overlap) | (rows >= end + self.overlap - 1)
        return rows[is_training], rows[start : end : _validation_stride(self.overlap)]

    def _fit_window_score(
        self, fitted: Fitted, train: RowDataset, valid: RowDataset | None
    ) -> dict[str, WindowScore]:
        module = fitted.module
        indices = train.indices if valid is None else np.r_[train.indices, valid.indices]
        X = train.X[np.unique(indices)]
        errors = map_array(module, _observed_squared_errors, X).astype(float)
        codes = map_array(module, _encode, X).astype(float)
        norms = map_array(module, _squared_norms, X).astype(float)
        min_error = ROUNDING_ERROR * norms.mean()
        return {"window_score_": WindowScore(errors, codes, self.n_channels, min_error)}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def explain(self, X) -> np.ndarray:
        """Attribute the anomaly score of a window to its entries, of the shape of X.

        Contributions are proportional to the errors of entries. If only the code of a
        window is unusual, they are proportional to the squared change of the decoded window
        along the gradient of the code's distance.
        """

        def attribute(module: nn.Module, rows: Tensor) -> Tensor:
            window_score = copy.deepcopy(self.window_score_).to(rows)
            errors, codes = _errors_and_codes(module, rows)
            error, distance = window_score(errors, codes)[..., None]
            start, end = (_decode(module, z) for z in window_score.gradient_step(codes))
            change = (end - start).square().mean(0)
            change = rescale_observed(change, find_missing(rows))
            by_error = (error > distance) | (error > MIN_EXPLAINED_ERROR)
            weights = torch.where(by_error, window_score.scale_errors(errors), change)
            weights = weights + torch.finfo(weights.dtype).tiny
            fractions = weights / weights.sum(-1, keepdim=True)
            return fractions * error.maximum(distance).square()

        return self.map_rows(attribute, X)


def make_window_score(fitted: Fitted) -> Callable:
    """Make the function ``(module, rows) -> (batch,)`` of the scores of windows."""
    fitted_score = fitted.learned["window_score_"]

    def score(module: nn.Module, rows: Tensor) -> Tensor:
        window_score = copy.deepcopy(fitted_score).to(rows)
        scores = window_score(*_errors_and_codes(module, rows))
        return -scores.amax(0).square()

    return score
