"""Hold out rows, and choose weights by the errors of these rows."""

import numpy as np
import torch
from torch import Tensor

INTERPOLATION_STEPS = (
    0.0,
    0.25,
    0.5,
    0.75,
    1.0,
)  # of the way from the start to the trained weights
StateDict = list[dict[str, Tensor]]  # the weights of the module and of the criterion


def interpolate_weights(start: StateDict, end: StateDict, share: float) -> StateDict:
    """Return the weights at a `share` of the straight way from `start` to `end`."""

    def mix(a: Tensor, b: Tensor) -> Tensor:
        return a.lerp(b, share) if a.is_floating_point() else b

    return [{k: mix(a[k], b[k]) for k in a} for a, b in zip(start, end, strict=True)]


VALIDATION_FRACTION, N_VALIDATION_ROWS = 0.1, 32  # what validation_fraction="auto" aims at
N_STANDARD_ERRORS = 1.5  # standard errors by which training has to beat PCA
MIN_VALIDATION_ROWS = 15  # fewer held-out rows cannot tell whether training paid
MAX_REFIT_ROWS = 1_000  # up to which the rows held out are worth a second training


def hold_out(
    n_rows: int, share: float | str | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows to fit to and those held out, drawn at random but kept in order."""
    order = torch.randperm(n_rows).numpy()
    if share is None:
        return np.sort(order), None
    if share == "auto":
        n_held_out = max(VALIDATION_FRACTION * n_rows, min(N_VALIDATION_ROWS, n_rows // 3))
    else:
        n_held_out = share * n_rows
    n_held_out = int(np.ceil(n_held_out))
    if n_held_out >= n_rows:
        raise ValueError(
            f"validation_fraction={share!r} holds out {n_held_out} of {n_rows} rows "
            "and leaves none to fit to. Lower it, or set early_stopping=False."
        )
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def select_interpolation(losses: dict[float, np.ndarray]) -> float:
    """Return how far to go from the start, given the losses of the same rows on the way.

    Where the mean loss falls most after one and a half standard errors are taken off;
    that is nowhere if none is left, or if fewer than 15 rows were held out.
    """

    def cautious_gain(share: float) -> float:
        gain = losses[0.0] - losses[share]
        return gain.mean() - N_STANDARD_ERRORS * gain.std(ddof=1) / len(gain) ** 0.5

    if len(losses[0.0]) < MIN_VALIDATION_ROWS:
        return 0.0
    return max(losses, key=cautious_gain)  # the smallest of equals
