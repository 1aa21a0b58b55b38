"""The sparse autoencoder against what is known about it."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from catalogue import fit_once
from scipy.sparse import csr_array, issparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sk_autoencoder import AutoencoderTransformer, SparseAutoencoder
from sk_autoencoder.nn import Coder, Dense

SPARSITIES = ("pursuit", "topk", "l1", "kl")


def quick(**params):
    return SparseAutoencoder(**{"max_epochs": 3, "random_state": 0} | params)


def n_entries(codes):
    """Return the number of non-zero entries of each row."""
    return (codes != 0).sum(axis=1)


@pytest.mark.slow
def test_a_planted_dictionary_is_found():
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(40, 20))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = np.zeros((3000, 40))
    for code in codes:  # 3 of the 40 atoms a row
        code[rng.choice(40, 3, replace=False)] = rng.choice([-1, 1], 3) * rng.uniform(
            1, 2, 3
        )
    model = SparseAutoencoder(40, n_active=3, random_state=0).fit(codes @ atoms)
    likeness = np.abs(model.components_ @ atoms.T).max(axis=0)
    assert np.median(likeness) > 0.99
    assert model.score(codes @ atoms) > 0.95


def test_busy_rows_get_more_atoms_and_none_more_than_four_times_as_many(digits):
    X = digits * np.where(np.arange(300) % 2, 0.2, 1.0)[:, None]
    model = quick(n_active=4, scaling=None).fit(X)
    active = n_entries(model.transform(X))
    assert active[::2].mean() > 1.5 * active[1::2].mean()
    assert active.max() <= 16


def test_the_average_is_that_of_the_training_rows_where_none_are_held_out(digits):
    model = quick(n_active=4, early_stopping=False).fit(digits)
    active = n_entries(model.transform(digits))
    error = active.std() / 300**0.5
    assert active.mean() == pytest.approx(4 - error, abs=0.02)
    assert model.mean_active_ == active.mean()


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_what_is_told_of_the_training_rows(digits, sparsity):
    model = quick(sparsity=sparsity, early_stopping=False).fit(digits)
    codes = model.transform(digits)
    assert model.mean_active_ == pytest.approx(n_entries(codes).mean())
    assert model.dead_share_ == (codes == 0).all(axis=0).mean()


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_components_are_unit_atoms_that_decode(digits, sparsity):
    model = fit_once(quick(sparsity=sparsity), digits)
    assert model.components_.shape == (128, 64)
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1, rtol=1e-5)
    codes = np.eye(128)
    zero = model.inverse_transform(np.zeros((1, 128)))
    moves = model.inverse_transform(codes) - zero
    moves /= np.linalg.norm(moves, axis=1, keepdims=True)
    np.testing.assert_allclose(moves, model.components_, atol=1e-5)


def test_top_k_codes_have_no_more_entries_and_are_positive(digits):
    codes = quick(sparsity="topk", n_active=7).fit(digits).transform(digits)
    assert n_entries(codes).max() == 7
    assert (codes >= 0).all()


@pytest.mark.slow
def test_a_larger_l1_penalty_leaves_fewer_entries(digits):
    active = [
        quick(sparsity="l1", sparsity_penalty=weight, max_epochs=30)
        .fit(digits)
        .mean_active_
        for weight in (0.0, 1.0, 10.0)
    ]
    assert active[0] > 1.2 * active[1] > 1.2**2 * active[2]


@pytest.mark.slow
def test_kl_pulls_the_mean_activation_to_its_target(digits):
    def mean_activation(**params):
        model = quick(sparsity="kl", init="random", max_epochs=30, **params).fit(digits)
        return model.transform(digits).mean(axis=0)

    free = mean_activation(sparsity_penalty=0.0)
    for target in (0.05, 0.2):
        pulled = mean_activation(sparsity_penalty=100.0, target_activation=target)
        assert np.abs(pulled - target).mean() < 0.2 * np.abs(free - target).mean()


@pytest.mark.parametrize("sparsity", ["l1", "kl"])
@pytest.mark.parametrize("network", [Dense((16,)), Coder(Dense((16,)), torch.nn.ReLU())])
def test_a_weight_of_zero_gives_the_plain_autoencoder_bit_for_bit(
    digits, sparsity, network
):
    shared = {"n_components": 20, "network": network, "max_epochs": 3, "random_state": 0}
    model = SparseAutoencoder(sparsity=sparsity, sparsity_penalty=0, **shared).fit(digits)
    plain = AutoencoderTransformer(init="random", noise_level=0, lr=1e-2, **shared).fit(
        digits
    )
    np.testing.assert_array_equal(model.transform(digits), plain.transform(digits))
    assert model.loss_curve_ == plain.loss_curve_
    other = SparseAutoencoder(sparsity=sparsity, sparsity_penalty=0.1, **shared)
    assert not np.array_equal(other.fit(digits).transform(digits), plain.transform(digits))


@pytest.mark.parametrize(
    ("sparsity", "loss"),
    [(sparsity, "squared_error") for sparsity in SPARSITIES]
    + [("pursuit", "huber"), ("topk", "binary_cross_entropy")]
    + [("pursuit", "binary_cross_entropy"), ("l1", "absolute_error")],
)
def test_every_loss_trains_every_kind(digits, sparsity, loss):
    X, held_out = digits[:200], digits[200:]  # some rows of X are the first atoms
    params = {"n_components": 40, "sparsity_penalty": 0.1, "loss": loss}
    model = quick(sparsity=sparsity, max_epochs=3, **params).fit(X)
    start = quick(sparsity=sparsity, max_epochs=0, **params).fit(X)
    assert model.score_samples(held_out).mean() > start.score_samples(held_out).mean()
    assert model.score(held_out) > 0.5


# Every option twice, once in the quick suite. A pursuit has no encoder to change.
OPTIONS = [
    ({"weight_decay": 0.5}, "pursuit", "topk"),
    ({"l1_penalty": 1e-3}, "kl", "l1"),
    ({"dropout": 0.5, "hidden_layer_sizes": 32}, "topk", "l1"),
    ({"activation": "tanh", "hidden_layer_sizes": (32, 16)}, "topk", "kl"),
    ({"trim_fraction": 0.1}, "pursuit", "l1"),
    ({"tied_weights": True}, "kl", "l1"),
    ({"init": "random"}, "pursuit", "topk"),
    ({"noise_level": 0.3}, "pursuit", "kl"),
    ({"scaling": "standard"}, "pursuit", "l1"),
    ({"scaling": None}, "topk", "kl"),
]


@pytest.mark.parametrize(
    ("sparsity", "params"),
    [
        pytest.param(kind, params, marks=[] if kind is kinds[0] else [pytest.mark.slow])
        for params, *kinds in OPTIONS
        for kind in kinds
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_every_option_works(digits, sparsity, params):
    options = {"sparsity": sparsity, "max_epochs": 2}
    model = quick(**options, **params).fit(digits)
    assert np.isfinite(model.transform(digits)).all()
    plain = fit_once(quick(**options), digits)
    assert not np.array_equal(plain.transform(digits), model.transform(digits))


@pytest.mark.parametrize(
    "params", [{"dropout": 0.5}, {"activation": "tanh"}, {"tied_weights": True}], ids=str
)
def test_a_pursuit_has_no_encoder_to_change(digits, params):
    plain = fit_once(quick(max_epochs=2), digits).transform(digits)
    found = quick(max_epochs=2, **params).fit(digits).transform(digits)
    np.testing.assert_array_equal(found, plain)


def test_the_default_number_of_atoms():
    rng = np.random.default_rng(0)
    for shape, n_atoms in (((100, 7), 14), ((9, 7), 9), ((600, 300), 512)):
        model = quick(max_epochs=0).fit(rng.normal(size=shape))
        assert model.n_components_ == n_atoms


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_codes_are_the_dense_ones(digits, dtype):
    X = digits.astype(dtype)
    dense = fit_once(quick(max_epochs=2), X)
    sparse = quick(max_epochs=2, sparse_output=True).fit(X)
    codes = sparse.transform(X)
    assert issparse(codes)
    assert codes.format == "csr"
    assert codes.dtype == dtype
    assert codes.nnz == n_entries(dense.transform(X)).sum()
    np.testing.assert_array_equal(codes.toarray(), dense.transform(X))
    rows = sparse.inverse_transform(codes)
    np.testing.assert_array_equal(rows, dense.inverse_transform(dense.transform(X)))


def test_sparse_codes_of_frames_and_of_many_rows(digits, monkeypatch):
    monkeypatch.setattr("sk_autoencoder.core._data.CHUNK_BYTES", 8 * 64 * 70)  # 70 rows
    frame = pd.DataFrame(digits, columns=[f"pixel {i}" for i in range(64)])
    model = quick(max_epochs=2, sparse_output=True).fit(frame)
    expected = quick(max_epochs=2).fit(frame).transform(frame)
    np.testing.assert_allclose(model.transform(frame).toarray(), expected, rtol=1e-6)
    sparse_rows = csr_array(digits)
    with pytest.warns(UserWarning, match="feature names"):
        found = model.transform(sparse_rows).toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_sparse_codes_in_a_pipeline(digits):
    pipeline = make_pipeline(quick(sparse_output=True), LogisticRegression())
    y = digits[:, 20] > 0.5
    assert pipeline.fit(digits, y).score(digits, y) > 0.9
    pipeline[0].set_output(transform="pandas")
    with pytest.raises(ValueError, match="scipy sparse matrix"):
        pipeline[0].transform(digits)


def test_few_rows_and_wide_dictionaries_do_not_warn():
    X = np.random.default_rng(0).normal(size=(12, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SparseAutoencoder(50, n_active=8, max_epochs=2, random_state=0).fit(X)
    assert model.transform(X).shape == (12, 50)
    assert (
        n_entries(model.transform(X)).max() <= 3
    )  # no row needs more than it has features


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_atoms_of_a_row_do_not_depend_on_the_rows_beside_it(dtype):
    X = np.random.default_rng(0).random((120, 6)).astype(dtype)
    fitted = SparseAutoencoder(max_epochs=3, random_state=0).fit(X)
    together = fitted.transform(X)
    alone = np.concatenate([fitted.transform(row[None]) for row in X])
    np.testing.assert_array_equal(together != 0, alone != 0)
    np.testing.assert_allclose(together, alone, rtol=0, atol=loose_for(dtype))
    reversed_ = fitted.transform(X[::-1])[::-1]
    np.testing.assert_allclose(together, reversed_, rtol=0, atol=loose_for(dtype))


def loose_for(dtype):
    """Return the rounding of codes, which nearly parallel atoms multiply by up to 1,000."""
    return 10_000 * np.finfo(dtype).eps
