"""Where scikit-learn meets torch: what all autoencoders share."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from skorch.callbacks import Callback

from sk_autoencoder.core._callbacks import ReplayLearningRate, ReportEpochs
from sk_autoencoder.core._data import RowDataset, input_rows, iter_chunks, target_rows
from sk_autoencoder.core._export import ExportMixin, ExportSpec
from sk_autoencoder.core._missing import has_missing
from sk_autoencoder.core._model_selection import (
    MAX_REFIT_ROWS,
    StateDict,
    interpolate_weights,
    select_interpolation,
)
from sk_autoencoder.core._recipe import Builder
from sk_autoencoder.core._scaling import moments
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._losses import LOSSES, observed_error
from sk_autoencoder.nn._missing import observed_share
from sk_autoencoder.persistence import PersistenceMixin
from sk_autoencoder.utils._checks import (
    check_columns,
    check_observed,
    check_range,
    check_same_width,
)
from sk_autoencoder.utils._devices import find_device
from sk_autoencoder.utils._random import seeded_fit
from sk_autoencoder.utils._sklearn_compat import (
    CallbackSupportMixin,
    ensure_all_finite,
    fit_context,
)


def encode(module: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Return the codes of `rows`, in the units of X."""
    return module.encode(rows)


def decode(module: torch.nn.Module, codes: torch.Tensor) -> torch.Tensor:
    """Return the rows that `codes` stand for, in the units of X."""
    return module.decode(codes)


@dataclass(kw_only=True, eq=False, repr=False)
class BaseAutoencoder(
    PersistenceMixin,
    ExportMixin,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    Builder,
):
    """Base class of autoencoders: a variant overrides one of the ``_make`` methods."""

    # Fitting

    @fit_context
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
        return self._fit_on(X, y)

    @fit_context  # once more for those who call it, and end scikit-learn's callbacks
    def _fit_on(self, X, y=None, rows: np.ndarray | None = None):
        """Fit to the rows of X that `rows` names, or (n_members, n_rows) of an ensemble."""
        goes_on = self.warm_start and hasattr(self, "net_")
        X = self._check_rows_to_fit(X, y, reset=not goes_on, ensure_min_samples=2)
        rows = np.arange(X.shape[0]) if rows is None else rows
        if goes_on:
            check_same_width(self.n_components, self.n_components_)
        device = find_device(self.device)
        context = self._init_callback_context(max_subtasks=self.max_epochs)
        given = {"X": input_rows(X), "y": target_rows(X)}
        context.call_on_fit_task_begin(estimator=self, **given)
        with seeded_fit(self.random_state, device) as seed:
            self._fit(X, rows, device, seed, ReportEpochs(self, context, given))
        context.call_on_fit_task_end(
            estimator=self, **given, reconstruction_attributes=dict
        )
        return self

    def _fit(self, X, rows: np.ndarray, device, seed: int, report: Callback) -> None:
        kept, out = self._hold_out(rows.shape[-1])
        if self.warm_start and hasattr(self, "net_"):
            module, started, build = self.net_.module_, False, None
        else:
            build = self._make_builder(X, rows, seed)
            module, started = build(rows[..., kept])
        net = self._make_net(module.to(device), self._epoch_callbacks(report))
        net.set_params(batch_size=self._batch_size(len(kept)), verbose=self.verbose)
        train = RowDataset(X, module.scaler, rows[..., kept])
        valid = None if out is None else RowDataset(X, module.scaler, rows[..., out])
        with self._threads(module, net.batch_size):
            net.initialize()
            start = net.get_weights()
            net.partial_fit((train, valid))
            self.best_epoch_ = net.best_epoch
            if started and valid is not None:
                self._select_interpolation(net, start, X, rows, valid, build)
            self._after_fit(net, train, valid)
        net.initialize_optimizer()  # its state would be in each pickle
        self.net_, self._is_partial_fit = net, False

    def _select_interpolation(
        self, net, start: StateDict, X, rows: np.ndarray, valid: RowDataset, build
    ) -> None:
        """Keep what lies between PCA and the trained weights as the held-out rows say."""
        schedule, end = net.schedule, net.get_weights()
        share = select_interpolation(net.interpolated_losses(start, end, valid))
        self.best_epoch_ *= share > 0
        net.load_weights(interpolate_weights(start, end, share))
        self._calibrate_held_out(net, X, rows, valid)
        if share == 0 or (schedule.is_done_ and rows.shape[-1] <= MAX_REFIT_ROWS):
            rates = schedule.rates_ if share else []
            with torch.random.fork_rng(devices=[]):  # else training repeats its draws too
                module, _ = build(rows)
            refitted = self._refit(module.to(net.device), X, rows, valid, rates)
            if refitted:
                net.load_weights(interpolate_weights(*refitted, share))

    def _refit(self, module, X, rows: np.ndarray, valid: RowDataset, rates: list[float]):
        """Train on all rows; return first and last weights, or None if interrupted."""
        callbacks = [("schedule", ReplayLearningRate(rates)), *self._user_callbacks()]
        net = self._make_net(module, callbacks).initialize()
        n_rows = rows.shape[-1]
        net.set_params(batch_size=self._batch_size(n_rows), max_epochs=len(rates))
        start = net.get_weights()
        net.partial_fit((RowDataset(X, module.scaler, rows), valid))
        is_done = len(net.curve("train_loss")) == len(rates)
        return (start, net.get_weights()) if is_done else None

    @fit_context
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
        X = self._check_rows_to_fit(X, y, reset=is_first, ensure_min_samples=1 + is_first)
        device = find_device(self.device)
        n_seen = 0 if is_first else self.n_iter_
        with seeded_fit(self.random_state, device, n_seen) as seed:
            self._fit_batch(X, device, seed)
        return self

    def _fit_batch(self, X, device: torch.device, seed: int) -> None:
        indices = np.arange(X.shape[0])
        if not hasattr(self, "net_"):
            module, _ = self._make_builder(X, indices, seed)(indices)
        else:
            module = self.net_.module_
        if not getattr(self, "_is_partial_fit", False):
            net = self._make_net(module.to(device), self._user_callbacks())
            self.net_ = net.set_params(max_epochs=1).initialize()
            self._is_partial_fit = True
        self.net_.set_params(batch_size=self._batch_size(len(indices)))
        with self._threads(module, self.net_.batch_size):
            rows = RowDataset(X, module.scaler, indices)
            self.net_.partial_fit((rows, None))
            self._after_fit(self.net_, rows, None)
        self.best_epoch_ = self.n_iter_

    def _check_X(self, X, *, reset: bool, ensure_min_samples: int = 1):
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite=ensure_all_finite(self),
            ensure_min_samples=ensure_min_samples,
        )
        if has_missing(X):
            check_observed(X)
        return X

    def _check_rows_to_fit(self, X, y, **kwargs):
        goes_on = not kwargs["reset"]
        X = self._with_targets(self._check_X(X, **kwargs), y)
        is_incomplete = has_missing(input_rows(X))
        if is_incomplete and goes_on and not self._is_incomplete:
            raise ValueError(
                "X has missing values, and the rows that training began with had none: "
                "the network has nothing that sees them. Begin with rows that have some."
            )
        if is_incomplete and not goes_on:
            check_columns(input_rows(X))
        self._is_incomplete = is_incomplete or (goes_on and self._is_incomplete)
        if not callable(self.loss):
            loss = LOSSES[self.loss]
            check_range(target_rows(X), loss.low, loss.high, f"loss={self.loss!r}")
        return X

    def _with_targets(self, X, y):
        """Pair X with `y` as target rows, where a variant learns from both."""
        return X

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
        return self._map(encode, X)

    def inverse_transform(self, X):
        """Return the rows that codes stand for.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the units of the training rows, in the precision of the codes.
        """
        check_is_fitted(self)
        X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
        if X.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {X.shape[1]} columns, but the codes of this "
                f"{type(self).__name__} have n_components={self.n_components_}."
            )
        with self._threads(self.net_.module_, X.shape[0]):
            return self.net_.map(decode, X)

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
        return self._map(self._reconstructing(), X)

    def _reconstructing(self) -> Callable:
        """Return ``(module, rows) -> (batch, n_features)``, what ``reconstruct`` does."""
        return lambda module, rows: module.reconstruct(rows)

    def score_samples(self, X):
        """Return minus the error of each row's reconstruction, as training measures it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Higher is better. A sum over features of errors in scaled units: squared
            ones for ``loss="squared_error"``, nats for ``"binary_cross_entropy"`` and
            ``"multinomial"``. Observed cells stand in for missing ones.
        """
        check_is_fitted(self)
        return self._map(self._scoring(), X)

    def _scoring(self) -> Callable:
        """Return ``(module, rows) -> (batch,)``, what ``score_samples`` does."""
        loss = self._loss()

        def error(autoencoder: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
            x = autoencoder.scaler(rows)
            output = autoencoder.network.reconstruct(x)
            return observed_error(
                loss.error, loss.neutral_output, output, x
            ) / observed_share(x)

        def score(module: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
            return -module.map_members(error, rows).reshape(-1, rows.shape[0]).mean(0)

        return score

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
        check_is_fitted(self)
        X = self._with_targets(self._check_X(X, reset=False), y)
        n_samples, n_features = X.shape

        def squared_distance(module: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
            x, target = rows[:, :n_features], rows[:, -n_features:]
            return (module.reconstruct(x) - target).square().nansum(-1)

        with self._threads(self.net_.module_, n_samples):
            residual = self._map_rows(squared_distance, X).sum(dtype=np.float64)
        fitted = moments(target_rows(X), np.arange(n_samples))
        total = np.nansum(fitted.var_ * fitted.n_samples_seen_)
        return float(1 - residual / total) if total else float(residual == 0)

    @staticmethod
    def _iter_mapped(net: AutoencoderNet, function: Callable, X, rows: np.ndarray):
        """Yield what `function` gives for the `rows` of X, in pieces of bounded size."""
        for piece in iter_chunks(X, rows):
            yield net.map(function, piece)

    def _map(self, function: Callable, X) -> np.ndarray:
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        with self._threads(self.net_.module_, X.shape[0]):
            return self._map_rows(function, X)

    def _map_rows(self, function: Callable, X) -> np.ndarray:
        """Map rows; a network that was fitted to complete ones gets their gaps filled."""
        module = self.net_.module_
        if not self._is_incomplete and has_missing(input_rows(X)):
            if self._fill is None:
                raise ValueError(
                    "X has missing values, and nothing was learned to fill them with from "
                    "sparse rows. Fit to dense ones."
                )
            module = module.with_imputation(self._fill).to(self.net_.device)
        return self.net_.map(function, X, module)

    # Export

    def __onnx_spec__(self, method: str, allow_nan: bool) -> ExportSpec:
        n_features, n_components = self.n_features_in_, self.n_components_
        if method == "inverse_transform":
            module, outputs = self._copy_module(False), {"variable": [n_features]}
            return ExportSpec(module, decode, n_components, outputs)
        module = self._copy_module(allow_nan)
        if method == "score_samples":
            return ExportSpec(module, self._scoring(), n_features, {"score_samples": []})
        if method == "reconstruct":
            function, outputs = self._reconstructing(), {"variable": [n_features]}
            return ExportSpec(module, function, n_features, outputs)
        return ExportSpec(module, encode, n_features, {"variable": [n_components]})

    def _copy_module(self, allow_nan: bool) -> torch.nn.Module:
        """Copy the fitted module to the CPU, behind an imputation if `allow_nan`."""
        module = self.net_.module_
        if not allow_nan or self._is_incomplete:
            return copy.deepcopy(module).cpu()
        if self._fill is None:
            raise ValueError(
                f"allow_nan=True needs an autoencoder that can fill in missing values, and "
                f"this {type(self).__name__} cannot."
            )
        return module.with_imputation(self._fill).cpu()

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
        tags.input_tags.allow_nan = self._allows_missing()
        tags.input_tags.positive_only = self.loss == "multinomial"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def fit_members(autoencoder: BaseAutoencoder, X, rows: np.ndarray) -> BaseAutoencoder:
    """Fit an autoencoder, or an ensemble of its members, to some of the rows of X.

    Parameters
    ----------
    autoencoder : BaseAutoencoder
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    rows : ndarray of shape (n_rows,) or (n_members, n_rows)
        Indices of the rows to fit to; with two axes, those of each member.

    Returns
    -------
    autoencoder : BaseAutoencoder
        The same object, fitted.
    """
    return autoencoder._fit_on(X, rows=rows)


def map_rows(autoencoder: BaseAutoencoder, function: Callable, X) -> np.ndarray:
    """Apply a function in torch to all rows of X, in bounded memory.

    Parameters
    ----------
    autoencoder : BaseAutoencoder
        Fitted.
    function : callable
        ``(module, rows) -> (batch, ...)``, for rows of shape (batch, n_features).
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Missing values are imputed as the autoencoder does.

    Returns
    -------
    values : ndarray of shape (n_samples, ...)
        In the precision of X.
    """
    return autoencoder._map(function, X)
