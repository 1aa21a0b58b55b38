"""Training: from a recipe and rows to a fitted module.

No function here knows an estimator or changes an argument. Random numbers are torch's: the
caller seeds them.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from skorch.callbacks import Callback

from sk_autoencoder.core._backend import Backend, LocalBackend
from sk_autoencoder.core._building import continue_from, make_builder
from sk_autoencoder.core._callbacks import ReplayLearningRate
from sk_autoencoder.core._data import RowDataset, RowSource
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._inference import busy_threads
from sk_autoencoder.core._model_selection import (
    MAX_REFIT_ROWS,
    Weights,
    interpolate_weights,
    select_interpolation,
)
from sk_autoencoder.core._optimizers import check_optimizer, supported_options
from sk_autoencoder.core._recipe import Recipe, Schedule, Start
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.nn._losses import Error, Loss

LOCAL = LocalBackend()
BUDGET_BETAS = 0.9, 0.95  # of Adam: few steps ask for a short memory of squares


def train(
    recipe: Recipe,
    source: RowSource,
    rows: np.ndarray,
    *,
    seed: int,
    device: torch.device,
    report: Callable[[Callable], Callback],
    previous: Fitted | None = None,
    backend: Backend = LOCAL,
) -> Fitted:
    """Train an autoencoder, or an ensemble, on rows of a source.

    Parameters
    ----------
    recipe : Recipe
    source : RowSource
    rows : ndarray of shape (n_members, n_rows)
        Indices of the rows of each member; more than one make an ensemble.
    seed : int
        Seed of PCA.
    device : torch.device
    report : callable
        Makes the callback that reports epochs to the caller, given ``net -> Fitted``.
    previous : Fitted or None, default=None
        A fit to go on from, in place of new initial weights.
    backend : Backend, default=LocalBackend()
        The processes that train together, each on a source of its own.

    Returns
    -------
    fitted : Fitted
    """
    train_indices, validation_indices = recipe.split(rows.shape[1])
    if previous is None:
        rebuild = make_builder(recipe, source, rows, seed, backend)
        start = rebuild(rows[:, train_indices])
    else:
        rebuild = None
        start = continue_from(previous, recipe, source, rows, backend)
    schedule = recipe.schedule.resolve(rows.shape[1])
    watch = ("report", report(partial(make_fitted, start)))
    callbacks = [*schedule.callbacks(), *recipe.callbacks(), watch]
    net = make_net(recipe, start, callbacks, device, schedule, backend)
    net.set_params(batch_size=recipe.batch_size(len(train_indices)), verbose=recipe.verbose)
    train_rows = RowDataset(source, start.module.scaler, rows[:, train_indices])
    valid = None
    if validation_indices is not None:
        held_out = np.unique(rows[:, validation_indices])
        recipe.columns.widen(start.module.scaler, source, held_out, backend)
        valid = RowDataset(source, start.module.scaler, rows[:, validation_indices])
    with busy_threads(start.module, net.batch_size):
        net.initialize()
        initial = net.get_weights()
        net.partial_fit((train_rows, valid))
        fitted = make_fitted(start, net, net.best_epoch)
        if start.is_linear and valid is not None:
            step = _select_weights(fitted, initial, valid)
            fitted.learned |= recipe.calibrate(fitted, rows, valid)
            _refit(recipe, fitted, source, rows, valid, step, rebuild)
        fitted.learned |= recipe.summarize(fitted, train_rows, valid)
    return end_training(fitted)


# Nets and their result


def make_net(
    recipe: Recipe,
    start: Start,
    callbacks: list,
    device: torch.device,
    schedule: Schedule,
    backend: Backend = LOCAL,
) -> AutoencoderNet:
    """Make the skorch net that trains the module of `start` on `device`.

    `schedule` has numbers of epochs and for the learning rate.
    """
    module = start.module.to(device)
    error = make_error(recipe.loss, start.is_incomplete)
    objective = recipe.objective(
        error, recipe.trim_fraction, **recipe.penalties(start, error)
    )
    check_optimizer(recipe.optimizer, schedule.lr)
    options = {"weight_decay": recipe.weight_decay, "fused": True}
    if schedule.steps_per_epoch:
        options["betas"] = BUDGET_BETAS
    options = supported_options(recipe.optimizer, **options)
    return AutoencoderNet(
        module,
        objective,
        optimizer=recipe.optimizer,
        lr=schedule.lr,
        max_epochs=schedule.max_epochs,
        steps_per_epoch=schedule.steps_per_epoch,
        callbacks=callbacks,
        device=str(next(module.parameters()).device),
        verbose=0,
        backend=backend,
        **options,
    )


def end_training(fitted: Fitted) -> Fitted:
    """Forget the state of the optimizer, which pickles would hold."""
    fitted.net.initialize_optimizer()
    return fitted


def make_error(loss: Loss, is_incomplete: bool) -> Error:
    """Make the error of `loss`, over observed entries if entries are missing."""
    return loss.observed_error if is_incomplete else loss.error


def make_fitted(start: Start, net: AutoencoderNet, best_epoch: int | None = None) -> Fitted:
    """Collect the result of a training of `start`, by default at its last epoch."""
    return Fitted(
        net=net,
        n_components=start.n_components * start.module.n_members,
        imputer=start.imputer,
        is_incomplete=start.is_incomplete,
        best_epoch=len(net.history) if best_epoch is None else best_epoch,
        measured=start.measured,
        learned=dict(start.learned),
        earlier=start.earlier,
    )


# Selecting weights


def _select_weights(fitted: Fitted, initial: Weights, valid: RowDataset) -> float:
    """Load the weights between initial and trained ones that validation rows select."""
    net = fitted.net
    trained = net.get_weights()
    losses = net.interpolated_losses(initial, trained, valid)
    step = select_interpolation(losses, valid.weight)
    net.load_weights(interpolate_weights(initial, trained, step))
    fitted.best_epoch *= step > 0
    return step


def _refit(
    recipe: Recipe,
    fitted: Fitted,
    source: RowSource,
    rows: np.ndarray,
    valid: RowDataset,
    step: float,
    rebuild: Callable[[np.ndarray], Start],
) -> None:
    """Train once more, with the validation rows, where these are worth the time.

    The second training replays the learning rates of the first, and the same interpolation
    step is taken. Nothing changes if it is interrupted.
    """
    net = fitted.net
    if step:
        is_few = net.schedule.is_done_ and rows.shape[1] <= MAX_REFIT_ROWS
        if not (is_few and recipe.refits_trained):
            return
    elif not recipe.refits_start:
        return
    rates = net.schedule.rates_ if step else []
    # Training must not repeat the random numbers of the initial weights.
    with torch.random.fork_rng(devices=[]):
        start = rebuild(rows)
    callbacks = [("schedule", ReplayLearningRate(rates)), *recipe.callbacks()]
    device = torch.device(net.device)
    schedule = replace(recipe.schedule.resolve(rows.shape[1]), max_epochs=len(rates))
    second = make_net(recipe, start, callbacks, device, schedule, net.backend)
    second.initialize().set_params(batch_size=recipe.batch_size(rows.shape[1]))
    initial = second.get_weights()
    second.partial_fit((RowDataset(source, start.module.scaler, rows), valid))
    if len(second.curve("train_loss")) == len(rates):
        net.load_weights(interpolate_weights(initial, second.get_weights(), step))
        fitted.imputer = start.imputer
        fitted.learned |= start.learned
