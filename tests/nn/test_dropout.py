"""Dropout really drops, keeps the expected value, and draws the same mask at the same place."""

from __future__ import annotations

import contract
import numpy as np
import pytest
from contract import Rig

from nnctl.nn.dropout import Dropout
from nnctl.nn.layer import Solo


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_expected_value(rate: float) -> None:
    contract.dropout_drops_and_keeps_the_mean(Dropout(rate=rate), (8,))


def test_what_is_kept_is_divided_by_the_share_kept() -> None:
    rig = Rig(Dropout(rate=0.75), (1000,))
    assert set(np.unique(rig.forward(np.ones((2, 1000))))) == {0.0, 4.0}


def test_the_gradient_passes_where_the_value_passed() -> None:
    rig = Rig(Dropout(rate=0.5), (1000,))
    y = rig.forward(np.ones((2, 1000))).copy()
    assert np.array_equal(rig.backward(np.ones((2, 1000))), y)


def test_inference_returns_the_input_itself() -> None:
    rig = Rig(Dropout(rate=0.5), (4,))
    x = rig.x()
    assert rig.forward(x, training=False) is x
    dy = rig.dy()
    assert rig.replica.backward(dy) is dy


def test_the_mask_changes_with_step_seed_layer_and_replica_and_with_nothing_else() -> None:
    class Second(Solo):
        rank = 1

    def mask(*, step: int = 0, seed: int = 0, layers: int = 1, team: Solo | None = None) -> bytes:
        from nnctl.nn.layout import Layout
        from nnctl.nn.network import Network

        network = Network(Layout((Dropout(rate=0.0),) * (layers - 1) + (Dropout(rate=0.5),), (64,)), seed=seed)
        replica = network.replica()
        replica.now.team = team or Solo()
        return (replica.forward(np.ones((8, 64), np.float32), training=True, step=step) > 0).tobytes()

    masks = [mask(), mask(step=1), mask(seed=1), mask(layers=2), mask(team=Second())]
    assert len(set(masks)) == len(masks)
    assert mask(step=1) == masks[1]


def test_a_smaller_batch_sees_the_front_of_the_mask() -> None:
    rig = Rig(Dropout(rate=0.5), (10,))
    whole = rig.forward(np.ones((7, 10))).copy()
    assert np.array_equal(rig.forward(np.ones((3, 10))), whole[:3])


def test_rates_too_small_to_tell_from_zero_drop_nothing() -> None:
    rig = Rig(Dropout(rate=1e-6), (4,))
    x = rig.x()
    assert rig.forward(x) is x


def test_the_largest_rate_still_divides_by_something() -> None:
    rig = Rig(Dropout(rate=1 - 1e-12), (1000,))
    with np.errstate(all="raise"):
        y = rig.forward(np.ones((500, 1000)))
    assert set(np.unique(y)) <= {0.0, 65536.0}


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_a_rate_outside_zero_to_one_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        Dropout.parse({"dropout": rate})
