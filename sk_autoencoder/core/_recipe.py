"""Networks, objectives and trainers from the parameters of an autoencoder."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import clone
from skorch.callbacks import Callback

from sk_autoencoder.core._callbacks import CosineAnnealing, EarlyStoppingWithRestarts
from sk_autoencoder.core._data import RowDataset, input_rows, target_rows
from sk_autoencoder.core._initialization._factor_model import fit_factor_model
from sk_autoencoder.core._initialization._pca import (
    count_components,
    linear_init,
    principal_axes,
    projection,
)
from sk_autoencoder.core._missing import impute_lazily
from sk_autoencoder.core._model_selection import hold_out
from sk_autoencoder.core._optimizers import OPTIMIZERS, supported_options
from sk_autoencoder.core._parameters import Parameters
from sk_autoencoder.core._scaling import make_row_scaler, make_scaler
from sk_autoencoder.core._trainer import MULTIPLICATIONS_PER_THREAD, AutoencoderNet
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._checks import as_specification, check_network
from sk_autoencoder.nn._corruptions import GaussianNoise
from sk_autoencoder.nn._dense import Dense
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._losses import LOSSES, ROW_LOSSES, Error, Loss, observed_error
from sk_autoencoder.nn._missing import FactorModelImputer, ImputationLayer, PreserveMissing
from sk_autoencoder.nn._objective import Objective
from sk_autoencoder.nn._penalties import l1_norm, linear_error
from sk_autoencoder.nn._scalers import Scaler
from sk_autoencoder.utils._threads import limit_threads


class Builder(Parameters):
    """Base class that builds networks, objectives and trainers from parameters."""

    # A variant overrides these.

    def _make_network(self) -> Callable[[int, int], Network]:
        if self.network is not None:
            return as_specification(self.network)
        return Dense(
            self.hidden_layer_sizes, self.activation, self.dropout, self.tied_weights
        )

    _allow_nan: ClassVar[bool] = False  # whether entries of X may be NaN
    _n_lr_reductions: ClassVar[int] = 2  # before training stops
    _cosine_decay: ClassVar[bool] = False  # of the learning rate, with early stopping too
    _corrupt_validation: ClassVar[bool] = False  # whether validation rows are corrupted too
    _objective_class: ClassVar[type[Objective]] = Objective
    _is_incomplete: ClassVar[bool] = False  # whether training rows have missing entries
    _imputer: ClassVar[FactorModelImputer | None] = None  # of missing entries

    def _hold_out(self, n_rows: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Split rows into training and validation rows, if any."""
        fraction = self.validation_fraction if self.early_stopping else None
        return hold_out(n_rows, fraction)

    def _calibrate_on_validation(
        self, net: AutoencoderNet, X, rows: np.ndarray, valid: RowDataset
    ) -> None:
        """Calibrate on validation rows, before a refit on all `rows` of X."""

    def _after_fit(
        self, net: AutoencoderNet, train: RowDataset, valid: RowDataset | None
    ) -> None:
        """Learn further attributes after training."""

    def _scaler_kind(self) -> type[Scaler]:
        return Scaler

    def _make_corruption(self, rows: RowDataset) -> torch.nn.Module:
        return GaussianNoise(self.noise_level)

    def _make_penalties(self, module: Autoencoder | Ensemble) -> dict:
        """Make the penalties of the objective, by name: weight and function."""
        linear_penalty = self.linear_penalty if self.init in ("auto", "pca") else 0
        linear = partial(linear_error, self._error(), self.trim_fraction)
        return {"linear": (linear_penalty, linear), "l1": (self.l1_penalty, l1_norm)}

    # Shared by all variants

    def _make_objective(self, module: Autoencoder | Ensemble) -> Objective:
        penalties = self._make_penalties(module)
        return self._objective_class(self._error(), self.trim_fraction, **penalties)

    def _loss(self) -> Loss:
        return Loss(self.loss) if callable(self.loss) else LOSSES[self.loss]

    def _error(self) -> Error:
        """Make the error of the loss, over observed entries if entries are missing."""
        loss = self._loss()
        if not self._is_incomplete:
            return loss.error
        return partial(observed_error, loss.error, loss.neutral_output)

    def _make_scaler(self, X, indices: np.ndarray):
        loss = self._loss()
        if loss.norm_order is not None:
            return make_row_scaler(target_rows(X), indices, loss.norm_order)
        scaling = self.scaling if loss.scaled else None
        return make_scaler(target_rows(X), indices, scaling, self._scaler_kind())

    def _make_builder(self, X, rows: np.ndarray, seed: int) -> Callable:
        """Make a factory that rebuilds the module for any rows from one RNG state."""
        return partial(
            self._make_module,
            X,
            n_components=self._count_components(X, rows, seed),
            seed=seed,
            rng_state=torch.get_rng_state(),
        )

    def _make_module(self, X, rows: np.ndarray, n_components: int, seed: int, rng_state):
        """Build an autoencoder or an ensemble, initialised on `rows`.

        Parameters
        ----------
        X : ndarray, CSR array or InputTargetRows of shape (n_samples, n_features)
        rows : ndarray of shape (n_rows,) or (n_members, n_rows)
        n_components : int
        seed : int
            Seed of PCA.
        rng_state : Tensor
            State of torch's generator, from which the weights are drawn.

        Returns
        -------
        module : Autoencoder or Ensemble
        is_initialized : bool
            Whether the initial weights are those of a linear autoencoder.
        """
        torch.set_rng_state(rng_state)
        all_rows = rows if rows.ndim == 1 else np.unique(rows)
        scaler = self._make_scaler(X, all_rows)
        X_imputed = self._impute_rows(X, scaler, all_rows, seed)
        subsets, members, is_initialized = np.atleast_2d(rows), [], False
        networks = self._build_networks(X.shape[1], n_components, len(subsets))
        for network, subset in zip(networks, subsets, strict=True):
            dataset, link = RowDataset(X_imputed, scaler, subset), self._loss().link()
            corruption = self._make_corruption(dataset)
            is_initialized = self._initialize(
                network, corruption, dataset, n_components, seed
            )
            if self._is_incomplete:
                network = network.with_imputation(ImputationLayer(self._imputer))
                corruption = PreserveMissing(corruption)
            members.append(
                Autoencoder(network, scaler, corruption, link, self._corrupt_validation)
            )
        self.n_components_ = n_components * len(members)
        return members[0] if rows.ndim == 1 else Ensemble(members), is_initialized

    def _allows_missing(self) -> bool:
        # The norm of a row with missing entries is unknown.
        return self._allow_nan and self.loss not in ROW_LOSSES

    def _impute_rows(self, X, scaler: Scaler, rows: np.ndarray, seed: int):
        """Fit the imputer of missing entries to `rows` of X, and impute X lazily."""
        self._imputer = None
        if self._allows_missing() and not issparse(input_rows(X)):
            self._imputer = fit_factor_model(
                input_rows(X), scaler, rows, seed, self._is_incomplete
            )
        return impute_lazily(X, scaler, self._imputer) if self._is_incomplete else X

    def _count_components(self, X, rows: np.ndarray, seed: int) -> int:
        if self.n_components is not None and self.n_components >= 1:
            return int(self.n_components)
        rows = np.unique(rows)
        if self.n_components is None:
            return min(len(rows), X.shape[1])
        scaler = self._make_scaler(X, rows)
        X_imputed = self._impute_rows(target_rows(X), scaler, rows, seed)
        axes = principal_axes(RowDataset(X_imputed, scaler, rows), None, seed)
        return count_components(axes, self.n_components)

    def _build_networks(
        self, n_features: int, n_components: int, n_networks: int
    ) -> list[Network]:
        build = self._make_network()
        networks = [build(n_features, n_components) for _ in range(n_networks)]
        check_network(networks[0], n_features, n_components)
        return networks

    def _initialize(
        self, network: Network, corruption, rows: RowDataset, n_components: int, seed: int
    ) -> bool:
        """Initialise `network` at a linear autoencoder, if it has a linear path."""
        has_linear_init = type(network).start_from is not Network.start_from
        if not (has_linear_init and self._uses_pca_init(rows)):
            return False
        linear = self._fit_linear_autoencoder(corruption, rows, n_components, seed)
        return network.start_from(linear_init(linear, n_components, self._loss()))

    def _uses_pca_init(self, rows: RowDataset) -> bool:
        return self.init == "pca"

    def _fit_linear_autoencoder(
        self, corruption, rows: RowDataset, n_components: int, seed: int
    ):
        """Fit the linear autoencoder of the initial weights: PCA of `rows`."""
        return projection(principal_axes(rows, n_components, seed))

    def _make_net(self, module: Autoencoder | Ensemble, callbacks: list) -> AutoencoderNet:
        optimizer = OPTIMIZERS.get(self.optimizer, self.optimizer)
        options = supported_options(optimizer, weight_decay=self.weight_decay, fused=True)
        return AutoencoderNet(
            module,
            self._make_objective(module),
            optimizer=optimizer,
            lr=self.lr,
            max_epochs=self.max_epochs,
            callbacks=callbacks,
            device=str(next(module.parameters()).device),
            verbose=0,
            **options,
        )

    def _user_callbacks(self) -> list:
        return [clone(callback, safe=False) for callback in self.callbacks or ()]

    def _epoch_callbacks(self, report: Callback) -> list:
        early_stopping = EarlyStoppingWithRestarts(
            self.n_iter_no_change, self.tol, self._n_lr_reductions
        )
        schedule = early_stopping if self.early_stopping else CosineAnnealing()
        decays = self._cosine_decay and self.early_stopping
        decay = [("decay", CosineAnnealing())] if decays else []
        others = [*self._user_callbacks(), ("report", report)]
        return [("schedule", schedule), *decay, *others]

    def _limit_threads(self, module: torch.nn.Module, n_rows: int):
        n_weights = sum(p.numel() for p in module.parameters())
        return limit_threads(n_rows * n_weights, MULTIPLICATIONS_PER_THREAD)

    def _batch_size(self, n_rows: int) -> int:
        if self.batch_size == "auto":
            return int(np.clip(n_rows // 20, 8, 256))
        return self.batch_size
