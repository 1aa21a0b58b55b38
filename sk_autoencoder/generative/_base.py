"""Base class of generative autoencoders: density of codes, output noise, sampling."""

import copy
import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

import numpy as np
import torch
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, check_scalar

from sk_autoencoder.core._base import BaseAutoencoder, encode
from sk_autoencoder.core._data import RowDataset, as_tensor
from sk_autoencoder.core._missing import impute_lazily
from sk_autoencoder.core._trainer import AutoencoderNet
from sk_autoencoder.generative._density import n_mixture_components, nn_two_sample_accuracy
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.utils._random import seeded_fit
from sk_autoencoder.utils._sklearn_compat import StrOptions

COVARIANCE_FLOOR = 1e-3  # added to the variances of the mixture, in squared scaled units
MAX_DENSITY_ROWS = 20_000  # that the mixture is fitted to
MIN_NOISE_GAIN = 0.03  # decrease of the two-sample accuracy that outweighs blurred rows
MAX_NOISE_ROWS, MAX_NOISE_BYTES = 1_000, 2**25  # for the selection of output noise


@dataclass(kw_only=True, eq=False, repr=False)
class GenerativeAutoencoder(BaseAutoencoder):
    """Base class of autoencoders that sample new rows.

    A variant defines samples of its prior (``_sample_prior``), the noise of its output
    (``_add_noise``), and its largest default number of components.
    """

    _default_n_components: ClassVar[int]

    code_density: str = "gaussian_mixture"
    output_noise: str | bool = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "code_density": [StrOptions({"gaussian_mixture", "prior"})],
        "output_noise": [StrOptions({"auto"}), "boolean"],
    }

    def sample(self, n_samples: int = 1, random_state=None, *, like=None) -> np.ndarray:
        """Sample new rows: sample codes from their density and decode them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of new rows.
        random_state : int, RandomState instance or None, default=None
            Seeds the samples. Global generators do not change.
        like : {array-like, sparse matrix} of shape (n_rows, n_features), default=None
            Rows, for example of one class, that the new rows should resemble: a mixture
            fitted to their codes replaces `code_density_`.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            In the units of X, float64.

        Raises
        ------
        ValueError
            If `n_samples` is not positive, or `like` has fewer than two rows.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        net = self.net_
        with seeded_fit(random_state, torch.device(net.device)):
            density = self.code_density_
            if like is not None:
                X = self._check_X(like, reset=False, ensure_min_samples=2)
                density = self._fit_density(net, X, np.arange(X.shape[0]))
            codes = self._sample_codes(density, n_samples)
            return self._decode_samples(net, codes, self.output_noise_)

    # Defined by a variant

    def _sample_prior(self, n_codes: int) -> torch.Tensor:
        """Sample codes (n_codes, n_components) of the prior with torch's generator."""
        raise NotImplementedError

    def _add_noise(self, module: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        """Add output noise to decoded rows (batch, n_features), in the units of X."""
        raise NotImplementedError

    def _density_codes(self, module: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        """Encode rows, in the units of X, for the fit of the density of codes."""
        return encode(module, rows)

    # Common to all variants

    def _count_components(self, X, rows: np.ndarray, seed: int) -> int:
        if self.n_components is None:
            return min(self._default_n_components, X.shape[1], len(np.unique(rows)))
        return super()._count_components(X, rows, seed)

    def _after_fit(
        self, net: AutoencoderNet, train: RowDataset, valid: RowDataset | None
    ) -> None:
        indices = train.indices
        if valid is not None:
            indices = np.union1d(indices, valid.indices)
        # An ensemble concatenates the codes of its members, and is used for scores only.
        if net.module_.n_members > 1 or len(indices) < 2:
            return
        subset = np.sort(indices[torch.randperm(len(indices))[:MAX_DENSITY_ROWS].numpy()])
        self.code_density_ = None
        if self.code_density == "gaussian_mixture":
            self.code_density_ = self._fit_density(net, train.X, subset)
        self.output_noise_ = self.output_noise
        if self.output_noise == "auto":
            self.output_noise_ = self._select_output_noise(net, train.X, indices)

    def _fit_density(self, net: AutoencoderNet, X, rows: np.ndarray) -> GaussianMixture:
        codes = np.concatenate(list(self._iter_mapped(net, self._density_codes, X, rows)))
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

    def _sample_codes(self, density: GaussianMixture | None, n_codes: int) -> np.ndarray:
        if density is None:
            return self._sample_prior(n_codes).double().numpy()
        seed = int(torch.randint(2**31, ()))
        codes = copy.copy(density).set_params(random_state=seed).sample(n_codes)[0]
        # The mixture sorts samples by component.
        return codes[torch.randperm(n_codes).numpy()]

    def _decode_samples(
        self, net: AutoencoderNet, codes: np.ndarray, noise: bool
    ) -> np.ndarray:
        def decode(module: Autoencoder, codes: torch.Tensor) -> torch.Tensor:
            rows = module.decode(codes)
            return self._add_noise(module, rows) if noise else rows

        return net.map(decode, codes)

    def _select_output_noise(self, net: AutoencoderNet, X, indices: np.ndarray) -> bool:
        """Select output noise if it lowers the two-sample accuracy by `MIN_NOISE_GAIN`."""
        n_rows = int(np.clip(MAX_NOISE_BYTES // (8 * X.shape[1]), 2, MAX_NOISE_ROWS))
        subset = np.sort(indices[torch.randperm(len(indices))[:n_rows].numpy()])
        if self._is_incomplete:
            X = impute_lazily(X, net.module_.scaler, self._fill)
        real = as_tensor(X[subset], "cpu").numpy()
        # Columns get equal weight: noise may fit most of them and hide a quiet one.
        scaler = StandardScaler().fit(real)
        codes = self._sample_codes(self.code_density_, len(subset))
        accuracies = []
        for noise in (False, True):
            sampled = scaler.transform(self._decode_samples(net, codes, noise))
            accuracies.append(nn_two_sample_accuracy(scaler.transform(real), sampled))
        return accuracies[1] < accuracies[0] - MIN_NOISE_GAIN
