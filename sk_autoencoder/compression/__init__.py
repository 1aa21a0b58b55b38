"""Compression of rows to bytes."""

from sk_autoencoder.compression._autoencoder import CompressingAutoencoder
from sk_autoencoder.compression._codec import Codec
from sk_autoencoder.compression._coding import Table
from sk_autoencoder.compression._compressor import AutoencoderCompressor
from sk_autoencoder.compression._quantizer import Quantiser
from sk_autoencoder.compression._residuals import Residuals
from sk_autoencoder.utils._names import set_public_module

__all__ = ["AutoencoderCompressor"]

set_public_module(__name__, globals())
