"""The default autoencoder of an imputer."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import RowDataset, evenly_spaced_indices
from sk_autoencoder.core._initialization._factor_model import fit_factor_model
from sk_autoencoder.core._missing import missing_fraction
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.impute._neighbors import (
    fit_kernel_regression,
    impute_scaled,
    member_predictions,
    scaled_rows,
    select_reference_rows,
)
from sk_autoencoder.impute._network import (
    ImputationNetwork,
    KernelRegressionImputer,
    quantile_levels,
)
from sk_autoencoder.nn._corruptions import RandomMissing
from sk_autoencoder.nn._scalers import Scaler

N_BLOCKS = 2
HIDDEN_FRACTION_RANGE = 0.1, 0.6  # of the observed entries, hidden in training
MAX_QUANTILE_ROWS = 10_000
MIN_ROWS_WITHOUT_EXTRA_EPOCHS = 350  # fewer rows make shorter epochs, so more epochs
MAX_EPOCH_FACTOR = 4.0
MIN_STEPS_PER_EPOCH, STEPS_PER_EPOCH = 5, 12
MIN_BATCH_SIZE, TYPICAL_BATCH_SIZE, MAX_BATCH_SIZE = 16, 64, 256


class Design(NamedTuple):
    """Size and training of the default networks, by the number of columns."""

    max_columns: float  # exclusive
    loss: str
    width: int  # units
    dropout: float
    lr: float
    n_epochs: int
    patience: int  # epochs
    n_rows: int  # more rows get fewer epochs


# Chosen by benchmarks.imputation, November 2026.
DESIGNS = (
    Design(15, "squared_error", 64, 0.05, 3e-3, 100, 20, 1_700),
    Design(30, "squared_error", 96, 0.05, 3e-3, 130, 30, 1_700),
    # Huber's loss does not memorise rare extremes.
    Design(np.inf, "huber", 128, 0.1, 2e-3, 200, 50, 5_000),
)


def select_design(n_features: int) -> Design:
    """Select the design for a number of columns."""
    return next(design for design in DESIGNS if n_features < design.max_columns)


def make_default_autoencoder(n_rows: int, n_features: int) -> "ImputationAutoencoder":
    """Build the member of the default imputer."""
    design = select_design(n_features)
    longer = float(np.clip(MIN_ROWS_WITHOUT_EXTRA_EPOCHS / n_rows, 1, MAX_EPOCH_FACTOR))
    shorter = min(design.n_rows / n_rows, 1) ** 0.5
    return ImputationAutoencoder(
        loss=design.loss,
        lr=design.lr,
        max_epochs=math.ceil(shorter * longer * design.n_epochs),
        n_iter_no_change=int(longer * design.patience),
    )


@dataclass(kw_only=True, eq=False, repr=False)
class ImputationAutoencoder(BaseAutoencoder):
    """Autoencoder that is trained on hidden entries, with the imputed row as its code.

    Each training step hides a random fraction of the observed entries, about as many as are
    missing. Hidden entries alone have an error.
    """

    scaling: str | None = "standard"
    linear_penalty: float = 0.0
    weight_decay: float = 1e-2

    _allow_nan: ClassVar[bool] = True
    _cosine_decay: ClassVar[bool] = True
    _n_lr_reductions: ClassVar[int] = 0
    _corrupt_validation: ClassVar[bool] = True  # hides entries of validation rows too
    _nearest: ClassVar[KernelRegressionImputer | None] = None

    def _count_components(self, X, rows: np.ndarray, seed: int) -> int:
        self._nearest = None  # of an earlier fit
        self._hidden_fraction = float(
            np.clip(missing_fraction(X, rows), *HIDDEN_FRACTION_RANGE)
        )
        return X.shape[1]

    def _make_network(self) -> Callable:
        def build(n_features: int, n_components: int) -> ImputationNetwork:
            design = select_design(n_features)
            return ImputationNetwork(n_features, design.width, N_BLOCKS, design.dropout)

        return build

    def _make_corruption(self, rows: RowDataset) -> RandomMissing:
        return RandomMissing(self._hidden_fraction)

    def _complete(self, X, scaler: Scaler, rows: np.ndarray, seed: int):
        return X  # each member fits a factor model of its own, without its validation rows

    def _start(
        self, network, corruption, rows: RowDataset, n_components: int, seed: int
    ) -> bool:
        self._fill = fit_factor_model(rows.X, rows.scaler, rows.indices, seed)
        sample = rows[evenly_spaced_indices(len(rows), MAX_QUANTILE_ROWS)].cpu().numpy()
        sample[:, np.isnan(sample).all(axis=0)] = 0
        quantiles = np.nanquantile(sample, quantile_levels(), axis=0)
        network.start_at(self._fill, torch.from_numpy(quantiles).float())
        return True

    def _refit(self, module, X, rows: np.ndarray, valid: RowDataset, rates: list[float]):
        # Other members train on the validation rows of this member.
        return None if rates else super()._refit(module, X, rows, valid, rates)

    def _calibrate_held_out(
        self, net: AutoencoderNet, X, rows: np.ndarray, valid: RowDataset
    ) -> None:
        self._nearest = fit_kernel_regression(net, X, select_reference_rows(rows), valid)

    def _after_fit(
        self, net: AutoencoderNet, train: RowDataset, valid: RowDataset | None
    ) -> None:
        if self._nearest is not None:  # imputed by the selected weights
            reference = select_reference_rows(train.indices, valid.indices)
            self._nearest.rows = impute_scaled(
                net, scaled_rows(train.X, train.scaler, reference)
            )

    def _reconstructing(self) -> Callable:
        if self._nearest is None:
            return super()._reconstructing()
        nearest = self._nearest

        def impute(module: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
            x = module.scaler(rows)
            guess = member_predictions(module, x).mean(1)
            return module.scaler.match(nearest(x, guess), rows)

        return impute

    def _batch_size(self, n_rows: int) -> int:
        smaller = min(n_rows // MIN_STEPS_PER_EPOCH, TYPICAL_BATCH_SIZE)
        size = max(n_rows // STEPS_PER_EPOCH, smaller)
        return int(np.clip(size, MIN_BATCH_SIZE, MAX_BATCH_SIZE))
