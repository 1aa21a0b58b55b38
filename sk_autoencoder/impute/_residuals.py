"""Multiple imputation by networks on bootstrapped rows, and residuals of other rows."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sk_autoencoder.core._columns import NumericColumns
from sk_autoencoder.core._data import RowDataset, spread_indices
from sk_autoencoder.core._inference import map_array
from sk_autoencoder.impute._neighbors import (
    column_of_entries,
    equal_rows,
    impute,
    list_member_rows,
    member_predictions,
    scaled_rows,
)
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._tables import TableLink

MAX_BLOCKS = 30  # of columns, drawn in turn; more columns share blocks
MAX_RESIDUAL_ROWS = 1_000
N_DONORS = 20  # of a residual: held-out cells with the nearest guesses
MIN_NOISE_SHARE = 0.25  # of the variance of residuals, whatever the members' spread

# ``(x, guess, is_excluded=None) -> guess``, of scaled rows
Correction = Callable[..., Tensor]


class ResidualSampler(nn.Module):
    r"""Sample an entry given its guess: add a residual of a held-out cell like it [1]_.

    The residual is drawn from those of the 20 held-out cells of the column with the nearest
    guesses, so that the spread may depend on the guess. Guesses of members trained on
    bootstrapped rows vary too. Residuals are scaled such that both variances together are
    the mean squared error of the ensemble.

    Parameters
    ----------
    guesses : Tensor of shape (n_cells, n_features)
        Guesses of held-out cells in scaled units, in ascending order; infinity where a
        column has fewer cells.
    residuals : Tensor of shape (n_cells, n_features)
        Residuals of these cells.

    References
    ----------
    .. [1] T. P. Morris, I. R. White and P. Royston, "Tuning multiple imputation by
       predictive mean matching and local residual draws", BMC Medical Research Methodology
       14, 2014.
    """

    guesses: Tensor
    residuals: Tensor

    def __init__(self, guesses: Tensor, residuals: Tensor) -> None:
        super().__init__()
        self.register_buffer("guesses", guesses)
        self.register_buffer("residuals", residuals)

    def forward(self, guess: Tensor) -> Tensor:
        """Sample entries around the `guess` (batch, n_features)."""
        guesses = self.guesses.to(guess).mT.contiguous()
        n_cells = guesses.isfinite().sum(1, keepdim=True)
        n_donors = n_cells.clamp(max=N_DONORS)
        nearest = torch.searchsorted(guesses, guess.mT.contiguous()) - n_donors // 2
        first = nearest.clamp(min=0).minimum(n_cells - n_donors)
        donor = first + (torch.rand_like(guess.mT) * n_donors).long()
        return guess + self.residuals.to(guess).mT.gather(1, donor).mT


def fit_residuals(
    module: Autoencoder | Ensemble,
    train: RowDataset,
    valid: RowDataset | None,
    columns: NumericColumns,
    correct: Correction,
    reference: np.ndarray,
) -> ResidualSampler:
    """Collect the residuals of cells of rows that members have not seen.

    Parameters
    ----------
    module : Autoencoder or Ensemble
        The trained networks.
    train, valid : RowDataset
        The rows of each member.
    columns : NumericColumns
    correct : callable
        Corrects guesses.
    reference : ndarray of shape (n_reference,)
        Indices of the rows that it takes for near rows. A row is none of its own.
    """
    rows = list_member_rows(train, valid)
    sample = np.arange(len(train.X))
    sample = sample[spread_indices(len(sample), MAX_RESIDUAL_ROWS, train.source.weight)]
    x = scaled_rows(train.X, train.scaler, sample)
    is_new = torch.from_numpy(np.stack([~np.isin(sample, row) for row in rows], axis=1))
    n_new = is_new.sum(1, keepdim=True)
    is_equal = torch.from_numpy(equal_rows(train.X, sample, reference))
    guess, spread = torch.empty_like(x), torch.empty_like(x)
    for block in split_columns(column_of_entries(columns.column_of_entries, x.shape[1])):
        hidden = torch.where(block, torch.nan, x)
        guesses = torch.from_numpy(map_array(module, member_predictions, hidden.numpy()))
        weight = is_new[..., None].to(guesses)
        mean = (weight * guesses).sum(1) / n_new.clamp(min=1)
        square = (weight * (guesses - mean[:, None]).square()).sum(1)
        # That of a member around the mean of all; `mean` is one of few.
        variance = square / (n_new - 1).clamp(min=1) * (1 + 1 / n_new.clamp(min=1))
        corrected = correct(hidden, mean, is_equal)
        further = correct(hidden, mean + variance.sqrt(), is_equal)
        guess[:, block] = corrected[:, block]
        spread[:, block] = (further - corrected).square()[:, block]
    return collect_residuals(x, guess, spread, ~x.isnan() & (n_new > 0))


def split_columns(columns: Tensor) -> list[Tensor]:
    """Split columns at random into blocks, as masks of entries (n_features,)."""
    names = columns.unique()
    names = names[torch.randperm(len(names))]
    size = -(-len(names) // MAX_BLOCKS)
    return [torch.isin(columns, block) for block in names.split(size)]


def collect_residuals(
    x: Tensor, guess: Tensor, spread: Tensor, is_cell: Tensor
) -> ResidualSampler:
    """Collect the residuals of cells, and scale them by what the members' spread leaves.

    Parameters
    ----------
    x, guess : Tensor of shape (n_rows, n_features)
        Scaled rows and their guesses.
    spread : Tensor of shape (n_rows, n_features)
        Variance of a member's guess around `guess`.
    is_cell : Tensor of bool of shape (n_rows, n_features)
        Cells to collect. A column without any gets one with the residual 0.
    """
    guesses = torch.where(is_cell, guess, torch.inf)
    guesses[0] = torch.where(is_cell.any(0), guesses[0], 0.0)
    residuals = torch.where(is_cell, x - guess, 0.0)
    error = residuals.square().sum(0)
    share = 1 - torch.where(is_cell, spread, 0.0).sum(0) / error.clamp(min=1e-12)
    # The deviation of a new cell from the mean of n others, to theirs from their mean.
    n_cells = is_cell.sum(0).clamp(min=2)
    variance_ratio = share.clamp(min=MIN_NOISE_SHARE) * (n_cells + 1) / (n_cells - 1)
    residuals = residuals * variance_ratio.sqrt()
    order = guesses.argsort(0)
    return ResidualSampler(guesses.gather(0, order), residuals.gather(0, order))


def sample_missing_cells(
    module: Autoencoder | Ensemble,
    rows: Tensor,
    *,
    member: int,
    sampler: ResidualSampler,
    correct: Correction,
    columns: NumericColumns,
) -> Tensor:
    """Sample the missing entries of `rows` (batch, n_features), given the others.

    By the chain rule, with the network of one member: blocks of columns are sampled in
    random order [1]_, each given the observed entries and those sampled before. Levels of
    categories are sampled by their probabilities.

    Parameters
    ----------
    module : Autoencoder or Ensemble
    rows : Tensor of shape (batch, n_features)
    member : int
        Index of the member.
    sampler : ResidualSampler
        For entries of numbers.
    correct : callable
        Corrects guesses.
    columns : NumericColumns

    References
    ----------
    .. [1] B. Uria, I. Murray and H. Larochelle, "A deep and tractable density estimator",
       ICML 2014, section 4.
    """
    autoencoder = module.extract(member) if isinstance(module, Ensemble) else module
    scaler, link = autoencoder.scaler, autoencoder.link
    x = scaler.bounded(rows)
    column = column_of_entries(columns.column_of_entries, x.shape[1])

    result, is_missing = x.clone(), x.isnan()
    for block in split_columns(column):
        where = (is_missing & block.to(x.device)).any(1).nonzero().squeeze(1)
        if not len(where):
            continue
        incomplete = result[where]
        guess = correct(incomplete, impute(autoencoder, incomplete))
        drawn = sampler(guess)
        if isinstance(link, TableLink):
            levels = scaler(link.probabilities.draw(scaler.inverse(guess)))
            drawn = torch.where(link.probabilities.is_level, levels, drawn)
        is_drawn = is_missing[where] & block.to(x.device)
        result[where] = torch.where(is_drawn, drawn, incomplete)
    return scaler.match(result, rows)
