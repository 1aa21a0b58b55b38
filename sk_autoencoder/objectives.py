"""Objectives: what training minimises.

An error takes ``(output, x)``, both of shape (batch, n_features) and in scaled units, and
gives one number a row, summed over features. A penalty takes ``(network, x, out)`` and
gives one number, or one a row. An :class:`Objective` is an error plus named, weighted
penalties.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import vjp
from torch.nn import functional as F

from sk_autoencoder.networks import Network, Output

__all__ = [
    "LOSSES",
    "Loss",
    "Objective",
    "SteinPenalty",
    "absolute_error",
    "binary_cross_entropy",
    "huber",
    "l1_norm",
    "linear_error",
    "squared_error",
    "trimmed_mean",
]

Error = Callable[[Tensor, Tensor], Tensor]
Penalty = Callable[[Network, Tensor, Output], Tensor]


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
    """

    error: Error
    link: Callable[[], nn.Module] = nn.Identity
    slope: float = 1.0
    origin: float = 0.0
    scaled: bool = True


LOSSES = {
    "absolute_error": Loss(absolute_error),
    "binary_cross_entropy": Loss(binary_cross_entropy, nn.Sigmoid, 4.0, 0.5, scaled=False),
    "huber": Loss(huber),
    "squared_error": Loss(squared_error),
}


def trimmed_mean(errors: Tensor, trim_fraction: float) -> Tensor:
    """Mean over rows, without the share `trim_fraction` of the largest errors.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.objectives import trimmed_mean
    >>> trimmed_mean(torch.tensor([1.0, 90.0, 2.0, 3.0]), 0.25)
    tensor(2.)
    """
    if not trim_fraction:
        return errors.mean()
    n_kept = max(round((1 - trim_fraction) * len(errors)), 1)
    return errors.topk(n_kept, largest=False, sorted=False).values.mean()


def l1_norm(network: Network, x: Tensor, out: Output) -> Tensor:
    """Sum of the absolute values of all weights; biases are free."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    return torch.stack([p.abs().sum() for p in matrices]).sum()


def linear_error(
    error: Error, trim_fraction: float, network: Network, x: Tensor, out: Output
) -> Tensor:
    """Mean error of what the network's linear path alone makes of the codes.

    Where a linear decoder can read the codes too, linear models and distances can. Zero
    for a network without a linear path, and outside training: like noise and dropout it
    shapes what is learned, and is no part of what the held-out loss measures.
    """
    output = network.decode_linearly(out.code) if network.training else None
    if output is None:
        return out.code.new_zeros(())
    return trimmed_mean(error(output, x), trim_fraction)


class SteinPenalty(nn.Module):
    r"""What makes the error against noisy rows an unbiased one against clean rows.

    For rows :math:`y = x + \varepsilon` with independent Gaussian noise of standard
    deviations :math:`\sigma_j`, and a network :math:`f`,

    .. math:: E\,\|f(y) - x\|^2
       = E\Big[\|f(y) - y\|^2 + 2 \sum_j \sigma_j^2 \frac{\partial f_j}{\partial y_j}(y)
       - \sum_j \sigma_j^2\Big]

    The sum of derivatives is estimated, without bias, along one random direction
    [2]_. In squared scaled units a row.

    Parameters
    ----------
    std : Tensor of shape (n_features,)
        Standard deviations of the noise, in scaled units.

    References
    ----------
    .. [1] C. M. Stein, "Estimation of the mean of a multivariate normal distribution",
       Annals of Statistics 9, 1981, theorem 1.
    .. [2] S. Ramani, T. Blu and M. Unser, "Monte-Carlo SURE", IEEE Transactions on Image
       Processing 17, 2008, theorem 2.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.networks import Dense
    >>> from sk_autoencoder.objectives import SteinPenalty
    >>> x, network = torch.zeros(5, 3), Dense()(3, 2)
    >>> SteinPenalty(torch.ones(3))(network, x, network(x)).shape
    torch.Size([5])
    """

    std: Tensor

    def __init__(self, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("std", std)

    def forward(self, network: Network, x: Tensor, out: Output) -> Tensor:
        """Return one number a row of `x` (batch, n_features)."""
        signs = torch.where(torch.rand_like(x) < 0.5, -1.0, 1.0)
        direction = signs * self.std
        pull_back = vjp(lambda rows: network(rows).reconstruction, x)[1]
        return 2 * (direction * pull_back(direction)[0]).sum(-1) - self.std.square().sum()


class Objective(nn.Module):
    """An error, averaged over rows, plus named, weighted penalties.

    Parameters
    ----------
    error : callable
        ``(output, x) -> (batch,)``
    trim_fraction : float, default=0.0
        Share of the rows of a batch, those with the largest error, to leave out.
    **penalties : tuple of (float, callable)
        Weight and ``(network, x, out) -> scalar or (batch,)`` by name. A weight of zero
        leaves the penalty out; one that is a ``torch.nn.Module`` is trained too.

    Examples
    --------
    >>> from sk_autoencoder.objectives import Objective, l1_norm, squared_error
    >>> Objective(squared_error, l1=(1e-3, l1_norm)).weights
    {'l1': 0.001}
    """

    def __init__(
        self, error: Error, trim_fraction: float = 0.0, **penalties: tuple[float, Penalty]
    ) -> None:
        super().__init__()
        self.error = error
        self.trim_fraction = trim_fraction
        self.weights = {name: w for name, (w, _) in penalties.items() if w}
        for name in self.weights:
            setattr(self, name, penalties[name][1])

    def forward(self, network: Network, x: Tensor, out: Output) -> dict[str, Tensor]:
        """Return each term, weighted, by name: scalars whose sum is the loss."""
        errors = self.error(out.reconstruction, x)
        terms = {"error": trimmed_mean(errors, self.trim_fraction)}
        for name, value in self._penalties(network, x, out):
            terms[name] = value.mean() if value.ndim else value
        return terms

    def row_losses(self, network: Network, x: Tensor, out: Output) -> Tensor:
        """Return error and penalties of each row, of shape (batch,); nothing is trimmed."""
        losses = self.error(out.reconstruction, x)
        for _, value in self._penalties(network, x, out):
            losses = losses + value
        return losses

    def _penalties(
        self, network: Network, x: Tensor, out: Output
    ) -> Iterator[tuple[str, Tensor]]:
        for name, weight in self.weights.items():
            yield name, weight * getattr(self, name)(network, x, out)
