"""Whether convolutional autoencoders are worth their time on images.

Every set of images in the folders, at most 5,000 to fit to and 1,000 held out, pixels in
[0, 1], one split:

1. 16 components: R² of held-out images beside PCA's and the dense autoencoder's, and times,
2. denoising: PSNR in dB beside PCA, KernelPCA (with the parameters that are best on the
   held-out images) and the dense denoiser,
3. on digits: whether boosted trees and the nearest neighbour tell rows drawn by variational
   and adversarial autoencoders from held-out ones, dense and convolutional ones,
4. 64 components: accuracy of a logistic regression on the codes, beside PCA's.

Then what the memory format and bfloat16 do to a training step.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import _datasets, denoising, generation
from benchmarks._report import Claims, Table
from benchmarks.overhead import interleaved
from benchmarks.reconstruction import r2
from sk_autoencoder import (
    AdversarialAutoencoder,
    AutoencoderTransformer,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    VAETransformer,
)
from sk_autoencoder.nn import Convolutional

N_FIT, N_HELD = 5_000, 1_000
NOISE, NOISE_OF = 0.25, {"mnist_test": 0.5}
WIDE = 64  # components for the classifier
MANY = 10  # images of each class that a classifier needs
STEP_ROWS = 64
SHOWN, MOST_EPOCHS = 100_000, 150  # images that a network sees while training


def split(table: _datasets.Table, seed: int):
    """Return images to fit to, and held-out ones, then their classes."""
    order = np.random.default_rng(seed).permutation(len(table.X))
    n_fit = min(N_FIT, int(0.8 * len(order)))
    fit, held = order[:n_fit], order[n_fit : n_fit + N_HELD]
    X = table.X / table.X.max()
    y = (None, None) if table.y is None else (table.y[fit], table.y[held])
    return X[fit], X[held], *y


def training(table: _datasets.Table, n_fit: int) -> dict:
    """Return parameters for convolutions in a dense network's estimator."""
    return {
        "network": Convolutional(table.image_shape, channels=(32, 64, 64)),
        "early_stopping": False,  # all rows, and a learning rate that falls to zero
        "max_epochs": min(SHOWN // n_fit, MOST_EPOCHS),
        "batch_size": 16,
        "lr": 4e-3,
    }


def reconstruct(table: _datasets.Table, seed: int, report: Table) -> dict[str, float]:
    """Compare reconstructions from 16 components."""
    fit, held, *_ = split(table, seed)
    pca = PCA(16, random_state=seed).fit(fit)
    found = {"PCA": r2(held, pca.inverse_transform(pca.transform(held)))}
    models = {
        "dense": AutoencoderTransformer(16, random_state=seed),
        "conv": ConvolutionalAutoencoder(
            16, image_shape=table.image_shape, random_state=seed
        ),
    }
    for name, model in models.items():
        start = time.perf_counter()
        model.fit(fit)
        found[f"{name} s"] = time.perf_counter() - start
        found[name] = r2(held, model.reconstruct(held))
    found["ratio"] = found["conv s"] / found["dense s"]
    columns = ("PCA", "dense", "conv", "dense s", "conv s", "ratio")
    report.add(table.name, len(fit), *(found[column] for column in columns))
    print(report.line(-1), flush=True)
    return found


def claim_reconstruction(tables, seed: int, folder: str, claims: Claims) -> None:
    """State how many sets the convolutional autoencoder gives back better."""
    columns = ["images", "rows", "PCA", "dense", "conv", "dense s", "conv s", "ratio"]
    report = Table("R² of held-out images, 16 components", columns)
    found = [reconstruct(table, seed, report) for table in tables]
    report.show(folder, "images_reconstruction")
    better = np.mean([f["conv"] > f["dense"] for f in found])
    claims.add("share of sets with an R² above the dense one's", better, ">=", 0.75)
    gain = min(f["conv"] - f["PCA"] for f in found)
    claims.add("R² less PCA's, worst set", gain, ">", 0)
    ratio = max(f["ratio"] for f in found)
    claims.add("time of a fit / the dense one's, worst set", ratio, "<=", 3)


def claim_denoising(tables, seed: int, folder: str, claims: Claims) -> None:
    """State how much better convolutional networks remove noise."""
    columns = ["images", "noise", "noisy", "PCA", "KernelPCA", "dense", "conv", "conv s"]
    report = Table("PSNR of denoised held-out images, in dB", columns)
    for table in tables:
        fit, held, *_ = split(table, seed)
        std = NOISE_OF.get(table.name, NOISE)
        noisy = held + np.random.default_rng(seed).normal(0, std, held.shape)
        options = {"noise_level": std, "scaling": None, "random_state": seed}
        conv = DenoisingAutoencoder(**training(table, len(fit)), **options)
        start = time.perf_counter()
        conv.fit(fit)
        seconds = time.perf_counter() - start
        dense = DenoisingAutoencoder(**options).fit(fit)
        clip, rows = denoising.clip, (fit, noisy, held)
        errors = {
            "noisy": denoising.error(clip(noisy), held),
            "PCA": denoising.best_pca(*rows, clip),
            "KernelPCA": denoising.best_kernel_pca(*rows, clip),
            "dense": denoising.error(clip(dense.denoise(noisy)), held),
            "conv": denoising.error(clip(conv.denoise(noisy)), held),
        }
        decibels = {name: denoising.psnr(error) for name, error in errors.items()}
        report.add(table.name, std, *decibels.values(), seconds)
        print(report.line(-1), flush=True)
        gain = decibels["conv"] - max(decibels["PCA"], decibels["KernelPCA"])
        claims.add(f"{table.name}: gain over PCA and KernelPCA, dB", gain, ">=", 1.9)
        gain = decibels["conv"] - decibels["dense"]
        claims.add(f"{table.name}: gain over the dense denoiser, dB", gain, ">", 0)
    report.show(folder, "images_denoising")


def claim_generation(table, seed: int, folder: str, claims: Claims) -> None:
    """State whether convolutional models draw better images than dense ones."""
    fit, held, *_ = split(table, seed)
    kept = np.arange(fit.shape[1])
    rows = generation.Rows(fit, held, None, None, kept, table.image_shape)
    conv = training(table, len(fit)) | {"batch_size": 32, "early_stopping": True}
    # Convolutions learn more codes from scratch. Noise on pixels, which digits do not have,
    # is off in both adversarial models: "auto" takes it for the convolutional one, by
    # distances of raw pixels, and draws images that are easier to tell from real ones.
    adversarial = {"init": "random", "early_stopping": False, "batch_size": 64}
    measures = ("trees", "1-NN", "density", "coverage", "nearness")
    report = Table(f"{table.name}: images drawn", ["model", *measures, "s"])
    for kind in (VAETransformer, AdversarialAutoencoder):
        found, shown = {}, {"real": held}
        is_adversarial = kind is AdversarialAutoencoder
        shared = {"output_noise": False} if is_adversarial else {}
        own = conv | (adversarial if is_adversarial else {})
        for name, options in {"dense": shared, "conv": own | shared}.items():
            start = time.perf_counter()
            model = kind(random_state=seed, **options).fit(fit)
            seconds = time.perf_counter() - start
            shown[name] = rows.finish(model.sample(len(held), random_state=seed))
            found[name] = generation.measure(shown[name], None, rows, seed)
            values = [found[name][measure] for measure in measures]
            report.add(f"{kind.__name__}, {name}", *values, seconds)
            print(report.line(-1), flush=True)
        path = Path(folder) / f"images_{table.name}_{kind.__name__}.png"
        generation.picture(shown, rows, path)
        for measure in ("trees", "1-NN"):
            gain = found["conv"][measure] - found["dense"][measure]
            what = f"{table.name}, {kind.__name__}: {measure}, less the dense one's"
            claims.add(what, gain, "<", 0)
    report.show(folder, f"images_generation_{table.name}")


def claim_codes(tables, seed: int, folder: str, claims: Claims) -> None:
    """State whether a classifier reads the codes as well as PCA's."""
    report = Table(
        f"accuracy of logistic regression, {WIDE} components", ["images", "PCA", "conv"]
    )
    for table in tables:
        fit, held, y, y_held = split(table, seed)
        if y is None or len(y) < MANY * len(np.unique(y)):
            continue
        shape = table.image_shape
        conv = ConvolutionalAutoencoder(WIDE, image_shape=shape, random_state=seed)
        found = []
        for reducer in (PCA(WIDE, random_state=seed), conv):
            classifier = LogisticRegression(max_iter=1_000)
            model = make_pipeline(reducer, StandardScaler(), classifier).fit(fit, y)
            found.append(model.score(held, y_held))
        report.add(table.name, *found)
        print(report.line(-1), flush=True)
        gain = found[1] - found[0]
        claims.add(f"{table.name}: accuracy on codes less PCA's", gain, ">=", 0)
    report.show(folder, "images_codes")


def make_step(spec: Convolutional, x: torch.Tensor, format_, low: bool) -> Callable:
    """Return a training step in a memory format, with bfloat16 if `low`."""
    network = spec(x.shape[1], 16).to(memory_format=format_)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            output = network(x).reconstruction
        optimizer.zero_grad()
        (output.float() - x).square().sum(-1).mean().backward()
        optimizer.step()

    return step


def show_formats(folder: str) -> None:
    """Time training steps, in rounds that take turns."""
    x = torch.randn(STEP_ROWS, 784)
    step = partial(make_step, Convolutional((28, 28)), x)
    steps = {
        "contiguous": step(torch.contiguous_format, False),
        "channels last": step(torch.channels_last, False),
        "contiguous, bfloat16": step(torch.contiguous_format, True),
        "channels last, bfloat16": step(torch.channels_last, True),
    }
    best = interleaved(steps, 10)
    report = Table("time of a training step / the contiguous one's", ["format", "ratio"])
    for name, seconds in best.items():
        report.add(name, seconds / best["contiguous"])
    report.show(folder, "images_formats")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--only", default="*", help="names or patterns, with commas")
    parser.add_argument("--parts", default="1234f", help="f: memory formats")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    tables = [t for t in _datasets.load(options.data, 10_000) if t.image_shape]
    tables = [t for t in tables if _datasets.is_named(t, options.only)]
    claims, how = Claims(), (options.seed, options.out)
    if "1" in options.parts:
        claim_reconstruction(tables, *how, claims)
    if "2" in options.parts:
        claim_denoising(tables, *how, claims)
    for table in tables:
        if "3" in options.parts and "mnist" in table.name:
            claim_generation(table, *how, claims)
    if "4" in options.parts:
        claim_codes(tables, *how, claims)
    if "f" in options.parts:
        show_formats(options.out)
    claims.show()


if __name__ == "__main__":
    main()
