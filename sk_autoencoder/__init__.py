"""Autoencoders that behave like scikit-learn estimators."""

from sk_autoencoder._adversarial import AdversarialAutoencoder
from sk_autoencoder._compressor import AutoencoderCompressor
from sk_autoencoder._contractive import ContractiveAutoencoder
from sk_autoencoder._convolutional import ConvolutionalAutoencoder
from sk_autoencoder._denoising import DenoisingAutoencoder
from sk_autoencoder._displays import (
    CodeDisplay,
    LossCurveDisplay,
    OutlierScoreDisplay,
    RateDistortionDisplay,
    ReconstructionDisplay,
    TraversalDisplay,
)
from sk_autoencoder._imputer import AutoencoderImputer
from sk_autoencoder._onnx import register_onnx_converters, to_onnx
from sk_autoencoder._outlier import AutoencoderOutlierDetector
from sk_autoencoder._saving import load, save
from sk_autoencoder._sparse import SparseAutoencoder
from sk_autoencoder._stacked import StackedAutoencoder
from sk_autoencoder._text import TextAutoencoder
from sk_autoencoder._timeseries import TimeSeriesOutlierDetector
from sk_autoencoder._transformer import AutoencoderTransformer
from sk_autoencoder._vae import VAETransformer
from sk_autoencoder._version import __version__ as __version__

__all__ = [
    "AdversarialAutoencoder",
    "AutoencoderCompressor",
    "AutoencoderImputer",
    "AutoencoderOutlierDetector",
    "AutoencoderTransformer",
    "CodeDisplay",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "LossCurveDisplay",
    "OutlierScoreDisplay",
    "RateDistortionDisplay",
    "ReconstructionDisplay",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "TextAutoencoder",
    "TimeSeriesOutlierDetector",
    "TraversalDisplay",
    "VAETransformer",
    "load",
    "register_onnx_converters",
    "save",
    "to_onnx",
]
