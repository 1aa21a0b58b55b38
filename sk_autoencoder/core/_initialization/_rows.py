"""Initialise atoms at training rows."""

import torch

from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.core._scaling import scaled_moments

RELATIVE_NOISE = 0.05  # share of an example's norm, so that no two are the same


def sample_rows(rows: RowDataset, n_rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean of `rows`, and up to `n_rows` of them, less the mean, with noise."""
    mean = torch.from_numpy(scaled_moments(rows)[0])
    drawn = rows[torch.randperm(len(rows))[:n_rows].numpy()].cpu() - mean.float()
    noise = torch.nn.functional.normalize(torch.randn_like(drawn))
    drawn += RELATIVE_NOISE * drawn.norm(dim=1, keepdim=True) * noise
    return mean.float(), drawn
