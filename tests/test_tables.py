"""Tables of mixed columns go into every estimator, and frames come back."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from catalogue import CLASSES, fit_once, in_turn, quick
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from tables import pandas_frame, polars_frame

from sk_autoencoder import (
    AutoencoderCompressor,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    CodeDisplay,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    OutlierScoreDisplay,
    ReconstructionDisplay,
    TextAutoencoder,
    TraversalDisplay,
    VAETransformer,
    load,
    save,
)
from sk_autoencoder.impute._neighbors import hide_entries
from sk_autoencoder.metrics import (
    make_denoising_scorer,
    reconstruction_r2_scorer,
    trustworthiness_scorer,
    two_sample_scorer,
)
from sk_autoencoder.nn._tables import (
    LevelProbabilities,
    TableError,
    TableLayout,
    TableLink,
)
from sk_autoencoder.preprocessing import TableEncoder

OF_ONE_KIND = (ConvolutionalAutoencoder, TextAutoencoder)
MIXED = [cls for cls in CLASSES if cls not in OF_ONE_KIND]
FRAMES = {"pandas": pandas_frame(60), "polars": polars_frame(60)}
FRAMES["pandas"] = FRAMES["pandas"].set_axis(np.arange(60) * 3, axis="index")


def assert_alike(found, frame):
    """Check that a frame has the names, dtypes and index of another."""
    assert type(found) is type(frame)
    assert list(found.columns) == list(frame.columns)
    assert list(found.dtypes) == list(frame.dtypes)
    if isinstance(frame, pd.DataFrame):
        assert found.index.equals(frame.index)


def make(cls):
    """Make a quick estimator for tables."""
    parameters = {"n_components": 3} if hasattr(cls, "n_components") else {}
    if cls.__name__ == "TimeSeriesOutlierDetector":
        parameters["window"] = 4
    if cls.__name__ == "StackedAutoencoder":  # starts at random weights
        parameters["max_epochs"] = 40
    return quick(cls, **parameters)


@pytest.fixture(scope="module", params=["pandas", "polars"])
def frame(request):
    return FRAMES[request.param]


# Each class with frames of one library, the plain autoencoder with both.
TABLES = [
    pytest.param(*each.values, library, marks=each.marks)
    for first, library in enumerate(FRAMES)
    for each in in_turn(MIXED, first)
]


@pytest.mark.parametrize(("cls", "library"), TABLES)
def test_every_estimator_takes_every_kind_of_column(cls, library):
    frame = FRAMES[library]
    estimator = fit_once(make(cls), frame)
    assert estimator.n_features_in_ == len(frame.columns)
    assert list(estimator.feature_names_in_) == list(frame.columns)
    head, copy = frame[:10], pickle.loads(pickle.dumps(estimator))
    if hasattr(estimator, "inverse_transform"):
        codes = np.asarray(estimator.transform(head))
        assert codes.shape == (10, estimator.n_components_)
        np.testing.assert_array_equal(codes, copy.transform(head))
        assert list(estimator.inverse_transform(codes).columns) == list(frame.columns)
    if hasattr(estimator, "reconstruct"):
        assert_alike(estimator.reconstruct(head), head)
        assert estimator.score(frame) > 0
    if hasattr(estimator, "denoise"):
        assert_alike(estimator.denoise(head), head)
    if hasattr(estimator, "sample"):
        assert_alike(
            estimator.sample(10),
            frame[:10].head(10)
            if isinstance(frame, pl.DataFrame)
            else frame[:10].reset_index(drop=True),
        )
    if hasattr(estimator, "decompress"):
        assert_alike(
            estimator.decompress(estimator.compress(head)),
            (head if isinstance(head, pl.DataFrame) else head.reset_index(drop=True)),
        )
    if hasattr(estimator, "predict"):
        scores = estimator.score_samples(frame)
        shares = estimator.explain(frame)
        assert list(shares.columns) == list(frame.columns)
        np.testing.assert_allclose(np.asarray(shares).sum(axis=1), -scores)
    if isinstance(estimator, AutoencoderImputer):
        filled = estimator.transform(head)
        assert_alike(filled, head)
        assert not pd.DataFrame(filled.to_dict()).isna().any(axis=None)


@pytest.mark.parametrize("cls", OF_ONE_KIND)
def test_texts_and_images_name_the_way_out(cls, frame):
    with pytest.raises(ValueError, match="TableEncoder before, in a Pipeline"):
        cls(2).fit(frame)


@pytest.mark.parametrize("cls", in_turn(MIXED, 1))
def test_columns_that_change_get_an_answer_or_an_error(cls):
    frame = FRAMES["pandas"]
    estimator = fit_once(make(cls), frame)
    method = next(m for m in ("score_samples", "transform") if hasattr(estimator, m))
    call = getattr(estimator, method)
    new = frame.copy()
    new["job"] = "pilot"
    with pytest.warns(UserWarning, match="Column 'job' of X holds categories that fit has"):
        assert np.isfinite(pd.DataFrame(call(new)).select_dtypes("number")).all(axis=None)
    new = frame.copy()
    new["age"] = np.nan  # never missing in fit
    assert len(call(new)) == len(new)
    with pytest.raises(ValueError, match="feature names should match"):
        call(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="yet now missing"):
        call(frame.drop(columns="age"))
    with pytest.raises(ValueError, match=r"Column 'age' of X is of kind 'category'"):
        call(frame.astype({"age": str}))


@pytest.mark.parametrize("cls", in_turn(MIXED, 0))
def test_numbers_are_categories_where_they_are_said_to_be(cls, iris):
    rows = np.column_stack([iris, np.arange(len(iris)) % 3])
    estimator = clone(make(cls)).set_params(categorical_features=[4])
    if "max_epochs" in vars(estimator):
        estimator.set_params(max_epochs=1)
    estimator.fit(rows)
    assert estimator.table_.kinds_ == 4 * ["number"] + ["category"]
    if hasattr(estimator, "reconstruct"):
        back = estimator.reconstruct(rows)
        assert back.dtype == np.float64
        assert set(back[:, 4]) <= {0.0, 1.0, 2.0}


def test_the_start_is_pca_of_columns_of_equal_weight():
    frame = FRAMES["pandas"]
    encoder = TableEncoder(fill_missing=True).fit(frame)
    linear = AutoencoderTransformer(4, max_epochs=0, scaling=None, random_state=0)
    complete = encoder.inverse_transform(encoder.transform(frame))
    timeless = complete.drop(columns=["since", "seen"])  # their cycles weigh differently
    rows = TableEncoder().fit_transform(timeless)
    codes = linear.fit(timeless).transform(timeless)
    expected = PCA(4).fit_transform(rows)
    np.testing.assert_allclose(np.abs(codes), np.abs(expected), rtol=1e-3, atol=1e-3)


def test_the_score_counts_columns_alike():
    frame = FRAMES["pandas"].drop(columns=["since", "seen"])
    autoencoder = AutoencoderTransformer(4, max_epochs=0).fit(frame)
    encoder = TableEncoder().fit(frame)
    module = autoencoder.net_.module_
    rows = encoder.transform(frame)
    rebuilt = autoencoder.map_rows(lambda m, x: m.scaler(m.reconstruct(x)), frame)
    errors = np.nansum((rebuilt - rows) ** 2)
    assert autoencoder.score(frame) == pytest.approx(1 - errors / np.nansum(rows**2))
    assert module.n_members == 1


def test_a_frame_of_numbers_takes_the_path_of_an_array(iris):
    frame = pd.DataFrame(iris, columns=list("abcd")).astype({"a": "Float64"})
    autoencoder = clone(make(AutoencoderTransformer))
    codes = autoencoder.fit_transform(frame)
    np.testing.assert_array_equal(codes, clone(autoencoder).fit_transform(iris))
    assert autoencoder.table_ is None
    assert isinstance(autoencoder.inverse_transform(codes), np.ndarray)


def test_swap_and_mask_noise_change_whole_cells():
    frame = FRAMES["pandas"]
    for corruption in ("swap", "masking"):
        denoiser = DenoisingAutoencoder(
            3, corruption=corruption, noise_level=0.5, max_epochs=1, random_state=0
        ).fit(frame)
        module = denoiser.net_.module_.corruption.train()
        rows = torch.from_numpy(denoiser.table_.transform(frame)).float()
        scaled = denoiser.net_.module_.scaler(rows)
        with torch.random.fork_rng(devices=[]):
            changed = (module(scaled) != scaled) & ~scaled.isnan()
        for block in denoiser.table_.blocks_:
            is_one_hot = scaled[:, block].shape[1] == 2
            if is_one_hot:
                assert (changed[:, block].sum(1) != 1).all()


def test_imputed_categories_have_probabilities():
    frame = FRAMES["pandas"]
    imputer = fit_once(make(AutoencoderImputer), frame)
    probabilities = imputer.predict_proba(frame)
    index = imputer.table_.kinds_.index("category")
    levels, column = imputer.table_.categories_[index], frame.columns[index]
    found = probabilities[column]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    filled = imputer.transform(frame)
    assert (levels[found.argmax(axis=1)] == filled[column]).all()
    is_observed = frame[column].notna().to_numpy()
    assert (found[is_observed].max(axis=1) == 1).all()
    pd.testing.assert_series_equal(filled[column][is_observed], frame[column][is_observed])
    assert not hasattr(AutoencoderImputer(random_state=0).fit(np.eye(4)), "predict_proba")


def test_cells_are_hidden_as_a_whole_to_calibrate_an_imputer(monkeypatch):
    name = "sk_autoencoder.impute._autoencoder.hide_entries"
    hidden = []

    def keep(*args):
        hidden.append((hide_entries(*args), args[-1]))
        return hidden[-1][0]

    monkeypatch.setattr(name, keep)
    frame = pandas_frame(60)[["age", "money", "job"]]
    AutoencoderImputer(n_estimators=1, random_state=0).fit(frame)
    [(calibration, corruption)] = hidden
    columns = corruption.columns
    for column in columns.unique():
        entries = calibration.is_missing[:, columns == column]
        assert (entries == entries[:, :1]).all()
    assert columns.bincount().max() > 1


def independent_frame(n_rows):
    """Rows of independent columns, a fifth of whose cells are missing, and whole ones."""
    rng = np.random.default_rng(0)
    whole = pd.DataFrame(
        {
            "flag": (rng.random(n_rows) < 0.3).astype(float),
            "age": rng.integers(18, 80, n_rows).astype(float),
            "children": pd.array(rng.integers(0, 3, n_rows), dtype="Int64"),
            "job": rng.choice(["smith", "cook", "nurse"], n_rows, p=[0.5, 0.3, 0.2]),
        }
    )
    return whole.mask(rng.random(whole.shape) < 0.2), whole


@pytest.fixture(scope="module")
def imputed():
    """Imputer of independent columns, its rows to impute, and the whole ones."""
    holed, whole = independent_frame(2_400)
    imputer = AutoencoderImputer(random_state=0).fit(holed[:400])
    return imputer, holed[400:], whole[400:]


def test_imputed_cells_are_no_worse_than_means_and_frequencies(imputed):
    imputer, holed, whole = imputed
    found = imputer.transform(holed)
    for name in ("flag", "age"):
        hidden = holed[name].isna()
        errors = [
            np.sqrt(np.mean((guess - whole[name][hidden]) ** 2))
            for guess in (found[name][hidden], holed[name].mean())
        ]
        assert errors[0] < 1.03 * errors[1], name
    hidden = holed["job"].isna().to_numpy()
    levels, column = imputer.table_.categories_[-1], whole["job"][hidden]
    frequency = whole["job"].value_counts(normalize=True)[column]
    p = imputer.predict_proba(holed)["job"][hidden, np.searchsorted(levels, column)]
    assert -np.log(p).mean() < 1.03 * -np.log(frequency).mean()


def test_imputed_whole_numbers_are_whole_but_flags_in_floats(imputed):
    imputer, holed, _ = imputed
    found = imputer.transform(holed)
    assert list(found.dtypes) == list(holed.dtypes)
    assert (found["age"] % 1 == 0).all()
    hidden = holed["flag"].isna()
    assert found["flag"][hidden].between(0.1, 0.6).all()


@pytest.mark.parametrize("is_whole", [True, False])
def test_whole_numbers_are_rounded_as_asked(imputed, is_whole):
    holed = imputed[1][:60]
    imputer = AutoencoderImputer(make(AutoencoderTransformer), round_discrete=is_whole)
    found = imputer.fit_transform(holed)
    for name in ("flag", "age"):
        assert (found[name] % 1 == 0).all() == is_whole
    assert found["children"].dtype == "Int64"


def test_drawn_categories_have_their_frequencies():
    frame = pandas_frame(200)
    vae = quick(VAETransformer, n_components=3, max_epochs=12).fit(frame)
    drawn = vae.sample(2000, random_state=0)
    share = drawn["job"].value_counts(normalize=True)
    expected = frame["job"].value_counts(normalize=True)
    assert (share - expected).abs().max() < 0.1
    assert drawn["age"].between(frame["age"].min(), frame["age"].max()).all()


def test_a_compressed_table_keeps_its_holes_and_its_bound():
    frame = FRAMES["pandas"].reset_index(drop=True)
    compressor = AutoencoderCompressor(max_error=0.01, random_state=0).fit(frame)
    back = compressor.decompress(compressor.compress(frame))
    assert (back.isna() == frame.isna()).all(axis=None)
    numbers = ["age", "money", "small"]
    assert (back[numbers] - frame[numbers]).abs().max(axis=None) <= 0.011
    for column in ("job", "city", "team", "flag", "visits"):
        pd.testing.assert_series_equal(back[column], frame[column])


def test_losses_of_columns_of_one_kind_are_refused():
    with pytest.raises(ValueError, match="loss='cosine' is for columns of one kind"):
        AutoencoderTransformer(loss="cosine").fit(FRAMES["pandas"])
    with pytest.raises(ValueError, match="likelihood='poisson' is for columns of one kind"):
        VAETransformer(likelihood="poisson").fit(FRAMES["pandas"])
    with pytest.raises(ValueError, match="noise_std='auto' is for noisy numbers"):
        DenoisingAutoencoder(noise_std="auto").fit(FRAMES["pandas"])


def test_a_stream_of_tables_goes_on():
    frame = FRAMES["pandas"]
    autoencoder = make(AutoencoderTransformer)
    for start in range(0, 60, 20):
        autoencoder.partial_fit(frame[start : start + 20])
    assert_alike(autoencoder.reconstruct(frame), frame)


def test_a_saved_file_takes_frames(tmp_path):
    frame = FRAMES["pandas"]
    autoencoder = fit_once(make(AutoencoderTransformer), frame)
    save(autoencoder, tmp_path / "file")
    again = load(tmp_path / "file")
    np.testing.assert_array_equal(again.transform(frame), autoencoder.transform(frame))
    assert_alike(again.reconstruct(frame), frame)


def test_pictures_and_scorers_take_frames():
    frame = FRAMES["pandas"]
    autoencoder = fit_once(make(AutoencoderTransformer), frame)
    vae = fit_once(make(VAETransformer), frame)
    display = ReconstructionDisplay.from_estimator(autoencoder, frame)
    assert "job_cook" in display.feature_names
    TraversalDisplay.from_estimator(autoencoder, frame)
    TraversalDisplay.from_estimator(vae)
    CodeDisplay.from_estimator(autoencoder, frame)
    detector = fit_once(make(AutoencoderOutlierDetector), frame)
    OutlierScoreDisplay.from_estimator(detector, frame)
    for scorer in (reconstruction_r2_scorer, trustworthiness_scorer):
        assert scorer(autoencoder, frame) > 0
    assert two_sample_scorer(vae, frame) <= 0
    with pytest.raises(ValueError, match="noise is for numbers"):
        make_denoising_scorer(0.1)(autoencoder, frame)
    search = GridSearchCV(make(AutoencoderTransformer), {"n_components": [1, 3]}, cv=2)
    assert search.fit(frame).best_params_ == {"n_components": 3}


@pytest.mark.parametrize("library", FRAMES)
def test_indicators_of_missing_cells_stand_behind_the_columns(library):
    frame = FRAMES[library]
    imputer = AutoencoderImputer(
        make(AutoencoderTransformer), add_indicator=True, random_state=0
    )
    found = imputer.fit_transform(frame)
    names = list(imputer.get_feature_names_out())
    assert list(found.columns) == names
    assert names[: len(frame.columns)] == list(frame.columns)
    first = names[len(frame.columns)]
    column = frame[first.removeprefix("missingindicator_")]
    is_missing = column.isna() if library == "pandas" else column.is_null()
    assert np.array_equal(found[first], is_missing)


def test_a_placeholder_may_be_a_level():
    frame = FRAMES["pandas"][["age", "job"]].dropna()
    imputer = AutoencoderImputer(missing_values="nurse", random_state=0).fit(frame)
    assert set(imputer.transform(frame)["job"]) == {"smith", "cook"}


def test_draws_of_a_table_are_frames():
    frame = FRAMES["pandas"]
    vae = make(VAETransformer)
    imputer = AutoencoderImputer(vae, sample_posterior=True, random_state=0).fit(frame)
    draws = imputer.multiple_impute(frame, 2, random_state=0)
    for draw in draws:
        assert_alike(draw, frame)
    assert not draws[0].equals(draws[1])


def test_pairs_of_tables_are_learned_from():
    frame = pandas_frame(200)[["age", "money", "small", "job"]]
    noisy = frame.assign(job=frame["job"].sample(frac=1, random_state=0).to_numpy())
    denoiser = DenoisingAutoencoder(3, paired=True, max_epochs=8, random_state=0)
    denoised = denoiser.fit(noisy, frame).denoise(noisy)
    known = frame["job"].notna() & noisy["job"].notna()
    right = (denoised["job"] == frame["job"])[known].mean()
    assert right > (noisy["job"] == frame["job"])[known].mean() + 0.3


def test_a_column_of_dates_alone_is_a_table():
    days = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=60)})
    rebuilt = AutoencoderTransformer(1, max_epochs=0).fit(days).reconstruct(days)
    assert rebuilt["day"].dtype == days["day"].dtype
    assert (rebuilt["day"] - days["day"]).abs().max() < pd.Timedelta(days=3)


def test_a_category_of_many_levels_weighs_no_more_than_a_number():
    rng = np.random.default_rng(0)
    number = rng.normal(size=400)
    frame = pd.DataFrame({"number": number, "twin": number + rng.normal(0, 0.1, 400)})
    frame["street"] = rng.integers(0, 80, 400).astype(str)
    found = AutoencoderTransformer(1, max_epochs=0).fit(frame).reconstruct(frame)
    assert np.corrcoef(found["number"], frame["number"])[0, 1] > 0.95


# The parts in torch


def make_layout(frequencies=(0.7, 0.25, 0.05)):
    """Make the layout of a number and a category."""
    p = np.array(frequencies)
    scale = np.sqrt((p * (1 - p)).sum())
    is_number = np.array([True, *np.zeros(len(p), bool)])
    return TableLayout(
        column=np.array([0, *np.ones(len(p), int)]),
        is_category=np.array([False, True]),
        is_number=is_number,
        is_level=~is_number,
        center=np.array([5.0, *p]),
        scale=np.array([2.0, *np.full(len(p), scale)]),
    )


def one_hot(level, layout):
    """Make a scaled row with a number of 5 and a level."""
    row = np.array([5.0, *np.eye(len(layout.center) - 1)[level]])
    return torch.tensor((row - layout.center) / layout.scale)[None]


def test_outputs_of_zero_are_the_frequencies():
    layout = make_layout()
    p = LevelProbabilities(layout)(torch.zeros(1, 4))
    torch.testing.assert_close(p[0], torch.tensor([0.7, 0.25, 0.05]))
    torch.testing.assert_close(TableLink(layout)(torch.zeros(1, 4)), torch.zeros(1, 4))


def test_positive_predictions_of_pca_hardly_change():
    layout = make_layout((0.5, 0.3, 0.2))
    expected = torch.tensor([[0.5, 0.35, 0.15], [0.3, 0.4, 0.3]])
    scaled = (expected - torch.tensor([0.5, 0.3, 0.2])) / layout.scale[1]
    output = torch.cat([torch.ones(2, 1), scaled], 1)
    torch.testing.assert_close(TableLink(layout)(output), output, atol=0.05, rtol=0)
    assert (LevelProbabilities(layout)(-50 * output) >= 0).all()


def test_the_error_of_a_level_is_twice_its_surprise():
    layout = make_layout()
    error = TableError(layout)
    for level, frequency in enumerate((0.7, 0.25, 0.05)):
        x = one_hot(level, layout)
        assert error(torch.zeros(1, 4), x).item() == pytest.approx(-2 * np.log(frequency))
        assert error(x * 1.0, x).item() < -2 * np.log(frequency)
    missing = torch.tensor([[1.0, np.nan, np.nan, np.nan], [np.nan] * 4])
    torch.testing.assert_close(error(torch.zeros(2, 4), missing), torch.tensor([1.0, 0]))
    torch.testing.assert_close(error.observed_share(missing), torch.tensor([0.5, 0.5]))


def sum_from_end(levels):
    """Sum levels and those behind them; the first entry is a number."""
    return torch.cat([levels[:, :1], levels[:, 1:].flip(1).cumsum(1).flip(1)], 1)


def test_levels_with_an_order_are_differences_of_entries():
    layout = make_layout()
    center = sum_from_end(torch.tensor(layout.center)[None])[0].numpy()
    ordinal = layout._replace(center=center, is_sum=layout.is_level)
    output = 0.3 * torch.randn(50, 4)
    sums, link = sum_from_end(output), TableLink(layout)(output)
    p = LevelProbabilities(layout)(output)
    torch.testing.assert_close(LevelProbabilities(ordinal)(sums), p)
    torch.testing.assert_close(TableLink(ordinal)(sums), sum_from_end(link))
    x = torch.cat([one_hot(level, layout) for level in (0, 1, 2)]).float()
    error = TableError(layout)(output[:3], x)
    torch.testing.assert_close(TableError(ordinal)(sums[:3], sum_from_end(x)), error)
    rows = torch.tensor([[9.0, 0.7, 0.25, 0.05]]).expand(50, -1)
    state = torch.get_rng_state()
    drawn = LevelProbabilities(layout).draw(rows)
    torch.set_rng_state(state)
    sums = LevelProbabilities(ordinal).draw(sum_from_end(rows))
    torch.testing.assert_close(sums, sum_from_end(drawn))


def test_the_order_of_levels_helps_to_impute():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(300, 2))
    numbers = factors @ rng.normal(size=(2, 5)) + 0.5 * rng.normal(size=(300, 5))
    ranks = np.searchsorted(np.linspace(-1.5, 1.5, 7), numbers)
    is_hidden = rng.random(ranks.shape) < 0.2
    errors = {}
    for ordered in (False, True):
        columns = [
            pd.Categorical(
                np.where(hidden, None, np.array(list("abcdefgh"))[rank]), ordered=ordered
            )
            for hidden, rank in zip(is_hidden.T, ranks.T, strict=True)
        ]
        frame = pd.DataFrame(dict(enumerate(columns)))
        imputer = AutoencoderImputer(n_estimators=1, random_state=0).fit(frame)
        p = imputer.predict_proba(frame)
        reached = np.stack([p[j] for j in range(5)], axis=1)[is_hidden].cumsum(axis=1)
        truth = np.arange(8) >= ranks[is_hidden][:, None]
        np.testing.assert_allclose(reached[:, -1], 1, atol=1e-5)
        errors[ordered] = np.square(reached - truth).sum(axis=1).mean()
    assert errors[True] < 0.95 * errors[False]


def test_missing_cells_have_no_gradient():
    output = torch.randn(2, 4, requires_grad=True)
    x = torch.tensor([[1.0, np.nan, np.nan, np.nan], [np.nan] * 4])
    TableError(make_layout())(output, x).sum().backward()
    assert output.grad[:, 1:].abs().sum() == 0
    assert output.grad[1].abs().sum() == 0
    assert output.grad[0, 0] != 0


def test_levels_are_drawn_with_their_probabilities():
    p = torch.tensor([[9.0, 0.7, 0.25, 0.05]]).expand(20_000, -1)
    drawn = LevelProbabilities(make_layout()).draw(p)
    assert set(drawn[:, 1:].sum(1).tolist()) == {1.0}
    torch.testing.assert_close(drawn.mean(0), p[0], atol=0.02, rtol=0)


def test_wild_outputs_have_finite_errors_and_gradients():
    layout, error = make_layout(), TableError(make_layout())
    output = (1e4 * torch.randn(50, 4)).requires_grad_()
    losses = error(output, one_hot(2, layout).float().expand(50, -1))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert output.grad.isfinite().all()


def test_columns_may_have_numbers_for_names():
    frame = pandas_frame(60)
    frame.columns = range(frame.shape[1])
    autoencoder = AutoencoderTransformer(2, max_epochs=0).fit(frame)
    found = autoencoder.reconstruct(frame)
    assert list(found.columns) == list(frame.columns)
    assert (found.dtypes == frame.dtypes).all()
