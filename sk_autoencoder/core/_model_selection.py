"""Draw validation rows, and select weights by the errors of these rows."""

import numpy as np
import torch
from torch import Tensor

VALIDATION_FRACTION, N_VALIDATION_ROWS = 0.1, 32  # aims of validation_fraction="auto"
INTERPOLATION_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # from initial to trained weights
N_STANDARD_ERRORS = 1.5  # by which training has to beat the initial weights
MIN_VALIDATION_ROWS = 15  # fewer rows cannot show an improvement
MAX_REFIT_ROWS = 1_000  # up to which a second training with the validation rows pays
N_FOLDS = 3  # of up to that many rows: one set of held-out rows is a matter of luck

Weights = list[Tensor]  # parameters and buffers, of the module and of the criterion


def hold_out(
    n_rows: int, fraction: float | str | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Split rows at random into training and validation rows, each in order.

    Parameters
    ----------
    n_rows : int
    fraction : float, "auto" or None
        Fraction of validation rows. None holds out no rows.

    Returns
    -------
    train : ndarray of shape (n_train,)
    validation : ndarray of shape (n_validation,) or None

    Raises
    ------
    ValueError
        If no training row is left.
    """
    order = torch.randperm(n_rows).numpy()
    if fraction is None:
        return np.sort(order), None
    if fraction == "auto":
        size = max(VALIDATION_FRACTION * n_rows, min(N_VALIDATION_ROWS, n_rows // 3))
    else:
        size = fraction * n_rows
    n_validation = int(np.ceil(size))
    if n_validation >= n_rows:
        raise ValueError(
            f"validation_fraction={fraction!r} holds out {n_validation} of {n_rows} rows "
            "and leaves none to fit to. Lower it, or set early_stopping=False."
        )
    return np.sort(order[n_validation:]), np.sort(order[:n_validation])


def make_folds(
    rows: np.ndarray, train: np.ndarray, validation: np.ndarray, n_folds: int
) -> np.ndarray:
    """Arrange rows such that the same positions hold out other rows in each fold.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,)
    train, validation : ndarray
        Positions of training and validation rows.
    n_folds : int
        Largest number of folds; there are no more than validation rows allow.

    Returns
    -------
    folds : ndarray of shape (n_folds, n_rows)
    """
    n_folds = min(n_folds, len(rows) // len(validation))
    order = torch.randperm(len(rows)).numpy()
    folds = np.empty((n_folds, len(rows)), dtype=rows.dtype)
    for i, fold in enumerate(folds):
        held_out = order[i * len(validation) : (i + 1) * len(validation)]
        fold[validation] = rows[np.sort(held_out)]
        fold[train] = np.delete(rows, held_out)
    return folds


def bootstrap(rows: np.ndarray, validation: np.ndarray | None) -> np.ndarray:
    """Draw the rows of each member with replacement.

    Parameters
    ----------
    rows : ndarray of shape (n_members, n_rows)
    validation : ndarray of shape (n_validation,) or None
        Positions of validation rows: copies of a row are never on both sides.

    Returns
    -------
    drawn : ndarray of shape (n_members, n_rows)
    """
    n_rows = rows.shape[1]
    validation = np.arange(0) if validation is None else validation
    is_trained = ~np.isin(np.arange(n_rows), validation)
    drawn = np.empty_like(rows)
    for row, result in zip(rows, drawn, strict=True):
        copies = torch.randint(n_rows, (n_rows,)).bincount(minlength=n_rows).numpy()
        order = torch.randperm(n_rows).numpy()
        order = np.repeat(order, copies[order])  # copies of a row stand together
        held_out, trained = np.split(order, [len(validation)])
        is_split = np.isin(trained, held_out)  # copies of one row at most
        if not is_split.all():
            others = trained[~is_split]
            trained[is_split] = others[
                torch.randint(len(others), (is_split.sum(),)).numpy()
            ]
        result[validation], result[is_trained] = row[held_out], row[trained]
    return drawn


def interpolate_weights(initial: Weights, trained: Weights, step: float) -> Weights:
    """Interpolate linearly between `initial` (step 0) and `trained` weights (step 1)."""

    def mix(a: Tensor, b: Tensor) -> Tensor:
        return a.lerp(b, step) if a.is_floating_point() else b

    return [mix(a, b) for a, b in zip(initial, trained, strict=True)]


def select_interpolation(
    losses: dict[float, np.ndarray],
    weight: np.ndarray | None = None,
    guards: dict[float, np.ndarray] | None = None,
) -> float:
    """Select the interpolation step between initial and trained weights.

    The step has the largest lower bound, mean - 1.5 standard errors, of the improvement of
    the validation loss over the initial weights. It is 0 if no bound is positive, and if
    there are fewer than 15 validation rows. No step is selected that raises a guard.

    Parameters
    ----------
    losses : dict of float to ndarray of shape (n_validation,)
        Loss of each validation row, by step.
    weight : ndarray of shape (n_validation,) or None, default=None
        Weights of the rows; None stands for equal ones.
    guards : dict of float to ndarray of shape (n_validation, n_guards), default=None
        Errors of each validation row whose means the step may not raise.

    Returns
    -------
    step : float
    """

    def lower_bound(step: float) -> float:
        gain = losses[0.0] - losses[step]
        if weight is None:
            return gain.mean() - N_STANDARD_ERRORS * gain.std(ddof=1) / len(gain) ** 0.5
        share = weight / weight.sum()
        mean = share @ gain
        return mean - N_STANDARD_ERRORS * ((share * (gain - mean)) ** 2).sum() ** 0.5

    def is_guarded(step: float) -> bool:
        if guards is None:
            return True
        rise = guards[step] - guards[0.0]
        total = rise.sum(axis=0) if weight is None else weight @ rise
        return bool((total <= 0).all())

    if len(losses[0.0]) < MIN_VALIDATION_ROWS:
        return 0.0
    return max(filter(is_guarded, losses), key=lower_bound)  # the smallest step of equals
