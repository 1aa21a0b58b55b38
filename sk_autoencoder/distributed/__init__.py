"""Fits by several processes, each of which has some of the rows."""

from sk_autoencoder.distributed._dask import fit_dask
from sk_autoencoder.distributed._fit import fit
from sk_autoencoder.utils._names import set_public_module

__all__ = ["fit", "fit_dask"]

set_public_module(__name__, globals())
