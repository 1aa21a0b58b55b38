"""Missing entries of X."""

import copy

import numpy as np
import torch

from sk_autoencoder.core._data import as_tensor
from sk_autoencoder.nn._missing import ConditionalMeanImputer
from sk_autoencoder.nn._scalers import Scaler


class ImputedRows:
    """Rows whose missing entries are imputed as the rows are read.

    Parameters
    ----------
    X_missing : ndarray of shape (n_samples, n_features)
        Missing entries are NaN.
    scaler : Scaler
    imputer : ConditionalMeanImputer
    """

    def __init__(
        self, X_missing: np.ndarray, scaler: Scaler, imputer: ConditionalMeanImputer
    ) -> None:
        self.X_missing = X_missing
        self.scaler = copy.deepcopy(scaler).cpu()  # the imputer stays on the CPU
        self.imputer = imputer
        self.shape = X_missing.shape
        self.dtype = X_missing.dtype

    def __getitem__(self, index) -> np.ndarray:
        rows = as_tensor(self.X_missing[index], "cpu")
        imputed = self.imputer(self.scaler.bounded(rows).float()).to(rows.dtype)
        return torch.where(rows.isnan(), self.scaler.inverse(imputed), rows).numpy()


def missing_fraction(X, indices: np.ndarray) -> float:
    """Compute the fraction of missing entries in the rows `indices` of X."""
    return float(np.isnan(X[np.unique(indices)]).mean())
