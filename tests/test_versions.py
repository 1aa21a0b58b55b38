"""The oldest versions, and extras that are missing."""

import json
import re
import runpy
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

import sk_autoencoder
from sk_autoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    SparseAutoencoder,
)
from sk_autoencoder.metrics import structural_similarity
from sk_autoencoder.utils import _torch_compat
from sk_autoencoder.utils._optional import require

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_DEVELOPERS = {"all", "benchmarks", "docs", "look", "recipes", "test"}
FOR_USERS = EXTRAS.keys() - FOR_DEVELOPERS


def test_estimators_fit_without_what_torch_has_had_since_version_2_7(monkeypatch):
    with monkeypatch.context() as patch:
        patch.delattr(torch.compiler, "is_exporting")  # torch 2.6 has none
        old = runpy.run_path(_torch_compat.__file__)["is_exporting"]
    assert old is torch.compiler.is_compiling
    for name, module in list(sys.modules.items()):
        if name.startswith("sk_autoencoder.") and "is_exporting" in vars(module):
            monkeypatch.setattr(module, "is_exporting", old)
    X = np.random.default_rng(0).normal(size=(60, 4))
    quick = AutoencoderTransformer(2, max_epochs=1)
    detector = AutoencoderOutlierDetector(quick, n_estimators=2, random_state=0)
    assert set(detector.fit_predict(X)) <= {-1, 1}
    assert SparseAutoencoder(6, max_epochs=1).fit(X).transform(X).shape == (60, 6)
    X[::7, 0] = np.nan
    imputer = AutoencoderImputer(quick)
    assert np.isfinite(imputer.fit_transform(X)).all()


@pytest.mark.parametrize(
    ("name", "door"),
    [("sklearn.callback", "_sklearn_compat.py"), ("torch.compiler", "_torch_compat.py")],
)
def test_what_versions_differ_in_has_one_door(name, door):
    files = Path(sk_autoencoder.__file__).parent.rglob("*.py")
    assert {file.name for file in files if name in file.read_text()} == {door}


def floors(requirements):
    """Yield the name and the lower bound of each requirement."""
    for requirement in requirements:
        name, _, version = requirement.partition(">=")
        yield name.partition("[")[0], version


def test_each_floor_is_a_version_that_is_tested():
    text = (ROOT / "constraints-oldest.txt").read_text()
    pins = dict(re.findall(r"^([\w.-]+)==(.+)$", text, re.MULTILINE))
    required = [*PROJECT["dependencies"], *(r for e in FOR_USERS for r in EXTRAS[e])]
    for package, floor in floors(required):
        if package != "torch":  # older wheels are CUDA builds
            assert re.fullmatch(rf"{re.escape(floor)}(\.0)*", pins[package]), package


def test_one_extra_holds_all_that_users_need():
    (all_of_them,) = EXTRAS["all"]
    assert all_of_them == f"sk-autoencoder[{','.join(sorted(FOR_USERS))}]"


def test_the_error_says_how_to_install_an_extra():
    with pytest.raises(ImportError) as told:
        require("json", "no_such.module", extra="onnx", purpose="Export to ONNX")
    assert str(told.value) == (
        "Export to ONNX needs json, no_such: pip install 'sk-autoencoder[onnx]', or from "
        "a checkout: pip install -c constraints.txt '.[onnx]'"
    )
    assert require("json", "json.decoder", extra="", purpose="") is json


def test_images_are_compared_by_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(ImportError, match=r"needs scikit-image: .*\[images\]"):
        structural_similarity([[0.0] * 9], [[0.0] * 9], image_shape=(3, 3))
