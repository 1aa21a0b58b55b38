"""Networks with sparse codes, whose decoder is a dictionary of atoms.

:class:`Pursuit` computes codes by orthogonal matching pursuit, :class:`Coder` by one pass
of an encoder, with :class:`TopK` or another layer that makes them sparse.
"""

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional as F

from sk_autoencoder.nn._base import Network, NetworkOutput
from sk_autoencoder.nn._dense import Dense, TiedLayer
from sk_autoencoder.nn._pursuit import Path, gain_threshold, orthogonal_pursuit
from sk_autoencoder.utils._torch_compat import is_exporting

# Largest number of pursuit steps of a row, in multiples of n_active.
MAX_STEPS, MAX_TRAINING_STEPS = 4, 2


class Dictionary(TiedLayer):
    """Linear decoder: a bias plus the product of code and atoms.

    Parameters
    ----------
    n_features, n_atoms : int
    unit_norm : bool, default=True
        Whether atoms have unit norm. Without it, longer atoms and smaller codes evade a
        penalty on codes.
    mirror : nn.Module or None, default=None
        Layer from n_features to n_atoms whose weight is used. None makes a separate weight.
    """

    def __init__(
        self,
        n_features: int,
        n_atoms: int,
        unit_norm: bool = True,
        mirror: nn.Module | None = None,
    ) -> None:
        super().__init__(mirror)
        self.unit_norm = unit_norm
        if mirror is None:
            directions = torch.randn(n_atoms, n_features)
            self.own_weight = nn.Parameter(F.normalize(directions, dim=-1))
        self.bias = nn.Parameter(torch.zeros(n_features))

    @property
    def weight(self) -> Tensor:
        """The trained weight, of shape (n_atoms, n_features)."""
        return self.own_weight if self.mirror[0] is None else self.mirror_weight

    @property
    def atoms(self) -> Tensor:
        """The atoms, of shape (n_atoms, n_features)."""
        return F.normalize(self.weight, dim=-1) if self.unit_norm else self.weight

    def forward(self, code: Tensor) -> Tensor:
        """Decode `code` (batch, n_atoms) to rows (batch, n_features)."""
        return torch.addmm(self.bias, code, self.atoms)


class AtomNetwork(Network):
    """Base class of networks whose decoder is a :class:`Dictionary`.

    Parameters
    ----------
    decode : Dictionary
    slope, origin : float
        The dictionary reconstructs ``slope * (x - origin)``: the rows `x`, or the tangent
        of the inverse link of a loss.
    """

    decode: Dictionary

    def __init__(self, decode: Dictionary, slope: float, origin: float) -> None:
        super().__init__()
        self.decode = decode
        self.slope = slope
        self.origin = origin

    def target(self, x: Tensor) -> Tensor:
        """Compute the target of the dictionary for `x`, each (batch, n_features)."""
        return self.slope * (x - self.origin)

    @torch.no_grad()
    def start_at(self, mean: Tensor, directions: Tensor) -> None:
        """Initialise the bias at a mean row (n_features,) and the atoms at `directions`.

        Both are in scaled units. With fewer directions than atoms, the remaining atoms keep
        their random values.
        """
        self.decode.bias.copy_(self.target(mean))
        self.decode.weight[: len(directions)] = directions
        self.decode.weight.copy_(self.decode.atoms)


class PursuitNetwork(AtomNetwork):
    """Network with codes by pursuit and a dictionary as decoder; see :class:`Pursuit`."""

    min_gain: Tensor

    def __init__(self, n_features: int, n_components: int, spec: "Pursuit") -> None:
        decode = Dictionary(n_features, n_components)
        super().__init__(decode, spec.slope, spec.origin)
        self.n_active = spec.n_active
        self.register_buffer("min_gain", torch.tensor(-1.0))  # -1: not set

    def path(self, x: Tensor) -> Path:
        """Pursue the target of `x` of shape (batch, n_features)."""
        target = self.target(x) - self.decode.bias.detach()
        atoms = self.decode.atoms.detach()
        max_steps = self.n_active * (MAX_TRAINING_STEPS if self.training else MAX_STEPS)
        depth = min(max_steps, len(atoms))
        if self.training:
            return orthogonal_pursuit(target, atoms, depth)
        if not is_exporting():  # rounding, which other rows change, must choose no atom
            target, atoms = target.double(), atoms.double()
        return orthogonal_pursuit(target, atoms, depth, break_ties=True)

    def encode(self, x: Tensor) -> Tensor:
        """Encode `x` (batch, n_features) to codes (batch, n_components)."""
        path = self.path(x)
        is_small = ~(path.gains > self._threshold(path.gains))
        is_kept = is_small.cumsum(-1) == 0  # a row stops at its first step of a small gain
        return path.code(is_kept, len(self.decode.atoms)).to(x.dtype)

    def _threshold(self, gains: Tensor) -> Tensor:
        """Select the gain threshold: that of the batch in training, else `min_gain`."""
        # A fitted network has its threshold. A graph has no branches on the batch's size.
        if is_exporting():
            return self.min_gain
        threshold = gain_threshold(gains, self.n_active)
        if self.training:
            return threshold
        return torch.where(self.min_gain < 0, threshold, self.min_gain)


class Pursuit(BaseEstimator):
    """Specification of a dictionary network whose codes are computed by pursuit.

    Training changes atoms and bias by gradients for fixed codes.

    Parameters
    ----------
    n_active : int, default=5
        Average number of non-zero entries of a code in a batch or, if `min_gain` of the
        network is set, in the rows for which it was chosen.
    slope, origin : float, default=1.0 and 0.0
        The pursuit approximates ``slope * (x - origin)``.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Pursuit
    >>> network = Pursuit(n_active=3)(n_features=8, n_components=16)
    >>> code = network(torch.randn(100, 8)).code
    >>> round(int(code.count_nonzero()) / 100)
    3
    """

    def __init__(self, n_active: int = 5, slope: float = 1.0, origin: float = 0.0) -> None:
        self.n_active = n_active
        self.slope = slope
        self.origin = origin

    def __call__(self, n_features: int, n_components: int) -> PursuitNetwork:
        """Build the network for the given numbers of features and components."""
        return PursuitNetwork(n_features, n_components, self)


class TopK(nn.Module):
    """Keep the `k` largest positive entries of a row, and set the others to zero.

    Parameters
    ----------
    k : int
        Largest number of non-zero entries of a code.

    References
    ----------
    L. Gao et al., "Scaling and evaluating sparse autoencoders", 2024,
    section 2.3.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import TopK
    >>> TopK(2)(torch.tensor([[1.0, -7.0, 2.0, 3.0]]))
    tensor([[0., 0., 2., 3.]])
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        """Zero all but at most `k` entries of each row of `x` (batch, n_components)."""
        values, indices = x.relu().topk(min(self.k, x.shape[-1]), dim=-1)
        return torch.zeros_like(x).scatter(-1, indices, values)


class CoderNetwork(AtomNetwork):
    """Network with an encoder and a dictionary as decoder; see :class:`Coder`."""

    def __init__(self, n_features: int, n_components: int, spec: "Coder") -> None:
        encoder = spec.dense(n_features, n_components).encoder
        mirror = encoder[0] if spec.dense.tied_weights and len(encoder) == 1 else None
        decode = Dictionary(n_features, n_components, spec.unit_norm, mirror)
        super().__init__(decode, spec.slope, spec.origin)
        self.encoder = encoder
        self.code_layer = spec.code_layer
        self.first_bias = spec.first_bias

    def encode(self, x: Tensor) -> Tensor:
        """Encode `x` (batch, n_features) to codes (batch, n_components)."""
        return self.code_layer(self.encoder(x))

    @torch.no_grad()
    def start_at(self, mean: Tensor, directions: Tensor) -> None:
        """Initialise the dictionary, and an encoder without hidden layers at its atoms."""
        super().start_at(mean, directions)
        if len(self.encoder) == 1:
            weight = self.slope * F.normalize(self.decode.weight, dim=-1)
            self.encoder[0].get_parameter("weight").copy_(weight)
            self.encoder[0].get_parameter("bias").copy_(self.first_bias - weight @ mean)


class Coder(BaseEstimator):
    """Specification of a network with an encoder, sparse codes and a dictionary.

    Parameters
    ----------
    dense : Dense
        Specification of the encoder. With tied weights and no hidden layer, the atoms are
        the weights of the encoder.
    code_layer : nn.Module
        Maps the encoder's output to codes.
    unit_norm : bool, default=True
        Whether atoms have unit norm.
    first_bias : float, default=0.0
        Initial output of an encoder without hidden layers for the mean row.
    slope, origin : float, default=1.0 and 0.0
        Tangent of the inverse link of the loss.

    Examples
    --------
    >>> import torch
    >>> from sk_autoencoder.nn import Dense
    >>> from sk_autoencoder.nn import Coder, TopK
    >>> network = Coder(Dense((32,)), TopK(3))(n_features=8, n_components=16)
    >>> int(network(torch.randn(100, 8)).code.count_nonzero(dim=1).max())
    3
    """

    def __init__(
        self,
        dense: Dense,
        code_layer: nn.Module,
        unit_norm: bool = True,
        first_bias: float = 0.0,
        slope: float = 1.0,
        origin: float = 0.0,
    ) -> None:
        self.dense = dense
        self.code_layer = code_layer
        self.unit_norm = unit_norm
        self.first_bias = first_bias
        self.slope = slope
        self.origin = origin

    def __call__(self, n_features: int, n_components: int) -> CoderNetwork:
        """Build the network for the given numbers of features and components."""
        return CoderNetwork(n_features, n_components, self)


def auxk_loss(network: CoderNetwork, x: Tensor, out: NetworkOutput) -> Tensor | None:
    """Compute the mean error of the residual's reconstruction by unused units (AuxK).

    It gives a gradient to units that are zero for all rows of the batch [1]_. The
    validation loss omits it.

    References
    ----------
    .. [1] L. Gao et al., "Scaling and evaluating sparse autoencoders", 2024, appendix A.2.
    """
    if not network.training:
        return None
    n_units = max(x.shape[-1] // 2, 1)  # half the width of the input, as in [1]_
    # NOTE[DIFF]: in [1]_ a unit is dead if it has not been used for many steps, which needs
    # a count that persists from batch to batch.
    is_unused = (out.code == 0).all(0)  # (n_components,)
    code = TopK(n_units)(torch.where(is_unused, network.encoder(x), 0))
    residual = (network.target(x) - out.reconstruction).detach()
    errors = (residual - code @ network.decode.atoms).square().sum(-1)
    return errors.mean() * is_unused.any()
