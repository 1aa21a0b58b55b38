"""Write the texts that estimators share into their docstrings.

``python -m tools.sync_docstrings`` rewrites the files, ``--check`` only names those that
are out of date. ``shared_docstring.rst`` beside this file holds each shared parameter,
attribute and reference once. Its section "Own texts" lists which entries a class words for
itself.

In every class the parameters are put in the constructor's order with its defaults. A
citation may be a number or a label, such as ``[Bishop1995]_``, of the class's own
references or of the shared ones. All become numbers in the order in which they are cited.
"""

import argparse
import ast
import inspect
import re
import textwrap
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator

import sk_autoencoder

WIDTH = 88  # of a docstring's line without the indentation of its class
INDENT = " " * 4
CITATION = re.compile(r"\[(\w+)\]_")


@dataclass(frozen=True)
class Entry:
    """A parameter or attribute: its type, default included, and its indented text."""

    kind: str
    text: str


def split_sections(doc: str) -> dict[str, str]:
    """Split a numpydoc docstring into bodies by title; the head has the title ``""``."""
    pieces = re.split(r"^(\w[\w ]*)\n-{3,}\n", doc + "\n", flags=re.MULTILINE)
    return dict(zip(["", *pieces[1::2]], pieces[::2], strict=True))


def join_sections(sections: dict[str, str]) -> str:
    """Undo :func:`split_sections`."""
    titled = [f"{t}\n{'-' * len(t)}\n{b}" if t else b for t, b in sections.items()]
    return "\n\n".join(section.strip("\n") for section in titled)


def parse_entries(body: str) -> dict[str, Entry]:
    """Parse the entries of a section by name."""
    pattern = r"^(\w+) : (.*)\n((?:(?: .*)?\n)*)"
    matches = re.findall(pattern, body.strip("\n") + "\n", re.MULTILINE)
    return {name: Entry(kind, text.strip("\n")) for name, kind, text in matches}


def format_entries(entries: dict[str, Entry]) -> str:
    """Undo :func:`parse_entries`."""
    return "\n".join(f"{name} : {e.kind}\n{e.text}" for name, e in entries.items())


def parse_references(body: str) -> dict[str, str]:
    """Parse the references of a section by label, each on one line."""
    pattern = r"^\.\. \[(\w+)\] (.*\n(?: .*\n)*)"
    matches = re.findall(pattern, body.strip() + "\n", re.MULTILINE)
    return {label: " ".join(text.split()) for label, text in matches}


def fill(text: str, first: str = "", rest: str = "") -> str:
    """Fill lines, indented by `first` and `rest`; literals and roles are not broken."""

    def glue(match: re.Match) -> str:
        return match[0].replace(" ", "\0")

    glued = re.sub(r"`+[^`]+`+", glue, " ".join(text.split()))
    lines = textwrap.fill(
        glued,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines.replace("\0", " ")


SHARED = split_sections(Path(__file__).with_name("shared_docstring.rst").read_text())
PARAMETERS = parse_entries(SHARED["Parameters"])
ATTRIBUTES = parse_entries(SHARED["Attributes"])
REFERENCES = parse_references(SHARED["References"])
OWN_TEXTS = {
    name: set(entry.kind.split())
    for name, entry in parse_entries(SHARED["Own texts"]).items()
}


def format_default(value, documented: str) -> str:
    """Format a default; the `documented` form of the same value is kept."""
    if value is np.nan:
        return "np.nan"
    if documented and ast.literal_eval(documented) == value:
        return documented
    return f'"{value}"' if isinstance(value, str) else repr(value)


def sync_parameters(cls: type, documented: dict[str, Entry]) -> dict[str, Entry]:
    """Put the parameters of `cls` in order, with shared texts and true defaults."""
    constructor = {field.name: field.default for field in fields(cls) if field.init}
    shared = PARAMETERS.keys() - OWN_TEXTS.get(cls.__name__, set())
    unknown = documented.keys() - constructor.keys()
    undocumented = constructor.keys() - documented.keys() - shared
    if unknown or undocumented:
        raise ValueError(
            f"{cls.__name__} documents {sorted(unknown)}, which are no parameters, and "
            f"lacks {sorted(undocumented)}."
        )
    result = {}
    for name, default in constructor.items():
        entry = documented.get(name, Entry("", ""))
        kind, _, present = entry.kind.partition(", default=")
        if name in shared:
            kind, entry = PARAMETERS[name].kind, PARAMETERS[name]
        kind = f"{kind}, default={format_default(default, present)}"
        result[name] = Entry(kind, entry.text)
    return result


def sync_attributes(cls: type, documented: dict[str, Entry]) -> dict[str, Entry]:
    """Replace the texts of shared attributes; their order is the class's own."""
    shared = ATTRIBUTES.keys() - OWN_TEXTS.get(cls.__name__, set())
    return {
        name: ATTRIBUTES[name] if name in shared else entry
        for name, entry in documented.items()
    }


def number_references(sections: dict[str, str], name: str) -> dict[str, str]:
    """Number citations in their order, and list what is cited under References."""
    own_references = parse_references(sections.get("References", ""))
    texts = REFERENCES | own_references
    numbers: dict[str, int] = {}

    def number(citation: re.Match) -> str:
        text = texts[citation[1]]
        return f"[{numbers.setdefault(text, len(numbers) + 1)}]_"

    numbered = {
        title: CITATION.sub(number, body)
        for title, body in sections.items()
        if title != "References"
    }
    uncited = set(own_references.values()) - numbers.keys() - set(REFERENCES.values())
    if uncited:
        raise ValueError(f"{name} does not cite {sorted(uncited)}.")
    references = "\n".join(
        fill(f".. [{i}] {text}", rest=" " * 3) for text, i in numbers.items()
    )
    return {
        title: numbered.get(title, references)
        for title in sections
        if title != "References" or references
    }


def fill_shared(sections: dict[str, str], cls: type) -> dict[str, str]:
    """Fill the lines of shared texts anew, since citations have changed their length."""
    own_texts = OWN_TEXTS.get(cls.__name__, set())
    result = dict(sections)
    for title, shared in (("Parameters", PARAMETERS), ("Attributes", ATTRIBUTES)):
        entries = parse_entries(sections[title])
        for name in entries.keys() & shared.keys() - own_texts:
            text = fill(entries[name].text, INDENT, INDENT)
            entries[name] = Entry(entries[name].kind, text)
        result[title] = format_entries(entries)
    return result


def sync_docstring(cls: type) -> str:
    """Bring the docstring of `cls` up to date."""
    sections = split_sections(inspect.cleandoc(cls.__doc__))
    parameters = sync_parameters(cls, parse_entries(sections["Parameters"]))
    attributes = sync_attributes(cls, parse_entries(sections["Attributes"]))
    sections["Parameters"] = format_entries(parameters)
    sections["Attributes"] = format_entries(attributes)
    if any(CITATION.search(body) for body in sections.values()):
        examples = sections.pop("Examples")  # which come last
        sections.setdefault("References", "")
        sections["Examples"] = examples
    sections = number_references(sections, cls.__name__)
    return join_sections(fill_shared(sections, cls))


def replace_docstring(source: str, name: str, doc: str) -> str:
    """Replace the docstring of class `name` in a module's source."""
    tree = ast.parse(source)
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    literal = node.body[0]
    lines = source.splitlines(keepends=True)
    prefix = "r" if lines[literal.lineno - 1].strip().startswith("r") else ""
    text = textwrap.indent(f'{prefix}"""{doc}\n"""\n', INDENT)
    return (
        "".join(lines[: literal.lineno - 1]) + text + "".join(lines[literal.end_lineno :])
    )


def estimators() -> list[type]:
    """List the public estimators."""
    public = (getattr(sk_autoencoder, name) for name in sk_autoencoder.__all__)
    return [c for c in public if inspect.isclass(c) and issubclass(c, BaseEstimator)]


def main(arguments: list[str] | None = None) -> int:
    """Sync all estimators; with ``--check`` return 1 if a docstring is out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    n_stale = 0
    for cls in estimators():
        path = Path(inspect.getfile(cls))
        source = path.read_text()
        synced = replace_docstring(source, cls.__name__, sync_docstring(cls))
        if synced == source:
            continue
        n_stale += 1
        print(f"{path}: the docstring of {cls.__name__} is out of date")
        if not check:
            path.write_text(synced)
    return int(check and n_stale > 0)


if __name__ == "__main__":
    raise SystemExit(main())
