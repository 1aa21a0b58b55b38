"""What scikit-learn has from 1.9 on: conftest leaves this file out before."""

import pytest
from catalogue import ONE_OF_EACH, fit_once, in_turn, name
from scipy.sparse import csr_array, csr_matrix
from sklearn import config_context
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_autoencoder import AutoencoderTransformer, SparseAutoencoder

X = load_digits().data[:400]


def quick(n_components=4, **params):
    params = {"hidden_layer_sizes": (16,), "max_epochs": 3, "random_state": 0} | params
    return AutoencoderTransformer(n_components, **params)


def test_scikit_learn_monitors_every_epoch():
    monitor = ScoringMonitor(scoring={"r2": lambda fitted, X, y: fitted.score(X)})
    autoencoder = quick(max_epochs=5).set_callbacks(monitor).fit(X)
    log = monitor.get_logs()
    scores = [row["r2"] for row in log.data if row["task_name"] == "epoch"]
    assert len(scores) == autoencoder.n_iter_ == 5
    assert scores[-1] > scores[0]
    assert scores[-1] == pytest.approx(autoencoder.score(X), abs=0.05)
    assert not hasattr(autoencoder, "_callback_fit_ctx")


def test_callbacks_see_one_autoencoder_while_folds_are_trained():
    monitor = ScoringMonitor(
        scoring={"width": lambda fitted, X, y: fitted.transform(X).shape[1]}
    )
    autoencoder = quick(max_epochs="auto", n_iter_no_change=1).set_callbacks(monitor)
    autoencoder.fit(X[:100])
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert {row["width"] for row in rows} == {4}
    assert len(rows) == autoencoder.n_iter_  # the epoch in which training stops too


def test_scikit_learn_callbacks_may_stop_training():
    class Stop:
        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch" and context.task_id == 1

    assert quick(max_epochs=5).set_callbacks(Stop()).fit(X).n_iter_ == 2


def test_a_progress_bar_over_epochs_inside_a_grid_search(capsys):
    search = GridSearchCV(quick(), {"n_components": [1, 2]}, cv=2)
    search.set_callbacks(ProgressBar()).fit(X)
    assert "AutoencoderTransformer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("interface", "cls"), [("sparray", csr_array), ("spmatrix", csr_matrix)]
)
def test_sparse_codes_are_of_the_kind_that_is_asked_for(interface, cls):
    coder = SparseAutoencoder(6, sparse_output=True, max_epochs=1, random_state=0)
    with config_context(sparse_interface=interface):
        assert isinstance(coder.fit(X).transform(X), cls)


def test_html_shows_the_fit_and_nothing_before_it():
    autoencoder = quick()
    before = autoencoder._repr_html_()
    assert "Loss by epoch" not in before
    page = autoencoder.fit(X)._repr_html_()
    assert page.count('aria-label="Loss by epoch"') == 1
    assert "3 epochs" in page
    assert "at the start (PCA)" in page
    assert "n_components_" in page  # scikit-learn's table of attributes follows
    assert "hidden_layer_sizes" in page  # and so does that of the parameters


def test_html_of_a_pipeline_shows_the_fit_of_its_step():
    pipeline = make_pipeline(StandardScaler(), quick()).fit(X)
    page = pipeline._repr_html_()
    assert page.count('aria-label="Loss by epoch"') == 1
    assert page.index("StandardScaler") < page.index("Loss by epoch")
    plain = make_pipeline(StandardScaler(), PCA(4)).fit(X)._repr_html_()
    assert page.count("<div") - page.count("</div") == plain.count("<div") - plain.count(
        "</div"
    )


@pytest.mark.parametrize("estimator", in_turn(ONE_OF_EACH, 1), ids=name)
def test_html_of_each_estimator(estimator):
    page = fit_once(estimator, X[:60, :20])._repr_html_()
    n_pictures = page.count('aria-label="Loss by epoch"')
    assert n_pictures == (type(estimator).__name__ != "TimeSeriesOutlierDetector")


def test_html_of_a_search_shows_the_fit_of_the_best():
    search = GridSearchCV(quick(), {"n_components": [1, 2]}, cv=2).fit(X[:100])
    assert "Loss by epoch" in search._repr_html_()
