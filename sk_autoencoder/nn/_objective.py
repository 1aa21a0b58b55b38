"""Training objective: the mean error plus weighted penalties."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sk_autoencoder.nn._base import Network, NetworkOutput
from sk_autoencoder.nn._losses import Error, takes_members, trimmed_mean, weighted_mean
from sk_autoencoder.nn._penalties import Penalty, linear_error


class Objective(nn.Module):
    """Mean error over rows plus named, weighted penalties.

    Parameters
    ----------
    error : callable
        ``(output, x) -> (batch,)``
    trim_fraction : float, default=0.0
        Fraction of the rows of a batch, those with the largest errors, that the mean
        leaves out.
    **penalties : tuple of (float, callable)
        Weight and ``(network, x, out) -> scalar, (batch,) or None`` by name. A penalty of
        weight zero is not computed, and the loss omits one that is None. A penalty that is
        a ``torch.nn.Module`` is trained with the network.

    Examples
    --------
    >>> from sk_autoencoder.nn import Objective, squared_error
    >>> from sk_autoencoder.nn._penalties import l1_norm
    >>> Objective(squared_error, l1=(1e-3, l1_norm)).weights
    {'l1': 0.001}
    """

    def __init__(
        self, error: Error, trim_fraction: float = 0.0, **penalties: tuple[float, Penalty]
    ) -> None:
        super().__init__()
        self.error = error
        self.trim_fraction = trim_fraction
        self.weights = {name: weight for name, (weight, _) in penalties.items() if weight}
        for name in self.weights:
            setattr(self, name, penalties[name][1])

    @property
    def takes_members(self) -> bool:
        """Whether terms are right for rows of several members, (n_members, batch, ...)."""
        penalties = [getattr(self, name) for name in self.weights]
        are_known = all(getattr(p, "func", None) is linear_error for p in penalties)
        return type(self) is Objective and are_known and takes_members(self.error)

    def forward(
        self, network: Network, x: Tensor, out: NetworkOutput, weight: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the weighted terms by name: scalars, whose sum is the loss.

        The means over rows are weighted by `weight`, of shape (batch,), if it is given.
        Rows of several members give one number for each.
        """
        errors = self.errors(network, x, out)
        terms = {"error": trimmed_mean(errors, self.trim_fraction, weight)}
        for name, value in self._penalties(network, x, out):
            is_by_row = value.ndim == errors.ndim
            terms[name] = weighted_mean(value, weight) if is_by_row else value
        return terms

    def errors(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Compute the error of each row, of shape (batch,)."""
        return self.error(out.reconstruction, x)

    def row_losses(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Add error and penalties of each row, of shape (batch,), without trimming."""
        losses = self.errors(network, x, out)
        for _, value in self._penalties(network, x, out):
            losses = losses + value
        return losses

    def row_guards(self, network: Network, x: Tensor, out: NetworkOutput) -> Tensor:
        """Collect the errors of each row, (batch, n_guards), that no selection may raise.

        A penalty names them in ``row_errors``.
        """
        penalties = [getattr(self, name) for name in self.weights]
        errors = [
            penalty.row_errors(network, x, out)
            for penalty in penalties
            if hasattr(penalty, "row_errors")
        ]
        return torch.cat([x.new_empty(len(x), 0), *errors], dim=-1)

    def _penalties(
        self, network: Network, x: Tensor, out: NetworkOutput
    ) -> Iterator[tuple[str, Tensor]]:
        for name, weight in self.weights.items():
            value = getattr(self, name)(network, x, out)
            if value is not None:
                yield name, weight * value
