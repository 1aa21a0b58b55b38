"""
Stacked autoencoder: layers trained one after the other, then together
======================================================================

Train a network with three hidden layers on 300 handwritten digits, which are few rows for a
deep network. Each layer is first trained alone, to reconstruct the output of the layer
before it. Then all layers are trained together. The picture shows how well each depth
reconstructs a digit.
"""

# %%
# The data: 300 digits to fit to, and all others.
import matplotlib
import numpy as np
from sklearn.datasets import load_digits

from sk_autoencoder import AutoencoderTransformer, StackedAutoencoder

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X = load_digits().data[np.random.default_rng(0).permutation(1797)]
X_fit, X = X[:300], X[300:]

# %%
# Train the same network in three ways: from random weights, layer by layer, and layer by
# layer with all layers together after it.
shape = {"n_components": 10, "hidden_layer_sizes": (128, 64, 32), "max_epochs": 50}
shape["random_state"] = 0
methods = {
    "random start": AutoencoderTransformer(init="random", **shape),
    "layers alone": StackedAutoencoder(fine_tune=False, **shape),
    "stacked": StackedAutoencoder(**shape),
}
print("R² of 1,497 held-out digits")
for name, autoencoder in methods.items():
    print(f"{name:14} {autoencoder.fit(X_fit).score(X):.3f}")

# %%
# ``layers_`` holds the autoencoder of each layer. Encode digits by the first layers, and
# decode them by the same layers.
layers = methods["layers alone"].layers_
pictures, codes = {"digits": X[:12]}, X[:12]
for depth, layer in enumerate(layers, start=1):
    codes = rows = layer.transform(codes)
    for above in reversed(layers[:depth]):
        rows = above.inverse_transform(rows)
    pictures[f"{codes.shape[1]} numbers after {depth} of {len(layers)} layers"] = rows

# %%
# Draw one row for each depth, and one for all layers trained together.
pictures["10 numbers, fine-tuned as a whole"] = methods["stacked"].reconstruct(X[:12])
figure, axes = plt.subplots(len(pictures), 12, figsize=(8, 4.6))
for row, (name, images) in zip(axes, pictures.items(), strict=True):
    row[0].set_title(name, loc="left", fontsize=9)
    for axis, image in zip(row, images, strict=True):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        axis.axis("off")
figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.93, hspace=0.5)
figure.savefig("stacked.png", dpi=150)
print("\nPicture: stacked.png")
