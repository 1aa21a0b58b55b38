"""The autoencoder that an imputer trains by default."""

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
    complete,
    every_guess,
    find_nearest,
    known_rows,
    scaled_rows,
)
from sk_autoencoder.impute._network import (
    ImputationNetwork,
    KernelRegressionImputer,
    quantile_levels,
)
from sk_autoencoder.nn._corruptions import RandomMissing
from sk_autoencoder.nn._scalers import Scaler

N_BLOCKS = 2
SHARES = (0.1, 0.6)  # of the cells that are hidden while training, at least and at most
QUANTILE_ROWS = 10_000
FEW_ROWS, MOST_LONGER = 350, 4.0  # fewer have fewer steps in an epoch, so more epochs
LEAST_STEPS, STEPS = 5, 12  # of an epoch
LEAST_BATCH, USUAL_BATCH, MOST_BATCH = 16, 64, 256  # a step costs too much for fewer rows


class Size(NamedTuple):
    """Size of the networks, and how they are trained."""

    columns: float  # that it is too small for
    loss: str
    width: int
    dropout: float
    lr: float
    n_epochs: int
    patience: int  # epochs
    n_rows: int  # of which more get fewer epochs


SIZES = (
    Size(15, "squared_error", 64, 0.05, 3e-3, 100, 20, 1_700),
    Size(30, "squared_error", 96, 0.05, 3e-3, 130, 30, 1_700),
    # Huber's loss memorises no rare extremes.
    Size(np.inf, "huber", 128, 0.1, 2e-3, 200, 50, 5_000),
)


def find_size(n_features: int) -> Size:
    """Return the size of networks, and of their training, for so many columns."""
    return next(size for size in SIZES if n_features < size.columns)


def default_imputing(n_rows: int, n_features: int) -> "ImputingAutoencoder":
    """Return the member of the default imputer."""
    size = find_size(n_features)
    longer = float(np.clip(FEW_ROWS / n_rows, 1, MOST_LONGER))
    shorter = min(size.n_rows / n_rows, 1) ** 0.5
    return ImputingAutoencoder(
        loss=size.loss,
        lr=size.lr,
        max_epochs=math.ceil(shorter * longer * size.n_epochs),
        n_iter_no_change=int(longer * size.patience),
    )


@dataclass(kw_only=True, eq=False, repr=False)
class ImputingAutoencoder(BaseAutoencoder):
    """Learns to fill in cells by hiding some of those that are observed.

    Its code is the completed row. In each step a further share of the observed cells is
    hidden, about as many as are missing, and only they have an error.
    """

    scaling: str | None = "standard"
    linear_penalty: float = 0.0
    weight_decay: float = 1e-2

    accepts_missing: ClassVar[bool] = True
    decays: ClassVar[bool] = True
    n_drops: ClassVar[int] = 0
    judge_corrupted: ClassVar[bool] = True  # hides the same cells of held-out rows
    _nearest: ClassVar[KernelRegressionImputer | None] = None

    def _count_components(self, X, rows: np.ndarray, seed: int) -> int:
        self._nearest = None  # of an earlier fit
        self._hidden_share = float(np.clip(missing_fraction(X, rows), *SHARES))
        return X.shape[1]

    def _make_network(self) -> Callable:
        def build(n_features: int, n_components: int) -> ImputationNetwork:
            size = find_size(n_features)
            return ImputationNetwork(n_features, size.width, N_BLOCKS, size.dropout)

        return build

    def _make_corruption(self, rows: RowDataset) -> RandomMissing:
        return RandomMissing(self._hidden_share)

    def _complete(self, X, scaler: Scaler, rows: np.ndarray, seed: int):
        return X  # each member makes its own guess: it has to see nothing of held-out rows

    def _start(
        self, network, corruption, rows: RowDataset, n_components: int, seed: int
    ) -> bool:
        self._fill = fit_factor_model(rows.X, rows.scaler, rows.indices, seed)
        few = rows[evenly_spaced_indices(len(rows), QUANTILE_ROWS)].cpu().numpy()
        few[:, np.isnan(few).all(axis=0)] = 0
        quantiles = np.nanquantile(few, quantile_levels(), axis=0)
        network.start_at(self._fill, torch.from_numpy(quantiles).float())
        return True

    def _refit(self, module, X, rows: np.ndarray, valid: RowDataset, rates: list[float]):
        # What one member holds out the others are trained on; a start costs nothing.
        return None if rates else super()._refit(module, X, rows, valid, rates)

    def _calibrate_held_out(
        self, net: AutoencoderNet, X, rows: np.ndarray, valid: RowDataset
    ) -> None:
        self._nearest = find_nearest(net, X, known_rows(rows), valid)

    def _after_fit(
        self, net: AutoencoderNet, train: RowDataset, valid: RowDataset | None
    ) -> None:
        if self._nearest is not None:  # completed by the weights that are kept
            known = known_rows(train.indices, valid.indices)
            self._nearest.rows = complete(net, scaled_rows(train.X, train.scaler, known))

    def _reconstructing(self) -> Callable:
        if self._nearest is None:
            return super()._reconstructing()
        nearest = self._nearest

        def draw(module: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
            x = module.scaler(rows)
            guess = every_guess(module, x).mean(1)
            return module.scaler.match(nearest(x, guess), rows)

        return draw

    def _batch_size(self, n_rows: int) -> int:
        usual = max(n_rows // STEPS, min(n_rows // LEAST_STEPS, USUAL_BATCH))
        return int(np.clip(usual, LEAST_BATCH, MOST_BATCH))
