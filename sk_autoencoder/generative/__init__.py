"""Autoencoders that sample new rows."""

from sk_autoencoder.generative._adversarial import AdversarialAutoencoder
from sk_autoencoder.generative._vae import VAETransformer
from sk_autoencoder.utils._names import set_public_module

__all__ = ["AdversarialAutoencoder", "VAETransformer"]

set_public_module(__name__, globals())
