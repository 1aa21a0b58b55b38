"""
Rows as few bytes: a budget, a bound on the error, a picture
============================================================

Compress images of handwritten digits. Set the mean number of bytes a row. The fit of
``AutoencoderCompressor`` chooses the number of components and how codes are rounded. Only
the fitted compressor reads the bytes.
"""

# %%
# The data: 1,500 images of 11 x 11 pixels, from 0 to 16, each with a digit at a random
# place.
import zlib

import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sk_autoencoder import AutoencoderCompressor, RateDistortionDisplay

matplotlib.use("Agg")
from matplotlib import pyplot as plt

rng = np.random.default_rng(0)
images = np.zeros((1_500, 11, 11), np.uint8)
for image, digit in zip(images, rng.choice(load_digits().images, 1_500), strict=True):
    i, j = rng.integers(4, size=2)
    image[i : i + 8, j : j + 8] = digit
X = images.reshape(-1, 121)
fit, new = X[:1_200], X[1_200:]

# %%
# Compress to six bytes a row, in the mean.
compressor = AutoencoderCompressor(bytes_per_row=6, random_state=0).fit(fit)
blob = compressor.compress(new)
rows = compressor.decompress(blob)
print(f"as they are        {new.nbytes / len(new):6.1f} bytes a row")
print(f"zlib               {len(zlib.compress(new.tobytes(), 9)) / len(new):6.1f}")
print(f"compressed         {len(blob) / len(new):6.1f}  R² {compressor.score(new):.3f}")

# %%
# Compare with other numbers of bytes, and with PCA, whose scores are rounded and coded by
# the same functions.
report = compressor.report(new)
print("\nbytes a row    R²  PSNR    PCA: bytes a row    R²")
names = ("bytes_per_row", "r2", "psnr", "pca_bytes_per_row", "pca_r2")
for size, r2, psnr, pca_size, pca_r2 in zip(*(report[n] for n in names), strict=True):
    print(f"{size:11.1f} {r2:5.2f} {psnr:5.1f} {pca_size:19.1f} {pca_r2:5.2f}")

# %%
# Bound the error of each pixel by ``max_error``. Residuals are then written beside the
# codes. The codes may come from any autoencoder, or from PCA.
bounded = AutoencoderCompressor(PCA(30), bytes_per_row=10, max_error=3, random_state=0)
blob = bounded.fit(fit).compress(new)
error = np.abs(bounded.decompress(blob).astype(int) - new).max()
print(f"\n{len(blob) / len(new):.1f} bytes a row, and no pixel is off by more than {error}")

# %%
# Draw R² against bytes, and digits above their reconstructions.
figure = plt.figure(figsize=(11, 4), layout="constrained")
left, right = figure.subfigures(1, 2)
RateDistortionDisplay.from_estimator(compressor, new, ax=left.subplots())
for k, axes in enumerate(right.subplots(2, 8).T):
    for each, image in zip(axes, (new[k], rows[k]), strict=True):
        each.imshow(image.reshape(11, 11), cmap="gray_r", vmin=0, vmax=16)
        each.axis("off")
right.suptitle("above: images; below: from 6 bytes each", fontsize="medium")
figure.savefig("compression.png", dpi=100)
