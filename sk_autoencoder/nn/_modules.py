"""Networks made of two torch modules of the user, and the reset of their weights."""

import copy

from sklearn.base import BaseEstimator
from torch import nn

from sk_autoencoder.nn._base import Network

RESET = "reset_parameters"  # torch's name of the method that draws initial weights


class ModulePair(Network):
    """Network of two modules, an encoder and a decoder.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps scaled rows (batch, n_features) to codes (batch, n_components).
    decoder : torch.nn.Module
        Maps codes to scaled rows.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import ModulePair
    >>> network = ModulePair(torch.nn.Linear(8, 2), torch.nn.Linear(2, 8))
    >>> network(torch.zeros(5, 8)).code.shape
    torch.Size([5, 2])
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encode = encoder
        self.decode = decoder


class Modules(BaseEstimator):
    """Specification of a network of two torch modules, trained or untrained.

    Each fit trains copies. The modules of the user never change.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps scaled rows (batch, n_features) to codes (batch, n_components).
    decoder : torch.nn.Module
        Maps codes to scaled rows.
    reset : bool, default=False
        Whether a fit draws new initial weights. If False, it starts from the weights of
        the modules. True requires a method ``reset_parameters`` of every submodule with
        weights, which torch's layers have.

    Notes
    -----
    The modules receive rows that are scaled by the parameter `scaling` of the estimator.
    Modules that were trained on raw rows need ``scaling=None``.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn.datasets import load_digits
    >>> from sk_autoencoder import AutoencoderTransformer
    >>> encoder, decoder = nn.Linear(64, 2), nn.Linear(2, 64)
    >>> autoencoder = AutoencoderTransformer(2, network=(encoder, decoder), max_epochs=3)
    >>> autoencoder.fit_transform(load_digits().data).shape
    (1797, 2)
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, reset: bool = False) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.reset = reset

    def __call__(self, n_features: int, n_components: int) -> ModulePair:
        """Copy the modules into a network."""
        pair = ModulePair(*copy.deepcopy((self.encoder, self.decoder)))
        if self.reset:
            reset_weights(pair)
        return pair


def reset_weights(module: nn.Module) -> None:
    """Draw new initial weights of `module` and of all its submodules.

    Raises a ValueError for a submodule with weights and without ``reset_parameters``.
    """
    for submodule in module.modules():
        has_weights = any(True for _ in submodule.parameters(recurse=False))
        if hasattr(submodule, RESET):
            getattr(submodule, RESET)()
        elif has_weights:
            raise ValueError(
                f"reset=True needs a method {RESET} of every part that has weights, and "
                f"{type(submodule).__name__} has none. Give it one, or set reset=False."
            )
