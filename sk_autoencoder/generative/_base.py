"""Base class of generative autoencoders: density of codes, output noise, sampling."""

import copy
import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, check_scalar

from sk_autoencoder.core._base import BaseAutoencoder
from sk_autoencoder.core._data import RowDataset, as_tensor, repeat_by_weight
from sk_autoencoder.core._fitted import Fitted
from sk_autoencoder.core._inference import encode, map_array
from sk_autoencoder.core._memory import SAMPLE_BYTES, rows_within
from sk_autoencoder.core._missing import ImputedRows
from sk_autoencoder.core._recipe import Recipe, learn_nothing
from sk_autoencoder.core._tables import table_layout
from sk_autoencoder.generative._density import n_mixture_components, nn_two_sample_accuracy
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._tables import LevelProbabilities
from sk_autoencoder.utils._constraints import count
from sk_autoencoder.utils._random import seeded_fit
from sk_autoencoder.utils._sklearn_compat import StrOptions
from sk_autoencoder.utils._transactions import as_fitted

COVARIANCE_FLOOR = 1e-3  # added to the variances of the mixture, in squared scaled units
MAX_DENSITY_ROWS = 20_000  # that the mixture is fitted to
MIN_NOISE_GAIN = 0.03  # decrease of the two-sample accuracy that outweighs blurred rows
MAX_NOISE_ROWS = 1_000  # for the selection of output noise


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """How a variant draws codes and rows.

    Parameters
    ----------
    sample_prior : callable
        ``(n_codes, n_components) -> Tensor`` of codes from the prior.
    add_noise : callable
        ``(fitted, module, rows) -> Tensor``: decoded rows with output noise, in the units
        of X.
    encode : callable
        ``(module, rows) -> Tensor`` of codes, to which the density of codes is fitted.
    fit_noise : callable
        ``(fitted, train, valid) -> dict`` of attributes that `add_noise` needs.
    levels : LevelProbabilities or None
        Draws the levels of categories from their probabilities, in encoded tables.
    """

    sample_prior: Callable[[int, int], torch.Tensor]
    add_noise: Callable[[Fitted, Autoencoder, torch.Tensor], torch.Tensor]
    encode: Callable[[Autoencoder, torch.Tensor], torch.Tensor] = encode
    fit_noise: Callable[..., dict[str, Any]] = learn_nothing
    levels: LevelProbabilities | None = None


def fit_density(
    fitted: Fitted, sampler: Sampler, X, indices: np.ndarray
) -> GaussianMixture:
    """Fit a mixture to the codes of the rows `indices` of X."""
    codes = np.concatenate(list(fitted.iter_map(sampler.encode, X, indices)))
    mixture = GaussianMixture(
        n_mixture_components(*codes.shape),
        reg_covar=COVARIANCE_FLOOR,
        random_state=int(torch.randint(2**31, ())),
    )
    # The initialisation by k-means needs numpy, whatever the arrays of the user are.
    with warnings.catch_warnings(), config_context(array_api_dispatch=False):
        # Samples of a mixture that has not converged are good enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(codes.astype(np.float64))


def sample_codes(
    sampler: Sampler, density: GaussianMixture | None, n_codes: int, n_components: int
) -> np.ndarray:
    """Sample codes of shape (n_codes, n_components) from a density, or from the prior."""
    if density is None:
        return sampler.sample_prior(n_codes, n_components).double().numpy()
    seed = int(torch.randint(2**31, ()))
    codes = copy.copy(density).set_params(random_state=seed).sample(n_codes)[0]
    # The mixture sorts samples by component.
    return codes[torch.randperm(n_codes).numpy()]


def decode_samples(
    fitted: Fitted, sampler: Sampler, codes: np.ndarray, noise: bool
) -> np.ndarray:
    """Decode codes to rows in the units of X, with output noise or without."""

    def decode(module: Autoencoder, codes: torch.Tensor) -> torch.Tensor:
        rows = module.decode(codes)
        levels = None if sampler.levels is None else sampler.levels.draw(rows)
        if noise:
            rows = sampler.add_noise(fitted, module, rows)
        if levels is not None:
            rows = torch.where(sampler.levels.is_level, levels, rows)
        return module.scaler.restore_constants(rows)

    return map_array(fitted.module, decode, codes)


def select_output_noise(
    fitted: Fitted,
    sampler: Sampler,
    density: GaussianMixture | None,
    X,
    indices: np.ndarray,
) -> bool:
    """Select output noise if it lowers the two-sample accuracy by `MIN_NOISE_GAIN`."""
    n_rows = min(rows_within(SAMPLE_BYTES, 8 * X.shape[1], 2), MAX_NOISE_ROWS)
    subset = np.sort(indices[torch.randperm(len(indices))[:n_rows].numpy()])
    if fitted.is_incomplete:
        X = ImputedRows(X, fitted.module.scaler, fitted.imputer)
    real = as_tensor(X[subset], "cpu").numpy()
    # Columns get equal weight: noise may fit most of them and hide a quiet one.
    with np.errstate(over="ignore", invalid="ignore"):
        scaler = StandardScaler().fit(real)
    codes = sample_codes(sampler, density, len(subset), fitted.n_components)
    accuracies = []
    for noise in (False, True):
        sampled = np.nan_to_num(decode_samples(fitted, sampler, codes, noise))
        with np.errstate(over="ignore", invalid="ignore"):  # wild samples
            sampled = np.nan_to_num(scaler.transform(sampled))
        accuracies.append(nn_two_sample_accuracy(scaler.transform(real), sampled))
    return accuracies[1] < accuracies[0] - MIN_NOISE_GAIN


@dataclass(kw_only=True, eq=False, repr=False)
class GenerativeAutoencoder(BaseAutoencoder):
    """Base class of autoencoders that sample new rows.

    A variant defines its recipe and its sampler.
    """

    max_epochs: int = 100
    code_density: str = "gaussian_mixture"
    output_noise: str | bool = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "max_epochs": [count(0)],
        "code_density": [StrOptions({"gaussian_mixture", "prior"})],
        "output_noise": [StrOptions({"auto"}), "boolean"],
    }

    @as_fitted
    def sample(self, n_samples: int = 1, random_state=None, *, like=None):
        """Sample new rows: sample codes from their density and decode them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of new rows.
        random_state : int, RandomState instance or None, default=None
            Seeds the samples. None takes the seed from numpy's global generator.
        like : {array-like, sparse matrix} of shape (n_rows, n_features), default=None
            Rows, for example of one class, that the new rows should resemble: a mixture
            fitted to their codes replaces `code_density_`.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features), or a frame
            In the units of X, float64; a frame after a fit to a table of mixed columns.

        Raises
        ------
        ValueError
            If `n_samples` is not positive, or `like` has fewer than two rows.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        fitted, sampler = self._fitted, self._make_sampler()
        with seeded_fit(random_state, torch.device(fitted.net.device)):
            density = self.code_density_
            if like is not None:
                X = self.check_rows(like, reset=False, ensure_min_samples=2)
                density = fit_density(fitted, sampler, X, np.arange(X.shape[0]))
            codes = sample_codes(sampler, density, n_samples, fitted.n_components)
            rows = decode_samples(fitted, sampler, codes, self.output_noise_)
            seed = int(torch.randint(2**31, ()))
        return rows if self._table is None else self._draw_table(rows, seed)

    def _draw_table(self, rows: np.ndarray, seed: int):
        """Decode drawn rows to a frame, with values that were seen in fit."""
        return self._table.inverse_transform(self._table.spread(rows, seed))

    def _levels(self) -> LevelProbabilities | None:
        if self._table is None:
            return None
        return LevelProbabilities(table_layout(self._table))

    @abstractmethod
    def _make_sampler(self) -> Sampler:
        """Make the sampler of codes and rows from the parameters."""

    def make_recipe(self) -> Recipe:
        """Fit a density of codes, and select output noise, after training."""
        sampler = self._make_sampler()

        def fit_noise_and_density(
            fitted: Fitted, train: RowDataset, valid: RowDataset | None
        ) -> dict[str, Any]:
            learned = sampler.fit_noise(fitted, train, valid)
            fitted = replace(fitted, learned=fitted.learned | learned)
            indices = train.indices
            if valid is not None:
                indices = np.union1d(indices, valid.indices)
            indices = repeat_by_weight(indices, train.source.weight)
            # An ensemble concatenates codes, and is used for scores only.
            if fitted.module.n_members == 1 and len(indices) > 1:
                learned |= self._fit_density(fitted, sampler, train.X, indices)
            return learned

        return super().make_recipe().add_summary(fit_noise_and_density)

    def _fit_density(
        self, fitted: Fitted, sampler: Sampler, X, indices: np.ndarray
    ) -> dict[str, Any]:
        subset = np.sort(indices[torch.randperm(len(indices))[:MAX_DENSITY_ROWS].numpy()])
        density, noise = None, self.output_noise
        if self.code_density == "gaussian_mixture":
            density = fit_density(fitted, sampler, X, subset)
        if noise == "auto":
            noise = select_output_noise(fitted, sampler, density, X, indices)
        return {"code_density_": density, "output_noise_": noise}
