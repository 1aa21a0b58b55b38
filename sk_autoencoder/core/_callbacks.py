"""What happens between epochs: the learning rate, the best weights, reports."""

import numpy as np
from skorch.callbacks import Callback

CONTROLLED_FRACTION = 0.7  # share of the epochs in which a penalty is brought to its budget


class EarlyStoppingWithRestarts(Callback):
    """Keep the weights of the lowest held-out loss in memory, the start among them.

    When the loss has not fallen for `patience` epochs, training goes back to the best
    weights with a smaller learning rate, and stops after `n_drops` such steps.

    Parameters
    ----------
    patience : int
        Epochs without improvement that end a stage.
    tol : float
        Share of the loss by which it has to fall to count as an improvement.
    n_drops : int, default=2
        How often the learning rate is lowered before training stops.
    factor : float, default=0.3
        What the learning rate is multiplied by.

    Attributes
    ----------
    best_epoch_ : int
        Epoch of the kept weights; 0 is the start.
    rates_ : list of float
        Learning rate of each epoch that led to the kept weights, those left out from
        which training went back.
    is_done_ : bool
        Whether training came to its end, not to an interrupt.
    """

    def __init__(self, patience: int, tol: float, n_drops: int = 2, factor: float = 0.3):
        self.patience = patience
        self.tol = tol
        self.n_drops = n_drops
        self.factor = factor

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.best_epoch_ = self.n_stale_ = self.n_dropped_ = 0
        self.best_loss_ = self.best_state_ = None
        self.path_, self.rates_, self.is_done_ = [], [], False

    def on_epoch_begin(self, net, dataset_valid=None, **kwargs):
        if self.best_state_ is None:
            self._keep(net, net.mean_loss(dataset_valid), epoch=0)

    def on_epoch_end(self, net, **kwargs):
        self.path_.append(net.optimizer_.param_groups[0]["lr"])
        net.history.record("event_lr", self.path_[-1])
        loss = net.history[-1, "valid_loss"]
        if loss < self.best_loss_ - self.tol * abs(self.best_loss_):
            self._keep(net, loss, epoch=len(net.history))
        else:
            self.n_stale_ += 1
        self.is_done_ = len(net.history) == net.max_epochs
        if self.n_stale_ >= self.patience:
            self._end_stage(net)

    def on_train_end(self, net, X=None, y=None, **kwargs):
        if self.best_state_ is not None:
            net.load_weights(self.best_state_)
        self.best_state_ = None

    def _keep(self, net, loss: float, epoch: int) -> None:
        self.best_loss_, self.best_epoch_, self.n_stale_ = loss, epoch, 0
        self.best_state_, self.rates_ = net.get_weights(), self.path_.copy()

    def _end_stage(self, net) -> None:
        if self.n_dropped_ == self.n_drops:
            self.is_done_ = True
            raise KeyboardInterrupt  # skorch's way to stop
        net.load_weights(self.best_state_)
        self.path_ = self.rates_.copy()
        # The momentum leads on along the way that was given up.
        net.optimizer_.state.clear()
        for group in net.optimizer_.param_groups:
            group["lr"] *= self.factor
        self.n_dropped_ += 1
        self.n_stale_ = 0


class ReplayLearningRate(Callback):
    """Set the learning rate of each epoch to one of `rates`."""

    def __init__(self, rates: list[float]):
        self.rates = rates

    def on_epoch_begin(self, net, **kwargs):
        for group in net.optimizer_.param_groups:
            group["lr"] = self.rates[len(net.history) - 1]


class CosineAnnealing(Callback):
    """Let the learning rate fall to zero along half a cosine.

    skorch's ``LRScheduler`` listens to every batch, which small networks would feel.
    """

    def on_epoch_begin(self, net, **kwargs):
        done = (len(net.history) - 1) / net.max_epochs
        for group in net.optimizer_.param_groups:
            group["lr"] = net.lr * (1 + np.cos(np.pi * done)) / 2
        net.history.record("event_lr", group["lr"])


class WarmUp(Callback):
    """Let a penalty of the objective grow to its full weight over the first epochs.

    Parameters
    ----------
    name : str
        Name of the penalty, which has an attribute ``annealing_factor``.
    n_epochs : int
        Epochs after which it has its full weight.
    """

    def __init__(self, name: str, n_epochs: int):
        self.name = name
        self.n_epochs = n_epochs

    def on_epoch_begin(self, net, **kwargs):
        penalty = getattr(net.criterion_, self.name)
        penalty.annealing_factor = min((len(net.history) - 1) / self.n_epochs, 1.0)


class RateController(Callback):
    """Set the pressure of a penalty such that it comes to a budget.

    The pressure stays as it is in the last part of training.

    Parameters
    ----------
    name : str
        Name of the penalty; its attribute ``rate_multiplier`` is a factor in training.
    budget : float
        Mean of the penalty, without its weight, on held-out rows.
    """

    def __init__(self, name: str, budget: float):
        self.name = name
        self.budget = budget

    def on_epoch_end(self, net, **kwargs):
        penalty = getattr(net.criterion_, self.name)
        spent = net.history[-1, f"valid_{self.name}"] / net.criterion_.weights[self.name]
        net.history.record("event_rate_multiplier", penalty.rate_multiplier)
        if len(net.history) < CONTROLLED_FRACTION * net.max_epochs:
            turn = np.clip((spent / self.budget) ** 0.7, 0.7, 1.4)
            penalty.rate_multiplier = float(
                np.clip(penalty.rate_multiplier * turn, 0.05, 20)
            )


class ReportEpochs(Callback):
    """Tell scikit-learn's callbacks about each epoch."""

    def __init__(self, estimator, context, given: dict) -> None:
        self.estimator = estimator
        self.context = context
        self.given = given  # X and y

    def on_epoch_begin(self, net, **kwargs) -> None:
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator, **self.given)

    def on_epoch_end(self, net, **kwargs) -> None:
        stop = self.epoch_.call_on_fit_task_end(
            estimator=self.estimator,
            **self.given,
            reconstruction_attributes=lambda: {"net_": net},
        )
        if stop:
            raise KeyboardInterrupt  # skorch's way to stop

    def on_train_end(self, net, **kwargs) -> None:
        self.estimator = self.context = self.given = self.epoch_ = None
