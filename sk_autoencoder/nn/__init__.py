"""Networks, corruptions, losses and penalties: torch modules and functions."""

from sk_autoencoder.nn._adversarial import (
    CriticPenalty,
    energy_distance,
    mixture,
    normal,
    uniform,
)
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Completed, LinearPath, LinearStart, Network, Output
from sk_autoencoder.nn._convolutional import (
    BottleneckNetwork,
    Convolutional,
    ImageNetwork,
    Level,
    Patches,
    ToRows,
)
from sk_autoencoder.nn._corruptions import (
    GaussianNoise,
    Hiding,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
    WhileTraining,
)
from sk_autoencoder.nn._dense import Dense, DenseLayer, DenseNetwork, Transposed
from sk_autoencoder.nn._ensemble import Ensemble
from sk_autoencoder.nn._likelihoods import (
    Bernoulli,
    Gaussian,
    Likelihood,
    NegativeBinomial,
    Poisson,
)
from sk_autoencoder.nn._losses import (
    Loss,
    absolute_error,
    binary_cross_entropy,
    cosine,
    huber,
    multinomial,
    squared_error,
)
from sk_autoencoder.nn._missing import Completion, GaussianFill, KeepMissing
from sk_autoencoder.nn._modules import ModulePair, Modules
from sk_autoencoder.nn._objective import Objective
from sk_autoencoder.nn._penalties import (
    SteinPenalty,
    code_norm,
    jacobian_norm,
    l1_norm,
    linear_error,
    rate_divergence,
    relative_jacobian_norm,
)
from sk_autoencoder.nn._pursuit import orthogonal_pursuit
from sk_autoencoder.nn._quantization import CodeLength, RoundedNetwork
from sk_autoencoder.nn._scalers import LogScaler, RowScaler, Scaler
from sk_autoencoder.nn._sparse import (
    Coder,
    CoderNetwork,
    Dictionary,
    Pursuit,
    PursuitNetwork,
    TopK,
    dead_error,
)
from sk_autoencoder.nn._temporal import Temporal, TemporalNetwork, ToMaps, ToWindows
from sk_autoencoder.nn._variational import Bound, Divergence, VariationalNetwork
from sk_autoencoder.utils._names import set_public_module

__all__ = [
    "Bernoulli",
    "Coder",
    "Convolutional",
    "CriticPenalty",
    "Dense",
    "Divergence",
    "Gaussian",
    "GaussianNoise",
    "Likelihood",
    "LinearStart",
    "Loss",
    "MaskingNoise",
    "ModulePair",
    "NegativeBinomial",
    "Network",
    "Objective",
    "Output",
    "Patches",
    "Poisson",
    "Pursuit",
    "SaltAndPepperNoise",
    "SteinPenalty",
    "SwapNoise",
    "Temporal",
    "TopK",
    "WhileTraining",
    "absolute_error",
    "binary_cross_entropy",
    "cosine",
    "energy_distance",
    "huber",
    "jacobian_norm",
    "multinomial",
    "orthogonal_pursuit",
    "relative_jacobian_norm",
    "squared_error",
]

set_public_module(__name__, globals())
