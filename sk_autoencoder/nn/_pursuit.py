"""Pursuit: which few atoms a row is best made of, and with which coefficients.

An atom is a row of a dictionary, of unit norm; a code holds one coefficient an atom.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

NEW_PART = 1e-3  # an atom with a smaller squared part outside the chosen ones adds none
NO_GAIN = 1e-10  # share of a row's square that is rounding


class Path(NamedTuple):
    """The steps of a pursuit; of each row, in the order in which atoms were chosen.

    Attributes
    ----------
    atoms : Tensor of shape (batch, depth)
        Number of the atom of each step.
    gains : Tensor of shape (batch, depth)
        Squared error that each step removes, at least 0.
    moves : Tensor of shape (batch, depth)
        Coefficient of each step's new direction, the part of its atom that is orthogonal
        to those before, of unit norm.
    triangle : Tensor of shape (batch, depth, depth)
        Atoms in terms of these directions, upper triangular.
    """

    atoms: Tensor
    gains: Tensor
    moves: Tensor
    triangle: Tensor

    def code(self, kept: Tensor, n_atoms: int) -> Tensor:
        """Return the code (batch, n_atoms) after the steps `kept` (batch, depth)."""
        moves = (self.moves * kept).unsqueeze(-1)
        found = torch.linalg.solve_triangular(self.triangle, moves, upper=True)
        code = self.moves.new_zeros((*self.moves.shape[:-1], n_atoms))
        return code.scatter_add(-1, self.atoms, found.squeeze(-1))


def orthogonal_pursuit(target: Tensor, dictionary: Tensor, depth: int) -> Path:
    """Choose `depth` atoms a row, each the one that lowers the squared error most.

    All coefficients are fitted anew after each choice, and the gain of an atom is what the
    error falls by then (optimised orthogonal matching pursuit, Rebollo-Neira and Lowe
    2002). Only correlations with the atoms are followed, by Gram-Schmidt: a step costs a
    row of the Gram matrix, and no feature is looked at again.

    Parameters
    ----------
    target : Tensor of shape (batch, n_features)
    dictionary : Tensor of shape (n_atoms, n_features)
        Of unit norm.
    depth : int
        Number of steps.

    Returns
    -------
    path : Path
    """
    gram = dictionary @ dictionary.T  # (n_atoms, n_atoms)
    left = target @ dictionary.T  # (batch, n_atoms), the atoms' products with the residual
    new = torch.ones_like(left)  # squared norm of the part outside the chosen atoms
    least = NO_GAIN * target.square().sum(-1, True)  # (batch, 1)
    directions: list[Tensor] = []  # of each step, its products with all atoms
    chosen, gains, moves, columns = [], [], [], []
    for step in range(depth):
        part = F.threshold(new, NEW_PART, torch.inf)  # inf: nothing can be gained
        gain, atom = (left.square() / part).max(-1, True)  # each (batch, 1)
        direction = gram.index_select(0, atom.squeeze(-1))  # (batch, n_atoms)
        known = [past.gather(-1, atom) for past in directions]
        for past, product in zip(directions, known, strict=True):
            direction = torch.addcmul(direction, past, product, value=-1)
        gain = gain * (gain > least)
        norm = torch.where(gain > 0, new.gather(-1, atom), torch.inf).sqrt()
        direction = direction / norm  # zero if nothing is gained
        move = left.gather(-1, atom) / norm
        left = torch.addcmul(left, direction, move, value=-1)
        new = torch.addcmul(new, direction, direction, value=-1)
        directions.append(direction)
        chosen.append(atom)
        gains.append(gain)
        moves.append(move)
        column = torch.cat([*known, norm.nan_to_num(posinf=1.0)], -1)
        columns.append(F.pad(column, (0, depth - 1 - step)))
    atoms, gain, move = (torch.cat(each, -1) for each in (chosen, gains, moves))
    return Path(atoms, gain, move, torch.stack(columns, -1))


def gain_threshold(gains: Tensor, n_active: float) -> Tensor:
    """Return the gain above which a step is worth its atom, of shape ().

    Chosen so that the rows take `n_active` steps on average; a row stops at its first
    step of a smaller gain.

    Parameters
    ----------
    gains : Tensor of shape (batch, depth)
    n_active : float

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import worth
    >>> worth(torch.tensor([[9.0, 7.0, 5.0], [4.0, 1.0, 0.0]]), n_active=2)
    tensor(2.5000)
    """
    falling = gains.cummin(-1).values.flatten().sort(descending=True).values
    n_steps = max(round(n_active * gains.shape[0]), 1)
    around = falling[n_steps - 1 : n_steps + 1]
    return around.mean() if n_steps < len(falling) else falling[-1].clamp(max=0)


def conservative_gain_threshold(gains: Tensor, n_active: float) -> Tensor:
    """Return what is :func:`worth` an atom in new rows too, of shape ().

    The mean number of steps of such rows as these, `gains` of shape (batch, depth), is
    below `n_active` by one standard error.
    """
    n_steps = (
        (gains.cummin(-1).values > gain_threshold(gains, n_active)).sum(-1).to(gains.dtype)
    )
    error = n_steps.std(correction=0) / len(n_steps) ** 0.5
    return gain_threshold(gains, n_active - error.item())
