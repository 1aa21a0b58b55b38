"""Missing entries of X."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from sklearn.utils import gen_batches

from sk_autoencoder.core._data import RowDataset, as_tensor, iter_chunks
from sk_autoencoder.core._memory import FORWARD_BYTES, rows_within
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._missing import ConditionalMeanImputer, ImputationLayer
from sk_autoencoder.nn._scalers import Scaler

MAX_KNOWN_ROWS = 100_000  # whose missing entries are looked at before training


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
        rows = self.X_missing[index]
        imputed = np.empty_like(rows)
        size = rows_within(FORWARD_BYTES, 4 * rows.shape[1])
        for part in gen_batches(len(rows), size):
            imputed[part] = self._impute(as_tensor(rows[part], "cpu"))
        return imputed

    def _impute(self, rows: torch.Tensor) -> torch.Tensor:
        imputed = self.imputer(self.scaler.bounded(rows).float()).to(rows.dtype)
        return torch.where(rows.isnan(), self.scaler.inverse(imputed), rows)


def missing_fraction(X, indices: np.ndarray) -> float:
    """Compute the fraction of missing entries in the rows `indices` of X."""
    indices = np.unique(indices)
    n_missing = sum(int(np.isnan(rows).sum()) for rows in iter_chunks(X, indices))
    return n_missing / (len(indices) * X.shape[1])


@contextmanager
def known_patterns(
    module: Autoencoder | Ensemble, datasets: Iterable[RowDataset | None]
) -> Iterator[None]:
    """Within this context, rows in memory are imputed by maps that are computed once.

    Rows of which a corruption hides further entries have none.
    """
    tensors = [d.rows_in_memory for d in datasets if d is not None]
    layers = [m for m in module.network.modules() if isinstance(m, ImputationLayer)]
    with ExitStack() as stack:
        is_in_memory = all(rows is not None for rows in tensors)
        if layers and is_in_memory and 0 < sum(map(len, tensors)) <= MAX_KNOWN_ROWS:
            is_missing = torch.cat([rows.isnan() for rows in tensors])
            for layer in layers:
                stack.enter_context(layer.fill.knowing(is_missing))
        yield
