"""Rows as few bytes."""

import pickle
import struct
import sys
import zlib
from contextlib import suppress
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from catalogue import PLAIN, slow
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.history import History

from sk_autoencoder import AutoencoderCompressor, RateDistortionDisplay
from sk_autoencoder.compression import _range_coder
from sk_autoencoder.compression._container import pack, unpack
from sk_autoencoder.compression._entropy import fit_table
from sk_autoencoder.compression._quantizer import RD_LAMBDA, Quantizer
from sk_autoencoder.core._callbacks import RateController
from sk_autoencoder.core._model_selection import hold_out
from sk_autoencoder.nn import Dense, NetworkOutput
from sk_autoencoder.nn._quantization import CodeLength, RoundedNetwork

mpl.use("Agg")


@pytest.fixture(scope="module")
def pixels():
    """Rows of 64 whole numbers from 0 to 16: to fit to, and others."""
    X = load_digits().data
    return X[:800], X[800:1_200]


@pytest.fixture(scope="module")
def linear(pixels):
    """A compressor that rounds principal components, whatever training would give."""
    return AutoencoderCompressor(PCA(20), bytes_per_row=6, random_state=0).fit(pixels[0])


@pytest.fixture(scope="module")
def moved():
    """Images of 121 pixels with digits somewhere: curved rows, to fit to and others."""
    images, rng = load_digits().images, np.random.default_rng(0)
    X = np.zeros((3_000, 11, 11))
    for row, digit in zip(X, rng.choice(images, 3_000), strict=True):
        i, j = rng.integers(4, size=2)
        row[i : i + 8, j : j + 8] = digit
    return X[:2_400].reshape(-1, 121), X[2_400:].reshape(-1, 121)


def size(compressor, X):
    return len(compressor.compress(X)) / len(X)


# What it is for


@pytest.mark.parametrize(
    ("autoencoder", "budget"),
    [
        pytest.param(None, 2, marks=pytest.mark.slow),
        pytest.param(PCA(30), 2, marks=pytest.mark.slow),
        pytest.param(PCA(30), 12, marks=pytest.mark.slow),
        (PLAIN, 5),
    ],
)
def test_the_budget_is_met(pixels, autoencoder, budget):
    compressor = AutoencoderCompressor(autoencoder, bytes_per_row=budget, random_state=0)
    compressor.fit(pixels[0])
    if autoencoder is not PLAIN:  # whose two codes are not worth more
        assert size(compressor, pixels[1]) > 0.9 * budget
    assert size(compressor, pixels[1]) < 1.08 * budget + 24 / 400


@pytest.mark.slow
def test_training_pays_where_rows_are_curved(moved, monkeypatch):
    monkeypatch.setattr("sk_autoencoder.compression._autoencoder.MAX_EPOCHS", 40)
    fit, others = moved
    ours = AutoencoderCompressor(bytes_per_row=4, random_state=0).fit(fit)
    pca = AutoencoderCompressor(PCA(60), bytes_per_row=4, random_state=0).fit(fit)
    assert ours._codec is not ours._linear
    assert abs(size(ours, others) - size(pca, others)) < 0.2
    assert ours.score(others) > pca.score(others) + 0.05


def test_pca_is_kept_where_it_is_the_best():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(600, 8)) * 2.0 ** -np.arange(8)
    ours = AutoencoderCompressor(bytes_per_row=3, random_state=0).fit(X[:400])
    pca = AutoencoderCompressor(PCA(8), bytes_per_row=3, random_state=0).fit(X[:400])
    assert ours._codec is ours._linear
    assert ours.score(X[400:]) == pytest.approx(pca.score(X[400:]), abs=0.01)


def test_columns_of_mixed_units_come_back_alike_and_count_alike():
    X = load_wine().data
    compressor = AutoencoderCompressor(bytes_per_row=4, random_state=0).fit(X)
    found = compressor.reconstruct(X)
    each = 1 - ((found - X) ** 2).mean(axis=0) / X.var(axis=0)
    assert each.min() > 0.5
    assert compressor.score(X) == pytest.approx(each.mean())
    of_default_step = compressor.report(X)["r2"][2]
    assert of_default_step == pytest.approx(compressor.score(X))


@pytest.mark.slow
def test_more_bytes_give_better_rows(pixels):
    scores = [
        AutoencoderCompressor(PCA(), bytes_per_row=budget, random_state=0)
        .fit(pixels[0])
        .score(pixels[1])
        for budget in (1, 16, 256)
    ]
    assert scores == sorted(scores)
    assert scores[-1] > 1 - 1e-6


# Bytes and back


@pytest.mark.parametrize(
    ("dtype", "max_error"),
    [
        ("f4", None),
        pytest.param("f8", 0.5, marks=pytest.mark.slow),
        ("u1", 1.5),
        pytest.param("i2", None, marks=pytest.mark.slow),
        pytest.param("i8", 0.5, marks=pytest.mark.slow),
        ("?", None),
    ],
)
def test_the_type_comes_back(pixels, dtype, max_error):
    columns = (X[:200, ::3] for X in pixels)
    fit, others = (X > 8 if dtype == "?" else X.astype(dtype) for X in columns)
    compressor = AutoencoderCompressor(
        PCA(4), bytes_per_row=3, max_error=max_error, random_state=0
    ).fit(fit)
    found = compressor.decompress(compressor.compress(others))
    assert found.dtype == others.dtype
    np.testing.assert_array_equal(found, compressor.reconstruct(others))
    assert compressor.score(others) > 0


def test_codes_are_those_in_the_bytes(linear, pixels):
    found = linear.inverse_transform(linear.transform(pixels[1]))
    blob = linear.compress(pixels[1])
    np.testing.assert_array_equal(found, linear.decompress(blob))
    assert linear.transform(pixels[1]).shape[1] == linear.n_components_ == 20


def test_integers_stay_in_the_range_of_their_type():
    X = np.array([[0, 255], [255, 0], [0, 0], [255, 255]] * 20, np.uint8)
    compressor = AutoencoderCompressor(bytes_per_row=0.2, random_state=0).fit(X)
    assert compressor.decompress(compressor.compress(X)).dtype == np.uint8
    wild = np.array([[2**62, 0], [-(2**62), 1]])
    compressor.decompress(compressor.compress(wild))


def test_rows_far_from_all_others_are_coded_too(linear, pixels):
    wild = pixels[1] * 10.0 ** np.linspace(0, 12, 400)[:, None]
    found = linear.decompress(linear.compress(wild))
    assert np.isfinite(found).all()
    assert np.isfinite(linear.decompress(linear.compress(wild * 1e200))).all()


@pytest.mark.parametrize("travel", [lambda x: x, lambda x: pickle.loads(pickle.dumps(x))])
def test_the_compressor_and_its_pickle_read_what_it_wrote(linear, pixels, travel):
    blob = linear.compress(pixels[1])
    np.testing.assert_array_equal(
        travel(linear).decompress(blob), linear.decompress(memoryview(blob))
    )


def test_frames_are_rows_too(pixels):
    frame = pd.DataFrame(pixels[0][:200]).add_prefix("pixel").astype("uint8")
    compressor = AutoencoderCompressor(PCA(5), random_state=0).fit(frame)
    assert compressor.decompress(compressor.compress(frame)).dtype == np.uint8


# The bound on errors


@pytest.mark.parametrize(
    ("dtype", "max_error"),
    [
        *[("f4", 0.01), ("f8", 0.7), ("u1", 0.2), ("i4", 3.6)],
        *(slow("f4", 3.6), slow("i4", 0.7), slow("u1", 1.0)),
    ],
)
def test_no_cell_is_off_by_more_than_the_bound(pixels, dtype, max_error):
    rng = np.random.default_rng(0)
    fit, others = (X[:200, ::3].astype(dtype) for X in pixels)
    if dtype[0] == "f":
        others = (others + rng.normal(0, 3, others.shape)).astype(dtype)
    others[3] = 40  # far from all rows
    compressor = AutoencoderCompressor(
        PCA(4), bytes_per_row=3, max_error=max_error, random_state=0
    ).fit(fit)
    found = compressor.decompress(compressor.compress(others))
    error = np.abs(found.astype(np.float64) - others.astype(np.float64)).max()
    assert error <= max_error
    if dtype[0] != "f" and max_error < 1:
        np.testing.assert_array_equal(found, others)


@pytest.mark.slow
def test_the_better_the_codes_the_cheaper_the_residuals(pixels):
    fit, others = (X.astype(np.uint8) for X in pixels)
    sizes = [
        size(
            AutoencoderCompressor(
                PCA(30), bytes_per_row=budget, max_error=0.5, random_state=0
            ).fit(fit),
            others,
        )
        - budget
        for budget in (1, 8)
    ]
    assert sizes[1] < 0.8 * sizes[0]
    assert sizes[1] + 8 < len(zlib.compress(others.T.tobytes(), 9)) / len(others)


def test_a_bound_finer_than_the_type_is_an_error(pixels):
    rows = pixels[0][:200, ::4]
    fit = rows.astype(np.float32)
    compressor = AutoencoderCompressor(PCA(5), max_error=1e-3, random_state=0).fit(fit)
    with pytest.raises(ValueError, match=r"max_error=0.001 is finer than float32"):
        compressor.compress(fit * 1e3)
    coarse = AutoencoderCompressor(PCA(5), max_error=1e-3, random_state=0).fit(rows)
    with pytest.raises(ValueError, match=r"max_error=0.001 is finer than int64"):
        coarse.compress(np.full((1, 16), 2**60))


# Blobs that are none


def test_damaged_bytes_are_an_error(linear, pixels):
    blob = linear.compress(pixels[1][:20])
    rng = np.random.default_rng(0)
    for length in range(len(blob)):
        with pytest.raises(ValueError, match="blob"):
            linear.decompress(blob[:length])
    for i in range(len(blob)):
        flipped = bytearray(blob)
        flipped[i] ^= 1 << rng.integers(8)
        with pytest.raises(ValueError, match="blob"):
            linear.decompress(bytes(flipped))
    for length in rng.integers(0, 200, 100):
        with pytest.raises(ValueError, match="blob"):
            linear.decompress(rng.bytes(length))
        with pytest.raises(ValueError, match="blob"):
            linear.decompress(blob[:5] + rng.bytes(length))
    with pytest.raises(ValueError, match="blob"):
        linear.decompress(blob + b"more")


def test_forged_bytes_are_read_or_an_error(linear, pixels):
    frame, payload = unpack(linear.compress(pixels[1][:20]))
    rng = np.random.default_rng(0)
    for length in rng.integers(0, 200, 200):
        forged = pack(frame, rng.bytes(length))
        with suppress(ValueError):
            assert linear.decompress(forged).shape == (20, 64)
    constant = AutoencoderCompressor(PLAIN, bytes_per_row=1, random_state=0)
    blob = constant.fit(np.ones((300, 3))).compress(np.ones((20, 3)))
    for n_rows in (10**6, 2**32 - 1):
        frame_of_constant, empty = unpack(blob)
        with pytest.raises(ValueError, match=f"{n_rows} rows do not fit"):
            constant.decompress(pack(frame_of_constant._replace(n_rows=n_rows), empty))
    many = frame._replace(n_rows=2**32 - 1)
    with pytest.raises(ValueError, match="4294967295 rows"):
        linear.decompress(pack(many, payload))
    with pytest.raises(ValueError, match="type"):
        linear.decompress(pack(frame._replace(dtype=np.dtype("S1")), payload))


def test_bytes_of_another_compressor_are_an_error(linear, pixels):
    other = AutoencoderCompressor(PCA(5), bytes_per_row=6, random_state=1).fit(pixels[1])
    with pytest.raises(ValueError, match="fingerprint"):
        other.decompress(linear.compress(pixels[1]))


def test_another_version_is_an_error(linear, pixels):
    blob = bytearray(linear.compress(pixels[1][:2]))
    blob[4] = 2
    blob[20:24] = bytes(4)
    blob[20:24] = struct.pack("<I", zlib.crc32(blob))
    with pytest.raises(ValueError, match="version 2"):
        linear.decompress(bytes(blob))


def test_what_is_no_bytes_is_an_error(linear):
    for wrong in ("text", None, 12):
        with pytest.raises(TypeError, match="blob"):
            linear.decompress(wrong)


# Any autoencoder


@pytest.mark.slow
def test_the_step_of_a_code_follows_its_effect(pixels):
    plain, white = (
        AutoencoderCompressor(PCA(20, whiten=whiten), bytes_per_row=6, random_state=0)
        .fit(pixels[0])
        .score(pixels[1])
        for whiten in (False, True)
    )
    assert white == pytest.approx(plain, abs=1e-3)


def test_fitted_autoencoders_and_pipelines(pixels):
    fit, others = (X[:400, ::2] for X in pixels)
    pipeline = make_pipeline(StandardScaler(), PCA(20))
    frozen = FrozenEstimator(PCA(20).fit(fit))
    for autoencoder in (pipeline, frozen):
        compressor = AutoencoderCompressor(autoencoder, bytes_per_row=6, random_state=0)
        assert compressor.fit(fit).score(others) > 0.65
    assert compressor.autoencoder_.estimator is frozen.estimator


@pytest.mark.slow
def test_columns_of_equal_weight():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4)) * [1, 1, 1e3, 1e3]
    found = {}
    for scaling in ("global", "standard"):
        compressor = AutoencoderCompressor(scaling=scaling, bytes_per_row=1, random_state=0)
        error = np.square(compressor.fit(X).reconstruct(X) - X).mean(axis=0)
        found[scaling] = 1 - error / X.var(axis=0)
    assert found["global"][:2].max() < 0.01
    assert found["standard"].min() > 0.4


def test_in_pipelines_and_under_grid_search(pixels):
    pipeline = make_pipeline(StandardScaler(), AutoencoderCompressor(PCA(8)))
    grid = {"autoencodercompressor__bytes_per_row": [1, 4]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(pixels[0][:200, ::4])
    assert search.best_params_["autoencodercompressor__bytes_per_row"] == 4


def test_training_is_shown_on_demand(pixels, capsys):
    X = pixels[0][:200]
    AutoencoderCompressor(bytes_per_row=3, random_state=0).fit(X[:60, ::4])
    assert not capsys.readouterr().out
    AutoencoderCompressor(bytes_per_row=3, verbose=1, random_state=0).fit(X[:60, ::4])
    assert "held out" in capsys.readouterr().out


def test_the_same_rows_are_held_out_for_training_and_for_the_step(pixels, monkeypatch):
    calls = []

    def recorded(*args, **kwargs):
        calls.append(hold_out(*args, **kwargs))
        return calls[-1]

    for user in ("core._base", "compression._codec"):
        monkeypatch.setattr(f"sk_autoencoder.{user}.hold_out", recorded)
    AutoencoderCompressor(bytes_per_row=3, random_state=0).fit(pixels[0][:100, ::4])
    held_out = [out for _, out in calls if out is not None]
    assert len(held_out) == 2
    np.testing.assert_array_equal(*held_out)


def test_the_coder_is_asked_for_by_name(linear, pixels, monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    text = r"Compression needs constriction: pip install 'sk-autoencoder\[compression\]'"
    with pytest.raises(ImportError, match=text):
        linear.compress(pixels[1])
    with pytest.raises(ImportError, match=text):
        AutoencoderCompressor().fit([["no number is looked at"]])
    linear.reconstruct(pixels[1])


# The report


def test_the_report_measures_what_is_stored(linear, pixels):
    report = pd.DataFrame(linear.report(pixels[1].astype(np.uint8)))
    assert report["bytes_per_row"].is_monotonic_increasing
    assert report["r2"].is_monotonic_increasing
    now = report[report["step"] == 1].iloc[0]
    assert now["bytes_per_row"] == size(linear, pixels[1])
    assert now["ratio"] == 64 / now["bytes_per_row"]
    rows = linear.reconstruct(pixels[1].astype(np.uint8))
    error = np.sqrt(np.mean((rows - pixels[1]) ** 2))
    assert now["psnr"] == pytest.approx(20 * np.log10(16 / error))
    assert report["pca_r2"].is_monotonic_increasing


def test_the_display_draws_both_curves(linear, pixels):
    display = RateDistortionDisplay.from_estimator(linear, pixels[1], name="mine")
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["PCA, coded the same way", "mine"]
    assert display.figure_ is display.ax_.figure
    again = display.plot(ax=display.ax_, metric="psnr")
    assert again.ax_.get_ylabel() == "signal-to-noise ratio (dB)"
    np.testing.assert_array_equal(again.lines_[1].get_ydata(), display.report["psnr"])
    with pytest.raises(ValueError, match="metric='mse'"):
        display.plot(metric="mse")


# The parts


@pytest.mark.parametrize("spread", [0.01, 0.6, 7.0, 3e3, 1e9])
@pytest.mark.parametrize("kind", ["normal", "standard_cauchy"])
def test_whole_numbers_come_back_and_cost_what_they_should(kind, spread):
    rng = np.random.default_rng(0)
    numbers = np.rint(getattr(rng, kind)(size=4_000) * spread).astype(np.int64)
    numbers = numbers.clip(-(2**50), 2**50)
    fit, others = numbers[:2_000], numbers[2_000:]
    table = fit_table(fit, float(np.median(fit)), float(fit.std()))
    payload = _range_coder.encode([others, -others], [table, table])
    np.testing.assert_array_equal(
        _range_coder.decode(payload, [table] * 2, 2_000)[0], others
    )
    np.testing.assert_array_equal(
        _range_coder.decode(payload, [table] * 2, 2_000)[1], -others
    )
    bits = table.bits(others).sum() + table.bits(-others).sum()
    n_bits = max(bits, 8 * 2_000 / _range_coder.MAX_ROWS_PER_BYTE)
    assert 8 * len(payload) < 1.002 * n_bits + 64
    if kind == "normal":
        entropy = max(0.5 * np.log2(2 * np.pi * np.e * spread**2), 0)
        assert bits / 4_000 < 1.1 * entropy + 0.6 * (spread < 1) + 0.02


def test_a_table_of_a_few_numbers_is_a_smooth_one():
    numbers = np.array([-3, 0, 1, 5])
    table = fit_table(numbers, 0.0, 3.0)
    costs = table.bits(np.arange(-5, 6))
    assert costs.max() < costs.min() + 5


def test_frugal_rounding_pays(pixels):
    codes = PCA(10).fit_transform(pixels[0])
    step = np.full(10, 1.5 * codes.std(axis=0)[3])
    costs = {}
    for rd_lambda in (0.0, RD_LAMBDA):
        quantizer = Quantizer(codes, step, rd_lambda, True)
        numbers = quantizer.quantize(codes)
        error = ((quantizer.dequantize(numbers) - codes) / step) ** 2
        costs[rd_lambda] = error.sum(axis=1) + RD_LAMBDA * quantizer.bits(numbers)
    assert costs[RD_LAMBDA].mean() < 0.97 * costs[0.0].mean()


@torch.no_grad()
def test_probabilities_of_rounded_codes_sum_to_one():
    scales = torch.tensor([0.05, 0.8, 20.0])
    lengths = CodeLength(scales)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for weights in lengths.parameters():
            weights += 0.3 * torch.randn_like(weights)
    together = torch.zeros(1)
    for i, scale in enumerate(scales):
        single = CodeLength(scale[None])
        for name, weights in lengths.named_parameters():
            single.get_parameter(name).copy_(weights[i : i + 1])
        code = torch.arange(-400.0, 401)[:, None]
        probabilities = 2 ** -single(None, None, NetworkOutput(code, code))
        assert float(probabilities.sum()) == pytest.approx(1, abs=1e-3)
        together += single(None, None, NetworkOutput(code[403:404], code))
    threes = torch.full((1, 3), 3.0)
    torch.testing.assert_close(lengths(None, None, NetworkOutput(threes, threes)), together)


def test_codes_are_noisy_in_training_and_whole_otherwise():
    network = RoundedNetwork(Dense(())(6, 3).requires_grad_(False))
    network.step.fill_(0.1)
    x = torch.randn(200, 6)
    noise = network(x).code - network.encode(x)
    assert noise.abs().max() <= 0.5 + 1e-5
    assert float(noise.std()) == pytest.approx(12**-0.5, rel=0.1)
    out = network.eval()(x)
    assert torch.equal(out.code, network.encode(x).round())
    assert torch.equal(out.reconstruction, network.decode(out.code))


@pytest.mark.parametrize(("spent", "grows"), [(2.0, True), (0.5, False)])
def test_the_price_of_bits_follows_the_budget(spent, grows):
    penalty, history = CodeLength(torch.ones(1)), History()
    history.new_epoch()
    history.record("valid_bits", 3 * spent)
    criterion = SimpleNamespace(weights={"bits": 3.0}, bits=penalty)
    net = SimpleNamespace(history=history, criterion_=criterion, max_epochs=10)
    RateController("bits", 1.0).on_epoch_end(net)
    assert (penalty.rate_multiplier > 1) == grows
    zeros = NetworkOutput(torch.zeros(5, 1), torch.zeros(5, 3))
    training, judged = (penalty.train(mode)(None, None, zeros) for mode in (True, False))
    torch.testing.assert_close(training, penalty.rate_multiplier * judged)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bytes_per_row": 0}, "bytes_per_row"),
        ({"max_error": -1}, "max_error"),
        ({"scaling": "minmax"}, "scaling"),
        ({"autoencoder": LogisticRegression()}, "autoencoder"),
    ],
)
def test_wrong_parameters(pixels, parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderCompressor(**parameters).fit(pixels[0])
