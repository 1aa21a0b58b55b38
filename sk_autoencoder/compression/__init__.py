"""Compression of rows to bytes."""

from sk_autoencoder.compression._compressor import AutoencoderCompressor
from sk_autoencoder.utils._names import set_public_module

__all__ = ["AutoencoderCompressor"]

set_public_module(__name__, globals())
