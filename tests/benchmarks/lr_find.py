"""How good are suggested learning rates? nnctl lr-find beside the classical rules, over data sets and optimizers.

    python tests/benchmarks/lr_find.py > tests/benchmarks/lr_find.md

For every pair of a data set and an optimizer, a fine grid of constant learning rates, 8 a decade, is trained for 300
steps from three seeds; what a run came to is the drop of the loss on the whole training part. A suggestion is trained
in the same way, and judged by its share of the drop that the best rate of the grid reaches, in the mean of the seeds.
One that makes any of them end in numbers that are not finite, or higher than they began, has diverged. lr-find is run
with its defaults, with three seeds that are none of the judges'. The classical rules read the same smoothed curve; the
one that finds nothing (last before divergence, where nothing diverged) is left out for that pair.

How the suggestion works (where the ladder starts, how long the short runs are, what a tie is) was tuned on the first 18
pairs, with the same judging seeds, and then once more on the next 12, whose first figures were too low: their figures
flatter it. The held-out pairs were first run when that stood fixed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import perf_counter

import numpy as np

from nnctl.checks.lr_find import lr_find
from nnctl.core import yaml
from nnctl.experiment.assembly import Experiment, set_blas_threads
from nnctl.spec.load import LoadedSpec, parse_spec
from nnctl.train.step import NotFinite, train_step

TUNED = {
    "digits": """
data: {source: digits}
architecture: [dense: 128, relu, dense: 64, relu, dense: outputs]
loss: cross_entropy
""",
    "breast_cancer": """
data: {source: breast_cancer}
architecture: [dense: 32, relu, dense: outputs]
loss: binary_cross_entropy
""",
    "wine": """
data: {source: wine}
architecture: [dense: 16, tanh, dense: outputs]
loss: cross_entropy
""",
    "diabetes": """
data: {source: diabetes, target_scaling: standard}
architecture: [dense: 64, relu, dense: outputs]
loss: mse
""",
    "spirals": """
data: {source: {spirals: {samples: 1000}}}
architecture: [dense: 64, relu, dense: 64, relu, dense: outputs]
loss: binary_cross_entropy
""",
    "friedman": """
data: {source: {friedman: {samples: 1000}}, target_scaling: standard}
architecture: [dense: 64, tanh, dense: outputs]
loss: mse
""",
}
TUNED_LATER = {
    "iris, batch norm": """
data: {source: iris}
architecture: [dense: 16, batch_norm, relu, dense: outputs]
loss: cross_entropy
training: {batch_size: 16}
""",
    "circles, dropout": """
data: {source: {circles: {samples: 800}}}
architecture: [dense: 32, gelu, dropout: 0.2, dense: 32, gelu, dense: outputs]
loss: binary_cross_entropy
""",
    "sine, huber": """
data: {source: {sine: {samples: 500}}}
architecture: [dense: 32, tanh, dense: 32, tanh, dense: outputs]
loss: huber
""",
    "swiss roll, batch 128": """
data: {source: {swiss_roll: {samples: 1500}}, target_scaling: standard}
architecture: [dense: 64, relu, dense: 64, relu, dense: outputs]
loss: mse
training: {batch_size: 128}
""",
}
HELD_OUT = {
    "moons, three layers": """
data: {source: {moons: {samples: 600, noise: 0.2}}}
architecture: [dense: 24, leaky_relu, dense: 24, leaky_relu, dense: 24, leaky_relu, dense: outputs]
loss: binary_cross_entropy
""",
    "blobs, 10 classes": """
data: {source: {blobs: {samples: 1000, classes: 10, features: 8, noise: 3}}}
architecture: [dense: 32, relu, dense: outputs]
loss: {cross_entropy: {label_smoothing: 0.1}}
""",
    "digits, elu, l2, batch 64": """
data: {source: digits}
architecture: [dense: 64, elu, dropout: 0.2, dense: 64, elu, dense: outputs]
loss: cross_entropy
regularizers: [{l2: 1e-3}]
training: {batch_size: 64}
""",
    "sine, three periods": """
data: {source: {sine: {samples: 600, periods: 1.5}}}
architecture: [dense: 64, relu, dense: 64, relu, dense: outputs]
loss: mse
""",
}
OPTIMIZERS = ("sgd", "momentum", "adam")
GRID = 10 ** np.arange(-5, 1.51, 0.125)
STEPS = 300
JUDGES = (101, 102, 103)
SEEDS = (0, 10, 20)
NAME = "lr-find"


def experiment(text: str, optimizer: str, seed: int = 0) -> Experiment:
    text = f"name: study\nseed: {seed}\noptimizer: {optimizer}\n{text}"
    document = yaml.loads(text)
    return Experiment(LoadedSpec(parse_spec(document), document, text, Path()))


def drop(judge: Experiment, lr: float) -> float:
    """Return how far the training loss falls in a run; -inf where the run diverges."""
    learner = judge.learner()
    train = judge.examples(judge.data.train)
    before = judge.judge.network(learner.network, train)["loss"]
    batches = judge.batches(train)
    try:
        for epoch in count():
            for batch in batches.epoch(epoch):
                train_step(learner, batch, lr)
                if learner.step == STEPS:
                    after = judge.judge.network(learner.network, train)["loss"]
                    return before - after if after < before else -np.inf
    except NotFinite:
        return -np.inf


def shares(text: str, optimizer: str) -> Iterator[tuple[str, float, float | None, float, float]]:
    """Yield, for each seed of lr-find and rule: rule, its rate, its share, the best rate, the seconds it took."""
    at_seed_0 = experiment(text, optimizer)
    judges = [at_seed_0.variant(seed=seed) for seed in JUDGES]

    def mean_drop(lr: float) -> float:
        return float(np.mean([drop(judge, lr) for judge in judges]))

    drops = [mean_drop(lr) for lr in GRID]
    best = GRID[int(np.argmax(drops))]
    for seed in SEEDS:
        asked = at_seed_0.variant(seed=seed)
        started = perf_counter()
        figures = lr_find(asked).figures
        took = perf_counter() - started
        for rule, lr in {
            NAME: figures["suggestion"],
            "range test alone": figures["range_test"],
            **figures["rules"],
        }.items():
            yield rule, lr, None if lr is None else mean_drop(lr) / max(drops), best, took


def study(title: str, sets: dict[str, str]) -> None:
    by_rule: dict[str, list[float]] = defaultdict(list)
    none: dict[str, int] = defaultdict(int)
    pairs: list[str] = []
    for name, text in sets.items():
        for optimizer in OPTIMIZERS:
            found = list(shares(text, optimizer))
            for rule, _, share, _, _ in found:
                if share is None:
                    none[rule] += 1
                else:
                    by_rule[rule].append(share)
            ours = [(lr, share) for rule, lr, share, _, _ in found if rule == NAME and lr and share is not None]
            rates, reached = ", ".join(f"{lr:g}" for lr, _ in ours), ", ".join(f"{share:.2f}" for _, share in ours)
            best, took = found[0][3], np.median([seconds for *_, seconds in found])
            pairs.append(f"| {name} | {optimizer} | {best:.2g} | {rates} | {reached} | {took:.2f} |")
    print(f"\n## {title}\n\n| rule | median | 10th percentile | worst | diverged | found nothing |")
    print("|---|---|---|---|---|---|")
    for rule, values in by_rule.items():
        low, worst = np.quantile(values, 0.1, method="lower"), min(values)
        diverged = sum(v == -np.inf for v in values)
        figures = " | ".join(f"{v:.3f}" if np.isfinite(v) else "diverged" for v in (np.median(values), low, worst))
        print(f"| {rule} | {figures} | {diverged} of {len(values)} | {none[rule]} |")
    print("\n| data | optimizer | best of the grid | lr-find, three seeds | their shares | seconds |")
    print("|---|---|---|---|---|---|")
    print("\n".join(pairs), flush=True)


def main() -> None:
    set_blas_threads(1)
    print(f"# Suggested learning rates\n\n```text\n{__doc__.strip()}\n```")
    study("The 18 pairs that it was tuned on", TUNED)
    study("12 pairs that it was tuned on later", TUNED_LATER)
    study("12 pairs held out", HELD_OUT)


if __name__ == "__main__":
    main()
