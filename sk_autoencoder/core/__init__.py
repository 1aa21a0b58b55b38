"""The engine: rows, scaling, initialisation, training and inference of any autoencoder."""

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._callbacks import (
    Cosine,
    KeepBest,
    MeetBudget,
    Replay,
    ReportEpochs,
    WarmUp,
)
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.utils._names import set_public_module

set_public_module(__name__, globals())
