"""Whether an autoencoder stores rows in fewer bytes than PCA does.

Every table of the folders with 16 columns and 200 rows or more; four fifths to fit to, at
most 5,000, and at most 1,000 to compress. R² at 8, 16 and 32 bytes a row, whole blobs
counted, beside

* PCA: its scores rounded to multiples of one step for all, the mean as it is, coded by the
  same range coder with the same tables,
* PCA+: the same with ``AutoencoderCompressor``'s rounding by bits and means of steps, which
  is what the compressor falls back to.

Both are read off at the bytes that ours took, from curves over steps on the rows that are
compressed. Columns have the default scaling of ours everywhere, and so have errors: those
of mixed units count equally, pixels as they are. Then bytes of the coder beside zlib and
lzma on the same whole numbers, and a picture of error against bytes.
"""

import argparse
import lzma
import time
import zlib
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from benchmarks import _datasets
from benchmarks._report import Claims, Table
from sk_autoencoder import AutoencoderCompressor, RateDistortionDisplay
from sk_autoencoder.compression import _codec, _range_coder
from sk_autoencoder.compression._container import HEADER_STRUCT
from sk_autoencoder.metrics import reconstruction_r2

N_FIT, N_HELD, FIT_SHARE = 5_000, 1_000, 0.8
MIN_COLUMNS, MIN_ROWS = 16, 200
BUDGETS = (8, 16, 32)
SCALING = "auto"
STEPS = 2.0 ** -np.arange(-3, 12, 0.25)  # in standard deviations of the first component
GOALS = {8: 0.06, 16: 0.03}  # gains over PCA where rows are many and curved
GOAL_SETS = ("mnist*", "frey*")
COLUMNS = ["table", "rows", "columns", "budget", "bytes", "PCA", "PCA+", "ours"]
COLUMNS += ["codes", "zlib", "lzma", "seconds"]
TIE = 0.002  # between points of a curve


def split(table: _datasets.Table, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows to fit to, and rows to compress."""
    order = np.random.default_rng(seed).permutation(len(table.X))
    n_fit = min(N_FIT, int(FIT_SHARE * len(order)))
    X = table.X.astype(np.float32)
    return X[order[:n_fit]], X[order[n_fit : n_fit + N_HELD]]


def pca_curve(fit: np.ndarray, held: np.ndarray, setting: tuple, seed: int) -> np.ndarray:
    """Return bytes a row and R² for each step, the coarsest first."""
    fit, held = fit.astype(float), held.astype(float)
    codec = _codec.linear_codec(fit, _codec.MAX_LINEAR_CODES, SCALING, seed, None)
    scale = _codec.column_scale(fit, SCALING)
    codec.setting = setting
    codes, others = codec.codes(fit), codec.codes(held)
    points = []
    for step in codes[:, 0].std() * STEPS:
        if points and points[-1][0] > 2 * BUDGETS[-1]:
            break
        quantizer = codec.make_quantizer(codes, step)
        numbers = quantizer.quantize(others)
        size = HEADER_STRUCT.size + len(_range_coder.encode([*numbers.T], quantizer.tables))
        found = codec.decode(quantizer.dequantize(numbers))
        points.append((size / len(held), reconstruction_r2(held / scale, found / scale)))
    return np.array(points)


def at(curve: np.ndarray, size: float) -> float:
    """Return the R² of a curve at a number of bytes a row."""
    order = np.argsort(curve[:, 0])
    return float(np.interp(np.log(size), np.log(curve[order, 0]), curve[order, 1]))


def planes(numbers: np.ndarray) -> bytes:
    """Return whole numbers as bytes of the narrowest type, code by code, byte by byte."""
    types = (np.int8, np.int16, np.int32, np.int64)
    kind = next(t for t in types if np.abs(numbers).max() <= np.iinfo(t).max)
    columns = np.ascontiguousarray(numbers.T.astype(kind))
    return np.moveaxis(columns[..., None].view(np.uint8), -1, 0).tobytes()


def measure(table: _datasets.Table, seed: int, folder: str) -> list[dict]:
    """Return what each budget gives, beside both kinds of PCA."""
    fit, held = split(table, seed)
    plain = pca_curve(fit, held, (0.0, False), seed)
    better = pca_curve(fit, held, _codec.LINEAR, seed)
    found = []
    for budget in BUDGETS:
        start = time.perf_counter()
        ours = AutoencoderCompressor(bytes_per_row=budget, random_state=seed).fit(fit)
        seconds = time.perf_counter() - start
        size = len(ours.compress(held)) / len(held)
        numbers = ours._codec.numbers(held.astype(float))
        raw = planes(numbers)
        found.append(
            {
                "table": table.name,
                "rows": len(fit),
                "columns": fit.shape[1],
                "budget": budget,
                "bytes": size,
                "PCA": at(plain, size),
                "PCA+": at(better, size),
                "ours": ours.score(held),
                "codes": "linear" if ours._codec is ours._linear else "trained",
                "zlib": len(zlib.compress(raw, 9)) / len(held),
                "lzma": len(lzma.compress(raw)) / len(held),
                "seconds": seconds,
            }
        )
        if budget == BUDGETS[0] and seed == 0:
            draw(ours, held, f"{folder}/compression_{table.name}.png")
    return found


def draw(compressor: AutoencoderCompressor, held: np.ndarray, path: str) -> None:
    """Draw error against bytes."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    display = RateDistortionDisplay.from_estimator(compressor, held)
    display.figure_.savefig(path, dpi=100)


def claim(found: list[dict], claims: Claims) -> None:
    """State how much better the rows come back, and what the coder saves."""
    for name in GOAL_SETS:
        for budget, goal in GOALS.items():
            some = [
                each
                for each in found
                if each["budget"] == budget and fnmatch(each["table"], name)
            ]
            for each in some:
                what = f"{each['table']}: R² at {budget} bytes a row less that of PCA"
                claims.add(what, each["ours"] - each["PCA"], ">=", goal)
                gain = each["ours"] - each["PCA+"]
                claims.add(f"{what}, rounded as ours is", gain, ">=", goal)
    worst = min(found, key=lambda each: each["ours"] - each["PCA"])
    what = f"R² less that of PCA, worst ({worst['table']}, {worst['budget']} bytes)"
    claims.add(what, worst["ours"] - worst["PCA"], ">=", 0)
    worst = min(found, key=lambda each: each["ours"] - each["PCA+"])
    what = f"R² less that of PCA+, worst ({worst['table']}, {worst['budget']} bytes)"
    claims.add(what, worst["ours"] - worst["PCA+"], ">=", -TIE)
    over = max(each["bytes"] / each["budget"] for each in found)
    claims.add("bytes a row / budget, whole blobs, worst", over, "<=", 1.1)
    for coder in ("zlib", "lzma"):
        saved = min(1 - each["bytes"] / each[coder] for each in found)
        claims.add(f"share of bytes saved beside {coder}, least", saved, ">=", 0.06)
    claims.add("longest fit, seconds", max(e["seconds"] for e in found), "<=", 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--only", default="*", help="names or patterns, with commas")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", default="results", help="folder for tables and pictures")
    options = parser.parse_args()
    found, report = [], Table("R² of rows that were compressed", COLUMNS)
    for table in _datasets.load(options.data, 10 * N_FIT):
        wide = table.X.shape[1] >= MIN_COLUMNS and len(table.X) >= MIN_ROWS
        if wide and _datasets.is_named(table, options.only):
            for seed in range(options.seeds):
                for each in measure(table, seed, options.out):
                    found.append(each)
                    report.add(*each.values())
                    print(report.line(-1), flush=True)
    report.show(options.out, "compression")
    claims = Claims()
    claim(found, claims)
    claims.show()


if __name__ == "__main__":
    main()
