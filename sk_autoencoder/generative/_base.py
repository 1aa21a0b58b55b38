"""What autoencoders that draw new rows share: a density of codes, noise on the output."""

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

CODE_SPREAD = 1e-3  # variance that is added to each component of the mixture
DENSITY_ROWS = 20_000  # that the mixture is fitted to
NOISE_GAIN = 0.03  # in accuracy, from which noise is worth its blur
NOISE_ROWS, NOISE_BYTES = 1_000, 2**25  # by which noise on the output is judged


@dataclass(kw_only=True, eq=False, repr=False)
class GenerativeAutoencoder(BaseAutoencoder):
    """Base class of autoencoders that draw new rows.

    A variant says how codes are drawn from its prior (``_draw_prior``), what noise lies on
    its output (``_add_noise``), and how many components it has at most by default.
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
        """Draw new rows: codes from their density, decoded.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.
        random_state : int, RandomState instance or None, default=None
            Seeds the draws. Global generators are left as they were.
        like : {array-like, sparse matrix} of shape (n_rows, n_features), default=None
            Rows, of one class for example, whose codes the new rows should be distributed
            as: a mixture is fitted to them, in place of the density of all codes.

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
            codes = self._draw_codes(density, n_samples)
            return self._draw_rows(net, codes, self.output_noise_)

    # What a variant says

    def _draw_prior(self, n_codes: int) -> torch.Tensor:
        """Draw codes (n_codes, n_components) from the prior, by torch's generator."""
        raise NotImplementedError

    def _add_noise(self, module: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        """Draw rows around decoded ones, both (batch, n_features) in the units of X."""
        raise NotImplementedError

    def _code_draws(self, module: Autoencoder, rows: torch.Tensor) -> torch.Tensor:
        """Return what the density of codes is fitted to, for rows in the units of X."""
        return encode(module, rows)

    # What they share

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
        # An ensemble is for scores: its codes stand side by side.
        if net.module_.n_members > 1 or len(indices) < 2:
            return
        few = np.sort(indices[torch.randperm(len(indices))[:DENSITY_ROWS].numpy()])
        self.code_density_ = None
        if self.code_density == "gaussian_mixture":
            self.code_density_ = self._fit_density(net, train.X, few)
        self.output_noise_ = self.output_noise
        if self.output_noise == "auto":
            self.output_noise_ = self._choose_noise(net, train.X, indices)

    def _fit_density(self, net: AutoencoderNet, X, rows: np.ndarray) -> GaussianMixture:
        codes = np.concatenate(list(self._iter_mapped(net, self._code_draws, X, rows)))
        seed, n_parts = int(torch.randint(2**31, ())), n_mixture_components(*codes.shape)
        mixture = GaussianMixture(n_parts, reg_covar=CODE_SPREAD, random_state=seed)
        # Its start by k-means is for numpy alone, whatever the user's arrays are.
        with warnings.catch_warnings(), config_context(array_api_dispatch=False):
            warnings.simplefilter("ignore", ConvergenceWarning)  # it draws well enough
            return mixture.fit(codes.astype(np.float64))

    def _draw_codes(self, density: GaussianMixture | None, n_codes: int) -> np.ndarray:
        if density is None:
            return self._draw_prior(n_codes).double().numpy()
        seed = int(torch.randint(2**31, ()))
        drawn = copy.copy(density).set_params(random_state=seed).sample(n_codes)[0]
        return drawn[torch.randperm(n_codes).numpy()]  # else one part after the other

    def _draw_rows(self, net: AutoencoderNet, codes: np.ndarray, noise: bool) -> np.ndarray:
        def decode(module: Autoencoder, codes: torch.Tensor) -> torch.Tensor:
            rows = module.decode(codes)
            return self._add_noise(module, rows) if noise else rows

        return net.map(decode, codes)

    def _choose_noise(self, net: AutoencoderNet, X, indices: np.ndarray) -> bool:
        """Return whether noise makes drawn rows clearly harder to tell from those of X."""
        n_rows = int(np.clip(NOISE_BYTES // (8 * X.shape[1]), 2, NOISE_ROWS))
        few = np.sort(indices[torch.randperm(len(indices))[:n_rows].numpy()])
        if self._is_incomplete:
            X = impute_lazily(X, net.module_.scaler, self._fill)
        real = as_tensor(X[few], "cpu").numpy()
        # Each column counts: noise that fits most of them may drown a quiet one.
        scaler = StandardScaler().fit(real)
        codes = self._draw_codes(self.code_density_, len(few))
        apart = []
        for noise in (False, True):
            drawn = scaler.transform(self._draw_rows(net, codes, noise))
            apart.append(nn_two_sample_accuracy(scaler.transform(real), drawn))
        return apart[1] < apart[0] - NOISE_GAIN
