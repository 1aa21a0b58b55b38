"""
Tables as they are: categories, dates and missing cells
=======================================================

Fit three estimators to a frame of employees, with categories, numbers, dates, booleans and
missing cells. The frame needs no preparation. Reconstructed and imputed rows are frames
too. The transformer reconstructs more roles than PCA of zeros and ones. The imputer gives
probabilities of missing roles. The detector shows which cells of a row do not fit the
others.
"""

# %%
# The data: each department has roles of its own. Pay depends on the role and on years of
# service. The city is random.
import matplotlib
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sk_autoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
)
from sk_autoencoder.preprocessing import TableEncoder

matplotlib.use("Agg")
from matplotlib import pyplot as plt

ROLES = {
    "care": ["nurse", "midwife", "porter"],
    "kitchen": ["cook", "baker"],
    "office": ["clerk", "accountant", "lawyer", "buyer"],
    "works": ["smith", "painter", "gardener"],
}
rng = np.random.default_rng(0)
n = 1_500
department = rng.choice(list(ROLES), n, p=[0.4, 0.2, 0.3, 0.1])
role = np.array([rng.choice(ROLES[name]) for name in department])
ranks = [name for roles in ROLES.values() for name in roles]
rank = pd.Series(role).map({name: i for i, name in enumerate(ranks)})
years = rng.gamma(2, 4, n)
people = pd.DataFrame(
    {
        "department": pd.Categorical(department),
        "role": role,
        "pay": (1_500 + 180 * rank + 60 * years + rng.normal(0, 60, n)).round(),
        "hired": pd.Timestamp("2026-11-01")
        - pd.to_timedelta((365 * years).astype(int), unit="D"),
        "shifts": np.where(department == "care", rng.integers(5, 9, n), 0),
        "at_night": (department == "care") & (rng.random(n) < 0.6),
        "city": rng.choice(["Ghent", "Ulm", "Turin"], n),
    }
)
people = people.mask(rng.random(people.shape) < 0.05)  # missing cells
fit, new = train_test_split(people, test_size=0.3, random_state=0)
print(new.head(3).to_string())

# %%
# Reduce rows to two components, also by PCA of the columns as zeros, ones and numbers.
pca = make_pipeline(TableEncoder(fill_missing=True), PCA(2)).fit(fit)
autoencoder = AutoencoderTransformer(2, random_state=0).fit(fit)
rebuilt = {
    "PCA": pca.inverse_transform(pca.transform(new)),
    "AutoencoderTransformer": autoencoder.reconstruct(new),
}
right = {}
for name, table in rebuilt.items():
    known = new[["department", "role"]].notna().all(axis="columns").to_numpy()
    cells = [table[c].to_numpy(object) == new[c].to_numpy(object) for c in new.columns[:2]]
    right[name] = [cell[known].mean() for cell in cells]
    print(
        f"{name}: right departments {right[name][0]:.2f}, right roles {right[name][1]:.2f}"
    )

# %%
# Impute missing cells, and predict the probabilities of missing roles.
imputer = AutoencoderImputer(random_state=0).fit(fit)
filled = imputer.transform(new)
probabilities = pd.DataFrame(
    imputer.predict_proba(new)["role"],
    columns=imputer.table_.categories_[1],
    index=new.index,
)
holed = new.index[new["role"].isna()][:3]
print("\nRoles that are missing:")
print(probabilities.loc[holed].round(2).to_string())

# %%
# Score a row whose cells do not fit each other. ``explain`` gives the share of each column
# in the score.
detector = AutoencoderOutlierDetector(random_state=0).fit(fit)
odd = new.head(1).assign(department="kitchen", role="lawyer", at_night=True, shifts=8)
why = detector.explain(odd).iloc[0]
print(
    f"\nA lawyer in the kitchen: {detector.predict(odd)[0]}, score {why.sum():.1f}, of it"
)
print(why.sort_values(ascending=False).round(2).head(4).to_string())

# %%
# Draw the codes of both, and the shares of the columns.
figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
planes = {"PCA": pca, "AutoencoderTransformer": autoencoder}
for ax, (name, method) in zip(axes, planes.items(), strict=False):
    codes = np.asarray(method.transform(new))
    for label in ROLES:
        rows = (new["department"] == label).to_numpy()
        ax.plot(*codes[rows].T, ".", label=label)
    ax.set(title=f"{name}\nright roles: {right[name][1]:.0%}", xticks=[], yticks=[])
axes[0].legend()
why.sort_values().plot.barh(ax=axes[2], color="C3")
axes[2].set(title="a lawyer in the kitchen", xlabel="share of the anomaly score")
figure.savefig("tables.png", dpi=100)
