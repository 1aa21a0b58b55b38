"""Pictures, in the convention of scikit-learn's displays."""

from sk_autoencoder._displays._codes import CodeDisplay
from sk_autoencoder._displays._loss import LossCurveDisplay
from sk_autoencoder._displays._outliers import OutlierScoreDisplay
from sk_autoencoder._displays._rate import RateDistortionDisplay
from sk_autoencoder._displays._reconstruction import ReconstructionDisplay
from sk_autoencoder._displays._traversal import TraversalDisplay

__all__ = [
    "CodeDisplay",
    "LossCurveDisplay",
    "OutlierScoreDisplay",
    "RateDistortionDisplay",
    "ReconstructionDisplay",
    "TraversalDisplay",
]
