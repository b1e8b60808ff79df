"""Run directories made by hand: what `nnctl train` would have left, in a millisecond."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPEC: dict[str, Any] = {
    "name": "toy",
    "seed": 0,
    "data": {"source": "iris", "split": {"validation": 0.15, "test": 0.15}},
    "architecture": [{"dense": {"units": 8, "bias": True}}, "relu", {"dense": {"units": "outputs", "bias": True}}],
    "loss": {"cross_entropy": {"label_smoothing": 0.0}},
    "optimizer": {"adam": {"lr": 0.001, "beta1": 0.9}},
    "training": {"epochs": 3},
}


def make_run(root: Path, name: str, value: float = 0.5, *, status: str = "done", **spec: Any) -> Path:
    """Write the directory of a run that ended with a validation loss, or stands at it."""
    path = root / name
    path.mkdir(parents=True)
    full = {**SPEC, "name": name.split("-", maxsplit=1)[0], **spec}
    created = f"2026-01-01T00:00:{len(list(root.iterdir())):02d}+00:00"
    record: dict[str, Any] = {
        "format": 1,
        "name": full["name"],
        "status": status,
        "created": created,
        "environment": {"numpy": "2.4.0", "blas_threads": 1, "seed": full["seed"]},
        "spec": full,
    }
    if status == "done":
        record["summary"] = {
            "reason": "all steps done",
            "epochs": 3,
            "steps": 12,
            "monitor": full.get("early_stopping", {}).get("monitor", "val_loss"),
            "best_epoch": 3,
            "best_value": value,
            "weights": "best",
            "metrics": {
                "train": {"loss": value / 2, "accuracy": 0.99},
                "validation": {"loss": value, "accuracy": 1 - value},
                "test": {"loss": value * 1.1, "accuracy": 0.9},
            },
            "parameters": 67,
            "seconds": 0.25,
        }
    (path / "run.json").write_text(json.dumps(record))
    (path / "metrics.jsonl").write_text("".join(line(epoch, value) for epoch in (1, 2, 3)))
    return path


def line(epoch: int, value: float, **more: Any) -> str:
    """Return a line of metrics.jsonl whose validation loss falls to a value in epoch 3."""
    loss = value + 3 - epoch
    record = {"epoch": epoch, "step": 4 * epoch, "train_loss": loss, "val_loss": loss, "seconds": 0.1 * epoch}
    return json.dumps({**record, "best": True, **more}) + "\n"


def make_check(root: Path, name: str, verdict: str = "warn") -> Path:
    """Write the directory of a check."""
    path = root / name
    path.mkdir(parents=True)
    record = {"format": 1, "check": "lr-find", "name": "toy", "status": "done", "created": "2026-01-02T00:00:00+00:00"}
    finding = {"rule": "flat", "verdict": verdict, "message": "The curve is flat.", "fix": "Look.", "where": ""}
    record |= {"verdict": verdict, "headline": "lr 0.01 suits", "findings": [finding]}
    (path / "check.json").write_text(json.dumps(record))
    return path
