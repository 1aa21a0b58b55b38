"""
Export: a Pipeline as ONNX, without Python where it runs
========================================================

Export a Pipeline of a scaler, an autoencoder and a classifier to one ONNX model, and a
Pipeline with an outlier detector to another. onnxruntime computes the same numbers, and
takes much less time for few rows.
"""

# %%
# The data: 30 measurements of breast tumours, in float32, the precision of the ONNX models.
from pathlib import Path
from time import perf_counter

import matplotlib
import numpy as np
import onnxruntime
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_autoencoder import AutoencoderOutlierDetector, AutoencoderTransformer, to_onnx

matplotlib.use("Agg")
from matplotlib import pyplot as plt

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X.astype("float32"), y, stratify=y, random_state=0
)

# %%
# Export each Pipeline by one call.
classifier = make_pipeline(
    StandardScaler(), AutoencoderTransformer(8, random_state=0), LogisticRegression()
).fit(X_train, y_train)
detector = make_pipeline(StandardScaler(), AutoencoderOutlierDetector(random_state=0))
detector.fit(X_train[y_train == 1])
pipelines = {"classifier": classifier, "detector": detector}
for name, pipeline in pipelines.items():
    Path(f"{name}.onnx").write_bytes(to_onnx(pipeline).SerializeToString())

# %%
# Run the models. This needs onnxruntime and no other package.
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
classify, detect = (
    onnxruntime.InferenceSession(f"{name}.onnx", options) for name in pipelines
)
label, probabilities = classify.run(None, {"X": X_test})
is_inlier, scores = detect.run(None, {"X": X_test})
expected = classifier.predict_proba(X_test), detector.decision_function(X_test)
print(f"accuracy: {classifier.score(X_test, y_test):.3f}, in onnxruntime ", end="")
print(f"{(label == y_test).mean():.3f}")
for name, found, wished in [
    ("probabilities", probabilities, expected[0]),
    ("scores of the detector", scores[:, 0], expected[1]),
]:
    print(f"largest difference of the {name}: {np.abs(found - wished).max():.1e}")

# %%
# Measure the time of a call with few and with many rows, the shortest of ten.
sizes = [1, 10, 100, 1000, 10_000]


def milliseconds(call, rows):
    times = []
    for _ in range(10):
        start = perf_counter()
        call(rows)
        times.append(perf_counter() - start)
    return 1000 * min(times)


many = [np.resize(X_test, (size, X.shape[1])) for size in sizes]
calls = {
    "estimator": detector.decision_function,
    "onnxruntime": lambda rows: detect.run(["scores"], {"X": rows}),
}
latency = {
    name: [milliseconds(call, rows) for rows in many] for name, call in calls.items()
}
print(f"\n{'rows':>10}  {'estimator':>12}  {'onnxruntime':>12}  ratio")
for size, slow, fast in zip(sizes, *latency.values(), strict=True):
    print(f"{size:10,}  {slow:9.2f} ms  {fast:9.2f} ms  {slow / fast:5.1f}")

# %%
# Draw the scores of both against each other, and the time of a call.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for kind, title in [(1, "benign"), (0, "malignant")]:
    is_kind = y_test == kind
    left.scatter(expected[1][is_kind], scores[is_kind, 0], 12, label=title)
left.axline((0, 0), slope=1, color="black", linewidth=0.5)
left.legend()
left.set(title="Scores of the detector", xlabel="estimator", ylabel="onnxruntime")
for name, times in latency.items():
    right.loglog(sizes, times, "o-", label=name)
right.legend()
right.set(title="Time of a call", xlabel="rows", ylabel="milliseconds")
figure.savefig("export.png", dpi=150)
print("\nPicture: export.png")
