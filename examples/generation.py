"""
Generation: new digits, beside those of a Gaussian mixture
==========================================================

A variational autoencoder learns a density of handwritten digits. It draws new ones, also
ones like given rows, and says how probable a row is.
"""

# %%
# The data: 8 x 8 pixels. A few images are turned by a quarter.
import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from sk_autoencoder import VAETransformer

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
turned = np.rot90(X_test.reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64)

# %%
# Both draw rows by the same method. ``like`` asks for rows like those of one class.
vae = VAETransformer(random_state=0).fit(X_train)
mixture = GaussianMixture(10, random_state=0, reg_covar=0.1).fit(X_train)
eights = vae.sample(64, random_state=0, like=X_train[y_train == 8])
print(
    f"R² of the reconstruction {vae.score(X_test):.2f}, "
    f"{vae.active_components_.sum()} of {vae.n_components_} components in use"
)

# %%
# How probable are rows? The bound is one on the log-likelihood of all 64 pixels, in nats.
usual, unusual = vae.score_samples(X_test), vae.score_samples(turned)
print(f"Mean log-likelihood: held-out {usual.mean():.0f}, turned {unusual.mean():.0f} nats")


def tiles(rows):
    """Return 64 images as one, with a margin around each."""
    images = np.pad(rows[:64].reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    return images.reshape(8, 8, 10, 10).swapaxes(1, 2).reshape(80, 80)


shown = {
    "held-out digits": X_test,
    "Gaussian mixture": np.random.default_rng(0).permutation(mixture.sample(200)[0]),
    "VAETransformer": vae.sample(64, random_state=0),
    "VAETransformer, like eights": eights,
}
figure, axes = plt.subplots(1, 5, figsize=(20, 4.2), layout="constrained")
for ax, (title, rows) in zip(axes, shown.items(), strict=False):
    ax.imshow(tiles(rows), cmap="gray_r", vmin=0, vmax=16)
    ax.set(title=title, xticks=[], yticks=[])
bins = np.linspace(np.percentile(unusual, 5), usual.max(), 50)
axes[4].hist(usual, bins, alpha=0.6, label="held-out digits")
axes[4].hist(unusual, bins, alpha=0.6, label="turned by a quarter")
axes[4].set(title="log-likelihood", xlabel="nats", yticks=[])
axes[4].legend()
figure.savefig("generation.png", dpi=150)
print("\nPicture: generation.png")
