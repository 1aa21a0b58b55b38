"""The rules of the house: imports go one way, all is documented, code is short."""

import ast
import importlib
import inspect
import pkgutil
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
# Each module may import from those before it.
ORDER = [
    "corruptions",
    "networks._network",
    "networks._dense",
    "networks._convolutional",
    "networks._temporal",
    "networks._modules",
    "networks",
    "missing",
    "objectives",
    "rates",
    "pursuit",
    "dictionaries",
    "likelihoods",
    "variational",
    "critics",
    "_autoencoder",
    "_ensemble",
    "_graphs",
    "_validation",
    "_version",
    "_trust",
    "_plain",
    "_saving",
    "_reaching",
    "metrics._reconstruction",
    "metrics._codes",
    "metrics._samples",
    "metrics._scorers",
    "metrics",
    "_parameters",
    "_callbacks",
    "_net",
    "_row_scaling",
    "_filling",
    "_start",
    "_wiener",
    "_building",
    "_base",
    "_transformer",
    "_text",
    "_convolutional",
    "_denoising",
    "_sparse",
    "_contractive",
    "_stacked",
    "_bound",
    "_generative",
    "_vae",
    "_adversarial",
    "_unusual",
    "_outlier",
    "_windowing",
    "_windows",
    "_timeseries",
    "_nearest",
    "_imputing",
    "_imputer",
    "_coding",
    "_quantising",
    "_compressing",
    "_codec",
    "_residuals",
    "_compressor",
    "_displays._drawing",
    "_displays._loss",
    "_displays._reconstruction",
    "_displays._codes",
    "_displays._traversal",
    "_displays._outliers",
    "_displays._rate",
    "_displays",
    "_plans",
    "_onnx",
    "__init__",
]


def dotted(file):
    """Return the name of a module within the package."""
    parts = file.relative_to(FOLDER).with_suffix("").parts
    inner = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(inner) or "__init__"


def imported(tree):
    """Yield the modules of this package that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, module = node.module.partition(".")
            if package == "sk_autoencoder":
                names = [f"{module}.{alias.name}".lstrip(".") for alias in node.names]
                yield from {name if name in ORDER else module or name for name in names}


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_imports_go_one_way(file):
    own = ORDER.index(dotted(file))
    for module in imported(ast.parse(file.read_text())):
        assert ORDER.index(module) < own


TORCH_ONLY = ORDER[: ORDER.index("_validation")]


@pytest.mark.parametrize("file", [f for f in FILES if dotted(f) in TORCH_ONLY], ids=dotted)
def test_the_parts_are_torch_only(file):
    tree = ast.parse(file.read_text())
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    roots = {module.split(".")[0] for module in modules}
    standard = {
        "collections",
        "contextlib",
        "functools",
        "itertools",
        "math",
        "numbers",
        "typing",
    }
    assert roots <= standard | {"sk_autoencoder", "sklearn", "torch"}
    assert {m for m in modules if m.startswith("sklearn")} <= {"sklearn.base"}


def test_private_names_of_scikit_learn_have_one_door():
    for file in FILES:
        private = re.findall(r"from (sklearn\S*) import ([^(\n]*)", file.read_text())
        found = [m for m, names in private if "._" in m or re.search(r"(^|, )_", names)]
        assert not found or dotted(file) == "_validation"


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_functions_and_files_are_short(file):
    text = file.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 40, node.name


def public_objects():
    """Yield all public functions and classes, with the methods of the latter."""
    for info in pkgutil.iter_modules([str(FOLDER)]):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"sk_autoencoder.{info.name}")
        yield from (getattr(module, name) for name in module.__all__)
    yield from (getattr(sk_autoencoder, name) for name in sk_autoencoder.__all__)


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
