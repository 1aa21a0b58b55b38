"""
Contractive autoencoder: codes that change little with noise
============================================================

Reduce handwritten digits to two components by the plain autoencoder and by the contractive
one. Then add noise to digits that neither was fitted to, and measure how much their codes
change.
"""

# %%
# The data: 8 x 8 pixels, and twenty noisy copies of the held-out rows.
import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sk_autoencoder import AutoencoderTransformer, ContractiveAutoencoder

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X, y = load_digits(return_X_y=True)
X_train, X_test, _, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
rng = np.random.default_rng(0)
noisy = X_test + 0.3 * X.std() * rng.normal(size=(20, *X_test.shape))

# %%
# Fit both autoencoders with default parameters. Codes are standardised, so that the mean
# squared change of a component is a share of its variance.
autoencoders = [
    AutoencoderTransformer(2, random_state=0),
    ContractiveAutoencoder(2, random_state=0),
]
pictures = {}
for autoencoder in autoencoders:
    codes = autoencoder.fit(X_train).transform(X_test)
    moved = np.stack([autoencoder.transform(each) for each in noisy])
    center, scale = codes.mean(axis=0), codes.std(axis=0)
    codes, moved = (codes - center) / scale, (moved - center) / scale
    name = type(autoencoder).__name__
    pictures[name] = codes, moved
    share = ((moved - codes) ** 2).mean()
    print(f"{name:24}  R² {autoencoder.score(X_test):.3f}  change of codes {share:.4f}")

# %%
# Draw all codes, and those of the noisy copies of one row of each digit.
figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
for ax, (name, (codes, moved)) in zip(axes, pictures.items(), strict=True):
    ax.scatter(*codes.T, s=6, color="lightgrey")
    for row in shown:
        ax.scatter(*moved[:, row].T, s=8, color=plt.cm.tab10(y_test[row]))
        ax.text(*codes[row], str(y_test[row]), fontsize=14)
    ax.set(title=name, xticks=[], yticks=[])
figure.savefig("contractive.png", dpi=150)
print("\nPicture: contractive.png")
