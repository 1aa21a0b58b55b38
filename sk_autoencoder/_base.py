"""Where scikit-learn meets torch: what all autoencoders share."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from skorch.callbacks import Callback

from sk_autoencoder import _start as starts
from sk_autoencoder import _validation as checks
from sk_autoencoder._callbacks import Cosine, KeepBest, ReportEpochs
from sk_autoencoder._ensemble import Ensemble
from sk_autoencoder._net import ONE_THREAD_WORK, AutoencoderNet, Rows
from sk_autoencoder._parameters import OPTIMIZERS, Parameters
from sk_autoencoder.corruptions import GaussianNoise
from sk_autoencoder.networks import Autoencoder, Dense, Network, Scaler
from sk_autoencoder.objectives import LOSSES, Loss, Objective, l1_norm, linear_error


@dataclass(kw_only=True, eq=False, repr=False)
class BaseAutoencoder(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, Parameters
):
    """Base class of autoencoders: a variant overrides one of the ``_make`` methods."""

    # What a variant may change

    def _make_network(self) -> Callable[[int, int], Network]:
        return self.network or Dense(
            self.hidden_layer_sizes, self.activation, self.dropout, self.tied_weights
        )

    def _make_corruption(self) -> torch.nn.Module:
        return GaussianNoise(self.noise_level)

    def _make_objective(self) -> Objective:
        error, trim_fraction = self._loss().error, self.trim_fraction
        linear_penalty = self.linear_penalty if self.init == "pca" else 0
        return Objective(
            error,
            trim_fraction,
            linear=(linear_penalty, partial(linear_error, error, trim_fraction)),
            l1=(self.l1_penalty, l1_norm),
        )

    # Fitting

    @checks.fit_context
    def fit(self, X, y=None):
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Sparse rows are made dense a batch at a time.
        y : None
            Ignored.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter or X does not fit, or if the loss is not finite.
        """
        return self._fit_on(X)

    def _fit_on(self, X, rows: np.ndarray | None = None):
        """Fit to the rows of X that `rows` names, or (n_members, n_rows) of an ensemble."""
        goes_on = self.warm_start and hasattr(self, "net_")
        X = self._check_rows_to_fit(X, reset=not goes_on, ensure_min_samples=2)
        rows = np.arange(X.shape[0]) if rows is None else rows
        if goes_on:
            self._check_same_width()
        device = checks.find_device(self.device)
        context = self._init_callback_context(max_subtasks=self.max_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=X)
        with checks.seeded(self.random_state, device) as seed:
            self._fit(X, rows, device, seed, ReportEpochs(self, context, X))
        context.call_on_fit_task_end(
            estimator=self, X=X, y=X, reconstruction_attributes=dict
        )
        return self

    def _fit(self, X, rows: np.ndarray, device, seed: int, report: Callback) -> None:
        share = self.validation_fraction if self.early_stopping else None
        kept, out = starts.hold_out(rows.shape[-1], share)
        fitting, held_out = rows[..., kept], None if out is None else rows[..., out]
        is_fresh = not (self.warm_start and hasattr(self, "net_"))
        if is_fresh:
            n_components = self._count_components(X, rows, seed)
            module, started = self._make_module(X, fitting, n_components, seed)
        else:
            module, started = self.net_.module_, False
        net = self._make_net(module.to(device), self._epoch_callbacks(report))
        net.set_params(batch_size=self._batch_size(len(kept)), verbose=self.verbose)
        train = Rows(X, module.scaler, fitting)
        valid = None if held_out is None else Rows(X, module.scaler, held_out)
        with self._threads(module, net.batch_size):
            net.initialize()
            before = None if valid is None else net.row_errors(valid)
            net.partial_fit((train, valid))
            after = None if valid is None else net.row_errors(valid)
        net.optimizer_.state.clear()  # else each pickle would carry it along
        self.net_, self._streams = net, False
        self.best_epoch_ = net.best_epoch
        if started and valid is not None and not starts.clearly_lower(after, before):
            start, _ = self._make_module(X, rows, n_components, seed)
            module.load_state_dict(start.state_dict())
            self.best_epoch_ = 0

    @checks.fit_context
    def partial_fit(self, X, y=None):
        """Train for one epoch on a batch of rows.

        The first batch also sets the scale of the features and, with ``init="pca"``,
        the start. Nothing is held out, and the learning rate stays at `lr`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A batch of rows, two or more in the first.
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        is_first = not hasattr(self, "net_")
        X = self._check_rows_to_fit(X, reset=is_first, ensure_min_samples=1 + is_first)
        device = checks.find_device(self.device)
        n_seen = 0 if is_first else self.n_iter_
        with checks.seeded(self.random_state, device, n_seen) as seed:
            self._stream(X, device, seed)
        return self

    def _stream(self, X, device: torch.device, seed: int) -> None:
        indices = np.arange(X.shape[0])
        if not hasattr(self, "net_"):
            n_components = self._count_components(X, indices, seed)
            module, _ = self._make_module(X, indices, n_components, seed)
        else:
            module = self.net_.module_
        if not getattr(self, "_streams", False):
            net = self._make_net(module.to(device), self._user_callbacks())
            self.net_ = net.set_params(max_epochs=1).initialize()
            self._streams = True
        self.net_.set_params(batch_size=self._batch_size(len(indices)))
        with self._threads(module, self.net_.batch_size):
            self.net_.partial_fit((Rows(X, module.scaler, indices), None))
        self.best_epoch_ = self.n_iter_

    def _check_X(self, X, *, reset: bool, ensure_min_samples: int = 1):
        return validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_min_samples=ensure_min_samples,
        )

    def _check_rows_to_fit(self, X, **kwargs):
        X = self._check_X(X, **kwargs)
        if self.loss == "binary_cross_entropy":
            checks.check_unit_interval(X, self.loss)
        return X

    def _check_same_width(self) -> None:
        width = self.n_components
        if isinstance(width, Integral) and width != self.n_components_:
            raise ValueError(
                f"n_components={width}, but warm_start=True goes on from a fit with "
                f"{self.n_components_} components. Set warm_start=False to start anew."
            )

    def _batch_size(self, n_rows: int) -> int:
        if self.batch_size == "auto":
            return int(np.clip(n_rows // 20, 8, 256))
        return self.batch_size

    # Building

    def _loss(self) -> Loss:
        return Loss(self.loss) if callable(self.loss) else LOSSES[self.loss]

    def _make_scaler(self, X, indices: np.ndarray):
        scaling = self.scaling if self._loss().scaled else None
        return starts.make_scaler(X, indices, scaling)

    def _make_module(self, X, rows: np.ndarray, n_components: int, seed: int):
        """Return an autoencoder, or an ensemble, and whether it starts at PCA."""
        scaler = self._make_scaler(X, np.unique(rows))
        subsets, members, started = np.atleast_2d(rows), [], False
        networks = self._build_networks(X.shape[1], n_components, len(subsets))
        for network, own in zip(networks, subsets, strict=True):
            started = self._start(network, X, own, scaler, n_components, seed)
            corruption, link = self._make_corruption(), self._loss().link()
            members.append(Autoencoder(network, scaler, corruption, link))
        self.n_components_ = n_components * len(members)
        return members[0] if rows.ndim == 1 else Ensemble(members), started

    def _count_components(self, X, rows: np.ndarray, seed: int) -> int:
        rows = np.unique(rows)
        if self.n_components is None:
            return min(len(rows), X.shape[1])
        if self.n_components >= 1:
            return int(self.n_components)
        scaled = Rows(X, self._make_scaler(X, rows), rows)
        axes = starts.principal_axes(scaled, None, seed)
        return starts.count_components(axes, self.n_components)

    def _build_networks(
        self, n_features: int, n_components: int, n_networks: int
    ) -> list[Network]:
        build = self._make_network()
        networks = [build(n_features, n_components) for _ in range(n_networks)]
        if len(set(networks)) < max(n_networks, 2):  # may be the user's own module
            networks = [copy.deepcopy(network) for network in networks]
        checks.check_network(networks[0], n_features, n_components)
        return networks

    def _start(
        self, network: Network, X, rows, scaler: Scaler, n_components: int, seed: int
    ) -> bool:
        """Start at PCA of the rows of X that `rows` names; return whether that worked."""
        can_start = type(network).start_from is not Network.start_from
        if self.init != "pca" or not can_start:
            return False
        axes = starts.principal_axes(Rows(X, scaler, rows), n_components, seed)
        return network.start_from(starts.linear_start(axes, n_components, self._loss()))

    def _make_net(self, module: Autoencoder | Ensemble, callbacks: list) -> AutoencoderNet:
        optimizer = OPTIMIZERS.get(self.optimizer, self.optimizer)
        wished = {"weight_decay": self.weight_decay, "fused": True}
        known = inspect.signature(optimizer).parameters
        options = {f"optimizer__{k}": v for k, v in wished.items() if k in known}
        return AutoencoderNet(
            module,
            self._make_objective(),
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
        keep_best = KeepBest(self.n_iter_no_change, self.tol)
        schedule = keep_best if self.early_stopping else Cosine()
        return [("schedule", schedule), *self._user_callbacks(), ("report", report)]

    def _threads(self, module: torch.nn.Module, n_rows: int):
        n_weights = sum(p.numel() for p in module.parameters())
        return checks.threads(n_rows * n_weights, ONE_THREAD_WORK)

    # Using

    def transform(self, X):
        """Return the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In scaled units, in the precision of X.
        """
        return self._map(lambda module, rows: module.encode(rows), X)

    def inverse_transform(self, X):
        """Return the rows that codes stand for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the units of the training rows, in the precision of the codes.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=[np.float64, np.float32])
        if X.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {X.shape[1]} columns, but the codes of this "
                f"{type(self).__name__} have n_components={self.n_components_}."
            )
        with self._threads(self.net_.module_, len(X)):
            return self.net_.map(lambda module, rows: module.decode(rows), X)

    def reconstruct(self, X):
        """Return X as the autoencoder sees it: encoded and decoded.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the units and the precision of X.
        """
        return self._map(lambda module, rows: module.reconstruct(rows), X)

    def score_samples(self, X):
        """Return minus the error of each row's reconstruction, as training measures it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Higher is better. A sum over features of errors in scaled units: squared
            ones for ``loss="squared_error"``, nats for ``"binary_cross_entropy"``.
        """
        check_is_fitted(self)

        def error(autoencoder: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
            x = autoencoder.scaler(rows)
            return self.net_.criterion_.error(autoencoder.network(x).reconstruction, x)

        def score(module: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
            return -module.each(error, rows).reshape(-1, len(rows)).mean(0)

        return self._map(score, X)

    def score(self, X, y=None):
        """Return the coefficient of determination R² of the reconstruction.

        One minus the squared error of the reconstruction divided by the variance of X,
        each summed over all cells in the units of X: 1 is perfect, and the mean row
        scores 0. The same number measures PCA.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        score : float
        """

        def squared_distance(module: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
            return (module.reconstruct(rows) - rows).square().sum(-1)

        residual = self._map(squared_distance, X).sum(dtype=np.float64)
        X = self._check_X(X, reset=False)
        total = starts.moments(X, np.arange(X.shape[0])).var_.sum() * X.shape[0]
        return float(1 - residual / total) if total else float(residual == 0)

    def _map(self, function: Callable, X) -> np.ndarray:
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        with self._threads(self.net_.module_, X.shape[0]):
            return self.net_.map(function, X)

    # What was learned

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    @property
    def network_(self) -> Network:
        """The fitted torch module."""
        return self.net_.module_.network

    @property
    def history_(self):
        """What skorch recorded of every epoch."""
        return self.net_.history

    @property
    def n_iter_(self) -> int:
        """Number of epochs run to their end."""
        return len(self.loss_curve_)

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss after each epoch."""
        return self._curve("train_loss")

    @property
    def validation_curve_(self) -> list[float] | None:
        """Held-out loss after each epoch; None where nothing was held out."""
        return self._curve("valid_loss") or None

    def _curve(self, name: str) -> list[float]:
        # An interrupted epoch has a record, but no losses.
        return [epoch[name] for epoch in self.net_.history if name in epoch]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
