"""The engine: rows, scaling, initialisation, training and inference of any autoencoder."""

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._recipe import Initialization, Member, Recipe, Start
from sk_autoencoder.utils._names import set_public_module

__all__ = ["BaseAutoencoder", "Fitted", "Initialization", "Member", "Recipe", "Start"]

set_public_module(__name__, globals())
