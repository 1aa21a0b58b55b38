"""Callbacks between epochs: early stopping, learning rates, annealing, reports."""

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
from sklearn.base import clone
from skorch.callbacks import Callback

CONTROLLED_FRACTION = 0.7  # of the epochs, in which a penalty is steered to its budget
CONTROL_EXPONENT = 0.7  # of the ratio of penalty and budget
CONTROL_STEP = 0.7, 1.4  # bounds of the factor of one epoch
RATE_MULTIPLIER_RANGE = 0.05, 20
N_PRINTED_ROWS = 1_000  # training rows whose loss is printed, without held-out rows


class EarlyStoppingWithRestarts(Callback):
    """Keep the weights of the lowest validation loss in memory, also the initial ones.

    When the loss has not fallen for `patience` epochs, training restarts from the best
    weights with a smaller learning rate. It stops after `n_lr_reductions` restarts.

    Parameters
    ----------
    patience : int
        Epochs without improvement that end a stage.
    tol : float
        Relative decrease of the loss that counts as an improvement.
    n_lr_reductions : int, default=2
        Number of restarts before training stops.
    factor : float, default=0.3
        Factor of the learning rate in each restart.
    keeps_start : bool, default=False
        Whether initial weights that no epoch before the first restart has improved are
        kept without a restart.
    start_patience : int or None, default=None
        Epochs that end a stage before the first improvement on the initial weights. None
        stands for `patience`.

    Attributes
    ----------
    best_epoch_ : int
        Epoch of the best weights; 0 is the initial state.
    rates_ : list of float
        Learning rate of each epoch that led to the best weights, without epochs that a
        restart discarded.
    start_loss_, best_loss_ : float or None
        Validation loss of the initial weights, and of the best.
    is_done_ : bool
        Whether training ended without an interrupt, or will at the end of this epoch.
    """

    def __init__(
        self,
        patience: int,
        tol: float,
        n_lr_reductions: int = 2,
        factor: float = 0.3,
        keeps_start: bool = False,
        start_patience: int | None = None,
    ):
        self.patience = patience
        self.tol = tol
        self.n_lr_reductions = n_lr_reductions
        self.factor = factor
        self.keeps_start = keeps_start
        self.start_patience = start_patience

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.best_epoch_ = self.n_stale_ = self.n_restarts_ = 0
        self.start_loss_ = self.best_loss_ = self.best_state_ = None
        self.path_, self.rates_, self.is_done_ = [], [], False

    def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
        if self.best_state_ is None:
            self.start_loss_ = net.mean_loss(dataset_valid)
            self._set_best(net, self.start_loss_, epoch=0)

    def on_epoch_end(self, net, **kwargs):
        self.path_.append(net.optimizer_.param_groups[0]["lr"])
        net.history.record("event_lr", self.path_[-1])
        loss = net.history[-1, "valid_loss"]
        if loss < self.best_loss_ - self.tol * abs(self.best_loss_):
            self._set_best(net, loss, epoch=len(net.history))
        else:
            self.n_stale_ += 1
        self.is_done_ = len(net.history) == net.max_epochs
        patience = self.patience
        if self.best_epoch_ == 0 and self.start_patience is not None:
            patience = self.start_patience
        if self.n_stale_ >= patience:
            self._restart(net)

    def on_train_end(self, net, X=None, y=None, **kwargs):
        if self.best_state_ is not None:
            net.load_weights(self.best_state_)
        self.best_state_ = None

    def _set_best(self, net, loss: float, epoch: int) -> None:
        self.best_loss_, self.best_epoch_, self.n_stale_ = loss, epoch, 0
        self.best_state_, self.rates_ = net.get_weights(), self.path_.copy()

    def _restart(self, net) -> None:
        is_start_best = self.keeps_start and self.best_epoch_ == 0
        if is_start_best or self.n_restarts_ == self.n_lr_reductions:
            self.is_done_ = True  # StopWhenDone comes after callbacks that see this epoch
            return
        net.load_weights(self.best_state_)
        self.path_ = self.rates_.copy()
        # Reset the optimizer: its momentum belongs to the discarded weights.
        net.optimizer_.state.clear()
        for group in net.optimizer_.param_groups:
            group["lr"] *= self.factor
        self.n_restarts_ += 1
        self.n_stale_ = 0


class StopWhenDone(Callback):
    """Stop training when early stopping is done; the last of the callbacks of an epoch."""

    def on_epoch_end(self, net, **kwargs):
        is_last = len(net.history) == net.max_epochs
        if getattr(net.schedule, "is_done_", False) and not is_last:
            raise KeyboardInterrupt  # skorch's way to stop


class ReplayLearningRate(Callback):
    """Set the learning rate of each epoch to one of `rates`."""

    def __init__(self, rates: list[float]):
        self.rates = rates

    def on_epoch_begin(self, net, **kwargs):
        for group in net.optimizer_.param_groups:
            group["lr"] = self.rates[len(net.history) - 1]


class RecordLearningRate(Callback):
    """Record the learning rate of each epoch."""

    def on_epoch_end(self, net, **kwargs):
        net.history.record("event_lr", net.optimizer_.param_groups[0]["lr"])


class CosineAnnealing(Callback):
    """Anneal the learning rate to zero along half a cosine.

    skorch's ``LRScheduler`` has a hook for every batch, which slows small networks down.
    """

    def on_epoch_begin(self, net, **kwargs):
        progress = (len(net.history) - 1) / net.max_epochs
        for group in net.optimizer_.param_groups:
            group["lr"] = net.lr * (1 + np.cos(np.pi * progress)) / 2
        net.history.record("event_lr", group["lr"])


class WarmUp(Callback):
    """Anneal a penalty of the objective linearly to its full weight.

    Parameters
    ----------
    name : str
        Name of the penalty; its attribute ``annealing_factor`` is set.
    n_epochs : int
        Epochs until the full weight.
    """

    def __init__(self, name: str, n_epochs: int):
        self.name = name
        self.n_epochs = n_epochs

    def on_epoch_begin(self, net, **kwargs):
        penalty = getattr(net.criterion_, self.name)
        penalty.annealing_factor = min((len(net.history) - 1) / self.n_epochs, 1.0)


class RateController(Callback):
    """Control the weight of a penalty such that the penalty meets a budget.

    The weight is constant in the last epochs.

    Parameters
    ----------
    name : str
        Name of the penalty; its attribute ``rate_multiplier`` is a factor in training.
    budget : float
        Mean of the penalty on validation rows, without its weight.
    """

    def __init__(self, name: str, budget: float):
        self.name = name
        self.budget = budget

    def on_epoch_end(self, net, **kwargs):
        penalty = getattr(net.criterion_, self.name)
        rate = net.history[-1, f"valid_{self.name}"] / net.criterion_.weights[self.name]
        net.history.record("event_rate_multiplier", penalty.rate_multiplier)
        if len(net.history) < CONTROLLED_FRACTION * net.max_epochs:
            factor = np.clip((rate / self.budget) ** CONTROL_EXPONENT, *CONTROL_STEP)
            penalty.rate_multiplier = float(
                np.clip(penalty.rate_multiplier * factor, *RATE_MULTIPLIER_RANGE)
            )


class EpochTable(Callback):
    """Print each epoch of a training, with one number for training and held-out rows.

    Both numbers are the mean loss of as many rows, without the noise and the dropout of
    training, so that they can be compared. Epoch 0 is the initial state.

    Parameters
    ----------
    title : str, default=""
        Line above the table.
    is_second : bool, default=False
        Whether it is a second training, with the rows that were held out in the first.
    is_printed : bool, default=True
        Whether this process prints the table. All processes that train together compute the
        losses, since each has a part of the rows.
    """

    def __init__(
        self, title: str = "", is_second: bool = False, is_printed: bool = True
    ) -> None:
        self.title = title
        self.is_second = is_second
        self.is_printed = is_printed

    def on_train_begin(self, net, X=None, y=None, **kwargs) -> None:
        train, self.valid_ = (X[0], None) if self.is_second else X
        self.train_ = train.in_memory().thin(N_PRINTED_ROWS if X[1] is None else len(X[1]))
        self.begin_ = perf_counter()
        if self.title:
            self._print(self.title)
        self._print(f"{'':9} {'loss of a row':>18}")
        self._print(
            f"{'epoch':>9} {'training':>11} {'held out':>11} {'seconds':>8} {'left':>8}"
        )

    def on_epoch_begin(self, net, **kwargs) -> None:
        if len(net.history) == 1:
            self._print_epoch(net, 0)

    def on_epoch_end(self, net, **kwargs) -> None:
        self._print_epoch(net, len(net.history))

    def _print_epoch(self, net, n_epochs: int) -> None:
        rows = (self.train_, self.valid_)
        losses = ["" if part is None else f"{net.mean_loss(part):#.5g}" for part in rows]
        seconds = perf_counter() - self.begin_
        remaining = ""
        if n_epochs:
            remaining = f"{seconds / n_epochs * (net.max_epochs - n_epochs):.1f}"
        epoch = f"{n_epochs}/{net.max_epochs}"
        line = f"{epoch:>9} {losses[0]:>11} {losses[1]:>11} {seconds:8.1f} {remaining:>8}"
        self._print(line.rstrip())

    def _print(self, line: str) -> None:
        if self.is_printed:
            print(line)

    def on_train_end(self, net, X=None, y=None, **kwargs) -> None:
        self.train_ = self.valid_ = None  # the net stays, without the rows


def clone_callbacks(callbacks: Sequence | None) -> list:
    """Clone skorch's callbacks, each alone or in a pair of name and callback."""
    for entry in callbacks or ():
        is_pair = isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)
        callback = entry[1] if is_pair else entry
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise TypeError(
                f"callbacks={callbacks!r} has to hold callbacks of skorch, and holds "
                f"{entry!r}. set_callbacks takes those of scikit-learn."
            )
    return [clone(callback, safe=False) for callback in callbacks or ()]


class ReportEpochs(Callback):
    """Call scikit-learn's callbacks at each epoch.

    Parameters
    ----------
    estimator : BaseAutoencoder
    context : CallbackContext of scikit-learn
    data : dict
        X and y.
    features : dict
        Attributes of the estimator that name its features, and its parameters.
    make_fitted : callable
        ``net -> Fitted``, for callbacks that use the estimator as it is so far.
    """

    def __init__(
        self, estimator, context, data: dict, features: dict, make_fitted: Callable
    ) -> None:
        self.estimator = estimator
        self.context = context
        self.data = data
        self.features = features
        self.make_fitted = make_fitted

    def on_epoch_begin(self, net, **kwargs) -> None:
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, net, **kwargs) -> None:
        stop = self.epoch_.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: self._attributes(net),
        )
        if stop:
            raise KeyboardInterrupt  # skorch's way to stop

    def _attributes(self, net) -> dict:
        fitted = self.make_fitted(net)
        return {**self.features, **fitted.learned, "_fitted": fitted}

    def on_train_end(self, net, **kwargs) -> None:
        # The net stays in the fitted estimator: without references to what surrounds it.
        vars(self).update(dict.fromkeys(vars(self)))
