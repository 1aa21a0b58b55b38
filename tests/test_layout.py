"""The layout of the package: what import-linter and ruff do not see."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import sk_autoencoder

FOLDER = Path(sk_autoencoder.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
PACKAGES = ("distributed", "metrics", "nn", "preprocessing", "streaming")
PUBLIC = ("sk_autoencoder", *(f"sk_autoencoder.{package}" for package in PACKAGES))
VAGUE_OPENER = re.compile(r"(Return )?what\b", re.IGNORECASE)


def test_the_top_folder_shows_packages():
    files = {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert files <= {"__init__.py", "_version.py", "py.typed"}


def test_private_names_of_scikit_learn_have_one_door():
    for file in FILES:
        private = re.findall(r"from (sklearn\S*) import ([^(\n]*)", file.read_text())
        modules = [m for m, names in private if "._" in m or re.search(r"(^|, )_", names)]
        assert not modules or file.name == "_sklearn_compat.py"


def test_docstrings_begin_with_a_verb():
    kinds = ast.FunctionDef | ast.ClassDef | ast.Module
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            doc = ast.get_docstring(node) if isinstance(node, kinds) else None
            assert not VAGUE_OPENER.match(doc or ""), (file, doc)


def private_accesses(tree):
    """Yield attributes with a private name that are read from another object."""
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        is_private = isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr)
        if is_private and node.attr != "_replace":  # of named tuples
            owner = node.value
            is_own = isinstance(owner, ast.Name) and owner.id in {"self", "cls", *modules}
            is_super = isinstance(owner, ast.Call) and ast.unparse(owner.func) == "super"
            if not is_own and not is_super:
                yield ast.unparse(node)


def test_no_private_name_is_used_across_objects():
    accesses = {
        f"{file.relative_to(FOLDER)}: {access}"
        for file in FILES
        for access in private_accesses(ast.parse(file.read_text()))
    }
    assert not accesses


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
