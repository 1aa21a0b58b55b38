"""The report of a fitted estimator on one page."""

import re
import sys
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from catalogue import ONE_OF_EACH, fit_once, in_turn, name, quick
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import pandas_frame, polars_frame

from sk_autoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvolutionalAutoencoder,
    Report,
    VAETransformer,
    report,
)
from sk_autoencoder.inspection import _report

mpl.use("Agg")
ERRORS = "Rows with the largest errors"
COLUMNS = "Columns that are represented worst"
RECONSTRUCTING = ["The fit", "What was learned", "Codes", ERRORS, COLUMNS]
SECTIONS = {
    "AutoencoderImputer": ["The fit", "What was learned", ERRORS, COLUMNS],
    "AutoencoderOutlierDetector": ["The fit", "Threshold", "Most unusual rows"],
    "TimeSeriesOutlierDetector": ["The fit", "Threshold", "Most unusual rows"],
    "ConvolutionalAutoencoder": [*RECONSTRUCTING[:3], "Images", *RECONSTRUCTING[3:]],
    "VAETransformer": [*RECONSTRUCTING, "Drawn rows"],
    "AdversarialAutoencoder": [*RECONSTRUCTING, "Drawn rows"],
}
X = load_digits().data[:120, :20]


class Reader(HTMLParser):
    """Read the cells of all tables, and the links and sources of a page."""

    def __init__(self):
        super().__init__()
        self.rows, self.sources, self.depth = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.sources += [v for k, v in attrs if k in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.depth = 1

    def handle_endtag(self, tag):
        self.depth *= tag not in ("td", "th")

    def handle_data(self, data):
        if self.depth:
            self.rows[-1][-1] += data


def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def read_section(made, wanted):
    """Read the table of a section, without its heads."""
    (body,) = [body for name, body in made.sections if name == wanted]
    return read(body).rows[1:]


@pytest.mark.parametrize("estimator", in_turn(ONE_OF_EACH, 0), ids=name)
def test_each_estimator_has_its_sections_on_one_page(estimator, tmp_path):
    fitted = fit_once(estimator, X)
    before = set(vars(fitted))
    made = report(fitted, X)
    expected = SECTIONS.get(type(estimator).__name__, RECONSTRUCTING)
    assert [name for name, _ in made.sections] == expected
    assert type(estimator).__name__ in made.title
    made.save(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page == made.html
    assert all(source.startswith("data:") for source in read(page).sources)
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower().replace("nan, ", "")
    assert set(vars(fitted)) == before


@pytest.mark.parametrize("make", [pandas_frame, polars_frame])
@pytest.mark.parametrize(
    "estimator",
    [
        quick(AutoencoderTransformer),
        AutoencoderOutlierDetector(random_state=0),
        AutoencoderImputer(quick(AutoencoderTransformer), random_state=0),
        quick(VAETransformer, n_components=2),
    ],
    ids=name,
)
def test_frames(estimator, make):
    frame = make(120)
    made = report(clone(estimator).fit(frame), frame)
    columns = list(frame.columns)
    if COLUMNS in dict(made.sections):
        rows = read_section(made, COLUMNS)
        assert {row[0] for row in rows} <= set(columns)
        r2 = [float(row[2]) for row in rows]
        assert r2 == sorted(r2)
        assert max(r2) <= 1
    reasons = read_section(made, "Most unusual rows") if len(made.sections) == 3 else []
    for row in reasons:
        assert any(row[2].startswith(f"{column} = ") for column in columns)


def test_the_score_beside_that_of_pca(digits):
    X = digits[:, digits.std(axis=0) > 0]
    autoencoder = quick(AutoencoderTransformer, n_components=6, scaling="standard").fit(X)
    rows = read_section(report(autoencoder, X), "What was learned")
    scaled = StandardScaler().fit_transform(X)
    pca = PCA(6).fit(scaled)
    error = (pca.inverse_transform(pca.transform(scaled)) - scaled) ** 2
    assert [row[1] for row in rows] == ["6", "6"]
    assert float(rows[1][2]) == pytest.approx(1 - error.mean(), abs=1e-3)
    ours = ((autoencoder.reconstruct(X) - X) ** 2).mean(axis=0) / X.var(axis=0)
    assert float(rows[0][2]) == pytest.approx(1 - ours.mean(), abs=1e-3)


def test_the_worst_row_and_the_worst_column_are_named(flowers):
    frame = flowers[0].assign(noise=np.random.default_rng(0).normal(size=150))
    autoencoder = quick(AutoencoderTransformer, n_components=2).fit(frame)
    strange = frame.copy()
    strange.index = [f"<{i}>" for i in range(150)]
    strange.iloc[7, 1] = 40.0
    made = report(autoencoder, strange)
    row, error, reasons = read_section(made, ERRORS)[0]
    assert row == "<7>"
    assert float(error) > 1
    assert "sepal w: 40, reconstructed" in reasons
    assert "<7>" not in made.html  # names are escaped
    noise = report(autoencoder, frame)
    assert read_section(noise, COLUMNS)[0][0] in ("noise", "sepal w")


def test_labels_compare_a_detector_with_isolation_forest():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 300)
    X = np.c_[np.sin(angle), np.cos(angle)] + rng.normal(0, 0.05, (300, 2))
    X[:10] = rng.normal(0, 0.2, (10, 2))
    y = np.where(np.arange(300) < 10, "odd", "regular")
    detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    made = report(detector, X, y)
    ours, forest = read_section(made, "What was learned")
    expected = roc_auc_score(y == "odd", -detector.score_samples(X))
    assert float(ours[1]) == pytest.approx(expected, abs=1e-3)
    assert 0.4 < float(forest[1]) < 1
    assert "What was learned" not in dict(report(detector, X, np.arange(300)).sections)
    text = dict(made.sections)["Threshold"]
    n_flagged = (detector.score_samples(X) < detector.offset_).sum()
    assert f"{n_flagged} of these 300 rows" in text


def test_a_detector_of_another_library(digits):
    made = report(IsolationForest(random_state=0).fit(digits), digits)
    rows = read_section(made, "Most unusual rows")
    assert len(rows) == 5
    assert {row[2] for row in rows} == {""}


def test_an_imputer_is_measured_on_hidden_cells(flowers):
    frame = flowers[0]
    imputer = AutoencoderImputer(
        quick(AutoencoderTransformer, max_epochs=30), random_state=0
    )
    rows = read_section(report(imputer.fit(frame), frame), "What was learned")
    assert 0.5 < float(rows[0][1]) < 1


def test_images_are_shown(digits):
    fitted = quick(ConvolutionalAutoencoder, n_components=4).fit(digits)
    assert "Images" in dict(report(fitted, digits).sections)


@pytest.mark.parametrize("estimator", ["pipeline", "search", "pca"])
def test_what_holds_an_autoencoder(digits, estimator):
    inner = quick(AutoencoderTransformer, n_components=3)
    made = {
        "pipeline": make_pipeline(StandardScaler(), inner),
        "search": GridSearchCV(inner, {"n_components": [2, 3]}, cv=2),
        "pca": PCA(3),
    }[estimator].fit(digits)
    page = report(made, digits)
    assert [name for name, _ in page.sections] == RECONSTRUCTING
    assert ("Loss by epoch" in page.html) == (estimator != "pca")
    assert re.match(r"AutoencoderTransformer|PCA", page.title)


def test_sparse_rows_labels_and_a_constant_column(digits):
    X = np.c_[digits[:60], np.ones(60)]
    fitted = quick(AutoencoderTransformer, n_components=3).fit(X)
    dense, sparse = (report(fitted, rows, np.arange(60)) for rows in (X, csr_array(X)))
    assert dict(dense.sections)[COLUMNS] == dict(sparse.sections)[COLUMNS]
    assert "feature 64" not in dict(dense.sections)[COLUMNS]


def test_many_rows_are_thinned(monkeypatch, digits):
    monkeypatch.setattr(_report, "MAX_ROWS", 50)
    made = report(quick(AutoencoderTransformer).fit(digits), digits, np.arange(300))
    assert "300 rows of 64 columns; this page is about 50 of them." in made.html
    assert "300 rows" in made.title


def test_a_report_is_the_same_each_time_and_changes_nothing(digits):
    fitted = quick(VAETransformer, n_components=2).fit(digits)
    one, other = (report(fitted, digits) for _ in range(2))
    assert one.html == other.html
    assert "matplotlib.pyplot" in sys.modules
    assert not mpl.pyplot.get_fignums()


def test_a_notebook_shows_it_and_a_console_names_it(digits):
    made = report(quick(AutoencoderTransformer).fit(digits), digits)
    assert made._repr_html_() in made.html
    assert "Codes" in repr(made)
    assert "<h3>&lt;b&gt;</h3>" in Report("x", [("<b>", "")])._repr_html_()


def test_an_unfitted_estimator_is_refused():
    with pytest.raises(ValueError, match="not fitted"):
        report(AutoencoderTransformer(), X)


def test_cells_of_every_kind_are_written():
    frame = pandas_frame(40).assign(day=pd.Timestamp("2024-02-29"))
    columns = _report.read_columns(frame)
    texts = {c.name: _report.format_cell(c, 0) for c in columns}
    assert texts["day"] == "2024-02-29"
    assert texts["flag"] in ("True", "False")
    row = int(np.flatnonzero(frame["job"].isna())[0])
    job = next(c for c in columns if c.name == "job")
    assert _report.format_cell(job, row) == "missing"
