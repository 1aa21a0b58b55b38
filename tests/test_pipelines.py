"""The estimator inside scikit-learn's and skorch's machinery."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from catalogue import AUTOENCODERS, ONE_OF_EACH, slow
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping, EpochScoring, GradientNormClipping

from sk_autoencoder import AutoencoderTransformer
from sk_autoencoder.nn import Dense

X, y = load_digits(return_X_y=True)
X, y = X[:400], y[:400]


def quick(n_components=4, **params):
    params = {"hidden_layer_sizes": (16,), "max_epochs": 3, "random_state": 0} | params
    return AutoencoderTransformer(n_components, **params)


# A fork has imported all; processes of loky begin anew, as those of examples/demo.py do.
@pytest.mark.filterwarnings("ignore:.*fork")  # Python warns where other threads run
@pytest.mark.parametrize("backend", ["multiprocessing", slow("loky")])
def test_grid_search_in_two_processes(backend):
    reduce, classify = quick(early_stopping=False), LogisticRegression(max_iter=500)
    pipeline = Pipeline([("reduce", reduce), ("classify", classify)])
    grid = {"reduce__n_components": [2, 8]}
    alone = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X[:200], y[:200])
    search = clone(alone).set_params(n_jobs=2)
    with joblib.parallel_config(backend):
        search.fit(X[:200], y[:200])
    assert search.best_params_["reduce__n_components"] == 8
    assert search.best_score_ > 0.8
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


def test_grid_search_without_labels_uses_the_score():
    search = GridSearchCV(quick(), {"n_components": [1, 6]}, cv=2).fit(X[:200])
    assert search.best_params_ == {"n_components": 6}
    assert search.best_score_ == pytest.approx(search.score(X[:200]), abs=0.2)


def test_grid_search_reaches_into_the_network():
    grid = {"network__dropout": [0.0, 0.5], "network__activation": ["tanh"]}
    search = GridSearchCV(quick(network=Dense((16,))), grid, cv=2).fit(X)
    assert search.best_estimator_.network_.encoder[1].__class__ is torch.nn.Tanh


def test_halving_search_over_epochs():
    search = HalvingGridSearchCV(
        quick(early_stopping=False),
        {"n_components": [1, 2, 6]},
        resource="max_epochs",
        min_resources=1,
        max_resources=9,
        cv=2,
        random_state=0,
    ).fit(X[:200])
    assert search.best_params_["n_components"] == 6
    assert search.best_estimator_.n_iter_ == search.n_resources_[-1] > 1


def test_one_step_searches_over_different_reducers():
    reducers = [each for each in AUTOENCODERS if each in ONE_OF_EACH]
    short = {"max_epochs": 1, "early_stopping": False}
    reducers = [PCA(4), *(clone(each).set_params(**short) for each in reducers)]
    scale, classify = StandardScaler(), LogisticRegression()
    pipeline = Pipeline([("reduce", None), ("scale", scale), ("classify", classify)])
    search = GridSearchCV(pipeline, {"reduce": reducers}, cv=2, error_score="raise")
    search.fit(X[:150], y[:150])
    assert len(search.cv_results_["params"]) == len(reducers)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    page = search._repr_html_()
    assert type(search.best_estimator_["reduce"]).__name__ in page


def test_feature_union():
    union = FeatureUnion([("pca", PCA(3)), ("autoencoder", quick())])
    codes = union.fit_transform(X)
    assert codes.shape == (400, 7)
    assert list(union.get_feature_names_out()[3:5]) == [
        "autoencoder__autoencodertransformer0",
        "autoencoder__autoencodertransformer1",
    ]


@pytest.mark.parametrize(("library", "kind"), [("pandas", pd), ("polars", pl)])
def test_column_transformer(library, kind):
    frame = kind.DataFrame({f"pixel {i}": X[:, i] for i in range(64)})
    left = [f"pixel {i}" for i in range(32)]
    transformer = ColumnTransformer([("codes", quick(), left)], remainder="passthrough")
    out = transformer.set_output(transform=library).fit_transform(frame)
    assert isinstance(out, kind.DataFrame)
    assert out.shape == (400, 36)
    assert list(out.columns[:2]) == [
        "codes__autoencodertransformer0",
        "codes__autoencodertransformer1",
    ]


def test_a_pipeline_decodes_and_scores():
    pipeline = make_pipeline(StandardScaler(), quick(20)).fit(X)
    rows = pipeline.inverse_transform(pipeline.transform(X))
    assert rows.shape == X.shape
    assert pipeline.score(X) > 0.5
    assert cross_val_score(pipeline, X, cv=2).shape == (2,)


def read_epochs(text):
    """Read the lines of epochs of a first training, as lists of words."""
    lines = [line.split() for line in text.split("Training once more")[0].splitlines()]
    return [words for words in lines if words and "/" in words[0]]


def test_verbose_prints_epochs_with_two_losses_that_can_be_compared(capsys):
    params = {"noise_level": 0.5, "dropout": 0.3, "linear_penalty": 0.5}
    autoencoder = quick(verbose=1, **params).fit(X)
    lines = read_epochs(capsys.readouterr().out)
    assert [words[0] for words in lines] == ["0/3", "1/3", "2/3", "3/3"]
    training, held_out = np.array([words[1:3] for words in lines], dtype=float).T
    np.testing.assert_allclose(held_out[1:], autoencoder.validation_curve_, rtol=1e-4)
    # The loss that is trained on has noise, dropout and a penalty.
    assert (training[1:] < 0.8 * np.array(autoencoder.loss_curve_)).all()
    np.testing.assert_allclose(training, held_out, rtol=0.3)
    assert float(lines[1][4]) >= float(lines[3][4]) == 0  # seconds that are left


def test_verbose_says_that_it_trains_once_more(capsys):
    quick(verbose=1, max_epochs=10, lr=0.01).fit(X)
    first, second = capsys.readouterr().out.split("Training once more")
    assert "held out" in first
    assert {len(words) for words in read_epochs(second)[1:]} == {4}  # no held-out loss


def test_verbose_prints_without_held_out_rows(capsys):
    quick(verbose=1, early_stopping=False).fit(X)
    assert [len(words) for words in read_epochs(capsys.readouterr().out)] == [3, 4, 4, 4]


def test_more_verbose_prints_all_terms(capsys):
    quick(verbose=2, linear_penalty=0.5).fit(X)
    names = capsys.readouterr().out.splitlines()[0].split()
    assert names == [
        *("epoch", "passes", "steps"),
        *("train_error", "train_linear", "train_loss"),
        *("valid_error", "valid_loss", "lr", "dur"),
    ]


@pytest.mark.parametrize("verbose", [1, 2])
def test_what_is_printed_changes_no_code(capsys, verbose):
    silent, printing = (quick(verbose=v, dropout=0.2).fit(X) for v in (0, verbose))
    assert capsys.readouterr().out
    assert (silent.transform(X) == printing.transform(X)).all()


def test_skorch_callbacks_hear_epochs_and_batches():
    def r2(net, X, y=None):
        return net.history[-1, "valid_loss"]

    autoencoder = quick(
        max_epochs=50,
        callbacks=[
            GradientNormClipping(1e-3),
            EpochScoring(r2, name="own", use_caching=False),
            EarlyStopping("valid_loss", patience=2, threshold=0.9),
        ],
    ).fit(X)
    assert autoencoder.n_iter_ == 3
    assert autoencoder.history_[-1]["own"] == autoencoder.validation_curve_[-1]
    batches = autoencoder.history_[-1]["batches"]
    assert len(batches) == 20 + 3
    sizes = np.array([batch["train_batch_size"] for batch in batches[:20]])
    losses = np.array([batch["train_loss"] for batch in batches[:20]])
    assert autoencoder.loss_curve_[-1] == pytest.approx(losses @ sizes / 360)


def test_a_module_of_the_users_own_stays_as_it_was():
    module = Dense((16,))(64, 4)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    autoencoder = quick(network=lambda n_features, n_components: module).fit(X)
    assert autoencoder.score(X) > 0.3
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_an_unknown_loss_may_be_a_function(curved):
    def fourth_power(output, x):
        return (output - x).pow(4).sum(-1)

    autoencoder = quick(loss=fourth_power).fit(curved)
    assert autoencoder.score_samples(curved).shape == (600,)
