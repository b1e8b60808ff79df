"""Train a spec of experiments/ in this process, and what can be said of the run in figures."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from nnctl.core.errors import Diverged
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.session import Session
from nnctl.spec.load import load_spec
from nnctl.train.loop import Epoch

FOLDER = Path(__file__).parents[2] / "experiments"
PLACES = r"(?:test|validation|train)"


@dataclass(frozen=True)
class Trained:
    """A session at its end, with the record of every epoch."""

    session: Session
    epochs: tuple[Epoch, ...]
    diverged: bool

    def figure(self, name: str) -> float:
        """Return a figure by the name that the comments of the specs use."""
        if re.fullmatch(rf"{PLACES} \w+", name):
            part, metric = name.split()
            return float(self.session.summary["metrics"][part][metric])
        return FIGURES[name](self)

    @property
    def kernels(self) -> np.ndarray:
        """All weights that are no biases, in one vector."""
        network = self.session.learner.network
        return network.theta[: network.layout.decayed]


def _gradient_ratio(trained: Trained) -> float:
    """Return the norm of the first kernel's gradient over that of the last one's, before any step."""
    experiment = trained.session.experiment
    learner = experiment.learner()
    batches = experiment.batches(experiment.examples(experiment.data.train))
    grad = learner.network.tensors(learner.gradient(next(iter(batches.epoch(0)))))
    norms = [float(np.linalg.norm(dW)) for name, dW in grad.items() if name.endswith(".W")]
    return norms[0] / norms[-1]


def _longest_weights_of_a_unit(trained: Trained) -> float:
    """Return the largest norm of a column of a kernel."""
    return max(float(np.linalg.norm(W, axis=0).max()) for W in trained.session.learner.network.kernels())


def _confidence(trained: Trained) -> float:
    """Return the mean of the highest probability over the test part."""
    session = trained.session
    x = session.experiment.data.test.x
    return float(session.experiment.judge.predictions(session.learner.network.predict(x)).max(axis=1).mean())


def _gain_over_naive(trained: Trained) -> float:
    """Return how many times smaller the network's rmse is than that of the best naive forecast."""
    rmse = {who: errors["rmse"] for who, errors in trained.session.summary["forecast"]["errors"].items()}
    return min(value for who, value in rmse.items() if who != "network") / rmse["network"]


FIGURES: dict[str, Callable[[Trained], float]] = {
    "gain over the naive forecast": _gain_over_naive,
    "epochs": lambda trained: len(trained.epochs),
    "share of weights at zero": lambda trained: float((trained.kernels == 0).mean()),
    "norm of the weights": lambda trained: float(np.linalg.norm(trained.kernels)),
    "longest weights of a unit": _longest_weights_of_a_unit,
    "gradient ratio": _gradient_ratio,
    "confidence": _confidence,
    "diverges": lambda trained: float(trained.diverged),
}


@lru_cache(maxsize=24)
def train(name: str, seed: int | None = None) -> Trained:
    """Return the run of ``experiments/<name>.yaml``, with its own seed or another."""
    loaded = load_spec(FOLDER / f"{name}.yaml")
    if seed is not None:
        loaded = loaded.with_seed(seed)
    with TemporaryDirectory() as runs:
        session = Session.start(Experiment(loaded), Path(runs))
        epochs = []
        try:
            epochs += session.epochs()
        except Diverged:
            return Trained(_without_buffers(session), tuple(epochs), diverged=True)
    return Trained(_without_buffers(session), tuple(epochs), diverged=False)


def _without_buffers(session: Session) -> Session:
    """Return the session without the scratch of its replicas, of which two dozen sessions would fill the memory."""
    session.learner.team.replicas.clear()
    session.learner.network._inference.clear()
    session.training = dataclasses.replace(session.training, probe=None)
    return session
