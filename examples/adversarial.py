"""
Adversarial autoencoder: codes with the distribution of a prior, and new digits
===============================================================================

Reduce handwritten digits to codes of two components. A second network, the critic, learns
to distinguish codes from draws of a prior. The encoder learns to make that impossible. The
prior is a normal distribution, or ten normal distributions on a circle. If codes of new
digits have the distribution of the prior, decoded draws of the prior look like digits.
"""

# %%
# The data: 8 x 8 pixels.
import matplotlib
import numpy as np
from scipy.stats import ks_2samp
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sk_autoencoder import AdversarialAutoencoder
from sk_autoencoder.nn._adversarial import PRIORS

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X, y = load_digits(return_X_y=True)
X_train, X_test, _, y_test = train_test_split(X, y, test_size=0.3, random_state=0)

# %%
# Fit one autoencoder for each prior. ``code_density="prior"`` draws new rows by the prior
# itself. The Kolmogorov-Smirnov distance compares the distribution of each component with
# that of the prior; 0 is ideal.
figure, axes = plt.subplots(2, 3, figsize=(12, 8), layout="constrained")
for row, prior in zip(axes, ["normal", "mixture"], strict=True):
    autoencoder = AdversarialAutoencoder(
        2,
        prior=prior,
        code_density="prior",
        output_noise=False,
        max_epochs=40,
        random_state=0,
    )
    codes = autoencoder.fit(X_train).transform(X_test)
    drawn = PRIORS[prior](20_000, 2).numpy()
    pairs = zip(codes.T, drawn.T, strict=True)
    apart = [ks_2samp(code, draw).statistic for code, draw in pairs]
    r2 = autoencoder.score(X_test)
    print(f"{prior:8}  R² {r2:.3f}  Kolmogorov-Smirnov distance {sum(apart) / 2:.3f}")

    row[0].scatter(*drawn[: len(codes)].T, s=6, color="grey")
    row[0].set_title(f"prior: {prior}")
    row[1].scatter(*codes.T, s=6, c=y_test, cmap="tab10")
    row[1].set_title("held-out codes, by digit")
    samples = autoencoder.sample(60, random_state=0).reshape(6, 10, 8, 8)
    samples = np.pad(samples, ((0, 0), (0, 0), (1, 1), (1, 1)))
    row[2].imshow(samples.swapaxes(1, 2).reshape(60, 100), cmap="gray_r", vmin=0, vmax=16)
    row[2].set_title("decoded draws")
    for ax in row[:2]:
        ax.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
    row[2].set(xticks=[], yticks=[])
figure.savefig("adversarial.png", dpi=150)
print("\nPicture: adversarial.png")
