"""Whole processes, from the shell to the last file written: nnctl beside scikit-learn and, where installed, PyTorch.

    python tests/benchmarks/startup.py [--repeats 9]

`nnctl train` is timed with pictures off. The scikit-learn and PyTorch scripts load the same data, train the
same network for as many epochs and print their test accuracy; they write nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

DIGITS = """
data: {source: digits, split: {validation: 0.15, test: 0.15}}
architecture: [{dense: 128}, relu, {dense: 64}, relu, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 1e-3}
training: {epochs: 50, batch_size: 32}
"""
IRIS = """
data: {source: iris, split: {validation: 0.15, test: 0.15}}
architecture: [{dense: 16}, tanh, {dense: outputs}]
loss: cross_entropy
optimizer: {adam: 1e-2}
training: {epochs: 50, batch_size: 16}
"""
SKLEARN = """
from sklearn.datasets import load_digits; from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier; import warnings; warnings.simplefilter("ignore")
x, y = load_digits(return_X_y=True)
a, b, c, d = train_test_split(x.astype("f4") / 16, y, test_size=0.3, stratify=y, random_state=0)
m = MLPClassifier((128, 64), batch_size=32, max_iter=50, n_iter_no_change=99, tol=0, alpha=0, random_state=0).fit(a, c)
print(m.score(b, d))
"""
TORCH = """
import torch; from sklearn.datasets import load_digits; from sklearn.model_selection import train_test_split
torch.set_num_threads(1); torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
a, b, c, d = map(torch.tensor, train_test_split(x.astype("f4") / 16, y, test_size=0.3, stratify=y, random_state=0))
n = torch.nn
m = n.Sequential(n.Linear(64, 128), n.ReLU(), n.Linear(128, 64), n.ReLU(), n.Linear(64, 10))
o = torch.optim.Adam(m.parameters(), fused=True)
for _ in range(50):
    p = torch.randperm(len(a))
    for i in range(0, len(a), 32):
        r = p[i:i+32]; o.zero_grad(); n.functional.cross_entropy(m(a[r]), c[r]).backward(); o.step()
print((m(b).argmax(1) == d).float().mean().item())
"""


def seconds(command: list[str], repeats: int) -> float:
    took = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
        took.append(time.perf_counter() - started)
    return median(took[1:])  # the first one warms the file cache


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    nnctl = [sys.executable, "-m", "nnctl"]
    with tempfile.TemporaryDirectory() as folder:
        specs = {name: Path(folder) / f"{name}.yaml" for name in ("digits", "iris")}
        specs["digits"].write_text(DIGITS)
        specs["iris"].write_text(IRIS)
        train = ["train", "--no-plot", "--runs-dir", f"{folder}/runs"]
        rows: list[tuple[str, list[str], float | None]] = [
            ("nnctl --help", [*nnctl, "--help"], 0.15),
            ("nnctl validate digits", [*nnctl, "validate", str(specs["digits"])], 0.4),
            ("nnctl train iris", [*nnctl, *train, str(specs["iris"])], 0.4),
            ("nnctl train digits, 50 epochs", [*nnctl, *train, str(specs["digits"])], 0.6),
            ("scikit-learn, digits, 50 epochs", [sys.executable, "-c", SKLEARN], None),
        ]
        if find_spec("torch"):
            rows.append(("PyTorch, digits, 50 epochs", [sys.executable, "-c", TORCH], None))
        for name, command, goal in rows:
            took = seconds(command, repeats)
            verdict = "" if goal is None else f"   goal {goal:.2f} s {'reached' if took <= goal else 'MISSED'}"
            print(f"{name:34s}{took:7.2f} s{verdict}", flush=True)


if __name__ == "__main__":
    main()
