"""Rows that are read in chunks: dask, zarr, h5py, pyarrow, polars and Chunks."""

import pickle
import weakref

import dask.array as da
import dask.dataframe as dd
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
import zarr
from catalogue import (
    AUTOENCODERS,
    CATALOGUE,
    ONE_OF_EACH_KIND,
    PLAIN,
    fit_once,
    in_turn,
    label,
    one_of_each,
    quick,
)
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.utils import get_tags
from skorch.callbacks import Callback
from torch.utils.data import DataLoader

from sk_autoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    SparseAutoencoder,
    TimeSeriesOutlierDetector,
    VAETransformer,
)
from sk_autoencoder.core import _lazy_rows
from sk_autoencoder.core._lazy_rows import draw_sample
from sk_autoencoder.core._recipe import N_LOOKS, count_steps
from sk_autoencoder.streaming import Chunks, has_missing_cells

N_ROWS, N_COLUMNS, CHUNK = 700, 6, 150
NAMES = [f"x{i}" for i in range(N_COLUMNS)]
METHODS = ("transform", "reconstruct", "score_samples", "decision_function", "predict")
# One that is an autoencoder, and one of each class around them.
ONE_OF_EACH_BASE = [PLAIN, *(e for e in ONE_OF_EACH_KIND if e not in AUTOENCODERS)]
IN_ORDER = [each for each in CATALOGUE if type(each) is TimeSeriesOutlierDetector]


def make_rows(n_rows=N_ROWS, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.tanh(rng.normal(size=(n_rows, 3)) @ rng.normal(size=(3, N_COLUMNS)))
    return (rows + 0.1 * rng.normal(size=rows.shape)).astype(np.float32)


X = make_rows()


def rows_for(estimator):
    """Return rows that a loss of shares takes too."""
    return abs(X) if get_tags(estimator).input_tags.positive_only else X


def in_chunks(rows, size=CHUNK):
    return Chunks(lambda: (rows[i : i + size] for i in range(0, len(rows), size)))


def as_zarr(rows, folder):
    array = zarr.create_array(
        folder / "x.zarr", shape=rows.shape, chunks=(CHUNK, 4), dtype=rows.dtype
    )
    array[:] = rows
    return array


def as_h5py(rows, folder):
    file = h5py.File(folder / "x.h5", "w")
    return file.create_dataset("x", data=rows, chunks=(CHUNK, 4))


def as_parquet(rows, folder):
    table = pa.Table.from_pandas(pd.DataFrame(rows, columns=NAMES))
    pa.parquet.write_table(table, folder / "x.parquet", row_group_size=CHUNK)
    return pa.dataset.dataset(folder / "x.parquet")


LAZY = {
    "Chunks": lambda rows, folder: in_chunks(rows),
    "dask array": lambda rows, folder: da.from_array(rows, chunks=(CHUNK, 4)),
    "h5py": as_h5py,
    "zarr": as_zarr,
    "dask frame": lambda rows, folder: dd.from_pandas(
        pd.DataFrame(rows, columns=NAMES), npartitions=5
    ),
    "polars": lambda rows, folder: pl.LazyFrame(rows, schema=NAMES),
    "pyarrow": as_parquet,
}
FRAMES = ("dask frame", "polars", "pyarrow")


@pytest.fixture
def little_memory(monkeypatch):
    """Samples and buffers of less than the rows of X."""
    monkeypatch.setattr(_lazy_rows, "SAMPLE_BYTES", 300 * 4 * N_COLUMNS)
    monkeypatch.setattr(_lazy_rows, "BUFFER_BYTES", 200 * 4 * N_COLUMNS)
    monkeypatch.setattr(_lazy_rows, "MIN_SAMPLE_ROWS", 100)


def read(result):
    """Return a result as an array; lazy ones are computed, and sparse ones made dense."""
    result = result.compute() if hasattr(result, "compute") else result
    return result.toarray() if issparse(result) else np.asarray(result)


# Using


@pytest.mark.parametrize("kind", LAZY)
def test_results_of_chunks_are_those_of_rows_in_memory(kind, tmp_path):
    lazy, rows = LAZY[kind](X, tmp_path), X
    if kind in FRAMES:
        rows = pd.DataFrame(X, columns=NAMES)
    model = fit_once(PLAIN, rows)
    codes = model.transform(lazy)
    is_dask = kind.startswith("dask")
    assert isinstance(codes, da.Array if is_dask else np.ndarray)
    assert kind in FRAMES or codes.dtype == np.float32
    np.testing.assert_allclose(read(codes), model.transform(rows), atol=1e-6)
    errors = model.score_samples(lazy)
    assert isinstance(errors, da.Array if is_dask else np.ndarray)
    np.testing.assert_allclose(read(errors), model.score_samples(rows), rtol=1e-5)
    restored = read(model.reconstruct(lazy))
    np.testing.assert_allclose(restored, model.reconstruct(rows), atol=1e-6)
    np.testing.assert_allclose(model.score(lazy), model.score(rows))


@pytest.mark.parametrize("estimator", one_of_each(CATALOGUE, ONE_OF_EACH_BASE), ids=label)
def test_every_estimator_takes_chunks(estimator):
    rows = rows_for(estimator)
    model = fit_once(estimator, rows)
    if estimator in IN_ORDER:
        with pytest.raises(TypeError, match="does not read in chunks"):
            model.score_samples(in_chunks(rows))
        return
    tables = {"Chunks": in_chunks(rows), "dask": da.from_array(rows, chunks=(CHUNK, -1))}
    for method in METHODS:
        if not hasattr(model, method):
            continue
        expected = getattr(model, method)(rows)
        for kind, lazy in tables.items():
            result = getattr(model, method)(lazy)
            assert type(result) is (da.Array if kind == "dask" else type(expected))
            assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
            np.testing.assert_allclose(read(result), read(expected), atol=2e-5, rtol=1e-4)
    if hasattr(model, "score"):
        expected = model.score(rows)
        np.testing.assert_allclose(model.score(tables["dask"]), expected, rtol=1e-5)


def test_a_dask_array_gives_a_lazy_dask_array():
    blocks = []

    def block(rows):
        blocks.append(len(rows))
        return rows

    lazy = da.from_array(X, chunks=(CHUNK, 4)).map_blocks(block, meta=X[:0])
    model = clone(PLAIN).fit(X)
    codes = model.transform(lazy)
    decoded = model.inverse_transform(codes)
    assert not blocks
    assert codes.chunks == (lazy.chunks[0], (model.n_components_,))
    assert decoded.chunks == (lazy.chunks[0], (N_COLUMNS,))
    expected = model.inverse_transform(model.transform(X))
    model.set_params(n_components=1).fit(X[:100])  # changes no result that is on its way
    np.testing.assert_allclose(decoded.compute(), expected, atol=1e-6)


def test_dask_arrays_of_unknown_length_and_with_empty_blocks():
    model, lazy = fit_once(PLAIN, X), da.from_array(X, chunks=(CHUNK, -1))
    some = lazy[lazy[:, 0] > 0.9]
    expected = model.transform(X[X[:, 0] > 0.9])
    np.testing.assert_allclose(model.transform(some).compute(), expected, atol=1e-6)


def test_weights_of_rows_count_in_the_score_of_chunks():
    model, weight = fit_once(PLAIN, X), np.arange(N_ROWS) % 3
    expected = model.score(X, sample_weight=weight)
    np.testing.assert_allclose(model.score(in_chunks(X), sample_weight=weight), expected)
    with pytest.raises(ValueError, match="sample_weight has 701 entries, and X 700 rows"):
        model.score(in_chunks(X), sample_weight=np.ones(701))


def test_a_false_discovery_rate_holds_over_all_chunks():
    model = fit_once(AutoencoderOutlierDetector(random_state=0), X)
    odd = np.concatenate([X, 5 + X[:20]])
    expected = model.predict(odd, false_discovery_rate=0.2)
    assert (expected < 0).sum() >= 20
    for lazy in (in_chunks(odd), da.from_array(odd, chunks=(CHUNK, -1))):
        labels = model.predict(lazy, false_discovery_rate=0.2)
        np.testing.assert_array_equal(labels, expected)


def make_table(n_rows=N_ROWS):
    rng = np.random.default_rng(1)
    size = rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "size": size,
            "weight": size + 0.2 * rng.normal(size=n_rows),
            "kind": np.where(size + 0.3 * rng.normal(size=n_rows) > 0, "big", "small"),
        }
    )


def test_frames_with_categories_give_frames():
    table = make_table()
    lazy = dd.from_pandas(table, npartitions=4)
    model = fit_once(PLAIN, table)
    pd.testing.assert_frame_equal(
        model.reconstruct(lazy).compute(), model.reconstruct(table)
    )
    query = pl.LazyFrame(table.to_dict("list"))
    pd.testing.assert_frame_equal(model.reconstruct(query), model.reconstruct(table))


class Tracked:
    """Chunks of which it is known how many are in memory."""

    def __init__(self, rows):
        self.rows, self.alive, self.largest = rows, weakref.WeakSet(), 0

    def __call__(self):
        for i in range(0, len(self.rows), CHUNK):
            chunk = self.rows[i : i + CHUNK].copy().view(Piece)
            self.alive.add(chunk)
            self.largest = max(self.largest, len(self.alive))
            yield chunk
            del chunk


class Piece(np.ndarray):
    """An array that a weak set takes."""

    __hash__ = object.__hash__


def test_chunks_are_not_kept(little_memory):
    tracked = Tracked(make_rows(20 * CHUNK))
    model = clone(PLAIN).fit(Chunks(tracked))
    model.transform(Chunks(tracked))
    model.score(Chunks(tracked))
    assert tracked.largest <= 3


# What cannot be read in chunks


def refused():
    table = pa.table({"a": [1.0, 2.0]})
    yield (row for row in X), r"gives|Chunks\(lambda"
    yield iter([X]), r"Chunks\(lambda"
    yield table.to_reader(), "Dataset that it reads, or Chunks"
    yield DataLoader(X), r"Chunks\(lambda: \(rows.numpy\(\) for rows in loader\)\)"


def test_rows_that_come_once_are_refused_and_the_error_says_what_to_do():
    model = fit_once(PLAIN, X)
    for rows, remedy in refused():
        for use in (clone(PLAIN).fit, model.transform, model.score):
            with pytest.raises(TypeError, match=remedy):
                use(rows)
    with pytest.raises(TypeError, match=r"Chunks\(lambda: read_chunks\(\)\)"):
        Chunks(row for row in X)


def test_methods_that_read_no_chunks_say_so():
    explain = fit_once(AutoencoderOutlierDetector(random_state=0), X).explain
    for use in (clone(PLAIN).partial_fit, explain):
        with pytest.raises(TypeError, match=r"X.compute\(\)"):
            use(da.from_array(X))


def test_chunks_of_the_wrong_shape_are_refused(tmp_path):
    with pytest.raises(ValueError, match="has 6 columns, and n_features=5"):
        clone(PLAIN).fit(Chunks(lambda: [X], n_features=5))
    with pytest.raises(ValueError, match="gave 700 rows, and 600 were expected"):
        clone(PLAIN).fit(Chunks(lambda: [X], n_rows=600))
    model = fit_once(PLAIN, X)
    with pytest.raises(ValueError, match="gave 700 rows, and 710 were expected"):
        model.transform(Chunks(lambda: [X], n_rows=710))
    with pytest.raises(ValueError, match="Expected 2D array, got 3D"):
        clone(PLAIN).fit(da.zeros((10, 2, 2)))
    for use in (clone(PLAIN).fit, model.transform):
        with pytest.raises(ValueError, match="0 sample"):
            use(Chunks(list))
    with pytest.raises(ValueError, match="has 5 features, but"):
        model.transform(da.zeros((10, 5)))


# Fitting


@pytest.mark.parametrize("kind", LAZY)
def test_a_fit_to_few_chunks_is_that_to_rows_in_memory(kind, tmp_path):
    lazy, rows = LAZY[kind](X, tmp_path), X
    if kind in FRAMES:
        rows = pd.DataFrame(X, columns=NAMES)
    model, expected = clone(PLAIN).fit(lazy), fit_once(PLAIN, rows)
    np.testing.assert_array_equal(model.transform(rows), expected.transform(rows))
    if kind in FRAMES:
        assert model.feature_names_in_.tolist() == NAMES


@pytest.mark.parametrize("kind", LAZY)
def test_a_fit_to_many_chunks_is_as_good(kind, tmp_path, little_memory):
    model = quick(AutoencoderTransformer, n_components=3, max_epochs=10)
    lazy = LAZY[kind](X, tmp_path)
    streamed = clone(model).fit(lazy)
    assert abs(streamed.score(lazy) - fit_once(model, X).score(X)) < 0.005
    assert streamed.n_iter_ == 10


@pytest.mark.parametrize(
    "estimator", in_turn(one_of_each(CATALOGUE, ONE_OF_EACH_KIND), 1), ids=label
)
def test_every_estimator_is_fitted_to_chunks(estimator, little_memory):
    rows = rows_for(estimator)
    lazy = in_chunks(rows)
    if estimator in IN_ORDER:
        with pytest.raises(TypeError, match="does not read in chunks"):
            clone(estimator).fit(lazy)
        return
    first, second = (clone(estimator).fit(lazy) for _ in range(2))
    method = "transform" if hasattr(first, "transform") else "score_samples"
    first = pickle.loads(pickle.dumps(first))  # it keeps no chunks
    result = read(getattr(first, method)(rows))
    np.testing.assert_array_equal(result, read(getattr(second, method)(rows)))
    if estimator in AUTOENCODERS and hasattr(first, "score"):
        few = fit_once(estimator, rows[:300])
        assert first.score(rows) > few.score(rows) - 0.02


class RecordRows(Callback):
    """Record the training rows of all batches, and the sizes of the latter."""

    rows, sizes = [], []

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.rows.append(batch.x.numpy().copy())
            self.sizes.append(len(batch.x))


@pytest.fixture
def recorded():
    RecordRows.rows.clear()
    RecordRows.sizes.clear()
    return RecordRows


@pytest.mark.parametrize("kind", ["Chunks", "dask array", "pyarrow"])
def test_a_pass_gives_each_training_row_once_in_a_random_order(
    kind, tmp_path, little_memory, recorded
):
    numbered = X.copy()
    numbered[:, 0] = np.arange(N_ROWS)
    model = clone(PLAIN).set_params(callbacks=[recorded], max_epochs=2, scaling=None)
    model.fit(LAZY[kind](numbered, tmp_path))
    seen = np.concatenate(recorded.rows)[:, 0].round().astype(int)
    n_train = len(seen) // 2
    first, second = seen[:n_train], seen[n_train:]
    assert set(first) == set(second)
    assert len(set(first)) == n_train
    assert N_ROWS - n_train == 32  # a tenth of the sample, but no fewer than 32
    assert max(recorded.sizes) - min(recorded.sizes) <= 1
    assert max(recorded.sizes) <= 64
    assert (first != second).mean() > 0.9
    distance = np.abs(first - np.arange(n_train))  # from the place in X
    assert distance.mean() > (30 if kind == "Chunks" else 100)
    assert model.history_[-1]["passes"] == 1


def test_scales_are_those_of_all_training_rows(little_memory, recorded):
    model = clone(PLAIN).set_params(callbacks=[recorded], max_epochs=1).fit(in_chunks(X))
    scaler = model.net_.module_.scaler
    center, scale = scaler.center.numpy(), scaler.scale.numpy()
    rows = np.concatenate(recorded.rows) * scale + center  # all but held-out rows
    np.testing.assert_allclose(center, rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(scale, rows.std(axis=0), rtol=1e-5)


def test_without_training_chunks_give_pca_of_all_rows(little_memory):
    model = quick(
        AutoencoderTransformer, n_components=3, max_epochs=0, early_stopping=False
    )
    streamed = clone(model).fit(in_chunks(X))
    np.testing.assert_allclose(
        streamed.transform(X), fit_once(model, X).transform(X), atol=1e-4
    )


@pytest.mark.slow
def test_the_budget_of_steps_is_that_of_all_rows(little_memory):
    n_rows = 1_100  # of few rows a fit makes passes, of more a number of steps
    model = AutoencoderTransformer(1, hidden_layer_sizes=(4,), random_state=0)
    model.fit(in_chunks(make_rows(n_rows)))
    steps = [epoch["steps"] for epoch in model.history_]
    assert steps == [np.ceil(count_steps(n_rows) / len(steps))] * N_LOOKS


def test_missing_cells_that_the_sample_has_not_seen(little_memory):
    rows = X.copy()
    rows[-1, 2] = np.nan
    rows[5] = np.nan
    model = clone(PLAIN).fit(in_chunks(rows))
    assert np.isfinite(model.transform(rows[-1:])).all()
    assert model.score(X) > fit_once(PLAIN, X).score(X) - 0.05

    with pytest.raises(ValueError, match="NaN"):
        quick(SparseAutoencoder).fit(in_chunks(rows))


def test_missing_cells_of_chunks_are_found():
    cells = np.array([[1.0, 2.0], [3.0, 4.0]])
    holed = np.where(cells == 4, np.nan, cells)
    for convert in (np.asarray, pd.DataFrame, pl.DataFrame, lambda a: a.astype(object)):
        assert has_missing_cells(convert(holed))
        assert not has_missing_cells(convert(cells))
    words = {"a": ["x", "y"], "b": [1, 2]}
    for frame in (pd.DataFrame, pl.DataFrame, pa.table):
        assert has_missing_cells(frame(words | {"a": ["x", None]}))
        assert not has_missing_cells(frame(words))


def test_sparse_chunks(little_memory):
    rows = np.where(X > 0.3, X, 0)
    chunks = Chunks(lambda: (csr_array(rows[i : i + 150]) for i in range(0, N_ROWS, 150)))
    model = clone(PLAIN).fit(chunks)
    assert abs(model.score(rows) - fit_once(PLAIN, rows).score(rows)) < 0.05
    np.testing.assert_allclose(model.transform(chunks), model.transform(rows), atol=1e-5)


def test_frames_with_categories_in_chunks(little_memory):
    table = make_table(3 * N_ROWS)
    model = clone(PLAIN).fit(dd.from_pandas(table, npartitions=9))
    assert model.table_ is not None
    restored = model.reconstruct(table)
    assert (restored["kind"] == table["kind"]).mean() > 0.8
    wild = table.assign(size=np.where(np.arange(len(table)) == 2_000, np.inf, 0.0))
    with pytest.raises(ValueError, match="Column 'size' of X contains infinity"):
        clone(PLAIN).fit(dd.from_pandas(wild, npartitions=9))


def test_what_a_fit_to_chunks_refuses(little_memory):
    with pytest.raises(ValueError, match="sample_weight is for rows in memory"):
        clone(PLAIN).fit(in_chunks(X), sample_weight=np.ones(N_ROWS))
    with pytest.raises(ValueError, match="Pairs of rows have to be in memory"):
        quick(DenoisingAutoencoder, paired=True).fit(in_chunks(X), X)
    passes = iter([N_ROWS, N_ROWS - 10])
    with pytest.raises(ValueError, match="gave 690 rows, and the first one 700"):
        clone(PLAIN).fit(Chunks(lambda: [X[: next(passes)]]))
    counts = VAETransformer(2, likelihood="poisson", max_epochs=1, random_state=0)
    rows = np.random.default_rng(0).poisson(3.0, size=X.shape).astype(float)
    rows[-1, 0] = 0.5
    with pytest.raises(ValueError, match=r"needs counts .*0\.5"):
        counts.fit(in_chunks(rows))


def test_a_sample_is_uniform_over_all_rows(monkeypatch):
    monkeypatch.setattr(_lazy_rows, "MIN_SAMPLE_ROWS", 1)
    monkeypatch.setattr(_lazy_rows, "SAMPLE_BYTES", 8 * 100)
    rows = np.arange(400.0)[:, None]
    counts = np.zeros(400)
    for seed in range(100):
        sample = draw_sample(in_chunks(rows, 70), seed)
        assert not sample.is_whole
        assert len(sample.rows) == 100
        assert (np.diff(sample.rows[:, 0]) > 0).all()
        counts[sample.rows[:, 0].astype(int)] += 1
    blocks = counts.reshape(10, 40).sum(axis=1)
    chi_squared = ((blocks - 1_000) ** 2 / 1_000).sum()
    assert chi_squared < 27.9  # 0.1 % of uniform samples have more
    assert counts.std() < 5.5  # sqrt(100 / 4 * 3 / 4) = 4.3 are expected
