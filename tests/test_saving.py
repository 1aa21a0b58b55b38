"""Files without pickle: what they keep, and what they refuse."""

import importlib
import io
import itertools
import json
import os
import pickle
import signal
import sys
import time
import warnings
from collections import namedtuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pandas as pd
import pytest
import torch
from catalogue import CATALOGUE
from catalogue import name as name_of_test
from memory import peak_memory
from sklearn import config_context
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils.metadata_routing import get_routing_for_object

from sk_autoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    TimeSeriesOutlierDetector,
    load,
    metrics,
    save,
)
from sk_autoencoder.nn import Network
from sk_autoencoder.persistence import _audit, _files

QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 2}
TREE = "sklearn.tree._tree.Tree"


class Linear(Network):
    """A network of a user's own."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = torch.nn.Linear(n_features, n_components)
        self.decode = torch.nn.Linear(n_components, n_features)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "estimator.skops"


def quick(**parameters):
    return AutoencoderTransformer(**QUICK | {"random_state": 0} | parameters)


def read(file):
    """Return the parts of a saved file, its JSON read."""
    with ZipFile(file) as archive:
        parts = {member: archive.read(member) for member in archive.namelist()}
    return parts | {"schema.json": json.loads(parts["schema.json"])}


def write(file, parts, method=ZIP_STORED):
    """Write the parts of a file, and seal it."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", method) as archive:
        for member, content in parts.items():
            is_json = isinstance(content, dict)
            archive.writestr(member, json.dumps(content) if is_json else content)
    file.write_bytes(_files._seal(buffer.getvalue()))


def forge(file, change):
    """Change the JSON of a saved estimator, and seal the file anew."""
    parts = read(file)
    parts["schema.json"] = change(parts["schema.json"]) or parts["schema.json"]
    write(file, parts)


def put(schema, node):
    """Put a node in the place of a parameter."""
    schema["content"]["content"]["activation"] = node


def node(loader, named, **rest):
    """Return JSON of a node, with an id of its own."""
    module, _, last = named.rpartition(".")
    head = {"__loader__": loader, "__module__": module, "__class__": last}
    return head | {"__id__": next(IDS)} | rest


def number(value):
    """Return JSON of a number or string."""
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


IDS = itertools.count(1)


def test_a_file_is_smaller_than_twice_the_weights(iris, file):
    autoencoder = quick(hidden_layer_sizes=(256, 128)).fit(iris)
    autoencoder.save(file)
    weights = 4 * sum(p.numel() for p in autoencoder.network_.parameters())
    assert file.stat().st_size < 1.2 * weights


def test_other_programs_read_the_weights(iris, file):
    autoencoder = quick().fit(iris)
    autoencoder.save(file)
    arrays = [np.load(io.BytesIO(v)) for k, v in read(file).items() if k[-4:] == ".npy"]
    for weight in autoencoder.network_.state_dict().values():
        assert any(np.array_equal(weight, array) for array in arrays)


@pytest.mark.parametrize("estimator", CATALOGUE[::5], ids=name_of_test)
def test_files_name_public_paths(file, estimator):
    X = np.random.default_rng(0).normal(size=(60, 6))
    save(estimator.fit(np.abs(X)), file)
    assert load(file).n_features_in_ == 6
    names = {_audit.name_of(node) for _, node in _audit.nodes(read(file)["schema.json"])}
    ours = {name for name in names if name.startswith("sk_autoencoder")}
    assert ours
    assert not [name for name in ours if "._" in name]
    assert "builtins.print" not in names  # some programs replace it


def test_what_is_not_fitted_is_saved_too(file):
    quick(n_components=3).save(file)
    loaded = load(file)
    assert loaded.n_components == 3
    with pytest.raises(NotFittedError):
        loaded.transform([[1.0]])


def test_a_pipeline_is_saved_as_a_whole(iris, file):
    y = np.repeat([0, 1, 2], 50)
    pipeline = make_pipeline(StandardScaler(), quick(), LogisticRegression()).fit(iris, y)
    save(pipeline, file)
    np.testing.assert_array_equal(
        load(file).predict_proba(iris), pipeline.predict_proba(iris)
    )


def test_parameters_come_back_as_they_were(iris, file):
    state = np.random.RandomState(3)
    odd = {"random_state": state, "lr": np.float32(0.5), "tol": float("inf")}
    autoencoder = quick(**odd, hidden_layer_sizes=[3], activation=torch.nn.ReLU)
    autoencoder.save(file)
    loaded = load(file)
    assert loaded.random_state.random() == state.random()
    assert type(loaded.lr) is np.float32
    assert loaded.tol == float("inf")
    assert loaded.hidden_layer_sizes == [3]
    assert loaded.activation is torch.nn.ReLU


def test_outputs_and_metadata_requests_come_back(iris, file):
    detector = TimeSeriesOutlierDetector(window=4, random_state=0)
    with config_context(enable_metadata_routing=True):
        detector.set_fit_request(groups=True).save(file)
        requests = get_routing_for_object(load(file)).fit.requests
    assert requests == {"groups": True}
    quick().set_output(transform="pandas").fit(iris).save(file)
    assert load(file).transform(iris).columns[0] == "autoencodertransformer0"


def test_values_of_many_digits_come_back(file):
    pca = PCA(random_state=10**70)
    pca.feature_names_in_ = np.array(["0" * 64, "sha256"], dtype=object)
    for _ in range(5):
        save(pca, file)
        assert load(file).random_state == 10**70
        assert load(file).feature_names_in_[0] == "0" * 64


def test_columns_of_a_table_are_transformed_first(file):
    table = pd.DataFrame({"a": ["x", "y", "z"] * 20, "b": np.arange(60.0)})
    numbers = make_column_selector(dtype_include=np.number)
    columns = [("a", OneHotEncoder(), ["a"]), ("b", StandardScaler(), numbers)]
    pipeline = make_pipeline(ColumnTransformer(columns), quick()).fit(table)
    save(pipeline, file)
    np.testing.assert_array_equal(load(file).transform(table), pipeline.transform(table))


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_keep_their_order_in_memory(file, order):
    pca = PCA()
    pca.components_ = np.arange(6.0).reshape(2, 3).copy(order)
    pca.twice_ = pca.components_
    save(pca, file)
    loaded = load(file)
    assert loaded.components_.flags[f"{order}_CONTIGUOUS"]
    np.testing.assert_array_equal(loaded.components_, pca.components_)
    assert loaded.twice_ is loaded.components_


def test_steps_that_apply_a_function_of_numpy_come_back(iris, file):
    pipeline = make_pipeline(FunctionTransformer(np.log1p, np.expm1), quick()).fit(iris)
    save(pipeline, file)
    np.testing.assert_array_equal(load(file).transform(iris), pipeline.transform(iris))
    text = json.dumps(read(file)["schema.json"])
    forge(file, lambda schema: json.loads(text.replace('"log1p"', '"load"')))
    with pytest.raises(
        ValueError, match=r"names numpy\.(\S+\.)?load, which is not trusted"
    ):
        load(file)


def test_feature_names_come_back(file):
    from sklearn.datasets import load_iris

    X = load_iris(as_frame=True).data
    detector = AutoencoderOutlierDetector(quick()).fit(X)
    detector.save(file)
    loaded = load(file)
    assert list(loaded.feature_names_in_) == list(X.columns)
    assert loaded.explain(X).equals(detector.explain(X))


def test_a_network_of_the_users_own_has_to_be_trusted(iris, file):
    autoencoder = quick(network=Linear).fit(iris)
    expected = autoencoder.transform(iris)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(autoencoder)).transform(iris), expected
    )
    autoencoder.save(file)
    name = f"{Linear.__module__}.Linear"
    with pytest.raises(ValueError, match=f"names {name}, which is not trusted"):
        load(file)
    for trusted in (name, Linear):
        loaded = load(file, trusted=[trusted])
        np.testing.assert_array_equal(loaded.transform(iris), expected)


def test_trees_have_to_be_trusted(iris, file):
    detector = AutoencoderOutlierDetector(IsolationForest(n_estimators=2)).fit(iris)
    detector.save(file)
    with pytest.raises(ValueError, match=f"names {TREE}, which is not trusted"):
        load(file)
    loaded = load(file, trusted=[TREE])
    np.testing.assert_array_equal(loaded.predict(iris), detector.predict(iris))


class Pair(namedtuple("Parent", "a b")):
    """What skops would turn into a tuple."""


def local_function():
    def quick():  # as a function of this module
        pass

    return quick


def cycle():
    """Return a list that holds itself."""
    values = []
    values.append(values)
    return values


UNSAVED = {
    "lambda": lambda n_features, n_components: Linear(4, 2),
    "local": local_function(),
    "generator": (i for i in range(3)),
    "number": 1j,
    "dtype": torch.float32,
    "subclass": Pair(1, 2),
    "keys": {(1, 2): 3},
    "truth": {True: 1},
    "collision": {1: 2, "1": 3},
    "cycle": cycle(),
    "bfloat16": torch.zeros(2, dtype=torch.bfloat16),
}


@pytest.mark.parametrize("value", UNSAVED.values(), ids=UNSAVED)
def test_what_can_only_be_pickled_is_named(file, value):
    pca = PCA()
    pca.odd_ = [0, {"a": value}]
    file.write_bytes(b"before")
    with pytest.raises(TypeError, match=r"odd_\.1\.a.* is .*can be pickled at most"):
        save(make_pipeline(pca, quick()), file)
    assert file.read_bytes() == b"before"
    assert list(file.parent.iterdir()) == [file]


NAMES = [
    "os.system",
    "builtins.eval",
    "marker.Marker",
    "torch.load",
    "torch.nn.modules.module.torch",
    "numpy.f2py.__main__.main",
    "sklearn.utils.fixes.Path",
    "skorch.callbacks.training.pickle",
    "skorch.callbacks.training.LoadInitState",
    "skorch.callbacks.training.Checkpoint",
    "skorch.net.NeuralNet",
    "sk_autoencoder.load",
    "sk_autoencoder.persistence._files.Path",
    "sk_autoencoder.persistence._files.load",
    "sk_autoencoder.compression._codec.hashlib",
]


@pytest.mark.parametrize("named", NAMES)
@pytest.mark.parametrize("loader", ["TypeNode", "FunctionNode", "ObjectNode"])
def test_a_file_runs_no_code(file, loader, named, tmp_path, monkeypatch):
    (tmp_path / "marker.py").write_text("class Marker: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    quick().save(file)
    forge(file, lambda schema: put(schema, node(loader, named, content=number(None))))
    with pytest.raises(ValueError, match=f"names {named}, which is not trusted"):
        load(file)
    assert not {"marker", "numpy.f2py.__main__"} & {*sys.modules}


PRINT = node("TypeNode", "builtins.print")
STRING = node("TypeNode", "builtins.str")


def a_list(*items, named="builtins.list"):
    return node("ListNode", named, content=list(items))


def a_tuple(*items):
    return node("TupleNode", "builtins.tuple", content=list(items))


def a_dict(types=None, named="builtins.dict", **items):
    types = types or a_list(*[STRING] * len(items))
    return node("DictNode", named, content=items, key_types=types)


def a_partial(function, *args):
    parts = {"func": function, "args": a_tuple(*args), "kwds": a_dict()}
    content = parts | {"namespace": number(None)}
    return node("PartialNode", "functools.partial", content=content)


def an_object(named, **state):
    return node("ObjectNode", named, content=a_dict(**state))


def reduced(loader, named):
    args = {"args": a_tuple(number("called"))}
    return node(loader, named, __reduce__=args, content=a_dict())


IDENTITY = "torch.nn.modules.linear.Identity"
PRINTS = a_list(PRINT)
# Nodes that call what they name, most with a function that is trusted to be named.
DOORS = {
    "list": a_list(number("called"), named="builtins.print"),
    "set": node("SetNode", "builtins.print", content=[number("called")]),
    "dict": a_dict(named="builtins.print"),
    "key": a_dict(a_list(PRINT), called=number(1)),
    "key by id": a_list(PRINTS, a_dict(PRINTS, called=number(1))),
    "key of another list": a_list(
        PRINTS, a_dict(a_list(STRING) | {"__id__": PRINTS["__id__"]}, called=number(1))
    ),
    "key of another name": a_list(
        PRINT, a_dict(a_list(STRING | {"__id__": PRINT["__id__"]}), called=number(1))
    ),
    "key list by id": a_list(
        PRINTS, a_dict({"__id__": PRINTS["__id__"], "content": [STRING]}, called=number(1))
    ),
    "constructor": node(
        "ConstructorFromReduceNode", "builtins.print", content=a_tuple(number("called"))
    ),
    "loss": reduced("LossNode", "builtins.print"),
    "tree": reduced("TreeNode", TREE),
    "random state": node("RandomStateNode", "builtins.print", content=a_dict()),
    "generator": node(
        "RandomGeneratorNode",
        "builtins.print",
        content={
            "bit_generator": a_dict(bit_generator=number("PCG64")),
            "seed_seq": a_dict(),
        },
    ),
    "array": node(
        "NdArrayNode", "builtins.print", type="json", content=[], shape=a_tuple(number(0))
    ),
    "method": node(
        "MethodNode",
        IDENTITY,
        content={"obj": an_object(IDENTITY), "func": "requires_grad_"},
    ),
    "operator": node("OperatorFuncNode", "operator.call", attrs=a_tuple(PRINT)),
    "partial": a_partial(node("FunctionNode", "os.system"), number("true")),
    "copy": an_object(IDENTITY, __reduce_ex__=a_partial(PRINT, number("called"))),
    "state": an_object(IDENTITY, __getstate__=a_partial(PRINT, number("called"))),
    "held": an_object("sk_autoencoder.persistence.HeldObject", kind=PRINT, state=a_dict()),
    "net": an_object("skorch.net.NeuralNet", __cuda_dependent_attributes__=number(1)),
}


def test_nodes_of_an_older_protocol_are_told(file):
    quick().save(file)
    path = {"module_path": "os", "function": "system"}
    forge(file, lambda schema: put(schema, node("FunctionNode", IDENTITY, content=path)))
    forge(file, lambda schema: schema | {"protocol": 0})
    with pytest.raises(ValueError, match="damaged: its nodes are older"):
        load(file)


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_forged_node_calls_nothing(file, door, capsys):
    quick().save(file)
    forge(file, lambda schema: put(schema, door))
    with pytest.raises(ValueError, match=r"not trusted|damaged"):
        load(file)
    assert not capsys.readouterr().out


def header(descr, shape):
    """Return an array in numpy's format without its entries."""
    buffer = io.BytesIO()
    fields = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def an_array(named="numpy.ndarray", file="a.npy"):
    return node("NdArrayNode", named, type="numpy", file=file)


def saved(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


BOMBS = {
    "a long string": (header("<U300000000", (1,)), [an_array()]),
    "a long row": (header("|V2000000000", ()), [an_array()]),
    "many rows": (header("<f8", (200_000_000, 4)), [an_array()]),
    "rows of nothing": (header("|V0", (10**15,)), [an_array()]),
    "a large number": (saved(np.array(10**9)), [an_array("numpy.void")]),
    "many readers": (saved(np.zeros(10**5)), [an_array() for _ in range(500)]),
    "a reader without an id": (
        saved(np.zeros(10**5)),
        [an_array() | {"__id__": None} for _ in range(500)],
    ),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_file_takes_no_more_memory_than_it_has(file, bomb):
    quick().save(file)
    parts = read(file) | {"a.npy": bomb[0]}
    put(parts["schema.json"], a_list(*bomb[1]))
    write(file, parts)

    def refuse():
        with pytest.raises(ValueError, match="damaged"):
            load(file)

    assert peak_memory(refuse) < 10_000_000


@pytest.mark.parametrize("member", ["schema.json", "a.npy"])
def test_a_file_is_not_compressed_too_far(file, member):
    quick().save(file)
    parts = read(file)
    parts |= {"a.npy": saved(np.zeros(10))} if member == "a.npy" else {}
    parts["schema.json"]["more"] = "0" * 10**6 * (member != "a.npy")
    write(file, parts, ZIP_DEFLATED)
    with pytest.raises(ValueError, match=f"damaged: {member} is compressed"):
        load(file)


@pytest.mark.parametrize("scoring", [None, metrics.reconstruction_r2_scorer])
def test_a_search_is_saved_with_its_results(iris, file, scoring):
    grid = [{"n_components": [1, 2]}, {"lr": [1e-3]}]
    search = GridSearchCV(quick(), grid, cv=KFold(2), scoring=scoring).fit(iris)
    save(search, file)
    loaded = load(file)
    np.testing.assert_array_equal(loaded.transform(iris), search.transform(iris))
    for name, values in search.cv_results_.items():
        np.testing.assert_array_equal(loaded.cv_results_[name], values)
        assert type(loaded.cv_results_[name]) is type(values)


def test_what_is_shared_stays_shared(file):
    state, shared = np.random.RandomState(0), [1, 2]
    steps = [quick(random_state=state, hidden_layer_sizes=shared) for _ in range(2)]
    save(make_pipeline(*steps), file)
    first, second = (step for _, step in load(file).steps)
    assert first.random_state is second.random_state
    assert first.hidden_layer_sizes is second.hidden_layer_sizes


ODD = [np.longdouble(1), np.datetime64(1, "ns"), np.zeros(1, "f8,i4")]


@pytest.mark.parametrize("odd", [*ODD, 1j, cycle()], ids=lambda v: type(v).__name__)
def test_pickle_keeps_what_is_odd(iris, odd):
    autoencoder = quick().fit(iris)
    autoencoder.odd_ = odd
    copied = pickle.loads(pickle.dumps(autoencoder))
    assert repr(copied.odd_) == repr(odd)
    np.testing.assert_array_equal(copied.transform(iris), autoencoder.transform(iris))


@pytest.mark.parametrize("odd", ODD, ids=lambda value: type(value).__name__)
def test_files_keep_what_numpy_keeps(file, odd):
    pca = PCA()
    pca.odd_ = odd
    save(pca, file)
    assert repr(load(file).odd_) == repr(odd)


def test_a_module_is_imported_when_it_is_trusted(file, tmp_path, monkeypatch):
    (tmp_path / "marker_2.py").write_text("class Marker: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    marker = importlib.import_module("marker_2").Marker
    quick(activation=marker).save(file)
    del sys.modules["marker_2"]
    assert load(file, trusted=["marker_2.Marker"]).activation.__name__ == "Marker"


def test_another_version_is_told(file, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(_files, "__version__", "0.0.1")
        quick().save(file)
    with pytest.warns(UserWarning, match=r"written by sk_autoencoder 0\.0\.1"):
        load(file)
    monkeypatch.setattr(_files, "FORMAT", "sk_autoencoder 3")
    with pytest.raises(ValueError, match="has the format 'sk_autoencoder 2'"):
        load(file)


@pytest.mark.parametrize("content", [b"", b"\x02\0\0\0\0\0\0\0{}", b"PK\3\4", b"[" * 9_999])
def test_another_file_is_told(file, content):
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is not a file that save of sk_autoencoder"):
        load(file)


def cut(blob, rng):
    return blob[: rng.integers(len(blob))]


def flip(blob, rng):
    where = rng.integers(len(blob))
    return blob[:where] + bytes([blob[where] ^ (1 << rng.integers(8))]) + blob[where + 1 :]


def insert(blob, rng):
    where = rng.integers(len(blob))
    return blob[:where] + rng.bytes(rng.integers(1, 20)) + blob[where:]


def swap(blob, rng):
    first, second = np.sort(rng.integers(len(blob), size=2))
    return blob[second:] + blob[first:second] + blob[:first]


@pytest.mark.parametrize("damage", [cut, flip, insert, swap])
def test_a_damaged_file_is_told(iris, file, damage):
    quick().fit(iris).save(file)
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    damaged = file.with_name("damaged")
    for _ in range(250):
        found = damage(whole, rng)
        if found == whole:
            continue
        damaged.write_bytes(found)
        with pytest.raises(
            ValueError, match=r"damaged|not a file that save|has the format"
        ):
            load(damaged)


def places(graph):
    """Yield each list and dict of JSON, with the keys of its parts."""
    if not isinstance(graph, list | dict):
        return
    for key, part in list(graph.items() if isinstance(graph, dict) else enumerate(graph)):
        yield graph, key
        yield from places(part)


def test_a_forged_file_is_told_or_read(iris, file):
    quick().fit(iris).save(file)
    parts, rng, n_told = read(file), np.random.default_rng(0), 0
    text = json.dumps(parts["schema.json"])
    junk = [None, 3, "name", [], {}, PRINT, STRING, {"__id__": 1}, *DOORS.values()]
    for _ in range(20):
        parts["schema.json"] = json.loads(text)
        options = list(places(parts["schema.json"]))
        where, key = options[rng.integers(len(options))]
        where[key] = junk[rng.integers(len(junk))]
        write(file, parts)
        try:
            load(file)
        except ValueError:  # a warning of scikit-learn's, say, would fail the test
            n_told += 1
    assert n_told > 6


def test_a_file_from_a_gpu_is_read_without_one(iris, file, monkeypatch):
    quick().fit(iris).save(file)
    text = json.dumps(read(file)["schema.json"]).replace(r"\"cpu\"", r"\"cuda:0\"")
    assert text.count("cuda:0") > 10
    forge(file, lambda schema: json.loads(text))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = load(file)
    assert loaded.net_.device == "cpu"
    assert loaded.transform(iris).shape == (150, 2)


def test_a_file_that_cannot_be_written_leaves_the_old_one(file, monkeypatch):
    def fail(descriptor):
        raise OSError("No space left on device")

    quick(n_components=3).save(file)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        quick().save(file)
    assert load(file).n_components == 3
    assert list(file.parent.iterdir()) == [file]


def test_a_killed_process_leaves_a_whole_file(file):
    save(PCA(), file)
    for _ in range(5):
        with warnings.catch_warnings(action="ignore"):  # threads do not outlive a fork
            child = os.fork()
        while not child:
            save(PCA(), file)
        time.sleep(0.05)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert isinstance(load(file), PCA)


def test_mode_and_links_of_a_file_stay(file):
    link = file.with_name("link")
    link.symlink_to(file.name)
    quick().save(link)
    umask = os.umask(0)
    os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask
    file.chmod(0o640)
    quick(n_components=3).save(link)
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert load(file).n_components == 3


class Odd(Network):
    """A network with tensors of many kinds, and a layer that has two names."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = torch.nn.Linear(n_features, n_components)
        self.decode = torch.nn.Linear(n_components, n_features)
        self.again = self.decode
        self.register_buffer(
            "maps", torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last)
        )
        self.frozen = torch.nn.Parameter(torch.zeros(2, 3).T, requires_grad=False)
        self.constant = torch.arange(3)
        self.myself = [self.encode]
        self.lstm = torch.nn.LSTM(2, 2)


def test_tensors_come_back_as_they_were(iris, file):
    autoencoder = quick(network=Odd).fit(iris)
    autoencoder.save(file)
    for copied in (load(file, trusted=[Odd]), pickle.loads(pickle.dumps(autoencoder))):
        before, after = autoencoder.network_, copied.network_
        assert after.again is after.decode
        assert after.myself[0] is after.encode
        assert not after.frozen.requires_grad
        assert isinstance(after.frozen, torch.nn.Parameter)
        assert torch.equal(after.constant, torch.arange(3))
        tensors = (before.state_dict(), after.state_dict())
        for first, second in zip(*(each.values() for each in tensors), strict=True):
            assert torch.equal(first, second)
            assert first.stride() == second.stride()


def test_scikit_learns_callbacks_end_where_a_wrapper_fits(iris):
    imputer = AutoencoderImputer(random_state=0).fit(iris)
    detector = AutoencoderOutlierDetector(random_state=0).fit(iris)
    for wrapper in (imputer, detector):
        assert not hasattr(wrapper.autoencoder_, "_callback_fit_ctx")


def test_skops_is_an_extra(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ImportError, match=r"sk-autoencoder\[save\]"):
        save(PCA(), file)
