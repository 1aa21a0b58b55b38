"""The trainer: one skorch net for every variant."""

import inspect
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cached_property, partial, reduce

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, PrintLog
from torch import Tensor, nn

from sk_autoencoder.core._backend import Backend, LocalBackend
from sk_autoencoder.core._data import Batch, BatchIterator, RowDataset
from sk_autoencoder.core._inference import list_tensors
from sk_autoencoder.core._missing import known_patterns
from sk_autoencoder.core._model_selection import (
    INTERPOLATION_STEPS,
    Weights,
    interpolate_weights,
)
from sk_autoencoder.core._optimizers import OPTIMIZERS
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._objective import Objective
from sk_autoencoder.utils._devices import available_device
from sk_autoencoder.utils._progress import expect_steps, watch
from sk_autoencoder.utils._random import fork_rng_with_seed
from sk_autoencoder.utils._torch_compat import raised_interrupts

VALIDATION_SEED_OFFSET = 2**31  # added to the seed of training
WARM_UP, DECAY_START = 0.05, 0.5  # fractions of the steps
BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


def read_curve(history: Iterable[dict], name: str) -> list[float]:
    """Read the value of `name` in each epoch; an interrupted epoch has no losses."""
    return [epoch[name] for epoch in history if name in epoch]


def rate_factor(step: int, n_steps: int) -> float:
    """Compute the learning rate of a step, in units of the largest one."""
    progress = (step + 0.5) / n_steps
    return min(progress / WARM_UP, 1.0, max(1 - progress, 0) / (1 - DECAY_START))


def print_line(text: str) -> None:
    """Print a line at once.

    Some programs, Ray among them, replace ``print`` itself: a file that names it is refused
    elsewhere.
    """
    print(text, flush=True)


class EpochLog(PrintLog):
    """Print all terms of the history if the net is very verbose.

    skorch lays out the table in any case.
    """

    def __init__(self) -> None:
        super().__init__(sink=print_line)

    def on_epoch_end(self, net, **kwargs):
        if net.verbose > 1:
            super().on_epoch_end(net, **kwargs)


class BatchLosses(nn.Module):
    """The terms of the loss of a batch, as one module.

    Parameters
    ----------
    module : Autoencoder or Ensemble
    objective : Objective
    """

    def __init__(self, module: Autoencoder | Ensemble, objective: Objective) -> None:
        super().__init__()
        self.module = module
        self.objective = objective
        is_ensemble = isinstance(module, Ensemble)
        self.takes_stacked = (
            is_ensemble and module.takes_stacked_rows and objective.takes_members
        )

    def forward(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the terms, summed over members, and the reconstructions."""
        if self.takes_stacked:
            return self.module.sum_stacked_losses(self._losses, batch)
        return self.module.sum_losses(self._losses, batch)

    def _losses(self, autoencoder: Autoencoder, batch: Batch):
        out = autoencoder(batch.x)
        terms = self.objective(autoencoder.network, batch.target, out, batch.weight)
        return terms, out.reconstruction


class AutoencoderNet(NeuralNet):
    """The trainer of every autoencoder.

    `module` is an :class:`~sk_autoencoder.nn._autoencoder.Autoencoder`, `criterion` an
    :class:`~sk_autoencoder.nn.Objective`. ``fit`` takes a pair of :class:`RowDataset`:
    training rows, and validation rows or None.

    `backend` reduces losses and gradients over the processes that train together.

    An epoch is a pass through the training rows, or `steps_per_epoch` steps. Training in
    steps warms the learning rate up, keeps it for half the time, and lets it fall to zero
    linearly ("warm-up, stable, decay"): Hu et al., "MiniCPM", 2024, section 4.

    Batches are slices of one tensor, and losses are read once an epoch: a loader that
    fetches single rows costs three to five times as much.
    """

    def __init__(
        self, *args, backend: Backend, steps_per_epoch: int | None = None, **kwargs
    ) -> None:
        super().__init__(*args, **kwargs)
        self.backend = backend
        self.steps_per_epoch = steps_per_epoch
        self.n_steps = 0  # taken so far

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer()), ("print_log", EpochLog())]

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return the pair of training and validation rows that ``fit`` was given."""
        return X

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Tell the progress bar how many steps there are, unless epochs are printed."""
        super().on_train_begin(net, X, y, **kwargs)
        n_batches = self.steps_per_epoch or math.ceil(len(X[0]) / self.batch_size)
        expect_steps(0 if self.verbose else n_batches * self.max_epochs)

    def get_iterator(self, dataset, training=False):
        """Iterate over batches of `dataset`, shuffled for training."""
        n_batches = self.steps_per_epoch if training else None
        return BatchIterator(dataset, self.batch_size, training, n_batches)

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train for some epochs, with maps to impute rows by that are computed once."""
        with known_patterns(self.module_, X):
            return super().fit_loop(X, y, epochs, **fit_params)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch and record the mean of each term of the loss."""
        if iterator is None:
            return
        if self._has_batch_callbacks():
            step_fn = self._notify_batches(step_fn, training, prefix)
        elif training:
            step_fn = self._make_fast_step()
        try:
            with raised_interrupts():
                terms = self._mean_terms(iterator, training, step_fn)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            raise
        for name, value in terms.items():
            self.history.record(f"{prefix}_{name}", value)
        self.history.record(f"{prefix}_loss", self._sum_terms(terms))

    def _mean_terms(self, batches, training, step_fn) -> dict[str, float]:
        self._set_training(training)
        totals = defaultdict(lambda: torch.zeros((), dtype=torch.float64))
        total_weight = n_batches = n_rows = 0
        with nullcontext() if training else self._fixed_noise():
            for batch in watch(batches) if training else batches:
                terms = step_fn(batch)["terms"]
                weight = batch.total_weight
                # Sums in place: a list of tensors would fragment memory, and reading a
                # number would wait for a GPU.
                for name, term in terms.items():
                    totals[name] = totals[name].to(term.device).add_(term, alpha=weight)
                total_weight += weight * self.module_.n_members
                n_batches, n_rows = n_batches + 1, n_rows + batch.n_rows
        if training:
            self.history.record("steps", n_batches)
        names, numbers = list(totals), map(float, [*totals.values(), total_weight, n_rows])
        sums = torch.tensor(list(numbers), dtype=torch.float64)
        *sums, total_weight, n_rows = self.backend.sum(sums).tolist()
        if training:
            self.history.record("passes", n_rows / len(batches.rows))
        return {name: total / total_weight for name, total in zip(names, sums, strict=True)}

    def _has_batch_callbacks(self) -> bool:
        """Check whether a callback has a hook for single batches."""
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in BATCH_HOOKS
        )

    def _notify_batches(self, step_fn, training: bool, prefix: str):
        """Wrap `step_fn` such that callbacks are notified of each batch."""

        def step_and_notify(batch: Batch) -> dict:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            self.history.record_batch(f"{prefix}_loss", step["loss"].item())
            self.history.record_batch(f"{prefix}_batch_size", batch.n_rows)
            self.notify("on_batch_end", batch=batch, training=training, **step)
            return step

        return step_and_notify

    def _sum_terms(self, terms: dict[str, float]) -> float:
        loss = sum(terms.values())
        if not np.isfinite(loss):
            raise ValueError(
                f"Training diverged: the loss is {loss} in epoch {len(self.history)} "
                f"({terms}). Lower lr={self.lr}, weight_decay, noise_level or the weight "
                "of a penalty, or let scaling='standard' bring the columns of X to one "
                "scale."
            )
        return loss

    def _make_fast_step(self) -> Callable[[Batch], dict]:
        """Make a faster ``train_step``, for callbacks without hooks for batches.

        Gradients are set to None directly: ``zero_grad`` calls torch's profiler, which
        slows small networks down.
        """
        parameters = [p for _, p in self.get_all_learnable_params()]
        update = self._find_update()

        def fast_step(batch: Batch) -> dict:
            steps = []

            def closure() -> Tensor:
                for p in parameters:
                    p.grad = None
                steps.append(self.train_step_single(batch))
                return steps[-1]["loss"]

            update(closure)
            return steps[0]

        return fast_step

    def _find_update(self) -> Callable[[Callable[[], Tensor]], object]:
        """Find the optimizer's ``step``, for built-in optimizers without its wrappers.

        The wrappers look for hooks and call torch's profiler. Other optimizers may need
        them, and so does a ``step`` that was replaced, for example by a scheduler.
        """
        optimizer = self.optimizer_
        if type(optimizer) not in OPTIMIZERS.values() or "step" in vars(optimizer):
            return optimizer.step
        return partial(torch.no_grad()(inspect.unwrap(type(optimizer).step)), optimizer)

    def train_step_single(self, batch, **fit_params):
        """Compute the loss of scaled rows `batch` and its gradients."""
        if self.steps_per_epoch:
            self._set_learning_rate()
        step = self._step(batch)
        step["loss"].backward()
        return step

    def _set_learning_rate(self) -> None:
        total = self.steps_per_epoch * self.max_epochs
        factor = rate_factor(self.n_steps, total)
        for group in self.optimizer_.param_groups:
            group["lr"] = self.lr * factor
        self.n_steps += 1

    def validation_step(self, batch, **fit_params):
        """Compute the loss of scaled rows `batch`."""
        with torch.no_grad():
            return self._step(batch)

    def _step(self, batch: Batch) -> dict:
        terms, reconstruction = self._losses(batch)
        return {
            "loss": reduce(torch.add, terms.values()),
            "y_pred": reconstruction,
            "terms": {name: term.detach() for name, term in terms.items()},
        }

    @cached_property
    def _losses(self) -> nn.Module:
        """The losses of a batch, with gradients averaged over all processes."""
        return self.backend.parallelize(BatchLosses(self.module_, self.criterion_))

    def leave_group(self) -> None:
        """Go on in this process alone: training with others has come to an end."""
        self.backend = LocalBackend()
        vars(self).pop("_losses", None)

    def mean_loss(self, rows: RowDataset) -> float:
        """Compute the mean loss of `rows`, as a validation epoch records it."""
        batches = self.get_iterator(rows)
        terms = self._mean_terms(batches, False, self.validation_step)
        return self._sum_terms(terms)

    def row_losses(self, rows: RowDataset) -> np.ndarray:
        """Compute the loss of each of `rows`, and then the errors that guard selections.

        Returns
        -------
        losses : ndarray of shape (n_members * n_rows, 1 + n_guards)
        """
        self._set_training(False)

        def losses(autoencoder: Autoencoder, batch: Batch) -> Tensor:
            arguments = autoencoder.network, batch.target, autoencoder(batch.x)
            loss = self.criterion_.row_losses(*arguments)
            return torch.cat([loss[:, None], self.criterion_.row_guards(*arguments)], dim=1)

        with torch.no_grad(), self._fixed_noise():
            batches = [
                self.module_.map_batch(losses, batch) for batch in self.get_iterator(rows)
            ]
        values = torch.cat(batches, dim=-2).flatten(end_dim=-2)  # one member after another
        return self.backend.concatenate(values.cpu().double().numpy())

    def interpolated_losses(
        self, initial: Weights, trained: Weights, rows: RowDataset
    ) -> dict[float, np.ndarray]:
        """Compute what :meth:`row_losses` does at each interpolation step."""
        losses = {}
        for step in INTERPOLATION_STEPS:
            self.load_weights(interpolate_weights(initial, trained, step))
            losses[step] = self.row_losses(rows)
        return losses

    def _fixed_noise(self):
        """Fix the noise on validation rows, within a context."""
        return fork_rng_with_seed(
            torch.initial_seed() + VALIDATION_SEED_OFFSET, torch.device(self.device)
        )

    @property
    def schedule(self) -> Callback:
        """The callback that sets the learning rate."""
        return dict(self.callbacks_)["schedule"]

    @property
    def is_complete(self) -> bool:
        """Whether training came to its end, without an interrupt."""
        is_done = getattr(self.schedule, "is_done_", None)
        n_epochs = len(self.curve("train_loss"))
        return n_epochs == self.max_epochs if is_done is None else is_done

    @property
    def best_epoch(self) -> int:
        """The epoch of the final weights: the last epoch without validation rows."""
        epoch = getattr(self.schedule, "best_epoch_", None)
        return len(self.history) if epoch is None else epoch

    def curve(self, name: str) -> list[float]:
        """Read the value of `name` in each epoch of the history."""
        return read_curve(self.history, name)

    def get_weights(self) -> Weights:
        """Copy all weights and buffers, of the module and of the criterion."""
        return [tensor.detach().clone() for tensor in self._tensors()]

    def load_weights(self, weights: Weights) -> None:
        """Load weights that :meth:`get_weights` has copied."""
        with torch.no_grad():
            for tensor, value in zip(self._tensors(), weights, strict=True):
                tensor.copy_(value)

    def _tensors(self) -> list[Tensor]:
        return list_tensors(self.module_) + list_tensors(self.criterion_)

    # skorch pickles what may be on a GPU by itself, inside the pickle; estimators exchange
    # tensors for arrays.

    def __getstate__(self):
        # The same objects as module_ and criterion_.
        state = vars(self) | {"module": None, "criterion": None}
        state.pop("_losses", None)
        return state

    def __setstate__(self, state):
        vars(self).update(state)
        self.device = available_device(self.device)
