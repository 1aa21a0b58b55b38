"""The trainer: one skorch net for every variant, and the rows it is fed.

Only this module moves tensors between numpy, the CPU and a device, and only here
gradients are switched off.
"""

import copy
import inspect
import warnings
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial, reduce

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, PrintLog
from torch import Tensor

from sk_autoencoder.core._data import Batches, Rows, as_tensor
from sk_autoencoder.core._model_selection import SHARES, State, between
from sk_autoencoder.core._optimizers import OPTIMIZERS
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.utils._devices import available_device
from sk_autoencoder.utils._random import draws_of

INFERENCE_BYTES = 2**20  # rows that go through a network at once, so that they stay cached
LEAST_ROWS = 16  # that do, however wide they are
THREAD_WORK = 3 * 2**19  # multiplications of a batch that keep one thread busy
HELD_OUT_SEED = 2**31  # added to the seed of training
BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class AutoencoderNet(NeuralNet):
    """The trainer of every autoencoder.

    `module` is an :class:`~sk_autoencoder.nn._autoencoder.Autoencoder`, `criterion` an
    :class:`~sk_autoencoder.nn.Objective`; ``fit`` takes the pair of training
    and held-out :class:`Rows`, the latter None where nothing is held out.

    Batches are slices of one tensor, and losses are read once an epoch: a loader that
    fetches single rows costs three to five times as much.
    """

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer()), ("print_log", PrintLog())]

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return the pair of training and held-out rows that ``fit`` was given."""
        return X

    def get_iterator(self, dataset, training=False):
        """Return the batches of `dataset`, shuffled for training."""
        return Batches(dataset, self.batch_size, shuffle=training)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go once through `iterator` and record the mean of each term of the loss."""
        if iterator is None:
            return
        try:
            terms = self._mean_terms(iterator, training, prefix, step_fn)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            raise
        for name, value in terms.items():
            self.history.record(f"{prefix}_{name}", value)
        self.history.record(f"{prefix}_loss", self._checked_loss(terms))

    def _mean_terms(self, batches, training, prefix, step_fn) -> dict[str, float]:
        self._set_training(training)
        if self._hears_batches():
            step_fn = self._reported(step_fn, training, prefix)
        elif training:
            step_fn = self._make_quiet_step()
        n_rows, totals = 0, defaultdict(lambda: torch.zeros((), dtype=torch.float64))
        with nullcontext() if training else self._same_draws():
            for batch in batches:
                terms = step_fn(batch)["terms"]
                n_batch = batch.shape[-2]
                # Summed in place: a list of tensors would pin freed memory between them,
                # and reading the number would wait for a GPU.
                for name, term in terms.items():
                    totals[name] = totals[name].to(term.device).add_(term, alpha=n_batch)
                n_rows += n_batch
        return {name: float(total) / n_rows for name, total in totals.items()}

    def _hears_batches(self) -> bool:
        """Whether a callback listens to single batches."""
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in BATCH_HOOKS
        )

    def _reported(self, step_fn, training: bool, prefix: str):
        """Return `step_fn` with a report of each batch to the callbacks."""

        def step_and_report(batch: Tensor) -> dict:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            self.history.record_batch(f"{prefix}_loss", step["loss"].item())
            self.history.record_batch(f"{prefix}_batch_size", batch.shape[-2])
            self.notify("on_batch_end", batch=batch, training=training, **step)
            return step

        return step_and_report

    def _checked_loss(self, terms: dict[str, float]) -> float:
        loss = sum(terms.values())
        if not np.isfinite(loss):
            raise ValueError(
                f"Training diverged: the loss is {loss} in epoch {len(self.history)} "
                f"({terms}). Lower lr={self.lr}, or let scaling='standard' bring the "
                "columns of X to one scale."
            )
        return loss

    def _make_quiet_step(self) -> Callable[[Tensor], dict]:
        """Return what ``train_step`` does where no callback listens to batches.

        The gradients are dropped by hand: ``zero_grad`` reports to torch's profiler, which
        a small network would feel.
        """
        parameters = [p for _, p in self.get_all_learnable_params()]
        update = self._find_update()

        def quiet_step(batch: Tensor) -> dict:
            steps = []

            def closure() -> Tensor:
                for p in parameters:
                    p.grad = None
                steps.append(self.train_step_single(batch))
                return steps[-1]["loss"]

            update(closure)
            return steps[0]

        return quiet_step

    def _find_update(self) -> Callable[[Callable[[], Tensor]], object]:
        """Return the optimizer's ``step``, a built-in one's without its wrappers.

        They look for hooks and report to torch's profiler. Other optimizers, and those
        whose ``step`` was replaced, as schedulers do, may need theirs.
        """
        optimizer = self.optimizer_
        if type(optimizer) not in OPTIMIZERS.values() or "step" in vars(optimizer):
            return optimizer.step
        return partial(torch.no_grad()(inspect.unwrap(type(optimizer).step)), optimizer)

    def train_step_single(self, batch, **fit_params):
        """Compute the loss of scaled rows `batch` and its gradients."""
        step = self._step(batch)
        step["loss"].backward()
        return step

    def validation_step(self, batch, **fit_params):
        """Compute the loss of scaled rows `batch`."""
        with torch.no_grad():
            return self._step(batch)

    def _step(self, batch: Tensor) -> dict:
        terms, reconstruction = self.module_.each(self._terms, batch)
        loss = reduce(torch.add, terms.values())
        if loss.ndim:  # one number a member, each of which trains as if alone
            loss = loss.sum()
            terms = {name: term.mean() for name, term in terms.items()}
        return {
            "loss": loss,
            "y_pred": reconstruction,
            "terms": {name: term.detach() for name, term in terms.items()},
        }

    def _terms(self, autoencoder: Autoencoder, rows: Tensor):
        x, target = autoencoder.split(rows)
        out = autoencoder(x)
        return self.criterion_(autoencoder.network, target, out), out.reconstruction

    def mean_loss(self, rows: Rows) -> float:
        """Return the loss of `rows`, as a held-out epoch records it."""
        batches = self.get_iterator(rows)
        terms = self._mean_terms(batches, False, "start", self.validation_step)
        return self._checked_loss(terms)

    def row_losses(self, rows: Rows) -> np.ndarray:
        """Return the loss of each of `rows`."""
        self._set_training(False)

        def losses(autoencoder: Autoencoder, rows: Tensor) -> Tensor:
            x, target = autoencoder.split(rows)
            return self.criterion_.row_losses(autoencoder.network, target, autoencoder(x))

        with torch.no_grad(), self._same_draws():
            found = [
                self.module_.each(losses, batch).ravel()
                for batch in self.get_iterator(rows)
            ]
        return torch.cat(found).cpu().double().numpy()

    def losses_between(
        self, start: State, end: State, rows: Rows
    ) -> dict[float, np.ndarray]:
        """Return the loss of each of `rows` at each of `SHARES` of the way to `end`."""
        losses = {}
        for share in SHARES:
            self.load_state(between(start, end, share))
            losses[share] = self.row_losses(rows)
        return losses

    def _same_draws(self):
        """Let held-out rows meet the same noise each time, whatever was drawn before."""
        return draws_of(torch.initial_seed() + HELD_OUT_SEED, torch.device(self.device))

    @property
    def schedule(self) -> Callback:
        """The callback that sets the learning rate."""
        return dict(self.callbacks_)["schedule"]

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights were kept: the last where nothing was held out."""
        kept = getattr(self.schedule, "best_epoch_", None)
        return len(self.history) if kept is None else kept

    def curve(self, name: str) -> list[float]:
        """Return what was recorded under `name` in each epoch."""
        # An interrupted epoch has a record, but no losses.
        return [epoch[name] for epoch in self.history if name in epoch]

    def copy_state(self) -> State:
        """Return a copy of all weights."""
        parts = (self.module_, self.criterion_)
        return [{k: v.clone() for k, v in p.state_dict().items()} for p in parts]

    def load_state(self, state: State) -> None:
        """Put the weights of :meth:`copy_state` back."""
        for part, weights in zip((self.module_, self.criterion_), state, strict=True):
            part.load_state_dict(weights)

    def map(self, function: Callable, X, module: torch.nn.Module | None = None):
        """Apply ``function(module, rows)`` to all rows of X, a piece at a time.

        `module` stands in for the trained one.

        Training runs in float32; for float64 rows a copy of the weights is cast up, so
        that what a row gives does not depend on the rows beside it.
        """
        module = (module or self.module_).eval()
        if X.dtype == np.float64:
            module = copy.deepcopy(module).double()
        n_rows = X.shape[0]
        row_bytes = X.dtype.itemsize * X.shape[1] * module.n_members**0.5
        size = max(int(INFERENCE_BYTES / row_bytes), LEAST_ROWS)
        result = None
        with torch.inference_mode():
            for start in range(0, n_rows, size):
                rows = as_tensor(X[start : start + size], self.device)
                part = function(module, rows).cpu().numpy()
                if result is None:
                    result = np.empty((n_rows, *part.shape[1:]), part.dtype)
                result[start : start + size] = part
        return result

    # skorch pickles what may be on a GPU by itself, inside the pickle; estimators exchange
    # tensors for arrays.

    def __getstate__(self):
        # The same objects as module_ and criterion_.
        return vars(self) | {"module": None, "criterion": None}

    def __setstate__(self, state):
        vars(self).update(state)
        self.device = available_device(self.device)
