"""Counts and tf-idf: sparse rows, and losses that look at shares or angles."""

import numpy as np
import pytest
from catalogue import fit_once
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import (
    CountVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from sk_autoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    TextAutoencoder,
)
from sk_autoencoder.nn._losses import ROW_LOSSES

N_TOPICS, N_TERMS = 4, 300


def draw_counts(n_rows, seed=0):
    """Return counts of terms in documents of one topic each, and the topics."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(N_TERMS, 0.1), size=N_TOPICS)
    rng = np.random.default_rng(seed)
    topics = rng.integers(N_TOPICS, size=n_rows)
    lengths = rng.integers(5, 80, size=n_rows)
    return csr_array(rng.multinomial(lengths, shares[topics]).astype(float)), topics


def quick(loss="multinomial", **parameters):
    """Return an autoencoder that is quick to fit."""
    parameters = {
        "hidden_layer_sizes": (32,),
        "max_epochs": 2,
        "random_state": 0,
    } | parameters
    return AutoencoderTransformer(4, loss=loss, **parameters)


@pytest.mark.parametrize("loss", ROW_LOSSES)
def test_sparse_and_dense_documents_give_the_same(loss):
    X, _ = draw_counts(300)
    fitted = fit_once(quick(loss), X)
    dense = X.toarray()
    np.testing.assert_allclose(fitted.transform(dense), fitted.transform(X))
    np.testing.assert_allclose(fitted.score_samples(dense), fitted.score_samples(X))
    again = quick(loss).fit(dense)
    np.testing.assert_allclose(again.score(dense), fitted.score(X), rtol=1e-2)


@pytest.mark.parametrize("loss", ROW_LOSSES)
def test_the_length_of_a_document_does_not_matter(loss):
    X, _ = draw_counts(300)
    factors = np.random.default_rng(1).integers(1, 5, size=300)
    longer = csr_array(X.toarray() * factors[:, None])
    fitted = fit_once(quick(loss), X)
    np.testing.assert_allclose(fitted.transform(longer), fitted.transform(X), rtol=1e-6)
    np.testing.assert_allclose(
        fitted.score_samples(longer), fitted.score_samples(X), rtol=1e-6
    )
    np.testing.assert_allclose(
        fitted.reconstruct(longer), fitted.reconstruct(X) * factors[:, None], rtol=1e-6
    )


@pytest.mark.parametrize(("loss", "order"), [("multinomial", 1), ("cosine", 2)])
def test_reconstructions_are_as_long_as_the_documents(loss, order):
    X, _ = draw_counts(300)
    dense = X.toarray()
    fitted = quick(loss, early_stopping=False).fit(X)
    lengths = np.linalg.norm(dense, order, axis=1)
    found = np.linalg.norm(fitted.reconstruct(X), order, axis=1)
    np.testing.assert_allclose(found, lengths)
    usual = fitted.inverse_transform(fitted.transform(X))
    np.testing.assert_allclose(np.linalg.norm(usual, order, axis=1), lengths.mean(), 1e-6)


@pytest.mark.slow
def test_multinomial_reconstructions_are_the_shares_of_the_topic():
    X, topics = draw_counts(2_000)
    new, new_topics = draw_counts(400, seed=1)
    fitted = quick(max_epochs=20).fit(X)
    dense = X.toarray()
    shares = np.stack([dense[topics == k].sum(axis=0) for k in range(N_TOPICS)])
    shares /= shares.sum(axis=1, keepdims=True)
    found = fitted.reconstruct(new) / new.sum(axis=1)[:, None]
    distance = np.abs(found[:, None] - shares).sum(axis=-1)  # (n_rows, n_topics)
    assert (distance.argmin(axis=1) == new_topics).mean() > 0.98
    assert np.median(distance.min(axis=1)) < 0.5  # of at most 2


@pytest.mark.slow
def test_training_beats_the_start_and_the_start_the_mean_row():
    X, _ = draw_counts(2_000)
    new, _ = draw_counts(400, seed=1)
    shares = np.asarray(X.sum(axis=0)) / X.sum()
    rows = new.toarray() / new.sum(axis=1)[:, None]
    safe = np.where(rows > 0, rows, 1)
    divergence = (rows * np.log(safe / (shares + 1e-4))).sum(axis=1).mean()
    start = -quick(max_epochs=0).fit(X).score_samples(new).mean()
    trained = -quick(max_epochs=20).fit(X).score_samples(new).mean()
    assert trained < 0.95 * start < 0.9 * divergence


@pytest.mark.parametrize("loss", ROW_LOSSES)
def test_empty_documents_are_allowed(loss):
    dense = draw_counts(300)[0].toarray()
    dense[::10] = 0
    X = csr_array(dense)
    fitted = quick(loss).fit(X)
    for method in ("transform", "reconstruct", "score_samples"):
        assert np.isfinite(getattr(fitted, method)(X)).all()
    if loss == "multinomial":
        np.testing.assert_array_equal(fitted.score_samples(X[:1]), 0)


@pytest.mark.parametrize("loss", ROW_LOSSES)
def test_documents_in_pieces(loss):
    X, _ = draw_counts(600)
    fitted = quick(loss).partial_fit(X[:300])
    before = fitted.score_samples(X).mean()
    for _ in range(4):
        fitted.partial_fit(X[:300]).partial_fit(X[300:])
    assert fitted.score_samples(X).mean() > before


@pytest.mark.parametrize("loss", ROW_LOSSES)
def test_documents_have_no_missing_cells(loss, iris):
    assert not get_tags(quick(loss)).input_tags.allow_nan
    iris = iris.copy()
    iris[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        quick(loss).fit(iris)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_more_terms_than_the_covariance_is_made_for(dtype):
    # The axes of float32 rows came in reverse, which torch does not take.
    rng = np.random.default_rng(0)
    X = csr_array(rng.poisson(0.02, size=(200, 1_200)).astype(dtype))
    assert quick(max_epochs=1).fit(X).transform(X).dtype == dtype


def test_a_pipeline_of_text():
    texts = ["a cat sat", "cats and a cat", "the cat purrs", "a dog ran"] * 20
    texts += ["stocks fell", "a bank fell", "stocks and a bank", "bank of stocks"] * 20
    y = np.repeat([0, 1], 80)
    model = make_pipeline(TfidfVectorizer(), quick(), LogisticRegression()).fit(texts, y)
    assert model.score(texts, y) > 0.9
    counts = make_pipeline(CountVectorizer(), TfidfTransformer(), quick("cosine"))
    assert counts.fit_transform(texts).shape == (160, 4)


def test_a_strange_document_is_an_outlier():
    X, _ = draw_counts(500)
    rng = np.random.default_rng(1)
    strange = csr_array(
        rng.multinomial(60, np.full(N_TERMS, 1 / N_TERMS), 20).astype(float)
    )
    detector = AutoencoderOutlierDetector(quick(max_epochs=5), random_state=0).fit(X)
    usual = detector.score_samples(X)
    assert detector.score_samples(csr_array(strange)).max() < np.quantile(usual, 0.1)


def test_documents_that_differ_by_rounding_are_one():
    X = np.full((6, 3), 0.7)
    X[::2, 0] *= 1 + 1e-12
    fitted = TextAutoencoder(2, max_epochs=1, random_state=0).fit(X)
    np.testing.assert_array_equal(fitted.net_.module_.scaler.scale, 1)
    np.testing.assert_allclose(fitted.transform(X), 0, atol=1e-6)
