"""The engine: fits that happen as a whole or not at all, and variants in ten lines."""

import pickle
from dataclasses import dataclass

import numpy as np
import onnxruntime
import pytest
import sklearn
import torch
from catalogue import (
    CATALOGUE,
    PLAIN,
    fitted,
    in_turn,
    label,
    one_of_each,
    quick,
    slow,
)
from sklearn import get_config, set_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from skorch.callbacks import Callback

from sk_autoencoder import AutoencoderTransformer, load, to_onnx
from sk_autoencoder.core import BaseAutoencoder, _building, _recipe, _training
from sk_autoencoder.core._data import BatchIterator, RowDataset, RowSource
from sk_autoencoder.core._model_selection import make_folds
from sk_autoencoder.core._trainer import AutoencoderNet, rate_factor
from sk_autoencoder.nn._autoencoder import Autoencoder
from sk_autoencoder.nn._scalers import Scaler

INVALID = object()  # as a parameter: whatever reads it fails
METHODS = ("transform", "reconstruct", "score_samples", "decision_function")


class InjectedError(Exception):
    """A fault that a test injects."""


def fail(*args, **kwargs):
    """Raise a fault."""
    raise InjectedError


def fail_at(n_calls, function):
    """Return a function that does as `function` does, and fails at each n-th call."""
    calls = []

    def counted(*args, **kwargs):
        calls.append(None)
        if n_calls and len(calls) % n_calls == 0:
            raise InjectedError
        return function(*args, **kwargs)

    counted.calls = calls
    return counted


def count_steps(estimator, X, monkeypatch):
    """Return the number of steps that a fit takes."""
    with monkeypatch.context() as patch:
        step = fail_at(0, AutoencoderNet.train_step_single)
        patch.setattr(AutoencoderNet, "train_step_single", step)
        clone(estimator).fit(X)
    return len(step.calls)


def inject(stage, estimator, X, monkeypatch):
    """Let a stage of the next fit fail; return the rows to fit to."""
    if stage == "validation":
        X = X.copy()
        X[3, 1] = np.inf
    elif stage == "start":
        monkeypatch.setattr(_building, "build_networks", fail)
    elif stage == "calibration":
        monkeypatch.setattr(_training, "end_training", fail)
    else:
        n_steps = count_steps(estimator, X, monkeypatch)
        step = AutoencoderNet.train_step_single
        failing = fail_at(1 if stage == "first step" else n_steps, step)
        monkeypatch.setattr(AutoencoderNet, "train_step_single", failing)
    return X


def outputs(estimator, X):
    """Return what each method of a fitted estimator makes of X."""
    return [getattr(estimator, name)(X) for name in METHODS if hasattr(estimator, name)]


# Every estimator with one of two stages, and each of these with half of the estimators.
STAGES = ("start", "last step", "validation", "first step", "calibration")
FAILURES = [
    pytest.param(*each.values, stage, marks=each.marks if i < 2 else pytest.mark.slow)
    for i, stage in enumerate(STAGES)
    for each in in_turn(one_of_each(CATALOGUE), i % 2)
]


@pytest.mark.parametrize(("estimator", "stage"), FAILURES, ids=label)
def test_a_fit_that_fails_changes_nothing(estimator, stage, pixels, iris, monkeypatch):
    earlier, fresh = fitted(estimator, iris), clone(estimator)
    before, state = outputs(earlier, iris), dict(vars(earlier))
    X = inject(stage, estimator, pixels, monkeypatch)
    for each in (earlier, fresh):
        with pytest.raises((InjectedError, ValueError)):
            each.fit(X)
    assert vars(earlier).keys() == state.keys()
    assert all(vars(earlier)[key] is state[key] for key in state)
    for now, then in zip(outputs(earlier, iris), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert vars(fresh).keys() == vars(clone(estimator)).keys()
    with pytest.raises(NotFittedError):
        getattr(fresh, next(m for m in METHODS if hasattr(type(fresh), m)))(pixels)


def test_the_net_of_a_fit_can_be_shown(pixels):
    net = fitted(PLAIN, pixels).net_
    assert net.get_params()["max_epochs"] == PLAIN.max_epochs
    assert "AutoencoderNet" in repr(net)


def square_of_code(network, x, out):
    """Compute the squared length of each code."""
    return out.code.square().sum(-1)


@dataclass(kw_only=True, eq=False, repr=False)
class SmoothAutoencoder(BaseAutoencoder):
    """Autoencoder of small codes: a variant in ten lines."""

    smoothness: float = 0.1

    def make_recipe(self):
        penalty = {"smoothness": (self.smoothness, square_of_code)}
        return super().make_recipe().add_penalties(lambda start: penalty)


@pytest.mark.usefixtures("list_operators_once")
def test_a_variant_in_ten_lines_trains_clones_saves_and_exports(pixels, tmp_path):
    variant = clone(quick(SmoothAutoencoder, smoothness=10.0)).fit(pixels)
    plain = clone(variant).set_params(smoothness=0.0).fit(pixels)
    assert (
        np.square(variant.transform(pixels)).sum()
        < np.square(plain.transform(pixels)).sum()
    )
    variant.save(tmp_path / "variant.skops")
    trusted = [SmoothAutoencoder, square_of_code]
    again = load(tmp_path / "variant.skops", trusted=trusted)
    np.testing.assert_array_equal(again.transform(pixels), variant.transform(pixels))
    rows = pixels.astype(np.float32)
    session = onnxruntime.InferenceSession(to_onnx(variant).SerializeToString())
    codes = session.run(None, {"X": rows})[0]
    np.testing.assert_allclose(codes, variant.transform(rows), rtol=0, atol=1e-4)


# Estimators stay as they were fitted

READERS = (*METHODS, "inverse_transform", "sample", "predict", "explain", "compress")
READERS += ("score", "get_feature_names_out", "transform_distribution", "denoise")


def readings(estimator, X):
    """Return what each method that does not fit gives, by name."""
    values = {}
    for name in READERS:
        if not hasattr(estimator, name):
            continue
        method = getattr(estimator, name)
        if name == "inverse_transform":
            values[name] = method(estimator.transform(X))
        elif name == "sample":
            values[name] = method(20, random_state=0)
        elif name == "get_feature_names_out":
            values[name] = method()
        else:
            values[name] = method(X)
    return values


@pytest.mark.parametrize("how", ["from a file", slow("as it is"), slow("pickled")])
@pytest.mark.parametrize("estimator", in_turn(one_of_each(CATALOGUE), 0))
def test_new_parameters_are_for_the_next_fit(estimator, how, iris, tmp_path):
    X = iris.copy()
    if get_tags(estimator).input_tags.allow_nan:
        X[::7, 1] = np.nan
    estimator = fitted(estimator, X)
    expected = readings(estimator, X)
    if how == "from a file":
        estimator.save(tmp_path / "estimator.skops")
        estimator = load(tmp_path / "estimator.skops")
    elif how == "pickled":
        estimator = pickle.loads(pickle.dumps(estimator))
    for nested in estimator.get_params():
        if "__" in nested:  # in place, before the estimator that has it is replaced
            estimator.set_params(**{nested: INVALID})
    for name in estimator.get_params(deep=False):
        setattr(estimator, name, INVALID)
    for name, values in readings(estimator, X).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("estimator", in_turn(one_of_each(CATALOGUE), 1))
def test_new_parameters_count_from_the_next_fit_on(estimator, iris):
    again = fitted(estimator, iris).set_params(random_state=1).fit(iris)
    expected = clone(estimator).set_params(random_state=1).fit(iris)
    found = readings(again, iris)
    for name, values in readings(expected, iris).items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


# Training in steps


@pytest.mark.usefixtures("all_steps")
def test_the_number_of_steps_grows_with_the_rows():
    counts = [_recipe.count_steps(n) for n in (1_001, 4_571, 20_000, 320_000)]
    assert counts == [1_000, 1_000, 4_375, 8_750]


def test_the_learning_rate_is_warmed_up_and_falls_to_zero():
    factors = [rate_factor(step, 1_000) for step in range(1_000)]
    assert factors[24] == pytest.approx(0.49)
    assert set(factors[50:500]) == {1.0}
    assert factors[749] == pytest.approx(0.501)
    assert factors[-1] == pytest.approx(0.001)


def test_steps_go_through_all_rows_before_any_comes_again():
    X = np.arange(10.0)[:, None]
    scaler = Scaler(torch.zeros(1).double(), torch.ones(1).double())
    rows = RowDataset(RowSource(X), scaler, np.arange(10))
    batches = BatchIterator(rows, batch_size=4, shuffle=True, n_batches=2)
    seen = [batch.x.ravel().tolist() for _ in range(3) for batch in batches]
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    for one_pass in (seen[:3], seen[3:]):
        assert sorted(x for batch in one_pass for x in batch) == list(range(10))


def test_many_rows_are_trained_on_for_a_number_of_steps(monkeypatch):
    monkeypatch.setattr(_recipe, "MIN_STEPS", 300)
    rng = np.random.default_rng(0)
    X = np.tanh(rng.normal(size=(1_200, 1)) * np.linspace(0.5, 3, 6))
    X += 0.05 * rng.normal(size=X.shape)

    class Count(Callback):
        def on_train_begin(self, net, **kwargs):
            self.n_steps_ = 0

        def on_grad_computed(self, net, **kwargs):
            self.n_steps_ += 1

    count = Count()
    parameters = {"hidden_layer_sizes": (16,), "random_state": 0}
    counted = AutoencoderTransformer(1, callbacks=[count], **parameters).fit(X)
    plain = AutoencoderTransformer(1, **parameters).fit(X)
    assert dict(counted.net_.callbacks_)["Count"].n_steps_ == 300
    assert plain.n_iter_ == len(plain.validation_curve_) == 10
    assert plain.net_.lr == 1e-2
    assert plain.history_[-1, "event_lr"] < 1e-4
    np.testing.assert_allclose(plain.transform(X), counted.transform(X), atol=1e-4)
    pca = AutoencoderTransformer(1, max_epochs=0).fit(X)
    assert plain.score(X) > pca.score(X) + 0.01
    without = AutoencoderTransformer(1, early_stopping=False, **parameters).fit(X)
    assert without.validation_curve_ is None
    assert without.score(X) > pca.score(X) + 0.01


# Folds of few rows


def test_each_fold_holds_out_other_rows():
    train, validation = np.array([0, 2, 3, 5, 6, 7, 8, 9]), np.array([1, 4])
    rows = np.arange(100, 110)
    folds = make_folds(rows, train, validation, 3)
    assert all(sorted(fold) == list(rows) for fold in folds)
    assert len(np.unique(folds[:, validation])) == 6
    assert len(make_folds(rows, train, validation, 20)) == 5


@pytest.mark.parametrize("tied_weights", [False, True])
def test_a_member_of_an_ensemble_works_alone(curved, tied_weights):
    options = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
    ensemble = AutoencoderTransformer(2, tied_weights=tied_weights, **options)
    rows = np.stack([np.arange(300), np.arange(300, 600)])
    module = ensemble.fit_members(curved, rows).net_.module_
    x = torch.from_numpy(curved[:20]).float()
    together = module.map_members(Autoencoder.reconstruct, x)
    for i in range(2):
        torch.testing.assert_close(module.extract(i).reconstruct(x), together[i])


@pytest.mark.slow
def test_few_rows_are_judged_by_several_splits_and_trained_on_as_a_whole(curved):
    X = curved[:200]
    options = {"hidden_layer_sizes": (16,), "max_epochs": 40, "random_state": 0}
    fitted = AutoencoderTransformer(1, **options).fit(X)
    assert type(fitted.net_.module_) is Autoencoder
    assert fitted.n_components_ == 1
    assert len(fitted.validation_curve_) == fitted.n_iter_ == len(fitted.history_)
    assert 0 < fitted.best_epoch_ <= fitted.n_iter_
    assert fitted.n_iter_ > 10  # passes through the rows, not looks at a number of steps
    assert fitted.net_.lr == 2e-3
    pca = AutoencoderTransformer(1, max_epochs=0).fit(X)
    assert fitted.score(curved[200:]) > pca.score(curved[200:]) + 0.05


def test_an_interrupt_leaves_the_configuration_of_scikit_learn(iris, monkeypatch):
    def interrupted(**options):
        set_config(**options)
        raise KeyboardInterrupt

    before = get_config()
    assert not before["skip_parameter_validation"]
    monkeypatch.setattr(sklearn.base, "config_context", interrupted)
    with pytest.raises(KeyboardInterrupt):
        AutoencoderTransformer(2).fit(iris)
    assert get_config() == before
