"""The parameters of all autoencoders, declared once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator

from sk_autoencoder.core._optimizers import OPTIMIZERS
from sk_autoencoder.nn._base import ACTIVATIONS
from sk_autoencoder.nn._losses import LOSSES
from sk_autoencoder.utils._constraints import count, noise, weight
from sk_autoencoder.utils._sklearn_compat import Interval, RealNotInt, StrOptions


@dataclass(kw_only=True, eq=False, repr=False)
class Parameters(BaseEstimator):
    """Parameters of all autoencoders as fields of a constructor that only stores."""

    n_components: int | float | None = field(default=2, kw_only=False)
    hidden_layer_sizes: int | Sequence[int] = (128, 64)
    activation: str | Callable = "gelu"
    dropout: float = 0.0
    tied_weights: bool = False
    network: Callable | Sequence | None = None
    init: str = "pca"
    loss: str | Callable = "squared_error"
    scaling: str | None = "auto"
    noise_level: float = 0.3
    linear_penalty: float = 0.75
    l1_penalty: float = 0.0
    trim_fraction: float = 0.0
    optimizer: str | Callable = "adamw"
    lr: float | str = "auto"
    weight_decay: float = 1e-4
    batch_size: int | str = "auto"
    max_epochs: int | str = "auto"
    early_stopping: bool = True
    validation_fraction: float | str = "auto"
    n_iter_no_change: int = 20
    tol: float = 1e-3
    warm_start: bool = False
    device: str = "auto"
    callbacks: Sequence | None = None
    verbose: int = 0
    random_state: Any = None
    categorical_features: Any = "from_dtype"

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [
            count(1),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        "hidden_layer_sizes": ["array-like", count(1)],
        "activation": [StrOptions(set(ACTIVATIONS)), callable],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "tied_weights": ["boolean"],
        "network": [callable, tuple, list, None],
        "init": [StrOptions({"pca", "random"})],
        "loss": [StrOptions(set(LOSSES)), callable],
        "scaling": [StrOptions({"auto", "global", "standard"}), None],
        "noise_level": [noise()],
        "linear_penalty": [weight()],
        "l1_penalty": [weight()],
        "trim_fraction": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "weight_decay": [weight()],
        "batch_size": [
            count(1),
            StrOptions({"auto"}),
        ],
        "max_epochs": [count(0), StrOptions({"auto"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"auto"}),
        ],
        "n_iter_no_change": [count(1)],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str],
        "callbacks": [list, tuple, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    }

    def _validate_params(self) -> None:
        if isinstance(self.n_components, str) and self.n_components == "mle":
            raise ValueError(
                "n_components='mle' estimates the rank of Gaussian rows, which an "
                "autoencoder does not assume. Give a number, or a share of the variance "
                "such as 0.9."
            )
        super()._validate_params()
