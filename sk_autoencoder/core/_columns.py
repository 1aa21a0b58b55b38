"""Columns of X as scaled tensors: the adapter of numeric columns."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from torch import Tensor

from sk_autoencoder.core._backend import Backend
from sk_autoencoder.core._data import RowSource, has_missing
from sk_autoencoder.core._initialization._factor_model import (
    fit_factor_model,
    select_n_factors,
)
from sk_autoencoder.core._moments import (
    MAX_PRODUCT_COLUMNS,
    Moments,
    measure_moments,
    measure_targets,
)
from sk_autoencoder.core._scaling import make_row_scaler, make_scaler
from sk_autoencoder.nn._losses import Loss
from sk_autoencoder.nn._missing import ConditionalMeanImputer
from sk_autoencoder.nn._scalers import RowScaler, Scaler
from sk_autoencoder.utils._checks import check_variance


@dataclass(frozen=True)
class NumericColumns:
    """Adapter of numeric columns: it fits their scaler.

    Parameters
    ----------
    loss : Loss
        Losses of shares need rows of one length, and other losses no scale.
    scaling : {"auto", "global", "standard"} or None
    kind : type of Scaler
    """

    loss: Loss
    scaling: str | None
    kind: type[Scaler] = Scaler

    def fit(
        self,
        source: RowSource,
        indices: np.ndarray,
        backend: Backend,
        with_products: bool = False,
    ) -> tuple[Scaler, Moments]:
        """Fit a scaler to the target rows at `indices`, in one pass over them.

        Parameters
        ----------
        source : RowSource
        indices : ndarray of shape (n_rows,)
        backend : Backend
            Merges the moments of all processes.
        with_products : bool, default=False
            Whether principal axes will be asked for: products of columns are measured, if
            rows are dense and complete.

        Returns
        -------
        scaler : Scaler
        moments : Moments
            Of the rows before they are centred and divided.
        """
        scaler, moments = self._fit_targets(source, indices, backend, with_products)
        if source.has_targets:  # the network sees the input rows
            self.widen(scaler, source, indices, backend)
        return scaler, moments

    def fit_imputer(
        self,
        source: RowSource,
        scaler: Scaler,
        indices: np.ndarray,
        seed: int,
        is_incomplete: bool = True,
        n_factors: int | None = None,
    ) -> ConditionalMeanImputer:
        """Fit the imputer of missing entries to the rows `indices` of a source."""
        return fit_factor_model(
            source,
            scaler,
            indices,
            seed,
            is_incomplete,
            self.column_of_entries,
            n_factors,
        )

    def select_n_factors(
        self, source: RowSource, scaler: Scaler, indices: np.ndarray, seed: int
    ) -> int | None:
        """Select the number of factors of imputers; None for columns of one entry."""
        if self.column_of_entries is None:
            return None
        return select_n_factors(source, scaler, indices, seed, self.column_of_entries)

    @property
    def column_of_entries(self) -> Tensor | None:
        """Index of the column of each entry; None for columns of one entry."""
        return None

    def widen(
        self, scaler: Scaler, source: RowSource, indices: np.ndarray, backend: Backend
    ) -> None:
        """Widen the bounds of `scaler` to the range of the input rows at `indices`."""
        moments = backend.merge(measure_moments(source.X, indices, scaler.flatten))
        scaler.widen(moments.low, moments.high)

    def _fit_targets(
        self,
        source: RowSource,
        indices: np.ndarray,
        backend: Backend,
        with_products: bool,
    ) -> tuple[Scaler, Moments]:
        X, order = source.targets, self.loss.norm_order
        if order is not None:
            moments = measure_targets(source, indices, RowScaler.flatten)
            moments = backend.merge(moments)
            return make_row_scaler(moments, source, indices, order), moments
        is_narrow = X.shape[1] <= MAX_PRODUCT_COLUMNS
        is_incomplete = has_missing(X) if source.has_targets else source.is_incomplete
        has_products = with_products and is_narrow and not (issparse(X) or is_incomplete)
        moments = backend.merge(
            measure_targets(source, indices, self.kind.flatten, has_products)
        )
        check_variance(moments.variance)
        return self._make_scaler(moments), moments

    def _make_scaler(self, moments: Moments) -> Scaler:
        scaling = self.scaling if self.loss.scaled else None
        return make_scaler(moments, scaling, self.kind)
