"""What holds for every estimator: each property runs over the whole catalogue."""

import copy
import inspect
import pickle
import random
from dataclasses import fields

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from catalogue import (
    CATALOGUE,
    CLASSES,
    COMPRESSORS,
    DETECTORS,
    IMPUTERS,
    ONE_OF_EACH,
    ONE_OF_EACH_KIND,
    PLAIN,
    fit_once,
    fitted,
    in_turn,
    label,
    name,
    one_of_each,
    quick,
    slow,
)
from scipy.sparse import csc_array, csr_array, csr_matrix
from sklearn.base import clone
from sklearn.utils import get_tags
from skorch.callbacks import Callback

from sk_autoencoder import (
    AutoencoderTransformer,
    StackedAutoencoder,
    VAETransformer,
    load,
)

KINDS = [PLAIN, *(group[-1] for group in (DETECTORS, IMPUTERS, COMPRESSORS))]
METHODS = ("transform", "reconstruct", "score_samples", "decision_function")
DTYPES = [np.float32, np.float64]


# One of each class, and all ways to score; the others as slow.
MOST = one_of_each(CATALOGUE, [*ONE_OF_EACH, *DETECTORS])
KINDS_OF_TRAINING = one_of_each(CATALOGUE, ONE_OF_EACH_KIND)


def half_of(estimators, first):
    """Test a property with every second of the estimators, as copies."""
    return pytest.mark.parametrize("estimator", in_turn(estimators, first), indirect=True)


def is_imputer(estimator):
    """Whether an estimator fills in what is missing."""
    return hasattr(estimator, "sample_posterior")


def holed(X):
    """Return rows, or a frame, whose second column is missing, if there is one."""
    if X.shape[1] == 1:
        return X
    if isinstance(X, pl.DataFrame):
        return X.with_columns(pl.lit(np.nan).alias(X.columns[1]))
    X = X.copy()
    if isinstance(X, pd.DataFrame):
        X[X.columns[1]] = np.nan
    else:
        X[:, 1] = np.nan
    return X


def outputs(estimator, X):
    """Return what each method of a fitted estimator makes of X, by name."""
    if is_imputer(estimator):
        X = holed(X)
    found = [method for method in METHODS if hasattr(estimator, method)]
    return {method: getattr(estimator, method)(X) for method in found}


def assert_same(first, second, **tolerance):
    """Compare outputs: bit for bit, or up to a tolerance."""
    assert set(first) == set(second)
    for method, expected in first.items():
        if tolerance:
            np.testing.assert_allclose(
                second[method], expected, **tolerance, err_msg=method
            )
        else:
            np.testing.assert_array_equal(second[method], expected, err_msg=method)


def baseline(estimator, X):
    """Return what each method makes of X when `estimator` is fitted to it, fitted once."""
    return outputs(fit_once(estimator, X), X)


def loose(dtype):
    """Return the tolerance for sums of rounding errors in `dtype`."""
    return 1e-4 if dtype == np.float32 else 1e-6


@half_of(KINDS_OF_TRAINING, 0)
def test_another_seed_gives_other_results(estimator, pixels):
    if "early_stopping" in vars(estimator):
        estimator.set_params(early_stopping=False)  # which may keep the start
    first = baseline(estimator, pixels)
    other = outputs(estimator.set_params(random_state=1).fit(pixels), pixels)
    for method, values in first.items():
        assert not np.array_equal(values, other[method]), method


def _numpy_state():
    return np.random.get_state()[1].copy()  # noqa: NPY002 (the legacy generator is meant)


@half_of(one_of_each(CATALOGUE), 0)
def test_two_fits_agree_bit_for_bit_and_change_nothing_outside(estimator, pixels, tmp_path):
    file = tmp_path / "X.npy"
    np.save(file, pixels)
    before = file.read_bytes()
    X = np.load(file, mmap_mode="r")
    params = estimator.get_params()
    states = torch.get_rng_state(), _numpy_state(), random.getstate()
    n_threads = torch.get_num_threads()
    assert_same(baseline(estimator, pixels), outputs(estimator.fit(X), X))
    if hasattr(estimator, "partial_fit"):
        estimator.partial_fit(X)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(_numpy_state(), states[1])
    assert random.getstate() == states[2]
    assert torch.get_num_threads() == n_threads
    assert estimator.get_params() == params
    assert file.read_bytes() == before


@pytest.mark.parametrize("estimator", KINDS, ids=name)
def test_an_array_may_be_read_only(estimator, pixels):
    X = pixels.copy()
    X.flags.writeable = False
    outputs(clone(estimator).fit(X), X)
    np.testing.assert_array_equal(X, pixels)


def test_generators_are_left_alone_when_fit_fails(autoencoder, pixels):
    state, n_threads = torch.get_rng_state(), torch.get_num_threads()
    with pytest.raises(ValueError, match="lr"):
        autoencoder.set_params(lr=1e30, init="random").fit(pixels)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == n_threads


PRECISIONS = [
    pytest.param(*each.values, np.float64, marks=each.marks) for each in in_turn(MOST, 0)
]
PRECISIONS += [(each, np.float32) for each in KINDS]


@pytest.mark.parametrize(("estimator", "dtype"), PRECISIONS, ids=label)
def test_a_row_gives_the_same_whatever_is_beside_it(estimator, dtype, pixels):
    X = pixels.astype(dtype)
    estimator = fitted(estimator, X)
    whole = outputs(estimator, X)
    order = np.random.default_rng(0).permutation(len(X))
    tolerance = {"rtol": loose(dtype), "atol": loose(dtype)}
    assert_same(whole, outputs(estimator, X))
    shuffled = {name: values[order] for name, values in whole.items()}
    assert_same(shuffled, outputs(estimator, X[order]), **tolerance)
    singles = [outputs(estimator, X[i : i + 1]) for i in range(10)]
    joined = {name: np.concatenate([each[name] for each in singles]) for name in whole}
    first = {name: values[:10] for name, values in whole.items()}
    assert_same(first, joined, **tolerance)


def test_callbacks_of_the_user_are_unchanged(autoencoder, pixels):
    class Counter(Callback):
        n_epochs = 0

        def on_epoch_end(self, net, **kwargs):
            self.n_epochs += 1

    counter = Counter()
    autoencoder.set_params(callbacks=[counter, ("named", Counter())])
    params = autoencoder.get_params()
    autoencoder.fit(pixels)
    assert autoencoder.get_params() == params
    assert counter.n_epochs == 0
    assert dict(autoencoder.net_.callbacks_)["named"].n_epochs == autoencoder.n_iter_


def _pickled(estimator, path):
    return pickle.loads(pickle.dumps(estimator))


def _dumped(estimator, path):
    joblib.dump(estimator, path)
    return joblib.load(path)


def _mapped(estimator, path):
    joblib.dump(estimator, path)
    return joblib.load(path, mmap_mode="r")


def _copied(estimator, path):
    return copy.deepcopy(estimator)


def _saved(estimator, path):
    estimator.save(path)
    return load(path)


TRAVELS = [_pickled, _dumped, _mapped, _copied, _saved]


@half_of(one_of_each(CATALOGUE), 1)
def test_copies_give_the_same(estimator, pixels, tmp_path):
    estimator = fit_once(estimator, pixels)
    expected = outputs(estimator, pixels)
    for travel in TRAVELS:
        copied = travel(estimator, tmp_path / "copy")
        assert type(copied) is type(estimator)
        assert_same(expected, outputs(copied, pixels))
        assert repr(copied) == repr(estimator)


@pytest.mark.parametrize(
    ("cls", "early_stopping"),
    [
        (AutoencoderTransformer, True),
        (StackedAutoencoder, False),
        (VAETransformer, True),
        slow(AutoencoderTransformer, False),
        slow(StackedAutoencoder, True),
        slow(VAETransformer, False),
    ],
)
def test_copies_can_be_trained_on(cls, pixels, early_stopping, tmp_path):
    autoencoder = fit_once(quick(cls, early_stopping=early_stopping), pixels)
    for travel in TRAVELS:
        copied = travel(autoencoder, tmp_path / "copy").partial_fit(pixels)
        assert copied.n_iter_ == autoencoder.n_iter_ + 1


def test_a_copy_remembers_the_optimizer(autoencoder, pixels, tmp_path):
    X = pixels[:50]
    autoencoder.partial_fit(X)
    copies = [travel(autoencoder, tmp_path / "copy") for travel in TRAVELS]
    expected = outputs(autoencoder.partial_fit(X), X)
    for copied in copies:
        assert_same(expected, outputs(copied.partial_fit(X), X))


def test_a_pickle_is_smaller_than_twice_the_weights(autoencoder, digits):
    wide = {"hidden_layer_sizes": (256, 128), "channels": (64, 128), "max_epochs": 1}
    known = {k: v for k, v in wide.items() if k in autoencoder.get_params()}
    autoencoder.set_params(**known).fit(digits)
    parts = [autoencoder, *getattr(autoencoder, "layers_", [])]
    modules = [part.net_.module_ for part in parts]
    weights = 4 * sum(p.numel() for module in modules for p in module.parameters())
    assert len(pickle.dumps(autoencoder)) < 2 * weights


# Every estimator with one type, and both types with half of the estimators.
FITTED_TO = [
    pytest.param(*each.values, dtype, marks=each.marks)
    for first, dtype in enumerate(DTYPES)
    for each in in_turn(one_of_each(CATALOGUE), first)
]


@pytest.mark.parametrize(
    ("estimator", "dtype"), FITTED_TO, ids=label, indirect=["estimator"]
)
def test_the_precision_of_the_input_comes_back(estimator, pixels, digits, dtype):
    table = distinct(estimator, pixels, digits)
    estimator = fit_once(estimator, table.astype(dtype))
    expected = outputs(estimator, table)
    for used in DTYPES:
        found = outputs(estimator, table.astype(used))
        assert {values.dtype for values in found.values()} == {np.dtype(used)}
        assert_same(expected, found, rtol=1e-3, atol=1e-4)
        if hasattr(estimator, "inverse_transform"):
            assert estimator.inverse_transform(found["transform"]).dtype == used


TAKES_SPARSE = [each for each in CATALOGUE if get_tags(each).input_tags.sparse]
CONTAINERS = [
    pytest.param(*each.values, csr_array, marks=each.marks)
    for each in one_of_each(TAKES_SPARSE)
]
CONTAINERS += [(PLAIN, csr_matrix), (PLAIN, csc_array)]


@pytest.mark.parametrize(("estimator", "container"), CONTAINERS, ids=label)
def test_sparse_rows_give_what_dense_rows_give(estimator, container, pixels):
    dense = fit_once(estimator, pixels)
    sparse = clone(estimator).fit(container(pixels))
    found = outputs(sparse, container(pixels))
    assert_same(outputs(sparse, pixels), found, rtol=1e-7)
    scores = dense.score_samples(pixels)
    assert np.corrcoef(found["score_samples"], scores)[0, 1] > 0.99
    if hasattr(estimator, "score"):
        tolerance = {"rtol": 1e-2, "atol": 1e-3}
        score = sparse.score(container(pixels))
        np.testing.assert_allclose(score, dense.score(pixels), **tolerance)


@pytest.mark.parametrize(
    "estimator", [e for e in CATALOGUE if not get_tags(e).input_tags.sparse], ids=name
)
def test_sparse_rows_are_refused(estimator, pixels):
    with pytest.raises(TypeError, match="dense data is required"):
        clone(estimator).fit(csr_array(pixels))


@half_of(KINDS_OF_TRAINING, 1)
def test_frames_keep_their_names(estimator, pixels):
    names = [f"pixel {i}" for i in range(16)]
    frame = pd.DataFrame(pixels, columns=names)
    assert list(estimator.fit(frame).feature_names_in_) == names
    assert_same(baseline(estimator, pixels), outputs(estimator, frame))


def test_codes_may_be_frames(autoencoder, pixels):
    frame = pd.DataFrame(pixels, columns=list("abcdefghijklmnop"))
    autoencoder = fitted(autoencoder, frame)
    expected = autoencoder.transform(frame)
    prefix = type(autoencoder).__name__.lower()
    for library, kind in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        out = autoencoder.set_output(transform=library).transform(frame)
        assert isinstance(out, kind)
        assert list(out.columns) == [f"{prefix}{i}" for i in range(expected.shape[1])]
        np.testing.assert_array_equal(out.to_numpy(), expected)
        np.testing.assert_array_equal(
            autoencoder.inverse_transform(out), autoencoder.inverse_transform(expected)
        )


@pytest.mark.parametrize("estimator", KINDS, ids=name)
def test_lists_and_polars_frames_are_rows_too(estimator, pixels):
    expected = baseline(estimator, pixels)
    assert_same(expected, outputs(clone(estimator).fit(pixels.tolist()), pixels))
    frame = pl.DataFrame(pixels, schema=list("abcdefghijklmnop"))
    assert_same(expected, outputs(clone(estimator).fit(frame), frame))


RANDOM = np.random.default_rng(0).gamma(1.0, size=(60, 50))
ODD_TABLES = {
    "a constant column": np.c_[np.arange(40.0), np.full(40, 7.0), np.arange(40) % 3],
    "constant": np.full((40, 3), 1e6 + 0.1),
    "duplicated rows": np.repeat([[1.0, 2.0], [3.0, 1.0]], 20, axis=0),
    "more features than rows": RANDOM[:10],
    "one feature": np.arange(30.0)[:, None],
    "two rows": np.array([[0.0, 1.0, 5.0], [2.0, 1.0, 3.0]]),
    "a wild cell": np.r_[RANDOM[:, :4], [[1e9, 0, 0, 0]]],
}


def check_codes(autoencoder, X):
    """Look at the codes of one row and of all, and at what they decode to."""
    codes = autoencoder.transform(X[:1])
    assert codes.shape == (1, autoencoder.n_components_)
    assert np.isfinite(autoencoder.transform(X)).all()
    assert np.isfinite(autoencoder.inverse_transform(codes)).all()
    assert autoencoder.score(X) <= 1


# Every estimator with half of the tables, and every table with half of the estimators. A
# constant one goes to all: there are starts that look for variance.
ODD_PAIRS = [
    pytest.param(
        estimator,
        table,
        id=f"{name(estimator)}-{table}",
        marks=[]
        if estimator in ONE_OF_EACH and ((i + j) % 2 or table == "constant")
        else [pytest.mark.slow],
    )
    for i, estimator in enumerate(CATALOGUE)
    for j, table in enumerate(ODD_TABLES)
]


@pytest.mark.filterwarnings("ignore:A detector fitted to")
@pytest.mark.parametrize(("estimator", "table"), ODD_PAIRS)
def test_odd_tables_train(estimator, table):
    X, estimator = ODD_TABLES[table], clone(estimator)
    for values in outputs(estimator.fit(X), X).values():
        assert np.isfinite(values).all()
        assert len(values) == len(X)
    if hasattr(estimator, "partial_fit") and hasattr(estimator, "inverse_transform"):
        check_codes(estimator, X)


@pytest.mark.parametrize("table", ODD_TABLES)
@pytest.mark.parametrize("scaling", ["global", "standard"])
def test_odd_tables_have_codes_under_any_scaling(table, scaling):
    X = ODD_TABLES[table]
    check_codes(clone(PLAIN).set_params(scaling=scaling).fit(X), X)


def distinct(estimator, pixels, digits):
    """Return a table on which a pursuit does not choose between atoms that fit alike."""
    return digits if getattr(estimator, "sparsity", None) == "pursuit" else pixels


# 1e-6 comes with a large offset; 1e6 alone: of one of each kind.
UNITS = [
    pytest.param(*each.values, 1e-6, 1e6, marks=each.marks) for each in in_turn(MOST, 1)
]
UNITS += [(each, 1e6, 0) for each in KINDS]


@pytest.mark.parametrize(("estimator", "factor", "offset"), UNITS, ids=label)
def test_nothing_depends_on_unit_and_offset(estimator, factor, offset, pixels, digits):
    table = distinct(estimator, pixels, digits)
    plain = fit_once(estimator, table)
    expected = outputs(plain, table)
    if get_tags(estimator).input_tags.positive_only:
        offset = 0  # shares change with it
    X = table * factor + offset * factor
    scaled = clone(estimator).fit(X)
    found = outputs(scaled, X)
    for method in ("transform",) if is_imputer(estimator) else ("reconstruct",):
        if method in found:  # in the units of X
            found[method] = found[method] / factor - offset
    if hasattr(estimator, "log_likelihood"):  # of a density in the units of X
        found["score_samples"] += X.shape[1] * np.log(factor)
    if "decision_function" in found:  # multiples of small errors magnify rounding
        for method, values in expected.items():
            assert np.corrcoef(found[method], values)[0, 1] > 0.999
    else:
        assert_same(expected, found, rtol=0.02, atol=0.02)
    if hasattr(estimator, "score"):
        score = plain.score(table)
        np.testing.assert_allclose(scaled.score(X), score, rtol=1e-3)


def test_training_lowers_the_loss_and_reaches_every_weight(autoencoder, curved):
    autoencoder.set_params(max_epochs=20, early_stopping=False)
    start = clone(autoencoder).set_params(max_epochs=1).fit(curved)
    autoencoder.fit(curved)
    assert autoencoder.loss_curve_[-1] < 0.9 * autoencoder.loss_curve_[0]
    before = dict(start.net_.module_.named_parameters())
    for key, weight in autoencoder.net_.module_.named_parameters():
        assert weight.requires_grad, key
        assert not torch.equal(weight, before[key]), key


def test_the_best_weights_are_kept_and_nothing_is_written(
    autoencoder, curved, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    autoencoder.set_params(max_epochs=10, lr=0.03, n_iter_no_change=10).fit(curved)
    curve = autoencoder.validation_curve_
    assert len(curve) == len(autoencoder.loss_curve_) == autoencoder.n_iter_
    assert autoencoder.best_epoch_ == np.argmin(curve) + 1
    assert list(tmp_path.iterdir()) == []


class Interrupt(Callback):
    n_calls = 0  # of every copy

    def __init__(self, n_steps, is_disguised=False):
        self.n_steps = n_steps
        self.is_disguised = is_disguised
        Interrupt.n_calls = 0

    def on_batch_begin(self, net, batch=None, training=False):
        Interrupt.n_calls += training
        if not training or Interrupt.n_calls <= self.n_steps:
            return
        try:
            raise KeyboardInterrupt
        finally:
            if self.is_disguised:
                raise RuntimeError("INTERNAL ASSERT FAILED")  # as torch's vmap does


def test_an_interrupt_that_torch_turns_into_an_error_is_one(curved):
    callbacks = [Interrupt(n_steps=40, is_disguised=True)]
    autoencoder = AutoencoderTransformer(1, callbacks=callbacks, random_state=0)
    with pytest.warns(UserWarning, match="interrupted"):
        autoencoder.fit(curved)
    assert 0 < autoencoder.n_iter_ < 100


def test_an_interrupted_fit_keeps_the_best_weights(autoencoder, curved):
    autoencoder.set_params(callbacks=[Interrupt(n_steps=20)])
    with pytest.warns(UserWarning, match="interrupted"):
        autoencoder.fit(curved)
    assert 0 < autoencoder.best_epoch_ <= autoencoder.n_iter_ < 100
    assert len(autoencoder.validation_curve_) == len(autoencoder.loss_curve_)
    assert autoencoder.score(curved) > 0


@half_of(KINDS_OF_TRAINING, 0)
def test_fit_returns_self_and_a_second_fit_forgets_the_first(estimator, pixels, iris):
    expected = baseline(estimator, pixels)
    estimator = fitted(estimator, iris)
    if hasattr(estimator, "partial_fit"):
        assert estimator.partial_fit(iris) is estimator
    assert estimator.fit(pixels) is estimator
    assert_same(expected, outputs(estimator, pixels))
    assert estimator.n_features_in_ == 16


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
    marks = {f.name: object() for f in fields(cls) if f.init}
    stored = vars(cls(**marks))
    assert {name: stored[name] for name in marks} == marks
    assert set(marks) == set(cls._parameter_constraints)
