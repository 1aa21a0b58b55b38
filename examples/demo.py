"""
PCA and an autoencoder in the same Pipeline
===========================================

Reduce the 64 pixels of a digit by PCA and by an autoencoder, for the same classifier, and
tune each by the same grid search. Then reduce to two components and draw the codes.
"""

# %%
import time

import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from sk_autoencoder import AutoencoderTransformer, CodeDisplay, ReconstructionDisplay
from sk_autoencoder.metrics import reconstruction_r2_scorer

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X, y = load_digits(return_X_y=True)
X_fit, X_test, y_fit, y_test = train_test_split(X, y, random_state=0, stratify=y)
pca, autoencoder = PCA(random_state=0), AutoencoderTransformer(random_state=0)


# %%
# Only the step ``reduce`` differs. A search fits it four times to half of the training
# rows, and then once to all of them. The seconds are those of the last fit.
def search(reduce) -> GridSearchCV:
    """Tune the reducer for the classifier behind it."""
    pipeline = Pipeline([("reduce", reduce), ("classify", KNeighborsClassifier(5))])
    grid = {"reduce__n_components": [4, 8]}
    return GridSearchCV(pipeline, grid, cv=2).fit(X_fit, y_fit)


def r2(reduce) -> float:
    """Compute the R² of reconstructed test rows, by PCA or by the autoencoder."""
    return reconstruction_r2_scorer(reduce, X_test)


def say(text: str) -> None:
    """Print what comes next, before it is computed."""
    print(text, flush=True)


def row(name: str, r2: float, accuracy: float, seconds: float) -> None:
    """Print one row of a table."""
    say(f"{name:38}{r2:12.2f}{accuracy:12.2f}{seconds:12.3f}")


header = f"{'':38}{'R²':>12}{'accuracy':>12}{'s a fit':>12}"
say(f"{len(X_fit)} digits of 64 pixels to fit to, and {len(X_test)} to test with.")
say("Searching 4 or 8 components for 5 nearest neighbours: 5 fits of each reducer.")
say(header)
found = {}
for reduce in (pca, autoencoder):
    grid = search(reduce)
    found[type(reduce).__name__] = best = grid.best_estimator_["reduce"]
    name = f"{type(reduce).__name__}({best.n_components})"
    row(name, r2(best), grid.score(X_test, y_test), grid.refit_time_)

# %%
# Reduce to two components, and fit a linear classifier to them.
say("\nReducing to 2 components for a logistic regression: one fit of each reducer.")
say(header)
flat = {}
for reduce in (pca, autoencoder):
    start = time.perf_counter()
    flat[type(reduce).__name__] = fitted = reduce.set_params(n_components=2).fit(X_fit)
    seconds = time.perf_counter() - start
    classifier = LogisticRegression(max_iter=1000).fit(fitted.transform(X_fit), y_fit)
    accuracy = classifier.score(fitted.transform(X_test), y_test)
    row(f"{type(reduce).__name__}(2)", r2(fitted), accuracy, seconds)

# %%
# Draw digits above both reconstructions, and the codes of two components.
figure = plt.figure(figsize=(10, 9), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=(3, 5))
shown = X_test[[np.flatnonzero(y_test == digit)[0] for digit in range(10)]]
ReconstructionDisplay.from_estimator(
    found["AutoencoderTransformer"],
    shown,
    baseline=found["PCA"],
    image_shape=(8, 8),
    ax=above.subplots(),
)
for (name, fitted), ax in zip(flat.items(), below.subplots(1, 2), strict=True):
    title = f"{name}: R² {r2(fitted):.2f}"
    CodeDisplay.from_estimator(fitted, X_test, y_test, ax=ax, name=title)
below.axes[0].get_legend().remove()  # the same as that of the other
figure.savefig("demo.png", dpi=100)
say("\ndemo.png has digits beside both reconstructions, and both codes of 2 components.")
