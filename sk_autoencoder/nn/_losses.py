"""Losses: the error of a reconstruction, one number a row."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SOFTMAX_SLOPE = 10.0  # of log shares at the start, in rows of unit length
TINY_SHARE = 1e-2  # of a row, for columns without any value
Error = Callable[[Tensor, Tensor], Tensor]


def squared_error(output: Tensor, x: Tensor) -> Tensor:
    """Sum of squared differences a row; in squared scaled units."""
    return F.mse_loss(output, x, reduction="none").sum(-1)


def absolute_error(output: Tensor, x: Tensor) -> Tensor:
    """Sum of absolute differences a row; in scaled units."""
    return F.l1_loss(output, x, reduction="none").sum(-1)


def huber(output: Tensor, x: Tensor) -> Tensor:
    """Sum of Huber losses a row: squared up to 1 scaled unit, linear beyond."""
    return F.huber_loss(output, x, reduction="none").sum(-1)


def binary_cross_entropy(output: Tensor, x: Tensor) -> Tensor:
    """Cross-entropy of `x` in [0, 1] with the sigmoid of `output`; in nats a row."""
    return F.binary_cross_entropy_with_logits(output, x, reduction="none").sum(-1)


def multinomial(output: Tensor, x: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence a row from the shares of `x` to the softmax of `output`.

    .. math:: \sum_j s_j \log \frac{s_j}{p_j}, \quad s_j = \frac{x_j}{\sum_k x_k}, \quad
       p_j = \frac{e^{o_j}}{\sum_k e^{o_k}}

    In nats. `x` holds counts or other weights, none negative; a row of zeros has no error.
    Up to a constant it is minus the log-likelihood of a multinomial distribution, divided
    by the row's total.

    References
    ----------
    Liang et al., "Variational autoencoders for collaborative filtering", WWW 2018.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import multinomial
    >>> multinomial(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 0.0]]))
    tensor([0.6931])
    """
    shares = x / x.sum(-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    return (torch.xlogy(shares, shares) - shares * output.log_softmax(-1)).sum(-1)


def cosine(output: Tensor, x: Tensor) -> Tensor:
    """One minus the cosine of the angle between `output` and `x`; without unit."""
    return 1 - F.cosine_similarity(output, x, dim=-1)


def softmax_init(mean: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Return bias and weights with which a softmax gives the shares of a mean row.

    `directions` (n_features, n_components) are what a row changes by with each unit of
    the code, in scaled units.
    """
    shares = (mean.clamp(min=0) / mean.clamp(min=0).sum()).nan_to_num()
    slope = min(SOFTMAX_SLOPE / len(mean) ** 0.5, float(1 / mean.mean()))  # of a logarithm
    return (shares + TINY_SHARE / len(mean)).log(), slope * directions


class Loss(NamedTuple):
    """An error with the link that makes a decoder's output a scaled row.

    Attributes
    ----------
    error : callable
        ``(output, x) -> (batch,)``
    link : callable
        Returns the module of the link.
    slope, origin : float
        Tangent of the inverse link: ``output = slope * (x - origin)``.
    scaled : bool
        Whether X may be scaled; a likelihood of given values needs X as it is.
    neutral_output : float
        Output for which a cell of zero has no error.
    low, high : float
        Range of the values of X that the loss is made for.
    norm_order : int or None
        Of the norm of rows that the loss ignores: rows are brought to one length first.
    init_output : callable or None
        ``(mean, directions) -> (bias, weights)`` of the output, where the inverse link
        has no tangent for all columns.
    """

    error: Error
    link: Callable[[], nn.Module] = nn.Identity
    slope: float = 1.0
    origin: float = 0.0
    scaled: bool = True
    neutral_output: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    norm_order: int | None = None
    init_output: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None

    def start(self, mean: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Return bias and weights of outputs that mean ``mean + directions @ code``."""
        if self.init_output is not None:
            return self.init_output(mean, directions)
        return self.slope * (mean - self.origin), self.slope * directions


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
ROW_LOSSES = [name for name, loss in LOSSES.items() if loss.norm_order is not None]


def observed_error(
    error: Error, neutral_output: float, output: Tensor, x: Tensor
) -> Tensor:
    """Error a row, of shape (batch,), of the cells of `x` that are not missing (NaN).

    `neutral_output` is the output without error where `x` is zero; a user's own loss is
    expected to have no error where both are zero.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import squared_error
    >>> from sk_autoencoder.nn._losses import observed_error
    >>> x = torch.tensor([[1.0, torch.nan]])
    >>> observed_error(squared_error, 0.0, torch.tensor([[3.0, 7.0]]), x)
    tensor([4.])
    """
    is_missing = x.isnan()  # filled before the error: NaN would come back in gradients
    return error(
        torch.where(is_missing, neutral_output, output), torch.where(is_missing, 0.0, x)
    )


def trimmed_mean(errors: Tensor, trim_fraction: float) -> Tensor:
    """Mean over rows, without the share `trim_fraction` of the largest errors.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn._losses import trimmed_mean
    >>> trimmed_mean(torch.tensor([1.0, 90.0, 2.0, 3.0]), 0.25)
    tensor(2.)
    """
    if not trim_fraction:
        return errors.mean()
    n_kept = max(round((1 - trim_fraction) * len(errors)), 1)
    return errors.topk(n_kept, largest=False, sorted=False).values.mean()
