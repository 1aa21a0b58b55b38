"""Plots of fitted estimators, with the interface of scikit-learn's displays."""

from sk_autoencoder.inspection._codes import CodeDisplay
from sk_autoencoder.inspection._loss import LossCurveDisplay
from sk_autoencoder.inspection._outliers import OutlierScoreDisplay
from sk_autoencoder.inspection._page import Report
from sk_autoencoder.inspection._rate import RateDistortionDisplay
from sk_autoencoder.inspection._reconstruction import ReconstructionDisplay
from sk_autoencoder.inspection._report import report
from sk_autoencoder.inspection._samples import SampleReportDisplay
from sk_autoencoder.inspection._scree import ScreeDisplay
from sk_autoencoder.inspection._traversal import TraversalDisplay
from sk_autoencoder.utils._names import set_public_module

__all__ = [
    "CodeDisplay",
    "LossCurveDisplay",
    "OutlierScoreDisplay",
    "RateDistortionDisplay",
    "ReconstructionDisplay",
    "Report",
    "SampleReportDisplay",
    "ScreeDisplay",
    "TraversalDisplay",
    "report",
]

set_public_module(__name__, globals())
