"""
Displays: what training did, what codes hold, what comes back
=============================================================

One picture for each question, in the convention of scikit-learn's displays:
``from_estimator`` draws, ``plot(ax=...)`` draws again elsewhere, and ``figure_`` and
``ax_`` are there to be changed. They look into pipelines, searches and wrappers, and most
of them draw PCA too.
"""

# %%
import matplotlib
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_autoencoder import (
    AutoencoderCompressor,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    CodeDisplay,
    DenoisingAutoencoder,
    LossCurveDisplay,
    OutlierScoreDisplay,
    RateDistortionDisplay,
    ReconstructionDisplay,
    TraversalDisplay,
    VAETransformer,
    report,
)

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X, y = load_digits(return_X_y=True)
X_fit, X_test, y_test = X[:1300], X[1300:], y[1300:]


def save(display, name: str) -> None:
    """Save the picture of a display."""
    display.figure_.savefig(f"displays_{name}.png", dpi=100)
    print(f"{type(display).__name__:22} displays_{name}.png")


# %%
# Did training converge, and which epoch was kept? Each term of the loss has its colour: for
# a variational autoencoder the error and the divergence of its codes from the prior.
vae = VAETransformer(2, max_epochs=40, random_state=0).fit(X_fit)
save(LossCurveDisplay.from_estimator(vae), "loss")

# %%
# What do two components hold? Beside PCA, in one figure.
figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for reducer, ax in zip([PCA(2).fit(X_fit), vae], axes, strict=True):
    display = CodeDisplay.from_estimator(reducer, X_test, y_test, ax=ax)
axes[0].get_legend().remove()
save(display, "codes")

# %%
# What is decoded where? The plane at quantiles of the prior, without any row.
save(TraversalDisplay.from_estimator(vae, image_shape=(8, 8)), "plane")

# %%
# How well do images come back? Those of a denoiser from noisy ones, beside PCA's.
noisy = X_test + np.random.default_rng(0).normal(0, 4, X_test.shape)
denoiser = DenoisingAutoencoder(
    noise_level=4, scaling=None, max_epochs=15, random_state=0
).fit(X_fit)
display = ReconstructionDisplay.from_estimator(
    denoiser, X_test, damaged=noisy, baseline=PCA(16).fit(X_fit), image_shape=(8, 8)
)
save(display, "images")

# %%
# Which features of a table come back, and which do not? An error of 1 is what the mean
# would make.
wine = load_wine(as_frame=True).data
ours = make_pipeline(
    StandardScaler(), AutoencoderTransformer(3, max_epochs=40, random_state=0)
)
pca = make_pipeline(StandardScaler(), PCA(3))
display = ReconstructionDisplay.from_estimator(ours.fit(wine), wine, baseline=pca.fit(wine))
save(display, "features")

# %%
# What does a component of a table's code mean?
save(TraversalDisplay.from_estimator(ours, wine), "components")

# %%
# Where is the threshold of a detector, and why are the most unusual rows unusual? Of the
# malignant tumours 20 are among the rows, and nobody tells the detector.
cancer = load_breast_cancer(as_frame=True)
kinds = cancer.target.map({0: "malignant", 1: "benign"})
kept = [*kinds.index[kinds == "benign"], *kinds.index[kinds == "malignant"][:20]]
tumours = cancer.data.loc[kept]
detector = AutoencoderOutlierDetector(random_state=0).fit(tumours)
save(OutlierScoreDisplay.from_estimator(detector, tumours, kinds[kept]), "outliers")

# %%
# What do bytes buy? With codes of eight components less error than PCA's up to some four
# bytes; beyond, their number is what limits them.
inner = AutoencoderTransformer(8, max_epochs=30, random_state=0)
compressor = AutoencoderCompressor(inner, bytes_per_row=3, random_state=0).fit(X_fit)
save(RateDistortionDisplay.from_estimator(compressor, X_test), "rate")

# %%
# All about the detector on one page. A notebook shows it, and ``.save("report.html")``
# writes it as one file.
print(f"{'report':22} one page, shown below")
report(detector, tumours, kinds[kept])
