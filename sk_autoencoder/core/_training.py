"""Training: from a recipe and rows to a fitted module.

No function here knows an estimator or changes an argument. Random numbers are torch's: the
caller seeds them.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from sk_autoencoder.core._backend import Backend, LocalBackend
from sk_autoencoder.core._building import continue_from, make_builder
from sk_autoencoder.core._callbacks import EpochTable, ReplayLearningRate, StopWhenDone
from sk_autoencoder.core._data import RowDataset, RowSource
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._inference import busy_threads, list_tensors
from sk_autoencoder.core._model_selection import (
    MAX_REFIT_ROWS,
    Weights,
    bootstrap,
    interpolate_weights,
    make_folds,
    select_interpolation,
)
from sk_autoencoder.core._optimizers import check_optimizer, supported_options
from sk_autoencoder.core._recipe import Recipe, Schedule, Start
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.nn._losses import Error, Loss
from sk_autoencoder.utils._progress import is_silent

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
    indices = recipe.split(rows.shape[1])
    if recipe.bootstraps:
        rows = bootstrap(rows, indices[1])
    rng_state = torch.get_rng_state()

    train_once = partial(
        _train_once,
        source=source,
        rows=rows,
        indices=indices,
        seed=seed,
        device=device,
        previous=previous,
        backend=backend,
    )

    def retrain(n_components: int) -> Fitted:
        torch.set_rng_state(rng_state)
        title = f"Training with {n_components} components"
        return train_once(replace(recipe, n_components=n_components), title=title)

    def list_rows(fitted: Fitted) -> RowDataset:
        return RowDataset(source, fitted.module.scaler, rows)

    fitted = train_once(recipe, report=report)
    with busy_threads(fitted.module, fitted.net.batch_size):
        if previous is None:
            fitted = recipe.search(fitted, list_rows(fitted), retrain)
        recipe.finish(fitted, list_rows(fitted))
    return end_training(fitted)


def _train_once(
    recipe: Recipe,
    *,
    source: RowSource,
    rows: np.ndarray,
    indices: tuple[np.ndarray, np.ndarray | None],
    seed: int,
    device: torch.device,
    report: Callable[[Callable], Callback] | None = None,
    title: str = "",
    previous: Fitted | None,
    backend: Backend,
) -> Fitted:
    """Train with one number of components, and let validation rows select the weights."""
    train_indices, validation_indices = indices
    all_rows = rows
    if previous is None and _pays_folds(recipe, source, rows, validation_indices):
        rows = make_folds(rows[0], train_indices, validation_indices, recipe.n_folds)
    if previous is None:
        rebuild = make_builder(recipe, source, rows, seed, backend)
        start = rebuild(rows[:, train_indices])
    else:
        rebuild = None
        start = continue_from(previous, recipe, source, rows, backend)
    is_trial = len(rows) > len(all_rows)
    n_rows, n_train = map(source.count_rows, (rows[0], rows[0, train_indices]))
    schedule = recipe.schedule.resolve(n_rows, source.n_features)
    callbacks = [*schedule.callbacks(), *recipe.callbacks(), *_make_table(recipe, title)]
    if report is not None:
        watch = report(partial(make_trial if is_trial else make_fitted, start))
        callbacks.append(("report", watch))
    callbacks.append(("stop", StopWhenDone()))
    net = make_net(recipe, start, callbacks, device, schedule, backend)
    net.set_params(batch_size=recipe.batch_size(n_train), verbose=_choose_verbosity(recipe))
    train_rows = source.training_rows(start.module.scaler, rows[:, train_indices])
    valid = judges = None
    if validation_indices is not None:
        held_out = rows[:, validation_indices]
        valid, judges = _hold_out(recipe, source, start, held_out, backend)
    with busy_threads(start.module, net.batch_size):
        net.initialize()
        initial = net.get_weights()
        with backend.own_noise(seed):
            net.partial_fit((train_rows, judges))
        train_rows = train_rows.in_memory()
        fitted = make_fitted(start, net, net.best_epoch)
        fitted.start = recipe.start if start.is_linear else "initial weights"
        if valid is not None:
            fitted.start_loss = net.schedule.start_loss_
            fitted.validation_loss = net.schedule.best_loss_
        calibrated: dict[str, Any] = {}
        if start.is_linear and valid is not None:
            step = _select_weights(fitted, initial, valid, judges)
            fitted.validation_loss = net.mean_loss(judges)
            calibrated = recipe.calibrate(fitted, rows, valid)
            fitted.learned |= calibrated
            if is_trial:
                fitted = _conclude(recipe, fitted, source, all_rows, step, rebuild)
                train_rows = RowDataset(source, fitted.module.scaler, all_rows)
                valid = None
            elif not source.is_sample:  # held-out rows are few of all
                _refit(recipe, fitted, source, rows, valid, step, rebuild)
        fitted.learned |= recipe.summarize(fitted, train_rows, valid) | calibrated
    fitted.is_complete = net.is_complete
    return fitted


def _make_table(
    recipe: Recipe, title: str, is_second: bool = False
) -> list[tuple[str, EpochTable]]:
    """Make the callback that prints epochs, if they are to be printed."""
    if recipe.verbose != 1:
        return []
    return [("epoch_table", EpochTable(title, is_second, is_printed=not is_silent()))]


def _choose_verbosity(recipe: Recipe) -> int:
    """Choose how much skorch prints."""
    return 0 if is_silent() else recipe.verbose


def _hold_out(
    recipe: Recipe, source: RowSource, start: Start, held_out: np.ndarray, backend: Backend
) -> tuple[RowDataset, RowDataset]:
    """Make the data set of validation rows, and one that has them for each corruption."""
    scaler = start.module.scaler
    recipe.columns.widen(scaler, source, np.unique(held_out), backend)
    valid = RowDataset(source, scaler, held_out)
    n_repeats = recipe.n_corruptions(len(valid) * source.n_features, start.measured)
    if n_repeats == 1:
        return valid, valid
    return valid, RowDataset(source, scaler, np.tile(held_out, n_repeats))


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
    """Forget the state of the optimizer and other processes, which pickles would hold."""
    fitted.net.initialize_optimizer()
    fitted.net.leave_group()
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


def make_trial(start: Start, net: AutoencoderNet) -> Fitted:
    """Collect the result of a training of several folds: its first member, for reports."""
    first = copy.copy(net)
    first.module_ = net.module_.extract(0)
    return replace(make_fitted(start, first), n_components=start.n_components)


# Selecting weights


def _pays_folds(
    recipe: Recipe, source: RowSource, rows: np.ndarray, validation: np.ndarray | None
) -> bool:
    """Judge whether one set of validation rows is too small to choose by."""
    is_small = len(rows) == 1 and rows.shape[1] <= MAX_REFIT_ROWS and not source.is_sample
    return recipe.n_folds > 1 and validation is not None and is_small


def _select_weights(
    fitted: Fitted, initial: Weights, valid: RowDataset, judges: RowDataset
) -> float:
    """Load the weights between initial and trained ones that validation rows select.

    `judges` are the rows of `valid`, possibly several times.
    """
    net = fitted.net
    trained = net.get_weights()
    values = net.interpolated_losses(initial, trained, judges)
    shape = valid.n_members, -1, len(valid)  # members, repeats, rows
    values = {
        step: rows.reshape(*shape, rows.shape[-1]).mean(1).reshape(-1, rows.shape[-1])
        for step, rows in values.items()
    }
    losses = {step: rows[:, 0] for step, rows in values.items()}
    guards = {step: rows[:, 1:] for step, rows in values.items()}
    step = select_interpolation(losses, valid.weight, guards)
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
        is_few = net.is_complete and rows.shape[1] <= MAX_REFIT_ROWS
        if not (is_few and recipe.refits_trained):
            return
    elif not recipe.refits_start:
        return
    start, second, is_complete = _repeat(recipe, net, source, rows, valid, step, rebuild)
    if is_complete:
        net.load_weights(second.get_weights())
        fitted.imputer = start.imputer
        fitted.learned |= start.learned


def _conclude(
    recipe: Recipe,
    trial: Fitted,
    source: RowSource,
    rows: np.ndarray,
    step: float,
    rebuild: Callable[[np.ndarray], Start],
) -> Fitted:
    """Train on all rows as the folds have shown; the result has the history of the folds.

    After an interrupt it is the first of the folds' autoencoders.
    """
    net = trial.net
    start, second, is_complete = _repeat(recipe, net, source, rows, None, step, rebuild)
    if not is_complete:
        tensors = list_tensors(net.module_.extract(0)) + list_tensors(second.criterion_)
        second.load_weights(tensors)
    second.history = net.history
    fitted = make_fitted(start, second, trial.best_epoch)
    fitted.learned = trial.learned | start.learned
    names = ("start", "start_loss", "validation_loss")
    return replace(fitted, **{name: getattr(trial, name) for name in names})


def _repeat(
    recipe: Recipe,
    net: AutoencoderNet,
    source: RowSource,
    rows: np.ndarray,
    valid: RowDataset | None,
    step: float,
    rebuild: Callable[[np.ndarray], Start],
) -> tuple[Start, AutoencoderNet, bool]:
    """Repeat the epochs that led to the best weights of `net`, on `rows`.

    The second training replays the learning rates of the first, and the same interpolation
    step is taken. Returns the start, the net and whether it came to the end.
    """
    rates = net.schedule.rates_ if step else []
    # Training must not repeat the random numbers of the initial weights.
    with torch.random.fork_rng(devices=[]):
        start = rebuild(rows)
    title = "Training once more, with the rows that were held out"
    table = _make_table(recipe, title, is_second=True) if rates else []
    callbacks = [("schedule", ReplayLearningRate(rates)), *recipe.callbacks(), *table]
    schedule = recipe.schedule.resolve(rows.shape[1], source.n_features)
    schedule = replace(schedule, max_epochs=len(rates))
    device = torch.device(net.device)
    second = make_net(recipe, start, callbacks, device, schedule, net.backend)
    second.initialize().set_params(
        batch_size=recipe.batch_size(rows.shape[1]), verbose=_choose_verbosity(recipe)
    )
    initial = second.get_weights()
    if net.is_complete or not rates:
        second.partial_fit((RowDataset(source, start.module.scaler, rows), valid))
    second.load_weights(interpolate_weights(initial, second.get_weights(), step))
    return start, second, second.is_complete
