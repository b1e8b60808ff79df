from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnctl.data import batches as module
from nnctl.data.batches import Batches


def rows_of(n: int, batch: int, *, weighted: bool = False, **settings) -> Batches:
    x = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    t = np.arange(n, dtype=np.float32).reshape(n, 1)
    return Batches(x, t, np.arange(n, dtype=np.float32) if weighted else None, batch, **settings)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 5))
def test_an_epoch_shows_every_row_once_with_its_own_target(n, size, epoch):
    seen = []
    for batch in rows_of(n, min(size, n), seed=3).epoch(epoch):
        assert np.array_equal(batch.x[:, 0], 2 * batch.t[:, 0])
        seen += batch.t[:, 0].astype(int).tolist()
    assert sorted(seen) == list(range(n))


def test_every_epoch_has_an_order_of_its_own_that_the_seed_decides():
    orders = [rows_of(50, 10, seed=seed).order(epoch).tolist() for seed, epoch in [(0, 0), (0, 1), (1, 0), (0, 0)]]
    assert orders[0] == orders[3]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]


def test_without_shuffling_rows_come_in_file_order():
    first = next(rows_of(10, 4, shuffle=False).epoch(7))
    assert first.t[:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("gathered_bytes", [0, 1 << 20])
def test_gathering_by_epoch_and_by_batch_show_the_same_rows(monkeypatch, gathered_bytes):
    monkeypatch.setattr(module, "GATHERED_BYTES", gathered_bytes)
    batches = rows_of(23, 5, weighted=True, seed=1)
    order = batches.order(2)
    for batch in batches.epoch(2):
        rows = order[batch.start : batch.stop]
        assert np.array_equal(batch.x, batches.x[rows])
        assert np.array_equal(batch.t, batches.t[rows])
        assert np.array_equal(batch.w, batches.w[rows])


@pytest.mark.parametrize("gathered_bytes", [0, 1 << 20])
def test_an_epoch_taken_up_in_the_middle_shows_the_same_batches(monkeypatch, gathered_bytes):
    monkeypatch.setattr(module, "GATHERED_BYTES", gathered_bytes)
    whole = [batch.x.copy() for batch in rows_of(23, 5, seed=1).epoch(4)]
    rest = [batch.x.copy() for batch in rows_of(23, 5, seed=1).epoch(4, first=2)]
    assert len(rest) == 3
    assert all(np.array_equal(a, b) for a, b in zip(whole[2:], rest, strict=True))
