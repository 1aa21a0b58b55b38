"""The result of a fit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import issparse
from skorch.history import History

from sk_autoencoder.core._data import RowSource, has_missing, iter_chunks
from sk_autoencoder.core._inference import Replicas, busy_threads, map_array
from sk_autoencoder.core._moments import Moments
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._missing import ConditionalMeanImputer
from sk_autoencoder.utils._memory_errors import explained_memory_errors
from sk_autoencoder.utils._torch_compat import raised_interrupts


@dataclass
class Fitted:
    """The result of a fit.

    Parameters
    ----------
    net : AutoencoderNet
        The trained skorch net, with the history of all epochs.
    n_components : int
        Width of a code, over all members.
    imputer : ConditionalMeanImputer or None
        Imputes missing entries of new rows if training rows had none.
    is_incomplete : bool
        Whether training rows had missing entries.
    best_epoch : int
        Epoch of the weights in this training; 0 is the initial state.
    measured : dict
        Result of ``Recipe.measure``.
    learned : dict
        Further attributes of the estimator.
    earlier : list of dict, default=[]
        History of the trainings before, which this one went on from.
    is_complete : bool, default=True
        Whether training came to its end; it did not if a callback or a user interrupted it.
    is_partial : bool, default=False
        Whether the last rows came by ``partial_fit``.
    moments : Moments or None, default=None
        Of all rows that came by ``partial_fit``.
    n_compared : float, default=0.0
        Number of these rows when the weights were last compared with a new start.
    sample : RowSample or None, default=None
        A random sample of these rows.
    seconds : float, default=0.0
        Time of the fit.
    start : str, default=""
        Name of the initial weights, such as "PCA".
    start_loss, validation_loss : float or None, default=None
        Mean loss of validation rows with the initial and with the selected weights.
    """

    net: AutoencoderNet
    n_components: int
    imputer: ConditionalMeanImputer | None
    is_incomplete: bool
    best_epoch: int
    measured: dict[str, Any]
    learned: dict[str, Any]
    earlier: list[dict[str, Any]] = field(default_factory=list)
    is_complete: bool = True
    is_partial: bool = False
    moments: Moments | None = None
    n_compared: float = 0.0
    sample: Any = None
    seconds: float = 0.0
    start: str = ""
    start_loss: float | None = None
    validation_loss: float | None = None
    _replicas: Replicas = field(default_factory=Replicas, init=False, repr=False)

    @property
    def module(self) -> Autoencoder | Ensemble:
        """The trained autoencoder, or the ensemble of them."""
        return self.net.module_

    @property
    def history(self) -> History:
        """All epochs, those of earlier trainings too."""
        epochs = [*self.earlier, *self.net.history]
        return History(epoch | {"epoch": i} for i, epoch in enumerate(epochs, start=1))

    def map(self, function: Callable, X, *, in_float32: bool = False) -> np.ndarray:
        """Apply ``function(module, rows)`` to new rows, imputed as training rows were.

        With `in_float32` the module stays in float32, and `function` casts the rows.
        """
        dtype = np.dtype(np.float32) if in_float32 else X.dtype
        threads = busy_threads(self.module, X.shape[0])
        with explained_memory_errors(*X.shape), raised_interrupts(), threads:
            module = self.module_for(X, dtype)
            return map_array(module, function, X, in_float32=in_float32)

    def sum_squared_errors(
        self, function: Callable, source: RowSource, units: np.ndarray
    ) -> float:
        """Sum the squared errors of ``function(module, rows)``, in `units` of columns.

        The targets of the rows are the right values, and NaN is skipped.
        """
        output, targets = self.map(function, source.X), source.targets
        targets = targets.toarray() if issparse(targets) else targets
        with np.errstate(over="ignore", invalid="ignore"):
            squares = (np.subtract(output, targets, dtype=np.float64) / units) ** 2
            if source.weight is not None:
                squares *= source.weight[:, None]
            return float(np.nansum(squares))

    def iter_map(self, function: Callable, X, indices: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the values of `function` for the rows `indices` of X, chunk by chunk."""
        module = self._replicate(X.dtype)
        for chunk in iter_chunks(X, indices):
            yield map_array(module, function, chunk)

    def _replicate(self, dtype: np.dtype) -> Autoencoder | Ensemble:
        """Choose the module for rows of `dtype`, a copy where it has to be one."""
        is_shared = dtype == np.float32 and self.module.n_members == 1
        return self.module if is_shared else self._replicas.get(self.module, dtype)

    def module_for(self, X, dtype: np.dtype) -> Autoencoder | Ensemble:
        """Choose the module for rows X: behind an imputation if it cannot take NaN."""
        if self.is_incomplete or not has_missing(X):
            return self._replicate(dtype)
        if self.imputer is None:
            raise ValueError(
                "X has missing values, and nothing was learned to fill them with from "
                "sparse rows. Fit to dense ones."
            )
        imputing = self.module.with_imputation(self.imputer).to(self.net.device)
        return imputing.double() if dtype == np.float64 else imputing

    # Copies for inference belong to threads of one process.

    def __getstate__(self):
        return {k: v for k, v in vars(self).items() if k != "_replicas"}

    def __setstate__(self, state):
        vars(self).update(state)
        self._replicas = Replicas()
