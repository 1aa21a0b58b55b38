"""Detectors of outliers among rows and in time series."""

from sk_autoencoder.outliers._rows import AutoencoderOutlierDetector
from sk_autoencoder.outliers._timeseries import TimeSeriesOutlierDetector
from sk_autoencoder.utils._names import set_public_module

__all__ = ["AutoencoderOutlierDetector", "TimeSeriesOutlierDetector"]

set_public_module(__name__, globals())
