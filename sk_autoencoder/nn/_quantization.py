"""Codes that are to be stored: rounding, and the bits that rounded codes cost.

All codes are in units of the quantisation step, so that rounding makes them integers.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sk_autoencoder.nn._base import LinearInit, Network, NetworkOutput

N_LOGISTICS = 3  # in the mixture of each code
LEAST_SCALE = 0.1  # of a code at the start, in steps
LEAST_PROBABILITY = 1e-9


class RoundedNetwork(Network):
    """A network whose code is rounded, and noisy in place of it while training.

    Uniform noise as wide as a step has the density of a rounded code between the integers,
    and a gradient [1]_.

    Parameters
    ----------
    body : Network
        Encodes and decodes rows.

    References
    ----------
    .. [1] J. Ballé, V. Laparra and E. P. Simoncelli, "End-to-end optimized image
       compression", ICLR 2017, section 3.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Dense
    >>> from sk_autoencoder.nn._quantization import RoundedNetwork
    >>> network = RoundedNetwork(Dense()(8, 2)).eval()
    >>> code = network(torch.randn(5, 8)).code
    >>> bool((code == code.round()).all())
    True
    """

    step: Tensor

    def __init__(self, body: Network) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("step", torch.ones(()))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (batch, n_components) of `x`, in steps, not rounded."""
        return self.body.encode(x) / self.step

    def decode(self, code: Tensor) -> Tensor:
        """Return the reconstruction (batch, n_features) of `code` in steps."""
        return self.body.decode(code * self.step)

    def forward(self, x: Tensor) -> NetworkOutput:
        """Encode and decode `x` (batch, n_features), by way of a noisy or rounded code."""
        code = self.encode(x)
        code = code + torch.rand_like(code) - 0.5 if self.training else code.round()
        return NetworkOutput(code, self.decode(code))

    def start_from(self, start: LinearInit) -> bool:
        """Start at a linear autoencoder; return whether the body can."""
        return self.body.start_from(start)

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Return what the linear path alone makes of `code`, if there is one."""
        return self.body.decode_linearly(code * self.step)


class CodeLength(nn.Module):
    r"""Bits that an ideal coder needs for the rounded code of each row.

    The probability of a whole number is that of the unit interval around it under a
    mixture of logistic distributions, one mixture for each code [1]_. For a noisy code it
    is the density.

    Parameters
    ----------
    scale : Tensor of shape (n_components,)
        Standard deviation of each code at the start, in steps.

    Attributes
    ----------
    pressure : float
        What bits count for while training.

    References
    ----------
    .. [1] J. Ballé, D. Minnen, S. Singh, S. J. Hwang and N. Johnston, "Variational image
       compression with a scale hyperprior", ICLR 2018, section 6.1 (a factorised prior).
       NOTE[DIFF]: logistic distributions stand for its small networks.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Output
    >>> from sk_autoencoder.nn._quantization import CodeLength
    >>> zeros = Output(torch.zeros(5, 1), torch.zeros(5, 3))
    >>> wide, narrow = CodeLength(torch.tensor([9.0])), CodeLength(torch.tensor([0.1]))
    >>> bool((wide(None, None, zeros) > 1 + narrow(None, None, zeros)).all())
    True
    """

    unit: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("unit", scale.clamp(min=LEAST_SCALE)[:, None])
        spread = torch.linspace(-1, 1, N_LOGISTICS).expand(len(scale), -1)
        self.mean = nn.Parameter(0.7 * spread)
        self.log_scale = nn.Parameter(torch.full_like(spread, math.log(0.44)))
        self.logit = nn.Parameter(-spread.square())
        self.rate_multiplier = 1.0

    def forward(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Return the bits of each row of `out.code`, of shape (batch,)."""
        precision = torch.exp(-self.log_scale) / self.unit
        # The upper tail by the lower one, where float32 still tells numbers from 0.
        away = -(out.code[..., None] - self.mean * self.unit).abs()
        inside = torch.sigmoid((away + 0.5) * precision)
        inside = inside - torch.sigmoid((away - 0.5) * precision)
        probability = (F.softmax(self.logit, -1) * inside).sum(-1)  # (batch, n_components)
        bits = -probability.clamp(min=LEAST_PROBABILITY).log2().sum(-1)
        return bits * self.rate_multiplier if self.training else bits
