"""
Time series: find unusual stretches
===================================

Find unusual stretches of a series with two channels. In the first the wave stands still, in
the second one channel is late, and in the third values have a random order. No single value
is unusual, so that ``IsolationForest()`` on timestamps finds little.
``TimeSeriesOutlierDetector()`` compares windows. It chooses their length and scores every
timestamp. ``find_anomalies`` gives a table of stretches.
"""

# %%
# The data: 4,000 timestamps, 60 of them missing, and the three unusual stretches.
import matplotlib
import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from sk_autoencoder import TimeSeriesOutlierDetector
from sk_autoencoder.metrics import vus_pr_score

matplotlib.use("Agg")
from matplotlib import pyplot as plt

rng = np.random.default_rng(0)
t = np.arange(4_000)
turn = 2 * np.pi * np.cumsum(1 + 0.02 * rng.normal(size=4_000)) / 40
X = np.c_[np.sin(turn), np.sin(turn + 1) + 0.4 * np.sin(3 * turn)]
stretches = {
    "stalls": slice(900, 960),
    "late": slice(1_900, 2_000),
    "burst": slice(3_000, 3_025),
}
X[stretches["stalls"]] = X[900]
X[stretches["late"], 1] = X[1_890:1_990, 1]
X[stretches["burst"], 0] = rng.permutation(X[stretches["burst"], 0])
X += rng.normal(0, 0.08, X.shape)
X[2_500:2_560] = np.nan
is_outlier = np.zeros(4_000, bool)
for stretch in stretches.values():
    is_outlier[stretch] = True

# %%
# Score timestamps by ``IsolationForest``, by ``IsolationForest`` on windows, and by the
# default detector.
forest = IsolationForest(random_state=0).fit(np.nan_to_num(X))
detector = TimeSeriesOutlierDetector(random_state=0, contamination=0.08).fit(X)
around = TimeSeriesOutlierDetector(IsolationForest(random_state=0), window=detector.window_)
scores = {
    "IsolationForest on rows": forest.score_samples(np.nan_to_num(X)),
    "IsolationForest on windows": around.fit(np.nan_to_num(X)).score_samples(
        np.nan_to_num(X)
    ),
    "TimeSeriesOutlierDetector": detector.score_samples(X),
}
print(f"windows of {detector.window_} timestamps")
for name, values in scores.items():
    print(f"{name:28} AUROC {roc_auc_score(is_outlier, -values):.3f}")
shares = detector.explain(X)
for name, stretch in stretches.items():
    print(
        f"{name}: share of channel 1 {shares[stretch, 1].sum() / shares[stretch].sum():.2f}"
    )

# %%
# Find stretches, and the channels that are unusual in each.
table = detector.find_anomalies(X)
for stretch in table:
    print(
        f"{stretch['start']:4} to {stretch['end']:4}, peak {stretch['peak']:4}, score "
        f"{stretch['score']:.0f}, channels {stretch['channels']}"
    )
score = vus_pr_score(is_outlier, -scores["TimeSeriesOutlierDetector"], max_window=40)
print(f"VUS-PR {score:.3f}")

# %%
# Draw both channels and the scores: found stretches in orange, true ones in red at the
# bottom.
figure, axes = plt.subplots(3, 1, figsize=(10, 5.5), sharex=True, layout="constrained")
for channel, ax in enumerate(axes[:2]):
    ax.plot(t, X[:, channel], lw=0.6, color="0.4")
    ax.set_ylabel(f"channel {channel}")
axes[2].plot(t, -scores["TimeSeriesOutlierDetector"], label="how unusual")
axes[2].axhline(-detector.offset_, color="0.4", ls=":", label="threshold")
for peak in table["peak"]:
    axes[2].plot(peak, -scores["TimeSeriesOutlierDetector"][peak], "o", color="tab:orange")
axes[2].set(xlabel="timestamp", ylabel="- score", yscale="log")
for ax in axes:
    for start, end in zip(table["start"], table["end"], strict=True):
        ax.axvspan(start, end, alpha=0.3, color="tab:orange", lw=0)
    for name, stretch in stretches.items():
        ax.axvspan(stretch.start, stretch.stop, 0, 0.06, color="tab:red", lw=0)
        if ax is axes[0]:
            ax.text(stretch.start, 1.03, name, transform=ax.get_xaxis_transform())
axes[0].text(2_500, 1.03, "missing", transform=axes[0].get_xaxis_transform(), color="0.5")
axes[2].legend(loc="upper left", fontsize=8)
figure.savefig("timeseries.png", dpi=120)
