"""Measures, where the answer is known, and scorers in searches."""

import pickle

import numpy as np
import pandas as pd
import pytest
from catalogue import fit_once, quick
from scipy.sparse import csr_array
from skimage import metrics as skimage
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness as library_trustworthiness
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from sk_autoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    TextAutoencoder,
    VAETransformer,
    metrics,
)


@pytest.fixture(scope="module")
def fitted(digits):
    return quick(AutoencoderTransformer, n_components=4).fit(digits)


# Reconstructions


def test_missing_cells_are_skipped():
    X = np.array([[1.0, np.nan], [3.0, 4.0]])
    found = np.array([[2.0, 9.0], [3.0, 1.0]])
    for per, error in {"row": [1, 4.5], "feature": [0.5, 9], "table": 10 / 3}.items():
        np.testing.assert_allclose(metrics.reconstruction_error(X, found, per=per), error)
    root = metrics.reconstruction_error(X, found, squared=False)
    np.testing.assert_allclose(root, np.sqrt([1, 4.5]))
    # The mean of column 1 is 4, which leaves the variance of column 0 alone.
    assert metrics.reconstruction_r2(X, found) == pytest.approx(1 - 10 / 2)


def test_r2_is_the_score_of_the_estimator(fitted, digits):
    found = metrics.reconstruction_r2(digits, fitted.reconstruct(digits))
    assert found == pytest.approx(fitted.score(digits), abs=1e-9)


def test_r2_is_the_score_of_the_estimator_for_missing_cells(curved):
    X = np.where(np.random.default_rng(0).random(curved.shape) < 0.2, np.nan, curved)
    X = X[~np.isnan(X).all(axis=1)]
    autoencoder = quick(AutoencoderTransformer, scaling="global").fit(X)
    found = metrics.reconstruction_r2(X, autoencoder.reconstruct(X))
    assert found == pytest.approx(autoencoder.score(X), abs=1e-9)


def test_constant_rows_have_an_r2_of_one_or_zero():
    X = np.ones((3, 2))
    assert metrics.reconstruction_r2(X, X) == 1
    assert metrics.reconstruction_r2(X, X + 1) == 0


def test_images_are_measured_as_the_library_does(fitted, digits):
    X, found = digits[:20], fitted.reconstruct(digits[:20])
    psnr = metrics.peak_signal_noise_ratio(X, found, data_range=2)
    library = skimage.peak_signal_noise_ratio(X, found, data_range=2)
    assert psnr == pytest.approx(library)
    ssim = metrics.structural_similarity(X, found, image_shape=(8, 8), data_range=2)
    each = [
        skimage.structural_similarity(*pair, data_range=2)
        for pair in zip(X.reshape(-1, 8, 8), found.reshape(-1, 8, 8), strict=True)
    ]
    assert ssim == pytest.approx(np.mean(each))
    colour = metrics.structural_similarity(X, found, image_shape=(4, 4, 4))
    assert 0 < colour < 1


def test_equal_images_are_perfect(digits):
    assert metrics.peak_signal_noise_ratio(digits, digits) == np.inf
    assert metrics.structural_similarity(digits, digits, image_shape=(8, 8)) == 1
    assert metrics.structural_similarity(digits, digits, image_shape=(16, 4)) == 1


def test_the_range_is_that_of_the_rows():
    X, found = np.array([[0.0, 10.0]]), np.array([[1.0, 9.0]])
    assert metrics.peak_signal_noise_ratio(X, found) == pytest.approx(20)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 9), r"image_shape=\(8, 9\) has 72 entries, and rows have 64 columns"),
        ((64,), r"image_shape=\(64,\) has to be \(height, width\)"),
        ((2, 32), "a side below 3 pixels"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(digits, shape, message):
    with pytest.raises(ValueError, match=message):
        metrics.structural_similarity(digits, digits, image_shape=shape)


def test_wrong_arguments_are_refused(digits):
    with pytest.raises(ValueError, match="per='cell' has to be one of"):
        metrics.reconstruction_error(digits, digits, per="cell")
    with pytest.raises(ValueError, match=r"\(300, 64\) and y_pred has \(299, 64\)"):
        metrics.reconstruction_r2(digits, digits[1:])
    missing = np.where(digits > 0.9, np.nan, digits)
    with pytest.raises(ValueError, match="y_true contains NaN"):
        metrics.structural_similarity(missing, digits, image_shape=(8, 8))
    with pytest.raises(ValueError, match="y_pred contains NaN"):
        metrics.reconstruction_error(digits, missing)


# Codes


def test_components_are_active_or_dead():
    codes = np.random.default_rng(0).normal(size=(500, 3)) * [1, 0.05, 0] + [0, 3, 7]
    np.testing.assert_array_equal(metrics.active_components(codes), [True, False, False])
    np.testing.assert_array_equal(
        metrics.dead_components(csr_array(codes), min_variance=0), [False, False, True]
    )


def test_active_components_are_those_that_a_vae_counts(curved):
    vae = quick(VAETransformer, n_components=5).fit(curved)
    found = metrics.active_components(vae.transform(curved))
    np.testing.assert_array_equal(found, vae.active_components_)


@pytest.mark.parametrize("scale", [1e-200, 1, 1e200])
def test_participation_counts_components(scale):
    codes = np.array([[3, 0, 0, 0], [1, -1, 1, 1], [0, 0, 0, 0], [2, 2, 0, 0]])
    found = metrics.mean_participation(codes * scale)
    assert found == pytest.approx((1 + 4 + 0 + 2) / 4)


def test_trustworthiness_is_the_library_s(fitted, digits):
    codes = fitted.transform(digits)
    found = library_trustworthiness(digits, codes, n_neighbors=7)
    assert metrics.trustworthiness(digits, codes, n_neighbors=7) == found
    assert metrics.trustworthiness(digits, csr_array(codes), n_neighbors=7) == found


# Drawn rows


def test_sets_of_unequal_size_are_told_apart_or_not():
    rng = np.random.default_rng(0)
    X, same, other = (rng.normal(m, 1, (n, 2)) for m, n in [(0, 90), (0, 400), (9, 400)])
    classifier = LinearDiscriminantAnalysis()
    found = metrics.two_sample_accuracy(X, other, estimator=classifier, random_state=0)
    assert found == 1
    found = metrics.two_sample_accuracy(X, same, estimator=classifier, random_state=0)
    assert abs(found - 0.5) < 0.1  # a guess by size would be right for 82 %


def test_two_sample_accuracy_repeats_itself():
    X = np.random.default_rng(0).normal(size=(200, 3))
    found = [metrics.two_sample_accuracy(X[:80], X[80:], random_state=1) for _ in "ab"]
    assert found[0] == found[1]


def test_rows_of_other_kinds_are_refused():
    with pytest.raises(ValueError, match="X has 3 columns and samples have 2"):
        metrics.two_sample_accuracy(np.eye(3), np.eye(2))


# Scorers

SCORERS = {
    "r2": metrics.reconstruction_r2_scorer,
    "error": metrics.neg_reconstruction_error_scorer,
    "ratio": metrics.make_reconstruction_scorer(metrics.peak_signal_noise_ratio),
    "trust": metrics.trustworthiness_scorer,
    "active": metrics.make_code_scorer(metrics.active_components),
}


@pytest.mark.slow
def test_one_search_compares_pca_and_autoencoders(curved):
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", PCA())])
    ours = quick(AutoencoderTransformer, max_epochs=30)
    grid = {"reduce": [PCA(2), ours, quick(VAETransformer, n_components=2)]}
    search = GridSearchCV(pipeline, grid, scoring=SCORERS, refit="r2", cv=2)
    found = search.fit(curved).cv_results_
    assert type(search.best_estimator_["reduce"]) is AutoencoderTransformer
    assert found["mean_test_error"].argmax() == search.best_index_
    for name in SCORERS:
        assert np.isfinite(found[f"mean_test_{name}"]).all()
    # Through the search itself, and in the units of X.
    back = search.inverse_transform(search.transform(curved))
    error = metrics.neg_reconstruction_error_scorer(search, curved)
    assert error == pytest.approx(-((back - curved) ** 2).mean())


def test_a_scorer_of_images_in_cross_validation(digits):
    scorer = metrics.make_reconstruction_scorer(
        metrics.structural_similarity, image_shape=(8, 8), data_range=1
    )
    few, many = (cross_val_score(PCA(n), digits, scoring=scorer, cv=2) for n in (2, 20))
    assert (few < many).all()


@pytest.mark.parametrize("scorer", [*SCORERS.values(), metrics.two_sample_scorer])
def test_scorers_can_be_copied(scorer, curved):
    X = curved[:200]
    vae = fit_once(quick(VAETransformer), X)
    score = scorer(vae, X)
    assert pickle.loads(pickle.dumps(scorer))(vae, X) == score
    search = clone(GridSearchCV(vae, {}, scoring=scorer))
    assert search.scoring(vae, X) == score


def test_steps_behind_the_codes_do_not_matter(iris):
    y = np.repeat([0, 1, 2], 50)
    pipeline = make_pipeline(
        StandardScaler(), quick(AutoencoderTransformer), LogisticRegression()
    ).fit(iris, y)
    for scorer in SCORERS.values():
        assert scorer(pipeline, iris, y) == scorer(pipeline[:-1], iris)


def test_wrappers_are_measured_by_what_they_hold(iris):
    inner = make_pipeline(StandardScaler(), quick(AutoencoderTransformer))
    detector = AutoencoderOutlierDetector(inner).fit(iris)
    for scorer in SCORERS.values():
        assert scorer(detector, iris) == scorer(detector.autoencoder_, iris)


def test_clean_partners_are_what_noisy_rows_are_compared_with(digits):
    noisy = digits + np.random.default_rng(0).normal(0, 0.3, digits.shape)
    denoiser = quick(DenoisingAutoencoder, paired=True).fit(noisy, digits)
    r2 = metrics.reconstruction_r2
    paired = metrics.make_reconstruction_scorer(r2, paired=True)
    expected = r2(digits, denoiser.reconstruct(noisy))
    assert paired(denoiser, noisy, digits) == pytest.approx(expected)
    with pytest.raises(ValueError, match="paired=True compares with y"):
        paired(denoiser, noisy)
    expected = r2(noisy, denoiser.reconstruct(noisy))
    for y in (None, np.zeros(len(digits)), digits):
        found = metrics.reconstruction_r2_scorer(denoiser, noisy, y)
        assert found == pytest.approx(expected)


def test_a_denoising_scorer_damages_rows_itself(digits):
    pca = PCA(8).fit(digits)
    noise = np.random.RandomState(3).normal(size=digits.shape) * 2.0
    restored = pca.inverse_transform(pca.transform(digits + noise))
    expected = metrics.reconstruction_r2(digits, restored)
    for given in (2.0, np.full(digits.shape[1], 2.0), lambda X, rng: X + noise):
        scorer = metrics.make_denoising_scorer(given, random_state=3)
        assert scorer(pca, digits) == scorer(pca, digits) == pytest.approx(expected)
    frame = pd.DataFrame(digits).add_prefix("pixel ")
    scorer = metrics.make_denoising_scorer(2.0, random_state=3)
    assert scorer(PCA(8).fit(frame), frame) == pytest.approx(expected)


def test_sparse_rows_and_lists_are_measured(digits):
    X = csr_array(digits)
    autoencoder = quick(TextAutoencoder).fit(X)
    score = metrics.reconstruction_r2_scorer(autoencoder, X)
    assert score == pytest.approx(autoencoder.score(X), abs=1e-9)
    mixture = GaussianMixture(random_state=0).fit(digits[:, 20:22])
    rows = digits[:, 20:22].tolist()
    assert -1 <= metrics.two_sample_scorer(mixture, rows) <= 0


def test_rows_are_drawn_through_a_pipeline(curved):
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    wrong = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    pipeline.fit(curved), wrong.fit(curved)
    wrong[0].mean_ += 100
    scorer = metrics.make_sample_scorer(
        metrics.two_sample_accuracy,
        greater_is_better=False,
        estimator=LinearDiscriminantAnalysis(),
        random_state=0,
    )
    assert scorer(wrong, curved) == -1
    assert scorer(pipeline, curved) > -0.6


@pytest.mark.parametrize("name", ["r2", "trust"])
def test_estimators_without_codes_are_refused(iris, name):
    forest = make_pipeline(IsolationForest(n_estimators=2)).fit(iris)
    with pytest.raises(TypeError, match="Pipeline has no"):
        SCORERS[name](forest, iris)
    one_way = make_pipeline(Normalizer(), PCA(2)).fit(iris)
    with pytest.raises(TypeError, match="Pipeline has no inverse_transform"):
        SCORERS["r2"](one_way, iris)
    found = library_trustworthiness(iris, one_way.transform(iris))
    assert SCORERS["trust"](one_way, iris) == found
    with pytest.raises(TypeError, match="draws no rows"):
        metrics.two_sample_scorer(forest, iris)


# Reports of sampled rows


def mixed_rows(n_rows, seed):
    """Make rows of a number, a category that depends on it, and a column with holes."""
    rng = np.random.default_rng(seed)
    number = rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "number": number,
            "kind": np.where(number + 0.3 * rng.normal(size=n_rows) > 0, "high", "low"),
            "holed": np.where(rng.random(n_rows) < 0.2, np.nan, rng.random(n_rows)),
        }
    )


@pytest.mark.slow
def test_a_report_of_rows_of_the_same_distribution():
    rows = [mixed_rows(1_000, seed) for seed in range(3)]
    report = metrics.sample_report(*rows, target="kind", random_state=0)
    assert all(isinstance(value, float) for pair in report.values() for value in pair)
    for name in ("column shapes", "column pairs"):
        assert min(report[name]) > 0.94
    for name in ("trees", "neighbours", "nearness"):
        np.testing.assert_allclose(report[name], 0.5, atol=0.06)
    assert min(report["trained"]) > 0.85
    assert report["copies"] == (0, 0)
    assert metrics.sample_report(*rows, target="kind", random_state=0) == report


@pytest.mark.slow
def test_a_report_tells_copies_and_wrong_columns():
    X, held_out = mixed_rows(400, 0), mixed_rows(400, 1)
    copies = metrics.sample_report(X, X.sample(frac=1, random_state=0), held_out)
    assert copies["copies"] == (1, 0)
    assert copies["nearness"][0] > 0.9
    rng = np.random.default_rng(0)
    alone = pd.DataFrame({name: rng.permutation(X[name]) for name in X})
    broken = metrics.sample_report(X, alone, held_out, target="kind", random_state=0)
    assert broken["column shapes"][0] > 0.9
    assert broken["column pairs"][0] < broken["column pairs"][1] - 0.05
    assert broken["trees"][0] > broken["trees"][1] + 0.05
    assert broken["trained"][0] < broken["trained"][1] - 0.2
    full = X.fillna({"holed": 0.5})
    assert metrics.sample_report(X, full, held_out)["column shapes"][0] < 0.95


def test_shapes_are_known_distances():
    X = np.arange(100.0)[:, None]
    report = metrics.sample_report(X, X + 50, X, random_state=0)
    assert report["column shapes"] == (0.5, 1.0)
    kinds = [pd.DataFrame({"a": list("xy") * 50}), pd.DataFrame({"a": list("xxxy") * 25})]
    report = metrics.sample_report(kinds[0], kinds[1], kinds[0], random_state=0)
    assert report["column shapes"][0] == pytest.approx(0.75)


def test_wrong_rows_of_a_report():
    X = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(ValueError, match="target='z' is no column"):
        metrics.sample_report(X, X, X, target="z")
    with pytest.raises(ValueError, match="the same columns"):
        metrics.sample_report(X, X[:, :2], X)
    with pytest.raises(ValueError, match="needs 10 rows of each kind, and one has 5"):
        metrics.sample_report(X, X[:5], X)
