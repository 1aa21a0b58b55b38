"""
Components in order
===================

Put the components of an autoencoder in order by ``ordered=True``. PCA has this order: the
first two of its ten components are those of a fit with two. One fit then gives codes of any
number of components, and the share of the variance that each component explains.
"""

# %%
# One fit for any number of components
# ------------------------------------
# The data: 64 pixels of handwritten digits. A third of them is held out.

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
# Compare the explained shares of the variance. Those of the autoencoder are measured on
# validation rows.

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
# Reconstruct digits from the first columns of their codes. ``AutoencoderTransformer(0.7,
# ordered=True)`` chooses as many components as explain this share of the variance.

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
print("\nPicture: ordered.png")
