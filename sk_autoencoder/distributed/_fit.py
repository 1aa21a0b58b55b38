"""A fit by all processes of a group of torch.distributed."""

from typing import TypeVar

from torch import distributed

from sk_autoencoder.core._lazy_rows import Shard
from sk_autoencoder.distributed._backend import DistributedBackend
from sk_autoencoder.utils._progress import silence
from sk_autoencoder.utils._transactions import adopt

Estimator = TypeVar("Estimator")


def fit(estimator: Estimator, X) -> Estimator:
    """Fit an estimator to the rows of all processes of a group of torch.distributed.

    Call it in each process, with the same parameters of the estimator. The group has been
    initialised by ``torch.distributed.init_process_group`` under torchrun, or by Ray Train.

    Parameters
    ----------
    estimator : estimator of sk_autoencoder
    X : array-like, frame, or rows that are read in chunks, of shape (n_rows, n_features)
        The rows of this process, its shard of all rows. Shards may differ in size.

    Returns
    -------
    estimator : the same object
        Fitted, alike in each process.

    Raises
    ------
    RuntimeError
        If no group has been initialised, or another process has failed.
    ValueError
        If a parameter or rows of this process do not fit, or a process has fewer rows than
        a pass through all rows has steps.

    Notes
    -----
    Each batch has rows of each process in proportion to its shard, and gradients are
    averaged by ``DistributedDataParallel``: a step is that of one process with all rows of
    the batch, except for penalties that compare the rows of a batch, which see those of
    their process. Scales and principal axes are those of all rows. Held-out rows, and what
    is learned after training, come from a uniform random sample of all rows of at most
    32 MiB, which each process gets; so do all rows of estimators that need them at once
    (see :doc:`/user_guide/scale`). A fit fails in all processes if it fails in one. The
    first process prints the epochs or shows the progress bar; the others print nothing.

    Examples
    --------
    In a script that ``torchrun --nproc-per-node=2 script.py`` starts::

        import torch.distributed
        from sk_autoencoder import AutoencoderTransformer, distributed

        torch.distributed.init_process_group("gloo")
        rank = torch.distributed.get_rank()
        X = np.load(f"rows-{rank}.npy", mmap_mode="r")
        model = distributed.fit(AutoencoderTransformer(8, random_state=0), X)
        if rank == 0:
            model.save("model.skops")
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        raise RuntimeError(
            "distributed.fit needs a group of processes, and none has been initialised. "
            "Start the script with torchrun, and call "
            "torch.distributed.init_process_group('gloo') or ('nccl') in it. In one "
            "process call estimator.fit(X)."
        )
    group = distributed.new_group()  # whose end tells the others of an error
    try:
        backend = DistributedBackend(group)
        with silence(backend.rank > 0):
            estimator.fit(Shard(X, backend))
        return adopt(estimator, vars(backend.broadcast(estimator)))
    finally:
        distributed.destroy_process_group(group)
