"""The documentation names all that is public."""

import importlib
import re
from pathlib import Path

import pytest
from catalogue import CLASSES

ROOT = Path(__file__).parents[1]
PACKAGES = ("distributed", "metrics", "nn", "preprocessing", "streaming")
PUBLIC = ("sk_autoencoder", *(f"sk_autoencoder.{package}" for package in PACKAGES))


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module):
    text = (ROOT / "docs" / "api.rst").read_text()
    sections = text.split(".. currentmodule:: ")
    own = "".join(s for s in sections if s.split("\n")[0] == module)
    named = re.findall(r"^(?:   |\.\. py:data:: )([A-Za-z_]\w*)$", own, re.MULTILINE)
    assert sorted(named) == sorted(importlib.import_module(module).__all__)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_estimator_is_in_the_readme_and_in_the_guide(cls):
    assert f"| `{cls.__name__}` |" in (ROOT / "README.md").read_text()
    guide = (ROOT / "docs" / "user_guide").glob("*.rst")
    assert f":class:`~sk_autoencoder.{cls.__name__}`" in "".join(
        p.read_text() for p in guide
    )


def test_every_example_is_listed():
    listed = re.findall(r"^\| `(\w+\.py)`", (ROOT / "examples/README.md").read_text(), re.M)
    assert sorted(listed) == sorted(p.name for p in ROOT.glob("examples/*.py"))
