"""Time per step of recurrent networks: nnctl and PyTorch, side by side.

    python tests/benchmarks/recurrence.py [--tasks R1 R2 R3] [--threads 2] [--repeats 7] [--seconds 2]

R1 is an LSTM of 128 units over 100 steps of 32 features, R2 a GRU (the reset after the product) over the same, R3 an
LSTM in both directions over 50 steps; batch 64, a dense layer on the last output, Adam, float32. Both contestants start
with the same weights and take the same rows in the same batches, interleaved in one run. nnctl trains through its real
loop (`nnctl.train.loop.fit`): gathering, gradient norm and the training loss of every epoch are in its time. A step of
PyTorch includes gathering. After the first epoch the losses are compared: a fast result that computes something else is
an error. They differ a little, since PyTorch's two biases, which are added, are trained as two.

Everybody may use the same number of threads: nnctl runs that many replicas, PyTorch decides by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from contest import hold

from nnctl.data.batches import Batches
from nnctl.experiment.assembly import set_blas_threads
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


@dataclass(frozen=True)
class Task:
    """One network to train, and how long it may take in PyTorch's time."""

    layer: str
    steps: int
    bidirectional: bool
    goal: float


TASKS = {
    "R1": Task("lstm", 100, bidirectional=False, goal=0.8),
    "R2": Task("gru", 100, bidirectional=False, goal=0.6),
    "R3": Task("lstm", 50, bidirectional=True, goal=1.15),
}
UNITS, FEATURES, CLASSES, BATCH, ROWS = 128, 32, 10, 64, 1024
TORCH_ORDER = {"lstm": [0, 1, 3, 2], "gru": [0, 1, 2]}
"""Which of our gates stands where in PyTorch's weights."""

Contestant = Callable[[int], float]
"""Trains for a number of steps and returns the seconds a step."""


def arrays(task: Task) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, task.steps, FEATURES), dtype=np.float32)
    return x, (x[:, -5:].mean(axis=1) @ rng.standard_normal((FEATURES, CLASSES), dtype=np.float32)).argmax(axis=1)


def network_of(task: Task) -> Network:
    bidirectional = "concat" if task.bidirectional else False
    layers = [{task.layer: {"units": UNITS, "bidirectional": bidirectional}}, {"dense": CLASSES}]
    return Network(Layout(tuple(Layer.parse(layer) for layer in layers), (task.steps, FEATURES)))


def ours(task: Task, x: np.ndarray, y: np.ndarray, threads: int) -> Contestant:
    network, loss = network_of(task), Loss.parse("cross_entropy")
    t = loss.encode(y, CLASSES, np.float32)
    team = Team(network, min(threads, replicas_for(network.layout, BATCH)))
    learner = Learner(network, loss, Optimizer.parse({"adam": 1e-3}), team=team)
    batches, progress = Batches(x, t, None, BATCH, shuffle=False), Progress(Patience(), np.zeros_like(t))
    training = Training(learner, batches, Judge(loss), Examples(x, y, t), None, Plan(0, monitor="train_loss"), progress)

    def train(steps: int) -> float:
        set_blas_threads(1)  # what the replicas of a team get
        plan = replace(training.plan, steps=learner.step + steps)
        started = time.perf_counter()
        for _ in fit(replace(training, plan=plan)):
            pass
        seconds = (time.perf_counter() - started) / steps
        train.loss = loss.value(network.predict(x), t, None, len(x))  # type: ignore[attr-defined]
        return seconds

    return train


def theirs(task: Task, x: np.ndarray, y: np.ndarray, threads: int, *, fused: bool) -> Contestant:
    import torch
    from torch import nn

    kind = nn.LSTM if task.layer == "lstm" else nn.GRU
    recurrent = kind(FEATURES, UNITS, batch_first=True, bidirectional=task.bidirectional)
    head = nn.Linear(UNITS * (1 + task.bidirectional), CLASSES)
    _start_alike(task, recurrent, head)
    parameters = [*recurrent.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, fused=fused)
    criterion = nn.CrossEntropyLoss()
    xs, ys = torch.from_numpy(x), torch.from_numpy(y)

    def outputs(rows: Any) -> Any:
        _, state = recurrent(xs[rows])
        h = state[0] if task.layer == "lstm" else state
        return head(h.transpose(0, 1).reshape(h.shape[1], -1))

    def train(steps: int) -> float:
        torch.set_num_threads(threads)
        started = time.perf_counter()
        for done in range(steps):
            start = done * BATCH % ROWS
            optimizer.zero_grad(set_to_none=True)
            rows = torch.arange(start, start + BATCH)
            criterion(outputs(rows), ys[rows]).backward()
            optimizer.step()
        seconds = (time.perf_counter() - started) / steps
        with torch.no_grad():
            train.loss = criterion(outputs(torch.arange(ROWS)), ys).item()  # type: ignore[attr-defined]
        return seconds

    return train


def _start_alike(task: Task, recurrent: Any, head: Any) -> None:
    """Give PyTorch's layers the weights that ours start with."""
    import torch

    def torch_form(tensor: np.ndarray) -> Any:
        gates = np.split(tensor, len(TORCH_ORDER[task.layer]), axis=-1)
        return torch.from_numpy(np.concatenate([gates[i] for i in TORCH_ORDER[task.layer]], axis=-1).T.copy())

    tensors = network_of(task).tensors()
    with torch.no_grad():
        for direction, suffix in (("forward", ""), ("backward", "_reverse"))[: 1 + task.bidirectional]:
            path = f"0.{task.layer}/0.{direction}"
            getattr(recurrent, f"weight_ih_l0{suffix}").copy_(torch_form(tensors[f"{path}.W"]))
            getattr(recurrent, f"weight_hh_l0{suffix}").copy_(torch_form(tensors[f"{path}.U"]))
            getattr(recurrent, f"bias_ih_l0{suffix}").copy_(torch_form(tensors[f"{path}.b"]))
            getattr(recurrent, f"bias_hh_l0{suffix}").zero_()
        head.weight.copy_(torch.from_numpy(tensors["1.dense.W"].T.copy()))
        head.bias.copy_(torch.from_numpy(tensors["1.dense.b"]))


def contestants(task: Task, threads: int) -> dict[str, Contestant]:
    x, y = arrays(task)
    found: dict[str, Contestant] = {"nnctl": ours(task, x, y, threads)}
    try:
        import torch  # noqa: F401
    except ImportError:
        return found
    return found | {
        "PyTorch": theirs(task, x, y, threads, fused=False),
        "PyTorch fused": theirs(task, x, y, threads, fused=True),
    }


def measure(name: str, task: Task, threads: int, repeats: int, seconds: float) -> None:
    runners = contestants(task, threads)
    per_epoch = ROWS // BATCH
    first = {who: train(per_epoch) for who, train in runners.items()}  # warms up, and every network learns the same
    losses = {who: runner.loss for who, runner in runners.items()}  # type: ignore[attr-defined]
    spread = max(losses.values()) - min(losses.values())
    assert spread < 0.02, f"after one epoch they do not agree: {losses}"
    steps = per_epoch * max(1, round(seconds / first["nnctl"] / per_epoch))
    times: dict[str, list[float]] = {who: [] for who in runners}
    for _ in range(repeats):
        for who, train in runners.items():
            times[who].append(train(steps))
    for who, took in times.items():
        print(
            f"{name:5s}{who:15s}{median(took) * 1e3:8.1f} ms  [{min(took) * 1e3:.1f} .. {max(took) * 1e3:.1f}]"
            f"   loss after an epoch {losses[who]:.4f}",
            flush=True,
        )
    peers = [who for who in times if who != "nnctl"]
    if peers:
        best = min(peers, key=lambda who: median(times[who]))
        ratio, least = median(times["nnctl"]) / median(times[best]), min(times["nnctl"]) / min(times[best])
        verdict = "reached" if ratio <= task.goal else "MISSED"
        print(f"{name:5s}nnctl / {best}: {ratio:.2f} (of the minima {least:.2f})   goal {task.goal:g} {verdict}")


if __name__ == "__main__":
    hold(__doc__, TASKS, measure, default=2.0)
