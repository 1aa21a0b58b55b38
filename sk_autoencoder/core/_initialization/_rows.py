"""Initialise atoms at training rows."""

import torch

from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.core._scaling import scaled_moments

RELATIVE_NOISE = 0.05  # of the norm of a row, so that no two atoms are the same


def sample_rows(rows: RowDataset, n_rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the mean row, and sample up to `n_rows` centred rows with added noise."""
    mean = torch.from_numpy(scaled_moments(rows)[0])
    sample = rows[torch.randperm(len(rows))[:n_rows].numpy()].x.cpu() - mean.float()
    noise = torch.nn.functional.normalize(torch.randn_like(sample))
    sample += RELATIVE_NOISE * sample.norm(dim=1, keepdim=True) * noise
    return mean.float(), sample
