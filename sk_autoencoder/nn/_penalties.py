"""Penalties: terms of the objective besides the error.

A penalty maps ``(network, x, out)`` to a scalar or to one number per row, or to None where
the loss has no such term: outside training, for example.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import vjp, vmap

from sk_autoencoder.nn._base import Network, NetworkOutput
from sk_autoencoder.nn._losses import Error, trimmed_mean

EXACT_COMPONENTS = 4  # largest number of components with an exact Jacobian norm
SMALL_AXIS = 0.02  # added to the variance of each axis of the codes, in mean variances
TINY_VARIANCE = 1e-8  # added too, in squared scaled units, for constant codes
Penalty = Callable[[Network, Tensor, NetworkOutput], Tensor | None]


def l1_norm(network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
    """Sum the absolute values of all weights; biases are not penalised."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    return torch.stack([p.abs().sum() for p in matrices]).sum()


def linear_error(
    error: Error, trim_fraction: float, network: Network, x: Tensor, out: NetworkOutput
) -> Tensor | None:
    """Compute the mean error of the reconstruction by the linear skip alone.

    Codes with a good linear reconstruction suit linear models and distances. There is no
    such term for a network without a linear skip, and outside training: the validation loss
    omits it, as noise and dropout.
    """
    output = network.decode_linearly(out.code) if network.training else None
    if output is None:
        return None
    return trimmed_mean(error(output, x), trim_fraction)


def jacobian_norm(network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
    """Compute the squared Frobenius norm of the encoder's Jacobian for each row.

    This is the contractive penalty [1]_. It is exact for networks with a closed form and
    for up to four components. For more components it is Hutchinson's unbiased estimate [2]_
    from one product with random signs per row, whose time does not grow with their number.

    References
    ----------
    .. [1] S. Rifai, P. Vincent, X. Muller, X. Glorot and Y. Bengio, "Contractive
       auto-encoders: explicit invariance during feature extraction", ICML 2011.
    .. [2] M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix
       for Laplacian smoothing splines", Communications in Statistics 18, 1989.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Dense, jacobian_norm
    >>> x, network = torch.zeros(2, 3), Dense(())(3, 1)
    >>> with torch.no_grad():
    ...     _ = network.encoder[0].weight.copy_(torch.tensor([[1.0, 2.0, 2.0]]))
    ...     jacobian_norm(network, x, network(x))
    tensor([9., 9.])
    """
    return _code_and_jacobian_norm(network, x)[1]


def relative_jacobian_norm(network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
    """Compute the Jacobian norm relative to the variance of the codes, for each row.

    The squared norm of :func:`jacobian_norm` is divided by the geometric mean of the
    variances along the principal axes of the batch's codes, and multiplied by the total
    variance of `x` per component. Shorter codes therefore do not lower the penalty, and
    neither do longer copies of the least sensitive components: if noise changes the codes
    equally in all directions, no linear map of the codes lowers it.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Dense, relative_jacobian_norm
    >>> x, network = torch.randn(100, 3), Dense(())(3, 2)
    >>> before = relative_jacobian_norm(network, x, network(x))
    >>> with torch.no_grad():
    ...     network.encoder[0].weight *= 10
    >>> torch.allclose(relative_jacobian_norm(network, x, network(x)), before)
    True
    """
    code, norm = _code_and_jacobian_norm(network, x)
    variance_per_component = x.var(-2, correction=0).sum() / code.shape[-1]
    return norm * (variance_per_component / _geometric_mean_variance(code))


def _geometric_mean_variance(code: Tensor) -> Tensor:
    """Compute the k-th root of the determinant of the covariance of `code` (batch, k)."""
    n_rows, n_components = code.shape
    centered = (code - code.mean(0)) / n_rows**0.5
    # The smaller Gram matrix has the same determinant, up to axes without variance.
    if n_components > n_rows:
        centered = centered.mT
    floor = SMALL_AXIS * centered.square().sum() / n_components + TINY_VARIANCE
    size = centered.shape[1]
    eye = torch.eye(size, dtype=code.dtype, device=code.device)
    log_det = torch.linalg.slogdet(centered.mT @ centered + floor * eye)[1]
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
    r"""Penalty that makes the squared error of noisy rows an unbiased error of clean rows.

    This is Stein's unbiased risk estimate [1]_. For rows :math:`y = x + \varepsilon` with
    independent Gaussian noise of standard deviations :math:`\sigma_j`, and a network
    :math:`f`,

    .. math:: E\,\|f(y) - x\|^2
       = E\Big[\|f(y) - y\|^2 + 2 \sum_j \sigma_j^2 \frac{\partial f_j}{\partial y_j}(y)
       - \sum_j \sigma_j^2\Big]

    in squared scaled units. The sum of derivatives is estimated without bias along one
    random direction per row [2]_.

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
    >>> from sk_autoencoder.nn import Dense, SteinPenalty
    >>> x, network = torch.zeros(5, 3), Dense()(3, 2)
    >>> SteinPenalty(torch.ones(3))(network, x, network(x)).shape
    torch.Size([5])
    """

    std: Tensor

    def __init__(self, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("std", std)

    def forward(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Compute the penalty of each row of `x` (batch, n_features)."""
        signs = torch.where(torch.rand_like(x) < 0.5, -1.0, 1.0)
        direction = signs * self.std
        pull_back = vjp(lambda rows: network(rows).reconstruction, x)[1]
        return 2 * (direction * pull_back(direction)[0]).sum(-1) - self.std.square().sum()


def code_norm(network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
    """Sum the absolute values of each code, of shape (batch,), in units of the code."""
    return out.code.abs().sum(-1)


def rate_divergence(rate: float, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
    """Sum KL divergences of a target `rate` and the mean codes of the batch, in nats.

    The divergences are those of Bernoulli distributions [1]_. Codes must be in (0, 1).

    References
    ----------
    .. [1] A. Ng, "Sparse autoencoder", CS294A lecture notes, 2011.
    """
    mean = out.code.mean(0).clamp(1e-6, 1 - 1e-6)  # (n_components,)
    on = rate * torch.log(rate / mean)
    off = (1 - rate) * torch.log((1 - rate) / (1 - mean))
    return (on + off).sum()
