"""Missing cells: a Gaussian guess at them, and networks that learn to do better.

Missing cells are NaN in a tensor of rows. All is in scaled units.
"""

import copy

import torch
from torch import Tensor, nn

CORRECTION_WIDTH = 64  # units of the layer that corrects the guess


class FactorModelImputer(nn.Module):
    r"""Fill missing cells with their mean given the others, under a factor model.

    Rows are :math:`m + z L^T + \varepsilon` with standard normal factors :math:`z` and
    noise of a variance :math:`\psi_j` in each column, so that given the observed cells

    .. math:: E[z] = A^{-1} \sum_j \frac{x_j - m_j}{\psi_j} L_j, \qquad
       A = I + \sum_j \frac{1}{\psi_j} L_j^T L_j

    with sums over observed columns [1]_.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
    loadings : Tensor of shape (n_features, n_factors)
        :math:`L`, with rows :math:`L_j`.
    noise : Tensor of shape (n_features,)
        Variances :math:`\psi`, positive.
    low, high : Tensor of shape (n_features,)
        Range of what is filled in.

    References
    ----------
    .. [1] Z. Ghahramani and M. I. Jordan, "Supervised learning from incomplete data via an
       EM approach", NIPS 1994.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import GaussianFill
    >>> twins = torch.tensor([[1.0], [1.0]]), torch.tensor([0.01, 0.01])
    >>> low, high = torch.tensor([-3.0, -3.0]), torch.tensor([3.0, 3.0])
    >>> fill = GaussianFill(torch.zeros(2), *twins, low, high)
    >>> fill(torch.tensor([[torch.nan, 1.0], [2.0, torch.nan]]))
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
        """Return means (batch, n_factors) given `x`, and the Cholesky factors of A."""
        is_missing = x.isnan()
        weight = torch.where(is_missing, 0.0, 1 / self.noise)  # (batch, n_features)
        centred = torch.where(is_missing, 0.0, x - self.mean)
        n_factors = self.loadings.shape[1]
        products = self.loadings[:, :, None] * self.loadings[:, None, :]
        eye = torch.eye(n_factors, dtype=x.dtype, device=x.device)
        precision = (weight @ products.flatten(1)).unflatten(-1, (n_factors, n_factors))
        root = torch.linalg.cholesky(precision + eye)
        pull = ((centred * weight) @ self.loadings)[..., None]
        return torch.cholesky_solve(pull, root)[..., 0], root

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (batch, n_features) with its missing cells filled."""
        guess = self.mean + self.factors(x)[0] @ self.loadings.mT
        return torch.where(x.isnan(), guess.clamp(self.low, self.high), x)


class ImputationLayer(nn.Module):
    """A guess at missing cells, corrected by a layer that sees which are missing.

    The correction starts at zero. Rows without missing cells are left as they are.

    Parameters
    ----------
    fill : GaussianFill
        The guess.
    """

    def __init__(self, fill: FactorModelImputer) -> None:
        super().__init__()
        self.fill = copy.deepcopy(fill)
        n_features = len(fill.mean)
        last = nn.Linear(CORRECTION_WIDTH, n_features)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.correction = nn.Sequential(
            nn.Linear(2 * n_features, CORRECTION_WIDTH), nn.GELU(), last
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (batch, n_features) with its missing cells filled."""
        is_missing, guess = x.isnan(), self.fill(x)
        seen = torch.cat([guess, is_missing.to(x.dtype)], dim=-1)
        return torch.where(is_missing, guess + self.correction(seen), guess)


class PreserveMissing(nn.Module):
    """Apply a corruption, and leave missing cells missing.

    Parameters
    ----------
    corruption : nn.Module
        Takes and returns rows (batch, n_features).
    """

    def __init__(self, corruption: nn.Module) -> None:
        super().__init__()
        self.corruption = corruption

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (batch, n_features), corrupted where it is observed."""
        return torch.where(x.isnan(), x, self.corruption(x))


def observed_share(x: Tensor) -> Tensor:
    """Return the share of the cells of each row that is observed, of shape (batch,)."""
    return (~x.isnan()).to(x.dtype).mean(-1)
