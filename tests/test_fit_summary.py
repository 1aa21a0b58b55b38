"""Figures of a fit, and the picture of its losses."""

import pickle
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.decomposition import PCA

from sk_autoencoder import (
    AutoencoderTransformer,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    VAETransformer,
)
from sk_autoencoder.core._fit_summary import HEIGHT, WIDTH, draw_curves, draw_summary

QUICK = {"hidden_layer_sizes": (16,), "max_epochs": 5, "random_state": 0}


def read_points(picture):
    """Read the points of each curve, (n_points, 2) in pixels."""
    root = ElementTree.fromstring(f"<p>{picture}</p>")
    texts = [line.get("points") for line in root.iter("polyline")]
    return [np.array([p.split(",") for p in text.split()], dtype=float) for text in texts]


def test_the_loss_at_the_start_is_that_of_pca_on_the_same_rows(digits):
    params = {"scaling": None, "max_epochs": 4, "n_iter_no_change": 3, "lr": 1e-9}
    autoencoder = AutoencoderTransformer(5, **QUICK | params).fit(digits)
    summary = autoencoder.fit_summary_
    assert summary["start"] == "PCA"
    assert summary["epochs"] == autoencoder.n_iter_
    assert summary["steps"] == sum(autoencoder.net_.history[:, "steps"])
    assert summary["seconds"] > 0
    pca = PCA(5).fit(digits)
    errors = ((pca.inverse_transform(pca.transform(digits)) - digits) ** 2).sum(axis=1)
    assert summary["start_loss"] == pytest.approx(errors.mean(), rel=0.2)
    # A learning rate of nothing leaves the weights where they start.
    assert summary["validation_loss"] == pytest.approx(summary["start_loss"], rel=1e-4)


@pytest.mark.slow
def test_training_that_helps_is_below_its_start(curved):
    params = QUICK | {"max_epochs": 60, "lr": 0.01}
    summary = AutoencoderTransformer(1, **params).fit(curved).fit_summary_
    assert summary["validation_loss"] < 0.7 * summary["start_loss"]


@pytest.mark.usefixtures("all_steps")
def test_folds_hand_their_losses_to_the_fit_to_all_rows(curved):
    autoencoder = AutoencoderTransformer(1, hidden_layer_sizes=(16,), random_state=0)
    summary = autoencoder.fit(curved).fit_summary_
    assert summary["start"] == "PCA"
    assert 0 < summary["validation_loss"] < 0.7 * summary["start_loss"]


@pytest.mark.parametrize(
    ("estimator", "start"),
    [
        (DenoisingAutoencoder(2, **QUICK), "Wiener filter"),
        (VAETransformer(2, **QUICK), "factor model"),
        (ContractiveAutoencoder(2, **QUICK), "PCA"),
        (AutoencoderTransformer(2, **QUICK, init="random"), "initial weights"),
    ],
)
def test_the_start_has_a_name(iris, estimator, start):
    assert estimator.fit(iris).fit_summary_["start"] == start


def test_a_fit_without_held_out_rows_has_no_held_out_loss(iris):
    autoencoder = AutoencoderTransformer(2, early_stopping=False, **QUICK).fit(iris)
    assert autoencoder.fit_summary_["validation_loss"] is None
    assert autoencoder.fit_summary_["start_loss"] is None
    text = draw_summary(autoencoder.fit_summary_, [2.0, 1.0], None, 2)
    assert "held-out" not in text


def test_an_estimator_of_an_earlier_version_has_a_summary(iris):
    autoencoder = AutoencoderTransformer(2, **QUICK).fit(iris)
    copied = pickle.loads(pickle.dumps(autoencoder))
    for name in ("start", "start_loss", "validation_loss", "seconds"):
        del vars(copied._fitted)[name]
    summary = copied.fit_summary_
    assert summary["epochs"] == autoencoder.fit_summary_["epochs"]
    assert summary["validation_loss"] is None
    assert "epochs" in draw_summary(summary, copied.loss_curve_, None, 1)


def test_curves_fill_the_picture():
    train, valid = [4.0, 2.0, 1.0], [5.0, 3.0, 2.0]
    first, second = read_points(draw_curves(train, valid, best_epoch=2))
    assert (np.diff(first[:, 0]) > 0).all()
    assert (np.diff(first[:, 1]) > 0).all()  # a lower loss is further down
    points = np.concatenate([first, second])
    assert (points >= 0).all()
    assert (points <= [WIDTH, HEIGHT]).all()
    assert points[:, 1].argmin() == 3  # the largest loss is the first of the held-out rows


@pytest.mark.parametrize(
    "train", [[1.0], [2.0, 2.0], [0.0, -5.0], list(range(5000, 0, -1)), [1e300, 1e-300]]
)
def test_a_picture_of_any_losses(train):
    (points,) = read_points(draw_curves(train, None, best_epoch=len(train)))
    assert 1 <= len(points) <= 200
    assert np.isfinite(points).all()
    assert (points >= 0).all()
    assert (points <= [WIDTH, HEIGHT]).all()


def test_names_are_escaped():
    summary = {"epochs": 1, "steps": 1, "seconds": 1.0, "validation_loss": 1.0}
    summary |= {"start": "<script>", "start_loss": 2.0}
    assert "<script>" not in draw_summary(summary, [1.0], [1.0], 1)
