"""Short runs from one start, and the ladder of learning rates that is climbed with them."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from nnctl.checks.learning_rate.curve import has_diverged
from nnctl.checks.learning_rate.trials import Trial, climb, starts, sweep


def test_runs_from_one_start_share_their_weights_and_batches(experiment):
    (start,) = starts(experiment(), 1)
    slow, fast = (list(start.losses([lr] * 10)) for lr in (1e-12, 1e-1))
    assert slow[0] == fast[0]
    assert slow[1:] != fast[1:]
    assert slow == list(start.losses([1e-12] * 10))


def test_a_loss_is_that_of_the_batch_before_its_step(experiment):
    """With a rate of next to nothing, the losses of an epoch are those of the untrained network on its batches."""
    of_all = experiment("architecture=[dense: 8, tanh, dense: outputs]")
    (start,) = starts(of_all, 1)
    batches = start.batches
    found = list(start.losses([1e-30] * len(batches)))
    rows = [batch.stop - batch.start for batch in batches.epoch(0)]
    train = of_all.examples(of_all.data.train)
    untrained = of_all.judge.network(of_all.learner().network, train)["loss"]
    assert np.average(found, weights=rows) == pytest.approx(untrained, rel=1e-5)


def test_every_start_has_its_own_weights(experiment):
    first, second = starts(experiment(), 2)
    assert next(first.losses([1e-3])) != next(second.losses([1e-3]))


def test_a_sweep_leaves_out_the_loss_that_ended_it(experiment):
    (start,) = starts(experiment("optimizer=sgd", "architecture=[dense: 8, relu, dense: outputs]"), 1)
    rates = np.geomspace(1e-3, 1e6, 60)
    losses, all_losses = sweep(start, rates), list(start.losses(map(float, rates)))
    assert losses == all_losses[: len(losses)]
    assert not has_diverged(losses, 10)
    assert has_diverged(all_losses[: len(losses) + 1], 10)


def test_a_run_that_diverges_ends_at_infinity_and_no_other_start_is_tried(experiment):
    both = starts(experiment("optimizer=sgd", "architecture=[dense: 8, relu, dense: outputs]"), 2)
    assert Trial.run(both, 1e20, 30).losses == (inf,)
    assert len(Trial.run(both, 1e-2, 5).losses) == 2


# ---------------------------------------------------------------------- the ladder


def bowl(best: float):
    return lambda lr: Trial(lr, ((np.log10(lr) - np.log10(best)) ** 2,))


@pytest.mark.parametrize("best", [1e-6, 1e-3, 0.02, 5.0])
def test_the_ladder_is_climbed_to_the_best_rate_wherever_it_begins(best):
    trials = climb(1e-2, 1e-7, 10.0, bowl(best))
    found = min(trials.values(), key=lambda trial: trial.loss)
    assert abs(np.log10(found.lr / best)) < 0.15


def test_the_ladder_ends_at_the_range(experiment):
    assert max(climb(1e-2, 1e-7, 1.0, bowl(1e9))) == 1.0
    assert min(climb(1e-2, 1e-4, 1.0, bowl(1e-9))) == 1e-4


def test_rungs_that_diverge_send_the_climb_downwards():
    def run(lr: float) -> Trial:
        return bowl(1e-5)(lr) if lr < 1e-4 else Trial(lr, (inf,))

    assert 1e-6 < min(climb(1.0, 1e-7, 10.0, run).values(), key=lambda trial: trial.loss).lr < 1e-4
