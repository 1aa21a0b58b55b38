"""Objectives: what training minimises.

An error takes ``(output, x)``, both of shape (batch, n_features) and in scaled units, and
gives one number a row, summed over features. A penalty takes ``(network, x, out)`` and
gives one number, or one a row. An :class:`Objective` is an error plus named, weighted
penalties.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import vjp, vmap
from torch.nn import functional as F

from sk_autoencoder.networks import Network, Output

__all__ = [
    "LOSSES",
    "ROW_LOSSES",
    "Loss",
    "Objective",
    "SteinPenalty",
    "absolute_error",
    "binary_cross_entropy",
    "cosine",
    "huber",
    "jacobian_norm",
    "l1_norm",
    "linear_error",
    "multinomial",
    "observed_error",
    "relative_jacobian_norm",
    "squared_error",
    "trimmed_mean",
]

EXACT_COMPONENTS = 4  # up to which each component is asked for its own gradient
SMALL_AXIS = 0.02  # of the mean variance: what an axis of the codes counts for at least
SOFTMAX_SLOPE = 10.0  # of log shares at the start, in rows of unit length
TINY_SHARE = 1e-2  # of a row, for columns without any value
TINY_VARIANCE = 1e-8  # in squared scaled units

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
    >>> from sk_autoencoder.objectives import multinomial
    >>> multinomial(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 0.0]]))
    tensor([0.6931])
    """
    shares = x / x.sum(-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    return (torch.xlogy(shares, shares) - shares * output.log_softmax(-1)).sum(-1)


def cosine(output: Tensor, x: Tensor) -> Tensor:
    """One minus the cosine of the angle between `output` and `x`; without unit."""
    return 1 - F.cosine_similarity(output, x, dim=-1)


def softmax_start(mean: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
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
    blank : float
        Output for which a cell of zero has no error.
    low, high : float
        Range of the values of X that the loss is made for.
    order : int or None
        Of the norm of rows that the loss ignores: rows are brought to one length first.
    line : callable or None
        ``(mean, directions) -> (bias, weights)`` of the output, where the inverse link
        has no tangent for all columns.
    """

    error: Error
    link: Callable[[], nn.Module] = nn.Identity
    slope: float = 1.0
    origin: float = 0.0
    scaled: bool = True
    blank: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    order: int | None = None
    line: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None

    def start(self, mean: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Return bias and weights of outputs that mean ``mean + directions @ code``."""
        if self.line is not None:
            return self.line(mean, directions)
        return self.slope * (mean - self.origin), self.slope * directions


LOSSES = {
    "absolute_error": Loss(absolute_error),
    "binary_cross_entropy": Loss(
        binary_cross_entropy, nn.Sigmoid, 4.0, 0.5, False, blank=-100.0, low=0, high=1
    ),
    "cosine": Loss(cosine, order=2),
    "huber": Loss(huber),
    "multinomial": Loss(
        multinomial,
        partial(nn.Softmax, dim=-1),
        blank=-100.0,
        low=0,
        order=1,
        line=softmax_start,
    ),
    "squared_error": Loss(squared_error),
}
ROW_LOSSES = [name for name, loss in LOSSES.items() if loss.order is not None]


def observed_error(error: Error, blank: float, output: Tensor, x: Tensor) -> Tensor:
    """Error a row, of shape (batch,), of the cells of `x` that are not missing (NaN).

    `blank` is the output that has no error where `x` is zero; a callable of a user's own
    is taken to give no error where both are zero.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.objectives import observed_error, squared_error
    >>> x = torch.tensor([[1.0, torch.nan]])
    >>> observed_error(squared_error, 0.0, torch.tensor([[3.0, 7.0]]), x)
    tensor([4.])
    """
    is_missing = x.isnan()  # filled before the error: NaN would come back in gradients
    return error(torch.where(is_missing, blank, output), torch.where(is_missing, 0.0, x))


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


def jacobian_norm(network: Network, x: Tensor, out: Output) -> Tensor:
    """Squared Frobenius norm of the encoder's Jacobian d code / d x; one number a row.

    In closed form where the network has one, exact for up to four components, and
    otherwise Hutchinson's unbiased estimate from one product with random signs a row:
    its time does not grow with the number of components.

    References
    ----------
    S. Rifai et al., "Contractive auto-encoders: explicit invariance during feature
    extraction", ICML 2011.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.networks import Dense
    >>> from sk_autoencoder.objectives import jacobian_norm
    >>> x, network = torch.zeros(2, 3), Dense(())(3, 1)
    >>> with torch.no_grad():
    ...     _ = network.encoder[0].weight.copy_(torch.tensor([[1.0, 2.0, 2.0]]))
    ...     jacobian_norm(network, x, network(x))
    tensor([9., 9.])
    """
    return _code_and_jacobian_norm(network, x)[1]


def relative_jacobian_norm(network: Network, x: Tensor, out: Output) -> Tensor:
    """Jacobian norm relative to the spread of the codes; one number a row, without unit.

    The norm is divided by the geometric mean of the variances along the principal axes of
    the batch's codes, and multiplied by the mean variance that `x` has a component. Nothing
    is won by small codes, which a decoder would enlarge again, nor by large copies of the
    few components that move least: for codes that noise moves alike in all directions, no
    linear map of the codes lowers it.
    """
    code, norm = _code_and_jacobian_norm(network, x)
    spread = x.var(-2, correction=0).sum() / code.shape[-1]
    return norm * (spread / _geometric_mean_variance(code))


def _geometric_mean_variance(code: Tensor) -> Tensor:
    """Return the k-th root of the determinant of the covariance of `code` (batch, k)."""
    n_rows, n_components = code.shape
    centred = (code - code.mean(0)) / n_rows**0.5
    if n_components > n_rows:  # the same determinant, up to axes without any spread
        centred = centred.mT
    floor = SMALL_AXIS * centred.square().sum() / n_components + TINY_VARIANCE
    size = centred.shape[1]
    eye = torch.eye(size, dtype=code.dtype, device=code.device)
    log_det = torch.linalg.slogdet(centred.mT @ centred + floor * eye)[1]
    log_det = log_det + (n_components - size) * floor.log()
    return (log_det / n_components).exp()


def _code_and_jacobian_norm(network: Network, x: Tensor) -> tuple[Tensor, Tensor]:
    norms = network.squared_gradients(x)
    if norms is not None:
        return network.encode(x), norms.sum(-1)
    code, pull_back = vjp(network.encode, x)[:2]
    n_components = code.shape[-1]
    if n_components > EXACT_COMPONENTS:
        (products,) = pull_back(torch.randn_like(code).sign())
        return code, products.square().sum(-1)
    axes = torch.eye(n_components, dtype=code.dtype, device=code.device)
    axes = axes[:, None].expand(-1, *code.shape)  # (n_components, batch, n_components)
    (gradients,) = vmap(pull_back)(axes)  # (n_components, batch, n_features)
    return code, gradients.square().sum((0, -1))


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
        errors = self.errors(network, x, out)
        terms = {"error": trimmed_mean(errors, self.trim_fraction)}
        for name, value in self._penalties(network, x, out):
            terms[name] = value.mean() if value.ndim else value
        return terms

    def errors(self, network: Network, x: Tensor, out: Output) -> Tensor:
        """Return the error of each row, of shape (batch,)."""
        return self.error(out.reconstruction, x)

    def row_losses(self, network: Network, x: Tensor, out: Output) -> Tensor:
        """Return error and penalties of each row, of shape (batch,); nothing is trimmed."""
        losses = self.errors(network, x, out)
        for _, value in self._penalties(network, x, out):
            losses = losses + value
        return losses

    def _penalties(
        self, network: Network, x: Tensor, out: Output
    ) -> Iterator[tuple[str, Tensor]]:
        for name, weight in self.weights.items():
            yield name, weight * getattr(self, name)(network, x, out)
