"""Missing cells: a Gaussian guess at them, and networks that learn to do better.

Missing cells are NaN in a tensor of rows. All is in scaled units.
"""

import copy

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from sk_autoencoder.networks import Network

__all__ = [
    "Completion",
    "GaussianFill",
    "ImputationNetwork",
    "KeepMissing",
    "NearestRows",
    "NormalScores",
    "observed_share",
    "quantile_shares",
]

HIDDEN = 64  # units of the layer that corrects the guess
N_QUANTILES = 25  # between which normal scores are interpolated
OUTERMOST = 3.0  # normal score of the highest value
LEAST_GAP = 1e-6  # between quantiles, in scaled units
FARTHEST = 2.5  # scaled units from the mean, up to which a cell counts in a distance
GUESSED = 0.5  # how much a cell that was filled in counts, on either side
LEAST_SEEN = 1e-2  # weight of the guess beside what was observed in near rows
MOST_DISTANCES = 2**22  # at once


class GaussianFill(nn.Module):
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
    >>> from sk_autoencoder.missing import GaussianFill
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


class Completion(nn.Module):
    """A guess at missing cells, corrected by a layer that sees which are missing.

    The correction starts at zero. Rows without missing cells are left as they are.

    Parameters
    ----------
    fill : GaussianFill
        The guess.
    """

    def __init__(self, fill: GaussianFill) -> None:
        super().__init__()
        self.fill = copy.deepcopy(fill)
        n_features = len(fill.mean)
        last = nn.Linear(HIDDEN, n_features)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.correction = nn.Sequential(nn.Linear(2 * n_features, HIDDEN), nn.GELU(), last)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (batch, n_features) with its missing cells filled."""
        is_missing, guess = x.isnan(), self.fill(x)
        seen = torch.cat([guess, is_missing.to(x.dtype)], dim=-1)
        return torch.where(is_missing, guess + self.correction(seen), guess)


def quantile_shares() -> Tensor:
    """Return the shares of the rows below quantiles whose normal scores are equidistant."""
    shares = Normal(0.0, 1.0).cdf(torch.linspace(-OUTERMOST, OUTERMOST, N_QUANTILES))
    shares[0], shares[-1] = 0, 1
    return shares


class NormalScores(nn.Module):
    """Give each cell the standard normal quantile of its rank in the column.

    Interpolated between quantiles of the columns; heavy tails become short ones.

    Parameters
    ----------
    quantiles : Tensor of shape (n_quantiles, n_features)
        Of the columns, for :func:`quantile_shares`.
    """

    quantiles: Tensor

    def __init__(self, quantiles: Tensor) -> None:
        super().__init__()
        self.register_buffer("quantiles", quantiles)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of `x`, both of shape (batch, n_features)."""
        gaps = self.quantiles.diff(dim=0).clamp(min=LEAST_GAP)  # equal values: a step
        way = (x[..., None, :] - self.quantiles[:-1] + LEAST_GAP / 2) / gaps
        step = 2 * OUTERMOST / len(gaps)
        return way.clamp(0, 1).sum(-2) * step - OUTERMOST


class ResidualBlock(nn.Module):
    """Two layers beside a skip connection, normalised in front."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width, elementwise_affine=False),  # the next layer is affine
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ImputationNetwork(Network):
    """A network whose code is the completed row.

    Residual blocks see the Gaussian guess, which cells are missing, and the normal scores;
    what they say is added to the guess at missing cells, from zero at the start. Observed
    cells stay as they are, and so have no error.

    Parameters
    ----------
    n_features : int
    width : int
        Units between the blocks; within one there are twice as many.
    n_blocks : int
    dropout : float
    """

    def __init__(self, n_features: int, width: int, n_blocks: int, dropout: float) -> None:
        super().__init__()
        nothing, one = torch.zeros(n_features), torch.ones(n_features)
        self.fill = GaussianFill(nothing, nothing[:, None], one, -one, one)
        self.scores = NormalScores(torch.stack([-one, one]))
        blocks = [ResidualBlock(width, dropout) for _ in range(n_blocks)]
        last = nn.Linear(width, n_features)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.Linear(3 * n_features, width), *blocks, nn.LayerNorm(width), last
        )

    def encode(self, x: Tensor) -> Tensor:
        """Return `x` (batch, n_features) with its missing cells filled."""
        is_missing, guess = x.isnan(), self.fill(x)
        seen = torch.cat([guess, is_missing.to(x.dtype), self.scores(guess)], dim=-1)
        return torch.where(is_missing, guess + self.layers(seen), guess)

    def decode(self, code: Tensor) -> Tensor:
        """Return `code`."""
        return code

    def completed(self, completion: nn.Module) -> Network:
        """Return this network, which needs nothing to fill its input."""
        return self

    def start_at(self, fill: GaussianFill, quantiles: Tensor) -> None:
        """Start at a guess, for columns of given quantiles."""
        self.fill = copy.deepcopy(fill)
        self.scores = NormalScores(quantiles)


class NearestRows(nn.Module):
    r"""Draw guesses at missing cells towards what known rows have there, near ones most.

    The mean of the cells observed in known rows :math:`y_i`, with the weights of
    Nadaraya and Watson [1]_, is

    .. math:: \sum_i w_i y_i / \sum_i w_i, \qquad w_i = e^{-d^2(x, y_i) / h}

    where both rows are completed and :math:`d^2` is the mean squared difference of their
    cells, no farther than 2.5 from the mean; cells that were filled in count half. Rows in
    which nothing was observed that `x` misses are left out, `x` itself among them, and the
    guess counts a hundredth of a row.

    Parameters
    ----------
    rows : Tensor of shape (n_rows, n_features)
        Known rows, completed.
    is_observed : Tensor of shape (n_rows, n_features)
        Which of their cells were observed: 1 or 0.
    bandwidth : float, default=1.0
        :math:`h`, positive.
    share : float, default=0.0
        How far guesses are drawn, from 0 (not at all) to 1.

    References
    ----------
    .. [1] E. A. Nadaraya, "On estimating regression", Theory of Probability and its
       Applications 9, 1964.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.missing import NearestRows
    >>> known = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    >>> nearest = NearestRows(known, torch.ones(2, 2), bandwidth=0.01, share=0.5)
    >>> nearest(torch.tensor([[0.0, torch.nan]]), torch.tensor([[0.0, 0.8]]))
    tensor([[0.0000, 0.8990]])
    """

    rows: Tensor
    is_observed: Tensor

    def __init__(
        self, rows: Tensor, is_observed: Tensor, bandwidth: float = 1.0, share: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("is_observed", is_observed)
        self.bandwidth = bandwidth
        self.share = share

    def distances(self, x: Tensor, is_missing: Tensor) -> Tensor:
        """Return squared distances (batch, n_rows) of completed rows `x` to known ones."""
        x, known = (each.clamp(-FARTHEST, FARTHEST) for each in (x, self.rows.to(x)))
        weight = 1 - (1 - GUESSED) * is_missing.to(x.dtype)
        known_weight = GUESSED + (1 - GUESSED) * self.is_observed.to(x)
        weighted = known * known_weight
        total = (weight * x.square()) @ known_weight.mT
        total = total - 2 * (weight * x) @ weighted.mT + weight @ (weighted * known).mT
        return total / (weight @ known_weight.mT)

    def average(self, distances: Tensor, guess: Tensor, is_missing: Tensor) -> Tensor:
        """Return means of observed cells (batch, n_features) of rows at `distances`.

        Where near rows have none, it is the `guess`.
        """
        is_observed = self.is_observed.to(guess)
        helps = is_missing.to(guess) @ is_observed.mT > 0
        least = torch.finfo(guess.dtype).min
        nearness = (-distances / self.bandwidth).masked_fill(~helps, least)
        weight = torch.softmax(nearness, dim=-1)
        seen, total = weight @ is_observed, weight @ (self.rows.to(guess) * is_observed)
        return (total + LEAST_SEEN * guess) / (seen + LEAST_SEEN)

    def forward(self, x: Tensor, guess: Tensor) -> Tensor:
        """Return the `guess` at rows `x` (batch, n_features), drawn at missing cells."""
        if torch.compiler.is_exporting():
            return self._draw(x, guess)
        size = max(MOST_DISTANCES // len(self.rows), 1)
        parts = zip(x.split(size), guess.split(size), strict=True)
        return torch.cat([self._draw(*part) for part in parts])

    def _draw(self, x: Tensor, guess: Tensor) -> Tensor:
        is_missing = x.isnan()
        found = self.average(self.distances(guess, is_missing), guess, is_missing)
        return torch.where(is_missing, guess.lerp(found, self.share), guess)

    def extra_repr(self) -> str:
        return f"bandwidth={self.bandwidth:.3g}, share={self.share:.2f}"


class KeepMissing(nn.Module):
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
