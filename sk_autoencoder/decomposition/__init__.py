"""Autoencoders that reduce rows to codes and back."""

from sk_autoencoder.decomposition._contractive import ContractiveAutoencoder
from sk_autoencoder.decomposition._convolutional import ConvolutionalAutoencoder
from sk_autoencoder.decomposition._denoising import DenoisingAutoencoder
from sk_autoencoder.decomposition._sparse import SparseAutoencoder
from sk_autoencoder.decomposition._stacked import StackedAutoencoder
from sk_autoencoder.decomposition._text import TextAutoencoder
from sk_autoencoder.decomposition._transformer import AutoencoderTransformer

__all__ = [
    "AutoencoderTransformer",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "TextAutoencoder",
]
