"""The layout of the package: what import-linter and ruff do not see."""

import ast
import importlib
import inspect
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from catalogue import AUTOENCODERS, CLASSES

import sk_autoencoder
from sk_autoencoder import AutoencoderTransformer
from sk_autoencoder.core._base import BaseAutoencoder

FOLDER = Path(sk_autoencoder.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
PUBLIC = ("sk_autoencoder", "sk_autoencoder.metrics", "sk_autoencoder.nn")
VAGUE_OPENER = re.compile(r"(Return )?what\b", re.IGNORECASE)


def test_the_top_folder_shows_packages():
    files = {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert files <= {"__init__.py", "_version.py", "py.typed"}


def test_private_names_of_scikit_learn_have_one_door():
    for file in FILES:
        private = re.findall(r"from (sklearn\S*) import ([^(\n]*)", file.read_text())
        modules = [m for m, names in private if "._" in m or re.search(r"(^|, )_", names)]
        assert not modules or file.name == "_sklearn_compat.py"


def public_objects():
    """Yield all public functions and classes, with the methods of the latter."""
    for name in PUBLIC:
        module = importlib.import_module(name)
        yield from (getattr(module, key) for key in module.__all__)


def test_everything_public_is_documented():
    for thing in public_objects():
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert inspect.getdoc(thing), thing
        if inspect.isclass(thing):
            for name, method in inspect.getmembers(thing, inspect.isfunction):
                own = method.__module__.startswith("sk_autoencoder")
                if own and not name.startswith("_"):
                    assert inspect.getdoc(method), (thing, name)


def entries(cls, section):
    """Return the entries of a section of a numpydoc docstring, by name."""
    doc = inspect.getdoc(cls)
    body = re.search(rf"{section}\n-+\n(.*?)\n\n\w[\w ]*\n-+\n", doc, re.DOTALL)[1]
    entry = re.compile(r"^(\w+) : (.*?)(?=^\w+ : |\Z)", re.DOTALL | re.MULTILINE)
    return dict(entry.findall(body + "\n"))


@pytest.mark.parametrize("cls", CLASSES)
def test_all_parameters_are_documented_in_order_with_their_defaults(cls):
    documented = entries(cls, "Parameters")
    parameters = [field for field in fields(cls) if field.init]
    assert list(documented) == [field.name for field in parameters]
    for field in parameters:
        kind = documented[field.name].split("\n")[0]
        default = re.search(r"default=(.*)$", kind)[1]
        expected = "np.nan" if field.default is np.nan else field.default
        found = default if default == "np.nan" else ast.literal_eval(default)
        assert found == expected, field.name


@pytest.mark.parametrize("cls", dict.fromkeys(map(type, AUTOENCODERS)))
def test_shared_parameters_are_documented_word_for_word(cls):
    reference = entries(AutoencoderTransformer, "Parameters")
    own = entries(cls, "Parameters")
    redeclared = vars(cls).get("__annotations__", {})  # another default, its own words
    for field in fields(BaseAutoencoder):
        if field.name in redeclared:
            continue
        text = reference[field.name].split("\n")[1:]
        assert own[field.name].split("\n")[1:] == text, field.name


@pytest.mark.parametrize("cls", CLASSES)
def test_all_learned_attributes_are_documented(cls):
    documented = set(entries(cls, "Attributes"))
    learned = {name for name in dir(cls) if re.fullmatch(r"[a-z]\w*_", name)}
    assert learned <= documented
