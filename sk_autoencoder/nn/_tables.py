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
from sk_autoencoder.nn._losses import Error, Loss, observed_error, squared_error
from sk_autoencoder.nn._missing import observed_share
from sk_autoencoder.nn._scalers import Scaler
from sk_autoencoder.utils._torch_compat import is_exporting

# Width of the bend of a probability at zero, in standard deviations of the level.
PROBABILITY_WIDTH = 0.2
LINEAR_SOFTPLUS = -15.0  # below it the logarithm of a softplus is its argument
NO_LEVEL = -1e4  # logit of padding: its probability is zero


class TableLayout(NamedTuple):
    """Entries of an encoded row, and their scale."""

    column: np.ndarray  # (n_entries,), index of the column of each entry
    is_category: np.ndarray  # (n_columns,)
    is_number: np.ndarray  # (n_entries,), whether an entry is the value of its column
    is_level: np.ndarray  # (n_entries,), whether an entry is a level of a category
    center: np.ndarray  # (n_entries,), mean; the frequency of a level
    scale: np.ndarray  # (n_entries,)

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


class TableScaler(Scaler):
    """Scale encoded tables such that each column has a total variance of one.

    Parameters
    ----------
    layout : TableLayout
    """

    is_target: Tensor

    def __init__(self, layout: TableLayout) -> None:
        super().__init__(torch.from_numpy(layout.center), torch.from_numpy(layout.scale))
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
    positive predictions hardly change.

    Parameters
    ----------
    layout : TableLayout
    """

    levels: Tensor
    center: Tensor
    scale: Tensor
    width: Tensor
    shift: Tensor
    is_padding: Tensor
    position: Tensor  # of each entry among the padded levels
    is_level: Tensor

    def __init__(self, layout: TableLayout) -> None:
        super().__init__()
        blocks = layout.categories()
        shape = len(blocks), max((len(block) for block in blocks), default=1)
        entries = np.full(shape, -1)
        for row, block in zip(entries, blocks, strict=True):
            row[: len(block)] = block
        is_padding = entries < 0
        entries[is_padding] = 0
        p = np.where(is_padding, 0.5, layout.center[entries]).clip(1e-6, 1)
        width = PROBABILITY_WIDTH * np.sqrt(p * (1 - p)).clip(1e-3)
        y = p / width
        shift = y + np.log1p(-np.exp(-y))  # softplus(shift) = p / width
        scale = np.where(is_padding, 0, layout.scale[entries])
        arrays = {"center": np.where(is_padding, 0, p), "scale": scale}
        arrays |= {"width": width, "shift": shift}
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array).float())
        self.register_buffer("levels", torch.from_numpy(entries))
        self.register_buffer("is_padding", torch.from_numpy(is_padding))
        position = np.zeros(len(layout.column), dtype=int)
        for i, block in enumerate(blocks):
            position[block] = i * shape[1] + np.arange(len(block))
        self.register_buffer("position", torch.from_numpy(position))
        self.register_buffer("is_level", torch.from_numpy(layout.is_level))

    def select(self, rows: Tensor) -> Tensor:
        """Gather the levels of `rows` (..., n_entries), (..., n_categories, n_levels)."""
        flat = take_entries(rows, self.levels.flatten())
        return flat.unflatten(-1, self.levels.shape)

    def log_probabilities(self, output: Tensor) -> Tensor:
        """Compute logarithms of probabilities, (..., n_categories, n_levels)."""
        slope = (self.scale / self.width).to(output)
        y = self.shift.to(output) + slope * self.select(output)
        log_softplus = F.softplus(y.clamp(min=LINEAR_SOFTPLUS)).log()
        logits = log_softplus + (y - LINEAR_SOFTPLUS).clamp(max=0)
        logits = logits + self.width.to(output).log()
        return logits.masked_fill(self.is_padding.to(y.device), NO_LEVEL).log_softmax(-1)

    def targets(self, x: Tensor) -> Tensor:
        """Compute the probabilities of scaled rows `x`; zeros where they are missing."""
        levels = self.select(x) * self.scale.to(x) + self.center.to(x)
        return levels.nan_to_num()

    def forward(self, output: Tensor) -> Tensor:
        """Compute the probabilities of the levels, (..., n_categories, n_levels)."""
        return self.log_probabilities(output).exp()

    def draw(self, rows: Tensor) -> Tensor:
        """Draw levels of encoded `rows`, not scaled, that hold their probabilities."""
        p = self.select(rows).clamp(min=0).masked_fill(self.is_padding.to(rows.device), 0)
        uniform = torch.rand_like(p).clamp(min=torch.finfo(p.dtype).tiny)
        level = (p.log() - (-uniform.log()).log()).argmax(-1, keepdim=True)  # Gumbel's
        drawn = torch.zeros_like(p).scatter(-1, level, 1.0)
        return self.put(drawn, rows)

    def put(self, levels: Tensor, rows: Tensor) -> Tensor:
        """Put `levels` (..., n_categories, n_levels) into `rows` (..., n_entries)."""
        flat = take_entries(levels.flatten(-2), self.position)
        return torch.where(self.is_level.to(rows.device), flat, rows)


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
        if not len(parts.levels):
            return output
        scale = torch.where(parts.is_padding, 1.0, parts.scale).to(output)
        return parts.put((parts(output) - parts.center.to(output)) / scale, output)


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

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the errors (batch,) of rows `x` (batch, n_entries)."""
        rows = (take_entries(t, self.numbers) for t in (output, x))
        total = observed_error(self.error, 0.0, *rows)
        return total + 2 * self.cross_entropies(output, x).sum(-1)

    def cross_entropies(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the cross-entropy of each category, (batch, n_categories), in nats."""
        log_p = self.probabilities.log_probabilities(output)
        return -(self.probabilities.targets(x) * log_p).sum(-1)

    def by_column(self, output: Tensor, x: Tensor) -> Tensor:
        """Compute the error of each cell, (batch, n_columns); NaN for missing cells.

        Absolute errors in scaled units for numbers, cross-entropies in nats for categories.
        """
        errors = [take_entries(t, self.numbers) for t in (output, x)]
        parts = [(errors[0] - errors[1]).abs(), self.cross_entropies(output, x)]
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
        log_p = self.probabilities.log_probabilities(output)
        cross_entropies = -(self.probabilities.targets(x) * log_p).sum(-1)
        return torch.where(is_counted, nll, 0.0).sum(-1) + cross_entropies.sum(-1)

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
