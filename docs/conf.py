"""How Sphinx builds the documentation: ``make docs``."""

import os
import sys
from pathlib import Path

# Rows are few and pictures small: threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # looked up by name

import sk_autoencoder

project = "sk_autoencoder"
author = "the sk_autoencoder developers"
copyright = f"2026, {author}"
release = version = sk_autoencoder.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "_extension",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "code"  # numpydoc writes the names of parameters in single backticks
nitpicky = True  # a reference to nothing is an error; _extension says what is elsewhere
nitpick_ignore_regex = [("py:obj", r"\w+_")]  # what fit learns stands in a list

autodoc_typehints = "none"  # types stand in the docstrings, with shapes and units
autosummary_generate = True
numpydoc_show_class_members = False  # the template shows them

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "",  # all of them run
    "within_subsection_order": "FileNameSortKey",
    "reset_modules": ("matplotlib", "_extension.warnings_are_errors"),
    "reset_modules_order": "both",
    "doc_module": "sk_autoencoder",
    "backreferences_dir": "generated/examples",
    "parallel": True,  # as many at a time as sphinx-build -j says
    "download_all_examples": False,
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_domain_indices = False  # a list of one module
html_title = f"sk_autoencoder {version}"
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "sk_autoencoder"},  # with the version it is too wide for a phone
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
