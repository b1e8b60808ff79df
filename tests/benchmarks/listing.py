"""Two thousand runs, listed and compared by whole processes, beside the start of nnctl alone.

    python tests/benchmarks/listing.py [--runs 2000] [--repeats 9]

The runs are generated: four optimizers, five learning rates, ten seeds, and so on round; nine in ten are done, the rest
were killed, so that their metrics.jsonl has to be read.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

GOAL = 0.4
OPTIMIZERS = {
    "sgd": {"lr": 0.1},
    "momentum": {"lr": 0.02, "beta": 0.9},
    "adam": {"lr": 0.001, "beta1": 0.9, "beta2": 0.999},
    "adamw": {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.01},
}


def generate(folder: Path, count: int) -> None:
    """Write the directories of so many runs."""
    chance = random.Random(0)
    for i in range(count):
        name = list(OPTIMIZERS)[i // 10 % 4]
        fields = {**OPTIMIZERS[name], "lr": OPTIMIZERS[name]["lr"] * 2 ** (i // 40 % 5)}
        spec = {
            "name": name,
            "seed": i % 10,
            "data": {"source": "digits", "split": {"validation": 0.15, "test": 0.15, "shuffle": True}},
            "architecture": [
                {"dense": {"units": 64 + i // 200, "bias": True}},
                "relu",
                {"dense": {"units": "outputs"}},
            ],
            "loss": {"cross_entropy": {"label_smoothing": 0.0}},
            "optimizer": {name: fields},
            "training": {"epochs": 30, "batch_size": 32, "shuffle": True, "dtype": "float32"},
        }
        loss = chance.lognormvariate(-2, 0.3)
        killed = i % 10 == 9
        run = folder / f"{name}-20260101-{i:06d}-{i:04x}"
        run.mkdir()
        record = {
            "format": 1,
            "name": name,
            "status": "running" if killed else "done",
            "created": f"2026-01-{1 + i // 100:02d}T00:{i // 60 % 60:02d}:{i % 60:02d}+00:00",
            "environment": {
                "nnctl": "0.1.0",
                "python": "3.11",
                "numpy": "2.4",
                "cores": 2,
                "threads": 2,
                "seed": i % 10,
            },
            "spec": spec,
        }
        if not killed:
            figures = {"loss": loss, "accuracy": 1 - loss / 4}
            record["summary"] = {
                "reason": "all steps done",
                "epochs": 30,
                "steps": 1200,
                "monitor": "val_loss",
                "best_epoch": 30,
                "best_value": loss,
                "weights": "last",
                "metrics": {"train": figures, "validation": figures, "test": figures},
                "parameters": 4810,
                "seconds": 0.2,
            }
        (run / "run.json").write_text(json.dumps(record, indent=2))
        (run / "metrics.jsonl").write_text("".join(epoch(e, loss) for e in range(1, 31)))


def epoch(number: int, loss: float) -> str:
    """Return one record of metrics.jsonl."""
    value = loss + 2 / number
    figures = {"train_loss": value, "train_accuracy": 0.9, "val_loss": value, "val_accuracy": 0.9}
    rest = {"lr": 1e-3, "grad_norm": 1.0, "grad_norm_max": 2.0, "penalty": 0.0, "seconds": 0.01 * number, "best": True}
    return json.dumps({"epoch": number, "step": 40 * number, **figures, **rest}) + "\n"


def seconds(command: list[str], repeats: int) -> tuple[float, float]:
    """Return the time of a command by the clock and on the processor, which other programs lengthen less."""
    took = []
    for _ in range(repeats + 1):
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        clock, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append((clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    clock, processor = zip(*took[1:], strict=True)  # the first one warms the file cache
    return median(clock), median(processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    nnctl = [sys.executable, "-m", "nnctl"]
    with tempfile.TemporaryDirectory() as folder:
        runs, none = Path(folder) / "runs", Path(folder) / "none"
        runs.mkdir()
        none.mkdir()
        generate(runs, options.runs)
        print(f"{options.runs:,} runs; median of {options.repeats} processes")
        for words in (["ls"], ["ls", "--json"], ["compare"], ["compare", "--where", "optimizer=adam and lr<0.005"]):
            start, start_cpu = seconds([*nnctl, *words[:1], str(none)], options.repeats)
            took, took_cpu = seconds([*nnctl, *words, str(runs)], options.repeats)
            goal = f"   goal {GOAL} s {'reached' if took - start <= GOAL else 'MISSED'}" if len(words) == 1 else ""
            more = f"{took - start:.2f} s more ({took_cpu - start_cpu:.2f} on the processor)"
            print(f"nnctl {' '.join(words):45s}{start:.2f} s ({start_cpu:.2f}) to start, {more}{goal}", flush=True)


if __name__ == "__main__":
    main()
