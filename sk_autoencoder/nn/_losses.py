"""Errors of reconstructions, one number per row, and the losses that are made of them.

An error maps ``(output, x)``, each of shape (batch, n_features), to (batch,). A
:class:`Loss` adds the link from the decoder's output to scaled rows.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sk_autoencoder.nn._missing import observed_share

SOFTMAX_SLOPE = 10.0  # initial slope of log-proportions, for rows of unit length
# Sum over columns of the offset of a mean row's proportions: a column of zeros has no
# finite logarithm.
PROPORTION_OFFSET = 1e-2
Error = Callable[[Tensor, Tensor], Tensor]


def squared_error(output: Tensor, x: Tensor) -> Tensor:
    """Sum squared differences over features, in squared scaled units.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import squared_error
    >>> squared_error(torch.tensor([[0.0, 3.0]]), torch.tensor([[1.0, 0.0]]))
    tensor([10.])
    """
    return F.mse_loss(output, x, reduction="none").sum(-1)


def absolute_error(output: Tensor, x: Tensor) -> Tensor:
    """Sum absolute differences over features, in scaled units.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import absolute_error
    >>> absolute_error(torch.tensor([[0.0, 3.0]]), torch.tensor([[1.0, 0.0]]))
    tensor([4.])
    """
    return F.l1_loss(output, x, reduction="none").sum(-1)


def huber(output: Tensor, x: Tensor) -> Tensor:
    """Sum Huber errors over features: squared up to 1 scaled unit, linear beyond.

    References
    ----------
    P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical
    Statistics 35, 1964.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import huber
    >>> huber(torch.tensor([[0.0, 3.0]]), torch.tensor([[1.0, 0.0]]))
    tensor([3.])
    """
    return F.huber_loss(output, x, reduction="none").sum(-1)


def binary_cross_entropy(output: Tensor, x: Tensor) -> Tensor:
    """Sum cross-entropies of `x` in [0, 1] and the sigmoid of `output`, in nats.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import binary_cross_entropy
    >>> binary_cross_entropy(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    tensor([1.3863])
    """
    return F.binary_cross_entropy_with_logits(output, x, reduction="none").sum(-1)


def multinomial(output: Tensor, x: Tensor) -> Tensor:
    r"""Compute the KL divergence of the proportions of `x` and the softmax of `output`.

    .. math:: \sum_j s_j \log \frac{s_j}{p_j}, \quad s_j = \frac{x_j}{\sum_k x_k}, \quad
       p_j = \frac{e^{o_j}}{\sum_k e^{o_k}}

    in nats. `x` holds counts or other non-negative weights. A row of zeros has no error. Up
    to a constant, the divergence is the negative log-likelihood of a multinomial
    distribution divided by the sum of the row [1]_.

    References
    ----------
    .. [1] D. Liang, R. G. Krishnan, M. D. Hoffman and T. Jebara, "Variational
       autoencoders for collaborative filtering", WWW 2018.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import multinomial
    >>> multinomial(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 0.0]]))
    tensor([0.6931])
    """
    proportions = x / x.sum(-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    entropy_terms = torch.xlogy(proportions, proportions)
    return (entropy_terms - proportions * output.log_softmax(-1)).sum(-1)


def cosine(output: Tensor, x: Tensor) -> Tensor:
    """Compute one minus the cosine of the angle between `output` and `x`.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import cosine
    >>> cosine(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0]] * 2))
    tensor([0., 1.])
    """
    return 1 - F.cosine_similarity(output, x, dim=-1)


def softmax_init(mean: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Compute bias and weight of a softmax layer that returns the proportions of `mean`.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean row.
    directions : Tensor of shape (n_features, n_components)
        Change of a row per unit of each component of the code, in scaled units.
    """
    proportions = (mean.clamp(min=0) / mean.clamp(min=0).sum()).nan_to_num()
    slope = min(SOFTMAX_SLOPE / len(mean) ** 0.5, float(1 / mean.mean()))  # of a logarithm
    return (proportions + PROPORTION_OFFSET / len(mean)).log(), slope * directions


class Loss(NamedTuple):
    """Error of a reconstruction, with the link from decoder output to scaled rows.

    Attributes
    ----------
    error : callable
        ``(output, x) -> (batch,)``
    link : callable
        Returns the module of the link.
    slope, origin : float
        Tangent of the inverse link: ``output = slope * (x - origin)``.
    scaled : bool
        Whether X may be scaled. False for a loss of values in a fixed range.
    neutral_output : float
        Output without error for an entry of zero.
    skips_missing : bool
        Whether `error` omits missing entries (NaN) itself.
    observed_share : callable
        ``x -> (batch,)``: the fraction of a row that is observed.
    low, high : float
        Allowed range of X.
    norm_order : int or None
        Order of the norm of rows that the loss ignores. Rows are scaled to one such norm.
    init_output : callable or None
        ``(mean, directions) -> (bias, weights)`` of the output layer, for a link without an
        entrywise inverse.

    Examples
    --------
    >>> from torch import nn
    >>> from sk_autoencoder.nn import Loss, binary_cross_entropy
    >>> loss = Loss(binary_cross_entropy, nn.Sigmoid, slope=4.0, origin=0.5, low=0, high=1)
    >>> loss.link()
    Sigmoid()
    """

    error: Error
    link: Callable[[], nn.Module] = nn.Identity
    slope: float = 1.0
    origin: float = 0.0
    scaled: bool = True
    neutral_output: float = 0.0
    skips_missing: bool = False
    observed_share: Callable[[Tensor], Tensor] = observed_share
    low: float = -math.inf
    high: float = math.inf
    norm_order: int | None = None
    init_output: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None

    def start(self, mean: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Compute bias and weights of outputs for rows ``mean + directions @ code``."""
        if self.init_output is not None:
            return self.init_output(mean, directions)
        return self.slope * (mean - self.origin), self.slope * directions

    @property
    def observed_error(self) -> Error:
        """The error of the entries of a row that are not missing."""
        if self.skips_missing:
            return self.error
        return partial(observed_error, self.error, self.neutral_output)


LOSSES = {
    "absolute_error": Loss(absolute_error),
    "binary_cross_entropy": Loss(
        binary_cross_entropy,
        nn.Sigmoid,
        4.0,
        0.5,
        False,
        neutral_output=-100.0,
        low=0,
        high=1,
    ),
    "cosine": Loss(cosine, norm_order=2),
    "huber": Loss(huber),
    "multinomial": Loss(
        multinomial,
        partial(nn.Softmax, dim=-1),
        neutral_output=-100.0,
        low=0,
        norm_order=1,
        init_output=softmax_init,
    ),
    "squared_error": Loss(squared_error),
}
ERRORS = [loss.error for loss in LOSSES.values()]
ROW_LOSSES = [name for name, loss in LOSSES.items() if loss.norm_order is not None]


def observed_error(
    error: Error, neutral_output: float, output: Tensor, x: Tensor
) -> Tensor:
    """Compute the error (batch,) of the entries of `x` that are not missing (NaN).

    `neutral_output` is the output without error for an entry of zero. A user's loss must
    have no error if both are zero.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import squared_error
    >>> from sk_autoencoder.nn._losses import observed_error
    >>> x = torch.tensor([[1.0, torch.nan]])
    >>> observed_error(squared_error, 0.0, torch.tensor([[3.0, 7.0]]), x)
    tensor([4.])
    """
    is_missing = x.isnan()
    # Missing entries are filled before the error: masking its result would leave NaN in the
    # gradients.
    return error(
        torch.where(is_missing, neutral_output, output), torch.where(is_missing, 0.0, x)
    )


def takes_members(error: Error) -> bool:
    """Check whether an error takes rows (n_members, batch, n_features) too."""
    if isinstance(error, partial) and error.func is observed_error:
        error = error.args[0]
    return error in ERRORS or getattr(error, "takes_members", False)


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Average `values` over rows by their weights (batch,); None stands for equal ones."""
    if weight is None:
        return values.mean(-1)
    return (values * weight).sum(-1) / weight.sum(-1)


def trimmed_mean(
    errors: Tensor, trim_fraction: float, weight: Tensor | None = None
) -> Tensor:
    """Average errors over rows without the fraction `trim_fraction` of the largest.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn._losses import trimmed_mean
    >>> trimmed_mean(torch.tensor([1.0, 90.0, 2.0, 3.0]), 0.25)
    tensor(2.)
    """
    if not trim_fraction:
        return weighted_mean(errors, weight)
    n_kept = max(round((1 - trim_fraction) * errors.shape[-1]), 1)
    smallest = errors.topk(n_kept, largest=False, sorted=False)
    if weight is not None:
        weight = weight.gather(-1, smallest.indices)
    return weighted_mean(smallest.values, weight)
