"""Encoded tables: which entries belong to a column, levels as probabilities, errors.

A column of a table is one or more entries of an encoded row. A category has an entry for
each level.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sk_autoencoder.nn._likelihoods import Likelihood
from sk_autoencoder.nn._losses import (
    Error,
    Loss,
    observed_error,
    squared_error,
    takes_members,
)
from sk_autoencoder.nn._missing import observed_share
from sk_autoencoder.nn._scalers import Scaler
from sk_autoencoder.utils._torch_compat import is_exporting

# Width of the bend of a probability at zero, in standard deviations of the level.
PROBABILITY_WIDTH = 0.2
LINEAR_SOFTPLUS = -15.0  # below it a softplus is an exponential


class TableLayout(NamedTuple):
    """Entries of an encoded row, and their scale."""

    column: np.ndarray  # (n_entries,), index of the column of each entry
    is_category: np.ndarray  # (n_columns,)
    is_number: np.ndarray  # (n_entries,), whether an entry is the value of its column
    is_level: np.ndarray  # (n_entries,), whether an entry is a level of a category
    center: np.ndarray  # (n_entries,), mean; the frequency of a level
    scale: np.ndarray  # (n_entries,)
    # (n_entries,), whether an entry is the sum of its level and the later ones of the
    # column, which has an order; None for no such column.
    is_sum: np.ndarray | None = None

    @property
    def n_columns(self) -> int:
        """Number of columns of the table."""
        return len(self.is_category)

    @property
    def width(self) -> np.ndarray:
        """Number of entries of each column, of shape (n_columns,)."""
        return np.bincount(self.column, minlength=self.n_columns)

    def categories(self) -> list[np.ndarray]:
        """List the entries of each category."""
        wanted = np.flatnonzero(self.is_category & (self.width > 0))
        return [np.flatnonzero(self.column == column) for column in wanted]


def take_entries(rows: Tensor, index: Tensor) -> Tensor:
    """Take the entries `index` of rows (..., n_entries), along the last axis."""
    index = index.to(rows.device)
    if is_exporting():  # torch's exporter fixes the number of rows of index_select in vmap
        return rows[..., index]
    return rows.index_select(-1, index)  # with gradients twice as fast


def find_parts(layout: TableLayout, levels: np.ndarray) -> np.ndarray:
    """Mark the levels (n_levels,) whose entry holds the next level too."""
    if layout.is_sum is None:
        return np.zeros(len(levels), dtype=bool)
    is_last = np.diff(layout.column[levels], append=-1) != 0
    return layout.is_sum[levels] & ~is_last


class TableScaler(Scaler):
    """Scale encoded tables such that each column has a total variance of one.

    Parameters
    ----------
    layout : TableLayout
    """

    is_target: Tensor

    def __init__(self, layout: TableLayout) -> None:
        super().__init__(torch.tensor(layout.center), torch.tensor(layout.scale))
        is_target = layout.is_number | layout.is_level
        self.register_buffer("is_target", torch.from_numpy(is_target))

    @property
    def units(self) -> np.ndarray:
        """Units of entries; infinite for those that are no value of a column."""
        return torch.where(self.is_target, self.scale, torch.inf).cpu().numpy()


class LevelProbabilities(nn.Module):
    r"""Probabilities of the levels of each category, from outputs in scaled units.

    An output :math:`o` is a probability in scaled units, as a linear model predicts it,
    and perhaps negative. Probabilities are

    .. math:: p_k = \frac{q_k}{\sum_l q_l}, \qquad
       q_k = w_k \log\big(1 + e^{u_k + s o_k / w_k}\big)

    with the scale :math:`s` of the category. The width :math:`w_k` and the shift
    :math:`u_k` are such that outputs of zero give the frequencies of the levels, and that
    positive predictions hardly change. Where an entry is the sum of a level and the later
    ones, :math:`o_k` is its output less that of the next entry.

    Parameters
    ----------
    layout : TableLayout
    """

    levels: Tensor  # (n_levels,), entries of all levels
    next_levels: Tensor  # (n_levels,), entry of the next level, if it is part of a sum
    is_part: Tensor  # (n_levels,), whether it is
    sums: Tensor  # (n_levels, n_levels), entries that hold each level
    segments: Tensor  # (n_levels, n_categories), one for the category of a level
    center: Tensor
    scale: Tensor
    width: Tensor
    shift: Tensor
    position: Tensor  # (n_entries,), of each entry among the levels
    is_level: Tensor

    def __init__(self, layout: TableLayout) -> None:
        super().__init__()
        blocks = layout.categories()
        levels = np.concatenate([*blocks, np.empty(0, int)]).astype(int)
        columns = layout.column[levels]
        segments = columns[:, None] == [layout.column[block[0]] for block in blocks]
        is_part = find_parts(layout, levels)
        next_levels = np.where(is_part, np.roll(levels, -1), levels)
        p = layout.center[levels] - is_part * layout.center[next_levels]
        p = p.clip(1e-6, 1)
        width = PROBABILITY_WIDTH * np.sqrt(p * (1 - p)).clip(1e-3)
        y = p / width
        position = np.zeros(len(layout.column), dtype=int)
        position[levels] = np.arange(len(levels))
        floats = {
            "segments": segments.reshape(len(levels), len(blocks)),
            "center": p,
            "scale": layout.scale[levels],
            "width": width,
            "shift": y + np.log1p(-np.exp(-y)),  # its softplus is p / width
        }
        for name, array in floats.items():
            self.register_buffer(name, torch.from_numpy(array.astype(np.float32)))
        self.has_sums = bool(is_part.any())
        if self.has_sums:
            place, run = np.arange(len(levels)), np.cumsum(~is_part) + is_part
            sums = (run[:, None] == run) & (place[:, None] >= place)
            self.register_buffer("sums", torch.from_numpy(sums.astype(np.float32)))
            self.register_buffer("next_levels", torch.from_numpy(next_levels))
            self.register_buffer("is_part", torch.from_numpy(is_part.astype(np.float32)))
        self.register_buffer("levels", torch.from_numpy(levels))
        self.register_buffer("position", torch.from_numpy(position))
        self.register_buffer("is_level", torch.from_numpy(layout.is_level))

    def _take_levels(self, rows: Tensor) -> Tensor:
        """Take the levels (..., n_levels) of rows, of sums their differences."""
        levels = take_entries(rows, self.levels)
        if not self.has_sums:
            return levels
        return levels - self.is_part.to(rows) * take_entries(rows, self.next_levels)

    def _weigh(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Compute :math:`q_k`, (..., n_levels), and how far its argument is too small."""
        slope = (self.scale / self.width).to(output)
        y = self.shift.to(output) + slope * self._take_levels(output)
        q = self.width.to(output) * F.softplus(y.clamp(min=LINEAR_SOFTPLUS))
        return q, (y - LINEAR_SOFTPLUS).clamp(max=0)

    def _totals(self, q: Tensor) -> Tensor:
        """Sum over the levels of a category, for each level."""
        segments = self.segments.to(q)
        return q @ segments @ segments.mT

    def forward(self, output: Tensor) -> Tensor:
        """Compute the probabilities of all levels, (..., n_levels)."""
        q, _ = self._weigh(output)
        return q / self._totals(q)

    def cross_entropies(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the cross-entropy (..., n_categories) of each category of rows `x`.

        A softplus of far below zero is its exponential, whose logarithm is linear.
        """
        q, excess = self._weigh(output)
        log_p = q.log() + excess - self._totals(q).log()
        return -(self.targets(x) * log_p) @ self.segments.to(x)

    def targets(self, x: Tensor) -> Tensor:
        """Compute the probabilities of scaled rows `x`; zeros where they are missing."""
        levels = self._take_levels(x)
        return (levels * self.scale.to(x) + self.center.to(x)).nan_to_num()

    def draw(self, rows: Tensor) -> Tensor:
        """Draw levels of encoded `rows`, not scaled, that hold their probabilities."""
        p = self._take_levels(rows).clamp(min=0)
        uniform = torch.rand_like(p).clamp(min=torch.finfo(p.dtype).tiny)
        score = p.log() - (-uniform.log()).log()  # Gumbel's: the largest is drawn
        is_drawn = torch.zeros_like(p)
        for members in self.segments.T > 0:
            best = score[..., members].argmax(-1, keepdim=True)
            chosen = torch.zeros_like(score[..., members]).scatter(-1, best, 1.0)
            is_drawn[..., members] = chosen
        return self.put(is_drawn, rows)

    def put(self, levels: Tensor, rows: Tensor) -> Tensor:
        """Put `levels` (..., n_levels) into `rows` (..., n_entries)."""
        if not len(self.levels):
            return rows
        if self.has_sums:
            levels = levels @ self.sums.to(levels)
        entries = take_entries(levels, self.position)
        return torch.where(self.is_level.to(rows.device), entries, rows)


class TableLink(nn.Module):
    """Replace outputs of categories by their probabilities, in scaled units.

    Parameters
    ----------
    layout : TableLayout
    """

    def __init__(self, layout: TableLayout) -> None:
        super().__init__()
        self.probabilities = LevelProbabilities(layout)

    def forward(self, output: Tensor) -> Tensor:
        """Map outputs (..., n_entries) to scaled rows."""
        parts = self.probabilities
        scaled = (parts(output) - parts.center.to(output)) / parts.scale.to(output)
        return parts.put(scaled, output)


class TableError(nn.Module):
    r"""Sum errors over the columns of a table, each counted once.

    The error of a number is `error` of its scaled entry. The error of a category is twice
    the cross-entropy of its levels: with the squared error, the sum is twice the negative
    log-likelihood of Gaussian numbers of unit variance and of categories. Missing cells
    have no error.

    Parameters
    ----------
    layout : TableLayout
    error : callable, default=squared_error
        ``(output, x) -> (batch,)`` of entries of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sk_autoencoder.nn import squared_error
    >>> from sk_autoencoder.nn._tables import TableError, TableLayout
    >>> scale = np.array([1.0, 0.5**0.5, 0.5**0.5])
    >>> is_number = np.array([True, False, False])
    >>> layout = TableLayout(
    ...     column=np.array([0, 1, 1]),
    ...     is_category=np.array([False, True]),
    ...     is_number=is_number,
    ...     is_level=~is_number,
    ...     center=np.full(3, 0.5),
    ...     scale=scale,
    ... )
    >>> x = torch.tensor([[1.0, 0.5**0.5, -(0.5**0.5)]])
    >>> TableError(layout, squared_error)(torch.zeros(1, 3), x)  # 1 + 2 log(2)
    tensor([2.3863])
    """

    numbers: Tensor
    order: Tensor
    first: Tensor
    is_empty: Tensor

    def __init__(self, layout: TableLayout, error: Error = squared_error) -> None:
        super().__init__()
        self.error = error
        self.probabilities = LevelProbabilities(layout)
        blocks = layout.categories()
        numbers = np.flatnonzero(layout.is_number)
        self.register_buffer("numbers", torch.from_numpy(numbers))
        order = np.zeros(layout.n_columns, dtype=int)
        order[layout.column[numbers]] = np.arange(len(numbers))
        for i, block in enumerate(blocks):
            order[layout.column[block]] = len(numbers) + i
        self.register_buffer("order", torch.from_numpy(order))
        first = np.zeros(layout.n_columns, dtype=int)
        first[layout.column[::-1]] = np.arange(len(layout.column))[::-1]
        self.register_buffer("first", torch.from_numpy(first))
        self.register_buffer("is_empty", torch.from_numpy(layout.width == 0))

    @property
    def takes_members(self) -> bool:
        """Whether the error takes rows (n_members, batch, n_entries) too."""
        return takes_members(self.error)

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the errors (batch,) of rows `x` (batch, n_entries)."""
        rows = (take_entries(t, self.numbers) for t in (output, x))
        total = observed_error(self.error, 0.0, *rows)
        return total + 2 * self.probabilities.cross_entropies(output, x).sum(-1)

    def by_column(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the error of each cell, (batch, n_columns); NaN for missing cells.

        Absolute errors in scaled units for numbers, cross-entropies in nats for categories.
        """
        errors = [take_entries(t, self.numbers) for t in (output, x)]
        surprises = self.probabilities.cross_entropies(output, x)
        parts = [(errors[0] - errors[1]).abs(), surprises]
        cells = take_entries(torch.cat(parts, -1), self.order)
        return torch.where(self.first_entries(x).isnan(), torch.nan, cells)

    def first_entries(self, rows: Tensor) -> Tensor:
        """Gather the first entry of each column, NaN for missing cells."""
        entries = take_entries(rows, self.first)
        return entries.masked_fill(self.is_empty.to(rows.device), torch.nan)

    def observed_share(self, x: Tensor) -> Tensor:
        """Compute the fraction of observed columns of each row, of shape (batch,).

        A row without an observed cell counts as one: its error of 0 stays 0.
        """
        return observed_share(self.first_entries(x))


class TableLikelihood(Likelihood):
    """Likelihood of the cells of encoded tables: numbers and categories.

    Categories have the probabilities of :class:`LevelProbabilities`.

    Parameters
    ----------
    layout : TableLayout
    numbers : Likelihood
        Of the entries of numbers; given all entries.
    """

    is_number: Tensor

    def __init__(self, layout: TableLayout, numbers: Likelihood) -> None:
        super().__init__(len(layout.column))
        self.numbers = numbers
        self.probabilities = LevelProbabilities(layout)
        self.register_buffer("is_number", torch.from_numpy(layout.is_number))

    def start_from(self, center: Tensor, scale: Tensor, variance: Tensor) -> None:
        """Store the scaling of X, and initialise the noise `variance` of numbers."""
        super().start_from(center, scale, variance)
        self.numbers.start_from(center, scale, variance)

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the negative log-likelihood of each row of `x`, of shape (batch,)."""
        is_counted = self.is_number & ~x.isnan()
        nll = self.numbers.nll_per_entry(output, torch.where(is_counted, x, 0.0))
        surprises = self.probabilities.cross_entropies(output, x)
        return torch.where(is_counted, nll, 0.0).sum(-1) + surprises.sum(-1)

    def sample(self, mean: Tensor) -> Tensor:
        """Draw rows with the given `mean` (batch, n_entries), in the units of X."""
        rows = torch.where(self.is_number, self.numbers.sample(mean), mean)
        return self.probabilities.draw(rows)

    def log_abs_det_jacobian(self) -> Tensor:
        """Compute the logarithms of the scales of numbers; zeros for other entries."""
        return torch.where(self.is_number, self.numbers.log_abs_det_jacobian(), 0.0)


def make_table_loss(layout: TableLayout, loss: Loss) -> Loss:
    """Make the loss of encoded tables, with the error of `loss` for numbers."""
    error = TableError(layout, loss.error)
    return Loss(
        error,
        link=partial(TableLink, layout),
        skips_missing=True,
        observed_share=error.observed_share,
    )
