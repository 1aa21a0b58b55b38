"""The sparse autoencoder: an overcomplete code of which each row uses little."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import csr_array, csr_matrix, vstack
from sklearn import get_config
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sk_autoencoder import _start as starts
from sk_autoencoder._base import BaseAutoencoder
from sk_autoencoder._net import AutoencoderNet, Rows
from sk_autoencoder._validation import Interval, StrOptions
from sk_autoencoder.networks import Dense
from sk_autoencoder.pursuit import (
    Coder,
    Pursuit,
    TopK,
    code_norm,
    dead_error,
    rate_divergence,
    worth,
)

MOST_COMPONENTS = 512  # of the default width
START_NOISE = 0.05  # norm of the noise on the first atoms, so that no two are the same
DEAD_WEIGHT = 1 / 32  # of the error of unused units, as in the paper


@dataclass(kw_only=True, eq=False, repr=False)
class SparseAutoencoder(BaseAutoencoder):
    n_components: int | float | None = field(default=None, kw_only=False)
    sparsity: str = "pursuit"
    n_active: int = 5
    sparsity_penalty: float = 1.0
    target_activation: float = 0.05
    sparse_output: bool = False
    hidden_layer_sizes: int | Sequence[int] = ()
    noise_level: float = 0.0
    lr: float = 5e-3

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "sparsity": [StrOptions({"pursuit", "topk", "l1", "kl"})],
        "n_active": [Interval(Integral, 1, None, closed="left")],
        "sparsity_penalty": [Interval(Real, 0, None, closed="left")],
        "target_activation": [Interval(Real, 0, 1, closed="neither")],
        "sparse_output": ["boolean"],
    }

    def _make_network(self):
        dense = Dense(
            self.hidden_layer_sizes, self.activation, self.dropout, self.tied_weights
        )
        dense(1, 1)  # a pursuit has no hidden layers, but wrong widths are wrong
        tangent = {"slope": self._loss().slope, "origin": self._loss().origin}
        networks = {
            "pursuit": Pursuit(self.n_active, **tangent),
            "topk": Coder(dense, TopK(self.n_active), **tangent),
            "l1": Coder(dense, nn.ReLU(), **tangent),
            "kl": Coder(dense, nn.Sigmoid(), unit_norm=False, **tangent),
        }
        return self.network or networks[self.sparsity]

    def _make_penalties(self) -> dict:
        weight, rate = self.sparsity_penalty, self.target_activation
        revives = self.sparsity == "topk" and self.network is None
        return {
            **super()._make_penalties(),
            "sparsity": (weight * (self.sparsity == "l1"), code_norm),
            "rate": (weight * (self.sparsity == "kl"), partial(rate_divergence, rate)),
            "dead": (DEAD_WEIGHT * revives, dead_error),
        }

    def _count_components(self, X, rows: np.ndarray, seed: int) -> int:
        if self.n_components is None:
            return min(2 * X.shape[1], len(np.unique(rows)), MOST_COMPONENTS)
        return super()._count_components(X, rows, seed)

    def _start(self, network, corruption, rows: Rows, n_components: int, seed: int) -> bool:
        if self.network is not None:
            return super()._start(network, corruption, rows, n_components, seed)
        if self.init == "pca":
            axes = starts.principal_axes(rows, max(n_components // 2, 1), seed)
            n_drawn = n_components - len(axes.components)
            drawn = rows[torch.randperm(len(rows))[:n_drawn].numpy()].cpu().numpy()
            stretched = axes.components * np.sqrt(axes.variance)[:, None]
            atoms = np.vstack([stretched, drawn - axes.mean])
            mean, atoms = (torch.from_numpy(a).float() for a in (axes.mean, atoms))
            noise = nn.functional.normalize(torch.randn_like(atoms))
            network.start_at(
                mean, atoms + START_NOISE * atoms.norm(dim=1, keepdim=True) * noise
            )
        return False

    def _finish(self, net: AutoencoderNet, train: Rows, valid: Rows | None) -> None:
        if self.sparsity == "pursuit" and self.network is None:
            self._learn_least_gain(net, train if valid is None else valid)
        used, n_entries, n_rows = 0, 0, 0
        for piece in starts.pieces(train.X, np.unique(train.indices)):
            code = net.map(lambda module, rows: module.encode(rows), piece)
            used = used + (code != 0).sum(axis=0)
            n_entries, n_rows = n_entries + (code != 0).sum(), n_rows + len(code)
        self.mean_active_ = float(n_entries / n_rows / net.module_.n_members)
        self.dead_share_ = float((used == 0).mean())

    def _learn_least_gain(self, net: AutoencoderNet, rows: Rows) -> None:
        def gains(module, x):
            found = module.each(lambda one, x: one.network.path(one.scaler(x)).gains, x)
            return found.reshape(-1, *found.shape[-2:]).movedim(0, 1)

        pieces = starts.pieces(rows.X, np.unique(rows.indices))
        found = torch.from_numpy(np.concatenate([net.map(gains, p) for p in pieces]))
        least = [self._cautious(each) for each in found.unbind(1)]  # of each member
        buffer = net.module_.network.least_gain
        buffer.copy_(torch.stack(least).reshape(buffer.shape))

    def _cautious(self, gains: torch.Tensor) -> torch.Tensor:
        """Return the least gain with which `n_active` is above the mean by its error."""
        n_steps = (gains.cummin(-1).values > worth(gains, self.n_active)).sum(-1)
        margin = n_steps.double().std() / len(n_steps) ** 0.5
        return worth(gains, self.n_active - float(margin))

    def transform(self, X):
        check_is_fitted(self)
        if not self.sparse_output:
            return super().transform(X)
        X = self._check_X(X, reset=False)
        encode = super().transform
        csr = csr_matrix if get_config()["sparse_interface"] == "spmatrix" else csr_array
        return csr(
            vstack([csr(encode(p)) for p in starts.pieces(X, np.arange(X.shape[0]))])
        )

    @property
    def components_(self) -> np.ndarray:
        """The atoms, of unit norm."""
        atoms = nn.functional.normalize(self.network_.decode.atoms.detach(), dim=-1)
        return atoms.flatten(0, -2).cpu().numpy()
