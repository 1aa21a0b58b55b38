"""Imputation of missing values."""

from sk_autoencoder.impute._imputer import AutoencoderImputer
from sk_autoencoder.impute._pooling import PooledEstimate, pool
from sk_autoencoder.utils._names import set_public_module

__all__ = ["AutoencoderImputer", "PooledEstimate", "pool"]

set_public_module(__name__, globals())
