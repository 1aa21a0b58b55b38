"""
Outliers: a threshold without a known share, and why a row is one
=================================================================

Breast tumours: the rows are 357 benign ones and 20 malignant ones that nobody marked. The
detector replaces ``IsolationForest()`` in a line; it ranks better, flags by itself, and
says which measurements make a row unusual.
"""

# %%
# The data: 30 measurements a tumour, with malignant ones as rare outliers.
import matplotlib
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

from sk_autoencoder import AutoencoderOutlierDetector, OutlierScoreDisplay

matplotlib.use("Agg")

data = load_breast_cancer(as_frame=True)
benign = data.data[data.target == 1]
malignant = data.data[data.target == 0].sample(20, random_state=0)
X = data.data.loc[[*benign.index, *malignant.index]]
is_outlier = data.target[X.index] == 0

# %%
# Both detectors, with default parameters and no label.
detectors = [IsolationForest(random_state=0), AutoencoderOutlierDetector(random_state=0)]
print(f"{'':26}  AUROC  average precision  flagged")
for detector in detectors:
    scores = detector.fit(X).score_samples(X)
    auc = roc_auc_score(is_outlier, -scores)
    precision = average_precision_score(is_outlier, -scores)
    share = (detector.predict(X) == -1).mean()
    name = type(detector).__name__
    print(f"{name:26}  {auc:5.3f}  {precision:17.3f}  {share:7.1%}")

# %%
# Why is a row an outlier? Shares of the measurements sum to minus its score. Of the flagged
# rows, take the one that a single measurement gives away most.
shares = detector.explain(X)
flagged = shares[detector.predict(X) == -1]
row = (flagged.max(axis=1) / flagged.sum(axis=1)).idxmax()
largest = shares.loc[row].sort_values(ascending=False).head(8)
print(f"\nRow {row} is {shares.loc[row].sum():.1f} times as unusual as the median row, by")
print(largest.round(2).to_string())

# %%
# Training rows that are known to be regular say more: fit to most of the benign tumours,
# and ask for p-values of the others and of all malignant ones.
regular, rest = benign[:250], benign[250:]
every_malignant = data.data[data.target == 0]
novelty = AutoencoderOutlierDetector(novelty=True, random_state=0).fit(regular)
for name, rows in (("benign", rest), ("malignant", every_malignant)):
    share = (novelty.p_values(rows) <= 0.05).mean()
    print(f"p <= 0.05: {share:5.1%} of {len(rows)} new {name} tumours")

# %%
# The picture: scores with the threshold, and the largest shares of the most unusual rows.
kinds = is_outlier.map({False: "benign", True: "malignant"})
display = OutlierScoreDisplay.from_estimator(detector, X, kinds)
display.figure_.savefig("outliers.png", dpi=150)
print("\nPicture: outliers.png")
