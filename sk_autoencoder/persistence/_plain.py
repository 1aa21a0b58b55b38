"""Objects as plain data: their structure as JSON, their numbers as arrays, and back.

Unlike a pickle, plain data can be read without running anything that they name: objects
are made without their constructors, of classes that are trusted (see ``_trust``). An
array or an object that occurs twice is one again when it is read.
"""

import inspect
import json
import math
from collections import defaultdict
from collections.abc import Collection
from functools import partial, singledispatchmethod
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from sk_autoencoder.persistence import _trust
from sk_autoencoder.persistence._trust import is_within, name_of

OURS = "sk_autoencoder"
BLANK = vars(nn.Module())  # what every module has
LEVELS = {"_modules", "_parameters", "_buffers"}  # left out of the names of arrays
NUMBERS = "biuf"  # kinds of arrays that are kept as such, of up to 8 bytes an entry
OTHERS = "OSUMm"  # kinds of arrays whose entries are kept one by one


class Plain(NamedTuple):
    """An object as plain data."""

    graph: str  # JSON
    arrays: dict[str, np.ndarray]
    is_trusted: bool  # whether it can be read without the user's word


def write(value) -> Plain:
    """Return an object as plain data.

    Raises
    ------
    TypeError
        If a part of it can only be pickled.
    """
    writer = Writer()
    try:
        graph = writer.write(value, ())
    except RecursionError as error:
        raise TypeError("This is nested too deeply to be saved as plain data.") from error
    text = json.dumps(graph, allow_nan=False, separators=(",", ":"))
    trusted = all(map(_trust.is_trusted, writer.named))
    return Plain(text, writer.arrays, trusted)


def read(graph: str, arrays: dict[str, np.ndarray], trusted: Collection[str] = ()):
    """Return the object that plain data stand for."""
    return Reader(arrays, trusted).read(json.loads(graph))


class Writer:
    """Makes plain data of objects, and collects their arrays by where they are."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.named: set = set()  # classes and functions
        self.seen: dict[int, Any] = {}  # what was written, by id
        self.alive: list = []  # so that no id is used twice

    @singledispatchmethod
    def write(self, value, path: tuple[str, ...]):
        """Return `value`, which lies at `path`, as plain data."""
        return self._once(value, path, self._write_object)

    def _once(self, value, path: tuple[str, ...], function):
        if id(value) not in self.seen:
            self.seen[id(value)] = {"same": len(self.seen)}
            self.alive.append(value)
            return function(value, path)
        return self.seen[id(value)]

    def _name(self, named, path: tuple[str, ...]) -> str:
        """Return the full name of a class or function."""
        if _trust.look_up(name_of(named)) is not named:
            self._refuse(named, path)
        self.named.add(named)
        return name_of(named)

    @staticmethod
    def _refuse(value, path: tuple[str, ...]):
        raise TypeError(
            f"{'.'.join(path) or 'This'} is {value!r:.80}, which can be pickled at most, "
            "not saved as plain data. Use joblib or skops."
        )

    def _write_object(self, value, path: tuple[str, ...]):
        written = {"object": self._name(type(value), path)}
        state = state_of(value) if hasattr(value, "__dict__") else None
        if not isinstance(state, dict):  # of slots, or of C
            self._refuse(value, path)
        written["state"] = self.write(state, path)
        if len(items := list(value) if isinstance(value, list) else []):
            written["items"] = self.write(items, path)
        return written

    @write.register(str | int | None)
    def _(self, value, path):
        return value

    @write.register(float)
    def _(self, value, path):
        return value if math.isfinite(value) else {"float": str(value)}

    @write.register(bytes)
    def _(self, value, path):
        return {"bytes": value.hex()}

    @write.register(list)
    def _(self, value, path):
        function = self._write_list if type(value) is list else self._write_object
        return self._once(value, path, function)

    def _write_list(self, value, path) -> list:
        return [self.write(each, (*path, str(i))) for i, each in enumerate(value)]

    @write.register(tuple)
    def _(self, value, path):
        items = self.write(list(value), path)
        if type(value) is not tuple:
            return {"named_tuple": self._name(type(value), path), "items": items}
        return {"tuple": items}

    @write.register(set)
    def _(self, value, path):
        return {"set": self.write(sorted(value, key=repr), path)}

    @write.register(dict)
    def _(self, value, path):
        is_default = type(value) is defaultdict and value.default_factory is dict
        if type(value) is not dict and not is_default:
            self._refuse(value, path)
        return self._once(value, path, self._write_dict)

    def _write_dict(self, value, path):
        items = [self._write_item(*item, path) for item in value.items()]
        return {"dict" if type(value) is dict else "default_dict": items}

    def _write_item(self, key, value, path) -> list:
        inner = path if key in LEVELS else (*path, str(key))
        return [self.write(key, path), self.write(value, inner)]

    @write.register(np.ndarray)
    def _(self, value, path):
        kind, size = value.dtype.kind, value.dtype.itemsize
        if type(value) not in (np.ndarray, np.memmap):
            self._refuse(value, path)
        if kind in OTHERS:
            items = self.write(value.ravel().tolist(), path)
            return {"items": items, "dtype": value.dtype.str, "shape": list(value.shape)}
        if kind not in NUMBERS or size > 8:
            self._refuse(value, path)
        return self._once(value, path, self._write_array)

    @write.register(np.ma.MaskedArray)
    def _(self, value, path):  # results of a search
        mask = np.ma.getmaskarray(value)
        return {"masked": self.write([value.data, mask, value.fill_value], path)}

    def _write_array(self, value, path):
        if value.flags.f_contiguous and not value.flags.c_contiguous:
            return {"transposed": self._keep(value.T, path)}  # sums round by the order
        return {"array": self._keep(value, path)}

    @write.register(np.generic)
    def _(self, value, path):
        if value.dtype.kind not in NUMBERS or value.dtype.itemsize > 8:
            self._refuse(value, path)
        return {"number": self.write(value.item(), path), "dtype": value.dtype.str}

    @write.register(torch.Tensor)
    def _(self, value, path):
        return self._once(value, path, self._write_tensor)

    def _write_tensor(self, value, path):
        kind = "parameter" if isinstance(value, nn.Parameter) else "tensor"
        written = {kind: self._keep(value.detach().cpu().numpy(), path)}
        if value.ndim == 2 and not value.is_contiguous() and value.T.is_contiguous():
            written["order"] = "F"
        if value.device.type != "cpu":
            written["device"] = str(value.device)
        return written | {"requires_grad": value.requires_grad}

    def _keep(self, array: np.ndarray, path: tuple[str, ...]) -> str:
        name = ".".join(path) or "array"
        while name in self.arrays:
            name += "'"
        self.arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
        return name

    @write.register(partial)
    def _(self, value, path):
        parts = [value.func, value.args, value.keywords]
        return {"partial": self.write(parts, path)}

    @write.register(type | FunctionType | BuiltinFunctionType)
    def _(self, value, path):
        return {"name": self._name(value, path)}

    @write.register(np.ufunc)
    def _(self, value, path):
        if getattr(np, value.__name__, None) is not value:
            self._refuse(value, path)
        return {"ufunc": value.__name__}

    @write.register(np.random.RandomState)
    def _(self, value, path):
        return self._once(value, path, self._write_random_state)

    def _write_random_state(self, value, path):
        return {"random_state": self.write(value.get_state(legacy=False), path)}

    @write.register(torch.device | torch.dtype)
    def _(self, value, path):
        return {type(value).__name__: str(value).removeprefix("torch.")}


def state_of(value) -> dict:
    """Return what an object is made of anew."""
    if isinstance(value, nn.Module):
        kept = vars(value).items()
        return {k: v for k, v in kept if k not in BLANK or v != BLANK[k]}
    if is_within(name_of(type(value)), OURS):
        return vars(value)
    return value.__getstate__() or {}


class Reader:
    """Makes objects of plain data."""

    def __init__(self, arrays: dict[str, np.ndarray], trusted: Collection[str]) -> None:
        self.arrays = arrays
        self.trusted = trusted
        self.made: list = []  # in the order in which they were written

    def read(self, graph):
        """Return what plain data stand for."""
        if isinstance(graph, list):
            made = self._new([])
            made.extend(self.read(each) for each in graph)
            return made
        if not isinstance(graph, dict):
            return graph
        return READERS[next(iter(graph))](self, graph)

    def _new(self, value):
        self.made.append(value)
        return value

    def _named(self, name: str):
        return _trust.find(name, self.trusted)

    def _class(self, name: str) -> type:
        found = self._named(name)
        if not isinstance(found, type):
            raise TypeError(f"{name} is not a class.")
        return found

    def _object(self, graph):
        kind = self._class(graph["object"])
        made = self._new(object_of(kind))
        state = self.read(graph["state"])
        if any(inspect.isroutine(getattr(kind, name, None)) for name in state):
            raise TypeError("A method would be replaced.")
        if "items" in graph:
            made.extend(self.read(graph["items"]))
        is_plain = isinstance(made, nn.Module) or is_within(graph["object"], OURS)
        if is_plain or not hasattr(made, "__setstate__"):
            vars(made).update(state)
        else:
            made.__setstate__(state)
        if hasattr(kind, "_restore_device"):
            kind._restore_device(made)
        return made

    def _named_tuple(self, graph):
        kind = self._class(graph["named_tuple"])
        return tuple.__new__(kind, self.read(graph["items"]))

    def _default_dict(self, graph):
        return self._fill(defaultdict(dict), graph["default_dict"])

    def _fill(self, made: dict, items):
        self._new(made)
        for key, value in items:
            made[self.read(key)] = self.read(value)
        return made

    def _items(self, graph):
        values = np.empty(len(graph["items"]), object)
        values[:] = self.read(graph["items"])
        dtype = np.dtype(graph["dtype"])
        # As long as the longest string, not as the file says.
        known = dtype.kind if dtype.kind in "SU" else dtype
        return values.astype(known).reshape(graph["shape"])

    def _masked(self, graph):
        data, mask, fill_value = self.read(graph["masked"])
        return np.ma.MaskedArray(data, mask, fill_value=fill_value)

    def _number(self, graph):
        dtype = np.dtype(graph["dtype"])
        if dtype.kind not in NUMBERS:
            raise TypeError(f"{dtype} is no type of numbers.")
        return dtype.type(self.read(graph["number"]))

    def _dtype(self, graph):
        found = getattr(torch, graph["dtype"])
        if not isinstance(found, torch.dtype):
            raise TypeError(f"{found!r} is no type of numbers.")
        return found

    def _tensor(self, graph):
        kind = next(iter(graph))
        array = self.arrays[graph[kind]]
        if not array.flags.writeable:  # a memory map
            array = array.copy()
        if graph.get("order") == "F":
            array = np.asfortranarray(array)
        tensor = torch.from_numpy(array).to(present(graph.get("device", "cpu")))
        if kind == "parameter":
            tensor = nn.Parameter(tensor, requires_grad=False)
        return self._new(tensor.requires_grad_(graph["requires_grad"]))

    def _partial(self, graph):
        function, args, keywords = self.read(graph["partial"])
        if not callable(function):
            raise TypeError(f"{function!r} is not a function.")
        return partial(function, *args, **keywords)

    def _ufunc(self, graph):
        found = getattr(np, graph["ufunc"])
        if not isinstance(found, np.ufunc):
            raise TypeError(f"{found!r} is not a function of numbers.")
        return found

    def _random_state(self, graph):
        made = self._new(np.random.RandomState())
        made.set_state(self.read(graph["random_state"]))
        return made


READERS = {
    "array": lambda self, graph: self._new(self.arrays[graph["array"]]),
    "bytes": lambda self, graph: bytes.fromhex(graph["bytes"]),
    "default_dict": Reader._default_dict,
    "device": lambda self, graph: torch.device(present(graph["device"])),
    "dict": lambda self, graph: self._fill({}, graph["dict"]),
    "dtype": Reader._dtype,
    "float": lambda self, graph: float(graph["float"]),
    "items": Reader._items,
    "masked": Reader._masked,
    "name": lambda self, graph: self._named(graph["name"]),
    "named_tuple": Reader._named_tuple,
    "number": Reader._number,
    "object": Reader._object,
    "parameter": Reader._tensor,
    "partial": Reader._partial,
    "random_state": Reader._random_state,
    "same": lambda self, graph: self.made[graph["same"]],
    "set": lambda self, graph: set(self.read(graph["set"])),
    "tensor": Reader._tensor,
    "transposed": lambda self, graph: self._new(self.arrays[graph["transposed"]].T),
    "tuple": lambda self, graph: tuple(self.read(graph["tuple"])),
    "ufunc": Reader._ufunc,
}


def object_of(kind: type):
    """Return an object of a class, without its constructor."""
    made = kind.__new__(kind)
    if isinstance(made, nn.Module):
        nn.Module.__init__(made)
    return made


def present(device: str) -> str:
    """Return `device`, or the CPU where that is not there."""
    is_there = torch.device(device).type == "cpu" or torch.cuda.is_available()
    return device if is_there else "cpu"
