"""The progress bar of long fits: one in a process, and only where someone looks at it."""

import io
import os
import pty
import sys
import threading
from types import SimpleNamespace

import pytest
from catalogue import PLAIN
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sk_autoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    StackedAutoencoder,
)
from sk_autoencoder.utils import _progress

X = load_digits().data[:200]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


def quick(**params):
    params = {"hidden_layer_sizes": (16,), "max_epochs": 3, "random_state": 0} | params
    return AutoencoderTransformer(4, **params)


@pytest.fixture
def terminal(monkeypatch):
    """A terminal as standard error, and bars for all fits however short they are."""
    monkeypatch.setattr(_progress, "MIN_SECONDS", 0)
    monkeypatch.setattr(_progress, "LOOK_SECONDS", 0)
    stream = Terminal()
    monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=stream))
    return stream


def count_bars(monkeypatch):
    """Count the bars that are open, as a list of their numbers at each opening."""
    counts, n_open = [], [0]

    class Counted(_progress._Bar):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            n_open[0] += 1
            counts.append(n_open[0])

        def close(self):
            n_open[0] -= not self.disable
            super().close()

    monkeypatch.setattr(_progress, "_Bar", Counted)
    return counts


def test_a_bar_is_shown_and_removed(terminal):
    autoencoder = quick().fit(X)
    text = terminal.getvalue()
    assert "AutoencoderTransformer: " in text
    assert "left" in text
    assert text.endswith("\r")
    assert text.rsplit("\r", 2)[1].isspace()
    assert (autoencoder.transform(X) == clone(autoencoder).fit(X).transform(X)).all()


def test_a_bar_changes_no_code(terminal, monkeypatch):
    with_bar = quick(dropout=0.2).fit(X)
    n_written = len(terminal.getvalue())
    monkeypatch.setenv("SKAUTOENCODER_PROGRESS", "0")
    without = quick(dropout=0.2).fit(X)
    assert 0 < n_written == len(terminal.getvalue())
    assert (with_bar.transform(X) == without.transform(X)).all()


def test_a_short_fit_has_no_bar(terminal, monkeypatch):
    monkeypatch.setattr(_progress, "MIN_SECONDS", 1e6)
    quick().fit(X)
    assert not terminal.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), None])  # None as under pythonw
def test_no_terminal_no_bar(terminal, monkeypatch, stream):
    monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=stream))
    counts = count_bars(monkeypatch)
    quick().fit(X)
    assert not counts
    assert stream is None or not stream.getvalue()


def test_printed_epochs_take_the_place_of_a_bar(terminal, capsys):
    quick(verbose=1).fit(X)
    assert not terminal.getvalue()


@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderOutlierDetector(PLAIN, n_estimators=3, random_state=0),
        AutoencoderOutlierDetector(random_state=0),
        StackedAutoencoder(2, hidden_layer_sizes=(8, 4), max_epochs=2, random_state=0),
        GridSearchCV(quick(), {"n_components": [1, 2]}, cv=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_one_bar_for_what_fits_inside(terminal, monkeypatch, estimator):
    counts = count_bars(monkeypatch)
    clone(estimator).fit(X)
    assert set(counts) == {1}
    name = type(getattr(estimator, "estimator", estimator)).__name__
    names = [part.split(":")[0].split(",")[0] for part in terminal.getvalue().split("\r")]
    assert {part for part in names if part.strip()} == {name}
    if not hasattr(estimator, "estimator"):
        assert len(counts) == 1


def test_one_bar_for_several_threads(terminal, monkeypatch):
    counts = count_bars(monkeypatch)
    fitted = [quick(random_state=i, dropout=0.1) for i in range(2)]
    threads = [threading.Thread(target=each.fit, args=(X,)) for each in fitted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(counts) == {1}
    alone = [clone(each).fit(X) for each in fitted]
    for one, other in zip(fitted, alone, strict=True):
        assert (one.transform(X) == other.transform(X)).all()


def test_a_fit_that_fails_leaves_room_for_the_next_bar(terminal, monkeypatch):
    with pytest.raises(ValueError, match="diverged"):
        quick(lr=1e30, init="random", max_epochs=30).fit(X)
    counts = count_bars(monkeypatch)
    quick().fit(X)
    assert counts == [1]


def test_scikit_learns_bar_takes_the_place_of_ours(terminal, monkeypatch, capsys):
    callback = pytest.importorskip("sklearn.callback")
    counts = count_bars(monkeypatch)
    quick().set_callbacks(callback.ProgressBar()).fit(X)
    assert not counts


def test_a_terminal_that_does_not_tell_its_width_shows_the_bar(terminal, monkeypatch):
    reader, writer = pty.openpty()
    for variable in ("COLUMNS", "LINES"):
        monkeypatch.delenv(variable, raising=False)
    with os.fdopen(writer, "w") as stream:
        assert os.get_terminal_size(writer) == (0, 0)
        monkeypatch.setattr(sys, "__stdout__", stream)  # whose size Python looks at
        monkeypatch.setattr(sys, "stderr", stream)  # and tqdm
        monkeypatch.setattr(_progress, "sys", sys)
        with _progress.progress_of("Fit"):
            _progress.expect_steps(5)
            assert list(_progress.watch(range(5))) == [0, 1, 2, 3, 4]
    text = os.read(reader, 100_000).decode()
    os.close(reader)
    assert "Fit: " in text
