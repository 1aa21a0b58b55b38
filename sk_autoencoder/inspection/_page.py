"""A page of sections, tables and pictures in HTML, in one file."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from os import PathLike
from pathlib import Path

STYLE = """
.skae-report { font-family: system-ui, sans-serif; line-height: 1.4; max-width: 60rem; }
.skae-report h2 { font-size: 1.4em; }
.skae-report h3 { font-size: 1.1em; margin: 1.5em 0 .3em; }
.skae-report p { margin: .3em 0; }
.skae-report img { max-width: 100%; background: white; }
.skae-report .wide { overflow-x: auto; }
.skae-report table { border-collapse: collapse; }
.skae-report th, .skae-report td { padding: .15em .8em .15em 0; text-align: left;
  border-bottom: 1px solid rgba(128, 128, 128, .3); vertical-align: top; }
"""
DOCUMENT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta name="color-scheme"
content="light dark"><title>{title}</title></head><body>{body}</body></html>
"""


class Report:
    """A report of a fitted estimator: a page of HTML without links to other files.

    :func:`report` makes one. A notebook shows it, and ``html`` is the page as a whole.

    Parameters
    ----------
    title : str
        Heading of the page.
    sections : list of tuple of str
        Heading and HTML of each section.
    """

    def __init__(self, title: str, sections: list[tuple[str, str]]) -> None:
        self.title = title
        self.sections = sections

    @property
    def html(self) -> str:
        """The page as a whole, for a file."""
        return DOCUMENT.format(title=escape(self.title), body=self._repr_html_())

    def _repr_html_(self) -> str:
        sections = [f"<h3>{escape(name)}</h3>{body}" for name, body in self.sections]
        heading = f"<style>{STYLE}</style><h2>{escape(self.title)}</h2>"
        return f'<div class="skae-report">{heading}{"".join(sections)}</div>'

    def __repr__(self) -> str:
        names = ", ".join(name for name, _ in self.sections)
        return f"<Report of {self.title}: {names}>"

    def save(self, path: str | PathLike) -> None:
        """Write the page to a file.

        Parameters
        ----------
        path : str or path-like
            The file, such as ``"report.html"``; replaced if it exists.
        """
        Path(path).write_text(self.html, encoding="utf-8")


def paragraph(text: str) -> str:
    """Write a text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def table(heads: Sequence[str], rows: Iterable[Sequence]) -> str:
    """Write a table; numbers get three digits."""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_format(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _format(cell) -> str:
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def picture(figure, text: str) -> str:
    """Write a figure of matplotlib as an image in the page, which `text` describes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{data}">'
