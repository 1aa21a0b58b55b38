"""
Missing values: impute them once, draw them, or do without
==========================================================

Impute missing measurements of breast tumours. Put ``AutoencoderImputer()`` in place of
``IterativeImputer()``. With ``sample_posterior=True`` it draws several tables, whose
differences show how uncertain a cell is. The outlier detector needs no imputer.
"""

# %%
# The data: 30 standardised measurements a tumour. A third of the cells is hidden at random.
import time

import matplotlib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sk_autoencoder import AutoencoderImputer, AutoencoderOutlierDetector

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X, y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X)
hidden = np.random.default_rng(0).random(X.shape) < 1 / 3
holed = np.where(hidden, np.nan, X)
fit, new, _, whole, _, lost, _, y_new = train_test_split(
    holed, X, hidden, y, random_state=0
)

# %%
# Compare four imputers with default parameters on rows that they were not fitted to.
imputers = [
    SimpleImputer(),
    KNNImputer(),
    IterativeImputer(random_state=0),
    AutoencoderImputer(random_state=0),
]
errors = {}
print(f"{'':20}  error (standard deviations)  seconds")
for imputer in imputers:
    start = time.perf_counter()
    found = imputer.fit(fit).transform(new)
    seconds = time.perf_counter() - start
    name = type(imputer).__name__
    errors[name] = np.sqrt(np.mean((found - whole)[lost] ** 2))
    print(f"{name:20}  {errors[name]:27.2f}  {seconds:7.1f}")

# %%
# Draw ten tables from one fit. How to analyse and pool them is in the user guide.
drawing = AutoencoderImputer(sample_posterior=True, random_state=0).fit(fit)
draws = drawing.multiple_impute(new, n_imputations=10, random_state=0)
spread = draws.std(axis=0, ddof=1)

# %%
# Give the detector rows with missing cells.
detector = AutoencoderOutlierDetector(random_state=0).fit(fit)
auc = roc_auc_score(y_new == 0, -detector.score_samples(new))
print(f"\nAUROC of malignant tumours, a third of the cells missing: {auc:.2f}")

# %%
# Draw the errors of the imputers, and the drawn values of 40 cells.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
left.barh(list(errors), list(errors.values()), color=["C7", "C7", "C7", "C0"])
left.invert_yaxis()
left.set(xlabel="error of missing cells (standard deviations)")
rows, columns = np.nonzero(lost)
order = np.argsort(spread[rows, columns])
some = order[np.linspace(0, len(order) - 1, 40).astype(int)]
where = (rows[some], columns[some])
right.plot(draws[:, *where].T, ".", color="C0", alpha=0.4)
right.plot(whole[where], "k_", markersize=9)
right.plot([], [], ".", color="C0", label="ten draws")
right.plot([], [], "k_", label="true value")
right.legend()
right.set(xlabel="missing cells, the most certain first", ylabel="standard deviations")
figure.savefig("imputation.png", dpi=100)
