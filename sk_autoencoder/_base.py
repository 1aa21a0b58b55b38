"""Where scikit-learn meets torch: what all autoencoders share."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from skorch.callbacks import Callback

from sk_autoencoder import _start as starts
from sk_autoencoder import _validation as checks
from sk_autoencoder._callbacks import Cosine, KeepBest, Replay, ReportEpochs
from sk_autoencoder._net import ONE_THREAD_WORK, AutoencoderNet, Rows, State, between
from sk_autoencoder._parameters import OPTIMIZERS, Parameters, known_options
from sk_autoencoder.corruptions import GaussianNoise
from sk_autoencoder.networks import Autoencoder, Dense, Network
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
        error = self._loss().error
        linear_penalty = self.linear_penalty if self.init == "pca" else 0
        return Objective(
            error,
            linear=(linear_penalty, partial(linear_error, error)),
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
        goes_on = self.warm_start and hasattr(self, "net_")
        X = self._check_rows_to_fit(X, reset=not goes_on, ensure_min_samples=2)
        if goes_on:
            checks.check_same_width(self.n_components, self.n_components_)
        device = checks.find_device(self.device)
        context = self._init_callback_context(max_subtasks=self.max_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=X)
        with checks.seeded(self.random_state, device) as seed:
            self._fit(X, device, seed, ReportEpochs(self, context, X))
        context.call_on_fit_task_end(
            estimator=self, X=X, y=X, reconstruction_attributes=dict
        )
        return self

    def _fit(self, X, device: torch.device, seed: int, report: Callback) -> None:
        share = self.validation_fraction if self.early_stopping else None
        fitting, held_out = starts.hold_out(X.shape[0], share)
        is_fresh = not (self.warm_start and hasattr(self, "net_"))
        module = self._make_module(X, fitting, seed) if is_fresh else self.net_.module_
        started = is_fresh and self._start(module, X, fitting, seed)
        net = self._make_net(module.to(device), self._epoch_callbacks(report))
        net.set_params(batch_size=self._batch_size(len(fitting)), verbose=self.verbose)
        train = Rows(X, module.scaler, fitting)
        valid = None if held_out is None else Rows(X, module.scaler, held_out)
        with self._threads(module, net.batch_size):
            net.initialize()
            start = net.copy_state()
            net.partial_fit((train, valid))
            self.best_epoch_ = net.best_epoch
            if started and valid is not None:
                self._settle(net, start, X, valid, seed)
        net.initialize_optimizer()  # its state would be in each pickle
        self.net_, self._streams = net, False

    def _settle(self, net: AutoencoderNet, start: State, X, valid: Rows, seed: int):
        """Keep what lies between PCA and the trained weights as the held-out rows say."""
        schedule, end = net.schedule, net.copy_state()
        share = starts.share_of_the_way(net.errors_between(start, end, valid))
        self.best_epoch_ *= share > 0
        refitted = None
        if share == 0 or (schedule.is_done_ and X.shape[0] <= starts.REFIT_ROWS):
            net.load_state(start)  # also the layers that PCA says nothing about
            refitted = self._refit(net, X, valid, seed, schedule.rates_ if share else [])
        net.load_state(between(*(refitted or (start, end)), share))

    def _refit(self, net: AutoencoderNet, X, valid: Rows, seed: int, rates: list[float]):
        """Train from PCA of all rows; return first and last weights unless interrupted."""
        module, indices = net.module_.cpu(), np.arange(X.shape[0])
        module.scaler = self._make_scaler(X, indices)
        self._start(module, X, indices, seed)
        callbacks = [("schedule", Replay(rates)), *self._user_callbacks()]
        again = self._make_net(module.to(net.device), callbacks).initialize()
        again.set_params(batch_size=self._batch_size(len(indices)), max_epochs=len(rates))
        start = again.copy_state()
        again.partial_fit((Rows(X, module.scaler, indices), valid))
        is_done = len(again.curve("train_loss")) == len(rates)
        return (start, again.copy_state()) if is_done else None

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
        device, n_seen = checks.find_device(self.device), 0 if is_first else self.n_iter_
        with checks.seeded(self.random_state, device, n_seen) as seed:
            self._stream(X, device, seed)
        return self

    def _stream(self, X, device: torch.device, seed: int) -> None:
        indices = np.arange(X.shape[0])
        if not hasattr(self, "net_"):
            module = self._make_module(X, indices, seed)
            self._start(module, X, indices, seed)
        else:
            module = self.net_.module_
        if not getattr(self, "_streams", False):
            net = self._make_net(module.to(device), self._user_callbacks())
            self.net_ = net.set_params(max_epochs=1).initialize()
            self._streams = True
        self.net_.set_params(batch_size=self._batch_size(X.shape[0]))
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

    def _batch_size(self, n_rows: int) -> int:
        if self.batch_size == "auto":
            return int(np.clip(n_rows // 20, 8, 256))
        return self.batch_size

    # Building

    def _loss(self) -> Loss:
        return Loss(self.loss) if callable(self.loss) else LOSSES[self.loss]

    def _make_scaler(self, X, indices: np.ndarray):
        return starts.make_scaler(X, indices, self.scaling if self._loss().scaled else None)

    def _make_module(self, X, indices: np.ndarray, seed: int) -> Autoencoder:
        scaler = self._make_scaler(X, indices)
        self.n_components_ = self._count_components(X, seed)
        network = self._build_network(X.shape[1], self.n_components_)
        return Autoencoder(network, scaler, self._make_corruption(), self._loss().link())

    def _count_components(self, X, seed: int) -> int:
        if self.n_components is None:
            return min(X.shape)
        if self.n_components >= 1:
            return int(self.n_components)
        indices = np.arange(X.shape[0])
        rows = Rows(X, self._make_scaler(X, indices), indices)
        axes = starts.principal_axes(rows, None, seed)
        return starts.count_components(axes, self.n_components)

    def _build_network(self, n_features: int, n_components: int) -> Network:
        network = self._make_network()(n_features, n_components)
        network = copy.deepcopy(network)  # may be the user's own
        checks.check_network(network, n_features, n_components)
        return network

    def _start(self, module: Autoencoder, X, indices: np.ndarray, seed: int) -> bool:
        """Start at PCA of the rows `indices`; return whether the network can."""
        can_start = type(module.network).start_from is not Network.start_from
        if self.init != "pca" or not can_start:
            return False
        rows, n_components = Rows(X, module.scaler, indices), self.n_components_
        axes = starts.principal_axes(rows, n_components, seed)
        start = starts.linear_start(axes, n_components, self._loss())
        return module.network.start_from(start)

    def _make_net(self, module: Autoencoder, callbacks: list) -> AutoencoderNet:
        optimizer = OPTIMIZERS.get(self.optimizer, self.optimizer)
        options = known_options(optimizer, weight_decay=self.weight_decay, fused=True)
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

    def _threads(self, module: Autoencoder, n_rows: int):
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
        return self._map(Autoencoder.encode, X)

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
            return self.net_.map(Autoencoder.decode, X)

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
        return self._map(Autoencoder.reconstruct, X)

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

        def minus_error(module: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
            x = module.scaler(rows)
            return -self.net_.criterion_.error(module.network(x).reconstruction, x)

        return self._map(minus_error, X)

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
        return self.net_.curve("train_loss")

    @property
    def validation_curve_(self) -> list[float] | None:
        """Held-out loss after each epoch; None where nothing was held out."""
        return self.net_.curve("valid_loss") or None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
