"""Quantised codes: rounding to integers, and the entropy of rounded codes in bits.

All codes are in units of the quantisation step, so that rounded codes are integers.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sk_autoencoder.nn._base import LinearInit, Network, NetworkOutput

N_LOGISTICS = 3  # distributions in the mixture of each code
# Initial means between -0.7 and 0.7 and initial scale of the logistic distributions, in
# standard deviations of the code: together they have about its standard deviation.
INITIAL_LOGISTIC_MEAN, INITIAL_LOGISTIC_SCALE = 0.7, 0.44
MIN_INITIAL_SCALE = 0.1  # standard deviation of a code at the start, in steps
MIN_PROBABILITY = 1e-9  # of an integer: it costs at most 30 bits


class RoundedNetwork(Network):
    """Network with a rounded code, which noise replaces in training.

    A code with uniform noise as wide as a step has a density that interpolates the
    probabilities of the rounded code, and has a gradient [1]_.

    Parameters
    ----------
    body : Network
        Network before quantisation.

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
        """Encode `x` to codes (batch, n_components) in steps, without rounding."""
        return self.body.encode(x) / self.step

    def decode(self, code: Tensor) -> Tensor:
        """Decode `code` in steps to rows (batch, n_features)."""
        return self.body.decode(code * self.step)

    def forward(self, x: Tensor) -> NetworkOutput:
        """Encode, quantise and decode `x` (batch, n_features); noise in training."""
        code = self.encode(x)
        code = code + torch.rand_like(code) - 0.5 if self.training else code.round()
        return NetworkOutput(code, self.decode(code))

    def start_from(self, init: LinearInit) -> bool:
        """Initialise the body at a linear autoencoder, if it can be."""
        return self.body.start_from(init)

    def decode_linearly(self, code: Tensor) -> Tensor | None:
        """Decode `code` by the linear skip alone; None without a linear skip."""
        return self.body.decode_linearly(code * self.step)


class CodeLength(nn.Module):
    r"""Code length of each row in bits, for an ideal entropy coder.

    The probability of an integer is that of the unit interval around it under a mixture of
    logistic distributions, with one mixture per component of the code [1]_. For a noisy
    code, the same expression is its density.

    Parameters
    ----------
    scale : Tensor of shape (n_components,)
        Initial standard deviation of each component of the code, in steps.

    Attributes
    ----------
    rate_multiplier : float
        Factor of the bits in training. A callback adapts it to a budget.

    References
    ----------
    .. [1] J. Ballé, D. Minnen, S. Singh, S. J. Hwang and N. Johnston, "Variational image
       compression with a scale hyperprior", ICLR 2018, section 6.1 (a factorised prior).
       NOTE[DIFF]: mixtures of logistic distributions in place of its small networks.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import NetworkOutput
    >>> from sk_autoencoder.nn._quantization import CodeLength
    >>> zeros = NetworkOutput(torch.zeros(5, 1), torch.zeros(5, 3))
    >>> wide, narrow = CodeLength(torch.tensor([9.0])), CodeLength(torch.tensor([0.1]))
    >>> bool((wide(None, None, zeros) > 1 + narrow(None, None, zeros)).all())
    True
    """

    unit: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("unit", scale.clamp(min=MIN_INITIAL_SCALE)[:, None])
        spread = torch.linspace(-1, 1, N_LOGISTICS).expand(len(scale), -1)
        self.mean = nn.Parameter(INITIAL_LOGISTIC_MEAN * spread)
        log_scale = torch.full_like(spread, math.log(INITIAL_LOGISTIC_SCALE))
        self.log_scale = nn.Parameter(log_scale)
        self.logit = nn.Parameter(-spread.square())
        self.rate_multiplier = 1.0

    def forward(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Compute the code length of each row of `out.code` in bits, of shape (batch,)."""
        precision = torch.exp(-self.log_scale) / self.unit
        # By symmetry the upper tail is computed as a lower one: float32 resolves
        # differences of numbers near 0, but not near 1.
        distance = -(out.code[..., None] - self.mean * self.unit).abs()
        inside = torch.sigmoid((distance + 0.5) * precision)
        inside = inside - torch.sigmoid((distance - 0.5) * precision)
        probability = (F.softmax(self.logit, -1) * inside).sum(-1)  # (batch, n_components)
        bits = -probability.clamp(min=MIN_PROBABILITY).log2().sum(-1)
        return bits * self.rate_multiplier if self.training else bits
