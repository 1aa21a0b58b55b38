"""
Sparse codes: a dictionary of image patches, and atoms where they are needed
============================================================================

Describe patches of two photographs by five of 100 atoms, in the mean. Put
``SparseAutoencoder()`` in place of ``MiniBatchDictionaryLearning()``. It takes more atoms
for patches with much detail, and fewer for plain ones.
"""

# %%
# The data: grey patches of 8 x 8 pixels, less their means, without constant ones. Half of
# them are held out.
import matplotlib
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.model_selection import train_test_split

from sk_autoencoder import SparseAutoencoder

matplotlib.use("Agg")
from matplotlib import pyplot as plt

images = [image.mean(axis=2) / 255 for image in load_sample_images().images]
patches = [
    extract_patches_2d(image, (8, 8), max_patches=2000, random_state=0) for image in images
]
X = np.concatenate(patches).reshape(-1, 64)
X -= X.mean(axis=1, keepdims=True)
X = X[X.std(axis=1) > 0]
X, X_new = train_test_split(X, test_size=0.5, random_state=0)

# %%
# Fit both with 100 atoms. Each patch has five of them, or five in the mean.
rival = MiniBatchDictionaryLearning(
    100, alpha=0.2, transform_algorithm="omp", transform_n_nonzero_coefs=5, random_state=0
)
autoencoder = SparseAutoencoder(100, n_active=5, sparse_output=True, random_state=0)
theirs = rival.fit(X).transform(X_new)
codes = autoencoder.fit(X).transform(X_new)
n_atoms = np.diff(codes.indptr)  # of each patch: the codes are a CSR matrix


def r2(rows):
    """Compute the share of the variance of the new patches that `rows` explain."""
    return 1 - ((rows - X_new) ** 2).sum() / ((X_new - X_new.mean(axis=0)) ** 2).sum()


print(f"{'':27}  atoms a patch     R²")
print(
    f"{'MiniBatchDictionaryLearning':27}  {5:13.1f}  {r2(theirs @ rival.components_):5.3f}"
)
score = r2(autoencoder.inverse_transform(codes))
print(f"{'SparseAutoencoder':27}  {n_atoms.mean():13.1f}  {score:5.3f}")

# %%
# Draw the atoms, those of most patches first, and the number of atoms of each patch.
used = np.asarray((codes != 0).sum(axis=0)).ravel()
atoms = autoencoder.components_[np.argsort(-used)].reshape(10, 10, 8, 8)
wall = np.pad(atoms, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-0.4)
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
left.imshow(wall.transpose(0, 2, 1, 3).reshape(100, 100), cmap="gray", vmin=-0.4, vmax=0.4)
left.set(title="Atoms", xticks=[], yticks=[])
contrast = X_new.std(axis=1)
right.plot(
    contrast,
    n_atoms + np.random.default_rng(0).uniform(-0.4, 0.4, len(X_new)),
    ".",
    alpha=0.3,
)
right.axhline(5, color="black", linestyle="--", label="MiniBatchDictionaryLearning")
right.legend()
right.set(xlabel="contrast of a patch", ylabel="atoms of a patch")
figure.savefig("sparse_codes.png", dpi=150)
print("\nPicture: sparse_codes.png")
