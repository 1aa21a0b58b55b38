"""Building blocks of autoencoders as torch modules and functions.

Networks
    :class:`Network` is the base class. :class:`Dense`, :class:`Convolutional`,
    :class:`Temporal`, :class:`Coder` and :class:`Pursuit` are specifications: estimators
    without ``fit``, which build a network when they are called with
    ``(n_features, n_components)``. :class:`ModulePair` is a network of two torch modules.
Corruptions
    :class:`GaussianNoise`, :class:`MaskingNoise`, :class:`SaltAndPepperNoise`,
    :class:`SwapNoise` and :class:`WhileTraining` change rows in training.
Errors and likelihoods
    Functions and modules ``(output, x) -> (batch,)``, such as :func:`squared_error` and
    :class:`Gaussian`. :class:`Loss` adds the link of the decoder's output.
Penalties
    Callables ``(network, x, out)`` that return a scalar or one number per row, such as
    :func:`jacobian_norm`, :class:`KLDivergence` and :class:`AdversarialPenalty`.
    :class:`Objective` adds weighted penalties to the mean error.

Modules of this package know torch, but neither estimators nor the trainer. Rows are in
scaled units, unless a docstring says otherwise.
"""

from sk_autoencoder.nn._adversarial import AdversarialPenalty, energy_distance
from sk_autoencoder.nn._base import LinearInit, Network, NetworkOutput
from sk_autoencoder.nn._convolutional import Convolutional, Patches
from sk_autoencoder.nn._corruptions import (
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
    WhileTraining,
)
from sk_autoencoder.nn._dense import Dense
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
from sk_autoencoder.nn._modules import ModulePair
from sk_autoencoder.nn._objective import Objective
from sk_autoencoder.nn._penalties import SteinPenalty, jacobian_norm, relative_jacobian_norm
from sk_autoencoder.nn._pursuit import orthogonal_pursuit
from sk_autoencoder.nn._sparse import Coder, Pursuit, TopK
from sk_autoencoder.nn._temporal import Temporal
from sk_autoencoder.nn._variational import KLDivergence
from sk_autoencoder.utils._names import set_public_module

__all__ = [
    "AdversarialPenalty",
    "Bernoulli",
    "Coder",
    "Convolutional",
    "Dense",
    "Gaussian",
    "GaussianNoise",
    "KLDivergence",
    "Likelihood",
    "LinearInit",
    "Loss",
    "MaskingNoise",
    "ModulePair",
    "NegativeBinomial",
    "Network",
    "NetworkOutput",
    "Objective",
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
