"""What all tests share: the catalogue of estimators and small tables."""

import gc
import os
import sys
from functools import cache
from importlib.util import find_spec
from pkgutil import resolve_name

# scikit-learn skips one of its checks without this; scipy reads it when it is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Tests are small, and run side by side: threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pytest
from catalogue import (
    AUTOENCODERS,
    CATALOGUE,
    DETECTORS,
    ONE_OF_EACH_TRAINING,
    name,
    one_of_each,
)
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris

from sk_autoencoder.compression import _autoencoder as _compressing
from sk_autoencoder.core import _recipe
from sk_autoencoder.generative import _density, _product_mixture
from sk_autoencoder.impute import _autoencoder as _imputing

DENSITIES = {module: module.N_PARTS for module in (_density, _product_mixture)}
QUICK_BUDGET = {"DEFAULT_EPOCHS": 8, "MIN_STEPS": 60}
BUDGET = {number: getattr(_recipe, number) for number in QUICK_BUDGET}

collect_ignore = [] if find_spec("sklearn.callback") else ["test_sklearn_1_9.py"]


def pytest_collection_finish():
    """Spare the garbage collector what lives until the end: modules and tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # a tenth of the time is spent on collections else


@pytest.fixture
def train_imputers_for(monkeypatch):
    """Set for how many epochs the default design of imputers trains."""

    def train_for(n_epochs):
        designs = tuple(d._replace(n_epochs=n_epochs) for d in _imputing.DESIGNS)
        monkeypatch.setattr(_imputing, "DESIGNS", designs)

    return train_for


@pytest.fixture(autouse=True)
def _quick_designs(request, monkeypatch, train_imputers_for):
    """Train for fewer steps by default, and let densities try two sizes.

    Known answers of long trainings have all steps.
    """
    if not request.node.get_closest_marker("slow"):
        for number, value in QUICK_BUDGET.items():
            monkeypatch.setattr(_recipe, number, value)
    train_imputers_for(2)
    monkeypatch.setattr(_compressing, "MAX_EPOCHS", 4)
    for module in DENSITIES:
        monkeypatch.setattr(module, "N_PARTS", module.N_PARTS[:2])


@pytest.fixture
def all_steps(monkeypatch, _quick_designs):
    """Train for as many steps as users do by default."""
    for number, value in BUDGET.items():
        monkeypatch.setattr(_recipe, number, value)


@pytest.fixture
def all_sizes_of_mixtures(monkeypatch, _quick_designs):
    """Let densities try all sizes of a mixture."""
    for module, sizes in DENSITIES.items():
        monkeypatch.setattr(module, "N_PARTS", sizes)


@pytest.fixture(scope="session")
def list_operators_once():
    """Let torch list the operators it knows once: that is half of each small export."""
    listings = [
        "torch.onnx._internal.exporter._registration.ONNXRegistry.from_torchlib",
        "torch.export.decomp_utils._collect_all_valid_cia_ops",
        "torch.export.exported_program._collect_all_valid_cia_ops",
    ]
    with pytest.MonkeyPatch.context() as patch:
        for listing in listings:
            once = cache(resolve_name(listing))
            patch.setattr(listing, staticmethod(once) if "Registry" in listing else once)
        yield


@pytest.fixture(autouse=True)
def _closed_figures():
    """Lay out and close what a test has drawn."""
    yield
    if plt := sys.modules.get("matplotlib.pyplot"):
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
        plt.close("all")


@pytest.fixture(params=one_of_each(CATALOGUE))
def estimator(request):
    """Each estimator of the catalogue in turn, quick to fit."""
    return clone(request.param)


@pytest.fixture(params=one_of_each(AUTOENCODERS, ONE_OF_EACH_TRAINING))
def autoencoder(request):
    """Each estimator that gives codes in turn, quick to fit."""
    return clone(request.param)


@pytest.fixture(params=[a for a in AUTOENCODERS if "loss" in a.get_params()], ids=name)
def with_loss(request):
    """Each estimator that gives codes and whose loss may be chosen, quick to fit."""
    return clone(request.param)


@pytest.fixture(params=[a for a in AUTOENCODERS if "network" in a.get_params()], ids=name)
def with_network(request):
    """Each estimator that gives codes and whose network may be chosen, quick to fit."""
    return clone(request.param)


@pytest.fixture(params=DETECTORS, ids=name)
def detector(request):
    """Each detector in turn, by itself and around an autoencoder."""
    return clone(request.param)


@pytest.fixture(scope="session")
def digits():
    """300 rows of 64 pixels in [0, 1], in float64."""
    return load_digits().data[:300] / 16


@pytest.fixture(scope="session")
def pixels(digits):
    """150 rows of 16 pixels: few, but training on them pays for nearly every estimator."""
    X = digits[:150]
    return X[:, X.std(axis=0) > 0.1][:, :16].copy()


@pytest.fixture(scope="session")
def iris():
    """150 rows of 4 lengths in cm, in float64."""
    return load_iris().data


@pytest.fixture(scope="session")
def flowers(iris):
    """A frame with names, and the kind of each row."""
    frame = pd.DataFrame(iris, columns=["sepal l", "sepal w", "petal l", "petal w"])
    return frame, pd.Series(np.repeat(["a", "b", "c"], 50), name="kind")


@pytest.fixture(scope="session")
def curved():
    """600 rows of 6 columns on a curve, with little noise: no line fits them."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-3, 3, (600, 1))
    freq = np.arange(1, 4) / 2
    noise = rng.normal(0, 0.02, (600, 6))
    return np.hstack([np.sin(freq * t), np.cos(freq * t)]) + noise + 1.5  # none below 0
