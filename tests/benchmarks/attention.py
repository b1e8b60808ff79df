"""Time per step of a transformer encoder: nnctl and, where it is installed, PyTorch, side by side.

    python tests/benchmarks/attention.py [--tasks X1-relu X1-gelu] [--threads 2] [--repeats 7] [--steps 10]

X1: width 128, 4 heads, feed-forward 512, 2 pre-norm blocks, mean over the positions, dense 10; sequences of 64, batch
32, Adam. The rules are those of `dense.py`: the same arrays, batch, optimizer and number of steps in float32,
interleaved in one run, nnctl through its real training loop (`nnctl.train.loop.fit`), PyTorch's loss not even read.
PyTorch has the fused Adam, once with its own `nn.TransformerEncoderLayer` and once written by hand around
`scaled_dot_product_attention`. First all train for three steps on one and the same batch, from the same weights; unless
the losses agree to a thousandth, a fast result that computes something else would be compared, and that is an error.

nnctl has as many replicas as its fixed rule gives it, with one BLAS thread each; PyTorch uses all threads.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
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


@dataclass(frozen=True)
class Task:
    """One encoder to train."""

    activation: str
    width: int = 128
    heads: int = 4
    ff: int = 512
    blocks: int = 2
    length: int = 64
    batch: int = 32
    rows: int = 320
    classes: int = 10


TASKS = {"X1-relu": Task("relu"), "X1-gelu": Task("gelu")}
GOAL = 0.95
"""nnctl's time over that of PyTorch's faster form, at most."""
AGREED = 3
"""Steps after which the losses are compared."""

Contestant = Callable[[int], float]
"""Trains for a number of steps and returns the seconds a step."""


def arrays(task: Task) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((task.rows, task.length, task.width), dtype=np.float32)
    return x, rng.integers(0, task.classes, task.rows)


def layout_of(task: Task) -> Layout:
    block = {"heads": task.heads, "ff": task.ff, "activation": task.activation}
    layers = [{"transformer_block": block}] * task.blocks + ["global_avg_pool", {"dense": task.classes}]
    return Layout(tuple(Layer.parse(layer) for layer in layers), (task.length, task.width))


def ours(task: Task, x: np.ndarray, y: np.ndarray, threads: int) -> Contestant:
    layout = layout_of(task)
    loss, network = Loss.parse("cross_entropy"), Network(layout)
    t = loss.encode(y, task.classes, np.float32)
    replicas = min(threads, replicas_for(layout, task.batch))
    chosen = 1 if replicas > 1 else min(threads, blas_threads(layout, task.batch))
    learner = Learner(network, loss, Optimizer.parse({"adam": 1e-3}), team=Team(network, replicas))
    batches, progress = Batches(x, t, None, task.batch), Progress(Patience(), np.zeros_like(t))
    training = Training(learner, batches, Judge(loss), Examples(x, y, t), None, Plan(0, monitor="train_loss"), progress)

    def train(steps: int) -> float:
        set_blas_threads(chosen)
        plan = replace(training.plan, steps=learner.step + steps)
        started = time.perf_counter()
        for _ in fit(replace(training, plan=plan)):
            pass
        seconds = (time.perf_counter() - started) / steps
        train.loss = loss.value(network.predict(x), t, None, len(x))  # type: ignore[attr-defined]
        return seconds

    return train


def theirs(task: Task, x: np.ndarray, y: np.ndarray, threads: int, *, by_hand: bool) -> Contestant:
    import torch
    from torch import nn

    model = _torch_model(task, by_hand=by_hand)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    criterion = nn.CrossEntropyLoss()
    xs, ys = torch.from_numpy(x), torch.from_numpy(y)

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
                criterion(model(xs[rows]), ys[rows]).backward()
                optimizer.step()
                done += 1
                if done == steps:
                    break
        seconds = (time.perf_counter() - started) / steps
        with torch.no_grad():
            train.loss = criterion(model(xs), ys).item()  # type: ignore[attr-defined]
        return seconds

    return train


def _torch_model(task: Task, *, by_hand: bool) -> Any:
    """Return the encoder with the weights that nnctl starts from."""
    import torch
    from torch import nn
    from torch.nn import functional

    D, ff = task.width, task.ff
    act = functional.relu if task.activation == "relu" else lambda u: functional.gelu(u, approximate="tanh")

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(D), nn.LayerNorm(D)
            self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
            self.linear1, self.linear2 = nn.Linear(D, ff), nn.Linear(ff, D)

        def forward(self, x: Any) -> Any:
            B, T, _ = x.shape
            q, k, v = self.qkv(self.norm1(x)).view(B, T, 3, task.heads, D // task.heads).permute(2, 0, 3, 1, 4)
            c = functional.scaled_dot_product_attention(q, k, v)
            x = x + self.out(c.transpose(1, 2).reshape(B, T, D))
            return x + self.linear2(act(self.linear1(self.norm2(x))))

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(
                Block()
                if by_hand
                else nn.TransformerEncoderLayer(D, task.heads, ff, 0.0, act, batch_first=True, norm_first=True)
                for _ in range(task.blocks)
            )
            self.head = nn.Linear(D, task.classes)

        def forward(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            return self.head(x.mean(1))

    model = Encoder()
    ours = Network(layout_of(task)).tensors()

    def take_linear(weight: Any, bias: Any, path: str, W: str, b: str) -> None:
        weight.data.copy_(torch.from_numpy(ours[f"{path}.{W}"].T.copy()))
        bias.data.copy_(torch.from_numpy(ours[f"{path}.{b}"].copy()))

    for i, block in enumerate(model.blocks):
        attention = f"{i}.transformer_block/0.residual/1.attention"
        if by_hand:
            take_linear(block.qkv.weight, block.qkv.bias, attention, "W_qkv", "b_qkv")
            take_linear(block.out.weight, block.out.bias, attention, "W_o", "b_o")
        else:
            inner = block.self_attn
            take_linear(inner.in_proj_weight, inner.in_proj_bias, attention, "W_qkv", "b_qkv")
            take_linear(inner.out_proj.weight, inner.out_proj.bias, attention, "W_o", "b_o")
        network = f"{i}.transformer_block/1.residual"
        take_linear(block.linear1.weight, block.linear1.bias, f"{network}/1.dense", "W", "b")
        take_linear(block.linear2.weight, block.linear2.bias, f"{network}/3.dense", "W", "b")
    take_linear(model.head.weight, model.head.bias, f"{task.blocks + 1}.dense", "W", "b")
    return model


def contestants(task: Task, threads: int) -> dict[str, Contestant]:
    x, y = arrays(task)
    found = {"nnctl": ours(task, x, y, threads)}
    try:
        import torch  # noqa: F401
    except ImportError:
        return found
    return found | {
        "PyTorch layers": theirs(task, x, y, threads, by_hand=False),
        "PyTorch by hand": theirs(task, x, y, threads, by_hand=True),
    }


def measure(name: str, task: Task, threads: int, repeats: int, steps: int) -> None:
    losses = {}
    for who, train in contestants(replace(task, rows=task.batch), threads).items():
        train(AGREED)
        losses[who] = train.loss  # type: ignore[attr-defined]
    spread = max(losses.values()) - min(losses.values())
    assert spread < 1e-3, f"after {AGREED} steps from the same weights they do not agree: {losses}"
    runners = contestants(task, threads)
    for train in runners.values():
        train(2)  # warms up
    times: dict[str, list[float]] = {who: [] for who in runners}
    for _ in range(repeats):
        for who, train in runners.items():
            times[who].append(train(steps))
    mine = median(times["nnctl"])
    for who, took in times.items():
        print(
            f"{name:9s}{who:16s}{median(took) * 1e3:7.1f} ms  [{min(took) * 1e3:.1f} .. {max(took) * 1e3:.1f}]"
            f"   nnctl / it {mine / median(took):.2f}   loss after {AGREED} steps {losses[who]:.4f}",
            flush=True,
        )
    if len(times) > 1:
        ratio, least = (
            summary(times["nnctl"]) / min(summary(took) for who, took in times.items() if who != "nnctl")
            for summary in (median, min)
        )
        verdict = "reached" if ratio <= GOAL else "MISSED"
        print(f"{name:9s}goal {GOAL:g}: {ratio:.2f} of PyTorch's faster form, {verdict}; {least:.2f} for the minima")


if __name__ == "__main__":
    hold(__doc__, TASKS, measure, length="steps", default=20)
    print(f"peak memory of the whole process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")
