"""Orthogonal matching pursuit: sparse codes of rows over a dictionary of atoms.

An atom is a row of a dictionary and has unit norm. A code holds one coefficient per atom.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

# Squared norm of an atom's component orthogonal to the chosen atoms: an atom with a smaller
# one is a copy of them up to rounding, and is not chosen.
MIN_ORTHOGONAL_NORM = 1e-3
MIN_GAIN_FRACTION = 1e-10  # of a row's squared norm: smaller gains are rounding errors
TIE_FRACTION = 1e-6  # of the largest gain: gains that differ by less are equal


class Path(NamedTuple):
    """Steps of a pursuit: a QR decomposition of the chosen atoms of each row.

    The orthonormal directions Q are the components of the atoms orthogonal to all atoms
    chosen before, divided by their norms.

    Attributes
    ----------
    atoms : Tensor of shape (batch, depth)
        Indices of the chosen atoms, in the order of the steps.
    gains : Tensor of shape (batch, depth)
        Decrease of the squared error by each step, at least 0.
    coefficients : Tensor of shape (batch, depth)
        Coefficients of the rows along the orthonormal directions.
    r_factor : Tensor of shape (batch, depth, depth)
        Coefficients of the chosen atoms along these directions, upper triangular.
    """

    atoms: Tensor
    gains: Tensor
    coefficients: Tensor
    r_factor: Tensor

    def code(self, is_kept: Tensor, n_atoms: int) -> Tensor:
        """Compute the code (batch, n_atoms) after the steps `is_kept` (batch, depth)."""
        coefficients = (self.coefficients * is_kept).unsqueeze(-1)
        values = torch.linalg.solve_triangular(self.r_factor, coefficients, upper=True)
        code = self.coefficients.new_zeros((*self.coefficients.shape[:-1], n_atoms))
        return code.scatter_add(-1, self.atoms, values.squeeze(-1))


def orthogonal_pursuit(
    target: Tensor, dictionary: Tensor, depth: int, break_ties: bool = False
) -> Path:
    """Choose `depth` atoms for each row greedily, by the decrease of the squared error.

    The gain of an atom is the decrease of the error after all coefficients are refitted,
    as in optimised orthogonal matching pursuit [1]_.

    Parameters
    ----------
    target : Tensor of shape (batch, n_features)
    dictionary : Tensor of shape (n_atoms, n_features)
        Atoms of unit norm.
    depth : int
        Number of steps.
    break_ties : bool, default=False
        Whether, of atoms with equal gains up to rounding, the one with the largest
        correlation is chosen, and the first of those. The last step that reaches a row is
        always such a tie: one dimension is left, and each atom gains all of it.

    Returns
    -------
    path : Path
        The chosen ``atoms`` and their ``gains`` (batch, depth). Its method
        ``code(is_kept, n_atoms)`` computes the code after the steps in a mask
        (batch, depth).

    Notes
    -----
    The algorithm updates the correlations of residual and atoms by Gram-Schmidt. A step
    needs one row of the Gram matrix of the atoms, and no product over features.

    References
    ----------
    .. [1] L. Rebollo-Neira and D. Lowe, "Optimized orthogonal matching pursuit approach",
       IEEE Signal Processing Letters 9, 2002.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import orthogonal_pursuit
    >>> path = orthogonal_pursuit(torch.tensor([[0.0, 3.0, -4.0]]), torch.eye(3), depth=2)
    >>> path.atoms, path.gains
    (tensor([[2, 1]]), tensor([[16.,  9.]]))
    >>> path.code(torch.ones(1, 2), n_atoms=3)
    tensor([[ 0.,  3., -4.]])
    """
    gram = dictionary @ dictionary.T  # (n_atoms, n_atoms)
    correlations = target @ dictionary.T  # (batch, n_atoms), of residual and atoms
    # Squared norms of the atoms' components orthogonal to the chosen atoms.
    orthogonal_norms = torch.ones_like(correlations)  # (batch, n_atoms)
    min_gain = MIN_GAIN_FRACTION * target.square().sum(-1, True)  # (batch, 1)
    directions: list[Tensor] = []  # products of each direction with all atoms
    atoms, gains, coefficients, r_columns = [], [], [], []
    for step in range(depth):
        # Infinity: a copy of the chosen atoms has no gain.
        divisor = F.threshold(orthogonal_norms, MIN_ORTHOGONAL_NORM, torch.inf)
        squares = correlations.square()
        atom_gains = squares / divisor
        gain, atom = atom_gains.max(-1, True)  # each (batch, 1)
        if break_ties:
            is_best = atom_gains >= (1 - TIE_FRACTION) * gain
            atom = _first_of_largest(torch.where(is_best, squares, -1.0))
        direction = gram.index_select(0, atom.squeeze(-1))  # (batch, n_atoms)
        products = [previous.gather(-1, atom) for previous in directions]
        for previous, product in zip(directions, products, strict=True):
            direction = torch.addcmul(direction, previous, product, value=-1)
        gain = gain * (gain > min_gain)
        norm = torch.where(gain > 0, orthogonal_norms.gather(-1, atom), torch.inf).sqrt()
        direction = direction / norm  # zero if there is no gain
        coefficient = correlations.gather(-1, atom) / norm
        correlations = torch.addcmul(correlations, direction, coefficient, value=-1)
        orthogonal_norms = torch.addcmul(orthogonal_norms, direction, direction, value=-1)
        directions.append(direction)
        atoms.append(atom)
        gains.append(gain)
        coefficients.append(coefficient)
        r_column = torch.cat([*products, norm.nan_to_num(posinf=1.0)], -1)
        r_columns.append(F.pad(r_column, (0, depth - 1 - step)))
    return Path(
        torch.cat(atoms, -1),
        torch.cat(gains, -1),
        torch.cat(coefficients, -1),
        torch.stack(r_columns, -1),
    )


def _first_of_largest(values: Tensor) -> Tensor:
    """Find the first of the largest values of each row, up to rounding."""
    is_largest = values >= (1 - TIE_FRACTION) * values.amax(-1, True)
    return is_largest.to(torch.int8).argmax(-1, True)


def gain_threshold(gains: Tensor, n_active: float) -> Tensor:
    """Choose the gain threshold with `n_active` steps per row on average, of shape ().

    A row stops at its first step whose gain is below the threshold.

    Parameters
    ----------
    gains : Tensor of shape (batch, depth)
    n_active : float

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn._pursuit import gain_threshold
    >>> gain_threshold(torch.tensor([[9.0, 7.0, 5.0], [4.0, 1.0, 0.0]]), n_active=2)
    tensor(2.5000)
    """
    falling = gains.cummin(-1).values.flatten().sort(descending=True).values
    n_steps = max(round(n_active * gains.shape[0]), 1)
    neighbors = falling[n_steps - 1 : n_steps + 1]
    return neighbors.mean() if n_steps < len(falling) else falling[-1].clamp(max=0)


def conservative_gain_threshold(gains: Tensor, n_active: float) -> Tensor:
    """Choose a gain threshold for new rows: at most `n_active` steps on average.

    With this threshold, the mean number of steps of the rows with the given `gains`
    (batch, depth) is one standard error below `n_active`. Returns a scalar tensor.
    """
    n_steps = (
        (gains.cummin(-1).values > gain_threshold(gains, n_active)).sum(-1).to(gains.dtype)
    )
    error = n_steps.std(correction=0) / len(n_steps) ** 0.5
    return gain_threshold(gains, n_active - error.item())
