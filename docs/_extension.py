"""What this documentation does that no extension of Sphinx does."""

import re
import warnings
from contextlib import ExitStack
from inspect import getmembers, isclass, isroutine
from pathlib import Path

from docutils import nodes

import sk_autoencoder
from sk_autoencoder import distributed, impute, metrics, nn, preprocessing, streaming

_strictness = ExitStack()


def warnings_are_errors(gallery_conf, fname, when):
    """Let a warning in an example stop the build."""
    _strictness.close()
    if when == "before":
        _strictness.enter_context(warnings.catch_warnings(action="error"))


def link_to_scikit_learn(app, env, node, contnode):
    """Link public names of scikit-learn to its pages, without an inventory."""
    target = node.get("reftarget", "")
    if not re.fullmatch(r"sklearn\.[a-z]\w*(\.\w+)+", target):
        return None
    url = f"https://scikit-learn.org/stable/modules/generated/{target}.html"
    return nodes.reference("", "", contnode, refuri=url, internal=False)


def as_rst(markdown):
    """Return what CHANGES.md says; it has headings, lists and names in backticks."""
    text = re.sub("`([^`]+)`", r"``\1``", markdown)
    text = re.sub("^# (.*)", lambda m: f"{m[1]}\n{'=' * len(m[1])}", text, flags=re.M)
    return re.sub("^## (.*)", lambda m: f"{m[1]}\n{'-' * len(m[1])}", text, flags=re.M)


def read_changes(app, docname, content):
    """Make the page of changes from CHANGES.md."""
    if docname == "changes":
        content[0] = as_rst((Path(app.srcdir).parent / "CHANGES.md").read_text())


def methods(cls):
    """Return the names of the public methods of a class: its own, and scikit-learn's."""
    origins = {
        name: getattr(getattr(method, "__func__", method), "__module__", None) or ""
        for name, method in getmembers(cls, isroutine)
        if not name.startswith("_")
    }
    roots = {name: origin.partition(".")[0] for name, origin in origins.items()}
    return [[k for k, v in roots.items() if v == p] for p in ("sk_autoencoder", "sklearn")]


def methods_by_class():
    """Return :func:`methods` of all that is public, by the full names of the classes."""
    return {
        f"{module.__name__}.{name}": methods(getattr(module, name))
        for module in (
            sk_autoencoder,
            distributed,
            impute,
            metrics,
            nn,
            preprocessing,
            streaming,
        )
        for name in module.__all__
        if isclass(getattr(module, name))
    }


def setup(app):
    """Connect all of the above to Sphinx."""
    app.config.autosummary_context["methods_of"] = methods_by_class()
    app.connect("source-read", read_changes)
    app.connect("missing-reference", link_to_scikit_learn)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
