"""Imputation of missing entries by a normal model, and its correction by a network.

Missing entries are NaN in a tensor of rows. All rows are in scaled units.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sk_autoencoder.nn._base import align_rows, map_parts
from sk_autoencoder.nn._dense import Linear
from sk_autoencoder.utils._torch_compat import is_batched, is_exporting

MIN_GROUPED_ROWS = 64  # among which equal missing entries are worth the search
GROUP_ENTRIES, MIN_GROUP_ROWS = 2**18, 16  # of matrices that are solved at once
MIN_FACTOR_ROWS = 512  # whose factors are computed at once
FINGERPRINT_FACTOR = 0x9E3779B97F4A7C1  # odd: all of its powers are
MAX_MAP_BYTES = 2**25  # of the maps from observed to missing entries in training
CORRECTION_WIDTH = 64  # hidden units of the correction of the imputed values


class RowGroups(NamedTuple):
    """Groups of rows with the same missing entries."""

    of_row: Tensor  # (n_rows,), the group of each row
    example: Tensor  # (n_groups,), the index of one row of each group
    size: Tensor  # (n_groups,), numbers of rows


def group_by_missing(is_missing: Tensor) -> RowGroups:
    """Group rows by the entries that they miss, marked in (n_rows, n_features)."""
    _, of_row, size = is_missing.unique(dim=0, return_inverse=True, return_counts=True)
    example = torch.zeros_like(size)
    example[of_row] = torch.arange(len(of_row), device=of_row.device)
    return RowGroups(of_row, example, size)


class KnownPatterns:
    """Linear maps of observed to missing entries, found again by what a row misses.

    Parameters
    ----------
    is_missing : Tensor of bool, of shape (n_patterns, n_features)
        What the rows of each pattern miss.
    maps : Tensor of shape (..., n_patterns, n_features, n_features)
        Rows are of observed entries, columns of missing ones. An ensemble has members along
        the first axis.
    """

    def __init__(self, is_missing: Tensor, maps: Tensor) -> None:
        factor = torch.full(is_missing.shape[-1:], FINGERPRINT_FACTOR)
        self.factors = factor.to(is_missing.device).cumprod(0)  # modulo 2 ** 64
        self.fingerprints, order = self._fingerprint(is_missing).sort()
        self.is_missing = is_missing[order]
        self.maps = maps.index_select(-3, order)

    def find(self, is_missing: Tensor) -> Tensor | None:
        """Find the maps of rows (..., batch, n_features); None if one is not known."""
        where = torch.searchsorted(self.fingerprints, self._fingerprint(is_missing))
        where = where.clamp(max=len(self.fingerprints) - 1)
        if not torch.equal(self.is_missing[where], is_missing):
            return None
        if self.maps.ndim == 3:
            return self.maps[where]
        members = torch.arange(len(self.maps), device=where.device)
        return self.maps[members[:, None], where]

    def _fingerprint(self, is_missing: Tensor) -> Tensor:
        """Hash rows of bool (..., n_features) to integers of 64 bits."""
        return (is_missing * self.factors).sum(-1)


class ConditionalMeanImputer(nn.Module):
    """Base class: impute missing entries by their mean given the observed entries.

    The models of the members of an ensemble are stacked along a first axis of all tensors,
    and rows have the shape (n_members, batch, n_features) then.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
    low, high : Tensor of shape (n_features,)
        Range of the imputed values.
    """

    mean: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, mean: Tensor, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("low", low)
        self.register_buffer("high", high)
        self.known: KnownPatterns | None = None

    @contextmanager
    def knowing(self, is_missing: Tensor) -> Iterator[None]:
        """Within this context, impute rows that miss what these rows miss quickly.

        The conditional mean is a linear function of the observed entries, the same for all
        rows that miss the same entries, and is computed once for these.

        Parameters
        ----------
        is_missing : Tensor of bool, of shape (n_rows, n_features)
        """
        is_missing = is_missing[group_by_missing(is_missing).example]
        n_members = len(self.mean) if self.mean.ndim > 1 else 1
        n_bytes = is_missing.numel() * is_missing.shape[-1] * n_members * self.mean.itemsize
        if n_bytes <= MAX_MAP_BYTES:
            self.known = KnownPatterns(is_missing, self.linear_maps(is_missing))
        try:
            yield
        finally:
            self.known = None

    def linear_maps(self, is_missing: Tensor) -> Tensor:
        """Compute the maps (..., n_patterns, n_features, n_features) of patterns.

        The conditional mean is ``mean + (x - mean) @ map`` with observed entries of `x`.
        """
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "known": None}  # for training alone

    def conditional_mean(self, x: Tensor) -> Tensor:
        """Compute the mean of all entries given the observed entries of `x`."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Impute the missing entries of `x` (batch, n_features)."""
        if self.is_traced(x):
            return self._impute(x)
        where = x.isnan().any(-1).nonzero()[:, 0]
        if len(where) == len(x):
            return self._impute(x)
        return x.index_copy(0, where, self._impute(x[where]))

    def is_traced(self, x: Tensor) -> bool:
        """Check whether all rows are imputed: in ensembles, vmap and exports."""
        return self.mean.ndim > 1 or self.has_fixed_shapes(x)

    def has_fixed_shapes(self, x: Tensor) -> bool:
        """Check whether shapes may not depend on values: in vmap and exports."""
        return is_exporting() or is_batched(x) or is_batched(self.mean)

    def _impute(self, x: Tensor) -> Tensor:
        bounds = align_rows(self.low), align_rows(self.high)
        return torch.where(x.isnan(), self._mean_of_row(x).clamp(*bounds), x)

    def _mean_of_row(self, x: Tensor) -> Tensor:
        """Compute the conditional mean by a known map, if there is one."""
        if self.known is not None and not self.has_fixed_shapes(x):
            maps = self.known.find(x.isnan())
            if maps is not None:
                centered = self.center(x)[..., None, :]
                return align_rows(self.mean) + (centered @ maps)[..., 0, :]
        return self.conditional_mean(x)

    def center(self, x: Tensor) -> Tensor:
        """Subtract the mean from `x`; missing entries become zero."""
        return torch.where(x.isnan(), 0.0, x - align_rows(self.mean))


class GaussianImputer(ConditionalMeanImputer):
    r"""Impute missing entries by their conditional mean under a normal distribution.

    With the precision matrix :math:`\Lambda` and the mean :math:`m`, the mean of the
    missing entries :math:`u` given the observed entries :math:`o` is [1]_

    .. math:: m_u - \Lambda_{uu}^{-1} \Lambda_{uo} (x_o - m_o)

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
    precision : Tensor of shape (n_features, n_features)
        :math:`\Lambda`, the inverse of the covariance matrix.
    low, high : Tensor of shape (n_features,)
        Range of the imputed values.

    References
    ----------
    .. [1] C. M. Bishop, "Pattern recognition and machine learning", 2006, equation 2.75.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn._missing import GaussianImputer
    >>> covariance = torch.tensor([[1.0, 0.5], [0.5, 1.0]])
    >>> low, high = torch.tensor([-3.0, -3.0]), torch.tensor([3.0, 3.0])
    >>> impute = GaussianImputer(torch.zeros(2), covariance.inverse(), low, high)
    >>> impute(torch.tensor([[torch.nan, 1.0], [2.0, torch.nan]]))
    tensor([[0.5000, 1.0000],
            [2.0000, 1.0000]])
    """

    precision: Tensor

    def __init__(self, mean: Tensor, precision: Tensor, low: Tensor, high: Tensor) -> None:
        super().__init__(mean, low, high)
        self.register_buffer("precision", precision)

    def conditional_mean(self, x: Tensor) -> Tensor:
        """Compute the mean of all entries (batch, n_features) given `x`."""
        if self.has_fixed_shapes(x):
            return self._solve_all(x)
        # The systems of a group are as large as that of the row with most missing entries.
        rank = x.isnan().sum(-1).argsort(dim=-1, stable=True)
        size = max(GROUP_ENTRIES // x.shape[-1] ** 2, MIN_GROUP_ROWS)
        ranked = x.take_along_dim(rank[..., None], -2)
        means = map_parts(self._solve_missing, size, ranked)
        return means.take_along_dim(rank.argsort(dim=-1)[..., None], -2)

    def linear_maps(self, is_missing: Tensor) -> Tensor:
        """Compute the maps (..., n_patterns, n_features, n_features) of patterns."""
        precision = self.precision[..., None, :, :]
        rows, columns = is_missing[:, :, None], is_missing[:, None, :]
        eye = torch.eye(len(rows[0])).to(precision)
        root = torch.linalg.cholesky(torch.where(rows & columns, precision, eye))
        pull = torch.where(rows & ~columns, -precision, 0.0)
        return torch.cholesky_solve(pull, root).mT

    def _pull(self, x: Tensor) -> Tensor:
        """Compute ``-precision @ (x - mean)`` over the observed entries of each row."""
        return -(self.center(x) @ self.precision)

    def _solve_missing(self, x: Tensor) -> Tensor:
        """Solve for as many entries of each row as are missing in the row with most."""
        is_missing, mean = x.isnan(), align_rows(self.mean).expand_as(x)
        if not is_missing.any():
            return mean
        n_missing = int(is_missing.sum(-1).max())
        order = is_missing.byte().argsort(dim=-1, descending=True, stable=True)
        order = order[..., :n_missing]
        pull, is_missing = (part.gather(-1, order) for part in (self._pull(x), is_missing))
        solution = _solve_masked(self._gather_blocks(order), pull, is_missing)
        return mean.scatter_add(-1, order, solution)

    def _gather_blocks(self, order: Tensor) -> Tensor:
        """Gather the rows and columns `order` (..., n) of the matrix, (..., n, n)."""
        n_features, row = self.precision.shape[-1], order
        if self.precision.ndim > 2:  # of each member
            member = torch.arange(len(self.precision), device=order.device)
            row = order + n_features * member[:, None, None]
        rows = self.precision.reshape(-1, n_features).index_select(0, row.flatten())
        rows = rows.view(*order.shape, n_features)
        return rows.take_along_dim(order[..., None, :], -1)

    def _solve_all(self, x: Tensor) -> Tensor:
        """Solve for all entries, in shapes that do not depend on values."""
        matrix = self.precision if self.precision.ndim == 2 else self.precision[:, None]
        return align_rows(self.mean) + _solve_masked(matrix, self._pull(x), x.isnan())


def _solve_masked(matrix: Tensor, right: Tensor, mask: Tensor) -> Tensor:
    """Solve for the entries in `mask` (..., n) alone; the solution is zero elsewhere."""
    pairs = mask[..., :, None] & mask[..., None, :]
    eye = torch.eye(mask.shape[-1], dtype=matrix.dtype, device=matrix.device)
    right = torch.where(mask, right, 0.0)
    return _solve(torch.where(pairs, matrix, eye), right)


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve ``matrix @ x = right`` for x (..., n); `matrix` is positive definite."""
    if is_exporting():  # one operator for the export to replace
        return torch.linalg.solve(matrix, right[..., None])[..., 0]
    root = torch.linalg.cholesky(matrix)
    return torch.cholesky_solve(right[..., None], root)[..., 0]


class FactorModelImputer(ConditionalMeanImputer):
    r"""Impute missing entries by their conditional mean under a factor model.

    Rows are :math:`m + z L^T + \varepsilon` with standard normal factors :math:`z` and
    noise of variance :math:`\psi_j` in column :math:`j`. Given the observed entries,

    .. math:: E[z] = A^{-1} \sum_j \frac{x_j - m_j}{\psi_j} L_j, \qquad
       A = I + \sum_j \frac{1}{\psi_j} L_j^T L_j

    with sums over the observed columns [1]_.

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

    loadings: Tensor
    noise: Tensor

    def __init__(
        self, mean: Tensor, loadings: Tensor, noise: Tensor, low: Tensor, high: Tensor
    ) -> None:
        super().__init__(mean, low, high)
        self.register_buffer("loadings", loadings)
        self.register_buffer("noise", noise)

    def factors(self, x: Tensor, groups: RowGroups | None = None) -> tuple[Tensor, Tensor]:
        """Compute factor means (batch, n_factors) given `x`, and Cholesky factors of A.

        Rows of one group, of `groups` if they are given, share their Cholesky factor.
        """
        weight, projection = self._weigh(x)
        if groups is None and (self.is_traced(x) or len(x) < MIN_GROUPED_ROWS):
            root = torch.linalg.cholesky(self._precision(weight))
        else:
            groups = group_by_missing(x.isnan()) if groups is None else groups
            root = torch.linalg.cholesky(self._precision(weight[groups.example]))
            root = root[groups.of_row]
        return torch.cholesky_solve(projection[..., None], root)[..., 0], root

    def conditional_mean(self, x: Tensor) -> Tensor:
        """Compute the mean of all entries (batch, n_features) given `x`."""
        if is_exporting():
            weight, projection = self._weigh(x)
            codes = _solve(self._precision(weight), projection)
        else:
            size = max(GROUP_ENTRIES // self.loadings.shape[-1] ** 2, MIN_FACTOR_ROWS)
            codes = map_parts(lambda part: self.factors(part)[0], size, x)
        return align_rows(self.mean) + codes @ self.loadings.mT

    def linear_maps(self, is_missing: Tensor) -> Tensor:
        """Compute the maps (..., n_patterns, n_features, n_features) of patterns."""
        weight = self._weights(is_missing)
        root = torch.linalg.cholesky(self._precision(weight))
        loadings = self.loadings[..., None, :, :]
        codes = torch.cholesky_solve((weight[..., None] * loadings).mT, root)
        return codes.mT @ loadings.mT

    def _weigh(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh entries by their noise, and project the weighted rows on the loadings."""
        weight = self._weights(x.isnan())
        return weight, (self.center(x) * weight) @ self.loadings

    def _weights(self, is_missing: Tensor) -> Tensor:
        """Compute the inverse noise of observed entries, and 0 for missing ones."""
        return torch.where(is_missing, 0.0, 1 / align_rows(self.noise))

    def _precision(self, weight: Tensor) -> Tensor:
        """Compute A for weights (batch, n_features) of entries."""
        n_factors = self.loadings.shape[-1]
        products = self.loadings[..., :, None] * self.loadings[..., None, :]
        eye = torch.eye(n_factors, dtype=weight.dtype, device=weight.device)
        precision = (weight @ products.flatten(-2)).unflatten(-1, (n_factors, n_factors))
        return precision + eye


class ImputationLayer(nn.Module):
    """Impute by a normal model, and add a correction by a small trained network.

    The input of the correction is the imputed row and the mask of its missing entries. The
    correction starts at zero, and never changes observed entries.

    Parameters
    ----------
    fill : ConditionalMeanImputer
    """

    takes_members = True  # the stacked weights of an ensemble

    def __init__(self, fill: ConditionalMeanImputer) -> None:
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
