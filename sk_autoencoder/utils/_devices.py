"""The device to compute on."""

import torch


def find_device(device: str) -> torch.device:
    """Return the torch device that a user's `device` means.

    Raises
    ------
    ValueError
        If torch knows no such device, or it is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r} is not available here ({error}). "
            "Use device='auto' or device='cpu'."
        ) from error
    return found


def available_device(device: str) -> str:
    """Choose `device` if it is there, and the CPU otherwise."""
    try:
        return str(find_device(device))
    except ValueError:
        return "cpu"
