"""Networks that see rows with missing entries."""

import copy

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._missing import FactorModelImputer
from sk_autoencoder.utils._torch_compat import is_exporting

N_QUANTILES = 25  # between which normal scores are interpolated
OUTERMOST = 3.0  # normal score of the highest value
LEAST_GAP = 1e-6  # between quantiles, in scaled units
FARTHEST = 2.5  # scaled units from the mean, up to which a cell counts in a distance
GUESSED = 0.5  # how much a cell that was filled in counts, on either side
LEAST_SEEN = 1e-2  # weight of the guess beside what was observed in near rows
MOST_DISTANCES = 2**22  # at once


def quantile_levels() -> Tensor:
    """Return the shares of the rows below quantiles whose normal scores are equidistant."""
    shares = Normal(0.0, 1.0).cdf(torch.linspace(-OUTERMOST, OUTERMOST, N_QUANTILES))
    shares[0], shares[-1] = 0, 1
    return shares


class RankToNormal(nn.Module):
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
        self.fill = FactorModelImputer(nothing, nothing[:, None], one, -one, one)
        self.scores = RankToNormal(torch.stack([-one, one]))
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

    def with_imputation(self, completion: nn.Module) -> Network:
        """Return this network, which needs nothing to fill its input."""
        return self

    def start_at(self, fill: FactorModelImputer, quantiles: Tensor) -> None:
        """Start at a guess, for columns of given quantiles."""
        self.fill = copy.deepcopy(fill)
        self.scores = RankToNormal(quantiles)


class KernelRegressionImputer(nn.Module):
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
    >>> from sk_autoencoder.nn import NearestRows
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
        self.weight = share

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
        if is_exporting():
            return self._draw(x, guess)
        size = max(MOST_DISTANCES // len(self.rows), 1)
        parts = zip(x.split(size), guess.split(size), strict=True)
        return torch.cat([self._draw(*part) for part in parts])

    def _draw(self, x: Tensor, guess: Tensor) -> Tensor:
        is_missing = x.isnan()
        found = self.average(self.distances(guess, is_missing), guess, is_missing)
        return torch.where(is_missing, guess.lerp(found, self.weight), guess)

    def extra_repr(self) -> str:
        return f"bandwidth={self.bandwidth:.3g}, share={self.weight:.2f}"
