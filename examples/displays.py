"""
Displays: losses, codes, reconstructions, scores and rates
==========================================================

Draw one picture for each question. The methods are those of scikit-learn's displays:
``from_estimator`` draws, and ``plot(ax=...)`` draws again into other axes. Change the
picture by ``figure_`` and ``ax_``. The estimator may be a step of a Pipeline or of a
search. Most displays draw PCA too.
"""

# %%
import matplotlib
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
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
# Did training converge, and which epoch is the best? Each term of the loss has a colour. A
# variational autoencoder has two: the error, and the divergence of its codes from the
# prior.
vae = VAETransformer(2, max_epochs=40, random_state=0).fit(X_fit)
save(LossCurveDisplay.from_estimator(vae), "loss")

# %%
# Which digits have similar codes? PCA is on the left.
figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for reducer, ax in zip([PCA(2).fit(X_fit), vae], axes, strict=True):
    display = CodeDisplay.from_estimator(reducer, X_test, y_test, ax=ax)
axes[0].get_legend().remove()
save(display, "codes")

# %%
# Which digit does each code stand for? The codes are a grid, at quantiles of the prior.
save(TraversalDisplay.from_estimator(vae, image_shape=(8, 8)), "plane")

# %%
# How well are images reconstructed from noisy ones, by a denoiser and by PCA?
noisy = X_test + np.random.default_rng(0).normal(0, 4, X_test.shape)
denoiser = DenoisingAutoencoder(
    noise_level=4, scaling=None, max_epochs=15, random_state=0
).fit(X_fit)
display = ReconstructionDisplay.from_estimator(
    denoiser, X_test, damaged=noisy, baseline=PCA(16).fit(X_fit), image_shape=(8, 8)
)
save(display, "images")

# %%
# Which features of a table are reconstructed well? An error of 1 is that of the mean.
cancer = load_breast_cancer(as_frame=True)
means = cancer.data.iloc[:, :10]
ours = make_pipeline(
    StandardScaler(), AutoencoderTransformer(2, max_epochs=40, random_state=0)
)
pca = make_pipeline(StandardScaler(), PCA(2))
display = ReconstructionDisplay.from_estimator(
    ours.fit(means), means, baseline=pca.fit(means)
)
save(display, "features")

# %%
# What does a component of a table's code mean?
save(TraversalDisplay.from_estimator(ours, means), "components")

# %%
# Where is the threshold of a detector, and which columns make rows outliers? 20 malignant
# tumours are among the rows. The detector gets no labels.
kinds = cancer.target.map({0: "malignant", 1: "benign"})
kept = [*kinds.index[kinds == "benign"], *kinds.index[kinds == "malignant"][:20]]
tumours = cancer.data.loc[kept]
detector = AutoencoderOutlierDetector(random_state=0).fit(tumours)
save(OutlierScoreDisplay.from_estimator(detector, tumours, kinds[kept]), "outliers")

# %%
# How many bytes does a row need? With codes of eight components the error is less than
# PCA's for up to four bytes. With more bytes PCA uses more components.
inner = AutoencoderTransformer(8, max_epochs=30, random_state=0)
compressor = AutoencoderCompressor(inner, bytes_per_row=3, random_state=0).fit(X_fit)
save(RateDistortionDisplay.from_estimator(compressor, X_test), "rate")

# %%
# Report on the detector on one page. A notebook shows the page, and
# ``.save("report.html")`` writes it to a file.
print(f"{'report':22} one page, shown below")
report(detector, tumours, kinds[kept])
