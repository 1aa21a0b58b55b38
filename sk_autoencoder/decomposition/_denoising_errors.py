"""Errors of denoised rows: what a score measures, and where the input is better."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.sparse import issparse
from torch import Tensor, nn

from sk_autoencoder.core._data import RowDataset, RowSource, evenly_spaced_indices
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._model_selection import MIN_VALIDATION_ROWS
from sk_autoencoder.core._moments import measure_moments
from sk_autoencoder.core._scaling import make_scaler
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._tables import TableLayout

SCORE_NOISE_LEVEL = 0.5  # of the rows that score damages, in scaled units
SCORE_SWAP_FRACTION = 0.2  # of the categories of tables
SCORE_SEED = 0  # of their noise
STEP = 1e-2  # of numerical derivatives, in standard deviations of the noise
MAX_COMPARED_ROWS = 1_000
N_REPEATS = 8  # of the corruption of held-out rows: a user's may be one a batch


def divergence(autoencoder: Autoencoder, x: Tensor, output: Tensor, std: Tensor) -> Tensor:
    r"""Estimate :math:`\sum_j \sigma_j^2 \partial g_j / \partial x_j` of each row `x`.

    `output` is the reconstruction :math:`g` of `x`. The derivatives are numerical ones,
    along one direction a row: Ramani, Blu and Unser, "Monte-Carlo SURE", IEEE Transactions
    on Image Processing 17, 2008, equation 14.
    """
    generator = torch.Generator().manual_seed(SCORE_SEED)
    signs = torch.randint(0, 2, x.shape, generator=generator).to(x) * 2 - 1
    direction = signs * std.to(x)
    moved = autoencoder.reconstruct_scaled(x + STEP * direction)
    return ((moved - output) / STEP * direction).sum(-1)


# Score


def damage_rows(source: RowSource, low: float, high: float) -> Iterator[RowSource]:
    """Add noise to the rows of a source, which are the targets; yield them in parts.

    The noise is Gaussian, of half the scale of each column with ``scaling="auto"``. Noisy
    rows are clipped to the range from `low` to `high`.
    """
    indices, weight = source.weighted_rows, source.weight
    scaler = make_scaler(measure_moments(source.X, indices, weight=weight), "auto")
    std = SCORE_NOISE_LEVEL * scaler.scale.numpy()
    rng = np.random.default_rng(SCORE_SEED)
    for part in source.split():
        clean = part.X.toarray() if issparse(part.X) else part.X
        noisy = (clean + rng.normal(0, std, clean.shape)).astype(clean.dtype)
        yield RowSource(noisy.clip(low, high), clean, part.weight)


def damage_tables(source: RowSource, layout: TableLayout) -> Iterator[RowSource]:
    """Damage the rows of an encoded table, which are the targets; yield them in parts.

    Numbers have noise as in :func:`damage_rows`. A fifth of the categories are those of
    another row.
    """
    std = np.where(layout.is_number, SCORE_NOISE_LEVEL * layout.scale, 0)
    rng = np.random.default_rng(SCORE_SEED)
    for part in source.split():
        clean = part.X
        is_swapped = rng.random((len(clean), layout.n_columns)) < SCORE_SWAP_FRACTION
        is_swapped = is_swapped[:, layout.column] & layout.is_level
        other = clean[rng.permutation(len(clean))]
        noisy = clean + rng.normal(0, std, clean.shape)
        yield RowSource(np.where(is_swapped, other, noisy), clean, part.weight)


def stein_r2(fitted: Fitted, source: RowSource, noise_std: np.ndarray) -> float:
    """Estimate the R² of denoised rows against clean ones from noisy rows.

    Error and variance of the clean rows are Stein's unbiased estimates.
    """
    units = fitted.module.scaler.units
    std = torch.from_numpy(noise_std / units)
    noise = float(std.square().sum())
    share = 1 - fitted.learned["input_weight_"]  # of the step to the reconstruction

    def errors(module: nn.Module, rows: Tensor) -> Tensor:
        return module.map_members(row_errors, rows).mean(0)

    def row_errors(autoencoder: Autoencoder, rows: Tensor) -> Tensor:
        x = autoencoder.scaler(rows)
        output = autoencoder.reconstruct_scaled(x)
        squares = (output - x).square().sum(-1)
        product = noise - divergence(autoencoder, x, output, std)
        return share**2 * squares - 2 * share * product + noise

    rows = source.weighted_rows
    weight = np.ones(len(rows)) if source.weight is None else source.weight[rows]
    error = weight @ fitted.map(errors, source.X)[rows].astype(np.float64)
    moments = measure_moments(source.X, rows, weight=source.weight)
    total = np.sum(moments.sum_of_squares / units**2) - weight.sum() * noise
    return float(1 - error / total) if total > 0 else float(error <= 0)


# The input beside its reconstruction


def fit_input_weight(
    fitted: Fitted, train: RowDataset, valid: RowDataset | None
) -> dict[str, float]:
    r"""Weigh noisy rows against their reconstructions, by errors of held-out rows.

    The weight :math:`w` of noisy rows :math:`y` is 0 where the reconstructions :math:`g(y)`
    have the smaller error. Otherwise it minimises that of :math:`w y + (1 - w) g(y)`.
    """
    rows = train if valid is None else valid
    if len(rows) < MIN_VALIDATION_ROWS:
        return {"input_weight_": 0.0}
    std = fitted.measured.get("noise_std_")
    where = evenly_spaced_indices(len(rows), MAX_COMPARED_ROWS)
    batch = rows[rows.permutation(shuffle=False)[..., where]]
    weight = 1.0 if batch.weight is None else batch.weight
    are_drawn = not isinstance(fitted.module.corruption, nn.Identity)
    products, squares = 0.0, 0.0
    for _ in range(N_REPEATS if are_drawn else 1):
        terms = fitted.module.map_batch(lambda a, b: compare_steps(a, b, std), batch)
        products += float((terms[0].double() * weight).sum())
        squares += float((terms[1].double() * weight).sum())
    if squares <= 2 * products:
        return {"input_weight_": 0.0}
    return {"input_weight_": 1 - float(np.clip(products / squares, 0, 1))}


@torch.no_grad()
def compare_steps(
    autoencoder: Autoencoder, batch, noise_std: np.ndarray | None
) -> tuple[Tensor, Tensor]:
    """Compare the step from a noisy row to its reconstruction with that to the clean row.

    Returns
    -------
    products, squares : Tensor of shape (batch,)
        Inner product of both steps, and squared length of the first. For noisy rows of
        known `noise_std` the product is its unbiased estimate.
    """
    autoencoder.eval()
    x = autoencoder.corruption(batch.x)
    output = autoencoder.reconstruct_scaled(x)
    step = (output - x).nan_to_num()
    if noise_std is None:
        products = (step * (batch.target - x).nan_to_num()).sum(-1)
    else:
        std = torch.tensor(noise_std).to(x) / autoencoder.scaler.scale.to(x)
        products = std.square().sum() - divergence(autoencoder, x, output, std)
    return products, step.square().sum(-1)


def make_denoising(fitted: Fitted) -> Callable:
    """Make the function ``(module, rows) -> rows`` that denoises."""
    weight = fitted.learned["input_weight_"]

    def denoise(module: nn.Module, rows: Tensor) -> Tensor:
        output = module.reconstruct(rows)
        if not weight:
            return output
        return torch.where(rows.isnan(), output, weight * rows + (1 - weight) * output)

    return denoise
