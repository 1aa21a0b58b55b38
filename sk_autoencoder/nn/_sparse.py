"""Dictionaries: networks whose decoder is a sum of few atoms, and their penalties."""

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional as F

from sk_autoencoder.nn._base import Network, NetworkOutput
from sk_autoencoder.nn._dense import Dense
from sk_autoencoder.nn._pursuit import Path, gain_threshold, orthogonal_pursuit
from sk_autoencoder.utils._torch_compat import is_exporting

MAX_STEPS, MAX_TRAINING_STEPS = 4, 2  # steps of a row at most, as multiples of n_active


class Dictionary(nn.Module):
    """A linear decoder: a bias plus the code times the atoms.

    Parameters
    ----------
    n_features, n_atoms : int
    unit_norm : bool, default=True
        Whether atoms have unit norm, so that no penalty on codes can be evaded by longer
        atoms.
    mirror : nn.Module or None, default=None
        A layer from n_features to n_atoms whose weights are the atoms.
    """

    def __init__(
        self,
        n_features: int,
        n_atoms: int,
        unit_norm: bool = True,
        mirror: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.unit_norm = unit_norm
        if mirror is None:
            directions = torch.randn(n_atoms, n_features)
            self.own_weight = nn.Parameter(F.normalize(directions, dim=-1))
        # Not registered: functional_call loses the weights of a module with two names.
        self.mirror = (mirror,)
        self.bias = nn.Parameter(torch.zeros(n_features))

    @property
    def weight(self) -> Tensor:
        """The weights that are trained, of shape (n_atoms, n_features)."""
        mirror = self.mirror[0]
        return self.own_weight if mirror is None else mirror.get_parameter("weight")

    @property
    def atoms(self) -> Tensor:
        """The atoms, of shape (n_atoms, n_features)."""
        return F.normalize(self.weight, dim=-1) if self.unit_norm else self.weight

    def forward(self, code: Tensor) -> Tensor:
        """Return the rows (batch, n_features) that `code` (batch, n_atoms) means."""
        return torch.addmm(self.bias, code, self.atoms)


class AtomNetwork(Network):
    """Base class of networks that decode by a :class:`Dictionary`.

    Parameters
    ----------
    decode : Dictionary
    slope, origin : float
        The dictionary's rows should be ``slope * (x - origin)``: rows `x` themselves, or
        the tangent of the inverse link of a loss.
    """

    decode: Dictionary

    def __init__(self, decode: Dictionary, slope: float, origin: float) -> None:
        super().__init__()
        self.decode = decode
        self.slope = slope
        self.origin = origin

    def target(self, x: Tensor) -> Tensor:
        """Return what the dictionary should make of `x`, each (batch, n_features)."""
        return self.slope * (x - self.origin)

    @torch.no_grad()
    def start_at(self, mean: Tensor, directions: Tensor) -> None:
        """Start at a mean row (n_features,) and atoms `directions`, both scaled.

        Of fewer directions than atoms, the other atoms stay as they were drawn.
        """
        self.decode.bias.copy_(self.target(mean))
        self.decode.weight[: len(directions)] = directions
        self.decode.weight.copy_(self.decode.atoms)


class PursuitNetwork(AtomNetwork):
    """Codes by pursuit, decoded by a dictionary; see :class:`Pursuit`."""

    least_gain: Tensor

    def __init__(self, n_features: int, n_components: int, spec: "Pursuit") -> None:
        decode = Dictionary(n_features, n_components)
        super().__init__(decode, spec.slope, spec.origin)
        self.n_active = spec.n_active
        self.register_buffer("least_gain", torch.tensor(-1.0))  # -1: not yet known

    def path(self, x: Tensor) -> Path:
        """Return the steps of the pursuit of `x` of shape (batch, n_features)."""
        target = self.target(x) - self.decode.bias.detach()
        atoms = self.decode.atoms.detach()
        reach = MAX_TRAINING_STEPS if self.training else MAX_STEPS
        return orthogonal_pursuit(target, atoms, min(reach * self.n_active, len(atoms)))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (batch, n_components) of `x` (batch, n_features)."""
        path = self.path(x)
        is_small = ~(path.gains > self._least(path.gains))
        kept = is_small.cumsum(-1) == 0  # a row stops at its first step of a small gain
        return path.code(kept, len(self.decode.atoms))

    def _least(self, gains: Tensor) -> Tensor:
        if is_exporting():  # a fitted one knows it, and a graph cannot ask
            return self.least_gain
        least = gain_threshold(gains, self.n_active)
        if self.training:
            return least
        return torch.where(self.least_gain < 0, least, self.least_gain)


class Pursuit(BaseEstimator):
    """Specification of a dictionary whose codes are found by pursuit.

    Codes get no gradient: it goes to the atoms.

    Parameters
    ----------
    n_active : int, default=5
        Average number of non-zero entries of a code in a batch, or, once `least_gain` of
        the network is set, in the rows that it was set for.
    slope, origin : float, default=1.0 and 0.0
        What is pursued is ``slope * (x - origin)``.

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
        """Build the network for that many features and components."""
        return PursuitNetwork(n_features, n_components, self)


class TopK(nn.Module):
    """Keep the `k` largest positive entries of a row, and make the others zero.

    Parameters
    ----------
    k : int

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
        """Return `x` of shape (batch, n_components) with at most `k` entries a row."""
        values, places = x.relu().topk(min(self.k, x.shape[-1]), dim=-1)
        return torch.zeros_like(x).scatter(-1, places, values)


class CoderNetwork(AtomNetwork):
    """Codes in one pass, decoded by a dictionary; see :class:`Coder`."""

    def __init__(self, n_features: int, n_components: int, spec: "Coder") -> None:
        encoder = spec.dense(n_features, n_components).encoder
        mirror = encoder[0] if spec.dense.tied_weights and len(encoder) == 1 else None
        decode = Dictionary(n_features, n_components, spec.unit_norm, mirror)
        super().__init__(decode, spec.slope, spec.origin)
        self.encoder = encoder
        self.code_layer = spec.code_layer
        self.first_bias = spec.first_bias

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (batch, n_components) of `x` (batch, n_features)."""
        return self.code_layer(self.encoder(x))

    @torch.no_grad()
    def start_at(self, mean: Tensor, directions: Tensor) -> None:
        """Start there, an encoder without hidden layers at the atoms too."""
        super().start_at(mean, directions)
        if len(self.encoder) == 1:
            weight = self.slope * F.normalize(self.decode.weight, dim=-1)
            self.encoder[0].get_parameter("weight").copy_(weight)
            self.encoder[0].get_parameter("bias").copy_(self.first_bias - weight @ mean)


class Coder(BaseEstimator):
    """Specification of an encoder with sparse codes, decoded by a dictionary.

    Parameters
    ----------
    dense : Dense
        Its encoder is used. Where it has tied weights and no hidden layer, the atoms are
        the weights of the encoder.
    code_layer : nn.Module
        Makes the encoder's output a code.
    unit_norm : bool, default=True
        Whether atoms have unit norm.
    first_bias : float, default=0.0
        What an encoder without hidden layers makes of the mean row at the start.
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
        """Build the network for that many features and components."""
        return CoderNetwork(n_features, n_components, self)


def auxk_loss(network: CoderNetwork, x: Tensor, out: NetworkOutput) -> Tensor:
    """Mean error with which unused units alone explain what the code left over.

    Units that no row of the batch used get a gradient by it (Gao et al. 2024, appendix
    A.2). Zero outside training: it is no part of the held-out loss.
    """
    if not network.training:
        return out.code.new_zeros(())
    n_units = max(x.shape[-1] // 2, 1)  # as many as the paper suggests
    # NOTE[DIFF]: there a unit is dead when it was not used for a long time, which takes a
    # count that outlives the batch.
    unused = (out.code == 0).all(0)  # (n_components,)
    code = TopK(n_units)(torch.where(unused, network.encoder(x), 0))
    left = (network.target(x) - out.reconstruction).detach()
    return (left - code @ network.decode.atoms).square().sum(-1).mean() * unused.any()
