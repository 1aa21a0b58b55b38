"""Penalties: terms of the objective beside the error."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import vjp, vmap

from sk_autoencoder.nn._base import Network, NetworkOutput
from sk_autoencoder.nn._losses import Error, trimmed_mean

EXACT_COMPONENTS = 4  # up to which each component is asked for its own gradient
SMALL_AXIS = 0.02  # of the mean variance: what an axis of the codes counts for at least
TINY_VARIANCE = 1e-8  # in squared scaled units
Penalty = Callable[[Network, Tensor, NetworkOutput], Tensor]


def l1_norm(network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
    """Sum of the absolute values of all weights; biases are free."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    return torch.stack([p.abs().sum() for p in matrices]).sum()


def linear_error(
    error: Error, trim_fraction: float, network: Network, x: Tensor, out: NetworkOutput
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


def jacobian_norm(network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
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
    >>> from sk_autoencoder.nn import Dense
    >>> from sk_autoencoder.nn import jacobian_norm
    >>> x, network = torch.zeros(2, 3), Dense(())(3, 1)
    >>> with torch.no_grad():
    ...     _ = network.encoder[0].weight.copy_(torch.tensor([[1.0, 2.0, 2.0]]))
    ...     jacobian_norm(network, x, network(x))
    tensor([9., 9.])
    """
    return _code_and_jacobian_norm(network, x)[1]


def relative_jacobian_norm(network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
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
    >>> from sk_autoencoder.nn import Dense
    >>> from sk_autoencoder.nn import SteinPenalty
    >>> x, network = torch.zeros(5, 3), Dense()(3, 2)
    >>> SteinPenalty(torch.ones(3))(network, x, network(x)).shape
    torch.Size([5])
    """

    std: Tensor

    def __init__(self, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("std", std)

    def forward(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Return one number a row of `x` (batch, n_features)."""
        signs = torch.where(torch.rand_like(x) < 0.5, -1.0, 1.0)
        direction = signs * self.std
        pull_back = vjp(lambda rows: network(rows).reconstruction, x)[1]
        return 2 * (direction * pull_back(direction)[0]).sum(-1) - self.std.square().sum()


def code_norm(network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
    """Sum of the absolute values of each code, of shape (batch,); in units of the code."""
    return out.code.abs().sum(-1)


def rate_divergence(rate: float, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
    """Divergence of a `rate` from the mean code of the batch, in nats, summed over units.

    Of two Bernoulli distributions, so codes have to lie in (0, 1).

    References
    ----------
    A. Ng, "Sparse autoencoder", CS294A lecture notes,
    2011.
    """
    mean = out.code.mean(0).clamp(1e-6, 1 - 1e-6)  # (n_components,)
    on = rate * torch.log(rate / mean)
    off = (1 - rate) * torch.log((1 - rate) / (1 - mean))
    return (on + off).sum()
