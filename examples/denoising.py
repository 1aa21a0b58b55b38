"""
Denoising: digits in noise, and a distortion learned from pairs
===============================================================

Remove Gaussian noise from images of handwritten digits. Put ``DenoisingAutoencoder()`` in
place of the ``KernelPCA`` of scikit-learn's example "Image denoising using kernel PCA".
The second part removes a blur, which is learned from pairs of blurred and sharp digits.
"""

# %%
# The data: 1,400 digits to fit to, the others with noise of 0.25, where white is 1.
import matplotlib
import numpy as np
from scipy.ndimage import uniform_filter
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, KernelPCA

from sk_autoencoder import DenoisingAutoencoder

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X = load_digits().data[np.random.default_rng(0).permutation(1797)] / 16
X_fit, clean = X[:1400], X[1400:]
noisy = clean + np.random.default_rng(1).normal(0, 0.25, clean.shape)


def error(rows):
    """Compute the mean squared error of a pixel."""
    return np.mean((rows - clean) ** 2)


# %%
# Fit three denoisers to clean digits.
pca = PCA(20).fit(X_fit)
kernel_pca = KernelPCA(
    64, kernel="rbf", gamma=0.2, fit_inverse_transform=True, alpha=5e-3
).fit(X_fit)
ours = DenoisingAutoencoder(max_epochs=100, random_state=0).fit(X_fit)
pictures = {
    "clean": clean,
    "noisy": noisy,
    "PCA": pca.inverse_transform(pca.transform(noisy)),
    "KernelPCA": kernel_pca.inverse_transform(kernel_pca.transform(noisy)),
    "ours": ours.denoise(noisy),
}
for name, rows in pictures.items():
    print(f"{name:10} mean squared error {error(rows):.4f}")

# %%
# Give pairs of rows, damaged and clean, if no parameter describes the damage.


def blur(rows):
    """Replace each pixel by the mean of 3 x 3 pixels, and add a little noise."""
    images = uniform_filter(rows.reshape(-1, 8, 8), size=(1, 3, 3), mode="constant")
    noise = np.random.default_rng(2).normal(0, 0.02, images.shape)
    return (images + noise).reshape(rows.shape)


pairs = DenoisingAutoencoder(paired=True, max_epochs=60, random_state=0)
pairs.fit(blur(X_fit), X_fit)
pictures |= {"blurred": blur(clean), "sharpened": pairs.denoise(blur(clean))}
print(f"\nblurred    mean squared error {error(pictures['blurred']):.4f}")
print(f"sharpened  mean squared error {error(pictures['sharpened']):.4f}")

# %%
# Draw the digits, one row for each method.
figure, axes = plt.subplots(len(pictures), 12, figsize=(8, 5.2))
for row, (name, images) in zip(axes, pictures.items(), strict=True):
    row[0].set_title(f"{name}: {error(images):.4f}", loc="left", fontsize=9)
    for axis, image in zip(row, images, strict=False):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.axis("off")
figure.tight_layout(pad=0.4)
figure.savefig("denoising.png", dpi=150)
print("\nPicture: denoising.png")
