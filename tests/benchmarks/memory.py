"""What a training takes in memory, beside its price.

    python tests/benchmarks/memory.py [--specs NAME ...] [--torch]

Twenty specs over all families are trained for a few steps, each in a fresh process that evaluates, writes checkpoints
and ends as a training does. True is the growth of the process's resident memory (the largest it ever had, less what it
had before the data were read, when everything is imported and BLAS has its buffers): what a machine or a container must
have, with the temporary arrays of NumPy and what the allocator keeps. The price is `Experiment.memory`, told before
anything but the data is allocated. Every one is to be within a quarter of the truth; the program ends with 1 where one
is not.

With ``--torch``, where it is installed, the same growth for the networks of ``convolution.py``, ``recurrence.py`` and
``attention.py`` in place of the twenty: that of a fresh process in which nnctl trains them, and PyTorch.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

WITHIN = 0.25

MIB = 2**20


def dense(*widths: int) -> list[Any]:
    return [layer for width in widths for layer in ({"dense": width}, "relu")] + [{"dense": "outputs"}]


def image(channels: list[Any]) -> list[Any]:
    return [*channels, "flatten", {"dense": "outputs"}]


def conv(channels: int, **fields: Any) -> dict[str, Any]:
    return {"conv2d": {"channels": channels, "padding": "same", **fields}}


NORMED = [conv(32), "batch_norm", "relu", conv(32), "batch_norm", "relu", "max_pool"]
BLOCK = {"residual": [conv(32), "batch_norm", "relu", conv(32), "batch_norm"]}
ENCODER = {"repeat": {"layers": [{"transformer_block": {"heads": 4, "ff": 512}}], "times": 2}}

SPECS: dict[str, dict[str, Any]] = {
    "dense": {"x": (20_000, 784), "net": dense(512, 256), "batch": 128},
    "dense, wide": {"x": (4_000, 784), "net": dense(2048, 2048), "batch": 512},
    "dense, wide, SGD": {"x": (4_000, 784), "net": dense(4096, 2048), "batch": 64, "optimizer": {"sgd": 0.01}},
    "dense, float64": {"x": (8_000, 500), "net": dense(1024, 1024), "batch": 256, "dtype": "float64"},
    "dense, dropout": {"x": (8_000, 784), "batch": 1024,
                       "net": [{"dense": 2048}, "batch_norm", "gelu", "dropout", {"dense": "outputs"}]},
    "convolution": {"x": (2_048, 28, 28, 1), "batch": 64,
                    "net": image([conv(32), "relu", conv(64), "relu", "max_pool", "flatten", {"dense": 128}, "relu"])},
    "convolution, batch norm": {"x": (1_024, 32, 32, 3), "net": image([*NORMED, *NORMED]), "batch": 64},
    "residual blocks": {"x": (1_024, 28, 28, 1), "batch": 64,
                        "net": [conv(32), BLOCK, "relu", BLOCK, "relu", "global_avg_pool", {"dense": "outputs"}]},
    "transposed convolution": {"x": (1_024, 14, 14, 4), "batch": 64,
                               "net": image([conv(16), "relu", {"conv2d_transpose": {"channels": 16, "stride": 2,
                                             "padding": "same"}}, "elu", conv(8, stride=2)])},
    "depthwise, group norm": {"x": (1_024, 28, 28, 1), "batch": 64,
                              "net": image([conv(32), {"group_norm": 8}, "swish", conv(32, groups=32), "relu"])},
    "rnn": {"x": (2_000, 100, 32), "net": [{"rnn": {"units": 256, "layers": 2}}, {"dense": "outputs"}], "batch": 64},
    "lstm": {"x": (2_000, 100, 32), "net": [{"lstm": 128}, {"dense": "outputs"}], "batch": 64},
    "lstm, long": {"x": (500, 1000, 8), "net": [{"lstm": 64}, {"dense": "outputs"}], "batch": 32},
    "lstm, both directions": {"x": (2_000, 50, 64), "batch": 64,
                              "net": [{"lstm": {"units": 128, "bidirectional": "concat"}}, {"dense": "outputs"}]},
    "gru": {"x": (2_000, 100, 32), "net": [{"gru": {"units": 128, "returns": "mean"}}, {"dense": "outputs"}],
            "batch": 64},
    "transformer": {"x": (1_000, 64, 128), "net": [ENCODER, "layer_norm", "global_avg_pool", {"dense": "outputs"}],
                    "batch": 32},
    "transformer, long": {"x": (200, 512, 64), "batch": 8,
                          "net": [{"transformer_block": {"heads": 4, "dropout": 0.1}}, "global_avg_pool",
                                  {"dense": "outputs"}]},
    "labelled texts": {"texts": 4_000, "batch": 64,
                       "net": [{"embedding": 64}, {"lstm": 128}, {"dense": "outputs"}]},
    "language model": {"text": 400_000, "batch": 32,
                       "net": [{"transformer_decoder": {"width": 128, "heads": 4, "depth": 2}}]},
    "images on the disk": {"images": 600, "batch": 32,
                           "net": [conv(16), "relu", "max_pool", conv(32), "relu", "global_avg_pool",
                                   {"dense": "outputs"}]},
}  # fmt: skip


def source(task: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the data of a task and return the section of a spec that reads them."""
    rng = np.random.default_rng(0)
    split = {"validation": 0.2, "test": 0.1}
    if "x" in task:
        n = task["x"][0]
        np.savez(folder / "data.npz", x=rng.standard_normal(task["x"], dtype=np.float32), y=np.arange(n) % 10)
        return {"source": {"npz": {"path": "data.npz"}}, "split": split, "scaling": "none"}
    words = [bytes(rng.integers(97, 123, rng.integers(2, 9), dtype=np.uint8)).decode() for _ in range(2_000)]
    if "texts" in task:
        rows = (f"{' '.join(rng.choice(words, rng.integers(20, 100)))},{k % 4}\n" for k in range(task["texts"]))
        (folder / "data.csv").write_text("text,label\n" + "".join(rows))
        return {"source": {"texts": {"path": "data.csv", "max_length": 100}}, "split": split}
    if "text" in task:
        (folder / "data.txt").write_text(" ".join(rng.choice(words, task["text"] // 6)))
        return {"source": {"text": {"path": "data.txt", "context": 128}}}
    from PIL import Image

    for k in range(task["images"]):
        place = folder / "images" / str(k % 3)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(place / f"{k}.png")
    return {"source": {"images": {"path": "images", "keep": "disk"}}, "split": split}


def spec_of(task: dict[str, Any], folder: Path) -> Path:
    spec = {
        "name": "memory",
        "data": source(task, folder),
        "architecture": task["net"],
        "loss": "cross_entropy",
        "optimizer": task.get("optimizer", {"adam": 1e-3}),
        "training": {"steps": 12, "batch_size": task["batch"], "dtype": task.get("dtype", "float32")},
    }
    path = folder / "spec.yaml"
    path.write_text(json.dumps(spec))
    return path


def resident() -> int:
    """Return the bytes that are resident now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def largest() -> int:
    """Return the most that ever were, since `forget`."""
    return next(
        1024 * int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )


def forget() -> None:
    """Let the largest begin anew from what there is."""
    Path("/proc/self/clear_refs").write_text("5")


def train(path: str) -> None:
    """Train a spec in this process, and print its price and what it took."""
    warm_up()
    from nnctl.experiment.assembly import Experiment
    from nnctl.experiment.session import Session
    from nnctl.spec.load import load_spec

    loaded = load_spec(path)
    forget()
    before = resident()
    experiment = Experiment(loaded)
    session = Session.start(experiment, Path(path).parent / "runs")
    for _ in session.epochs():
        session._save()
    print(json.dumps({"true": largest() - before, **vars(experiment.memory), "price": experiment.memory.total}))


def warm_up() -> None:
    """Import all that a training does, and let it do everything once on a spec that is too small to count."""
    import polars as pl  # noqa: F401 - reads tables
    from PIL import Image  # noqa: F401 - reads pictures

    from nnctl.experiment.session import train_spec

    with tempfile.TemporaryDirectory() as folder:
        tiny = {"x": (200, 8, 8, 1), "net": [conv(2), "relu", "flatten", {"dense": "outputs"}], "batch": 8}
        train_spec(spec_of(tiny, Path(folder)), Path(folder) / "runs")
    a = np.ones((512, 512), np.float32)
    np.dot(a, a)


def measured(task: dict[str, Any]) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        return in_a_process("--train", str(spec_of(task, Path(folder))))


def in_a_process(*arguments: str) -> dict[str, int]:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


PEERS: dict[str, tuple[str, dict[str, bool]]] = {
    **dict.fromkeys(("C1", "C2", "C3", "C4"), ("convolution", {"channels_last": True})),
    **dict.fromkeys(("R1", "R2", "R3"), ("recurrence", {"fused": True})),
    "X1-relu": ("attention", {"by_hand": False}),
}
"""The networks that PyTorch trains too: where they are described, and its usual form there."""


def train_peer(name: str, who: str) -> None:
    """Train one of those networks for some steps in this process, and print what it took."""
    warm_up()
    kind, form = PEERS[name]
    module = importlib.import_module(kind)
    task = module.TASKS[name]
    x, y = module.arrays(task)
    if who == "PyTorch":
        import torch

        torch.ones(512, 512) @ torch.ones(512, 512)
    forget()
    before = resident()
    module.ours(task, x, y, 2)(20) if who == "nnctl" else module.theirs(task, x, y, 2, **form)(20)
    print(json.dumps({"true": largest() - before}))


def beside_torch() -> None:
    print(f"{'MiB':10s}{'nnctl':>8s}{'PyTorch':>9s}")
    for name in PEERS:
        ours, theirs = (in_a_process("--peer", name, who)["true"] / MIB for who in ("nnctl", "PyTorch"))
        print(f"{name:10s}{ours:8.1f}{theirs:9.1f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specs", nargs="*", default=list(SPECS), choices=list(SPECS))
    parser.add_argument("--train", metavar="SPEC", help=argparse.SUPPRESS)
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--torch", action="store_true", help="the networks that PyTorch trains too")
    chosen = parser.parse_args()
    if chosen.train:
        train(chosen.train)
        return 0
    if chosen.peer:
        train_peer(*chosen.peer)
        return 0
    if chosen.torch:
        beside_torch()
        return 0
    print(f"{'MiB':25s}{'price':>8s}{'true':>8s}{'ratio':>7s}   data, copies, parameters, activations, evaluation")
    wrong = 0
    for name in chosen.specs:
        found = measured(SPECS[name])
        ratio = found["price"] / found["true"]
        wrong += abs(ratio - 1) > WITHIN
        parts = ", ".join(
            f"{found[part] / MIB:.1f}" for part in ("data", "copies", "parameters", "activations", "evaluation")
        )
        mark = "" if abs(ratio - 1) <= WITHIN else "  OFF"
        print(
            f"{name:25s}{found['price'] / MIB:8.1f}{found['true'] / MIB:8.1f}{ratio:7.2f}   {parts}{mark}", flush=True
        )
    print(f"{len(chosen.specs) - wrong} of {len(chosen.specs)} within {WITHIN:.0%}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
