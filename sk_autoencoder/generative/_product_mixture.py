"""A mixture of products of categorical distributions: a density of rows of a table.

Each part of the mixture has a distribution for each column, and given the part columns are
independent. Numbers are bins.
"""

from typing import NamedTuple

import torch
from torch import Tensor

N_PARTS = (1, 10, 30, 100, 300)  # among which held-out rows choose
MIN_ROWS_PER_PART = 10  # on average: parts of single rows would be copies
PSEUDO_ROWS = 0.3  # of the whole table, in each part; benchmarks.generation, 2026-11
EM_STEPS, EM_TOLERANCE = 60, 3e-4  # nats a row
INITIAL_SHARE = 0.5  # of a random row in a part, beside the whole table
MAX_SELECTION_ROWS = 6_000
HELD_OUT_SHARE, MIN_HELD_OUT, MAX_HELD_OUT = 0.1, 15, 400
SMOOTHING_STEPS = 20
NEIGHBOR_WIDTH = 0.08  # of bins that smooth each other, as a share of the rows
LIKE_ROWS = 10.0  # weight of a part beside the rows that new rows should be like
TINY = 1e-12


class ProductMixture(NamedTuple):
    """Probabilities of the levels of each column in each part."""

    weights: Tensor  # (n_parts,)
    levels: Tensor  # (n_parts, n_levels), of the observed cells of a column they sum to one
    missing: Tensor  # (n_parts, n_columns), probability that a cell is missing


class Cells(NamedTuple):
    """Rows of an encoded table."""

    levels: Tensor  # (n_rows, n_levels), weights of levels; zeros for missing cells
    missing: Tensor  # (n_rows, n_columns) of 0 and 1

    def take(self, rows: Tensor) -> "Cells":
        """Take some of the rows."""
        return Cells(self.levels[rows], self.missing[rows])


def make_cells(encoded: Tensor, column: Tensor, n_columns: int) -> Cells:
    """Make cells of encoded rows (n_rows, n_levels), NaN where missing.

    `column` is the index (n_levels,) of the column of each level.
    """
    n_missing = encoded.new_zeros(len(encoded), n_columns)
    n_missing.index_add_(1, column, encoded.isnan().to(encoded.dtype))
    is_missing = (n_missing > 0).to(encoded.dtype)
    return Cells(encoded.nan_to_num(), is_missing)


def log_joint(mixture: ProductMixture, cells: Cells) -> Tensor:
    """Compute the log-probability (n_rows, n_parts) of each row and part."""
    missing = mixture.missing.clamp(TINY, 1 - TINY)
    return (
        log_joint_of_observed(mixture, cells.levels)
        + cells.missing @ missing.log().mT
        + (1 - cells.missing) @ (1 - missing).log().mT
    )


def log_joint_of_observed(mixture: ProductMixture, levels: Tensor) -> Tensor:
    """Compute the log-probability (n_rows, n_parts) of observed cells and each part.

    `levels` (n_rows, n_levels) are weights of levels, zeros for missing cells.
    """
    log_levels = mixture.levels.to(levels).clamp(min=TINY).log()
    return levels @ log_levels.mT + mixture.weights.to(levels).log()


def update(
    responsibilities: Tensor, cells: Cells, column: Tensor, prior: ProductMixture, n: float
) -> ProductMixture:
    """Estimate parts from responsibilities (n_rows, n_parts), and `n` rows of a prior."""
    counts = responsibilities.sum(0)
    missing = responsibilities.mT @ cells.missing + n * prior.missing
    levels = responsibilities.mT @ cells.levels + n * prior.levels
    totals = levels.new_zeros(len(levels), cells.missing.shape[1])
    totals.index_add_(1, column, levels)
    weights = counts + n * prior.weights
    return ProductMixture(
        weights / weights.sum(),
        levels / totals[:, column].clamp(min=TINY),
        missing / (counts[:, None] + n),
    )


def whole_table(cells: Cells, column: Tensor) -> ProductMixture:
    """Estimate a mixture of one part."""
    ones = cells.levels.new_ones(len(cells.levels), 1)
    nothing = ProductMixture(ones[:1, 0], cells.levels[:1] * 0, cells.missing[:1] * 0)
    return update(ones, cells, column, nothing, 0.0)


def fit_parts(cells: Cells, column: Tensor, n_parts: int) -> ProductMixture:
    """Fit a mixture by expectation maximisation, from random rows."""
    prior = whole_table(cells, column)
    if n_parts == 1:
        return prior
    prior = prior._replace(weights=prior.weights / n_parts)
    chosen = torch.randperm(len(cells.levels))[:n_parts]
    share = INITIAL_SHARE
    mixture = update(torch.eye(n_parts), cells.take(chosen), column, prior, 1 / share - 1)
    last = -torch.inf
    for _ in range(EM_STEPS):
        joint = log_joint(mixture, cells)
        total = joint.logsumexp(1, keepdim=True)
        mixture = update((joint - total).exp(), cells, column, prior, PSEUDO_ROWS)
        if total.mean() - last < EM_TOLERANCE:
            break
        last = total.mean()
    return mixture


def spread_bins(levels: Tensor, share: Tensor) -> Tensor:
    """Spread the probabilities (n_parts, n_bins) of the bins of a number over neighbours.

    `share` is the distribution (n_bins,) of the number in the whole table. Bins are as far
    apart as the share of the rows between them.
    """
    center = share.cumsum(0) - share / 2
    distance = (center[:, None] - center) / NEIGHBOR_WIDTH
    near = share * (-distance.square() / 2).exp() + TINY
    return levels @ (near / near.sum(1, keepdim=True))


def smooth(
    mixture: ProductMixture,
    fitted: Cells,
    held_out: Cells,
    column: Tensor,
    is_ordered: Tensor,
) -> ProductMixture:
    """Interpolate parts with their neighbouring bins and with the whole table.

    The weights, three for each column, are those under which held-out rows are most likely
    (deleted interpolation [1]_).

    References
    ----------
    .. [1] F. Jelinek and R. L. Mercer, "Interpolated estimation of Markov source parameters
       from sparse data", Pattern Recognition in Practice, 1980.
    """
    whole = whole_table(fitted, column).levels
    blocks = [torch.nonzero(column == j)[:, 0] for j in column.unique()]
    near = mixture.levels.clone()
    for block in blocks:
        if is_ordered[block[0]]:
            near[:, block] = spread_bins(mixture.levels[:, block], whole[0, block])
    choices = torch.stack([mixture.levels, near, whole.expand_as(near)])
    # The probability of each held-out cell, (3, n_rows, n_parts) for each column.
    cells = [held_out.levels[:, block] @ choices[:, :, block].mT for block in blocks]
    shares = torch.full((3, len(blocks)), 1 / 3)
    position = torch.bucketize(column, column.unique())
    for _ in range(SMOOTHING_STEPS):
        levels = (shares[:, None, position] * choices).sum(0)
        smoothed = mixture._replace(levels=levels)
        posterior = log_joint(smoothed, held_out).softmax(1)
        for share, p in zip(shares.T, cells, strict=True):
            mixed = torch.einsum("c,cnk->nk", share, p).clamp(min=TINY)
            gain = share * (p * (posterior / mixed)).sum((1, 2)) + 0.5
            share.copy_(gain / gain.sum())
    return smoothed


def log_likelihoods(mixture: ProductMixture, cells: Cells) -> Tensor:
    """Compute the log-likelihood (n_rows,) of each row, in nats."""
    return log_joint(mixture, cells).logsumexp(1)


def select_n_parts(cells: Cells, column: Tensor, is_ordered: Tensor) -> int:
    """Select the number of parts by the likelihood of held-out rows.

    Ten parts have to be better than one by a standard error. Beyond that the largest number
    is taken that is not worse by more: more parts keep more of the dependence between
    columns, of which the likelihood of wide rows tells little.
    """
    order = torch.randperm(len(cells.levels))[:MAX_SELECTION_ROWS]
    n_held_out = min(int(HELD_OUT_SHARE * len(order)), MAX_HELD_OUT)
    if n_held_out < MIN_HELD_OUT:
        return 1
    held_out, rest = cells.take(order[:n_held_out]), cells.take(order[n_held_out:])
    best, best_scores = 1, None
    for n_parts in N_PARTS:
        if n_parts > 1 and len(rest.levels) < MIN_ROWS_PER_PART * n_parts:
            break
        mixture = fit_parts(rest, column, n_parts)
        smoothed = smooth(mixture, rest, held_out, column, is_ordered)
        scores = log_likelihoods(smoothed, held_out)
        if best_scores is not None:
            gain = scores - best_scores
            error = gain.std() / len(gain) ** 0.5
            if gain.mean() <= (error if best == 1 else -error):
                break
        best, best_scores = n_parts, scores
    return best


def adapt(mixture: ProductMixture, cells: Cells, column: Tensor) -> ProductMixture:
    """Adapt a mixture to rows that new rows should be like, by one step of EM."""
    posterior = log_joint(mixture, cells).softmax(1)
    adapted = update(posterior, cells, column, mixture, LIKE_ROWS)
    weights = posterior.mean(0)
    return adapted._replace(weights=weights / weights.sum())


def restrict(mixture: ProductMixture, allowed: Tensor, column: Tensor) -> ProductMixture:
    """Condition a mixture on cells that are given.

    Parameters
    ----------
    mixture : ProductMixture
    allowed : Tensor of shape (n_levels,)
        Probability, given a level, of what is given of its column: NaN in columns of which
        nothing is given.
    column : Tensor of shape (n_levels,)

    Returns
    -------
    conditional : ProductMixture
        Given columns are never missing. The weights are zero if no part allows the cells.
    """
    is_given = ~allowed.isnan()
    joint = mixture.levels * allowed.nan_to_num(1.0)
    totals = torch.zeros_like(mixture.missing).index_add_(1, column, joint)
    given = torch.zeros(mixture.missing.shape[1], dtype=torch.bool)
    given[column[is_given]] = True
    evidence = (totals * (1 - mixture.missing))[:, given].prod(1)
    weights = mixture.weights * evidence
    return ProductMixture(
        weights / weights.sum().clamp(min=TINY**2),
        joint / totals[:, column].clamp(min=TINY**2),
        torch.where(given, 0.0, mixture.missing),
    )


def sample_cells(mixture: ProductMixture, column: Tensor, n_rows: int) -> Tensor:
    """Sample encoded rows (n_rows, n_levels): a one for a level, NaN for missing cells."""
    part = torch.multinomial(mixture.weights, n_rows, replacement=True)
    levels = mixture.levels[part]
    rows = torch.zeros_like(levels)
    for j in column.unique():
        where = torch.nonzero(column == j)[:, 0]
        drawn = torch.multinomial(levels[:, where], 1)[:, 0]
        rows[torch.arange(n_rows), where[drawn]] = 1.0
    is_missing = torch.rand(n_rows, mixture.missing.shape[1]) < mixture.missing[part]
    return torch.where(is_missing[:, column], torch.nan, rows)
