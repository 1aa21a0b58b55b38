"""Building: the module of a recipe, initialised on training rows."""

import copy
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy.sparse import issparse

from sk_autoencoder.core._backend import Backend
from sk_autoencoder.core._data import RowDataset, RowSource
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._initialization._pca import count_components, principal_axes
from sk_autoencoder.core._missing import ImputedRows
from sk_autoencoder.core._recipe import Member, Recipe, Start
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Network
from sk_autoencoder.nn._checks import check_network
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._missing import (
    ConditionalMeanImputer,
    ImputationLayer,
    PreserveMissing,
)
from sk_autoencoder.nn._scalers import Scaler


def make_builder(
    recipe: Recipe, source: RowSource, rows: np.ndarray, seed: int, backend: Backend
) -> Callable[[np.ndarray], Start]:
    """Make a factory that rebuilds the module for any rows from one RNG state."""
    n_components = count_code(recipe, source, rows, seed, backend)
    return partial(
        build,
        recipe,
        source,
        n_components=n_components,
        seed=seed,
        rng_state=torch.get_rng_state(),
        backend=backend,
    )


def count_code(
    recipe: Recipe, source: RowSource, rows: np.ndarray, seed: int, backend: Backend
) -> int:
    """Resolve `n_components`: a number, a fraction of the variance, or None."""
    rows = np.unique(rows)
    if recipe.n_components is None:
        return recipe.default_n_components(len(rows), source.n_features)
    if recipe.n_components >= 1:
        return int(recipe.n_components)
    scaler, moments = recipe.columns.fit(source, rows, backend, with_products=True)
    targets = RowSource(source.targets, weight=source.weight)
    _, imputed = fit_imputer(recipe, targets, scaler, rows, seed)
    known = moments if imputed is targets else None
    axes = principal_axes(RowDataset(imputed, scaler, rows, known), None, seed)
    return count_components(axes, recipe.n_components)


def build(
    recipe: Recipe,
    source: RowSource,
    rows: np.ndarray,
    *,
    n_components: int,
    seed: int,
    rng_state: torch.Tensor,
    backend: Backend,
) -> Start:
    """Build an autoencoder or an ensemble, initialised on rows of a source.

    Parameters
    ----------
    recipe : Recipe
    source : RowSource
    rows : ndarray of shape (n_members, n_rows)
    n_components : int
    seed : int
        Seed of PCA.
    rng_state : Tensor
        State of torch's generator, from which the weights are drawn.
    backend : Backend
    """
    all_rows = rows[0] if len(rows) == 1 else np.unique(rows)
    scaler, moments = recipe.columns.fit(source, all_rows, backend, recipe.needs_axes)
    measured = recipe.measure(source, scaler, all_rows, seed)
    torch.set_rng_state(rng_state)
    imputer, imputed = fit_imputer(recipe, source, scaler, all_rows, seed)
    members, is_linear, learned = [], False, {}
    known = moments if imputed.X is source.targets and len(rows) == 1 else None
    networks = build_networks(recipe, source.n_features, n_components, len(rows))
    for network, subset in zip(networks, rows, strict=True):
        dataset = RowDataset(imputed, scaler, subset, known)
        corruption = recipe.corruption(dataset, measured)
        member = Member(network, corruption, dataset, n_components, seed, measured)
        initialization = recipe.initialize(member)
        is_linear, learned = initialization.is_linear, initialization.learned
        if initialization.imputer is not None:
            imputer = initialization.imputer
        if initialization.corruption is not None:
            corruption = initialization.corruption
        if source.is_incomplete:
            network = network.with_imputation(ImputationLayer(imputer))
            corruption = PreserveMissing(corruption)
        link = recipe.loss.link()
        members.append(
            Autoencoder(network, scaler, corruption, link, recipe.corrupts_validation)
        )
    module = members[0] if len(members) == 1 else Ensemble(members)
    return Start(
        module,
        is_linear,
        source.is_incomplete,
        n_components,
        imputer,
        measured,
        learned,
    )


def continue_from(
    previous: Fitted,
    recipe: Recipe,
    source: RowSource,
    rows: np.ndarray,
    backend: Backend,
) -> Start:
    """Start at a copy of the weights of an earlier fit; its bounds include new rows."""
    module = copy.deepcopy(previous.module)
    recipe.columns.widen(module.scaler, source, np.unique(rows), backend)
    return Start(
        module,
        is_linear=False,
        is_incomplete=previous.is_incomplete,
        n_components=previous.n_components // module.n_members,
        imputer=previous.imputer,
        measured=previous.measured,
        learned=previous.learned,
        earlier=list(previous.history),
    )


def fit_imputer(
    recipe: Recipe, source: RowSource, scaler: Scaler, rows: np.ndarray, seed: int
) -> tuple[ConditionalMeanImputer | None, RowSource]:
    """Fit the imputer of missing entries to `rows`, and impute rows as they are read."""
    if not recipe.imputes or issparse(source.X):
        return None, source
    imputer = recipe.columns.fit_imputer(source, scaler, rows, seed, source.is_incomplete)
    if not source.is_incomplete:
        return imputer, source
    return imputer, source.with_inputs(ImputedRows(source.X, scaler, imputer))


def build_networks(
    recipe: Recipe, n_features: int, n_components: int, n_networks: int
) -> list[Network]:
    """Build the networks of all members, and check the first."""
    networks = [recipe.network(n_features, n_components) for _ in range(n_networks)]
    check_network(networks[0], n_features, n_components)
    return [recipe.wrap(network, n_features, n_components) for network in networks]
