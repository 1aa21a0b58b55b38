"""The shares of the variance that the first components explain."""

import math
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from sk_autoencoder.core._data import Batch, RowDataset
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.nn._autoencoder import Autoencoder

MAX_DECODED = 2**28  # entries of all prefixes of all rows


@dataclass(frozen=True)
class VarianceShares:
    """The shares of a variance that the first components explain.

    Parameters
    ----------
    explained : ndarray of shape (n_components,)
        Share that the first components explain together, for each number of them.
    error : ndarray of shape (n_components,)
        Standard error of `explained`.
    variance : float
        The whole variance.
    n_dimensions : float
        Dimensions over which the variance is spread.
    of_start : float, default=1.0
        Share that all components explained where training started, at PCA.
    """

    explained: np.ndarray
    error: np.ndarray
    variance: float
    n_dimensions: float
    of_start: float = 1.0

    def keep_first(self, n_components: int) -> "VarianceShares":
        """Make the shares of the first components only."""
        explained, error = self.explained[:n_components], self.error[:n_components]
        return replace(self, explained=explained, error=error)

    def make_attributes(self) -> dict[str, np.ndarray | float]:
        """Make the attributes that PCA has too."""
        shares = np.diff(self.explained, prepend=0.0)
        n_left = self.n_dimensions - len(shares)
        noise = max(self.variance * (1 - self.explained[-1]), 0.0)
        return {
            "explained_variance_ratio_": shares,
            "explained_variance_": shares * self.variance,
            "noise_variance_": float(noise / n_left) if n_left > 0 else 0.0,
        }


def measure_shares(fitted: Fitted, rows: RowDataset) -> VarianceShares:
    """Measure the shares of the variance of `rows` that the first components explain.

    The variance is that of scaled units, as in ``score``. The standard error is that of a
    ratio of two sums over rows.
    """
    n_components = fitted.n_components // fitted.module.n_members
    n_features = rows.source.n_features
    stride = math.ceil(len(rows) * n_components * n_features / MAX_DECODED)
    batches = islice(fitted.net.get_iterator(rows), 0, None, stride)
    # Sums over rows: of squared errors, their squares, and their products with the squared
    # length of the row; of ones, entries and their squares; of the fourth power of lengths.
    errors = torch.zeros(3, n_components, dtype=torch.float64)
    powers = torch.zeros(3, n_features, dtype=torch.float64)
    fourth = torch.zeros(1, dtype=torch.float64)

    def measure(autoencoder: Autoencoder, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        code, weight = autoencoder(batch.x).code, batch.weight
        weight = torch.ones_like(batch.target[:, 0]) if weight is None else weight
        is_observed = ~batch.target.isnan()
        target = batch.target.nan_to_num()
        length = target.square().sum(-1)
        errors = []
        for n_kept in range(1, n_components + 1):
            output = autoencoder.link(autoencoder.network.decode(code[:, :n_kept]))
            output = autoencoder.scaler.match_scaled(output, target)
            error = ((output - target).square() * is_observed).sum(-1)
            errors.append(torch.stack([error, error.square(), error * length]))
        powers = torch.stack([is_observed, target, target.square()])
        return torch.stack(errors, 1) @ weight, weight @ powers, weight @ length.square()

    fitted.module.eval()
    with torch.no_grad():
        for batch in batches:
            sums = fitted.module.map_batch(measure, batch)
            for total, added in zip((errors, powers, fourth), sums, strict=True):
                total += added.cpu().double().reshape(-1, *total.shape).sum(0)
    errors, powers, fourth = map(fitted.net.backend.sum, (errors, powers, fourth))
    n_observed, total, squares = powers
    deviation = (squares - total.square() / n_observed.clamp(min=1)).clamp(min=0).sum()
    explained, error = _divide(errors, deviation, fourth)
    n_rows = float(n_observed.max())
    variance = float(deviation) / max(n_rows - 1, 1)
    return VarianceShares(explained, error, variance, min(n_features, n_rows))


def _divide(
    errors: Tensor, deviation: Tensor, fourth: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Divide squared errors by the variance: the shares left, and their standard errors."""
    if not deviation > 0:
        return np.zeros(errors.shape[1]), np.zeros(errors.shape[1])
    unexplained = errors[0] / deviation
    spread = errors[1] - 2 * unexplained * errors[2] + unexplained.square() * fourth
    return (1 - unexplained).numpy(), (spread.clamp(min=0).sqrt() / deviation).numpy()
