"""Files without pickle: what they keep, and what they refuse."""

import hashlib
import importlib
import json
import pickle
import sys

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
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
from sk_autoencoder.persistence import _files as _saving
from sk_autoencoder.persistence import _plain

QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 2}


class Linear(Network):
    """A network of a user's own."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = torch.nn.Linear(n_features, n_components)
        self.decode = torch.nn.Linear(n_components, n_features)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "estimator.safetensors"


def quick(**parameters):
    return AutoencoderTransformer(**QUICK | {"random_state": 0} | parameters)


def forge(file, change):
    """Change the JSON of a saved estimator, and sign the file anew."""
    blob = file.read_bytes()
    length = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + length])
    metadata = header["__metadata__"]
    metadata["estimator"] = change(metadata["estimator"])
    metadata["digest"] = _saving.UNSIGNED
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    blob = len(text).to_bytes(8, "little") + text + blob[8 + length :]
    digest = hashlib.sha256(blob).hexdigest().encode()
    file.write_bytes(blob.replace(_saving.UNSIGNED.encode(), digest, 1))


def test_a_file_is_smaller_than_twice_the_weights(iris, file):
    autoencoder = quick(hidden_layer_sizes=(256, 128)).fit(iris)
    autoencoder.save(file)
    weights = 4 * sum(p.numel() for p in autoencoder.network_.parameters())
    assert file.stat().st_size < 1.2 * weights


def test_other_programs_find_the_weights_by_name(iris, file):
    from safetensors.torch import load_file

    autoencoder = quick().fit(iris)
    autoencoder.save(file)
    found = load_file(file)
    for name, weight in autoencoder.network_.state_dict().items():
        assert torch.equal(found[f"net_.module.network.{name}"], weight)


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
    forge(file, lambda text: text.replace('"log1p"', '"load"'))
    with pytest.raises(ValueError, match="damaged"):
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


@pytest.mark.parametrize(
    ("estimator", "where"),
    [
        (quick(network=lambda n_features, n_components: Linear(4, 2)), "network is <func"),
        (AutoencoderOutlierDetector(IsolationForest(n_estimators=2)), r"estimators_\.0"),
    ],
)
def test_what_can_only_be_pickled_is_named(iris, file, estimator, where):
    with pytest.raises(TypeError, match=f"{where}.*can be pickled at most"):
        estimator.fit(iris).save(file)
    assert not file.exists()


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "marker.Marker",
        "torch.load",
        "torch.nn.modules.module.torch.load",
        "sklearn.utils.fixes.Path",
        "skorch.callbacks.training.pickle.loads",
        "sk_autoencoder.persistence._files.Path",
        "sk_autoencoder.persistence._files.load",
        "skorch.callbacks.training.LoadInitState",
        "skorch.callbacks.training.Checkpoint",
        "sk_autoencoder.compression._codec.hashlib.sha256",
    ],
)
def test_a_file_runs_no_code(iris, file, name, tmp_path, monkeypatch):
    (tmp_path / "marker.py").write_text("class Marker: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    quick(activation="relu").save(file)
    forge(file, lambda text: text.replace('"relu"', json.dumps({"name": name})))
    with pytest.raises(ValueError, match=f"names {name}, which is not trusted"):
        load(file)
    assert "marker" not in sys.modules
    forge(file, lambda text: text.replace('"name"', '"partial"'))
    with pytest.raises(ValueError, match="damaged"):
        load(file)


def an_object(name, **state):
    """Return JSON that stands for an object of a class with that state."""
    return {"object": name, "state": {"dict": [[k, v] for k, v in state.items()]}}


def a_partial(function, *args):
    """Return JSON that stands for a partial function."""
    return {"partial": [function, {"tuple": list(args)}, {"dict": []}]}


IDENTITY = "torch.nn.modules.linear.Identity"
FORGED = {
    "a hook": an_object(IDENTITY, _restore_device=a_partial({"name": "os.system"}, "true")),
    "a reader": an_object(IDENTITY, x={"name": "sk_autoencoder.persistence._plain.read"}),
    "a finder": an_object(
        IDENTITY, x={"name": "sk_autoencoder.persistence._trust.look_up"}
    ),
    "a method": an_object(
        IDENTITY, x={"name": "sk_autoencoder.persistence._files.Savable.save"}
    ),
    "a dtype": an_object(IDENTITY, x=a_partial({"dtype": "load"}, "file")),
    "a module": an_object(IDENTITY, x={"dtype": "os"}),
    "a method replaced": an_object(IDENTITY, forward={"name": IDENTITY}),
    "a long string": {"items": ["a"], "dtype": "<U300000000", "shape": [1]},
    "a large number": {"number": 10**9, "dtype": "V8"},
    "no estimator": an_object(IDENTITY),
    "a number": 3,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_object_is_told(file, forged):
    quick().save(file)
    forge(file, lambda text: json.dumps(forged))
    with pytest.raises(ValueError, match=r"not trusted|damaged"):
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


def cycle():
    """Return a list that holds itself."""
    found = []
    found.append(found)
    return found


ODD = [np.longdouble(1), np.datetime64(1, "ns"), np.zeros(1, "f8,i4"), 1j, cycle()]


@pytest.mark.parametrize("odd", ODD, ids=lambda value: type(value).__name__)
def test_pickle_keeps_what_plain_data_cannot(iris, file, odd):
    autoencoder = quick().fit(iris)
    autoencoder.odd_ = odd
    copied = pickle.loads(pickle.dumps(autoencoder))
    assert repr(copied.odd_) == repr(odd)
    np.testing.assert_array_equal(copied.transform(iris), autoencoder.transform(iris))
    if not isinstance(odd, list):
        with pytest.raises(TypeError, match=r"odd_ is .*can be pickled at most"):
            autoencoder.save(file)


def test_a_module_is_imported_when_it_is_trusted(file, tmp_path, monkeypatch):
    (tmp_path / "marker_2.py").write_text("class Marker: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    marker = importlib.import_module("marker_2").Marker
    quick(activation=marker).save(file)
    del sys.modules["marker_2"]
    assert load(file, trusted=["marker_2.Marker"]).activation.__name__ == "Marker"


def test_another_version_is_told(file, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(_saving, "__version__", "0.0.1")
        quick().save(file)
    with pytest.warns(UserWarning, match=r"written by sk_autoencoder 0\.0\.1"):
        load(file)
    monkeypatch.setattr(_saving, "FORMAT", "sk_autoencoder 2")
    with pytest.raises(ValueError, match="has the format 'sk_autoencoder 1'"):
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
    for _ in range(500):
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
    whole, rng, n_told = file.read_bytes(), np.random.default_rng(0), 0
    junk = [None, 3, "name", [], {}, {"name": "os.system"}, {"same": 0}, {"array": "x"}]
    junk += [{"partial": [1, 2, 3]}, {"same": -1}, {"object": "sklearn.base.BaseEstimator"}]

    def change(text):
        graph = json.loads(text)
        found = list(places(graph))
        where, key = found[rng.integers(len(found))]
        where[key] = junk[rng.integers(len(junk))]
        return json.dumps(graph)

    for _ in range(300):
        file.write_bytes(whole)
        forge(file, change)
        try:
            load(file)
        except ValueError:  # a warning of scikit-learn's, say, would fail the test
            n_told += 1
    assert n_told > 100


def test_a_file_from_a_gpu_is_read_without_one(iris, monkeypatch):
    plain = _plain.write(quick().fit(iris))
    there = plain.graph.replace('"requires_grad"', '"device":"cuda:0","requires_grad"')
    there = there.replace('["device","cpu"]', '["device","cuda:0"]')
    assert there.count("cuda:0") > 10
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = _plain.read(there, plain.arrays)
    assert loaded.net_.device == "cpu"
    assert loaded.transform(iris).shape == (150, 2)


def test_scikit_learns_callbacks_end_where_a_wrapper_fits(iris):
    imputer = AutoencoderImputer(random_state=0).fit(iris)
    detector = AutoencoderOutlierDetector(random_state=0).fit(iris)
    for wrapper in (imputer, detector):
        assert not hasattr(wrapper.autoencoder_, "_callback_fit_ctx")


def test_safetensors_is_an_extra(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-autoencoder\[save\]"):
        save(PCA(), file)
