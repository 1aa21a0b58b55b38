"""Missing entries of X."""

import copy

import numpy as np
import torch
from scipy.sparse import issparse

from sk_autoencoder.core._data import InputTargetRows, as_tensor, input_rows, target_rows
from sk_autoencoder.nn._missing import FactorModelImputer
from sk_autoencoder.nn._scalers import Scaler


class ImputedRows:
    """Rows with their missing cells filled, computed as they are read.

    Parameters
    ----------
    holed : ndarray of shape (n_samples, n_features)
    scaler : Scaler
    fill : GaussianFill
    """

    def __init__(self, holed: np.ndarray, scaler: Scaler, fill: FactorModelImputer) -> None:
        self.holed = holed
        self.scaler = copy.deepcopy(scaler).cpu()  # where the fill is, and stays
        self.fill = fill
        self.shape = holed.shape
        self.dtype = holed.dtype

    def __getitem__(self, index) -> np.ndarray:
        rows = as_tensor(self.holed[index], "cpu")
        filled = self.fill(self.scaler(rows).float()).to(rows.dtype)
        return torch.where(rows.isnan(), self.scaler.inverse(filled), rows).numpy()


def impute_lazily(X, scaler: Scaler, fill: FactorModelImputer):
    """Return X, rows or Pairs of complete targets, with missing cells filled."""
    filled = ImputedRows(input_rows(X), scaler, fill)
    return filled if target_rows(X) is X else InputTargetRows(filled, target_rows(X))


def has_missing(X) -> bool:
    """Whether a cell of X is NaN."""
    return not issparse(X) and bool(np.isnan(np.min(X)))  # makes no array as large as X


def missing_fraction(X, indices: np.ndarray) -> float:
    """Return the share of the cells in the rows `indices` of X that is missing."""
    return float(np.isnan(X[np.unique(indices)]).mean())
