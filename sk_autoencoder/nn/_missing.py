"""Imputation of missing entries by a factor model, and its correction by a network.

Missing entries are NaN in a tensor of rows. All rows are in scaled units.
"""

import copy

import torch
from torch import Tensor, nn

from sk_autoencoder.nn._base import align_rows
from sk_autoencoder.nn._dense import Linear
from sk_autoencoder.utils._torch_compat import is_batched, is_exporting

MIN_PATTERN_ROWS = 64  # among which equal missing entries are worth the search
CORRECTION_WIDTH = 64  # hidden units of the correction of the imputed values


class FactorModelImputer(nn.Module):
    r"""Impute missing entries by their conditional mean under a factor model.

    Rows are :math:`m + z L^T + \varepsilon` with standard normal factors :math:`z` and
    noise of variance :math:`\psi_j` in column :math:`j`. Given the observed entries,

    .. math:: E[z] = A^{-1} \sum_j \frac{x_j - m_j}{\psi_j} L_j, \qquad
       A = I + \sum_j \frac{1}{\psi_j} L_j^T L_j

    with sums over the observed columns [1]_.

    The models of the members of an ensemble are stacked along a first axis of all tensors,
    and rows have the shape (n_members, batch, n_features) then.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
    loadings : Tensor of shape (n_features, n_factors)
        :math:`L`, with rows :math:`L_j`.
    noise : Tensor of shape (n_features,)
        Variances :math:`\psi`, positive.
    low, high : Tensor of shape (n_features,)
        Range of the imputed values.

    References
    ----------
    .. [1] Z. Ghahramani and M. I. Jordan, "Supervised learning from incomplete data via an
       EM approach", NIPS 1994.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn._missing import FactorModelImputer
    >>> twins = torch.tensor([[1.0], [1.0]]), torch.tensor([0.01, 0.01])
    >>> low, high = torch.tensor([-3.0, -3.0]), torch.tensor([3.0, 3.0])
    >>> impute = FactorModelImputer(torch.zeros(2), *twins, low, high)
    >>> impute(torch.tensor([[torch.nan, 1.0], [2.0, torch.nan]]))
    tensor([[0.9901, 1.0000],
            [2.0000, 1.9802]])
    """

    mean: Tensor
    loadings: Tensor
    noise: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self, mean: Tensor, loadings: Tensor, noise: Tensor, low: Tensor, high: Tensor
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("loadings", loadings)
        self.register_buffer("noise", noise)
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def factors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute factor means (batch, n_factors) given `x`, and Cholesky factors of A."""
        is_missing = x.isnan()
        weight = torch.where(is_missing, 0.0, 1 / align_rows(self.noise))
        centered = torch.where(is_missing, 0.0, x - align_rows(self.mean))
        projection = ((centered * weight) @ self.loadings)[..., None]
        if self._is_traced(x) or len(x) < MIN_PATTERN_ROWS:
            root = self._root(weight)
        else:  # rows with the same missing entries share it
            patterns, inverse = weight.unique(dim=0, return_inverse=True)
            root = self._root(patterns)[inverse]
        return torch.cholesky_solve(projection, root)[..., 0], root

    def _is_traced(self, x: Tensor) -> bool:
        """Check whether shapes may not depend on values: in vmap, exports and ensembles."""
        is_stacked = self.noise.ndim > 1
        return is_exporting() or is_stacked or is_batched(x) or is_batched(self.noise)

    def _root(self, weight: Tensor) -> Tensor:
        """Compute the Cholesky factors of A for weights (batch, n_features) of entries."""
        n_factors = self.loadings.shape[-1]
        products = self.loadings[..., :, None] * self.loadings[..., None, :]
        eye = torch.eye(n_factors, dtype=weight.dtype, device=weight.device)
        precision = (weight @ products.flatten(-2)).unflatten(-1, (n_factors, n_factors))
        return torch.linalg.cholesky(precision + eye)

    def forward(self, x: Tensor) -> Tensor:
        """Impute the missing entries of `x` (batch, n_features)."""
        if self._is_traced(x):
            return self._impute(x)
        where = x.isnan().any(-1).nonzero()[:, 0]
        if len(where) == len(x):
            return self._impute(x)
        return x.index_copy(0, where, self._impute(x[where]))

    def _impute(self, x: Tensor) -> Tensor:
        imputed = align_rows(self.mean) + self.factors(x)[0] @ self.loadings.mT
        bounds = align_rows(self.low), align_rows(self.high)
        return torch.where(x.isnan(), imputed.clamp(*bounds), x)


class ImputationLayer(nn.Module):
    """Impute by a factor model, and add a correction by a small trained network.

    The input of the correction is the imputed row and the mask of its missing entries. The
    correction starts at zero, and never changes observed entries.

    Parameters
    ----------
    fill : FactorModelImputer
    """

    takes_members = True  # the stacked weights of an ensemble

    def __init__(self, fill: FactorModelImputer) -> None:
        super().__init__()
        self.fill = copy.deepcopy(fill)
        n_features = len(fill.mean)
        last = Linear(CORRECTION_WIDTH, n_features)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.correction = nn.Sequential(
            Linear(2 * n_features, CORRECTION_WIDTH), nn.GELU(), last
        )

    def forward(self, x: Tensor) -> Tensor:
        """Impute the missing entries of `x` (batch, n_features)."""
        is_missing, imputed = x.isnan(), self.fill(x)
        inputs = torch.cat([imputed, is_missing.to(x.dtype)], dim=-1)
        return torch.where(is_missing, imputed + self.correction(inputs), imputed)


class PreserveMissing(nn.Module):
    """Apply a corruption to observed entries, and keep missing entries missing.

    Parameters
    ----------
    corruption : nn.Module
        Maps rows (batch, n_features) to rows.
    """

    def __init__(self, corruption: nn.Module) -> None:
        super().__init__()
        self.corruption = corruption

    def forward(self, x: Tensor) -> Tensor:
        """Corrupt the observed entries of `x` (batch, n_features)."""
        return torch.where(x.isnan(), x, self.corruption(x))


def observed_share(x: Tensor) -> Tensor:
    """Compute the fraction of observed entries of each row, of shape (batch,).

    A row without observed entries counts as one entry: its error of 0 stays 0.
    """
    return share_observed(x.isnan(), x.dtype)


def share_observed(is_missing: Tensor, dtype: torch.dtype) -> Tensor:
    """Compute what :func:`observed_share` does, of marked missing entries."""
    return (~is_missing).to(dtype).mean(-1).clamp_min(1 / is_missing.shape[-1])
