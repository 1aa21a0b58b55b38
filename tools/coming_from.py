"""Run what a newcomer runs first: the README, the demo, and the lines of "coming from".

``python -m tools.coming_from`` runs the README's code and the demo, and prints what they
print. Then it runs the lines of ``docs/coming_from.rst`` with default settings: the line
before and the line after for each tool of scikit-learn, each pair in a process of its own,
on data that scikit-learn brings along. It prints a measure of rows that neither was fitted
to, the CPU seconds of both fits, and all warnings. ``python -m tools.coming_from PCA`` runs
one pair.
"""

import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import train_test_split

ROOT = Path(__file__).parents[1]
SHOW_WARNINGS = [sys.executable, "-W", "default"]


def digits() -> list[np.ndarray]:
    """Split the digits into rows to fit to and rows to measure."""
    return train_test_split(load_digits().data, random_state=0)


def r2(X: np.ndarray, reconstructed: np.ndarray) -> float:
    """Compute R² over all entries."""
    return float(1 - ((X - reconstructed) ** 2).sum() / ((X - X.mean(axis=0)) ** 2).sum())


def timed(fit: Callable):
    """Call `fit`, and return its result and the CPU seconds."""
    begin = time.process_time()
    return fit(), time.process_time() - begin


def pca():
    """R² of 8 components of digits."""
    from sklearn.decomposition import PCA

    from sk_autoencoder import AutoencoderTransformer

    X, X_test = digits()
    for reducer in (PCA(8), AutoencoderTransformer(8, random_state=0)):
        fitted, seconds = timed(lambda reducer=reducer: reducer.fit(X))
        yield r2(X_test, fitted.inverse_transform(fitted.transform(X_test))), seconds


def column_transformer():
    """Share of the kinds of wine that 2 numbers a row give back."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from sk_autoencoder import AutoencoderTransformer

    wine = load_wine(as_frame=True)
    table = wine.data.iloc[:, :4].assign(kind=wine.target.map("kind {}".format))
    X, X_test = train_test_split(table, random_state=0)
    numbers = make_column_selector(dtype_include="number")
    one_hot = OneHotEncoder(sparse_output=False)
    encoder = make_column_transformer((StandardScaler(), numbers), (one_hot, ["kind"]))
    entries = encoder.fit_transform(X)
    fitted, seconds = timed(lambda: PCA(2).fit(entries))
    decoded = fitted.inverse_transform(fitted.transform(encoder.transform(X_test)))
    kinds = encoder.named_transformers_["onehotencoder"].categories_[0]
    yield (kinds[decoded[:, 4:].argmax(axis=1)] == X_test["kind"]).mean(), seconds
    fitted, seconds = timed(lambda: AutoencoderTransformer(2, random_state=0).fit(X))
    yield (fitted.reconstruct(X_test)["kind"] == X_test["kind"]).mean(), seconds


def truncated_svd():
    """Accuracy of 5 nearest neighbours by 5 components of counts of digits."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.neighbors import KNeighborsClassifier

    from sk_autoencoder import TextAutoencoder

    X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
    weigh = TfidfTransformer().fit(X)
    for reducer in (TruncatedSVD(5, random_state=0), TextAutoencoder(5, random_state=0)):
        fitted, seconds = timed(lambda reducer=reducer: reducer.fit(weigh.transform(X)))
        codes, test = (fitted.transform(weigh.transform(rows)) for rows in (X, X_test))
        yield KNeighborsClassifier(5).fit(codes, y).score(test, y_test), seconds


def dictionary_learning():
    """R² of 5 of 40 atoms of digits."""
    from sklearn.decomposition import MiniBatchDictionaryLearning

    from sk_autoencoder import SparseAutoencoder

    X, X_test = digits()
    learning = MiniBatchDictionaryLearning(
        40, transform_algorithm="omp", transform_n_nonzero_coefs=5, random_state=0
    )
    mean = X.mean(axis=0)
    fitted, seconds = timed(lambda: learning.fit(X - mean))
    yield r2(X_test, fitted.transform(X_test - mean) @ fitted.components_ + mean), seconds
    coder = SparseAutoencoder(40, n_active=5, random_state=0)
    fitted, seconds = timed(lambda: coder.fit(X))
    yield r2(X_test, fitted.inverse_transform(fitted.transform(X_test))), seconds


def kernel_pca():
    """Error of denoised digits over that of noisy ones; lower is better."""
    from sklearn.decomposition import KernelPCA

    from sk_autoencoder import DenoisingAutoencoder

    X, X_test = digits()
    noisy = X_test + np.random.default_rng(0).normal(0, 3, X_test.shape)
    kernel = KernelPCA(20, kernel="rbf", gamma=1e-3, alpha=5e-3, fit_inverse_transform=True)
    fitted, seconds = timed(lambda: kernel.fit(X))
    error = ((noisy - X_test) ** 2).mean()
    denoised = fitted.inverse_transform(fitted.transform(noisy))
    yield ((denoised - X_test) ** 2).mean() / error, seconds
    fitted, seconds = timed(lambda: DenoisingAutoencoder(random_state=0).fit(X))
    yield ((fitted.denoise(noisy) - X_test) ** 2).mean() / error, seconds


def isolation_forest():
    """AUROC of 20 malignant tumours among benign ones."""
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score

    from sk_autoencoder import AutoencoderOutlierDetector

    X, y = load_breast_cancer(return_X_y=True)
    rows = np.r_[np.flatnonzero(y == 1), np.flatnonzero(y == 0)[:20]]
    for detector in (
        IsolationForest(random_state=0),
        AutoencoderOutlierDetector(random_state=0),
    ):
        fitted, seconds = timed(lambda detector=detector: detector.fit(X[rows]))
        yield roc_auc_score(y[rows] == 0, -fitted.score_samples(X[rows])), seconds


def iterative_imputer():
    """Error of a fifth of the cells of breast_cancer; lower is better."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer
    from sklearn.preprocessing import StandardScaler

    from sk_autoencoder import AutoencoderImputer

    X = StandardScaler().fit_transform(load_breast_cancer().data)
    is_hidden = np.random.default_rng(0).random(X.shape) < 0.2
    holed = np.where(is_hidden, np.nan, X)
    for imputer in (IterativeImputer(random_state=0), AutoencoderImputer(random_state=0)):
        filled, seconds = timed(lambda imputer=imputer: imputer.fit_transform(holed))
        yield float(((filled - X)[is_hidden] ** 2).mean() ** 0.5), seconds


def gaussian_mixture():
    """Accuracy by which trees tell drawn digits from held-out ones; 0.5 is ideal."""
    from sklearn.mixture import GaussianMixture

    from sk_autoencoder import VAETransformer
    from sk_autoencoder.metrics import two_sample_accuracy

    X, X_test = digits()
    mixture = GaussianMixture(5, reg_covar=0.1, random_state=0)
    for model in (mixture, VAETransformer(random_state=0)):
        fitted, seconds = timed(lambda model=model: model.fit(X))
        drawn = fitted.sample(len(X_test))
        drawn = drawn[0] if isinstance(drawn, tuple) else drawn
        yield two_sample_accuracy(X_test, drawn, random_state=0), seconds


PAIRS = {
    "PCA": pca,
    "ColumnTransformer": column_transformer,
    "TruncatedSVD": truncated_svd,
    "MiniBatchDictionaryLearning": dictionary_learning,
    "KernelPCA": kernel_pca,
    "IsolationForest": isolation_forest,
    "IterativeImputer": iterative_imputer,
    "GaussianMixture": gaussian_mixture,
}


def run(name: str) -> None:
    """Run a pair in this process, and print its line and all warnings."""
    function = PAIRS[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (before, seconds), (after, ours) = function()
    print(
        f"{name:28}{before:10.3f}{after:10.3f}{seconds:9.2f}{ours:9.2f}  {function.__doc__}"
    )
    for warning in caught:
        print(f"    {warning.category.__name__}: {warning.message}")


def run_first_lines() -> list[int]:
    """Run the README's code and the demo, and return the exit status of each."""
    code = "\n".join(
        re.findall("```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    )
    commands = {
        "README.md": [*SHOW_WARNINGS, "-c", code],
        "examples/demo.py": [*SHOW_WARNINGS, str(ROOT / "examples" / "demo.py")],
    }
    statuses = []
    with tempfile.TemporaryDirectory() as folder:  # for the picture of the demo
        for name, command in commands.items():
            print(f"{name}:", flush=True)
            statuses.append(subprocess.run(command, check=False, cwd=folder).returncode)
            print(flush=True)
    return statuses


def main(names: list[str]) -> int:
    """Run one pair here, or everything in processes of its own."""
    if names:
        run(*names)
        return 0
    statuses = run_first_lines()
    print(f"{'':28}{'before':>10}{'after':>10}{'s':>9}{'s':>9}", flush=True)
    command = [sys.executable, "-m", "tools.coming_from"]
    for name in PAIRS:
        statuses.append(subprocess.run([*command, name], check=False, cwd=ROOT).returncode)
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
