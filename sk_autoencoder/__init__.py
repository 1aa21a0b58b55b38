"""Autoencoders that behave like scikit-learn estimators."""

from sk_autoencoder._version import __version__ as __version__
from sk_autoencoder.compression import AutoencoderCompressor
from sk_autoencoder.decomposition import (
    AutoencoderTransformer,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    TextAutoencoder,
)
from sk_autoencoder.export import register_onnx_converters, to_onnx
from sk_autoencoder.generative import AdversarialAutoencoder, VAETransformer
from sk_autoencoder.impute import AutoencoderImputer
from sk_autoencoder.inspection import (
    CodeDisplay,
    LossCurveDisplay,
    OutlierScoreDisplay,
    RateDistortionDisplay,
    ReconstructionDisplay,
    Report,
    SampleReportDisplay,
    ScreeDisplay,
    TraversalDisplay,
    report,
)
from sk_autoencoder.outliers import AutoencoderOutlierDetector, TimeSeriesOutlierDetector
from sk_autoencoder.persistence import load, save
from sk_autoencoder.utils._names import publish

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
    "Report",
    "SampleReportDisplay",
    "ScreeDisplay",
    "SparseAutoencoder",
    "StackedAutoencoder",
    "TextAutoencoder",
    "TimeSeriesOutlierDetector",
    "TraversalDisplay",
    "VAETransformer",
    "load",
    "register_onnx_converters",
    "report",
    "save",
    "to_onnx",
]

publish(__name__, globals())
