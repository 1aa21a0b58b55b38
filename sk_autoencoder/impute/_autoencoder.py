"""The default autoencoder of an imputer."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._columns import NumericColumns
from sk_autoencoder.core._data import RowDataset, RowSource, spread_indices
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._missing import missing_fraction
from sk_autoencoder.core._recipe import Initialization, Member, Recipe
from sk_autoencoder.impute._neighbors import (
    fit_kernel_regression,
    fit_shrinkage,
    hide_entries,
    impute_scaled,
    list_member_rows,
    member_predictions,
    scaled_rows,
    shrink,
    spread_rows,
)
from sk_autoencoder.impute._network import (
    ImputationNetwork,
    KernelRegressionImputer,
    quantile_levels,
)
from sk_autoencoder.impute._residuals import (
    ResidualSampler,
    fit_residuals,
    sample_missing_cells,
)
from sk_autoencoder.nn._corruptions import RandomMissing
from sk_autoencoder.nn._scalers import Scaler

N_BLOCKS = 2
HIDDEN_FRACTION_RANGE = 0.1, 0.6  # of the observed entries, hidden in training
HIDDEN_FRACTION = 0.1  # of those of rows that the corrections are fitted to
# 12 tables of at most 250 rows, November 2026: the error falls on 8, by up to 10 %.
MIN_HIDDEN_ENTRIES = 200  # of validation rows, over all their corruptions
MAX_CORRUPTIONS = 6  # of each validation row
MAX_QUANTILE_ROWS = 10_000
MAX_PATTERN_ROWS = 1_000  # whose missing entries are patterns of what is hidden
MAX_REFERENCE_ROWS = 5_000  # of the kernel-weighted mean
MAX_SAMPLING_ROWS = 1_000  # of it where each draw has many steps
MIN_ROWS_WITHOUT_EXTRA_EPOCHS = 350  # fewer rows make shorter epochs, so more epochs
MAX_EPOCH_FACTOR = 4.0
MAX_GROWTH = 2  # times the rows of a design: more rows get no more steps
# Six tables, three seeds, December 2026: at half of the patience vehicle stops too early,
# by 2 % of its error.
START_PATIENCE = 0.75  # of the patience, before the first improvement
MIN_STEPS_PER_EPOCH, STEPS_PER_EPOCH = 5, 12
MIN_BATCH_SIZE, TYPICAL_BATCH_SIZE, MAX_BATCH_SIZE = 16, 64, 256


class Design(NamedTuple):
    """Size and training of the default networks, by the number of columns."""

    max_columns: float  # exclusive
    loss: str
    width: int  # units
    dropout: float
    lr: float
    n_epochs: int
    patience: int  # epochs
    n_rows: int  # more rows get fewer epochs


# Chosen by benchmarks.imputation, November 2026.
DESIGNS = (
    Design(15, "squared_error", 64, 0.05, 3e-3, 100, 20, 1_700),
    Design(30, "squared_error", 96, 0.05, 3e-3, 130, 30, 1_700),
    # Huber's loss does not memorise rare extremes.
    Design(np.inf, "huber", 128, 0.1, 2e-3, 200, 50, 5_000),
)


def select_design(n_columns: int) -> Design:
    """Select the design for a number of columns."""
    return next(design for design in DESIGNS if n_columns < design.max_columns)


def make_default_autoencoder(
    n_rows: int, n_columns: int, samples: bool = False
) -> "ImputationAutoencoder":
    """Build the member of the default imputer, which samples or imputes a mean."""
    design = select_design(n_columns)
    longer = float(np.clip(MIN_ROWS_WITHOUT_EXTRA_EPOCHS / n_rows, 1, MAX_EPOCH_FACTOR))
    shorter = min(design.n_rows / n_rows, 1) ** 0.5
    shorter *= min(MAX_GROWTH * design.n_rows / n_rows, 1) ** 0.5
    return ImputationAutoencoder(
        loss=design.loss,
        lr=design.lr,
        max_epochs=math.ceil(shorter * longer * design.n_epochs),
        n_iter_no_change=int(longer * design.patience),
        samples=samples,
    )


@dataclass(kw_only=True, eq=False, repr=False)
class ImputationAutoencoder(BaseAutoencoder):
    """Autoencoder that is trained on hidden entries, with the imputed row as its code.

    Each training step hides a random fraction of the observed entries, about as many as are
    missing, or those that another row misses. Hidden entries alone have an error.

    Parameters
    ----------
    samples : bool, default=False
        Whether members train on bootstrapped rows, and imputations are sampled.
    """

    scaling: str | None = "standard"
    linear_penalty: float = 0.0
    weight_decay: float = 1e-2
    samples: bool = False

    def make_recipe(self) -> Recipe:
        """Hide entries, and start at a factor model of each member's training rows."""
        recipe = super().make_recipe()
        steps = make_mean_steps if not self.samples else make_sampling_steps
        return replace(
            recipe,
            imputes=False,  # each member has a factor model of its own
            measure=partial(measure_before_building, recipe.columns),
            n_components=None,
            default_n_components=lambda n_rows, n_features: n_features,
            network=self._build_network,
            corruption=lambda rows, measured: RandomMissing(
                measured["hidden_fraction"],
                recipe.columns.column_of_entries,
                measured["patterns"],
            ),
            corrupts_validation=True,  # hides entries of validation rows too
            n_corruptions=count_corruptions,
            initialize=partial(start_at_factor_model, recipe.columns),
            start="factor model",
            schedule=replace(
                recipe.schedule,
                n_lr_reductions=0,
                start_patience=math.ceil(START_PATIENCE * self.n_iter_no_change),
                cosine_decay=True,
            ),
            batch_size=choose_batch_size,
            refits_trained=False,  # other members train on the validation rows of a member
            **steps(recipe.columns),
        )

    def make_sample(self) -> Callable:
        """Make the function ``(module, rows) -> rows`` that samples by a random member."""
        fitted = self._fitted
        return partial(
            sample_missing_cells,
            member=int(torch.randint(fitted.module.n_members, ())),
            sampler=fitted.learned["sampler_"],
            correct=make_correction(fitted),
            columns=self.make_recipe().columns,
        )

    def _build_network(self, n_features: int, n_components: int) -> ImputationNetwork:
        """Build the network of the design for a number of columns."""
        n_columns = n_features if self._table is None else self._table.n_features_in_
        design = select_design(n_columns)
        return ImputationNetwork(n_features, design.width, N_BLOCKS, design.dropout)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def measure_before_building(
    columns: NumericColumns,
    source: RowSource,
    scaler: Scaler,
    rows: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """Choose what all members share: the entries to hide, and the number of factors.

    About as many entries are hidden as are missing, in the patterns of incomplete rows too.
    """
    fraction = np.clip(missing_fraction(source.X, rows), *HIDDEN_FRACTION_RANGE)
    sample = spread_rows(rows, source.weight, MAX_PATTERN_ROWS)
    is_missing = torch.from_numpy(np.isnan(source.X[sample]))
    return {
        "hidden_fraction": float(fraction),
        "patterns": is_missing[is_missing.any(dim=1)],
        "n_factors": columns.select_n_factors(source, scaler, rows, seed),
    }


def count_corruptions(n_entries: int, measured: dict[str, float]) -> int:
    """Count how often entries of few validation rows are hidden.

    Validation rows of few columns have few hidden entries each time, whose errors are a
    matter of luck.
    """
    n_hidden = measured["hidden_fraction"] * n_entries
    return int(np.clip(math.ceil(MIN_HIDDEN_ENTRIES / n_hidden), 1, MAX_CORRUPTIONS))


def start_at_factor_model(columns: NumericColumns, member: Member) -> Initialization:
    """Initialise a network at a factor model of the training rows."""
    rows = member.rows
    imputer = columns.fit_imputer(
        rows.source,
        rows.scaler,
        rows.indices,
        member.seed,
        n_factors=member.measured["n_factors"],
    )
    where = spread_indices(len(rows), MAX_QUANTILE_ROWS, rows.weight)
    sample = rows[where].x.cpu().numpy()
    sample[:, np.isnan(sample).all(axis=0)] = 0
    quantiles = np.nanquantile(sample, quantile_levels(), axis=0)
    member.network.start_at(imputer, torch.from_numpy(quantiles).float())
    return Initialization(is_linear=True, imputer=imputer)


def choose_batch_size(n_rows: int) -> int:
    """Choose the size of batches for a number of training rows."""
    smaller = min(n_rows // MIN_STEPS_PER_EPOCH, TYPICAL_BATCH_SIZE)
    size = max(n_rows // STEPS_PER_EPOCH, smaller)
    return int(np.clip(size, MIN_BATCH_SIZE, MAX_BATCH_SIZE))


def calibrate(
    columns: NumericColumns,
    max_reference_rows: int,
    fitted: Fitted,
    rows: np.ndarray,
    valid: RowDataset,
) -> dict[str, KernelRegressionImputer | torch.Tensor | None]:
    """Fit the corrections of the networks, if they are an improvement.

    A kernel regression on near training rows, then a shrinkage of each column to its mean.
    """
    reference = spread_rows(rows, valid.source.weight, max_reference_rows)
    known = scaled_rows(valid.X, valid.scaler, reference)
    regression = KernelRegressionImputer(
        impute_scaled(fitted.module, known), (~known.isnan()).float()
    )
    column = columns.column_of_entries
    corruption = RandomMissing(HIDDEN_FRACTION, column, fitted.measured["patterns"])
    hidden = hide_entries(fitted.module, regression, reference, valid, corruption)
    nearest = fit_kernel_regression(regression, hidden)
    return {"nearest_": nearest, "shrinkage_": fit_shrinkage(hidden, nearest, column)}


def make_mean_steps(columns: NumericColumns) -> dict[str, Any]:
    """Make the steps of a recipe whose imputations are means."""

    def impute_reference(
        fitted: Fitted, train: RowDataset, valid: RowDataset | None
    ) -> dict[str, Any]:
        impute_reference_rows(fitted, train, valid, MAX_REFERENCE_ROWS)
        return {}

    return {
        "calibrate": partial(calibrate, columns, MAX_REFERENCE_ROWS),
        "summarize": impute_reference,
        "reconstruct": make_reconstruction,
    }


def make_sampling_steps(columns: NumericColumns) -> dict[str, Any]:
    """Make the steps of a recipe whose imputations are sampled."""

    def collect(
        fitted: Fitted, train: RowDataset, valid: RowDataset | None
    ) -> dict[str, ResidualSampler]:
        reference = impute_reference_rows(fitted, train, valid, MAX_SAMPLING_ROWS)
        correct = make_correction(fitted)
        sampler = fit_residuals(fitted.module, train, valid, columns, correct, reference)
        return {"sampler_": sampler}

    return {
        "bootstraps": True,
        "calibrate": partial(calibrate, columns, MAX_SAMPLING_ROWS),
        "summarize": collect,
    }


def impute_reference_rows(
    fitted: Fitted, train: RowDataset, valid: RowDataset | None, max_rows: int
) -> np.ndarray:
    """Impute the rows of the kernel regression, if there is one, by the selected weights.

    Returns
    -------
    reference : ndarray of shape (n_reference,)
        Indices of the rows.
    """
    nearest = fitted.learned.get("nearest_")
    if nearest is None:
        return np.arange(0)
    indices = list_member_rows(train, valid)
    reference = spread_rows(indices, train.source.weight, max_rows)
    rows = scaled_rows(train.X, train.scaler, reference)
    nearest.rows = impute_scaled(fitted.module, rows)
    return reference


def make_correction(fitted: Fitted) -> Callable[..., torch.Tensor]:
    """Make the function that corrects guesses: ``(x, guess, is_excluded=None) -> guess``.

    `x` and `guess` are scaled rows. `is_excluded` tells which reference rows to leave out.
    """
    nearest, shrinkage = map(fitted.learned.get, ("nearest_", "shrinkage_"))

    def correct(
        x: torch.Tensor, guess: torch.Tensor, is_excluded: torch.Tensor | None = None
    ) -> torch.Tensor:
        if shrinkage is None:  # no validation rows
            return guess
        if nearest is not None:
            guess = nearest(x, guess, is_excluded)
        return torch.where(x.isnan(), shrink(guess, shrinkage.to(guess)), guess)

    return correct


def make_reconstruction(fitted: Fitted) -> Callable:
    """Make the function ``(module, rows) -> rows``: networks, then their corrections."""
    correct = make_correction(fitted)

    def impute(module: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
        x = module.scaler.bounded(rows)
        guess = member_predictions(module, x).mean(1)
        return module.scaler.match(correct(x, guess), rows)

    return impute
