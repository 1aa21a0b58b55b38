"""What a fit costs beside a bare torch loop, MLPRegressor and PyOD.

The same network, batch size and number of epochs, no early stopping, one process; the best
of several interleaved runs each, so that a busy machine hits all alike. The floor is the
time of a step's matrix products alone. Then ``transform`` beside the bare network, and the
peak memory of ``fit`` on a large array, in a process of its own.
"""

import argparse
import contextlib
import io
import itertools
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from torch import nn
from torch.nn import functional as F

from benchmarks._report import Claims, Table
from sk_autoencoder import AutoencoderTransformer

# name: layers of the encoder, batch size, rows
NETWORKS = {
    "64-64-32-8": ([64, 64, 32, 8], 256, 20_000),
    "784-256-64-16": ([784, 256, 64, 16], 256, 5_000),
    "20-32-4": ([20, 32, 4], 128, 20_000),
}
EPOCHS = 10


def bare_network(sizes: Sequence[int]) -> nn.Sequential:
    """Return the network that all rivals train: ReLU between layers, a linear code."""
    layers: list[nn.Module] = []
    for widths in (sizes, sizes[::-1]):
        for n_in, n_out in itertools.pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        layers.pop()
    return nn.Sequential(*layers)


def bare_loop(X: np.ndarray, sizes: Sequence[int], batch_size: int, n_threads: int) -> None:
    """Train as a careful hand would: tensor slices and a fused Adam."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    rows = torch.from_numpy(X)
    network = bare_network(sizes)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, fused=True)
    for _ in range(EPOCHS):
        for batch in rows[torch.randperm(len(rows))].split(batch_size):
            optimizer.zero_grad()
            F.mse_loss(network(batch), batch).backward()
            optimizer.step()
    torch.set_num_threads(before)


def floor(X: np.ndarray, sizes: Sequence[int], batch_size: int, n_threads: int) -> None:
    """Do only the matrix products: one forward and two backward a layer."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    widths = [*itertools.pairwise(sizes), *itertools.pairwise(sizes[::-1])]
    shapes = [
        (torch.randn(batch_size, a), torch.randn(a, b), torch.randn(batch_size, b))
        for a, b in widths
    ]
    for _ in range(EPOCHS * -(-len(X) // batch_size)):
        for x, weight, gradient in shapes:
            x @ weight
            gradient @ weight.T
            x.T @ gradient
    torch.set_num_threads(before)


def ours(X: np.ndarray, sizes: Sequence[int], batch_size: int) -> AutoencoderTransformer:
    """Fit the same network with this library."""
    return AutoencoderTransformer(
        sizes[-1],
        hidden_layer_sizes=sizes[1:-1],
        activation="relu",
        init="random",
        noise_level=0,
        batch_size=batch_size,
        max_epochs=EPOCHS,
        early_stopping=False,
        device="cpu",
        random_state=0,
    ).fit(X)


def mlp_regressor(X: np.ndarray, sizes: Sequence[int], batch_size: int) -> None:
    """Fit scikit-learn's network to (X, X); its code is a ReLU too."""
    hidden = [*sizes[1:], *sizes[-2:0:-1]]
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        MLPRegressor(
            hidden_layer_sizes=hidden,
            batch_size=batch_size,
            max_iter=EPOCHS,
            tol=0,
            n_iter_no_change=EPOCHS + 1,
        ).fit(X, X)


def pyod_autoencoder(
    X: np.ndarray, sizes: Sequence[int], batch_size: int, **params
) -> None:
    """Fit PyOD's autoencoder."""
    from pyod.models.auto_encoder import AutoEncoder

    with contextlib.redirect_stderr(io.StringIO()):
        AutoEncoder(
            hidden_neuron_list=sizes[1:],
            epoch_num=EPOCHS,
            batch_size=batch_size,
            verbose=0,
            device="cpu",
            **params,
        ).fit(X)


def interleaved(runs: dict[str, Callable[[], object]], n_rounds: int) -> dict[str, float]:
    """Return the shortest time of each run in seconds, all runs once a round."""
    best = dict.fromkeys(runs, np.inf)
    for _ in range(n_rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def measure_fits(n_rounds: int, with_pyod: bool, claims: Claims) -> Table:
    """Time every rival on every network."""
    rivals = ["PyOD, bare", "PyOD"]  # without and with its batch norm and dropout
    table = Table("us a step", ["network", "floor", "bare", "ours", "MLP", *rivals])
    n_threads = torch.get_num_threads()
    for name, (sizes, batch_size, n_rows) in NETWORKS.items():
        X = np.random.default_rng(0).normal(size=(n_rows, sizes[0])).astype(np.float32)
        args = (X, sizes, batch_size)
        runs = {
            "floor": lambda args=args: floor(*args, n_threads=1),
            "floor, all threads": lambda args=args: floor(*args, n_threads=n_threads),
            "bare": lambda args=args: bare_loop(*args, n_threads=1),
            "bare, all threads": lambda args=args: bare_loop(*args, n_threads=n_threads),
            "ours": lambda args=args: ours(*args),
            "MLP": lambda args=args: mlp_regressor(*args),
        }
        seconds = interleaved(runs, n_rounds)
        for key in ("floor", "bare"):
            seconds[key] = min(seconds[key], seconds.pop(f"{key}, all threads"))
        seconds |= dict.fromkeys(rivals, np.nan)
        if with_pyod:
            pyod = {
                "PyOD, bare": lambda args=args: pyod_autoencoder(
                    *args, batch_norm=False, dropout_rate=0
                ),
                "PyOD": lambda args=args: pyod_autoencoder(*args),
            }
            seconds |= interleaved(pyod, 2)
            for key in rivals:
                ratio = seconds[key] / seconds["ours"]
                claims.add(f"{name}: {key} / ours", ratio, ">=", 6)
        claims.add(f"{name}: ours / bare", seconds["ours"] / seconds["bare"], "<=", 1.15)
        claims.add(f"{name}: ours / MLP", seconds["ours"] / seconds["MLP"], "<=", 1.1)
        n_steps = EPOCHS * -(-n_rows // batch_size)
        table.add(name, *(seconds[key] / n_steps * 1e6 for key in table.columns[1:]))
    return table


def measure_transform(n_rounds: int, claims: Claims) -> Table:
    """Time ``transform`` beside the bare encoder."""
    sizes, batch_size, _ = NETWORKS["64-64-32-8"]
    X = np.random.default_rng(0).normal(size=(1_000_000, 64)).astype(np.float32)
    fitted = ours(X[:5_000], sizes, batch_size)
    encoder, rows = fitted.network_.encoder, torch.from_numpy(X)

    def bare() -> None:
        with torch.inference_mode():
            encoder(rows).numpy()

    def bare_in_batches() -> None:
        with torch.inference_mode():
            torch.cat([encoder(batch) for batch in rows.split(4096)]).numpy()

    seconds = interleaved(
        {"whole": bare, "batches": bare_in_batches, "ours": lambda: fitted.transform(X)},
        n_rounds,
    )
    best = min(seconds["whole"], seconds["batches"])
    claims.add("transform: rate of the bare network", best / seconds["ours"], ">=", 0.8)
    table = Table("transform of 1,000,000 x 64, seconds", list(seconds))
    table.add(*seconds.values())
    return table


MEMORY = """
import sys, threading, time
import numpy as np
from sk_autoencoder import AutoencoderTransformer
def anonymous():  # memory of the process in bytes, without pages of mapped files
    with open("/proc/self/status") as status:
        return 1024 * int(next(s for s in status if s.startswith("RssAnon")).split()[1])
AutoencoderTransformer(8, max_epochs=1, random_state=0).fit(np.eye(100, 64, dtype="f4"))
before = anonymous()
X = np.load(sys.argv[1], mmap_mode="r")
if sys.argv[2] == "array":
    X = np.array(X)
peak, done = [0], threading.Event()
def watch():
    while not done.wait(0.02):
        peak[0] = max(peak[0], anonymous() - before)
watcher = threading.Thread(target=watch)
watcher.start()
AutoencoderTransformer(8, max_epochs=1, batch_size=4096, random_state=0).fit(X)
done.set()
watcher.join()
print(peak[0] / X.nbytes)
"""


def measure_memory(claims: Claims) -> None:
    """Measure the peak of a fit on 1 GB, as a share of the array; in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "X.npy"
        X = np.lib.format.open_memmap(file, "w+", np.float32, (4_000_000, 64))
        rng = np.random.default_rng(0)
        for part in np.array_split(X, 100):
            part[:] = rng.normal(size=part.shape)
        X.flush()
        for kind, bound in (("array", 1.3), ("memory map", 0.3)):
            command = [sys.executable, "-c", MEMORY, str(file), kind]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
            claims.add(f"peak memory of fit / {kind}", float(run.stdout), "<=", bound)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="runs; the best counts")
    parser.add_argument("--no-pyod", action="store_true", help="leave PyOD out")
    parser.add_argument("--no-memory", action="store_true", help="leave peak memory out")
    parser.add_argument("--out", default="results", help="folder for the tables")
    options = parser.parse_args()
    claims = Claims()
    measure_fits(options.rounds, not options.no_pyod, claims).show(options.out, "overhead")
    measure_transform(options.rounds, claims).show(options.out, "overhead_transform")
    if not options.no_memory:
        measure_memory(claims)
    claims.show()


if __name__ == "__main__":
    main()
