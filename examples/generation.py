"""
Generation: new digits, beside those of a Gaussian mixture
==========================================================

Draw new handwritten digits by a variational autoencoder, also digits like given ones.
Compute how probable a row is. Then draw rows of a table with given cells.
"""

# %%
# The data: 8 x 8 pixels. ``turned`` has the held-out digits, rotated by 90 degrees.
import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from sk_autoencoder import VAETransformer

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
turned = np.rot90(X_test.reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64)

# %%
# Fit both models. ``sample`` draws rows, and with ``like`` rows that are like given ones.
vae = VAETransformer(random_state=0).fit(X_train)
mixture = GaussianMixture(10, random_state=0, reg_covar=0.1).fit(X_train)
eights = vae.sample(64, random_state=0, like=X_train[y_train == 8])
print(
    f"R² of the reconstruction {vae.score(X_test):.2f}, "
    f"{vae.active_components_.sum()} of {vae.n_components_} components in use"
)

# %%
# Compute how probable rows are: a lower bound on the log-likelihood of all 64 pixels, in
# nats.
usual, unusual = vae.score_samples(X_test), vae.score_samples(turned)
print(
    f"Mean log-likelihood: held-out {usual.mean():.0f}, rotated {unusual.mean():.0f} nats"
)


def tiles(rows):
    """Put 64 images into one, with a margin around each."""
    images = np.pad(rows[:64].reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    return images.reshape(8, 8, 10, 10).swapaxes(1, 2).reshape(80, 80)


shown = {
    "held-out digits": X_test,
    "Gaussian mixture": np.random.default_rng(0).permutation(mixture.sample(200)[0]),
    "VAETransformer": vae.sample(64, random_state=0),
    "VAETransformer, like eights": eights,
}
names = list(shown)
figure, axes = plt.subplot_mosaic(
    [[*names[:2], "nats"], [*names[2:], "nats"]], figsize=(10, 6.6), layout="constrained"
)
for title, rows in shown.items():
    axes[title].imshow(tiles(rows), cmap="gray_r", vmin=0, vmax=16)
    axes[title].set(title=title, xticks=[], yticks=[])
bins = np.linspace(np.percentile(unusual, 5), usual.max(), 50)
axes["nats"].hist(usual, bins, alpha=0.6, label="held-out digits")
axes["nats"].hist(unusual, bins, alpha=0.6, label="rotated by 90°")
axes["nats"].set(title="log-likelihood", xlabel="nats", yticks=[])
axes["nats"].legend(loc="upper left")
figure.savefig("generation.png", dpi=150)
print("\nPicture: generation.png")

# %%
# Draw rows of a table with given cells. Here one class is rare, and a classifier would
# ignore it. Draw rows of this class until both classes are equally frequent.
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_autoencoder import SampleReportDisplay

data = load_breast_cancer(as_frame=True)
table = data.frame
rare = np.flatnonzero(table["target"] == 0)[30:]  # 30 rows of the class are left
train, held_out = train_test_split(table.drop(index=rare), test_size=0.3, random_state=0)
held_out = np.vstack([held_out, table.loc[rare]])
model = VAETransformer(random_state=0).fit(train)
n_drawn = int((train["target"] == 1).sum() - (train["target"] == 0).sum())
drawn = model.sample(n_drawn, random_state=0, given={"target": 0})
for name, rows in (
    ("as it is", train.to_numpy()),
    ("balanced", np.vstack([train, drawn])),
):
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    classifier.fit(rows[:, :-1], rows[:, -1])
    score = balanced_accuracy_score(held_out[:, -1], classifier.predict(held_out[:, :-1]))
    print(f"Balanced accuracy, trained on the table {name}: {score:.3f}")

# %%
# How real are drawn rows? The picture has each measure beside that of real rows.
half = len(table) // 2
shuffled = table.sample(frac=1, random_state=0)
fitted, new = shuffled[:half], shuffled[half:]
model = VAETransformer(random_state=0).fit(fitted)
display = SampleReportDisplay.from_estimator(
    model, fitted, new, target="target", random_state=0
)
display.figure_.savefig("sample_report.png", dpi=150, bbox_inches="tight")
