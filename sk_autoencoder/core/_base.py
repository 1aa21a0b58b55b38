"""The base class of all autoencoders: scikit-learn's interface to torch networks."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial, reduce
from time import perf_counter

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from sk_autoencoder.core._callbacks import ReportEpochs, clone_callbacks
from sk_autoencoder.core._chunkwise import ChunkwiseMixin, iter_weighted_chunks
from sk_autoencoder.core._columns import NumericColumns
from sk_autoencoder.core._data import RowSource
from sk_autoencoder.core._export import ExportMixin, ExportSpec, check_export_method
from sk_autoencoder.core._fit_summary import FitSummaryMixin
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._inference import decode, encode
from sk_autoencoder.core._lazy_rows import (
    check_alone,
    draw_sample,
    make_sampled_source,
)
from sk_autoencoder.core._model_selection import N_FOLDS, hold_out
from sk_autoencoder.core._moments import Moments, measure_moments
from sk_autoencoder.core._optimizers import OPTIMIZERS
from sk_autoencoder.core._parameters import Parameters
from sk_autoencoder.core._recipe import (
    MIN_BATCH_SIZE,
    Recipe,
    Schedule,
    Start,
    choose_batch_size,
    fit_pca,
    keep_random_weights,
    start_at,
)
from sk_autoencoder.core._streaming import train_batch
from sk_autoencoder.core._tables import (
    TableColumns,
    TableMixin,
    table_layout,
)
from sk_autoencoder.core._trainer import AutoencoderNet, read_curve
from sk_autoencoder.core._training import LOCAL, train
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._checks import as_specification, check_loss
from sk_autoencoder.nn._corruptions import GaussianNoise
from sk_autoencoder.nn._dense import Dense
from sk_autoencoder.nn._losses import LOSSES, Error, Loss
from sk_autoencoder.nn._penalties import l1_norm, linear_error
from sk_autoencoder.nn._scalers import Scaler
from sk_autoencoder.nn._tables import make_table_loss
from sk_autoencoder.persistence import PersistenceMixin
from sk_autoencoder.preprocessing import TableEncoder
from sk_autoencoder.utils._checks import (
    check_columns,
    check_n_observed,
    check_n_weighted,
    check_range,
    check_same_width,
    count_rows,
)
from sk_autoencoder.utils._devices import find_device
from sk_autoencoder.utils._memory_errors import explained_memory_errors
from sk_autoencoder.utils._random import seeded_fit
from sk_autoencoder.utils._sklearn_compat import (
    CallbackSupportMixin,
    allows_nan,
    fit_context,
)
from sk_autoencoder.utils._transactions import adopt, as_fitted, fitted_params, shallow_copy

TABLE_LOSSES = ("squared_error", "absolute_error", "huber")


def reconstruct(module: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Encode and decode `rows`, in the units of X."""
    return module.reconstruct(rows)


def make_error_score(loss: Loss, fitted: Fitted) -> Callable:
    """Make the function ``(module, rows) -> (batch,)`` of the negative error of `loss`."""

    def error(autoencoder: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        x = autoencoder.scaler(rows)
        output = autoencoder.network.reconstruct(autoencoder.scaler.bound(x))
        return loss.observed_error(output, x) / loss.observed_share(x)

    def score(module: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
        # The error of a wild row may be more than a float holds.
        largest = torch.finfo(rows.dtype).max
        return -module.map_members(error, rows).mean(0).clamp(max=largest)

    return score


@dataclass(kw_only=True, eq=False, repr=False)
class BaseAutoencoder(
    PersistenceMixin,
    ExportMixin,
    FitSummaryMixin,
    CallbackSupportMixin,
    ChunkwiseMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    TableMixin,
    Parameters,
):
    """Base class of autoencoders: a variant defines its own recipe."""

    # Fitting

    def make_recipe(self) -> Recipe:
        """Make the recipe of a fit from the parameters.

        A variant replaces the steps in which it differs.

        Returns
        -------
        recipe : Recipe
        """
        loss = self._make_loss()
        fraction = self.validation_fraction if self.early_stopping else None
        dense = Dense(
            self.hidden_layer_sizes, self.activation, self.dropout, self.tied_weights
        )
        return Recipe(
            columns=self._make_columns(loss),
            imputes=allows_nan(self),
            check=self._check_loss,
            split=partial(hold_out, fraction=fraction),
            n_folds=self._count_folds(),
            n_components=self.n_components,
            network=dense if self.network is None else as_specification(self.network),
            corruption=lambda rows, measured: GaussianNoise(self._noise_std()),
            initialize=start_at(fit_pca, loss)
            if self.init == "pca"
            else keep_random_weights,
            start="PCA" if self._table is None else "factor analysis of mixed data",
            needs_axes=self.init in ("auto", "pca"),
            loss=loss,
            trim_fraction=self.trim_fraction,
            penalties=self._penalties,
            schedule=self._make_schedule(),
            batch_size=self._choose_batch_size,
            optimizer=OPTIMIZERS.get(self.optimizer, self.optimizer),
            weight_decay=self.weight_decay,
            callbacks=partial(clone_callbacks, self.callbacks),
            score=partial(make_error_score, loss),
            reconstruct=lambda fitted: reconstruct,
            verbose=self.verbose,
        )

    def _count_folds(self) -> int:
        """Count the folds of few rows: dense networks that start at PCA train together."""
        is_dense = self.init == "pca" and self.network is None
        return N_FOLDS if self.max_epochs == "auto" and is_dense else 1

    def _choose_batch_size(self, n_rows: int) -> int:
        if self.batch_size != "auto":
            return self.batch_size
        if self.max_epochs == "auto":
            return choose_batch_size(n_rows, MIN_BATCH_SIZE)
        return choose_batch_size(n_rows)

    def _make_schedule(self) -> Schedule:
        return Schedule(
            max_epochs=self.max_epochs,
            lr=self.lr,
            early_stopping=self.early_stopping,
            patience=self.n_iter_no_change,
            tol=self.tol,
        )

    def _make_loss(self) -> Loss:
        loss = Loss(self.loss) if callable(self.loss) else LOSSES[self.loss]
        if self._table is None:
            return loss
        if callable(self.loss) or self.loss in TABLE_LOSSES:
            return make_table_loss(table_layout(self._table), loss)
        raise ValueError(
            f"loss={self.loss!r} is for columns of one kind, and X is a table of mixed "
            f"columns. Use one of {', '.join(map(repr, TABLE_LOSSES))}; categories have a "
            "cross-entropy beside it."
        )

    def _make_columns(self, loss: Loss, kind: type[Scaler] = Scaler) -> NumericColumns:
        if self._table is None:
            return NumericColumns(loss, self.scaling, kind)
        return TableColumns(loss, None, layout=table_layout(self._table))

    def _noise_std(self) -> float | torch.Tensor:
        """Divide the level of noise over the entries of each column."""
        if self._table is None:
            return self.noise_level
        layout = table_layout(self._table)
        return torch.tensor(self.noise_level / layout.width[layout.column] ** 0.5).float()

    def _check_loss(self, X) -> None:
        if callable(self.loss):
            check_loss(self.loss, X.shape[1])
        else:
            loss = LOSSES[self.loss]
            check_range(X, loss.low, loss.high, f"loss={self.loss!r}")

    def _penalties(self, start: Start, error: Error) -> dict:
        linear_penalty = self.linear_penalty if self.init in ("auto", "pca") else 0
        linear = partial(linear_error, error, self.trim_fraction)
        return {"linear": (linear_penalty, linear), "l1": (self.l1_penalty, l1_norm)}

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Fit the autoencoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Sparse rows are made dense a batch at a time. Rows that are read
            in chunks (dask, zarr, h5py, pyarrow, polars, ``streaming.Chunks``) are never
            kept whole.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows: a row of weight 2 is a row given twice. None gives all rows
            a weight of 1.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter, X or a weight does not fit, or if the loss is not finite.
        """
        return self._fit(X, y, sample_weight=sample_weight)

    @fit_context
    def fit_members(
        self,
        X,
        rows: np.ndarray,
        table: TableEncoder | None = None,
        sample_weight: np.ndarray | None = None,
    ):
        """Fit to some of the rows of X, or an ensemble of members to rows of their own.

        The code of an ensemble is the concatenation of the members' codes, and its
        reconstruction the mean of theirs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        rows : ndarray of shape (n_rows,) or (n_members, n_rows)
            Indices of the rows to fit to; with two axes, those of each member.
        table : TableEncoder or None, default=None
            The encoder of a table of mixed columns, if X is what it has encoded.
        sample_weight : ndarray of shape (n_samples,) or None, default=None
            Weights of the rows of X; those of `rows` are positive.

        Returns
        -------
        self : object
        """
        return self._fit(X, None, rows, table, sample_weight)

    def _fit(
        self,
        X,
        y,
        rows: np.ndarray | None = None,
        table: TableEncoder | None = None,
        sample_weight=None,
    ):
        sample = draw_sample(X, self.random_state)
        n_rows = count_rows(X) if sample is None else sample.n_rows
        if sample is not None:
            check_alone(y, sample_weight)
            X, y = sample.rows, None
        n_epochs = self._make_schedule().resolve(n_rows, 1).max_epochs
        context = self._init_callback_context(max_subtasks=n_epochs)
        previous = self._fitted if self.warm_start and self._is_fitted() else None
        draft = shallow_copy(self)
        if table is None:
            X, weight = draft.check_weighted_rows(
                X, sample_weight, reset=previous is None, ensure_min_samples=2
            )
        else:
            draft.take_table(table)
            weight = sample_weight
        recipe = draft.make_recipe()
        source = self._pair_rows(recipe, X, y, weight, previous, n_min=2)
        if sample is not None and not sample.is_whole:
            source = make_sampled_source(draft.check_rows, recipe, source, sample)
            rows = source.fitted_rows
        elif rows is None:
            source = source.in_order()
            rows = source.fitted_rows
        rows = np.atleast_2d(rows)
        if previous is not None:
            check_same_width(self.n_components, previous.n_components)
        device = find_device(self.device)
        data = {"X": source.X, "y": source.targets}
        features = {k: v for k, v in vars(draft).items() if vars(self).get(k) is not v}
        features |= fitted_params(self)
        context.call_on_fit_task_begin(estimator=self, **data)
        begin = perf_counter()
        memory = explained_memory_errors(*source.X.shape)
        backend = LOCAL if sample is None else sample.backend
        random_state = backend.share_random_state(self.random_state)
        with memory, seeded_fit(random_state, device) as seed:
            fitted = train(
                recipe,
                source,
                rows,
                seed=seed,
                device=device,
                report=partial(ReportEpochs, self, context, data, features),
                previous=previous,
                backend=backend,
            )
        fitted.seconds = perf_counter() - begin
        attributes = {**features, **fitted.learned, "_fitted": fitted}
        context.call_on_fit_task_end(
            estimator=self, **data, reconstruction_attributes=lambda: attributes
        )
        return self._adopt(draft, fitted)

    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train for one epoch on a batch of rows.

        The first batch sets the scale of the features and, with ``init="pca"``, the
        initial weights. Both are revised as rows come in: a feature that begins to vary
        gets its scale, and each time the rows have doubled, training starts anew at PCA of
        all rows so far if that reconstructs rows better than the network does. A random
        sample of at most 512 rows is kept, and trained on again with each batch, so that
        batches in an order do not make the network forget. No rows are held out, and the
        learning rate is constant.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A batch of rows, two or more in the first.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows: a row of weight 2 is a row given twice.

        Returns
        -------
        self : object
        """
        previous = self._fitted if self._is_fitted() else None
        draft, n_min = shallow_copy(self), 1 if previous else 2
        X, weight = draft.check_weighted_rows(
            X, sample_weight, reset=previous is None, ensure_min_samples=n_min
        )
        recipe = draft.make_recipe()
        source = self._pair_rows(recipe, X, y, weight, previous, n_min)
        device = find_device(self.device)
        n_seen = self.n_iter_ if previous else 0
        memory = explained_memory_errors(*source.X.shape)
        with memory, seeded_fit(self.random_state, device, n_seen) as seed:
            fitted = train_batch(
                recipe,
                source,
                source.fitted_rows,
                seed=seed,
                device=device,
                previous=previous,
            )
        return self._adopt(draft, fitted)

    def _adopt(self, draft: "BaseAutoencoder", fitted: Fitted):
        """Take over all that a fit has learned, in one assignment."""
        state = vars(draft)
        if self._is_fitted():
            state = {k: v for k, v in state.items() if k not in self._fitted.learned}
        return adopt(self, {**state, **fitted.learned, "_fitted": fitted})

    def _is_fitted(self) -> bool:
        return "_fitted" in vars(self)

    __sklearn_is_fitted__ = _is_fitted

    def _pair_rows(
        self,
        recipe: Recipe,
        X,
        y,
        weight: np.ndarray | None,
        previous: Fitted | None,
        n_min: int,
    ) -> RowSource:
        """Pair rows to fit to with target rows and weights, and check all."""
        source = RowSource(X, recipe.targets(X, y), weight)
        check_n_weighted(weight, n_min)
        if source.is_incomplete:
            check_n_observed(len(source.fitted_rows), n_min)
            if previous is None:
                check_columns(X)
            elif not previous.is_incomplete:
                raise ValueError(
                    "X has missing values, and the rows that training began with had none: "
                    "the network has nothing that sees them. Begin with rows that have "
                    "some."
                )
        recipe.check(source.targets)
        return source

    # Inference

    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In scaled units, in the precision of X.
        """
        return self.map_rows(encode, X)

    @as_fitted
    def inverse_transform(self, X):
        """Decode codes to rows.

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
        codes, X = X, check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
        self._check_width_of_codes(X.shape[1])
        return self._as_table(self._fitted.map(decode, X), like=codes)

    def _check_width_of_codes(self, width: int) -> None:
        if width != self.n_components_:
            raise ValueError(
                f"X has {width} columns, but the codes of this "
                f"{type(self).__name__} have n_components={self.n_components_}."
            )

    @as_fitted
    def reconstruct(self, X):
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the units and the precision of X.
        """
        check_is_fitted(self)
        rows = self.reconstruct_encoded(self.check_rows(X, reset=False))
        return self._as_table(rows, like=X)

    @as_fitted
    def reconstruct_encoded(self, X) -> np.ndarray:
        """Reconstruct rows that are numbers, checked and encoded.

        Parameters
        ----------
        X : {ndarray, CSR array} of shape (n_samples, n_encoded_features)

        Returns
        -------
        rows : ndarray of shape (n_samples, n_encoded_features)
            With probabilities for the levels of categories.
        """
        return self._fitted.map(self.make_recipe().reconstruct(self._fitted), X)

    def _as_table(self, rows: np.ndarray, like=None):
        """Decode rows to a frame, if the autoencoder was fitted to one of mixed columns."""
        if self._table is None:
            return rows
        return self._table.inverse_transform(rows, like=like)

    @as_fitted
    def score_samples(self, X):
        """Compute the negative reconstruction error of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Higher is better. The error is that of training: a sum over features, in
            squared scaled units for ``loss="squared_error"``, in nats for
            ``"binary_cross_entropy"`` and ``"multinomial"``. It is averaged over observed
            entries and scaled to a full row.
        """
        check_is_fitted(self)
        return self.score_encoded(self.check_rows(X, reset=False))

    @as_fitted
    def score_encoded(self, X) -> np.ndarray:
        """Compute ``score_samples`` of rows that are numbers, checked and encoded.

        Parameters
        ----------
        X : {ndarray, CSR array} of shape (n_samples, n_encoded_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
        """
        return self._fitted.map(self.make_recipe().score(self._fitted), X)

    @as_fitted
    def score(self, X, y=None, sample_weight=None):
        """Compute the coefficient of determination R² of the reconstruction.

        R² is one minus the squared error of the reconstruction divided by the squared
        deviation from the mean row, each summed over all entries in scaled units: columns
        of one unit count as they are, and columns of mixed units count equally. A perfect
        reconstruction scores 1, and the mean row scores 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        parts = (
            part
            for chunk in iter_weighted_chunks(X, sample_weight)
            for part in self._weigh(*chunk).split()
        )
        return self._score_parts(parts, self.make_recipe().reconstruct(self._fitted))

    def _weigh(self, X, sample_weight) -> RowSource:
        """Check rows and their weights."""
        X, weight = self.check_weighted_rows(X, sample_weight, reset=False)
        return RowSource(X, weight=weight)

    def _score_parts(self, parts: Iterable[RowSource], reconstruct: Callable) -> float:
        """Compute R² of the reconstructions of rows, which come in parts."""
        units, residual, moments = self._fitted.module.scaler.units, 0.0, []
        for part in parts:
            residual += self._fitted.sum_squared_errors(reconstruct, part, units)
            every = np.arange(part.n_rows)
            moments.append(measure_moments(part.targets, every, weight=part.weight))
        total = float(np.sum(reduce(Moments.merge, moments).sum_of_squares / units**2))
        if not total:
            return float(residual == 0)
        largest = np.finfo(np.float64).max
        return float(np.nan_to_num(1 - min(residual / total, largest), nan=-largest))

    @as_fitted
    def map_rows(self, function: Callable, X) -> np.ndarray:
        """Apply a function in torch to all rows of X, in bounded memory.

        Parameters
        ----------
        function : callable
            ``(module, rows) -> (batch, ...)``, for rows of shape (batch, n_features).
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Missing values are imputed as the autoencoder does.

        Returns
        -------
        values : ndarray of shape (n_samples, ...)
            In the precision of X.
        """
        check_is_fitted(self)
        return self.map_encoded(function, self.check_rows(X, reset=False))

    def map_encoded(self, function: Callable, X, *, in_float32: bool = False) -> np.ndarray:
        """Apply a function in torch to rows that are numbers, checked and encoded.

        Parameters
        ----------
        function : callable
            ``(module, rows) -> (batch, ...)``
        X : {ndarray, CSR array} of shape (n_samples, n_encoded_features)
        in_float32 : bool, default=False
            Whether the module stays in float32 for X in float64. `function` casts the rows
            then, best after scaling.

        Returns
        -------
        values : ndarray of shape (n_samples, ...)
        """
        return self._fitted.map(function, X, in_float32=in_float32)

    # Export

    @as_fitted
    def __onnx_spec__(self, method: str, allow_nan: bool) -> ExportSpec:
        n_features, n_components = self.n_features_in_, self.n_components_
        if self._table is not None:
            check_export_method(self, method, ("auto", "transform", "score_samples"))
            n_features = len(self._table.center_)
        if method == "inverse_transform":
            module, outputs = self._copy_module(False), {"variable": [n_features]}
            return ExportSpec(module, decode, n_components, outputs)
        module = self._copy_module(allow_nan)
        if method == "score_samples":
            score = self.make_recipe().score(self._fitted)
            outputs: dict = {"score_samples": []}
            return ExportSpec(module, score, n_features, outputs, self._table)
        if method == "reconstruct":
            function = self.make_recipe().reconstruct(self._fitted)
            outputs = {"variable": [n_features]}
            return ExportSpec(module, function, n_features, outputs)
        outputs = {"variable": [n_components]}
        return ExportSpec(module, encode, n_features, outputs, self._table)

    def _copy_module(self, allow_nan: bool) -> torch.nn.Module:
        """Copy the fitted module to the CPU, behind an imputation if `allow_nan`."""
        module, imputer = self._fitted.module, self._fitted.imputer
        if not allow_nan or self._fitted.is_incomplete:
            return copy.deepcopy(module).cpu()
        if imputer is None:
            raise ValueError(
                f"allow_nan=True needs an autoencoder that can fill in missing values, and "
                f"this {type(self).__name__} cannot."
            )
        return module.with_imputation(imputer).cpu()

    # Learned attributes

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    @property
    def net_(self) -> AutoencoderNet:
        """The fitted skorch net."""
        return self._fitted.net

    @property
    def n_components_(self) -> int:
        """Width of a code."""
        return self._fitted.n_components

    @property
    def best_epoch_(self) -> int:
        """Epoch of the weights; 0 is the initial state."""
        return len(self._fitted.earlier) + self._fitted.best_epoch

    @property
    def network_(self) -> Network:
        """The fitted torch module."""
        return self.net_.module_.network

    @property
    def history_(self):
        """History of all epochs, as skorch records it."""
        return self._fitted.history

    @property
    def n_iter_(self) -> int:
        """Number of completed epochs."""
        return len(self.loss_curve_)

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss after each epoch."""
        return read_curve(self.history_, "train_loss")

    @property
    def validation_curve_(self) -> list[float] | None:
        """Validation loss after each epoch, or None without validation rows."""
        return read_curve(self.history_, "valid_loss") or None

    @property
    def fit_summary_(self) -> dict:
        """Figures of the fit."""
        fitted = self._fitted
        return {
            "epochs": self.n_iter_,
            "steps": sum(read_curve(self.history_, "steps")),
            "seconds": fitted.seconds,
            "validation_loss": fitted.validation_loss,
            "start": fitted.start,
            "start_loss": fitted.start_loss,
        }

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = self.loss == "multinomial"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
