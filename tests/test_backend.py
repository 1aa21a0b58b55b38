"""Backends: moments, losses and gradients over the processes that train together."""

from dataclasses import replace

import numpy as np
import torch
from catalogue import PLAIN, quick
from sklearn.base import clone

from sk_autoencoder import AutoencoderTransformer
from sk_autoencoder.core import _base
from sk_autoencoder.core._backend import LocalBackend


class EqualShards(LocalBackend):
    """Backend of two processes with equal rows, of which one is here."""

    def __init__(self):
        self.calls = set()

    def merge(self, moments):
        self.calls.add("moments")
        return moments.merge(moments)

    def sum(self, totals):
        self.calls.add("sums of losses")
        return 2 * totals

    def concatenate(self, values):
        self.calls.add("losses of rows")
        return np.concatenate([values, values])

    def parallelize(self, module):
        self.calls.add("gradients")
        assert {"module", "objective"} == {name for name, _ in module.named_children()}
        return module


def fit_with(backend, estimator, X, monkeypatch):
    """Fit a copy of `estimator` with a backend."""
    with monkeypatch.context() as patch:
        patch.setattr(_base, "LOCAL", backend)
        return clone(estimator).fit(X)


def test_a_fit_asks_the_backend_for_all_that_rows_decide(iris, monkeypatch):
    backend = EqualShards()
    fit_with(backend, quick(AutoencoderTransformer, n_components=2), iris, monkeypatch)
    expected = {"moments", "sums of losses", "losses of rows", "gradients"}
    assert backend.calls == expected


def test_two_processes_with_equal_rows_learn_what_one_learns(iris, monkeypatch):
    # PCA has the unbiased variance, which is smaller for twice as many rows.
    estimator = quick(AutoencoderTransformer, n_components=2, init="random")
    alone = clone(estimator).fit(iris)
    together = fit_with(EqualShards(), estimator, iris, monkeypatch)
    for curve in ("loss_curve_", "validation_curve_"):
        np.testing.assert_allclose(getattr(together, curve), getattr(alone, curve))
    np.testing.assert_array_equal(together.transform(iris), alone.transform(iris))


def test_scales_come_from_the_rows_of_all_processes(iris, monkeypatch):
    class Shifted(LocalBackend):
        def merge(self, moments):
            other = replace(
                moments,
                mean=moments.mean + 2,
                low=moments.low + 2,
                high=moments.high + 2,
            )
            return moments.merge(other)

    with_others = fit_with(Shifted(), PLAIN, iris, monkeypatch)
    scaler = with_others.net_.module_.scaler
    alone = clone(PLAIN).fit(iris).net_.module_.scaler
    torch.testing.assert_close(scaler.center, alone.center + 1)
    torch.testing.assert_close(scaler.scale**2, alone.scale**2 + 1)
    ranges = ((each.high - each.low) * each.scale for each in (scaler, alone))
    torch.testing.assert_close(next(ranges), next(ranges) + 2)
