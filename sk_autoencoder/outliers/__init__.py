"""Detectors of outliers among rows and in time series."""

from sk_autoencoder.outliers._rows import AutoencoderOutlierDetector
from sk_autoencoder.outliers._timeseries import TimeSeriesOutlierDetector

__all__ = ["AutoencoderOutlierDetector", "TimeSeriesOutlierDetector"]
