"""Checks of parameters and input; the only imports of scikit-learn's private names."""

import copy
from collections.abc import Callable
from contextlib import contextmanager
from math import prod
from numbers import Integral

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import _fit_context, clone
from sklearn.impute._base import _BaseImputer as BaseImputer
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._mask import _get_mask as missing_mask
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER
from sklearn.utils.validation import _check_feature_names_in as feature_names
from sklearn.utils.validation import check_array

from sk_autoencoder.networks import Modules, Network

__all__ = [
    "BaseImputer",
    "HasMethods",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "as_dense",
    "as_specification",
    "check_columns",
    "check_counts",
    "check_image_shape",
    "check_network",
    "check_observed",
    "check_range",
    "check_same_width",
    "draws_of",
    "feature_names",
    "find_device",
    "fit_context",
    "has_columns",
    "missing_mask",
    "seeded",
    "threads",
    "wrap_like",
]

fit_context = _fit_context(prefer_skip_nested_validation=True)


def find_device(device: str) -> torch.device:
    """Return the torch device that a user's `device` means.

    Raises
    ------
    ValueError
        If torch knows no such device, or it is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r} is not available here ({error}). "
            "Use device='auto' or device='cpu'."
        ) from error
    return found


def finite(estimator) -> bool | str:
    """Return what scikit-learn's checks of input call ``ensure_all_finite``."""
    return "allow-nan" if get_tags(estimator).input_tags.allow_nan else True


def clone_with_seed(estimator, random_state, seed: int):
    """Return a clone, with `seed` for its own unless `random_state` is None."""
    copied = clone(estimator)
    own = copied.get_params(deep=False)
    if random_state is not None and "random_state" in own:
        copied.set_params(random_state=seed)
    return copied


def check_observed(X, name: str = "X") -> None:
    """Raise a ValueError if a row of X has no observed value."""
    empty = np.flatnonzero(np.isnan(X).all(axis=1))
    if len(empty):
        raise ValueError(
            f"Row {empty[0]} of {name} has no observed value"
            f"{f' (and {len(empty) - 1} more rows)' if len(empty) > 1 else ''}. Leave such "
            "rows out."
        )


def check_columns(X) -> None:
    """Raise a ValueError if a column of X has no observed value."""
    empty = np.flatnonzero(np.isnan(X).all(axis=0))
    if len(empty):
        raise ValueError(
            f"Column {empty[0]} of X has no observed value, and nothing can be learned of "
            "it. Leave such columns out."
        )


def check_range(X, low: float, high: float, asked: str) -> None:
    """Raise a ValueError if a value of X lies beyond `low` or `high`, which is `asked`."""
    values = X.data if issparse(X) else X
    if np.isinf([low, high]).all() or not values.size:
        return
    least, most = np.nanmin(values), np.nanmax(values)
    if least < low or most > high:
        what = "Negative values in data: " if np.isinf(high) else ""
        raise ValueError(
            f"{what}{asked} needs values in [{low}, {high}], and X reaches from "
            f"{least:.6g} to {most:.6g}. Use another loss or likelihood, or "
            "sklearn.preprocessing.MinMaxScaler(clip=True)."
        )


def check_counts(X, likelihood: str) -> None:
    """Raise a ValueError if a value of X is no count."""
    values = X.data if issparse(X) else X
    wrong = values[(values < 0) | (values != np.floor(values))]
    wrong = wrong[~np.isnan(wrong)]
    if wrong.size:
        raise ValueError(
            f"likelihood={likelihood!r} needs counts (0, 1, 2, …), and X has the value "
            f"{wrong[0]:.6g}. Use likelihood='gaussian' for other numbers."
        )


def check_image_shape(image_shape, n_features: int) -> tuple[int, ...]:
    """Return `image_shape` as (height, width) or (height, width, n_channels)."""
    shape = tuple(int(side) for side in image_shape)
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ValueError(
            f"image_shape={image_shape!r} has to be (height, width), or (height, width, "
            "n_channels)."
        )
    if prod(shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} has {prod(shape)} entries, and rows have "
            f"{n_features} columns."
        )
    return shape


def as_dense(X, name: str, finite: bool | str = True) -> np.ndarray:
    """Return X as a checked dense array of float64."""
    X = X.toarray() if issparse(X) else X
    return check_array(X, dtype=np.float64, ensure_all_finite=finite, input_name=name)


def has_columns(y) -> bool:
    """Whether `y` is a table, and not labels or None."""
    return (y.ndim if hasattr(y, "ndim") else np.asarray(y).ndim) > 1


def as_specification(network) -> Callable:
    """Return what builds a network: `network` itself, or what builds copies of it."""
    if isinstance(network, Network):
        return lambda n_features, n_components: copy.deepcopy(network)
    if isinstance(network, torch.nn.Module):
        raise TypeError(
            f"network={type(network).__name__}(...) is one torch module. Give a pair "
            "(encoder, decoder), or derive it from sk_autoencoder.networks.Network."
        )
    if not isinstance(network, tuple | list):
        return network
    modules = [isinstance(part, torch.nn.Module) for part in network]
    if modules != [True, True]:
        raise TypeError(
            f"network={network!r} has to hold two torch modules, encoder and decoder."
        )
    return Modules(*network)


def check_network(network, n_features: int, n_components: int) -> None:
    """Raise if `network` is not a network of that many features and components."""
    if not isinstance(network, Network):
        raise TypeError(
            f"network= has to return a sk_autoencoder.networks.Network, and returned a "
            f"{type(network).__name__}. Derive your torch module from Network."
        )
    given = f"X has {n_features} features, and n_components={n_components}."
    x = torch.zeros(2, n_features)
    with torch.no_grad():
        try:
            code = network.eval().encode(x)
            check_output("code", code, n_components, given)
            check_output("reconstruction", network(x).reconstruction, n_features, given)
        except RuntimeError as error:
            raise ValueError(f"The given network fails ({error}): {given}") from error


def check_output(name: str, found: torch.Tensor, width: int, given: str) -> None:
    """Raise a ValueError if an output of a network for 2 rows has not that `width`."""
    if found.shape != (2, width):
        raise ValueError(
            f"The {name} of the given network has shape {tuple(found.shape)} for 2 rows, "
            f"and should have (2, {width}): {given}"
        )


def check_same_width(n_components, fitted: int) -> None:
    """Raise a ValueError if a fit with another number of components is to go on."""
    if isinstance(n_components, Integral) and n_components != fitted:
        raise ValueError(
            f"n_components={n_components}, but warm_start=True goes on from a fit with "
            f"{fitted} components. Set warm_start=False to start anew."
        )


@contextmanager
def seeded(random_state, device: torch.device, offset: int = 0):
    """Seed torch from `random_state`, and leave its generators as they were found.

    Yields the seed: an integer `random_state` itself, so that the PCA of a start is the
    PCA that has this `random_state`.
    """
    if isinstance(random_state, Integral):
        seed = int(random_state)
    else:
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    with draws_of(seed + offset, device):
        yield seed


@contextmanager
def draws_of(seed: int, device: torch.device):
    """Let torch draw what `seed` gives, and leave its generators as they were found."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for each in cuda:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def threads(work: float, share: float):
    """Use one torch thread for each `share` of the `work`, as far as there are threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(int(np.clip(work / share, 1, before)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def wrap_like(X, values: np.ndarray):
    """Return `values` as a frame with the columns and the index of X, if X is a frame."""
    library = type(X).__module__.split(".")[0]
    if library not in ADAPTERS_MANAGER.adapters:
        return values
    return ADAPTERS_MANAGER.adapters[library].create_container(values, X, list(X.columns))
