"""Rows that are read in chunks, for more of them than memory holds."""

from sk_autoencoder.streaming._chunks import Chunks
from sk_autoencoder.utils._names import set_public_module

__all__ = ["Chunks"]

set_public_module(__name__, globals())
