"""The recipe of a fit: each step as a function of its arguments."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from sk_autoencoder.core._callbacks import (
    CosineAnnealing,
    EarlyStoppingWithRestarts,
    RecordLearningRate,
)
from sk_autoencoder.core._columns import NumericColumns
from sk_autoencoder.core._data import RowDataset, RowSource
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._initialization._pca import (
    LinearAutoencoder,
    linear_init,
    principal_axes,
    projection,
)
from sk_autoencoder.core._model_selection import MAX_REFIT_ROWS
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._losses import Error, Loss
from sk_autoencoder.nn._missing import ConditionalMeanImputer
from sk_autoencoder.nn._objective import Objective
from sk_autoencoder.nn._scalers import Scaler

AUTO_BATCH_SIZE_RANGE = 8, 256  # of batch_size="auto"
BATCHES_PER_EPOCH = 20  # of batch_size="auto", between these bounds
# Training without max_epochs: of few rows a number of passes, of more a number of steps.
DEFAULT_EPOCHS, DEFAULT_LR, BUDGET_LR = 100, 2e-3, 1e-2
MIN_BATCH_SIZE = 32  # of batch_size="auto" then
N_LOOKS = 10  # at validation rows
MIN_STEPS = 1_000
PASSES_OF_BUDGET = 56  # in batches of 256, up to FULL_BUDGET_ROWS
FULL_BUDGET_ROWS = 20_000
FULL_RATE_COLUMNS = 500  # more columns get a smaller learning rate
BUDGET_GROWTH = 0.25  # exponent of more rows


class Member(NamedTuple):
    """One autoencoder before its initialisation."""

    network: Network
    corruption: nn.Module
    rows: RowDataset  # training rows of this member, scaled
    n_components: int
    seed: int
    measured: dict[str, Any]  # by Recipe.measure


class Initialization(NamedTuple):
    """Result of an initialiser."""

    is_linear: bool = False  # whether the network computes a linear autoencoder now
    corruption: nn.Module | None = None  # in place of the corruption of the member
    imputer: ConditionalMeanImputer | None = None  # of missing entries in new rows
    learned: dict[str, Any] = {}  # noqa: RUF012 (attributes of the estimator)


class Start(NamedTuple):
    """A module before training."""

    module: Autoencoder | Ensemble
    is_linear: bool  # whether it starts at a linear autoencoder
    is_incomplete: bool  # whether training rows have missing entries
    n_components: int  # of each member
    imputer: ConditionalMeanImputer | None
    measured: dict[str, Any]
    learned: dict[str, Any]
    earlier: list[dict[str, Any]] = []  # noqa: RUF012 (history of the trainings before)


Initializer = Callable[[Member], Initialization]
Penalties = Callable[[Start, Error], dict[str, tuple[float, Callable]]]


def keep_random_weights(member: Member) -> Initialization:
    """Leave the random weights of a network as they are."""
    return Initialization()


def fit_pca(member: Member) -> LinearAutoencoder:
    """Fit PCA to the rows of a member."""
    axes = principal_axes(member.rows, member.n_components, member.seed)
    return projection(axes)


def start_at(fit: Callable[[Member], LinearAutoencoder], loss: Loss) -> Initializer:
    """Make an initialiser at the linear autoencoder that `fit` finds.

    A network without a linear path keeps its random weights, and nothing is fitted.
    """

    def initialize(member: Member) -> Initialization:
        network = member.network
        if type(network).start_from is Network.start_from:
            return Initialization()
        init = linear_init(fit(member), member.n_components, loss)
        return Initialization(network.start_from(init))

    return initialize


def ignore_labels(X, y) -> None:
    """Ignore `y`: rows are their own targets."""


def measure_nothing(
    source: RowSource, scaler: Scaler, rows: np.ndarray, seed: int
) -> dict[str, Any]:
    """Measure nothing before a module is built."""
    return {}


def learn_nothing(*args) -> dict[str, Any]:
    """Learn no attribute."""
    return {}


def change_nothing(fitted: Fitted, rows: RowDataset) -> None:
    """Leave the result of a fit as it is."""


def choose_batch_size(n_rows: int, n_min: int = AUTO_BATCH_SIZE_RANGE[0]) -> int:
    """Choose the size of batches for a number of training rows."""
    return int(np.clip(n_rows // BATCHES_PER_EPOCH, n_min, AUTO_BATCH_SIZE_RANGE[1]))


def count_steps(n_rows: int) -> int:
    """Count the training steps that a number of rows needs.

    Some thousand give what there is to be had; of very many rows more steps are of use.
    """
    full = min(n_rows, FULL_BUDGET_ROWS) * PASSES_OF_BUDGET / AUTO_BATCH_SIZE_RANGE[1]
    growth = max(1.0, n_rows / FULL_BUDGET_ROWS) ** BUDGET_GROWTH
    return math.ceil(max(MIN_STEPS, full) * growth)


def choose_learning_rate(n_features: int) -> float:
    """Choose the largest learning rate of training in steps: wide rows add many changes."""
    return BUDGET_LR * min(1.0, (FULL_RATE_COLUMNS / max(n_features, 1)) ** 0.5)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Epochs, learning rates and the end of training."""

    max_epochs: int | str
    lr: float | str
    early_stopping: bool
    patience: int  # epochs without improvement before a restart
    tol: float  # relative decrease of the validation loss that counts
    n_lr_reductions: int = 2  # restarts with a smaller learning rate, before the end
    keeps_start: bool = False  # that no epoch before the first restart improves
    start_patience: int | None = None  # the same before the first improvement, if given
    cosine_decay: bool = False  # of the learning rate, with early stopping too
    steps_per_epoch: int | None = None  # None stands for a pass through the rows

    def resolve(self, n_rows: int, n_features: int) -> "Schedule":
        """Replace ``"auto"`` by numbers, for rows of a shape."""
        if self.max_epochs == "auto" and n_rows > MAX_REFIT_ROWS:
            return replace(
                self,
                max_epochs=N_LOOKS,
                lr=choose_learning_rate(n_features) if self.lr == "auto" else self.lr,
                patience=N_LOOKS,
                n_lr_reductions=0,
                steps_per_epoch=math.ceil(count_steps(n_rows) / N_LOOKS),
            )
        is_auto = self.max_epochs == "auto"
        return replace(
            self,
            max_epochs=DEFAULT_EPOCHS if is_auto else self.max_epochs,
            keeps_start=is_auto,
            lr=DEFAULT_LR if self.lr == "auto" else self.lr,
        )

    def callbacks(self) -> list:
        """Make the callbacks that set the learning rate and keep the best weights."""
        if not self.early_stopping and self.steps_per_epoch:
            return [("schedule", RecordLearningRate())]
        if not self.early_stopping:
            return [("schedule", CosineAnnealing())]
        stopping = EarlyStoppingWithRestarts(
            self.patience,
            self.tol,
            self.n_lr_reductions,
            keeps_start=self.keeps_start,
            start_patience=self.start_patience,
        )
        decay = [("decay", CosineAnnealing())] if self.cosine_decay else []
        return [("schedule", stopping), *decay]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The steps of a fit, in their order; holds no data and no state.

    Parameters
    ----------
    columns : NumericColumns
        Fits the scaler of rows.
    imputes : bool
        Whether missing entries are imputed, in training rows and in new ones.
    check : callable
        ``X -> None``; raises a ValueError if the loss does not take the rows X.
    targets : callable
        ``(X, y) -> array or None``: target rows, for variants that learn from pairs.
    split : callable
        ``n_rows -> (training indices, validation indices or None)``
    bootstraps : bool
        Whether training rows are drawn with replacement, for each member of an ensemble.
    n_folds : int
        Number of splits of few rows: autoencoders that hold out different rows are trained
        side by side, and one on all rows as they have shown.
    measure : callable
        ``(source, scaler, rows, seed) -> dict``: what later steps need to know of the rows
        `rows` of a source, as ``measured``.
    n_components : int, float or None
        Number of components, or the fraction of variance that principal axes explain.
    default_n_components : callable
        ``(n_rows, n_features) -> int``, used for None.
    network : callable
        ``(n_features, n_components) -> Network``
    wrap : callable
        ``(network, n_features, n_components) -> Network``: puts the checked network into
        another one.
    corruption : callable
        ``(rows, measured) -> Module``, of scaled input rows.
    corrupts_validation : bool
        Whether validation rows are corrupted too.
    n_corruptions : callable
        ``(n_entries, measured) -> int``: how often validation rows of so many entries are
        corrupted in all; the loss of a row is the mean.
    initialize : callable
        ``Member -> Initialization``
    start : str
        Name of the linear tool that `initialize` starts at, for people.
    needs_axes : bool
        Whether `initialize` asks for principal axes: they cost no pass of their own then.
    loss : Loss
    trim_fraction : float
    objective : type of Objective
    penalties : callable
        ``(Start, error) -> dict`` of name to weight and penalty.
    schedule : Schedule
    batch_size : callable
        ``n_rows -> int``
    optimizer : callable
    weight_decay : float
    callbacks : callable
        ``() -> list`` of new skorch callbacks, for each training.
    refits_start, refits_trained : bool
        Whether a second training uses the validation rows too: where validation rows select
        the initial weights, and where they select trained ones.
    calibrate : callable
        ``(fitted, rows, valid) -> dict`` of attributes, from the weights that validation
        rows selected, before a second training.
    summarize : callable
        ``(fitted, train, valid) -> dict`` of attributes, when training has ended.
    search : callable
        ``(fitted, rows, retrain) -> Fitted``: chooses among fits with different numbers of
        components, where ``retrain(n_components)`` makes further ones.
    finish : callable
        ``(fitted, rows) -> None``: changes the fitted module at the end. Validation rows
        are among the rows.
    score, reconstruct : callable
        ``fitted -> function``, a function ``(module, rows) -> Tensor`` for new rows.
    verbose : int
    """

    columns: NumericColumns
    imputes: bool
    check: Callable[[Any], None]
    targets: Callable[..., Any] = ignore_labels
    split: Callable[[int], tuple[np.ndarray, np.ndarray | None]]
    bootstraps: bool = False
    n_folds: int = 1
    measure: Callable[..., dict[str, Any]] = measure_nothing
    n_components: int | float | None
    default_n_components: Callable[[int, int], int] = min
    network: Callable[[int, int], Network]
    wrap: Callable[[Network, int, int], Network] = lambda network, *sizes: network
    corruption: Callable[[RowDataset, dict], nn.Module]
    corrupts_validation: bool = False
    n_corruptions: Callable[[int, dict], int] = lambda n_entries, measured: 1
    initialize: Initializer = keep_random_weights
    start: str = "PCA"
    needs_axes: bool = False
    loss: Loss
    trim_fraction: float = 0.0
    objective: type[Objective] = Objective
    penalties: Penalties
    schedule: Schedule
    batch_size: Callable[[int], int] = choose_batch_size
    optimizer: Callable[..., torch.optim.Optimizer]
    weight_decay: float
    callbacks: Callable[[], list] = field(default=list)
    refits_start: bool = True
    refits_trained: bool = True
    calibrate: Callable[..., dict[str, Any]] = learn_nothing
    summarize: Callable[..., dict[str, Any]] = learn_nothing
    search: Callable[..., Fitted] = lambda fitted, rows, retrain: fitted
    finish: Callable[[Fitted, RowDataset], None] = change_nothing
    score: Callable[..., Callable]
    reconstruct: Callable[..., Callable]
    verbose: int = 0

    def add_penalties(
        self, make: Callable[[Start], dict[str, tuple[float, Callable]]]
    ) -> "Recipe":
        """Add penalties to the objective, which `make` makes for each training."""

        def penalties(start: Start, error: Error) -> dict:
            return {**self.penalties(start, error), **make(start)}

        return replace(self, penalties=penalties)

    def add_summary(self, summarize: Callable[..., dict[str, Any]]) -> "Recipe":
        """Let `summarize` learn further attributes, after those learned so far."""

        def summarize_both(fitted: Fitted, *rows) -> dict[str, Any]:
            learned = self.summarize(fitted, *rows)
            so_far = replace(fitted, learned=fitted.learned | learned)
            return learned | summarize(so_far, *rows)

        return replace(self, summarize=summarize_both)
