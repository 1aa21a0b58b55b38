"""
Text: codes of documents beside latent semantic analysis
========================================================

Predict which package of scikit-learn a paragraph of its documentation is about. Put
``TextAutoencoder(50)`` in place of ``TruncatedSVD(50)``, known as latent semantic analysis.
Its loss compares the shares of words. Nearest neighbours and a linear model predict better
from its codes.
"""

# %%
# The documents: paragraphs of the documentation of six packages.
import inspect
import re

import matplotlib
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.discovery import all_estimators

from sk_autoencoder import TextAutoencoder

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PACKAGES = ["cluster", "decomposition", "ensemble", "linear_model", "manifold", "svm"]
labels = {}
for _, estimator in all_estimators():
    package = estimator.__module__.split(".")[1]
    for paragraph in re.split(r"\n\s*\n|\n(?=\w+ : )", inspect.getdoc(estimator) or ""):
        if package in PACKAGES and len(paragraph.split()) > 12 and ">>>" not in paragraph:
            labels[paragraph] = package
fit, new, y, y_new = train_test_split(
    list(labels), list(labels.values()), stratify=list(labels.values()), random_state=0
)

# %%
# Fit the same Pipeline with both reducers, and two classifiers to the codes of each.
reducers = {
    "TruncatedSVD": TruncatedSVD(50, random_state=0),
    "TextAutoencoder": TextAutoencoder(50, random_state=0),
}
models = {
    "5 nearest neighbours": KNeighborsClassifier(5, metric="cosine"),
    "logistic regression": LogisticRegression(max_iter=2_000),
}
accuracy = {}
for name, reducer in reducers.items():
    words = TfidfVectorizer(min_df=2, stop_words="english", dtype=np.float32)
    codes = make_pipeline(words, reducer).fit(fit)
    found = accuracy[name] = [
        model.fit(codes.transform(fit), y).score(codes.transform(new), y_new)
        for model in models.values()
    ]
    print(f"{name:24}", *(f"{k} {a:.3f}  " for k, a in zip(models, found, strict=True)))

# %%
# Compute the weight of every term from the code of a text by ``inverse_transform``. Terms
# that often occur together with those of the text have weights too.
vectorizer, autoencoder = codes[0], codes[-1]
terms = vectorizer.get_feature_names_out()
usual = autoencoder.inverse_transform(autoencoder.transform(vectorizer.transform(fit)))
text = ["Bootstrap samples are drawn, and a tree is grown from each of them."]
given = vectorizer.transform(text).toarray()[0]
weights = autoencoder.inverse_transform(autoencoder.transform(vectorizer.transform(text)))
top = np.argsort(weights[0] - usual.mean(axis=0))[-16:]
print("top terms:", *terms[top[::-1]])

# %%
# Draw the accuracies, and the terms with the largest weights.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for i, (name, values) in enumerate(accuracy.items()):
    bars = left.bar(np.arange(2) + 0.4 * (i - 0.5), values, width=0.36, label=name)
    left.bar_label(bars, fmt="%.3f")
left.set(xticks=range(2), xticklabels=models, ylabel="accuracy on new paragraphs")
left.set_ylim(0.5, 0.75)
left.legend(loc="upper left")
is_given = given[top] > 0
right.barh(terms[top], weights[0][top], color=np.where(is_given, "tab:blue", "tab:orange"))
right.set(xlabel="weight in the reconstruction", xscale="log")
right.set_title(text[0].replace("tree ", "tree\n"), fontsize=9)
handles = [plt.Rectangle((0, 0), 1, 1, color=f"tab:{c}") for c in ("blue", "orange")]
right.legend(handles, ["in the text", "added by the reconstruction"], loc="lower right")
figure.suptitle("Paragraphs of scikit-learn's documentation, codes of 50 components")
figure.savefig("text.png", dpi=120)
