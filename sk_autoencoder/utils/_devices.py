"""The device to compute on."""

import torch


def find_device(device: str) -> torch.device:
    """Resolve a `device` parameter to a torch device.

    Raises
    ------
    ValueError
        If torch has no such device, or the device is not available.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r} is not available here ({error}). "
            "Use device='auto' or device='cpu'."
        ) from error
    return resolved


def available_device(device: str) -> str:
    """Choose `device` if it is there, and the CPU otherwise."""
    try:
        return str(find_device(device))
    except ValueError:
        return "cpu"
