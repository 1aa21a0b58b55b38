"""The layout of the package: what import-linter and ruff do not see."""

import importlib
import inspect
import re
from pathlib import Path

import sk_autoencoder

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
