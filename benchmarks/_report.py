"""Tables and claims: printed, and kept as CSV with versions in the header."""

import operator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sklearn
import skorch
import torch

import sk_autoencoder

VERSIONS = ", ".join(
    f"{module.__name__} {module.__version__}"
    for module in (sk_autoencoder, sklearn, skorch, torch, np)
)
COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


@dataclass
class Table:
    """Rows under columns."""

    title: str
    columns: list[str]
    rows: list[tuple] = field(default_factory=list)

    def add(self, *values) -> None:
        """Append a row."""
        self.rows.append(values)

    def line(self, i: int) -> str:
        """Return row `i` as one line of text."""
        return "  ".join(map(_short, self.rows[i]))

    def show(self, folder: str, name: str) -> None:
        """Print the table and write it to ``folder/name.csv``."""
        cells = [self.columns, *([_short(v) for v in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        print(f"\n{self.title}")
        for row in cells:
            print("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)).rstrip())
        Path(folder).mkdir(parents=True, exist_ok=True)
        path = Path(folder) / f"{name}.csv"
        lines = [f"# {self.title}; {VERSIONS}", ",".join(self.columns)]
        lines += [",".join(map(str, row)) for row in self.rows]
        path.write_text("\n".join(lines) + "\n")
        print(f"-> {path}")


def _short(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass
class Claims:
    """What a benchmark claims, with what was measured."""

    lines: list[str] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)

    def add(self, what: str, value: float, relation: str, bound: float) -> None:
        """Note whether ``value relation bound``."""
        holds = bool(COMPARE[relation](value, bound))
        self.held.append(holds)
        sign = "holds" if holds else "FAILS"
        self.lines.append(f"{sign}  {what}: {value:.4g} {relation} {bound:g}")

    def show(self) -> None:
        """Print every claim, and how many held."""
        print("\nClaims")
        print("\n".join(self.lines))
        print(f"{sum(self.held)} of {len(self.held)} claims held")
