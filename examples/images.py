"""
Images: convolutional autoencoders
==================================

Remove noise from images of handwritten digits, and reduce them to codes, by networks of
convolutions. Convolutions use which pixels are neighbours. The first part corresponds to
scikit-learn's example "Image denoising using kernel PCA".
"""

# %%
# The data: 1,400 digits of 8 x 8 pixels to fit to, the others with noise of 0.25, where
# white is 1. Rows are flattened images.
import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, KernelPCA

from sk_autoencoder import ConvolutionalAutoencoder, DenoisingAutoencoder
from sk_autoencoder.nn import Convolutional

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X = load_digits().data[np.random.default_rng(0).permutation(1797)] / 16
X_fit, clean = X[:1400], X[1400:]
noisy = clean + np.random.default_rng(1).normal(0, 0.25, clean.shape)

# %%
# Make any autoencoder convolutional by its ``network``. All denoisers are fitted to clean
# digits.
pca = PCA(20).fit(X_fit)
kernel_pca = KernelPCA(
    64, kernel="rbf", gamma=0.2, fit_inverse_transform=True, alpha=5e-3
).fit(X_fit)
options = {"scaling": None, "noise_level": 0.25, "random_state": 0}
dense = DenoisingAutoencoder(max_epochs=50, **options).fit(X_fit)
convolutional = DenoisingAutoencoder(
    network=Convolutional(image_shape=(8, 8), channels=(64, 64), patch_size=1),
    early_stopping=False,
    max_epochs=12,
    lr=4e-3,
    batch_size=32,
    **options,
).fit(X_fit)
pictures = {
    "clean": clean,
    "noisy": noisy,
    "PCA": pca.inverse_transform(pca.transform(noisy)),
    "KernelPCA": kernel_pca.inverse_transform(kernel_pca.transform(noisy)),
    "dense": dense.denoise(noisy),
    "convolutional": convolutional.denoise(noisy),
}
for name, rows in pictures.items():
    print(f"{name:13} mean squared error {np.mean((rows - clean) ** 2):.4f}")

# %%
# Reduce each digit to eight numbers, and reconstruct it.
codes = {
    "PCA, 8 components": PCA(8),
    "convolutional, 8 components": ConvolutionalAutoencoder(
        8, image_shape=(8, 8), random_state=0
    ),
}
print("\nMean squared error of reconstructions from 8 components")
for name, model in codes.items():
    found = model.fit(X_fit).transform(clean)
    pictures[name] = model.inverse_transform(found)
    print(f"{name:27} {np.mean((pictures[name] - clean) ** 2):.4f}")

# %%
# Draw ten digits for each method.
figure, axes = plt.subplots(len(pictures), 10, figsize=(8, 6.6), layout="constrained")
for line, (name, rows) in zip(axes, pictures.items(), strict=True):
    for ax, row in zip(line, rows, strict=False):
        ax.imshow(row.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name.replace(", ", "\n"), rotation=0, ha="right", va="center")
figure.savefig("images.png", dpi=150)
print("\nPicture: images.png")
