"""What it costs that every training is watched: the same training with its probe and without.

    python tests/benchmarks/health.py [--tasks T1 T2 iris digits] [--seconds 20]

T1 and T2 are the tasks of dense.py in this folder; iris and digits are the specs of that name in experiments/. All of
them train through `nnctl.train.loop.fit`, with and without in turn, each time from the start, the same steps to the
same weights; with it, the samples are judged as well. What is compared is the processor's time, which other work on the
machine disturbs least, in the median; from the first step on: network, batches and probe are made before.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from dense import TASKS, arrays, training_of

from nnctl.experiment.assembly import Experiment, set_blas_threads
from nnctl.spec.load import load_spec
from nnctl.train.flow import Probe, Sample
from nnctl.train.health import Health
from nnctl.train.loop import Training, fit

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SPECS = {"iris": "iris", "digits": "digits-mlp"}
GOAL = 0.03
EPOCHS = {"T1": 50, "T2": 5}


def from_task(name: str) -> Callable[[], Training]:
    """Return what makes a task of dense.py anew."""
    task = TASKS[name]
    x, y = arrays(task)

    def make() -> Training:
        training = training_of(task, x, y)
        plan = replace(training.plan, steps=EPOCHS[name] * len(training.batches))
        return replace(training, plan=plan)

    return make


def from_spec(name: str) -> Callable[[], Training]:
    """Return what makes the training of a spec anew."""
    experiment = Experiment(load_spec(EXPERIMENTS / f"{SPECS[name]}.yaml"))
    train, validation = (experiment.examples(part) for part in (experiment.data.train, experiment.data.validation))

    def make() -> Training:
        batches = experiment.batches(train)
        progress, plan = experiment.progress(batches), experiment.plan(batches)
        return Training(experiment.learner(), batches, experiment.judge, train, validation, plan, progress)

    return make


def seconds(training: Training) -> tuple[float, int]:
    """Train to the end; return the time it took and the number of samples."""
    health, samples = Health.of(training.learner), 0
    started = time.process_time()
    for event in fit(training):
        if isinstance(event, Sample):
            samples += 1
            health.judge(event)
    return time.process_time() - started, samples


def measure(name: str, budget: float) -> None:
    make = from_spec(name) if name in SPECS else from_task(name)
    alone: list[float] = []
    watched: list[float] = []
    while sum(alone + watched) < budget or len(alone) < 3:
        training = make()
        alone.append(seconds(training)[0])
        other = make()
        took, samples = seconds(replace(other, probe=Probe(other.learner, other.train)))
        watched.append(took)
        same = np.array_equal(training.learner.network.theta, other.learner.network.theta)
        assert same, "the probe has changed the weights"
    before, after = median(alone), median(watched)
    print(
        f"{name:7s}{training.learner.step:8,}{samples:9d}{before * 1e3:10,.1f} ms{after * 1e3:10,.1f} ms"
        f"{after / before - 1:9.1%}   goal {GOAL:.0%} {'reached' if after / before - 1 < GOAL else 'MISSED'}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", default=["T1", "T2", "iris", "digits"], choices=[*EPOCHS, *SPECS])
    parser.add_argument("--seconds", type=float, default=20, help="per task")
    arguments = parser.parse_args()
    gc.set_threshold(100_000)  # as nnctl does
    set_blas_threads(1)  # threads that wait for one another take time from the processor too
    print("task      steps  samples      without         with    share")
    for name in arguments.tasks:
        measure(name, arguments.seconds)


if __name__ == "__main__":
    main()
