"""What holds for every estimator: each property runs over the whole catalogue."""

import copy
import inspect
import io
import pickle
import random
from dataclasses import fields

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from catalogue import CLASSES
from scipy.sparse import csc_array, csr_array, csr_matrix
from sklearn.base import clone
from skorch.callbacks import Callback


def loose(dtype):
    """Return the tolerance for sums of rounding errors in `dtype`."""
    return 1e-4 if dtype == np.float32 else 1e-6


def test_two_fits_agree_bit_for_bit(estimator, iris):
    first = estimator.fit(iris).transform(iris)
    again = clone(estimator).fit(iris).transform(iris)
    np.testing.assert_array_equal(first, again)


def test_another_seed_gives_other_codes(estimator, curved):
    first = estimator.fit(curved).transform(curved)
    other = clone(estimator).set_params(random_state=1).fit(curved).transform(curved)
    assert not np.array_equal(first, other)


def _numpy_state():
    return np.random.get_state()[1].copy()  # noqa: NPY002 (the legacy generator is meant)


def test_global_generators_and_threads_are_left_alone(estimator, iris):
    states = torch.get_rng_state(), _numpy_state(), random.getstate()
    n_threads = torch.get_num_threads()
    estimator.fit(iris).transform(iris)
    estimator.partial_fit(iris)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(_numpy_state(), states[1])
    assert random.getstate() == states[2]
    assert torch.get_num_threads() == n_threads


def test_generators_are_left_alone_when_fit_fails(estimator, iris):
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    with pytest.raises(ValueError, match="lr"):
        estimator.set_params(lr=1e30, init="random").fit(iris)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == n_threads


@pytest.mark.parametrize("method", ["transform", "score_samples", "reconstruct"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_gives_the_same_whatever_is_beside_it(estimator, digits, method, dtype):
    X = digits.astype(dtype)
    apply = getattr(estimator.fit(X), method)
    whole = apply(X)
    order = np.random.default_rng(0).permutation(len(X))
    tolerance = {"rtol": loose(dtype), "atol": loose(dtype)}
    np.testing.assert_array_equal(apply(X), whole)
    np.testing.assert_allclose(apply(X[order]), whole[order], **tolerance)
    singles = np.concatenate([apply(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(singles, whole[:20], **tolerance)


def test_what_the_user_passed_is_unchanged(estimator, digits):
    class Counter(Callback):
        n_epochs = 0

        def on_epoch_end(self, net, **kwargs):
            self.n_epochs += 1

    X, counter = digits.copy(), Counter()
    X.flags.writeable = False
    estimator.set_params(callbacks=[counter, ("named", Counter())])
    params = estimator.get_params()
    estimator.fit(X).score_samples(X)
    assert estimator.get_params() == params
    assert counter.n_epochs == 0
    assert dict(estimator.net_.callbacks_)["named"].n_epochs == estimator.n_iter_
    np.testing.assert_array_equal(X, digits)


def test_a_memory_map_is_read_only(estimator, digits, tmp_path):
    file = tmp_path / "X.npy"
    np.save(file, digits)
    before = file.read_bytes()
    X = np.load(file, mmap_mode="r")
    np.testing.assert_array_equal(
        estimator.fit(X).transform(X), clone(estimator).fit(digits).transform(digits)
    )
    assert file.read_bytes() == before


def _pickled(estimator):
    return pickle.loads(pickle.dumps(estimator))


def _dumped(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("travel", [_pickled, _dumped, copy.deepcopy])
def test_a_copy_gives_the_same_codes(estimator, digits, travel, early_stopping):
    estimator.set_params(early_stopping=early_stopping).fit(digits)
    copied = travel(estimator)
    np.testing.assert_array_equal(copied.transform(digits), estimator.transform(digits))
    np.testing.assert_array_equal(
        copied.score_samples(digits), estimator.score_samples(digits)
    )
    assert copied.partial_fit(digits).n_iter_ == 1


def test_a_pickle_is_smaller_than_twice_the_weights(estimator, digits):
    estimator.set_params(hidden_layer_sizes=(256, 128)).fit(digits)
    weights = 4 * sum(p.numel() for p in estimator.net_.module_.parameters())
    assert len(pickle.dumps(estimator)) < 2 * weights


@pytest.mark.parametrize("fitted", [np.float32, np.float64])
@pytest.mark.parametrize("used", [np.float32, np.float64])
def test_the_precision_of_the_input_comes_back(estimator, digits, fitted, used):
    estimator.fit(digits.astype(fitted))
    X = digits.astype(used)
    codes = estimator.transform(X)
    assert codes.dtype == used
    for result in (
        estimator.inverse_transform(codes),
        estimator.reconstruct(X),
        estimator.score_samples(X),
    ):
        assert result.dtype == used
    exact = estimator.transform(digits)
    np.testing.assert_allclose(codes, exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("container", [csr_array, csr_matrix, csc_array])
def test_sparse_rows_give_what_dense_rows_give(estimator, digits, container):
    dense = clone(estimator).fit(digits)
    sparse = estimator.fit(container(digits))
    X = container(digits)
    tolerance = {"rtol": 1e-2, "atol": 1e-3}
    np.testing.assert_allclose(sparse.transform(X), sparse.transform(digits))
    np.testing.assert_allclose(sparse.score_samples(X), sparse.score_samples(digits))
    np.testing.assert_allclose(sparse.score(X), dense.score(digits), **tolerance)


def test_frames_keep_their_names(estimator, iris):
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    frame = pd.DataFrame(iris, columns=names)
    estimator.fit(frame)
    assert list(estimator.feature_names_in_) == names
    expected = estimator.transform(frame)
    prefix = type(estimator).__name__.lower()
    for library, kind in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        out = estimator.set_output(transform=library).transform(frame)
        assert isinstance(out, kind)
        assert list(out.columns) == [f"{prefix}{i}" for i in range(expected.shape[1])]
        np.testing.assert_array_equal(out.to_numpy(), expected)
        np.testing.assert_array_equal(
            estimator.inverse_transform(out), estimator.inverse_transform(expected)
        )


def test_lists_and_polars_frames_are_rows_too(estimator, iris):
    expected = clone(estimator).fit(iris).transform(iris)
    np.testing.assert_array_equal(estimator.fit(iris.tolist()).transform(iris), expected)
    frame = pl.DataFrame(iris, schema=list("abcd"))
    np.testing.assert_array_equal(estimator.fit(frame).transform(frame), expected)


ODD_TABLES = {
    "a constant column": np.c_[np.arange(40.0), np.full(40, 7.0), np.arange(40) % 3],
    "constant": np.full((40, 3), 1e6 + 0.1),
    "duplicated rows": np.repeat([[1.0, 2.0], [3.0, 1.0]], 20, axis=0),
    "more features than rows": np.random.default_rng(0).normal(size=(10, 50)),
    "one feature": np.arange(30.0)[:, None],
    "two rows": np.array([[0.0, 1.0, 5.0], [2.0, 1.0, 3.0]]),
    "a wild cell": np.r_[np.random.default_rng(0).normal(size=(60, 4)), [[1e9, 0, 0, 0]]],
}


@pytest.mark.parametrize("name", ODD_TABLES)
@pytest.mark.parametrize("scaling", ["global", "standard"])
def test_odd_tables_train(estimator, name, scaling):
    X = ODD_TABLES[name]
    estimator.set_params(scaling=scaling).fit(X)
    codes = estimator.transform(X[:1])
    assert codes.shape == (1, estimator.n_components_)
    assert np.isfinite(estimator.transform(X)).all()
    assert np.isfinite(estimator.inverse_transform(codes)).all()
    assert estimator.score(X) <= 1


@pytest.mark.parametrize("factor", [1e6, 1e-6])
@pytest.mark.parametrize("offset", [0, 1e6])
def test_codes_do_not_depend_on_unit_and_offset(estimator, digits, factor, offset):
    plain = clone(estimator).fit(digits)
    expected, score = plain.transform(digits), plain.score(digits)
    X = digits * factor + offset * factor
    codes = estimator.fit(X).transform(X)
    np.testing.assert_allclose(codes, expected, rtol=0.02, atol=0.02)
    np.testing.assert_allclose(estimator.score(X), score, rtol=1e-3)


def test_training_lowers_the_loss_and_reaches_every_weight(estimator, curved):
    estimator.set_params(max_epochs=20, early_stopping=False)
    start = clone(estimator).set_params(max_epochs=1).fit(curved)
    estimator.fit(curved)
    assert estimator.loss_curve_[-1] < 0.9 * estimator.loss_curve_[0]
    before = dict(start.net_.module_.named_parameters())
    for name, weight in estimator.net_.module_.named_parameters():
        assert weight.requires_grad, name
        assert not torch.equal(weight, before[name]), name


def test_the_best_weights_are_kept_and_nothing_is_written(
    estimator, curved, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    estimator.set_params(max_epochs=30, lr=0.03, n_iter_no_change=30).fit(curved)
    curve = estimator.validation_curve_
    assert len(curve) == len(estimator.loss_curve_) == estimator.n_iter_
    assert estimator.best_epoch_ == np.argmin(curve) + 1
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_fit_keeps_the_best_weights(estimator, curved):
    class Interrupt(torch.nn.Module):
        n_calls = 0

        def forward(self, x):
            Interrupt.n_calls += self.training
            if self.training and Interrupt.n_calls > 100:
                raise KeyboardInterrupt
            return x

    corruption = type(estimator)._make_corruption
    estimator._make_corruption = lambda: torch.nn.Sequential(
        corruption(estimator), Interrupt()
    )
    with pytest.warns(UserWarning, match="interrupted"):
        estimator.fit(curved)
    assert 0 < estimator.best_epoch_ <= estimator.n_iter_ < estimator.max_epochs
    assert len(estimator.validation_curve_) == len(estimator.loss_curve_)
    assert estimator.score(curved) > 0


def test_fit_returns_self_and_a_second_fit_forgets_the_first(estimator, iris, digits):
    expected = clone(estimator).fit(iris).transform(iris)
    assert estimator.fit(digits) is estimator
    assert estimator.partial_fit(digits) is estimator
    np.testing.assert_array_equal(estimator.fit(iris).transform(iris), expected)
    assert estimator.n_features_in_ == 4


def test_nothing_is_learned_before_fit(estimator):
    learned = [
        name
        for name in vars(estimator) | dict(inspect.getmembers(type(estimator)))
        if name.endswith("_") and not name.startswith("_")
    ]
    assert not [name for name in learned if hasattr(estimator, name)]
    assert not hasattr(estimator, "_n_features_out")


@pytest.mark.parametrize("cls", CLASSES)
def test_the_constructor_is_its_own_and_only_stores(cls):
    assert "__init__" in vars(cls)
    marks = {f.name: object() for f in fields(cls)}
    assert vars(cls(**marks)) == marks
    assert set(marks) == set(cls._parameter_constraints)
