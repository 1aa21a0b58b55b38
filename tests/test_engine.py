"""The engine: fits that happen as a whole or not at all, and variants in ten lines."""

import pickle
from dataclasses import dataclass

import numpy as np
import onnxruntime
import pytest
from catalogue import CATALOGUE, PLAIN, fitted, one_of_each, quick, slow
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from sk_autoencoder import load, to_onnx
from sk_autoencoder.core import BaseAutoencoder, _building, _training
from sk_autoencoder.core._trainer import AutoencoderNet

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


STAGES = ["start", "last step", *map(slow, ("validation", "first step", "calibration"))]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("estimator", one_of_each(CATALOGUE))
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
@pytest.mark.parametrize("estimator", one_of_each(CATALOGUE))
def test_new_parameters_are_for_the_next_fit(estimator, how, iris, tmp_path):
    X = iris.copy()
    if get_tags(estimator).input_tags.allow_nan:
        X[::7, 1] = np.nan
    estimator = clone(estimator).fit(X)
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


@pytest.mark.parametrize("estimator", one_of_each(CATALOGUE))
def test_new_parameters_count_from_the_next_fit_on(estimator, iris):
    fitted = clone(estimator).fit(iris).set_params(random_state=1).fit(iris)
    expected = clone(estimator).set_params(random_state=1).fit(iris)
    for name, values in readings(expected, iris).items():
        np.testing.assert_array_equal(readings(fitted, iris)[name], values, err_msg=name)
