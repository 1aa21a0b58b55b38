"""
Saving a model: one file, without pickle
========================================

Fit a Pipeline, save it and load it. The file holds arrays and JSON. ``load`` imports only
trusted classes. Name the class of your own network to trust it.
"""

# %%
# A pipeline with an autoencoder of 16 components, fitted to handwritten digits.
import pickle
from pathlib import Path
from tempfile import mkdtemp

import matplotlib
import numpy as np
import torch
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
# Save and load it. The probabilities are the same, bit for bit.
path = Path(mkdtemp()) / "digits.skops"
sk_autoencoder.save(model, path)
loaded = sk_autoencoder.load(path)
same = (loaded.predict_proba(X) == model.predict_proba(X)).all()
weights = sum(4 * p.numel() for p in model[0].network_.parameters())
print(f"The same probabilities: {same}")
print(f"weights {weights:7,} bytes")
print(f"file    {path.stat().st_size:7,} bytes")
print(f"pickle  {len(pickle.dumps(model)):7,} bytes")

# %%
# Trust a network of your own. The file holds its name, not its code.


class Linear(Network):
    def __init__(self, n_features, n_components):
        super().__init__()
        self.encode = torch.nn.Linear(n_features, n_components)
        self.decode = torch.nn.Linear(n_components, n_features)


custom = AutoencoderTransformer(4, network=Linear, max_epochs=5, random_state=0).fit(X)
custom.save(path.with_name("custom.skops"))
try:
    sk_autoencoder.load(path.with_name("custom.skops"))
except ValueError as error:
    print(f"\n{error}")
again = sk_autoencoder.load(path.with_name("custom.skops"), trusted=[Linear])
print(f"Trusted, it loads: {(again.transform(X) == custom.transform(X)).all()}")

# %%
# Save the weights for other programs, and draw those of the linear part of the decoder.
torch.save(model[0].network_.state_dict(), path.with_name("weights.pt"))
arrays = torch.load(path.with_name("weights.pt"))
name = next(name for name in arrays if name.endswith("linear.decode_weight"))
print(f"\n{len(arrays)} arrays, among them {name}")
figure, axes = plt.subplots(2, 8, figsize=(9, 2.6), layout="constrained")
for image, ax in zip(arrays[name].T.numpy(), axes.flat, strict=True):
    limit = np.abs(image).max()
    ax.imshow(image.reshape(8, 8), cmap="RdBu", vmin=-limit, vmax=limit)
    ax.axis("off")
figure.suptitle(f"Columns of {name}")
figure.savefig("saving.png", dpi=150)
print("Picture: saving.png")
