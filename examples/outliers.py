"""
Outliers: scores, a threshold, and the measurements that make a row an outlier
==============================================================================

Find 20 malignant tumours among 357 benign ones, without labels. Put
``AutoencoderOutlierDetector()`` in place of ``IsolationForest()``. Its scores rank the
tumours better. ``explain`` shows which measurements make a row an outlier.
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
# Fit both detectors with default parameters.
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
# Why is a row an outlier? ``explain`` gives each measurement a share. The shares of a row
# sum to minus its score. This is the flagged row in which one measurement has the largest
# part of the sum.
shares = detector.explain(X)
flagged = shares[detector.predict(X) == -1]
row = (flagged.max(axis=1) / flagged.sum(axis=1)).idxmax()
largest = shares.loc[row].sort_values(ascending=False).head(8)
print(f"\nRow {row} is {shares.loc[row].sum():.1f} times as unusual as the median row, by")
print(largest.round(2).to_string())

# %%
# Set ``novelty=True`` if all training rows are regular. Here 250 benign tumours are the
# training rows. Compute p-values of the other benign tumours and of all malignant ones.
regular, rest = benign[:250], benign[250:]
every_malignant = data.data[data.target == 0]
novelty = AutoencoderOutlierDetector(novelty=True, random_state=0).fit(regular)
for name, rows in (("benign", rest), ("malignant", every_malignant)):
    share = (novelty.p_values(rows) <= 0.05).mean()
    print(f"p <= 0.05: {share:5.1%} of {len(rows)} new {name} tumours")

# %%
# Draw the scores with the threshold, and the largest shares of the rows with the lowest
# scores.
kinds = is_outlier.map({False: "benign", True: "malignant"})
display = OutlierScoreDisplay.from_estimator(detector, X, kinds)
display.figure_.savefig("outliers.png", dpi=150)
print("\nPicture: outliers.png")
