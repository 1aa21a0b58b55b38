"""Whether codes of documents are better than those of latent semantic analysis.

Each corpus, a file with the columns ``label`` and ``text`` or the documentation of
scikit-learn, goes through ``TfidfVectorizer(min_df=2, max_features=6000)``. Codes of 100
components of TruncatedSVD and of TextAutoencoder, with default parameters, are judged on
held-out documents: by the accuracy of five nearest neighbours (cosine), and of logistic
regression. Logistic regression is also shown on TruncatedSVD's codes at the scale of ours
(columns of X have a mean variance of one): with its default penalty, scale counts.

With ``--memory`` the peak memory of a fit to a large sparse matrix is measured instead.
"""

import argparse
import inspect
import re
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from scipy.sparse import random_array
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.discovery import all_estimators, all_functions

from benchmarks._report import Claims, Table
from sk_autoencoder import TextAutoencoder

N_COMPONENTS, MAX_TERMS, TEST_SHARE = 100, 6_000, 0.3
MAX_DOCUMENTS, MIN_WORDS, MIN_DOCUMENTS = 8_000, 12, 100
WEAK = 0.8  # accuracy of neighbours below which TruncatedSVD leaves something to gain
LARGE = (20_000, 50_000)  # documents and terms, of which 0.1 % are not zero


def documentation() -> pd.DataFrame:
    """Return paragraphs of scikit-learn's documentation, labelled by their package."""
    found = {}
    for _, thing in all_estimators() + all_functions():
        for paragraph in re.split(r"\n\s*\n|\n(?=\w+ : )", inspect.getdoc(thing) or ""):
            if len(paragraph.split()) >= MIN_WORDS and ">>>" not in paragraph:
                found[paragraph] = thing.__module__.split(".")[1]
    corpus = pd.DataFrame({"text": found.keys(), "label": found.values()})
    return corpus.groupby("label").filter(lambda part: len(part) >= MIN_DOCUMENTS)


def corpora(folders: list[Path]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield name and documents of each corpus, cut to a random draw where it is large."""
    yield "scikit-learn", documentation()
    for folder in folders:
        for path in sorted(p for p in folder.iterdir() if ".csv" in p.name):
            corpus = pd.read_csv(path, keep_default_na=False)
            if {"label", "text"} <= set(corpus):
                n_kept = min(len(corpus), MAX_DOCUMENTS)
                yield path.name.split(".")[0], corpus.sample(n_kept, random_state=0)


def judge(fit, new, y_fit, y_new) -> tuple[float, float]:
    """Return the accuracies of nearest neighbours and of logistic regression."""
    neighbours = KNeighborsClassifier(5, metric="cosine").fit(fit, y_fit)
    linear = LogisticRegression(max_iter=5_000).fit(fit, y_fit)
    return neighbours.score(new, y_new), linear.score(new, y_new)


def measure(corpus: pd.DataFrame, seed: int) -> dict[str, float]:
    """Return accuracies and seconds of TruncatedSVD and of the autoencoder."""
    fit, new, y_fit, y_new = train_test_split(
        corpus.text,
        corpus.label,
        test_size=TEST_SHARE,
        random_state=seed,
        stratify=corpus.label,
    )
    vectorizer = TfidfVectorizer(min_df=2, max_features=MAX_TERMS, dtype=np.float32)
    fit, new = vectorizer.fit_transform(fit), vectorizer.transform(new)
    scale = np.sqrt(StandardScaler(with_mean=False).fit(fit).var_.mean())
    found = {}
    for name, model in {
        "SVD": TruncatedSVD(N_COMPONENTS, random_state=seed),
        "ours": TextAutoencoder(N_COMPONENTS, random_state=seed),
    }.items():
        start = time.perf_counter()
        codes, others = model.fit_transform(fit), model.transform(new)
        found[f"{name} s"] = time.perf_counter() - start
        found[f"{name} 5-NN"], found[f"{name} LR"] = judge(codes, others, y_fit, y_new)
        if name == "SVD":
            found["SVD LR scaled"] = judge(codes / scale, others / scale, y_fit, y_new)[1]
    return found


def compare(options, claims: Claims) -> None:
    """State how codes of ours compare with those of TruncatedSVD."""
    columns = [f"{name} {what}" for what in ("5-NN", "LR") for name in ("SVD", "ours")]
    columns += ["SVD LR scaled", "SVD s", "ours s"]
    report = Table("accuracy on held-out documents", ["corpus", "documents", *columns])
    for name, corpus in corpora(options.data):
        runs = [measure(corpus, seed) for seed in range(options.seeds)]
        mean = {key: float(np.mean([run[key] for run in runs])) for key in columns}
        report.add(name, len(corpus), *mean.values())
        print(report.line(-1), flush=True)
        weak = mean["SVD 5-NN"] < WEAK
        gain = mean["ours 5-NN"] - mean["SVD 5-NN"]
        claims.add(f"{name}: gain of 5-NN", gain, ">=" if weak else ">", 0.05 * weak)
        gain = mean["ours LR"] - mean["SVD LR"]
        claims.add(f"{name}: gain of logistic regression", gain, ">=", -0.005)
    report.show(options.out, "text")


def measure_memory(claims: Claims) -> None:
    """State what a fit to, and codes of, a large sparse matrix add to the memory."""
    X = random_array(LARGE, density=1e-3, format="csr", rng=0, dtype=np.float32)
    model = TextAutoencoder(N_COMPONENTS, random_state=0)
    process, dense = psutil.Process(), 4 * np.prod(LARGE)
    before = process.memory_info().rss
    model.set_params(max_epochs=1).fit(X)
    model.partial_fit(X[:1_000]).transform(X)
    model.score_samples(X[:1_000])
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    weights = 4 * sum(p.numel() for p in model.network_.parameters())
    print(f"dense {dense / 1e9:.2f} GB, weights {weights / 1e9:.3f}, peak {peak / 1e9:.2f}")
    claims.add("peak memory / dense X", peak / dense, "<=", 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    parser.add_argument("--out", default="results", help="folder for the table")
    options = parser.parse_args()
    claims = Claims()
    if options.memory:
        measure_memory(claims)
    else:
        compare(options, claims)
    claims.show()


if __name__ == "__main__":
    main()
