"""Torch modules of the user's own."""

import copy

from sklearn.base import BaseEstimator
from torch import nn

from sk_autoencoder.nn._base import Network

RESET = "reset_parameters"  # what torch calls the drawing of fresh weights


class ModulePair(Network):
    """Two modules as one network."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encode = encoder
        self.decode = decoder


class Modules(BaseEstimator):
    """Specification of a network of two torch modules, which may be trained already.

    Each fit works on copies: the modules stay as they are.

    Parameters
    ----------
    encoder : torch.nn.Module
        Makes codes (batch, n_components) of scaled rows (batch, n_features).
    decoder : torch.nn.Module
        Makes scaled rows of codes.
    reset : bool, default=False
        Whether a fit draws fresh weights, in place of starting from those of the modules.
        Every part that has weights needs a method ``reset_parameters``, as torch's layers
        have.

    Notes
    -----
    Rows are scaled first, by the parameter `scaling` of the estimator; modules that were
    trained on raw rows need ``scaling=None``.

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
        """Return copies of the modules as a network."""
        pair = ModulePair(*copy.deepcopy((self.encoder, self.decoder)))
        if self.reset:
            reset_weights(pair)
        return pair


def reset_weights(module: nn.Module) -> None:
    """Draw fresh weights for every part of `module`, or raise a ValueError."""
    for part in module.modules():
        own = list(part.parameters(recurse=False))
        if hasattr(part, RESET):
            getattr(part, RESET)()
        elif own:
            raise ValueError(
                f"reset=True needs a method {RESET} of every part that has weights, and "
                f"{type(part).__name__} has none. Give it one, or set reset=False."
            )
