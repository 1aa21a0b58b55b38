"""Autoencoders that reduce rows to codes and back."""

from sk_autoencoder.decomposition._contractive import ContractiveAutoencoder
from sk_autoencoder.decomposition._convolutional import ConvolutionalAutoencoder
from sk_autoencoder.decomposition._denoising import DenoisingAutoencoder
from sk_autoencoder.decomposition._sparse import SparseAutoencoder
from sk_autoencoder.decomposition._stacked import StackedAutoencoder
from sk_autoencoder.decomposition._text import TextAutoencoder
from sk_autoencoder.decomposition._transformer import AutoencoderTransformer
from sk_autoencoder.utils._names import set_public_module

__all__ = [
    "AutoencoderTransformer",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "TextAutoencoder",
]

set_public_module(__name__, globals())
