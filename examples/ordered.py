"""
Components in order
===================

PCA's components are in order: the first two of ten are those of a PCA to two. With
``ordered=True`` those of an autoencoder are too. One fit serves every width, its shares of
the variance can be read, and each width keeps more of digits than PCA does.
"""

# %%
# One fit, every width
# --------------------
# The digits are flattened to 64 columns. A third of them is kept for the end.

import matplotlib
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from sk_autoencoder import AutoencoderTransformer, ScreeDisplay

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X_fit, X_new = train_test_split(load_digits().data, test_size=1 / 3, random_state=0)
ordered = AutoencoderTransformer(16, ordered=True, random_state=0).fit(X_fit)
pca = PCA(16).fit(X_fit)

# %%
# ``explained_variance_ratio_`` is measured on rows that were held out.

display = ScreeDisplay.from_estimator(ordered)
ScreeDisplay.from_estimator(pca, ax=display.ax_)
for share in (0.5, 0.6, 0.7):
    counts = [
        int((estimator.explained_variance_ratio_.cumsum() < share).sum()) + 1
        for estimator in (pca, ordered)
    ]
    print(f"components for {share:.0%} of the variance: PCA {counts[0]}, ours {counts[1]}")

# %%
# The first columns of codes
# --------------------------
# ``inverse_transform`` takes the first columns alone. ``AutoencoderTransformer(0.7,
# ordered=True)`` takes as many as explain that share.

codes, axes = ordered.transform(X_new), pca.transform(X_new)
widths = (1, 2, 4, 8, 16)
rows = {
    "autoencoder": [ordered.inverse_transform(codes[:, :k]) for k in widths],
    "PCA": [axes[:, :k] @ pca.components_[:k] + pca.mean_ for k in widths],
}
figure, panels = plt.subplots(2, 6, figsize=(8, 3), layout="constrained")
for line, (name, reconstructions) in zip(panels, rows.items(), strict=True):
    line[0].imshow(X_new[0].reshape(8, 8), cmap="gray_r")
    line[0].set_title("a new digit", fontsize=9)
    for panel, reconstruction, k in zip(line[1:], reconstructions, widths, strict=True):
        panel.imshow(reconstruction[0].reshape(8, 8), cmap="gray_r")
        panel.set_title(f"{name}, {k}", fontsize=9)
for panel in panels.flat:
    panel.set_axis_off()
figure.savefig("ordered.png", dpi=120)
print("-> ordered.png")
