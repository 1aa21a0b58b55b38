"""Autoencoders that sample new rows."""

from sk_autoencoder.generative._adversarial import AdversarialAutoencoder
from sk_autoencoder.generative._vae import VAETransformer

__all__ = ["AdversarialAutoencoder", "VAETransformer"]
