"""Pictures of codes, of what is decoded from them, and of outlier scores."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from catalogue import quick
from matplotlib import pyplot as plt
from pictures import labels, tile
from scipy.sparse import csr_array
from scipy.stats import norm
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sk_autoencoder
from sk_autoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    CodeDisplay,
    OutlierScoreDisplay,
    TraversalDisplay,
    VAETransformer,
)

mpl.use("Agg")


@pytest.fixture(scope="module")
def fitted(digits):
    return quick(AutoencoderTransformer, n_components=3).fit(digits)


@pytest.fixture(scope="module")
def vae(digits):
    return quick(VAETransformer, n_components=2).fit(digits)


# Codes


def test_codes_are_coloured_by_class(flowers):
    X, y = flowers
    autoencoder = quick(AutoencoderTransformer, n_components=2).fit(X)
    display = CodeDisplay.from_estimator(autoencoder, X, y)
    assert labels(display.ax_) == ["a", "b", "c"]
    assert display.ax_.get_legend().get_title().get_text() == "kind"
    codes = autoencoder.transform(X)
    np.testing.assert_array_equal(display.points_[1].get_offsets(), codes[50:100])
    assert display.colorbar_ is None
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == (
        "component 0",
        "component 1",
    )


def test_numbers_get_a_colour_bar():
    codes = np.random.default_rng(0).normal(size=(60, 2))
    y = codes[:, 0].copy()
    y[:5] = np.nan
    display = CodeDisplay.from_predictions(codes, pd.Series(y, name="weight"))
    assert display.colorbar_.ax.get_ylabel() == "weight"
    np.testing.assert_array_equal(display.points_[1].get_array(), y[5:])
    assert labels(display.ax_) == ["weight is missing"]
    many = CodeDisplay.from_predictions(codes, np.arange(60))  # whole, but no classes
    assert many.colorbar_ is not None


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.tile([3.0, 1.0], 15), ["1", "3"]),
        (np.tile([True, False], 15), ["False", "True"]),
        (["x", None, "y"] * 10, ["x", "y", "missing"]),
        (pd.Series(["x", pd.NA, "y"] * 10, dtype="string"), ["x", "y", "missing"]),
        (pd.Series([1, None, 2] * 10, dtype="Int64"), ["1", "2", "missing"]),
        (pd.Series(["x", "y", "z"] * 10, dtype="category"), ["x", "y", "z"]),
        (np.repeat([[1], [2]], 15, axis=0), ["1", "2"]),
        ([f"{i:02}" for i in range(30)], [f"{i:02}" for i in range(30)]),
    ],
)
def test_labels_of_all_kinds_are_classes(y, expected):
    codes = np.random.default_rng(0).normal(size=(30, 2))
    assert labels(CodeDisplay.from_predictions(codes, y).ax_) == expected


def test_wide_codes_are_shown_by_their_principal_components(digits):
    codes = digits[:, :40]
    display = CodeDisplay.from_predictions(csr_array(codes))
    np.testing.assert_allclose(
        abs(display.plane_), abs(PCA(2).fit_transform(codes)), atol=1e-6
    )
    assert "First principal component of 40" in display.ax_.get_xlabel()
    display = CodeDisplay.from_predictions(codes, components=(3, 2))
    np.testing.assert_array_equal(display.plane_, codes[:, [3, 2]])
    with pytest.raises(ValueError, match=r"two numbers from 0 to 39"):
        CodeDisplay.from_predictions(codes, components=(3, 40))
    flat = CodeDisplay.from_predictions(np.ones((5, 4)))
    assert flat.plane_.shape == (5, 2)


def test_codes_of_one_component_are_spread_out_or_counted(iris):
    codes, y = iris[:, :1], np.repeat(["a", "b", "c"], 50)
    display = CodeDisplay.from_predictions(codes, y)
    places = np.concatenate([p.get_offsets() for p in display.points_])
    np.testing.assert_array_equal(places[:, 0], codes[:, 0])
    np.testing.assert_array_equal(places[:, 1].round(), np.repeat([0, 1, 2], 50))
    scale = CodeDisplay.from_predictions(codes, iris[:, 1])
    np.testing.assert_array_equal(scale.points_[0].get_offsets(), iris[:, :2])
    counted = CodeDisplay.from_predictions(codes)
    assert sum(bar.get_height() for bar in counted.ax_.patches) == 150


def test_codes_are_found_within(flowers):
    X, y = flowers
    reducer = quick(AutoencoderTransformer, n_components=2)
    pipeline = make_pipeline(StandardScaler(), reducer, LogisticRegression()).fit(X, y)
    codes = pipeline[:-1].transform(X)
    search = GridSearchCV(pipeline, {}, cv=2).fit(X, y)  # refitted, with the same seed
    for fitted in (pipeline, pipeline[:-1], search):
        display = CodeDisplay.from_estimator(fitted, X, y)
        np.testing.assert_array_equal(display.codes, codes)
        assert display.ax_.get_title() == "AutoencoderTransformer"
    detector = make_pipeline(StandardScaler(), AutoencoderOutlierDetector(reducer)).fit(X)
    inner = detector[-1].autoencoder_
    display = CodeDisplay.from_estimator(detector, X)
    np.testing.assert_allclose(display.codes, inner.transform(detector[0].transform(X)))


def test_codes_that_cannot_be_drawn_are_refused(iris):
    with pytest.raises(ValueError, match=r"y has shape \(149,\), and there are 150 rows"):
        CodeDisplay.from_predictions(iris, np.zeros(149))
    with pytest.raises(TypeError, match="IsolationForest has no transform"):
        CodeDisplay.from_estimator(IsolationForest(n_estimators=2).fit(iris), iris)
    with pytest.raises(ValueError, match="contains NaN"):
        CodeDisplay.from_predictions(np.full((3, 2), np.nan))


# Traversals


def test_the_plane_of_a_prior_is_decoded(vae):
    display = TraversalDisplay.from_estimator(vae, image_shape=(8, 8), n_steps=5)
    steps = norm.ppf(np.linspace(0.02, 0.98, 5))
    np.testing.assert_allclose(display.values, [steps, steps], atol=1e-3)
    codes = [[display.values[0, 3], display.values[1, 4]]]  # 3 across, 4 up
    row = vae.inverse_transform(np.array(codes))[0]
    np.testing.assert_allclose(display.rows[4, 3], row, atol=1e-6)
    np.testing.assert_allclose(tile(display, 0, 3).ravel(), row, atol=1e-6)  # on top
    assert display.ax_.get_xlabel() == "component 0"


def test_strips_move_one_component(fitted, digits):
    display = TraversalDisplay.from_estimator(fitted, digits, image_shape=(8, 8))
    codes = fitted.transform(digits)
    first = display.components[0]
    low = np.median(codes, axis=0)
    low[first] = np.quantile(codes[:, first], 0.02)
    row = fitted.inverse_transform(low[None])[0]
    np.testing.assert_allclose(display.rows[0, 0], row, atol=1e-6)
    change = np.square(display.rows[:, -1] - display.rows[:, 0]).sum(axis=1)
    assert (np.diff(change) < 0).all()
    ticks = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert ticks == [f"component {j}" for j in display.components]


def test_features_of_a_table_are_lines(flowers):
    X, _ = flowers
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    display = TraversalDisplay.from_estimator(pipeline, X)
    assert len(display.axes_) == 2
    assert set(labels(display.axes_[1])) == set(X.columns)
    lines = {line.get_label(): line for line in display.axes_[0].get_lines()}
    slope = pipeline[-1].components_[0, 2]  # in standard deviations
    x, y = lines["petal l"].get_data()
    np.testing.assert_allclose(np.diff(y) / np.diff(x), slope)
    raw = TraversalDisplay.from_estimator(quick(VAETransformer).fit(X), name="mine")
    assert raw.axes_[0].get_ylabel() == "units of X"
    assert raw.ax_.get_title(loc="left") == "mine"


@pytest.mark.parametrize(("n_components", "n_shown"), [(1, 1), (4, 4), (60, 10)])
def test_few_of_many_components_are_shown(digits, n_components, n_shown):
    pca = PCA(n_components).fit(digits)
    strips = TraversalDisplay.from_estimator(pca, digits, image_shape=(8, 8))
    assert len(strips.rows) == n_shown
    lines = TraversalDisplay.from_estimator(pca, digits)
    assert len(lines.axes_) == min(n_components, 6)
    assert len(labels(lines.axes_[min(n_components, 3) - 1 - (n_components == 4)])) == 7


def test_components_are_chosen(digits):
    pca = PCA(5).fit(digits)
    shape = {"image_shape": (8, 8)}
    display = TraversalDisplay.from_estimator(pca, digits, components=[4, 1], **shape)
    assert display.kind == "plane"
    assert display.ax_.get_ylabel() == "component 1"
    display = TraversalDisplay.from_estimator(pca, digits, kind="plane", **shape)
    assert list(display.components) == [0, 1]
    strips = TraversalDisplay.from_estimator(
        pca, digits, kind="strips", components=[4], n_steps=3, **shape
    )
    assert strips.rows.shape == (1, 3, 64)


def test_sparse_codes_reach_as_far_as_they_ever_do(digits):
    coder = quick(sk_autoencoder.SparseAutoencoder, n_active=1, sparse_output=True)
    coder.fit(digits)
    display = TraversalDisplay.from_estimator(coder, digits, image_shape=(8, 8))
    codes = coder.transform(digits).toarray()
    first = display.components[0]
    low, high = np.quantile(codes[:, first], [0.02, 0.98])
    if low == high:
        low, high = codes[:, first].min(), codes[:, first].max()
    assert list(display.values[0, [0, -1]]) == [low, high]
    assert low < high


def test_traversals_that_do_not_fit_are_refused(fitted, digits, iris):
    with pytest.raises(ValueError, match="X=None is for a VAETransformer"):
        TraversalDisplay.from_estimator(fitted)
    with pytest.raises(ValueError, match="kind='plane' draws images"):
        TraversalDisplay.from_estimator(fitted, digits, kind="plane")
    with pytest.raises(ValueError, match="kind='grid' has to be one of"):
        TraversalDisplay.from_estimator(fitted, digits, kind="grid")
    with pytest.raises(ValueError, match=r"components=\[3\] has to hold numbers"):
        TraversalDisplay.from_estimator(fitted, digits, components=[3])
    with pytest.raises(ValueError, match="kind='plane' is for two components"):
        TraversalDisplay.from_estimator(
            PCA(1).fit(digits), digits, kind="plane", image_shape=(8, 8)
        )
    figure = plt.figure()
    with pytest.raises(ValueError, match="ax is none of a grid"):
        TraversalDisplay.from_estimator(fitted, digits, ax=figure.add_axes((0, 0, 1, 1)))


# Outliers


def test_scores_threshold_and_reasons(flowers):
    X, y = flowers
    X = X.copy()
    X.index = [f"f{i}" for i in range(150)]
    X.loc["f3", "petal w"] = 90.0
    detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    display = OutlierScoreDisplay.from_estimator(detector, X, y, n_rows=2, n_features=3)
    assert set(display.threshold_line_.get_xdata()) == {detector.offset_}
    n_flagged = (detector.predict(X) == -1).sum()
    assert labels(display.ax_)[-1] == f"threshold: {n_flagged} of 150 rows below"
    assert set(labels(display.ax_)[:-1]) == {"a", "b", "c"}
    shares = detector.explain(X)
    row = shares.iloc[display.explained_[0]].sort_values()[-3:]
    assert row.name == "f3"
    assert display.axes_[1].get_title().startswith("row f3: score -")
    bars = [bar.get_width() for bar in display.axes_[1].patches]
    np.testing.assert_allclose(bars, row)
    ticks = [text.get_text() for text in display.axes_[1].get_yticklabels()]
    assert ticks == list(row.index)


@pytest.mark.parametrize(
    "detector",
    [
        IsolationForest(n_estimators=5, random_state=0),
        make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True)),
        AutoencoderOutlierDetector(PCA(2), random_state=0),
    ],
    ids=["forest", "pipeline", "wrapper"],
)
def test_detectors_without_reasons_draw_the_histogram_alone(detector, iris):
    fitted = clone(detector).fit(iris)
    display = OutlierScoreDisplay.from_estimator(fitted, iris)
    assert len(display.axes_) == 1
    last = fitted[-1] if hasattr(fitted, "steps") else fitted
    assert set(display.threshold_line_.get_xdata()) == {last.offset_}
    assert sum(bar.get_height() for bar in display.ax_.patches) == 150
    assert display.ax_.get_title() == type(last).__name__


def test_reasons_behind_a_step_are_drawn(flowers):
    X, _ = flowers
    fronts = {
        SimpleImputer(): set(X.columns),  # leads to rows, and not back
        PCA(): {"pca0", "pca1", "pca2", "pca3"},
        FunctionTransformer(np.asarray): {f"feature {j}" for j in range(4)},
    }
    for front, names in fronts.items():
        detector = AutoencoderOutlierDetector(random_state=0)
        pipeline = make_pipeline(front, detector).fit(X)
        display = OutlierScoreDisplay.from_estimator(pipeline, X, n_rows=1)
        ticks = {text.get_text() for text in display.axes_[1].get_yticklabels()}
        assert ticks == names
    assert len(OutlierScoreDisplay.from_estimator(pipeline, X, n_rows=0).axes_) == 1


def test_a_wild_score_leaves_the_others_room():
    scores = np.append(np.linspace(-2, -1, 200), -1e9)
    display = OutlierScoreDisplay.from_predictions(scores, threshold=-1.9)
    assert display.ax_.get_xlim()[0] > -10
    assert "1 below" in display.ax_.get_xlabel()
    assert sum(bar.get_height() for bar in display.ax_.patches) == 201


def test_scores_at_hand_are_drawn():
    scores, shares = np.array([-1.0, -5.0, -2.0]), np.eye(3)
    display = OutlierScoreDisplay.from_predictions(scores, shares=shares, n_rows=1)
    assert display.threshold_line_ is None
    assert list(display.explained_) == [1]
    single = OutlierScoreDisplay.from_predictions(scores, shares=shares[:, :1])
    assert len(single.axes_) == 1
    equal = OutlierScoreDisplay.from_predictions(np.ones(5), y=[0, 0, 1, 1, None])
    assert labels(equal.ax_) == ["0", "1", "missing"]
    few = OutlierScoreDisplay.from_predictions(scores, shares=shares, n_rows=9)
    assert len(few.axes_) == 4
    with pytest.raises(ValueError, match="a histogram needs classes"):
        OutlierScoreDisplay.from_predictions(scores, y=[0.5, 1.5, 2.5])
    with pytest.raises(TypeError, match="StandardScaler has no score_samples"):
        OutlierScoreDisplay.from_estimator(StandardScaler().fit(shares), shares)


def test_features_without_names_are_numbered():
    values, rows = np.linspace(-1, 1, 5)[None], np.zeros((1, 5, 3))
    display = TraversalDisplay(rows, values, [0], kind="lines").plot()
    labels = {text.get_text() for text in display.ax_.get_legend().get_texts()}
    assert labels == {"feature 0", "feature 1", "feature 2"}
