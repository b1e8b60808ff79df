"""Time per step of dense networks: nnctl, scikit-learn's MLP and, where it is installed, PyTorch, side by side.

    python tests/benchmarks/dense.py [--tasks T1 T3 ...] [--threads 2] [--repeats 7] [--seconds 1]

All contestants train the same architecture on the same arrays with the same batch, optimizer and number of steps, in
float32, interleaved in one run. nnctl trains through its real loop (`nnctl.train.loop.fit`): shuffling, gathering,
schedule, gradient norm and the training loss of every epoch are in its time. A step of scikit-learn and PyTorch
includes shuffling and gathering too; PyTorch's loss is not even read. After the first epoch the losses are compared: a
fast result that computes something else is an error.

Everybody may use the same number of threads. nnctl decides by its own fixed rule how many of them it gives to BLAS, as
it does in every run; scikit-learn and PyTorch use them all.

nnctl trains twice: with NumPy alone and, where the extra `numba` is installed, with its loops compiled, as it does by
itself in a long training. Both have the same bits, and so must end with the same loss.

OpenBLAS picks its kernels by the CPU. Where OPENBLAS_CORETYPE names others, as some container images do, products take
up to twice as long for NumPy and scikit-learn and not for PyTorch, which brings a BLAS of its own: the first line says
which kernels they are.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from contest import hold, machine_code

from nnctl.data.batches import Batches
from nnctl.experiment.assembly import blas_threads, set_blas_threads
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss
from nnctl.nn.network import Network
from nnctl.optim.gradients import Clip, Regularizer
from nnctl.optim.optimizers import Optimizer
from nnctl.train.evaluate import Examples, Judge
from nnctl.train.loop import Plan, Progress, Training, fit
from nnctl.train.step import Learner
from nnctl.train.stopping import Patience


@dataclass(frozen=True)
class Task:
    """One network to train."""

    sizes: tuple[int, ...]
    rows: int
    batch: int
    activation: str
    optimizer: str
    dropout: float = 0.0
    l2: float = 0.0
    clip: float = 0.0

    @property
    def classifies(self) -> bool:
        return self.sizes[-1] > 1


TASKS = {
    "T1": Task((64, 128, 64, 10), 1797, 32, "relu", "adam"),
    "T3": Task((32, 64, 64, 1), 20_000, 256, "tanh", "momentum"),
    "T2": Task((784, 512, 256, 10), 60_000, 128, "relu", "adam"),
    "T2v": Task((784, 512, 256, 10), 60_000, 128, "relu", "adam", dropout=0.2, l2=1e-4, clip=1.0),
    "T3b": Task((784, 2048, 2048, 10), 60_000, 512, "relu", "adam"),
}
GOALS = {
    "T1": {"PyTorch": 5, "PyTorch fused": 4, "scikit-learn": 3.5},
    "T3": {"PyTorch": 3.3, "PyTorch fused": 3.3, "scikit-learn": 1.9},
    "T2": {"PyTorch": 1.5, "PyTorch fused": 1.0, "scikit-learn": 1.5},
    "T2v": {"PyTorch": 1.6, "PyTorch fused": 1.25},
    "T3b": {"PyTorch": 1.0, "PyTorch fused": 0.92, "scikit-learn": 1.4},
}

JUDGED = 2000
"""Rows on which the losses are compared."""

Contestant = Callable[[int], float]
"""Trains for a number of steps and returns the seconds a step."""


def arrays(task: Task) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((task.rows, task.sizes[0]), dtype=np.float32)
    w = rng.standard_normal((task.sizes[0], task.sizes[-1]), dtype=np.float32) / task.sizes[0] ** 0.5
    z = np.tanh(x @ w)
    return x, z.argmax(1) if task.classifies else z


def training_of(task: Task, x: np.ndarray, y: np.ndarray) -> Training:
    layers: list[Any] = []
    for width in task.sizes[1:-1]:
        layers += [{"dense": width}, task.activation]
        layers += [{"dropout": task.dropout}] if task.dropout else []
    layout = Layout(tuple(Layer.parse(layer) for layer in [*layers, {"dense": task.sizes[-1]}]), (task.sizes[0],))
    loss = Loss.parse("cross_entropy" if task.classifies else "mse")
    network = Network(layout)
    t = loss.encode(y, task.sizes[-1], np.float32)
    learner = Learner(
        network,
        loss,
        Optimizer.parse({"adam": 1e-3} if task.optimizer == "adam" else {"momentum": {"lr": 1e-3}}),
        regularizers=[Regularizer.parse({"l2": task.l2})] if task.l2 else [],
        clip=Clip.parse({"norm": task.clip}) if task.clip else None,
    )
    batches, progress = Batches(x, t, None, task.batch), Progress(Patience(), np.zeros_like(t))
    return Training(learner, batches, Judge(loss), Examples(x, y, t), None, Plan(0, monitor="train_loss"), progress)


def ours(task: Task, x: np.ndarray, y: np.ndarray, threads: int) -> Contestant:
    training = training_of(task, x, y)
    learner, t = training.learner, training.train.t
    chosen = min(threads, blas_threads(learner.network.layout, task.batch))

    def train(steps: int) -> float:
        set_blas_threads(chosen)
        plan = replace(training.plan, steps=learner.step + steps)
        started = time.perf_counter()
        for _ in fit(replace(training, plan=plan)):
            pass
        seconds = (time.perf_counter() - started) / steps
        train.loss = learner.loss.value(learner.network.predict(x[:JUDGED]), t[:JUDGED], None, len(x[:JUDGED]))  # type: ignore[attr-defined]
        return seconds

    return train


def compiled(trainer: Contestant) -> Contestant:
    def train(steps: int) -> float:
        with machine_code():
            seconds = trainer(steps)
        train.loss = trainer.loss  # type: ignore[attr-defined]
        return seconds

    return train


def theirs_sklearn(task: Task, x: np.ndarray, y: np.ndarray, threads: int) -> Contestant:
    from sklearn.metrics import log_loss, mean_squared_error
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    per_epoch = -(-task.rows // task.batch)
    solver = {"solver": "adam"} if task.optimizer == "adam" else {"solver": "sgd", "nesterovs_momentum": False}

    def train(steps: int) -> float:
        set_blas_threads(threads)
        epochs = max(1, round(steps / per_epoch))
        kind = MLPClassifier if task.classifies else MLPRegressor
        model = kind(
            hidden_layer_sizes=task.sizes[1:-1], activation=task.activation, alpha=0, batch_size=task.batch,
            learning_rate_init=1e-3,
            max_iter=epochs, n_iter_no_change=10**6, tol=0, random_state=0, **solver,
        )  # fmt: skip
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that it has not converged, which is not asked for
            model.fit(x, y if task.classifies else y[:, 0])
        seconds = (time.perf_counter() - started) / (epochs * per_epoch)
        train.loss = (  # type: ignore[attr-defined]
            log_loss(y[:JUDGED], model.predict_proba(x[:JUDGED]), labels=model.classes_)
            if task.classifies
            else mean_squared_error(y[:JUDGED], model.predict(x[:JUDGED]))
        )
        return seconds

    return train


def theirs_torch(task: Task, x: np.ndarray, y: np.ndarray, threads: int, *, fused: bool) -> Contestant:
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[Any] = []
    for a, b in zip(task.sizes, task.sizes[1:-1], strict=False):
        layers += [nn.Linear(a, b), nn.ReLU() if task.activation == "relu" else nn.Tanh()]
        layers += [nn.Dropout(task.dropout)] if task.dropout else []
    model = nn.Sequential(*layers, nn.Linear(task.sizes[-2], task.sizes[-1]))
    weights = [p for p in model.parameters() if p.ndim > 1]
    biases = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": task.l2}, {"params": biases}]
    optimizer = (
        torch.optim.Adam(groups, lr=1e-3, fused=fused)
        if task.optimizer == "adam"
        else torch.optim.SGD(groups, lr=1e-3, momentum=0.9, fused=fused)
    )
    criterion = nn.CrossEntropyLoss() if task.classifies else nn.MSELoss()
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
                loss = criterion(model(xs[rows]), ys[rows])
                loss.backward()
                if task.clip:
                    nn.utils.clip_grad_norm_(model.parameters(), task.clip)
                optimizer.step()
                done += 1
                if done == steps:
                    break
        seconds = (time.perf_counter() - started) / steps
        with torch.no_grad():
            train.loss = criterion(model.eval()(xs[:JUDGED]), ys[:JUDGED]).item()  # type: ignore[attr-defined]
        return seconds

    return train


def contestants(task: Task, threads: int) -> dict[str, Contestant]:
    x, y = arrays(task)
    found: dict[str, Contestant] = {"nnctl": ours(task, x, y, threads)}
    with machine_code() as installed:
        found |= {"nnctl numba": compiled(ours(task, x, y, threads))} if installed else {}
    if not (task.dropout or task.clip):
        found["scikit-learn"] = theirs_sklearn(task, x, y, threads)
    try:
        import torch  # noqa: F401
    except ImportError:
        return found
    return found | {
        "PyTorch": theirs_torch(task, x, y, threads, fused=False),
        "PyTorch fused": theirs_torch(task, x, y, threads, fused=True),
    }


def measure(name: str, task: Task, threads: int, repeats: int, seconds: float) -> None:
    runners = contestants(task, threads)
    per_epoch = -(-task.rows // task.batch)
    first = {who: train(per_epoch) for who, train in runners.items()}  # warms up, and every network learns the same
    losses = {who: runner.loss for who, runner in runners.items()}  # type: ignore[attr-defined]
    untaught = np.log(task.sizes[-1]) if task.classifies else float(np.var(arrays(task)[1]))
    spread = max(losses.values()) - min(losses.values())
    assert spread < untaught / 2, f"after one epoch they do not agree, from {untaught:.3g}: {losses}"  # inits differ
    steps = per_epoch * max(1, round(seconds / first["nnctl"] / per_epoch))
    times: dict[str, list[float]] = {who: [] for who in runners}
    for _ in range(repeats):
        for who, train in runners.items():
            times[who].append(train(steps))
    assert losses["nnctl"] == losses.get("nnctl numba", losses["nnctl"]), losses
    mine = {who: median(took) for who, took in times.items() if who.startswith("nnctl")}
    for who, took in times.items():
        middle = median(took)
        goal = GOALS.get(name, {}).get(who)
        ratios = [middle / ours for ours in mine.values()]
        verdict = ", ".join("reached" if ratio >= (goal or 0) else "MISSED" for ratio in ratios)
        print(
            f"{name:7s}{who:15s}{middle * 1e6:11,.0f} us  [{min(took) * 1e6:,.0f} .. {max(took) * 1e6:,.0f}]"
            f"   x {', '.join(f'{ratio:.2f}' for ratio in ratios)}   loss after an epoch {losses[who]:.3g}"
            + (f"   goal {goal:g} {verdict}" if goal else ""),
            flush=True,
        )


if __name__ == "__main__":
    hold(__doc__, TASKS, measure)
