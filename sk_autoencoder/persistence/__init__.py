"""Files without pickle."""

from sk_autoencoder.persistence._files import load, save

__all__ = ["load", "save"]
