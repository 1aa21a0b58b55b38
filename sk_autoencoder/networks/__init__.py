"""Networks: an encoder and a decoder in one torch module.

A specification such as :class:`Dense` is a small scikit-learn estimator that builds a
:class:`Network` when it is called with the number of features and of components.
Anything else that does the same may stand in its place, and so may a pair of torch modules.
"""

from sk_autoencoder.networks._convolutional import Convolutional
from sk_autoencoder.networks._dense import Dense
from sk_autoencoder.networks._modules import Modules
from sk_autoencoder.networks._network import ACTIVATIONS, LinearStart, Network, Output
from sk_autoencoder.networks._temporal import Temporal

__all__ = [
    "ACTIVATIONS",
    "Convolutional",
    "Dense",
    "LinearStart",
    "Modules",
    "Network",
    "Output",
    "Temporal",
]
