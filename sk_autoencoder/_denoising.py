"""The denoising autoencoder."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import ClassVar

import numpy as np
import torch

from sk_autoencoder import _validation as checks
from sk_autoencoder._base import BaseAutoencoder
from sk_autoencoder._start import ranges
from sk_autoencoder._net import Pairs, Rows, inputs, targets
from sk_autoencoder._validation import Interval, StrOptions
from sk_autoencoder._wiener import wiener, wiener_of_noisy
from sk_autoencoder.corruptions import (
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
    WhileTraining,
)
from sk_autoencoder.objectives import SteinPenalty


def _salt_and_pepper(share: float, rows: Rows) -> SaltAndPepperNoise:
    return SaltAndPepperNoise(share, *ranges(rows))


CORRUPTIONS = {
    "gaussian": lambda level, rows: GaussianNoise(level),
    "masking": lambda level, rows: MaskingNoise(level),
    "salt_and_pepper": _salt_and_pepper,
    "swap": lambda level, rows: SwapNoise(level),
}


@dataclass(kw_only=True, eq=False, repr=False)
class DenoisingAutoencoder(BaseAutoencoder):
    n_components: int | float | None = field(default=None, kw_only=False)
    hidden_layer_sizes: int | Sequence[int] = (256,)
    scaling: str | None = "standard"
    noise_level: float = 0.5
    linear_penalty: float = 0.0
    corruption: str | Callable = "gaussian"
    noise_std: float | Sequence[float] | str | None = None

    judge_corrupted: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoencoder._parameter_constraints,
        "corruption": [StrOptions(set(CORRUPTIONS)), callable],
        "noise_std": [
            Interval(Real, 0, None, closed="left"),
            "array-like",
            StrOptions({"auto"}),
            None,
        ],
    }

    @checks.fit_context
    def fit(self, X, y=None):
        return self._fit_on(X, y)

    def _check_rows_to_fit(self, X, y, **kwargs):
        X = super()._check_rows_to_fit(X, y, **kwargs)
        return X if np.ndim(y) < 2 else Pairs(X, super()._check_rows_to_fit(y, None, reset=False))

    def _make_module(self, X, rows, n_components, seed, draws):
        self.noise_std_ = self.noise_std
        return super()._make_module(X, rows, n_components, seed, draws)

    def _make_corruption(self, rows):
        if self.noise_std is not None or targets(rows.X) is not rows.X:
            return torch.nn.Identity()  # the rows are noisy already
        if callable(self.corruption):
            return WhileTraining(copy.deepcopy(self.corruption))
        return CORRUPTIONS[self.corruption](self.noise_level, rows)

    def _make_penalties(self, module):
        penalties = super()._make_penalties(module)
        if self.noise_std is None:
            return penalties
        std = self.noise_std_ / module.scaler.scale.float()
        return {**penalties, "stein": (1.0, SteinPenalty(std))}

    def _find_filter(self, corruption, rows, n_components, seed):
        if self.noise_std is not None:
            std = self.noise_std_ / rows.scaler.scale.cpu().numpy()
            return wiener_of_noisy(rows, std, n_components, seed)
        if not self.noise_level:
            return super()._find_filter(corruption, rows, n_components, seed)
        return wiener(rows, corruption, n_components, seed)
