"""Rows with missing cells, in every estimator that takes them."""

import pickle

import numpy as np
import pytest
import torch
from catalogue import (
    AUTOENCODERS,
    DETECTORS,
    PLAIN,
    fit_once,
    fitted,
    in_turn,
    label,
    name,
    quick,
)
from ensembles import check_stacked_losses
from linear import linear_moments
from scipy.sparse import csr_array
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.utils import get_tags

from sk_autoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
)
from sk_autoencoder.core._data import Batch, RowSource
from sk_autoencoder.core._initialization._factor_model import (
    COVARIANCE_WEIGHT,
    average_covariances,
    fit_factor_model,
)
from sk_autoencoder.core._missing import ImputedRows
from sk_autoencoder.impute._multiple import sample_missing
from sk_autoencoder.nn import Dense, Objective
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._corruptions import GaussianNoise
from sk_autoencoder.nn._likelihoods import LIKELIHOODS
from sk_autoencoder.nn._losses import LOSSES, observed_error
from sk_autoencoder.nn._missing import (
    FactorModelImputer,
    GaussianImputer,
    ImputationLayer,
    PreserveMissing,
)
from sk_autoencoder.nn._scalers import Scaler
from sk_autoencoder.outliers._threshold import ROUNDING

ALL = AUTOENCODERS + DETECTORS
TAKES_MISSING = [each for each in ALL if get_tags(each).input_tags.allow_nan]
OTHERS = [each for each in ALL if not get_tags(each).input_tags.allow_nan]
every = pytest.mark.parametrize("estimator", TAKES_MISSING, ids=name)


def make_rows(n_rows=300, missing=0.2, seed=0):
    """Return rows of six columns with three factors, and the same with missing cells."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(7).normal(size=(3, 6))
    X = rng.normal(size=(n_rows, 3)) @ loadings + rng.normal(0, 0.3, (n_rows, 6)) + 5
    holes = rng.random(X.shape) < missing
    holes[holes.all(axis=1)] = False
    return X, np.where(holes, np.nan, X)


X, HOLED = make_rows()


def use(estimator, rows):
    """Return what the main method of a fitted estimator makes of rows."""
    method = "transform" if hasattr(estimator, "transform") else "decision_function"
    return getattr(estimator, method)(rows)


def test_those_that_the_users_look_for_take_missing_cells():
    kinds = {type(each) for each in TAKES_MISSING}
    assert kinds >= {
        AutoencoderOutlierDetector,
        AutoencoderTransformer,
        DenoisingAutoencoder,
        VAETransformer,
    }


# Each with one table, the plain autoencoder with both; float32 of one of each kind.
FITS = [
    pytest.param(*each.values, table, np.float64, marks=each.marks)
    for first, table in enumerate((X, HOLED))
    for each in in_turn(TAKES_MISSING, first)
]
FITS += [(each, HOLED, np.float32) for each in (PLAIN, TAKES_MISSING[-1])]


def precision(estimator, exact):
    """Return `exact`, or the precision of detectors, whose networks stay in float32.

    It is a tenth of the distance from which a threshold keeps.
    """
    return max(exact, ROUNDING / 10) if hasattr(estimator, "predict") else exact


@pytest.mark.parametrize(("estimator", "fitted_to", "dtype"), FITS, ids=label)
def test_results_are_finite_and_do_not_depend_on_other_rows(estimator, fitted_to, dtype):
    estimator = fit_once(estimator, fitted_to.astype(dtype))
    rows = HOLED[:50].astype(dtype)
    for method in ("transform", "reconstruct", "score_samples", "decision_function"):
        if not hasattr(estimator, method):
            continue
        found = getattr(estimator, method)(rows)
        assert np.isfinite(found).all()
        assert found.dtype == dtype
        tolerance = 1e-3 if dtype == np.float32 else precision(estimator, 1e-8)
        alone = getattr(estimator, method)(rows[7:9])
        np.testing.assert_allclose(found[7:9], alone, rtol=tolerance, atol=tolerance)
    if hasattr(estimator, "score"):
        assert 0.2 < estimator.score(HOLED) <= 1


@pytest.mark.parametrize("estimator", in_turn(TAKES_MISSING, 0), ids=name)
def test_a_refit_and_a_pickle_give_the_same(estimator):
    expected = use(fit_once(estimator, HOLED), HOLED)
    copied = pickle.loads(pickle.dumps(fit_once(estimator, HOLED)))
    np.testing.assert_array_equal(use(copied, HOLED), expected)
    np.testing.assert_array_equal(use(copied.fit(HOLED), HOLED), expected)


@pytest.mark.parametrize(
    "estimator", [each for each in TAKES_MISSING if not hasattr(each, "log_likelihood")]
)
def test_holes_alone_make_no_row_unusual(estimator):
    estimator, new = fit_once(estimator, HOLED), make_rows(seed=1)
    whole, holed = (estimator.score_samples(rows) for rows in new)
    assert abs(holed.mean() - whole.mean()) < 0.3 * whole.std()
    some = np.isnan(new[1]).any(axis=1)
    assert abs(holed[some].mean() - holed[~some].mean()) < 0.4 * holed.std()


NO_SERIES = [each for each in TAKES_MISSING if not hasattr(each, "window")]


@pytest.mark.parametrize("table", [X, HOLED], ids=["complete", "incomplete"])
@pytest.mark.parametrize("estimator", NO_SERIES, ids=name)
def test_a_row_without_a_value_is_as_usual_as_can_be(estimator, table):
    rows = HOLED.copy()
    rows[4] = np.nan
    estimator = fitted(estimator, table)
    values = use(estimator, rows)
    # Other numbers of rows are multiplied in another order on some processors.
    np.testing.assert_allclose(
        np.delete(values, 4, 0),
        use(estimator, np.delete(rows, 4, 0)),
        rtol=precision(estimator, 1e-11),
        atol=precision(estimator, 1e-12),
    )
    assert np.isfinite(values[4]).all()
    if hasattr(estimator, "predict"):
        assert estimator.predict(rows)[4] == 1
    elif hasattr(estimator, "score_samples"):
        scores = estimator.score_samples(rows)
        assert scores[4] > np.median(scores)


@pytest.mark.parametrize("estimator", in_turn(NO_SERIES, 1), ids=name)
def test_rows_without_a_value_teach_nothing(estimator):
    rows = np.insert(HOLED, [0, 7, len(HOLED)], np.nan, axis=0)
    np.testing.assert_array_equal(
        use(clone(estimator).fit(rows), HOLED), use(fit_once(estimator, HOLED), HOLED)
    )
    alone = np.full((5, 6), np.nan)
    alone[2] = HOLED[0]
    with pytest.raises(ValueError, match=r"1 row\(s\) with an observed value, and 2"):
        clone(estimator).fit(alone)


@every
def test_a_column_without_a_value_is_named(estimator):
    rows = HOLED.copy()
    rows[:, 2] = np.nan
    with pytest.raises(ValueError, match="Column 2 of X has no observed value"):
        clone(estimator).fit(rows)
    assert np.isfinite(use(fit_once(estimator, HOLED), rows)).all()


@pytest.mark.parametrize("estimator", OTHERS, ids=name)
def test_others_say_that_they_do_not_take_them(estimator):
    with pytest.raises(ValueError, match="contains NaN"):
        clone(estimator).fit(HOLED)


def test_the_start_is_pca_of_the_best_guesses():
    rows, holed = make_rows(2_000)
    parameters = {"n_components": 3, "max_epochs": 0, "early_stopping": False}
    whole = AutoencoderTransformer(**parameters).fit(rows)
    found = AutoencoderTransformer(**parameters).fit(holed)
    assert found.score(rows) > whole.score(rows) - 0.01
    expected = whole.transform(rows)
    for i, codes in enumerate(found.transform(rows).T):
        assert abs(np.corrcoef(codes, expected[:, i])[0, 1]) > 0.97


def test_a_column_may_have_no_value_among_the_rows_of_a_member():
    rows = np.random.default_rng(0).normal(size=(400, 5))
    rows[:-3, 1] = np.nan
    detector = AutoencoderOutlierDetector(max_samples=20, random_state=0).fit(rows)
    assert np.isfinite(detector.score_samples(rows)).all()


def test_missing_cells_have_no_share_in_what_is_unusual():
    detector = AutoencoderOutlierDetector(random_state=0).fit(HOLED)
    shares = detector.explain(HOLED)
    assert (shares[np.isnan(HOLED)] == 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), -detector.score_samples(HOLED))


def test_training_that_began_without_missing_cells_does_not_take_them_later():
    streamed = clone(PLAIN).partial_fit(X)
    with pytest.raises(ValueError, match="training began with had none"):
        streamed.partial_fit(HOLED)
    begun = clone(PLAIN).partial_fit(HOLED).partial_fit(X)
    assert np.isfinite(begun.partial_fit(HOLED).transform(HOLED)).all()


def test_a_likelihood_is_that_of_the_observed_cells():
    parameters = {"max_epochs": 0, "early_stopping": False, "code_density": "prior"}
    vae = VAETransformer(
        3, variance="per_feature", n_importance_samples=4_096, **parameters
    ).fit(HOLED)  # linear, as it starts
    mean = vae.inverse_transform(np.zeros((1, 3)))
    loadings = vae.inverse_transform(np.eye(3)) - mean
    module = vae.net_.module_
    noise = (module.scaler.scale**2 * module.network.likelihood.variance).detach().numpy()
    covariance = loadings.T @ loadings + np.diag(noise)
    expected = []
    rows = HOLED[:25]
    for row in rows:
        known = ~np.isnan(row)
        density = multivariate_normal(mean[0, known], covariance[np.ix_(known, known)])
        expected.append(density.logpdf(row[known]) / known.mean())
    off = np.abs(vae.score_samples(rows) - expected)
    # Draws around the guess miss some of what many missing cells leave open.
    assert off[np.isnan(rows).sum(axis=1) <= 1].max() < 0.1
    assert np.median(off) < 0.02


def test_sparse_rows_teach_nothing_about_missing_cells():
    fitted = clone(PLAIN).fit(csr_array(X))
    with pytest.raises(ValueError, match="Fit to dense ones"):
        fitted.transform(HOLED)


def test_clean_partners_teach_what_is_missing():
    rows, holed = make_rows(1_000)
    denoiser = quick(DenoisingAutoencoder, paired=True).fit(holed, rows)
    new, holes = make_rows(300, seed=1)
    missing = np.isnan(holes)
    residual = (denoiser.denoise(holes) - new)[missing]
    assert residual.var() < 0.3 * new[missing].var()


# Parts


@pytest.fixture
def model():
    generator = torch.Generator().manual_seed(0)
    loadings = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    noise = torch.rand(5, generator=generator, dtype=torch.float64) + 0.1
    mean = torch.arange(5.0, dtype=torch.float64)
    low, high = (torch.full((5,), value).double() for value in (-99, 99))
    return FactorModelImputer(mean, loadings, noise, low, high)


def conditional_mean(mean, covariance, row):
    known = ~np.isnan(row)
    weights = np.linalg.solve(covariance[np.ix_(known, known)], (row - mean)[known])
    return np.where(known, row, mean + covariance[:, known] @ weights)


def as_gaussian(model):
    """Express a factor model as a normal distribution without factors."""
    covariance = model.loadings @ model.loadings.mT + torch.diag_embed(model.noise)
    return GaussianImputer(model.mean, covariance.inverse(), model.low, model.high)


def holed_rows(n_rows=40):
    rows = np.random.default_rng(0).normal(size=(n_rows, 5))
    rows[np.random.default_rng(1).random(rows.shape) < 0.4] = np.nan
    return rows


def moments_of(model):
    covariance = model.loadings @ model.loadings.T + model.noise.diag()
    return model.mean.numpy(), covariance.numpy()


@pytest.mark.parametrize("n_rows", [40, 400])
@pytest.mark.parametrize("convert", [lambda model: model, as_gaussian])
def test_the_fill_is_the_conditional_mean(model, convert, n_rows):
    rows = holed_rows(n_rows)
    rows[0], rows[1] = np.nan, 1.0  # no entry, and all of them
    expected = [conditional_mean(*moments_of(model), row) for row in rows]
    np.testing.assert_allclose(convert(model)(torch.from_numpy(rows)), expected)


def test_many_rows_are_imputed_in_parts(model, monkeypatch):
    rows, fill = torch.from_numpy(holed_rows()), as_gaussian(model)
    at_once = fill(rows)
    monkeypatch.setattr("sk_autoencoder.nn._missing.GROUP_ENTRIES", 25)
    torch.testing.assert_close(fill(rows), at_once)


@pytest.mark.parametrize("n_members", [None, 3])
@pytest.mark.parametrize("convert", [lambda model: model, as_gaussian])
def test_known_patterns_give_what_others_give(model, convert, n_members, monkeypatch):
    if n_members:
        for name, buffer in list(model.named_buffers()):
            members = torch.arange(1, n_members + 1).double() / n_members
            stacked = members.reshape(-1, *[1] * buffer.ndim) * buffer
            model.register_buffer(name, stacked)
    fill, x = convert(model), torch.from_numpy(holed_rows())
    rows = x if n_members is None else torch.stack([x, x.flip(0), x.roll(7, 0)])
    expected = fill(rows)
    with fill.knowing(x.isnan()):
        assert pickle.loads(pickle.dumps(fill)).known is None
        with monkeypatch.context() as patch:
            patch.setattr(type(fill), "conditional_mean", None)  # no row needs it
            torch.testing.assert_close(fill(rows), expected)
    with fill.knowing(x[:2].isnan()):  # the others miss something else
        torch.testing.assert_close(fill(rows), expected)
    assert fill.known is None


def test_complete_rows_stay(model):
    rows = torch.randn(3, 5).double()
    assert torch.equal(as_gaussian(model)(rows), rows)


def test_covariances_are_averaged(model):
    rows = torch.from_numpy(holed_rows(300))
    mean, covariance = moments_of(model)
    hidden = rows.isnan().numpy()
    imputed = np.array([conditional_mean(mean, covariance, row) for row in rows.numpy()])
    scatter = (imputed - imputed.mean(0)).T @ (imputed - imputed.mean(0))
    for missing in hidden:
        seen = ~missing
        gain = np.linalg.lstsq(covariance[seen][:, seen], covariance[seen], rcond=None)[0]
        spread = covariance - covariance[:, seen] @ gain
        scatter += spread * np.outer(missing, missing)
    target = (1 - COVARIANCE_WEIGHT) * covariance + COVARIANCE_WEIGHT * scatter / 300
    found = average_covariances(model, rows, COVARIANCE_WEIGHT)
    np.testing.assert_allclose(found.precision.inverse(), target)
    np.testing.assert_allclose(found.mean, imputed.mean(0))


def test_the_fill_stays_within_the_range(model):
    model.high.fill_(0.5)
    x = torch.tensor([[9.0, torch.nan, 9.0, torch.nan, 9.0]]).double()
    assert model(x)[0, [1, 3]].max() <= 0.5
    assert model(x)[0, 0] == 9


def test_em_finds_what_the_true_model_knows():
    rows, holed = make_rows(3_000, missing=0.4)
    loadings = np.random.default_rng(7).normal(size=(3, 6))
    covariance = loadings.T @ loadings + 0.09 * np.eye(6)
    scaler = Scaler(torch.full((6,), 5.0).double(), torch.ones(6).double())
    fill = fit_factor_model(RowSource(holed), scaler, np.arange(2_000), seed=0)
    found = ImputedRows(holed, scaler, fill)[2_000:]
    best = [conditional_mean(np.full(6, 5.0), covariance, row) for row in holed[2_000:]]
    hidden = np.isnan(holed[2_000:])
    errors = [
        ((guess - rows[2_000:])[hidden] ** 2).mean() for guess in (found, np.array(best))
    ]
    assert errors[0] < 1.05 * errors[1]
    np.testing.assert_array_equal(found[~hidden], holed[2_000:][~hidden])


def test_a_column_without_a_value_among_the_rows_is_filled_with_the_center():
    holed = make_rows()[1]
    holed[:, 2] = np.nan
    scaler = Scaler(torch.full((6,), 5.0).double(), torch.ones(6).double())
    found = ImputedRows(
        holed, scaler, fit_factor_model(RowSource(holed), scaler, np.arange(300), seed=0)
    )[:]
    np.testing.assert_allclose(found[:, 2], 5, atol=1e-6)
    assert np.isfinite(found).all()


def test_a_completion_starts_at_the_guess_and_leaves_complete_rows(model):
    completion = ImputationLayer(model.float())
    x = torch.randn(20, 5)
    holed = torch.where(torch.rand(20, 5) < 0.3, torch.nan, x)
    torch.testing.assert_close(completion(holed), model(holed))
    with torch.no_grad():
        completion.correction[-1].bias.fill_(1.0)
    torch.testing.assert_close(completion(x), x)
    expected = model(holed) + holed.isnan().float()
    torch.testing.assert_close(completion(holed), expected)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
def test_errors_skip_missing_cells(loss):
    output = torch.randn(7, 3, requires_grad=True)
    x = torch.rand(7, 3)
    holed = x.clone()
    holed[:, 1] = torch.nan
    found = observed_error(loss.error, loss.neutral_output, output, holed)
    torch.testing.assert_close(found, loss.error(output[:, [0, 2]], x[:, [0, 2]]))
    found.sum().backward()
    assert (output.grad[:, 1] == 0).all()
    assert (output.grad[:, [0, 2]] != 0).all()


@pytest.mark.parametrize("kind", LIKELIHOODS.values(), ids=list(LIKELIHOODS))
def test_likelihoods_skip_missing_cells(kind):
    output = torch.randn(7, 3, requires_grad=True)
    x = torch.randint(0, 2, (7, 3)).float()
    holed = x.clone()
    holed[:, 1] = torch.nan
    likelihood, less = kind(3), kind(2)
    likelihood.skips_missing = True
    found = likelihood(output, holed)
    torch.testing.assert_close(found, less(output[:, [0, 2]], x[:, [0, 2]]))
    found.sum().backward()
    assert output.grad.isfinite().all()
    assert (output.grad[:, 1] == 0).all()
    assert all(p.grad.isfinite().all() for p in likelihood.parameters())


def test_a_corruption_leaves_missing_cells_missing():
    x = torch.tensor([[1.0, torch.nan], [torch.nan, 2.0]])
    found = PreserveMissing(torch.nn.Threshold(9.0, 0.0))(x)
    assert torch.equal(found.isnan(), x.isnan())
    assert found.nansum() == 0


# Drawing missing cells


@pytest.mark.parametrize(("gain", "spread"), [(1.0, 1.0), (0.9, 1.2)])
def test_draws_are_distributed_as_the_model_says(gain, spread):
    start = {"max_epochs": 0, "early_stopping": False, "code_density": "prior"}
    vae = VAETransformer(2, variance="per_feature", random_state=0, **start).fit(HOLED)
    network = vae.network_
    with torch.no_grad():  # a wrong posterior, as after training
        network.encode_gain *= gain
        network.log_scale[-1].bias += np.log(spread)
    row = np.where(np.arange(6) < 3, np.nan, X[20])
    mean, covariance = given_the_others(vae, row)
    rows = np.tile(row, (2_500, 1))
    torch.manual_seed(0)
    drawn = vae.map_rows(sample_missing, rows)
    np.testing.assert_array_equal(drawn[:, 3:], rows[:, 3:])
    error = np.sqrt(np.diag(covariance) / len(rows))
    assert (np.abs(drawn[:, :3].mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(np.cov(drawn[:, :3].T), covariance, rtol=0.1, atol=0.01)


def given_the_others(vae, row):
    """Return mean and covariance of missing cells under a model with a linear decoder."""
    origin, both = linear_moments(vae)
    hidden = np.isnan(row)
    gain = np.linalg.solve(both[~hidden][:, ~hidden], both[~hidden][:, hidden]).T
    mean = origin[hidden] + gain @ (row - origin)[~hidden]
    return mean, both[hidden][:, hidden] - gain @ both[~hidden][:, hidden]


@pytest.mark.parametrize("convert", [lambda model: model, as_gaussian])
def test_stacked_members_impute_as_vmap_does(convert):
    torch.manual_seed(0)
    alone, scaler = [], Scaler(torch.zeros(5), torch.ones(5))
    for _ in range(3):
        low = torch.full((5,), -3.0)
        parts = torch.randn(5), torch.randn(5, 2), torch.rand(5) + 0.1
        layer = ImputationLayer(convert(FactorModelImputer(*parts, low, -low)))
        torch.nn.init.normal_(layer.correction[-1].weight)
        network = Dense((8,))(5, 2).with_imputation(layer)
        corruption = PreserveMissing(GaussianNoise(0.1))
        alone.append(Autoencoder(network, scaler, corruption, torch.nn.Identity()))
    x = torch.randn(3, 40, 5)
    x[torch.rand_like(x) < 0.2] = torch.nan
    objective = Objective(LOSSES["squared_error"].observed_error)
    check_stacked_losses(alone, objective, Batch(x, x, torch.rand(3, 40)))
