"""Networks whose input is rows with missing entries."""

import copy

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from sk_autoencoder.nn._base import Network, map_parts
from sk_autoencoder.nn._dense import Dropout, Linear
from sk_autoencoder.nn._missing import ConditionalMeanImputer, FactorModelImputer

N_QUANTILES = 25  # of each column, between which normal scores are interpolated
MAX_NORMAL_SCORE = 3.0  # of the largest value of a column
MIN_QUANTILE_GAP = 1e-6  # in scaled units
MAX_DEVIATION = 2.5  # scaled units from the mean, to which entries of distances are clipped
IMPUTED_WEIGHT = 0.5  # of an imputed entry in a distance; an observed entry has weight 1
PRIOR_WEIGHT = 1e-2  # of the guess in the kernel-weighted mean
MAX_ENTRIES = 2**18  # of distances, and of entries less quantiles, computed at once


def quantile_levels() -> Tensor:
    """Compute the levels of quantiles whose normal scores are equidistant."""
    scores = torch.linspace(-MAX_NORMAL_SCORE, MAX_NORMAL_SCORE, N_QUANTILES)
    levels = Normal(0.0, 1.0).cdf(scores)
    levels[0], levels[-1] = 0, 1
    return levels


class RankToNormal(nn.Module):
    """Map each entry to the standard normal quantile of its rank in the column.

    Ranks are interpolated between quantiles of the column. The map shortens heavy tails.

    Parameters
    ----------
    quantiles : Tensor of shape (n_quantiles, n_features)
        Quantiles of the columns at :func:`quantile_levels`; stacked for an ensemble.
    """

    quantiles: Tensor

    def __init__(self, quantiles: Tensor) -> None:
        super().__init__()
        self.register_buffer("quantiles", quantiles)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the normal scores of `x`, both of shape (batch, n_features)."""
        size = max(MAX_ENTRIES // (N_QUANTILES * x.shape[-1]), 1)
        return map_parts(self._compute_scores, size, x)

    def _compute_scores(self, x: Tensor) -> Tensor:
        # Equal quantiles become a step of small width.
        is_stacked = self.quantiles.ndim > 2
        quantiles = self.quantiles[:, None] if is_stacked else self.quantiles
        gaps = quantiles.diff(dim=-2).clamp(min=MIN_QUANTILE_GAP)
        below = quantiles[..., :-1, :]
        fraction = x[..., None, :] - below  # n_quantiles times as large as x
        fraction.add_(MIN_QUANTILE_GAP / 2).div_(gaps)
        step = 2 * MAX_NORMAL_SCORE / gaps.shape[-2]
        return fraction.clamp(0, 1).sum(-2) * step - MAX_NORMAL_SCORE


class ResidualBlock(nn.Module):
    """Two layers with layer normalisation before and a skip connection beside them."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width, elementwise_affine=False),  # the next layer is affine
            Linear(width, 2 * width),
            nn.GELU(),
            Dropout(dropout),
            Linear(2 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ImputationNetwork(Network):
    """Network whose code is the imputed row.

    The input of the residual blocks is the guess of a normal model, the mask of missing
    entries and the normal scores. The output of the blocks, initially zero, is added to the
    guess at missing entries. Observed entries do not change, so they have no error.

    Parameters
    ----------
    n_features : int
    width : int
        Units between the blocks. A block has twice as many hidden units.
    n_blocks : int
    dropout : float
    """

    def __init__(self, n_features: int, width: int, n_blocks: int, dropout: float) -> None:
        super().__init__()
        zeros, ones = torch.zeros(n_features), torch.ones(n_features)
        self.fill = FactorModelImputer(zeros, zeros[:, None], ones, -ones, ones)
        self.scores = RankToNormal(torch.stack([-ones, ones]))
        blocks = [ResidualBlock(width, dropout) for _ in range(n_blocks)]
        last = Linear(width, n_features)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        norm = nn.LayerNorm(width, elementwise_affine=False)
        first = Linear(3 * n_features, width)
        self.layers = nn.Sequential(first, *blocks, norm, last)

    @property
    def takes_members(self) -> bool:
        """Whether it takes the stacked weights of an ensemble: all layers do."""
        return True

    def encode(self, x: Tensor) -> Tensor:
        """Impute the missing entries of `x` (batch, n_features)."""
        is_missing, guess = x.isnan(), self.fill(x)
        inputs = torch.cat([guess, is_missing.to(x.dtype), self.scores(guess)], dim=-1)
        return torch.where(is_missing, guess + self.layers(inputs), guess)

    def decode(self, code: Tensor) -> Tensor:
        """Decode by the identity: the code is the imputed row."""
        return code

    def with_imputation(self, completion: nn.Module) -> Network:
        """Return this network, which imputes its input itself."""
        return self

    def start_at(self, fill: ConditionalMeanImputer, quantiles: Tensor) -> None:
        """Initialise at a normal model, for columns of given quantiles."""
        self.fill = copy.deepcopy(fill)
        self.scores = RankToNormal(quantiles)


class KernelRegressionImputer(nn.Module):
    r"""Shrink imputed values towards a kernel-weighted mean of reference rows.

    The kernel-weighted mean of the observed entries of reference rows :math:`y_i` [1]_ is

    .. math:: \sum_i w_i y_i / \sum_i w_i, \qquad w_i = e^{-d^2(x, y_i) / h}

    where both rows are imputed and :math:`d^2` is the mean squared difference of their
    entries, clipped to 2.5 scaled units from the mean. Imputed entries have weight 0.5.
    Reference rows without an observed value at the missing entries of `x` are left out,
    `x` itself among them. The guess has a weight of 0.01.

    Parameters
    ----------
    rows : Tensor of shape (n_rows, n_features)
        Reference rows, imputed.
    is_observed : Tensor of shape (n_rows, n_features)
        Whether an entry was observed: 1 or 0.
    bandwidth : float, default=1.0
        :math:`h`, positive.
    weight : float, default=0.0
        Weight of the mean, from 0 (guess) to 1 (mean).

    References
    ----------
    .. [1] E. A. Nadaraya, "On estimating regression", Theory of Probability and its
       Applications 9, 1964.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.impute._network import KernelRegressionImputer
    >>> rows = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    >>> observed = torch.ones(2, 2)
    >>> imputer = KernelRegressionImputer(rows, observed, bandwidth=0.01, weight=0.5)
    >>> imputer(torch.tensor([[0.0, torch.nan]]), torch.tensor([[0.0, 0.8]]))
    tensor([[0.0000, 0.8990]])
    """

    rows: Tensor
    is_observed: Tensor

    def __init__(
        self, rows: Tensor, is_observed: Tensor, bandwidth: float = 1.0, weight: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("is_observed", is_observed)
        self.bandwidth = bandwidth
        self.weight = weight

    @property
    def chunk_size(self) -> int:
        """Number of rows whose distances to all reference rows are computed at once."""
        return max(MAX_ENTRIES // len(self.rows), 1)

    def distances(self, x: Tensor, is_missing: Tensor) -> Tensor:
        """Compute squared distances (batch, n_rows) of imputed rows to reference rows."""
        reference = self.rows.to(x).clamp(-MAX_DEVIATION, MAX_DEVIATION)
        x = x.clamp(-MAX_DEVIATION, MAX_DEVIATION)
        weight = 1 - (1 - IMPUTED_WEIGHT) * is_missing.to(x.dtype)
        reference_weight = IMPUTED_WEIGHT + (1 - IMPUTED_WEIGHT) * self.is_observed.to(x)
        weighted = reference * reference_weight
        total = (weight * x.square()) @ reference_weight.mT
        total = total - 2 * (weight * x) @ weighted.mT + weight @ (weighted * reference).mT
        return total / (weight @ reference_weight.mT)

    def average(self, distances: Tensor, guess: Tensor, is_missing: Tensor) -> Tensor:
        """Average observed entries (batch, n_features) of reference rows by `distances`.

        The average is the `guess` if near rows have no observed value.
        """
        is_observed = self.is_observed.to(guess)
        is_usable = is_missing.to(guess) @ is_observed.mT > 0
        smallest = torch.finfo(guess.dtype).min
        log_weight = (-distances / self.bandwidth).masked_fill(~is_usable, smallest)
        weight = torch.softmax(log_weight.clamp(min=smallest), dim=-1)
        total = weight @ (self.rows.to(guess) * is_observed)
        return (total + PRIOR_WEIGHT * guess) / (weight @ is_observed + PRIOR_WEIGHT)

    def forward(
        self, x: Tensor, guess: Tensor, is_excluded: Tensor | None = None
    ) -> Tensor:
        """Shrink the `guess` at the missing entries of `x`, both (batch, n_features).

        `is_excluded` (batch, n_rows) tells which reference rows to leave out.
        """
        rows = [x, guess] if is_excluded is None else [x, guess, is_excluded]
        return map_parts(self._shrink, self.chunk_size, *rows)

    def _shrink(
        self, x: Tensor, guess: Tensor, is_excluded: Tensor | None = None
    ) -> Tensor:
        is_missing = x.isnan()
        distances = self.distances(guess, is_missing)
        if is_excluded is not None:
            distances = distances.masked_fill(is_excluded, torch.inf)
        mean = self.average(distances, guess, is_missing)
        return torch.where(is_missing, guess.lerp(mean, self.weight), guess)

    def extra_repr(self) -> str:
        return f"bandwidth={self.bandwidth:.3g}, weight={self.weight:.2f}"
