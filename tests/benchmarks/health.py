"""What it costs that every training is watched: the same training with its probe and without.

    python tests/benchmarks/health.py [--tasks T1 T2 iris digits] [--repeats 15]

T1 and T2 are the tasks of dense.py in this folder; iris and digits are the specs of that name in experiments/. All of
them train through `nnctl.train.loop.fit`, with and without in turn, each time from the start, the same steps to the
same weights; with it, the samples are judged as well. What is compared is the processor's time, which other work on the
machine disturbs least; the share is the median over the pairs of trainings.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from dense import TASKS, arrays, training_of

from nnctl.experiment.assembly import Experiment, blas_threads, set_blas_threads
from nnctl.spec.load import load_spec
from nnctl.train.flow import Probe, Sample
from nnctl.train.health import Health
from nnctl.train.loop import Training, fit

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SPECS = {"iris": "iris", "digits": "digits-mlp"}
GOAL = 0.03
EPOCHS = {"T1": 50, "T2": 1}


def from_task(name: str) -> Callable[[], Training]:
    """Return what makes a task of dense.py anew."""
    task = TASKS[name]
    x, y = arrays(task)

    def make() -> Training:
        training = training_of(task, x, y)
        plan = replace(training.plan, steps=EPOCHS[name] * len(training.batches))
        return replace(training, plan=plan)

    set_blas_threads(blas_threads(make().learner.network.layout, task.batch))
    return make


def from_spec(name: str) -> Callable[[], Training]:
    """Return what makes the training of a spec anew."""
    experiment = Experiment(load_spec(EXPERIMENTS / f"{SPECS[name]}.yaml"))
    set_blas_threads(experiment.threads)
    train, validation = (experiment.examples(part) for part in (experiment.data.train, experiment.data.validation))

    def make() -> Training:
        batches = experiment.batches(train)
        progress, plan = experiment.progress(batches), experiment.plan(batches)
        return Training(experiment.learner(), batches, experiment.judge, train, validation, plan, progress)

    return make


def seconds(training: Training, *, watched: bool) -> tuple[float, int, bytes]:
    """Train to the end; return the time it took, the number of samples, and the weights."""
    started = time.process_time()
    if watched:
        health = Health.of(training.learner)
        training = replace(training, probe=Probe(training.learner, training.train))
    samples = 0
    for event in fit(training):
        if isinstance(event, Sample):
            samples += 1
            health.judge(event)
    return time.process_time() - started, samples, training.learner.network.theta.tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", default=["T1", "T2", "iris", "digits"], choices=[*EPOCHS, *SPECS])
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    print("task      steps  samples      without         with    share")
    for name in arguments.tasks:
        make = from_spec(name) if name in SPECS else from_task(name)
        times: list[tuple[float, float]] = []
        for _ in range(arguments.repeats):
            alone, _, theta = seconds(make(), watched=False)
            training = make()
            watched, samples, same = seconds(training, watched=True)
            assert theta == same, "the probe has changed the weights"
            times.append((alone, watched))
        without, with_it = (median(took) for took in zip(*times, strict=True))
        share = median(watched / alone for alone, watched in times) - 1
        print(
            f"{name:7s}{training.learner.step:8,}{samples:9d}{without * 1e3:10,.1f} ms{with_it * 1e3:10,.1f} ms"
            f"{share:9.1%}   goal {GOAL:.0%} {'reached' if share < GOAL else 'MISSED'}",
            flush=True,
        )


if __name__ == "__main__":
    main()
