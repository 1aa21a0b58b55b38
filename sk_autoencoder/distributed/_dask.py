"""A fit by the workers of dask, each of which reads blocks of its own."""

import socket
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
from torch import distributed

from sk_autoencoder.distributed._fit import fit
from sk_autoencoder.utils._lazy_types import find_lazy_type
from sk_autoencoder.utils._optional import require
from sk_autoencoder.utils._transactions import adopt

Estimator = TypeVar("Estimator")


def fit_dask(estimator: Estimator, X: Any, client: Any = None) -> Estimator:
    """Fit an estimator to a dask array by all workers of a cluster, as :func:`fit` does.

    Parameters
    ----------
    estimator : estimator of sk_autoencoder
    X : dask array of shape (n_samples, n_features)
        Each worker reads some of its blocks, several times, from where they are stored;
        they are not persisted.
    client : dask.distributed.Client or None, default=None
        None takes the current client.

    Returns
    -------
    estimator : the same object
        Fitted.

    Raises
    ------
    ImportError
        If dask is missing.
    TypeError
        If X is no dask array.
    ValueError
        If two workers share a process, or rows or a parameter do not fit.

    Notes
    -----
    A worker is one process of the group, and one of its threads trains: start workers with
    one thread each. Workers that run other tasks let all others wait.
    """
    dask = require("distributed", "dask", extra="distributed", purpose="fit_dask")
    if find_lazy_type(X) != ("dask", "Array"):
        raise TypeError(f"X is a {type(X).__name__}, and fit_dask needs a dask array.")
    client = dask.get_client() if client is None else client
    workers = list(client.nthreads())[: X.numblocks[0]]
    if len(workers) > 1 and any(worker.startswith("inproc") for worker in workers):
        raise ValueError(
            "Workers share a process, and each has to have one of its own: start the "
            "cluster with processes=True."
        )
    host = urlsplit(workers[0]).hostname or "localhost"
    port = client.submit(_find_port, workers=workers[:1], pure=False).result()
    shares = np.array_split(np.arange(X.numblocks[0]), len(workers))
    tasks = [
        client.submit(
            partial(
                _fit_share,
                estimator,
                X.blocks[share[0] : share[-1] + 1],
                f"tcp://{host}:{port}",
                rank,
                len(workers),
            ),
            workers=[worker],
            pure=False,
        )
        for rank, (worker, share) in enumerate(zip(workers, shares, strict=True))
    ]
    return adopt(estimator, vars(client.gather(tasks)[0]))


def _find_port() -> int:
    """Find a port of this machine that is free."""
    with socket.socket() as server:
        server.bind(("", 0))
        return server.getsockname()[1]


def _fit_share(estimator: Any, X: Any, address: str, rank: int, size: int) -> Any:
    """Fit to the blocks of one worker, in a group of all workers."""
    config = require("dask", extra="distributed", purpose="fit_dask").config
    options = {"init_method": address, "rank": rank, "world_size": size}
    distributed.init_process_group("gloo", **options)
    try:
        with config.set(scheduler="synchronous"):
            return fit(estimator, X)
    finally:
        distributed.destroy_process_group()
