"""Compression of rows to bytes."""

from sk_autoencoder.compression._compressor import AutoencoderCompressor

__all__ = ["AutoencoderCompressor"]
