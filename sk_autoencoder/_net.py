"""The trainer: one skorch net for every variant, and the rows it is fed.

Only this module moves tensors between numpy, the CPU and a device, and only here
gradients are switched off.
"""

import copy
import inspect
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial, reduce

import numpy as np
import torch
from scipy.sparse import hstack, issparse
from sklearn.utils import gen_batches
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, PrintLog
from torch import Tensor
from torch.utils.data import Dataset

from sk_autoencoder._autoencoder import Autoencoder, Scaler
from sk_autoencoder._parameters import OPTIMIZERS
from sk_autoencoder._validation import draws_of

RESIDENT_BYTES = 64 * 2**20  # scaled rows are kept as one tensor up to this size
PIECE_BYTES = 8 * 2**20  # larger dense arrays are shuffled and scaled in such pieces
INFERENCE_BYTES = 2**20  # rows that go through a network at once, so that they stay cached
LEAST_ROWS = 16  # that do, however wide they are
THREAD_WORK = 3 * 2**19  # multiplications of a batch that keep one thread busy
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the way from the start to the trained weights
HELD_OUT_SEED = 2**31  # added to the seed of training
BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")

State = list[dict[str, Tensor]]  # the weights of the module and of the criterion


class Pairs:
    """Rows and what they should become, read as one array with both side by side.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
    targets : ndarray or CSR array of shape (n_samples, n_features)
    """

    def __init__(self, X, targets) -> None:
        self.X = X
        self.targets = targets
        self.shape = X.shape
        self.dtype = np.result_type(X.dtype, targets.dtype)

    def __getitem__(self, index):
        join = hstack if issparse(self.X) or issparse(self.targets) else np.hstack
        return join([self.X[index], self.targets[index]])  # (n_rows, 2 * n_features)


def inputs(X):
    """Return the rows that go in: those of :class:`Pairs`, or X itself."""
    return getattr(X, "X", X)


def targets(X):
    """Return the rows that should come out: those of :class:`Pairs`, or X itself."""
    return getattr(X, "targets", X)


class Rows(Dataset):
    """Rows of an array as scaled float32 tensors, without a copy of the whole.

    Parameters
    ----------
    X : ndarray, memory map, CSR array or Pairs, of shape (n_samples, n_features)
    scaler : Scaler
    indices : ndarray of shape (n_rows,) or (n_members, n_rows)
        The rows of X to use, or those that each member of an ensemble uses.
    """

    def __init__(self, X, scaler: Scaler, indices: np.ndarray) -> None:
        self.X = X
        self.scaler = scaler
        self.indices = indices.ravel()
        self.n_members = len(indices) if indices.ndim > 1 else None
        self.resident: Tensor | None = None
        row_bytes = 4 * X[:1].shape[1]
        if not issparse(X) and indices.size * row_bytes <= RESIDENT_BYTES:
            self.resident = self[np.arange(indices.size)]
        piece_bytes = 0 if issparse(X) else PIECE_BYTES // (self.n_members or 1)
        self.piece = len(self) if self.resident is not None else piece_bytes // row_bytes

    def __len__(self) -> int:
        """Return the number of rows, of each member where there are several."""
        return len(self.indices) // (self.n_members or 1)

    def __getitem__(self, where: np.ndarray | int) -> Tensor:
        shape = (*np.shape(where), -1)
        flat = np.reshape(where, -1)
        if self.resident is not None:  # three times as fast as indexing
            index = torch.from_numpy(flat).to(self.resident.device)
            return self.resident.index_select(0, index).reshape(shape)
        part = as_tensor(self.X[self.indices[flat]], self.scaler.center.device)
        each = part.unflatten(-1, (-1, self.X.shape[1]))  # (n_rows, 1 or 2, n_features)
        return self.scaler(each).to(torch.float32).reshape(shape)

    def order(self, shuffle: bool) -> np.ndarray:
        """Return the positions of all rows, of shape (n_rows,) or (n_members, n_rows)."""
        n_rows = len(self)
        draw = torch.randperm if shuffle else torch.arange
        if self.n_members is None:
            return draw(n_rows).numpy()
        return np.stack([draw(n_rows) + i * n_rows for i in range(self.n_members)])


def has_pairs(rows: Rows) -> bool:
    """Whether `rows` come with what they should become."""
    return targets(rows.X) is not rows.X


def as_tensor(part, device: torch.device | str) -> Tensor:
    """Return rows of an array, dense or sparse, as a dense tensor on `device`.

    Contiguous, so that the order of the array in memory does not change the rounding.
    """
    dense = part.toarray() if issparse(part) else np.ascontiguousarray(part)
    if not dense.flags.writeable:  # torch would warn: it has no read-only tensors
        dense = dense.copy()
    return torch.from_numpy(dense).to(device)


def evenly(n_rows: int, most: int) -> np.ndarray:
    """Return the positions of at most `most` of so many rows, evenly spaced."""
    return np.linspace(0, n_rows - 1, min(n_rows, most)).astype(int)


def between(start: State, end: State, share: float) -> State:
    """Return the weights at a `share` of the straight way from `start` to `end`."""

    def mix(a: Tensor, b: Tensor) -> Tensor:
        return a.lerp(b, share) if a.is_floating_point() else b

    return [{k: mix(a[k], b[k]) for k in a} for a, b in zip(start, end, strict=True)]


class Batches:
    """The batches of one epoch, drawn anew each time they are iterated over."""

    def __init__(self, rows: Rows, batch_size: int, shuffle: bool) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[Tensor]:
        n = len(self.rows)
        order = self.rows.order(self.shuffle)
        piece = max(self.rows.piece // self.batch_size, 1) * self.batch_size
        for where in gen_batches(n, n if self.rows.piece >= n else piece):
            yield from self.rows[order[..., where]].split(self.batch_size, dim=-2)


class AutoencoderNet(NeuralNet):
    """The trainer of every autoencoder.

    `module` is an :class:`~sk_autoencoder._autoencoder.Autoencoder`, `criterion` an
    :class:`~sk_autoencoder.objectives.Objective`; ``fit`` takes the pair of training
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

    def _settle_in(self) -> None:
        """Say where a net that was read from plain data is."""
        self.device = str(next(self.module_.parameters()).device)

    def __getstate__(self):
        # The same objects as module_ and criterion_, which alone follow to a CPU.
        return {**super().__getstate__(), "module": None, "criterion": None}
