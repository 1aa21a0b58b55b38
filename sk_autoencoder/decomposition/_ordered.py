"""Components in order: what code behind PCA reads, of an autoencoder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.func import jacrev

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import RowDataset
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._moments import measure_moments
from sk_autoencoder.core._recipe import Recipe, Start
from sk_autoencoder.core._training import make_error
from sk_autoencoder.decomposition._shares import measure_shares
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
            calibrate=measure_held_out_shares,
        )
        if self.n_components is not None and self.n_components < 1:
            search = partial(find_fewest_components, self.n_components)
            recipe = replace(recipe, search=search)
        return recipe.add_penalties(penalty).add_summary(summarize_shares)

    def _add_decoder(
        self, network: Network, n_features: int, n_components: int
    ) -> OrderedNetwork:
        widths = reversed(Dense(self.hidden_layer_sizes).widths())
        activation = get_activation(self.activation)
        decoder = PrefixDecoder([n_components, *widths, n_features], activation)
        return OrderedNetwork(network, decoder)

    def _finish(self, fitted: Fitted, rows: RowDataset) -> None:
        if "shares" in fitted.learned:
            fitted.learned |= fitted.learned.pop("shares").make_attributes()
        if fitted.module.n_members > 1:  # the codes of several are not for the user
            return
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


def measure_held_out_shares(
    fitted: Fitted, rows: np.ndarray, valid: RowDataset
) -> dict[str, Any]:
    """Measure shares of the variance on validation rows, before a second training."""
    if len(valid) == 1:  # a single row has no variance
        return {}
    shares = measure_shares(fitted, valid)
    unexplained = 1 - shares.explained[-1]
    if fitted.start_loss and fitted.validation_loss:
        # The loss of these rows has fallen by this factor since the start.
        unexplained *= fitted.start_loss / fitted.validation_loss
    return {"shares": replace(shares, of_start=float(1 - unexplained))}


def summarize_shares(
    fitted: Fitted, train: RowDataset, valid: RowDataset | None
) -> dict[str, Any]:
    """Measure the mean row, and shares of the variance on validation rows if there are."""
    source = train.source
    datasets = [train] if valid is None else [train, valid]
    rows = np.unique(np.concatenate([dataset.indices for dataset in datasets]))
    mean = measure_moments(source.targets, rows, weight=source.weight).mean
    if "shares" in fitted.learned:  # measured before a second training
        return {"mean_": mean}
    if valid is None or len(valid) == 1:
        valid = train
    return {"shares": measure_shares(fitted, valid), "mean_": mean}


def find_fewest_components(
    fraction: float, fitted: Fitted, rows: RowDataset, retrain: Callable[[int], Fitted]
) -> Fitted:
    """Find a fit whose components are few and explain a `fraction` of the variance.

    A fit of its own for fewer components explains more than the first components of a wider
    fit. The number is bisected, to an eighth. An interrupt ends the search.
    """
    of_start = fitted.learned["shares"].of_start
    is_enough = keep_fewest(fitted, rows, fraction, of_start)
    if not (is_enough and fitted.is_complete):
        return fitted
    n_few = 0  # components that explain less
    while fitted.n_components - n_few > max(1, fitted.n_components // 8):
        n_components = (fitted.n_components + n_few) // 2
        trial = retrain(n_components)
        if not trial.is_complete:
            break
        if keep_fewest(trial, rows, fraction, of_start):
            fitted = trial
        else:
            n_few = n_components
    return fitted


def keep_fewest(fitted: Fitted, rows: RowDataset, fraction: float, of_start: float) -> bool:
    """Keep the fewest first components that explain a `fraction` of the variance.

    They explain it in all `rows`: few held-out rows miss rare rows that are far from the
    others. And they explain it in held-out rows, less a standard error, or as much of these
    as PCA does, `of_start`. If no number of components does, all are kept and the result is
    False.
    """
    shares = fitted.learned["shares"]
    of_all = measure_shares(fitted, rows)
    is_general = shares.explained - shares.error >= fraction
    is_general |= shares.explained >= of_start
    is_enough = is_general & (of_all.explained >= fraction)
    if not is_enough.any():
        return False
    n_kept = int(np.argmax(is_enough)) + 1
    fitted.learned["shares"] = shares.keep_first(n_kept)
    network = fitted.module.network
    while not isinstance(network, OrderedNetwork):
        network = network.network  # behind an imputation
    network.n_kept = fitted.n_components = n_kept
    return True


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
