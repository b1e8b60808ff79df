"""Time per step of convolutional networks: nnctl and, where it is installed, PyTorch, side by side.

    python tests/benchmarks/convolution.py [--tasks C1 C2 C3 C4] [--threads 2] [--repeats 7] [--seconds 1]

Both train the same architecture on the same made-up images with the same batch, Adam and number of steps, in float32,
interleaved in one run. nnctl trains through its real loop (`nnctl.train.loop.fit`), with as many replicas and BLAS
threads as its own fixed rules give: shuffling, gathering, gradient norm and the training loss of every epoch are in its
time. A step of PyTorch includes shuffling and gathering too; its loss is not read. It runs with its fused Adam, with
images in the order of channels that it prefers (``channels_last``) and in its plain one; nnctl is held to the faster.
They start from the same weights; the losses before the first step and after the first epoch are compared, since a fast
result that computes something else is an error.

OpenBLAS picks its kernels by the CPU. Where OPENBLAS_CORETYPE names others, products take up to twice as long for NumPy
and not for PyTorch, which brings a BLAS of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from contest import hold

from nnctl.data.batches import Batches
from nnctl.experiment.assembly import blas_threads, set_blas_threads
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.nn.team import Team, replicas_for
from nnctl.optim.optimizers import Optimizer
from nnctl.train.evaluate import Examples, Judge
from nnctl.train.loop import Plan, Progress, Training, fit
from nnctl.train.step import Learner
from nnctl.train.stopping import Patience

CLASSES = 10
LR = 1e-4  # small, so that the losses of all come down alike


@dataclass(frozen=True)
class Task:
    """One network to train: its images, and its layers from the first to the last but one."""

    image: tuple[int, int, int]
    batch: int
    layers: tuple[str, ...]
    rows: int
    goal: float
    """The time of nnctl over that of PyTorch's faster mode, at most."""


NORMED = ("conv 32", "norm", "relu") * 2 + ("conv 64", "norm", "relu") * 2

TASKS = {
    "C1": Task((28, 28, 1), 64, ("conv 32", "relu", "conv 64", "relu", "pool", "dense 128", "relu"), 2048, 1.0),
    "C2": Task((8, 8, 1), 32, ("conv 16", "relu", "conv 32", "relu", "pool"), 1024, 1.0),
    "C3": Task((32, 32, 3), 64, (*NORMED[:6], "pool", *NORMED[6:], "pool"), 1024, 1.6),
    "C4": Task((28, 28, 1), 64, ("conv 32", "relu", *("depthwise 32", "relu") * 2, "pool"), 1024, 1.6),
}

JUDGED = 512
"""Images on which the losses are compared."""

Contestant = Callable[[int], float]
"""Trains for a number of steps and returns the seconds a step."""


def arrays(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return images of noise, each with the faint pattern of its class."""
    rng = np.random.default_rng(0)
    y = rng.integers(CLASSES, size=task.rows)
    patterns = rng.standard_normal((CLASSES, *task.image), dtype=np.float32)
    return rng.standard_normal((task.rows, *task.image), dtype=np.float32) + patterns[y], y


def network_of(task: Task) -> Network:
    spelled = {
        "conv": lambda n: {"conv2d": {"channels": n, "padding": "same", "init": "he_normal"}},
        "depthwise": lambda n: {"conv2d": {"channels": n, "groups": n, "padding": "same", "init": "he_normal"}},
        "dense": lambda n: {"dense": n},
    }
    named = {"norm": "batch_norm", "pool": "max_pool", "relu": "relu"}
    layers: list[Any] = []
    for layer in (*task.layers, f"dense {CLASSES}"):
        kind, _, width = layer.partition(" ")
        layers += ["flatten"] if kind == "dense" and "flatten" not in layers else []
        layers.append(spelled[kind](int(width)) if width else named[kind])
    return Network(Layout(tuple(Layer.parse(layer) for layer in layers), task.image))


def ours(task: Task, x: np.ndarray, y: np.ndarray, threads: int) -> Contestant:
    network = network_of(task)
    layout = network.layout
    loss = Loss.parse("cross_entropy")
    t = loss.encode(y, CLASSES, np.float32)
    team = Team(network, min(threads, replicas_for(layout, task.batch)))
    learner = Learner(network, loss, Optimizer.parse({"adam": LR}), team=team)
    training = Training(
        learner, Batches(x, t, None, task.batch), Judge(loss), Examples(x, y, t), None, Plan(0, monitor="train_loss"),
        Progress(Patience(), np.zeros_like(t)),
    )  # fmt: skip
    chosen = min(threads, blas_threads(layout, task.batch))

    def train(steps: int) -> float:
        set_blas_threads(chosen)
        plan = replace(training.plan, steps=learner.step + steps)
        started = time.perf_counter()
        for _ in fit(replace(training, plan=plan)) if steps else ():
            pass
        seconds = (time.perf_counter() - started) / max(1, steps)
        train.loss = loss.value(network.predict(x[:JUDGED]), t[:JUDGED], None, JUDGED)  # type: ignore[attr-defined]
        return seconds

    return train


def weights_for_torch(network: Network) -> Iterator[np.ndarray]:
    """Yield the trained tensors in PyTorch's order and form: channels before pixels, outputs before inputs."""
    tensors, image = network.tensors(network.theta), (0, 0, 0)
    for row in network.layout.rows[1:]:
        if row.layer.name == "flatten":
            image = row.in_shape
        for name, param in row.layer.params(row.in_shape).items():
            tensor = tensors.get(f"{row.path}.{name}")
            if name != "W" and param.trainable:
                yield tensor
            elif name == "W" and tensor.ndim == 4:
                yield tensor.transpose(3, 2, 0, 1)
            elif name == "W" and len(tensor) == np.prod(image):  # the dense layer that sees the image
                yield tensor.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(tensor.shape).T
            elif name == "W":
                yield tensor.T


def theirs(task: Task, x: np.ndarray, y: np.ndarray, threads: int, *, channels_last: bool) -> Contestant:
    import torch
    from torch import nn

    layers: list[Any] = []
    height, width, channels = task.image
    for layer in task.layers:
        kind, _, out = layer.partition(" ")
        if kind in {"conv", "depthwise"}:
            layers.append(nn.Conv2d(channels, int(out), 3, padding=1, groups=channels if kind == "depthwise" else 1))
            channels = int(out)
        elif kind == "dense":
            layers += [nn.Flatten(), nn.Linear(height * width * channels, int(out))]
            height, width, channels = 1, 1, int(out)
        elif kind == "pool":
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        else:
            layers.append(nn.BatchNorm2d(channels) if kind == "norm" else nn.ReLU())
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(height * width * channels, CLASSES))
    with torch.no_grad():
        for tensor, weights in zip(model.parameters(), weights_for_torch(network_of(task)), strict=True):
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(weights)))
    images = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    if channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    labels = torch.from_numpy(y)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    criterion = nn.CrossEntropyLoss()

    def train(steps: int) -> float:
        torch.set_num_threads(threads)
        model.train()
        started = time.perf_counter()
        done = 0
        while done < steps:
            order = torch.randperm(task.rows)
            for start in range(0, task.rows, task.batch):
                rows = order[start : start + task.batch]
                optimizer.zero_grad(set_to_none=True)
                criterion(model(images[rows]), labels[rows]).backward()
                optimizer.step()
                done += 1
                if done == steps:
                    break
        seconds = (time.perf_counter() - started) / max(1, steps)
        with torch.no_grad():
            train.loss = criterion(model.eval()(images[:JUDGED]), labels[:JUDGED]).item()  # type: ignore[attr-defined]
        return seconds

    return train


def contestants(task: Task, threads: int) -> dict[str, Contestant]:
    x, y = arrays(task)
    found = {"nnctl": ours(task, x, y, threads)}
    try:
        import torch  # noqa: F401
    except ImportError:
        return found
    return found | {
        "PyTorch": theirs(task, x, y, threads, channels_last=False),
        "PyTorch channels_last": theirs(task, x, y, threads, channels_last=True),
    }


def measure(name: str, task: Task, threads: int, repeats: int, seconds: float) -> None:
    runners = contestants(task, threads)
    per_epoch = task.rows // task.batch
    for train in runners.values():
        train(0)
    start = {who: runner.loss for who, runner in runners.items()}  # type: ignore[attr-defined]
    assert max(start.values()) - min(start.values()) < 1e-4, f"before the first step they do not agree: {start}"
    first = {who: train(per_epoch) for who, train in runners.items()}  # warms up, and every network learns the same
    losses = {who: runner.loss for who, runner in runners.items()}  # type: ignore[attr-defined]
    spread = max(losses.values()) - min(losses.values())
    assert spread < start["nnctl"] / 10, f"after one epoch they do not agree: {losses}"  # the order of rows differs
    steps = max(1, round(seconds / first["nnctl"]))
    times: dict[str, list[float]] = {who: [] for who in runners}
    for _ in range(repeats):
        for who, train in runners.items():
            times[who].append(train(steps))
    for who, took in times.items():
        print(
            f"{name} {who:22s}{median(took) * 1e3:9.2f} ms  [{min(took) * 1e3:.2f} .. {max(took) * 1e3:.2f}]"
            f"   loss after an epoch {losses[who]:.3g}",
            flush=True,
        )
    if len(times) > 1:
        mine, best = median(times["nnctl"]), min(median(took) for who, took in times.items() if who != "nnctl")
        ratio, least = mine / best, min(times["nnctl"]) / min(min(t) for who, t in times.items() if who != "nnctl")
        verdict = "reached" if ratio <= task.goal else "MISSED"
        print(
            f"{name} nnctl / PyTorch's faster mode {ratio:.2f}, of the minima {least:.2f}; goal {task.goal} {verdict}"
        )


if __name__ == "__main__":
    hold(__doc__, TASKS, measure)
