"""Tables of mixed columns in estimators: encoded rows in, frames out."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor

from sk_autoencoder.core._columns import NumericColumns
from sk_autoencoder.core._moments import Moments
from sk_autoencoder.core._scaling import with_range
from sk_autoencoder.nn._scalers import Scaler
from sk_autoencoder.nn._tables import TableLayout, TableScaler
from sk_autoencoder.preprocessing import TableEncoder, is_table
from sk_autoencoder.utils._checks import check_weights
from sk_autoencoder.utils._lazy_types import check_in_memory
from sk_autoencoder.utils._sklearn_compat import allows_nan, ensure_all_finite
from sk_autoencoder.utils._validation import validate_rows


class TableMixin:
    """Mixin of estimators that take tables of mixed columns.

    An estimator has a parameter `categorical_features`, which names further categories.
    """

    _table: TableEncoder | None = None
    _table_options: ClassVar[dict] = {}  # of a variant, for its encoder

    @property
    def table_(self) -> TableEncoder | None:
        """Encoder of a table of mixed columns; None after a fit to numbers."""
        if "_table" not in vars(self):
            name = type(self).__name__
            raise AttributeError(f"{name!r} object has no attribute 'table_' before fit")
        return self._table

    def take_table(self, table: TableEncoder) -> None:
        """Take over an encoder, with the names of the columns that it was fitted to."""
        self._table = table
        self.n_features_in_ = table.n_features_in_
        if hasattr(table, "feature_names_in_"):
            self.feature_names_in_ = table.feature_names_in_

    def check_rows(
        self,
        X,
        *,
        reset: bool,
        ensure_min_samples: int = 1,
        sample_weight: np.ndarray | None = None,
    ):
        """Check rows, or name the features by them; encode a table of mixed columns.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        reset : bool
            Whether X names the features, as in ``fit``.
        ensure_min_samples : int, default=1
        sample_weight : ndarray of shape (n_samples,) or None, default=None
            Weights of the rows, for the encoder of a table.

        Returns
        -------
        rows : {ndarray, CSR array} of shape (n_samples, n_encoded_features)
        """
        rows = self._encode_table(
            X,
            reset=reset,
            ensure_min_samples=ensure_min_samples,
            sample_weight=sample_weight,
        )
        if rows is not None:
            return rows
        return validate_rows(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite=ensure_all_finite(self),
            ensure_min_samples=ensure_min_samples,
        )

    def check_weighted_rows(
        self, X, sample_weight, *, reset: bool, ensure_min_samples: int = 1
    ):
        """Check rows and their weights, as :meth:`check_rows`.

        Returns
        -------
        rows : {ndarray, CSR array} of shape (n_samples, n_encoded_features)
        weight : ndarray of shape (n_samples,) or None
        """
        weight = check_weights(sample_weight, X)
        rows = self.check_rows(
            X,
            reset=reset,
            ensure_min_samples=ensure_min_samples,
            sample_weight=weight,
        )
        return rows, weight

    def _encode_table(
        self,
        X,
        *,
        reset: bool,
        ensure_min_samples: int = 1,
        fill_missing: bool | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> np.ndarray | None:
        """Encode X if it is a table, or was one in fit; None for numbers.

        With `fill_missing` missing cells become the mean of their column. None asks the
        tags whether the estimator takes missing entries.
        """
        check_in_memory(X)
        if reset:
            self._table = None
            wanted = self.categorical_features
            if wanted is not None and not issparse(X) and is_table(X, wanted):
                fill = not allows_nan(self) if fill_missing is None else fill_missing
                options = {"scale": False, "fill_missing": fill} | self._table_options
                encoder = TableEncoder(wanted, **options)
                self._table = encoder.fit(X, sample_weight=sample_weight)
        if self._table is None:
            return None
        validate_data(self, X, reset=reset, skip_check_array=True)
        return check_array(
            self._table.transform(X),
            ensure_all_finite="allow-nan",
            ensure_min_samples=ensure_min_samples,
            estimator=self,
        )


def missing_cells(table: TableEncoder, rows: np.ndarray) -> np.ndarray:
    """Tell which cells of encoded rows are missing, (n_samples, n_columns) of bool."""
    is_missing = np.isnan(rows)
    parts = [is_missing[:, block] for block in table.blocks_]
    return np.stack([part.any(1) | (part.shape[1] == 0) for part in parts], axis=1)


def sum_by_column(table: TableEncoder, entries: np.ndarray) -> np.ndarray:
    """Sum entries (n_samples, n_entries) over each column, (n_samples, n_columns)."""
    return np.stack([entries[:, block].sum(axis=1) for block in table.blocks_], axis=1)


def table_layout(table: TableEncoder) -> TableLayout:
    """Describe the entries of the encoded rows of `table`.

    The number of days of a time counts as a number does, and the parts of its cycles are
    for the encoder alone.
    """
    widths = np.array([block.stop - block.start for block in table.blocks_])
    is_category = np.array(table.holds_probabilities_)
    column = np.repeat(np.arange(len(widths)), widths)
    is_first = np.diff(column, prepend=-1) > 0
    is_level = is_category[column]
    is_number = is_first & ~is_level
    scale = table.scale_ / np.where(is_number, widths[column] ** 0.5, 1)
    entries = column, is_category, is_number, is_level, table.center_, scale
    return TableLayout(*entries, np.array(table.is_ordinal_)[column])


@dataclass(frozen=True, kw_only=True)
class TableColumns(NumericColumns):
    """Adapter of encoded tables, in the scale of their layout.

    Parameters
    ----------
    loss : Loss
    scaling : None
    layout : TableLayout
    """

    layout: TableLayout

    @property
    def column_of_entries(self) -> Tensor:
        """Index of the column of each entry, which categories share."""
        return torch.from_numpy(self.layout.column)

    def _make_scaler(self, moments: Moments) -> Scaler:
        return with_range(TableScaler(self.layout), moments)
