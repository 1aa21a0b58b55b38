"""Training batch by batch: scale and start are revised while rows come in."""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse, vstack

from sk_autoencoder.core._backend import Backend, LocalBackend
from sk_autoencoder.core._building import continue_from, make_builder
from sk_autoencoder.core._data import RowDataset, RowSource, select
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._inference import busy_threads
from sk_autoencoder.core._memory import SAMPLE_BYTES, rows_within
from sk_autoencoder.core._moments import Moments
from sk_autoencoder.core._recipe import Recipe, Start
from sk_autoencoder.core._training import LOCAL, make_fitted, make_net
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._likelihoods import Likelihood
from sk_autoencoder.nn._scalers import RowScaler, Scaler

MIN_SAMPLE_ROWS, MAX_SAMPLE_ROWS = 32, 512  # of a stream that are kept
GROWTH = 2.0  # of the rows seen, between two comparisons with a new start
WAKING = 10.0  # growth of a column's scale from which its old scale is given up


@dataclass(frozen=True)
class RowSample:
    """A uniform random sample of the rows of a stream.

    Each row draws a number once, and the rows with the least numbers are kept.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_rows, n_features)
    targets : the same, or None
        Targets of these rows where they are not their own.
    numbers : ndarray of shape (n_rows,)
    weight : ndarray of shape (n_rows,) or None, default=None
        Weights of these rows; None stands for equal ones.
    """

    X: Any
    targets: Any
    numbers: np.ndarray
    weight: np.ndarray | None = None

    @classmethod
    def draw(cls, source: RowSource, rows: np.ndarray) -> "RowSample":
        """Take all `rows` of a source, with numbers of torch's generator."""
        targets = source.targets[rows] if source.has_targets else None
        weight = select(source.weight, rows)
        numbers = torch.rand(len(rows)).double().numpy()
        return cls(source.X[rows], targets, numbers, weight)

    def join(self, other: "RowSample") -> "RowSample":
        """Join the rows of both."""
        targets = None if self.targets is None else stack(self.targets, other.targets)
        numbers = np.concatenate([self.numbers, other.numbers])
        weight = None
        if not (self.weight is None and other.weight is None):
            weight = np.concatenate([self.filled_weight(), other.filled_weight()])
        return RowSample(stack(self.X, other.X), targets, numbers, weight)

    def filled_weight(self) -> np.ndarray:
        """Read the weights of the rows, ones if they are equal."""
        return np.ones(len(self.numbers)) if self.weight is None else self.weight

    def cut(self) -> "RowSample":
        """Keep the rows with the least numbers, as many as a sample may have."""
        row_bytes = self.X.dtype.itemsize * self.X.shape[1]
        n_max = min(rows_within(SAMPLE_BYTES, row_bytes, MIN_SAMPLE_ROWS), MAX_SAMPLE_ROWS)
        return self.select(np.sort(np.argsort(self.numbers, kind="stable")[:n_max]))

    def take(self, n_rows: int) -> "RowSample":
        """Take `n_rows` of the sample at random."""
        return self.select(torch.randperm(len(self.numbers))[:n_rows].numpy())

    def select(self, indices: np.ndarray) -> "RowSample":
        """Select the rows at `indices`."""
        targets = None if self.targets is None else self.targets[indices]
        weight = select(self.weight, indices)
        return RowSample(self.X[indices], targets, self.numbers[indices], weight)

    def as_source(self) -> RowSource:
        """Make a source of the rows."""
        return RowSource(self.X, self.targets, self.weight)


def stack(first: Any, second: Any) -> Any:
    """Stack rows of two arrays, dense or sparse, in the precision of the first."""
    if issparse(first) or issparse(second):
        return vstack([first, second], format="csr", dtype=first.dtype)
    return np.concatenate([first, second.astype(first.dtype, copy=False)])


class EarlierRows(LocalBackend):
    """Backend that adds the moments of earlier rows of a stream to those of a batch."""

    def __init__(self, moments: Moments) -> None:
        self.moments = moments

    def merge(self, moments: Moments) -> Moments:
        """Merge `moments` with those of earlier rows."""
        return self.moments.merge(moments)


def train_batch(
    recipe: Recipe,
    source: RowSource,
    rows: np.ndarray,
    *,
    seed: int,
    device: torch.device,
    previous: Fitted | None,
) -> Fitted:
    """Train for one epoch on rows of a source; a copy of `previous` goes on.

    The moments of all rows so far are kept, and a random sample of the rows. As many of the
    sample as the batch has rows are trained on again [1]_: a stream may come in an order.
    Each time the rows have doubled, training starts anew from the principal axes of all
    rows if these reconstruct batch and sample better than the network does.

    References
    ----------
    .. [1] A. Robins, "Catastrophic forgetting, rehearsal and pseudorehearsal", Connection
       Science 7, 1995.
    """
    batch = RowSample.draw(source, rows)
    if previous is None:
        fitted = _begin(recipe, source, rows, seed, device, LOCAL)
        fitted.moments = recipe.columns.fit(source, rows, LOCAL, recipe.needs_axes)[1]
        fitted.n_compared = count_rows(fitted.moments)
    elif not previous.is_partial:
        start = continue_from(previous, recipe, source, rows[None], LOCAL)
        fitted = _make_fitted(recipe, start, device)
    else:
        fitted = _go_on(recipe, source, rows, batch, seed, device, previous)
    fitted.is_partial = True
    if previous is None or previous.sample is None:
        fitted.sample, shown = batch.cut(), batch
    else:
        fitted.sample = previous.sample.join(batch).cut()
        shown = batch.join(previous.sample.take(len(rows)))
    net = fitted.net.set_params(batch_size=recipe.batch_size(shown.X.shape[0]))
    with busy_threads(fitted.module, net.batch_size):
        indices = np.arange(shown.X.shape[0])[None]
        train_rows = RowDataset(shown.as_source(), fitted.module.scaler, indices)
        net.partial_fit((train_rows, None))
        fitted.learned |= recipe.summarize(fitted, train_rows, None)
        recipe.finish(fitted, train_rows)
    fitted.best_epoch = len(net.curve("train_loss"))
    return fitted


def _begin(
    recipe: Recipe,
    source: RowSource,
    rows: np.ndarray,
    seed: int,
    device: torch.device,
    backend: Backend,
) -> Fitted:
    """Start at rows of a source, and at the earlier rows that `backend` knows."""
    start = make_builder(recipe, source, rows[None], seed, backend)(rows[None])
    return _make_fitted(recipe, start, device)


def _make_fitted(recipe: Recipe, start: Start, device: torch.device) -> Fitted:
    schedule = replace(recipe.schedule, max_epochs=1).resolve(0, 1)
    net = make_net(recipe, start, recipe.callbacks(), device, schedule).initialize()
    return make_fitted(start, net, best_epoch=0)


def _go_on(
    recipe: Recipe,
    source: RowSource,
    rows: np.ndarray,
    batch: RowSample,
    seed: int,
    device: torch.device,
    previous: Fitted,
) -> Fitted:
    """Copy `previous`, or start anew where that is better."""
    net, learned = copy.deepcopy(previous.net), dict(previous.learned)
    fitted = replace(previous, net=net, learned=learned)
    recipe.columns.widen(fitted.module.scaler, source, rows, LOCAL)
    if previous.moments is None:  # it goes on from rows of fit
        return fitted
    backend = EarlierRows(previous.moments)
    scaler, fitted.moments = recipe.columns.fit(source, rows, backend, recipe.needs_axes)
    wake_columns(fitted.module, scaler, previous.moments, fitted.moments)
    n_rows = count_rows(fitted.moments)
    if n_rows < GROWTH * fitted.n_compared or not recipe.needs_axes:
        return fitted
    fitted.n_compared = n_rows
    known = previous.sample.join(batch).cut().as_source()
    if known.is_incomplete != previous.is_incomplete:
        return fitted
    recipe = replace(recipe, n_components=previous.n_components)
    if fitted.moments.has_products:
        anew = _begin(recipe, source, rows, seed, device, backend)
    else:  # axes come from rows
        anew = _begin(recipe, known, np.arange(known.n_rows), seed, device, LOCAL)
    anew.moments, anew.n_compared = fitted.moments, n_rows
    anew.earlier = list(previous.history)

    def error(candidate: Fitted) -> float:
        return candidate.sum_squared_errors(Autoencoder.reconstruct, known, scaler.units)

    return min(fitted, anew, key=error)


def count_rows(moments: Moments) -> float:
    """Count the rows behind `moments`."""
    return float(moments.n_observed.max())


def wake_columns(
    module: torch.nn.Module, scaler: Scaler, earlier: Moments, moments: Moments
) -> None:
    """Take over the scale of columns that were constant, or hardly varied, until now.

    The network knows nothing of them yet, and on their old scale they would drown the
    others.
    """
    old = module.scaler
    if isinstance(old, RowScaler):
        return
    has_woken = ~earlier.varies & moments.varies
    has_woken |= (scaler.scale > WAKING * old.scale.cpu()).numpy()
    where = torch.from_numpy(has_woken).to(old.scale.device)
    likelihoods = [part for part in module.modules() if isinstance(part, Likelihood)]
    for name in ("center", "scale", "low", "high"):
        new = getattr(scaler, name).to(where.device)
        for part in [old, *likelihoods]:
            if (buffer := getattr(part, name, None)) is not None:
                buffer.copy_(torch.where(where, new, buffer))
