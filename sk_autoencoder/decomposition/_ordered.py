"""Components in order: what code behind PCA reads, of an autoencoder."""

import math
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.func import jacrev

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import Batch, RowDataset
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._moments import measure_moments
from sk_autoencoder.core._recipe import Recipe, Start
from sk_autoencoder.core._training import make_error
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._base import Network, get_activation
from sk_autoencoder.nn._dense import Dense
from sk_autoencoder.nn._ordered import (
    OrderedNetwork,
    PrefixDecoder,
    PrefixError,
    WhitenedNetwork,
)
from sk_autoencoder.utils._transactions import as_fitted

PREFIX_WEIGHT = 1.0  # of the error of prefixes, beside that of the whole code
MAX_DECODED = 2**28  # entries of all prefixes of all rows, for shares of the variance
SMALL_VARIANCE = 1e-10  # in mean variances, added to that of each component to whiten
TINY_VARIANCE = 1e-30  # added for constant codes


@dataclass(kw_only=True, eq=False, repr=False)
class OrderedAutoencoder(BaseAutoencoder):
    """Base class of autoencoders whose components may be ordered."""

    ordered: bool = False
    whiten: bool = False

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "ordered": ["boolean"],
        "whiten": ["boolean"],
    }

    def make_recipe(self) -> Recipe:
        """Train a decoder of the first components too, if they are to be ordered."""
        recipe = replace(super().make_recipe(), finish=self._finish)
        if not self.ordered:
            return recipe

        def penalty(start: Start) -> dict:
            if start.n_components == 1:
                return {}
            error = make_error(recipe.loss, start.is_incomplete)
            prefix = PrefixError(error, self.trim_fraction, start.n_components)
            return {"prefix": (PREFIX_WEIGHT, prefix)}

        recipe = replace(
            recipe,
            wrap=self._add_decoder,
            calibrate=lambda fitted, rows, valid: measure_shares(fitted, valid),
        )
        return recipe.add_penalties(penalty).add_summary(summarize_shares)

    def _add_decoder(
        self, network: Network, n_features: int, n_components: int
    ) -> OrderedNetwork:
        widths = reversed(Dense(self.hidden_layer_sizes).widths())
        activation = get_activation(self.activation)
        decoder = PrefixDecoder([n_components, *widths, n_features], activation)
        return OrderedNetwork(network, decoder)

    def _finish(self, fitted: Fitted, rows: RowDataset) -> None:
        if fitted.module.n_members > 1:  # the codes of several are not for the user
            return
        is_fraction = self.n_components is not None and self.n_components < 1
        if self.ordered and is_fraction and not fitted.is_partial:
            keep_fraction(fitted, self.n_components, rows)
        remove_whitening(fitted)
        if self.whiten:
            whiten(fitted, rows)

    def _check_width_of_codes(self, width: int) -> None:
        if not (self.ordered and 0 < width <= self.n_components_):
            super()._check_width_of_codes(width)

    @as_fitted
    def reconstruct(self, X, *, n_components: int | None = None):
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n_components : int or None, default=None
            Number of the first components to decode, with ``ordered=True``; None decodes
            all.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the units and the precision of X.
        """
        check_is_fitted(self)
        if n_components is None:
            return super().reconstruct(X)
        if not self.ordered:
            raise ValueError(
                f"n_components={n_components!r} needs components in order. Fit with "
                "ordered=True."
            )
        if not 1 <= n_components <= self.n_components_:
            raise ValueError(
                f"n_components={n_components!r} has to be from 1 to {self.n_components_}, "
                "the number of components."
            )

        def reconstruct_first(module: Autoencoder, rows: Tensor) -> Tensor:
            output = module.network.decode(module.encode(rows)[:, :n_components])
            return module.scaler.match(module.link(output), rows)

        return self._as_table(self.map_rows(reconstruct_first, X), like=X)

    # Attributes of PCA

    @property
    def components_(self) -> np.ndarray:
        """Derivative of the decoded row by each component, at the mean row."""
        check_is_fitted(self)

        def differentiate(autoencoder: Autoencoder, rows: Tensor) -> Tensor:
            code = autoencoder.encode(rows)[0]
            return jacrev(lambda code: autoencoder.decode(code[None])[0])(code).T[None]

        return self._fitted.map(differentiate, self.mean_[None])[0]

    @property
    def explained_variance_ratio_(self) -> np.ndarray:
        """Share of the variance that each component adds to those before it."""
        return self._read_share("explained_variance_ratio_")

    @property
    def explained_variance_(self) -> np.ndarray:
        """Variance that each component adds to those before it."""
        return self._read_share("explained_variance_")

    @property
    def noise_variance_(self) -> float:
        """Variance that the components leave, for each dimension that is left."""
        return self._read_share("noise_variance_")

    @property
    def mean_(self) -> np.ndarray:
        """Mean of each column of the training rows."""
        return self._read_share("mean_")

    def _read_share(self, name: str):
        check_is_fitted(self)
        if name not in self._fitted.learned:
            raise AttributeError(
                f"{name} is known of components in order. Set ordered=True in this "
                f"{type(self).__name__}, and fit it."
            )
        return self._fitted.learned[name]


def summarize_shares(
    fitted: Fitted, train: RowDataset, valid: RowDataset | None
) -> dict[str, Any]:
    """Measure the mean row, and shares of the variance on validation rows if there are."""
    source = train.source
    datasets = [train] if valid is None else [train, valid]
    rows = np.unique(np.concatenate([dataset.indices for dataset in datasets]))
    mean = measure_moments(source.targets, rows, weight=source.weight).mean
    return measure_shares(fitted, train if valid is None else valid) | {"mean_": mean}


def measure_shares(fitted: Fitted, rows: RowDataset) -> dict[str, Any]:
    """Measure the shares of the variance of `rows` that components explain.

    The variance is that of scaled units, as in ``score``.
    """
    n_components = fitted.n_components // fitted.module.n_members
    n_features = rows.source.n_features
    stride = math.ceil(len(rows) * n_components * n_features / MAX_DECODED)
    batches = islice(fitted.net.get_iterator(rows), 0, None, stride)
    residual = torch.zeros(n_components, dtype=torch.float64)
    sums = torch.zeros(3, n_features, dtype=torch.float64)  # of ones, rows, squares

    def measure(autoencoder: Autoencoder, batch: Batch) -> tuple[Tensor, Tensor]:
        code, weight = autoencoder(batch.x).code, batch.weight
        weight = torch.ones_like(batch.target[:, 0]) if weight is None else weight
        is_observed = ~batch.target.isnan()
        target = batch.target.nan_to_num()
        errors = []
        for n_kept in range(1, n_components + 1):
            output = autoencoder.link(autoencoder.network.decode(code[:, :n_kept]))
            output = autoencoder.scaler.match_scaled(output, target)
            square = (output - target).square() * is_observed
            errors.append(weight @ square.sum(-1))
        powers = torch.stack([is_observed, target, target.square()])
        return torch.stack(errors), weight @ powers

    fitted.module.eval()
    with torch.no_grad():
        for batch in batches:
            errors, powers = fitted.module.map_batch(measure, batch)
            residual += errors.cpu().double().reshape(-1, n_components).sum(0)
            sums += powers.cpu().double().reshape(-1, 3, n_features).sum(0)
    n_observed, total, squares = sums
    deviation = (squares - total.square() / n_observed.clamp(min=1)).clamp(min=0).sum()
    explained = 1 - residual / deviation if deviation > 0 else torch.zeros(n_components)
    shares = np.diff(explained.numpy(), prepend=0.0)
    n_rows = float(n_observed.max())
    variance = float(deviation) / max(n_rows - 1, 1)
    return describe_shares(shares, variance, min(n_features, n_rows))


def describe_shares(
    shares: np.ndarray, variance: float, n_dimensions: float
) -> dict[str, Any]:
    """Make the attributes that tell which shares of a total variance are explained."""
    n_unexplained = n_dimensions - len(shares)
    unexplained = max(variance * (1 - shares.sum()), 0.0)
    return {
        "explained_variance_ratio_": shares,
        "explained_variance_": shares * variance,
        "noise_variance_": float(unexplained / n_unexplained) if n_unexplained > 0 else 0.0,
    }


def keep_fraction(fitted: Fitted, fraction: float, rows: RowDataset) -> None:
    """Keep the fewest first components that explain a `fraction` of the variance.

    They explain it in validation rows and in all `rows`: few validation rows miss rare rows
    that are far from the others.
    """
    shares = fitted.learned["explained_variance_ratio_"]
    of_all = measure_shares(fitted, rows)["explained_variance_ratio_"]
    explained = np.minimum(np.cumsum(shares), np.cumsum(of_all))
    is_enough = np.append(explained[:-1] >= fraction, True)
    n_kept = int(np.argmax(is_enough)) + 1
    if n_kept == len(shares):
        return
    shares = shares[:n_kept]
    variance = fitted.learned["explained_variance_"][:n_kept].sum() / shares.sum()
    n_dimensions = min(len(rows), rows.source.n_features)
    fitted.learned |= describe_shares(shares, variance, n_dimensions)
    network = fitted.module.network
    while not isinstance(network, OrderedNetwork):
        network = network.network  # behind an imputation
    network.n_kept = fitted.n_components = n_kept


def whiten(fitted: Fitted, rows: RowDataset) -> None:
    """Give the codes of `rows` unit variance and no correlation."""
    n_components = fitted.n_components
    total, first = 0.0, torch.zeros(n_components, dtype=torch.float64)
    second = torch.zeros(n_components, n_components, dtype=torch.float64)
    fitted.module.eval()
    with torch.no_grad():
        for batch in fitted.net.get_iterator(rows):
            code = fitted.module.encode_scaled(batch.x).cpu().double()
            weight = torch.ones(len(code)) if batch.weight is None else batch.weight.cpu()
            weight = weight.double()
            total += float(weight.sum())
            first += weight @ code
            second += (weight[:, None] * code).mT @ code
    center = first / total
    covariance = (second - total * torch.outer(center, center)) / max(total - 1, 1)
    # A component that is constant, or a sum of others, stays short.
    least = max(SMALL_VARIANCE * float(covariance.trace()) / n_components, TINY_VARIANCE)
    factor = torch.linalg.cholesky(covariance + least * torch.eye(n_components))
    device = next(fitted.module.parameters()).device
    network = WhitenedNetwork(fitted.module.network, center, factor)
    fitted.module.network = network.to(device)


def remove_whitening(fitted: Fitted) -> None:
    """Give the codes back the scale of the training, where they were whitened."""
    if isinstance(fitted.module.network, WhitenedNetwork):
        fitted.module.network = fitted.module.network.network
