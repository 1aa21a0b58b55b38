"""What the methods of fitted estimators compute, for a graph."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from sk_autoencoder.compression._compressor import AutoencoderCompressor
from sk_autoencoder.core._base import decode, encode
from sk_autoencoder.decomposition._contractive import ContractiveAutoencoder
from sk_autoencoder.decomposition._convolutional import ConvolutionalAutoencoder
from sk_autoencoder.decomposition._denoising import DenoisingAutoencoder
from sk_autoencoder.decomposition._sparse import SparseAutoencoder
from sk_autoencoder.decomposition._stacked import StackedAutoencoder
from sk_autoencoder.decomposition._text import TextAutoencoder
from sk_autoencoder.decomposition._transformer import AutoencoderTransformer
from sk_autoencoder.generative._adversarial import AdversarialAutoencoder
from sk_autoencoder.generative._vae import VAETransformer
from sk_autoencoder.impute._imputer import AutoencoderImputer
from sk_autoencoder.outliers._rows import AutoencoderOutlierDetector
from sk_autoencoder.outliers._timeseries import TimeSeriesOutlierDetector


class Plan(NamedTuple):
    """What a graph shall compute."""

    module: torch.nn.Module
    function: Callable  # (module, rows) -> one tensor an output
    n_columns: int  # of the rows that go in
    outputs: dict[str, list[int]]  # name and shape, without the rows


def plan_autoencoder(autoencoder, method: str, allow_nan: bool) -> Plan:
    n_features, n_components = autoencoder.n_features_in_, autoencoder.n_components_
    module = _module(autoencoder, allow_nan and method != "inverse_transform")
    if method == "inverse_transform":
        return Plan(module, decode, n_components, {"variable": [n_features]})
    if method == "score_samples":
        return Plan(module, autoencoder._scoring(), n_features, {"score_samples": []})
    return Plan(module, encode, n_features, {"variable": [n_components]})


def plan_detector(detector, method: str, allow_nan: bool) -> Plan:
    inner, offset = detector.autoencoder_, detector.offset_
    if not hasattr(inner, "_scoring"):
        raise ValueError(
            f"A detector around a {type(inner).__name__} cannot be exported: autoencoder "
            "has to be one of sk_autoencoder, or None."
        )
    _refuse(detector, method, ("auto", "score_samples"))
    scoring = (inner if detector.method_ == "score_samples" else detector)._scoring()
    module, n_features = _module(inner, allow_nan), detector.n_features_in_
    if method == "score_samples":
        return Plan(module, scoring, n_features, {"score_samples": []})

    def judge(module: torch.nn.Module, rows: torch.Tensor):
        scores = scoring(module, rows)[:, None] - offset
        return torch.where(scores >= 0, 1, -1), scores  # a row of unknown score stands out

    return Plan(module, judge, n_features, {"label": [1], "scores": [1]})


def plan_imputer(imputer, method: str, allow_nan: bool) -> Plan:
    _refuse(imputer, method, ("auto", "transform"))
    for name in ("sample_posterior", "add_indicator"):
        if getattr(imputer, name):
            raise ValueError(
                f"An AutoencoderImputer with {name}=True cannot be exported. Use "
                f"set_params({name}=False)."
            )
    module = _module(imputer.autoencoder_, True)
    width = len(imputer.get_feature_names_out())
    return Plan(module, _filling(imputer), imputer.n_features_in_, {"variable": [width]})


def _filling(imputer: AutoencoderImputer) -> Callable:
    """Return ``(module, rows) -> rows``, what ``transform`` does."""
    kept, marker = np.flatnonzero(imputer._is_kept), imputer.missing_values
    means = torch.from_numpy(imputer.statistics_[kept])
    bounds = [torch.from_numpy(bound) for bound in (imputer._low, imputer._high)]
    is_discrete = torch.from_numpy(imputer._is_discrete)
    source = np.arange(imputer.n_features_in_)  # of each column, where all are side by side
    source[kept] = len(source) + np.arange(len(kept))
    reconstruct = imputer.autoencoder_._reconstructing()

    def fill(module: torch.nn.Module, X: torch.Tensor) -> torch.Tensor:
        is_missing = X.isnan() if np.isnan(marker) else marker == X
        rows = torch.where(is_missing, torch.nan, X)[:, kept]
        found = reconstruct(module, rows)
        found = torch.where(rows.isnan().all(1, keepdim=True), means.to(X), found)
        if imputer.round_discrete:
            found = torch.where(is_discrete, found.round(), found)
        if imputer.clip:
            found = found.clamp(*[bound.to(X) for bound in bounds])
        filled = torch.where(rows.isnan(), found, rows)
        if not imputer.keep_empty_features:
            return filled
        return torch.cat([torch.where(is_missing, 0.0, X), filled], 1)[:, source]

    return fill


def _module(autoencoder, completes: bool) -> torch.nn.Module:
    """Return a copy of the fitted module, which fills in missing cells on demand."""
    module = autoencoder.net_.module_
    if completes and not autoencoder._is_incomplete:
        if autoencoder._fill is None:
            raise ValueError(
                f"allow_nan=True needs an autoencoder that can fill in missing values, and "
                f"this {type(autoencoder).__name__} cannot."
            )
        return module.with_imputation(autoencoder._fill).cpu()
    return copy.deepcopy(module).cpu()


def _refuse(estimator, method: str, known: tuple[str, ...]) -> None:
    if method not in known:
        raise ValueError(
            f"method={method!r} cannot be exported of a {type(estimator).__name__}. Use "
            f"one of {', '.join(map(repr, known))}."
        )


def plan_series(detector, method: str, allow_nan: bool) -> Plan:
    raise ValueError(
        "TimeSeriesOutlierDetector cannot be exported: its scores depend on the rows "
        "before and after, in a series of any length. Export its detector_, which scores "
        "windows."
    )


def plan_compressor(compressor, method: str, allow_nan: bool) -> Plan:
    raise ValueError(
        "AutoencoderCompressor cannot be exported: ONNX has no range coder. Export an "
        "autoencoder, and store its codes."
    )


# What can be exported, and what says why it cannot.
PLANS: dict[type, Callable[..., Plan]] = {
    AdversarialAutoencoder: plan_autoencoder,
    AutoencoderCompressor: plan_compressor,
    AutoencoderImputer: plan_imputer,
    AutoencoderOutlierDetector: plan_detector,
    AutoencoderTransformer: plan_autoencoder,
    ContractiveAutoencoder: plan_autoencoder,
    ConvolutionalAutoencoder: plan_autoencoder,
    DenoisingAutoencoder: plan_autoencoder,
    SparseAutoencoder: plan_autoencoder,
    StackedAutoencoder: plan_autoencoder,
    TextAutoencoder: plan_autoencoder,
    TimeSeriesOutlierDetector: plan_series,
    VAETransformer: plan_autoencoder,
}
