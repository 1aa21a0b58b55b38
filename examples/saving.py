"""
Keeping a model: one file, without pickle
=========================================

A pipeline is fitted, saved and loaded. The file holds the weights under their names, which
any program that knows safetensors can read, and says in JSON what belongs around them.
Loading it runs no code that the file names; networks of your own have to be trusted.
"""

# %%
# A pipeline with an autoencoder of 16 components, fitted to handwritten digits.
import pickle
from pathlib import Path
from tempfile import mkdtemp

import matplotlib
import numpy as np
from safetensors.numpy import load_file
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sk_autoencoder
from sk_autoencoder import AutoencoderTransformer
from sk_autoencoder.nn import Network

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X, y = load_digits(return_X_y=True)
autoencoder = AutoencoderTransformer(16, max_epochs=30, random_state=0)
model = make_pipeline(autoencoder, LogisticRegression(max_iter=1000)).fit(
    X[:1400], y[:1400]
)

# %%
# Saved and loaded, it says the same; the file is hardly larger than the weights.
path = Path(mkdtemp()) / "digits.safetensors"
sk_autoencoder.save(model, path)
loaded = sk_autoencoder.load(path)
same = (loaded.predict_proba(X) == model.predict_proba(X)).all()
weights = sum(4 * p.numel() for p in model[0].network_.parameters())
print(f"The same probabilities: {same}")
print(f"weights {weights:7,} bytes")
print(f"file    {path.stat().st_size:7,} bytes")
print(f"pickle  {len(pickle.dumps(model)):7,} bytes")

# %%
# A network of one's own is code, which the file only names: whoever loads it says so.


class Linear(Network):
    def __init__(self, n_features, n_components):
        import torch

        super().__init__()
        self.encode = torch.nn.Linear(n_features, n_components)
        self.decode = torch.nn.Linear(n_components, n_features)


own = AutoencoderTransformer(4, network=Linear, max_epochs=5, random_state=0).fit(X)
own.save(path.with_name("own.safetensors"))
try:
    sk_autoencoder.load(path.with_name("own.safetensors"))
except ValueError as error:
    print(f"\n{error}")
again = sk_autoencoder.load(path.with_name("own.safetensors"), trusted=[Linear])
print(f"Trusted, it loads: {(again.transform(X) == own.transform(X)).all()}")

# %%
# The picture: the linear part of the decoder, read from the file without this library.
arrays = load_file(path)
name = next(name for name in arrays if name.endswith("linear.decode_weight"))
print(f"\n{len(arrays)} arrays, among them {name}")
figure, axes = plt.subplots(2, 8, figsize=(9, 2.6), layout="constrained")
for image, ax in zip(arrays[name].T, axes.flat, strict=True):
    limit = np.abs(image).max()
    ax.imshow(image.reshape(8, 8), cmap="RdBu", vmin=-limit, vmax=limit)
    ax.axis("off")
figure.suptitle(f"Columns of {name.split('module.')[1]}")
figure.savefig("saving.png", dpi=150)
print("Picture: saving.png")
