"""Audit of skops files before anything is built: trusted names, calls of nodes, sizes.

skops checks that each name is trusted. It does not check how a node uses the name: a list
node with the class of a layer calls the constructor of the layer, with any size. Here each
kind of node has its list of calls, and the audit imports nothing.
"""

import io
import json
import sys
from collections.abc import Collection, Iterator
from math import prod
from types import FunctionType
from typing import Any
from zipfile import ZipFile

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_selector
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from torch import nn, optim
from torch.optim.lr_scheduler import LRScheduler

from sk_autoencoder.utils._sklearn_compat import ProgressBar

SPLITTERS = (BaseCrossValidator, BaseShuffleSplit)
# Classes that a file may name, by what they derive from and the package that has them.
CLASSES = {
    "numpy": (np.generic,),
    "sk_autoencoder": (object,),
    "sklearn": (BaseEstimator, ProgressBar, make_column_selector, *SPLITTERS),
    "torch.nn.modules": (nn.Module,),
    "torch.optim": (optim.Optimizer, LRScheduler),
}
# Packages whose functions a file may name: functions of tensors and arrays.
FUNCTIONS = (
    "sk_autoencoder.metrics",
    "sk_autoencoder.nn",
    "sklearn.metrics",
    "torch.nn.functional",
)
NAMES = {  # others, of nets and of scikit-learn's searches; no callback with files
    "builtins.dict",
    "builtins.object",
    "builtins.print",
    "functools.partial",
    "numpy.dtype",
    "sk_autoencoder.core.print_line",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "skorch.callbacks.logging.EpochTimer",
    "skorch.callbacks.logging.PrintLog",
    "skorch.callbacks.lr_scheduler.LRScheduler",
    "skorch.callbacks.regularization.GradientNormClipping",
    "skorch.callbacks.scoring.BatchScoring",
    "skorch.callbacks.scoring.EpochScoring",
    "skorch.callbacks.scoring.PassthroughScoring",
    "skorch.callbacks.training.EarlyStopping",
    "skorch.dataset.Dataset",
    "skorch.dataset.ValidSplit",
    "skorch.history.History",
    "skorch.setter.optimizer_setter",
    "torch.utils.data.dataloader.DataLoader",
}

SCHEMA = "schema.json"  # the tree of nodes in a skops file
LARGEST_RATE = 50  # bytes of JSON in one of the file; files of ours come to about 20
PROTOCOL = 2  # of skops: nodes of older ones are not known here
# Kinds of nodes that call nothing by its name, and kinds that call one of these.
QUIET = {"BytesNode", "DTypeNode", "FunctionNode", "JsonNode", "MaskedArrayNode"}
QUIET |= {"ObjectNode", "PartialNode", "SliceNode", "TupleNode", "TypeNode"}
CALLS = {
    "DictNode": {"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"},
    "ListNode": {"builtins.list", "skorch.history.History"},
    "NdArrayNode": {f"numpy.{k.__name__}" for k in {np.ndarray, *np.sctypeDict.values()}},
    "RandomStateNode": {"numpy.random.mtrand.RandomState"},
    "SetNode": {"builtins.set"},
}
LOSSES = {"sklearn._loss._loss", "sklearn.linear_model._sgd_fast"}  # modules of LossNodes
# Types of keys that their text gives back.
KEYS = {"builtins.str", "builtins.int", "builtins.float"}
KEYS |= {"numpy.str_", "numpy.int64", "numpy.float64"}
HEADERS = {  # of arrays in numpy's format, by version
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class UntrustedError(ValueError):
    """A name that a file may only use if the user trusts it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The file names {name}, which is not trusted: it may run code of any kind. If "
            f"you know who made the file, use load(path, trusted=[{name!r}])."
        )


def audit(content: bytes, trusted: Collection) -> set[str]:
    """Check a skops file before anything is made of it.

    Returns
    -------
    names : set of str
        Trusted names, among those of the file.

    Raises
    ------
    UntrustedError
        If a node would call what it is not for.
    ValueError
        If the file asks for more memory than it holds, or contradicts itself.
    """
    given = {v if isinstance(v, str) else f"{v.__module__}.{v.__name__}" for v in trusted}
    with ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            rate = LARGEST_RATE if member.filename == SCHEMA else 1
            if member.file_size > rate * member.compress_size:
                raise ValueError(f"{member.filename} is compressed too far.")
        schema = read_schema(archive)
        if schema["protocol"] < PROTOCOL:
            raise ValueError("its nodes are older than its format.")
        kinds, readers = {}, {}
        for _, node in nodes(schema):
            _check_calls(node, given)
            if node["__loader__"] == "NdArrayNode" and node["type"] == "numpy":
                _check_array(archive, node)
            # skops makes one object of all nodes with one id, and reads its part once.
            identity, kind = node["__id__"], _kind(node)
            reader = readers.setdefault(node.get("file", identity), identity)
            if (
                not identity
                or kinds.setdefault(identity, kind) != kind
                or reader != identity
            ):
                raise ValueError(f"{name_of(node)} is two things.")
    return given | set(filter(_is_trusted, {name for _, name, _ in kinds.values()}))


def find_loss(content: bytes) -> tuple[str, str] | None:
    """Find a node that would not give back what was saved: its path and its name."""
    with ZipFile(io.BytesIO(content)) as archive:
        for path, node in nodes(read_schema(archive)):
            if not _is_faithful(node):
                return path, name_of(node)
    return None


def read_schema(archive: ZipFile) -> dict[str, Any]:
    """Read the tree of nodes of a skops file."""
    return json.loads(archive.read(SCHEMA))


def nodes(part, path: str = "") -> Iterator[tuple[str, dict]]:
    """Iterate over nodes, with the attributes and keys that lead to them."""
    if isinstance(part, dict):
        is_node = isinstance(part.get("__loader__"), str)
        if is_node:
            yield path, part
        for key, value in part.items():
            yield from nodes(value, path if is_node else f"{path}.{key}".lstrip("."))
    elif isinstance(part, list):
        for i, value in enumerate(part):
            yield from nodes(value, f"{path}.{i}".lstrip("."))


def name_of(node: dict) -> str:
    """Join the module and the name of what a node names."""
    return f"{node['__module__']}.{node['__class__']}"


def _is_trusted(name: str) -> bool:
    """Look a name up among what is imported, and check what it stands for."""
    module, _, last = name.rpartition(".")
    value = vars(sys.modules[module]).get(last) if module in sys.modules else None
    if getattr(value, "__module__", None) != module or value.__name__ != last:
        return name in NAMES
    if _is_within(module, "sk_autoencoder") and "._" in module:
        return False  # files name public paths
    if isinstance(value, type):
        bases = (v for k, v in CLASSES.items() if _is_within(module, k))
        return name in NAMES or issubclass(value, sum(bases, ()))
    is_function = isinstance(value, FunctionType)
    is_known = is_function and any(_is_within(module, k) for k in FUNCTIONS)
    return name in NAMES or is_known


def _is_within(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def _check_calls(node: dict, given: set[str]) -> None:
    loader, name = node["__loader__"], name_of(node)
    if loader in QUIET or name in CALLS.get(loader, given):
        pass
    elif loader != "LossNode" or node["__module__"] not in LOSSES:
        raise UntrustedError(name)
    if loader == "DictNode" and not _has_plain_keys(node):
        raise ValueError("its keys are no keys.")


def _has_plain_keys(node: dict) -> bool:
    """Check that a dict has the keys that it was saved with, and no special attribute."""
    keys, types = list(node["content"]), node["key_types"]
    return (
        types["__loader__"] == "ListNode"
        and len(types["content"]) == len(keys)
        and all(
            t["__loader__"] == "TypeNode" and name_of(t) in KEYS for t in types["content"]
        )
        and not any(key.startswith("__") for key in keys)
    )


def _kind(node: dict) -> tuple:
    items = node["content"] if node["__loader__"] == "ListNode" else ()
    return node["__loader__"], name_of(node), [item["__class__"] for item in items]


def _check_array(archive: ZipFile, node: dict) -> None:
    """Check that an array is as large as its part of the file, and what it says it is."""
    kind = getattr(np, node["__class__"])
    with archive.open(node["file"]) as file:
        shape, _, dtype = HEADERS[np.lib.format.read_magic(file)](file)
        n_bytes = archive.getinfo(node["file"]).file_size - file.tell()
    is_number = kind is not np.ndarray
    if n_bytes != prod(shape) * dtype.itemsize or (prod(shape) and not dtype.itemsize):
        raise ValueError(f"{node['file']} has not the size that it claims.")
    if is_number and (shape or not issubclass(dtype.type, kind)):
        raise ValueError(f"{node['file']} is no {node['__class__']}.")


def _is_faithful(node: dict) -> bool:
    """Check that skops can give back what a node stands for."""
    loader, name = node["__loader__"], name_of(node)
    named = getattr(sys.modules.get(node["__module__"]), node["__class__"], None)
    match loader:
        case "FunctionNode" | "TypeNode":  # a lambda function has a name too
            return id(named) == node["__id__"]
        case "DictNode":
            return name in CALLS[loader] and _has_plain_keys(node)
        case "TupleNode":
            return named is tuple or getattr(named, "__bases__", ()) == (tuple,)
        case "ObjectNode":
            has_state = node["content"]["__loader__"] == "DictNode"
            return hasattr(named, "__setstate__") or (
                isinstance(named, type) and (has_state or named.__dictoffset__ != 0)
            )
        case _:
            return name in CALLS.get(loader, {name})
