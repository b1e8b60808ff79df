"""Streams are pure functions of seed, purpose and position; their bits are fixed for good."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnctl.core.random import _philox4x32, bits, stream, words

seeds = st.integers(0, 2**64 - 1)
purposes = st.text(max_size=30)
positions = st.lists(st.integers(0, 2**40), max_size=3)

KNOWN_INIT = ["0x1d04efd0456b2dfb", "0xe02301f685748a97", "0x60295d9905d8e4fc", "0x71cbd83a3af43208"]
KNOWN_WEIGHTS = ["0x6a646ac8bdc71e57", "0xccb96ac250c86d7c"]
KNOWN_PERMUTATION = [2, 4, 0, 7, 8, 6, 1, 9, 3, 5]


def test_the_bits_are_those_that_every_run_so_far_was_made_with():
    assert [hex(word) for word in bits(0, "init").random_raw(4)] == KNOWN_INIT
    assert [hex(word) for word in bits(2**62 + 1, "init/0.dense.W", 7, 3).random_raw(2)] == KNOWN_WEIGHTS
    assert stream(1, "shuffle", 5).permutation(10).tolist() == KNOWN_PERMUTATION


@given(seeds, purposes, positions)
def test_a_stream_is_a_function_of_its_key_and_position(seed, purpose, counters):
    first = stream(seed, purpose, *counters)
    stream(seed, "something else").random(3)
    np.testing.assert_array_equal(
        first.integers(2**63, size=8), stream(seed, purpose, *counters).integers(2**63, size=8)
    )


@given(seeds, purposes, positions)
def test_a_position_left_out_is_zero(seed, purpose, counters):
    filled = [*counters, *(0,) * (3 - len(counters))]
    assert bits(seed, purpose, *counters).random_raw() == bits(seed, purpose, *filled).random_raw()


def test_the_largest_seeds_have_streams_of_their_own():
    for purpose in ("init/0.dense.W", "init"):  # a key above 2**63, and one below
        assert len({bits(2**62 + i, purpose).random_raw() for i in range(100)}) == 100


def test_streams_of_other_seeds_purposes_and_positions_share_no_number():
    keys = [
        (seed, purpose, *at) for seed in (0, 1, 2) for purpose in ("init", "split") for at in ((), (1,), (2,), (0, 1))
    ]
    drawn = {key: set(bits(*key).random_raw(1000).tolist()) for key in keys}
    assert all(len(numbers) == 1000 for numbers in drawn.values())
    assert all(not drawn[a] & drawn[b] for a, b in combinations(keys, 2))


def test_a_long_stream_does_not_run_into_the_next_position():
    generator = bits(0, "init")
    generator.advance(2**62)  # far beyond what any use draws
    assert generator.state["state"]["counter"].tolist()[1:] == [0, 0, 0]
    assert bits(0, "init", 1).state["state"]["counter"].tolist() == [0, 1, 0, 0]


def test_more_than_three_positions_are_refused():
    with pytest.raises(ValueError, match="at most three"):
        bits(0, "init", 1, 2, 3, 4)


def test_the_numbers_are_uniform():
    numbers = stream(0, "init").random(100_000)
    assert abs(numbers.mean() - 0.5) < 0.005
    assert abs(numbers.var() - 1 / 12) < 0.002


PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)
PUBLISHED = {  # of philox4x32-10, in the file kat_vectors of the paper's own library, Random123
    (0, 0, 0, 0, 0, 0): (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    (0xFFFFFFFF,) * 6: (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    PI: (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
}


@pytest.mark.parametrize(("given", "published"), PUBLISHED.items())
def test_the_words_of_rows_are_those_of_the_published_generator(given, published):
    counters, key = np.array(given[:4], np.uint64)[:, None], np.array(given[4:], np.uint64)[:, None]
    assert tuple(_philox4x32(counters, key)[:, 0]) == published


@given(seeds, purposes, st.integers(0, 2**32 - 1), st.lists(st.integers(0, 2**32 - 1), max_size=9), st.integers(1, 9))
def test_the_words_of_a_row_depend_on_no_other_row(seed, purpose, epoch, rows, count):
    together = words(seed, purpose, epoch, np.array(rows, np.int64), count)
    assert together.shape == (len(rows), count)
    for row, numbers in zip(rows, together, strict=True):
        np.testing.assert_array_equal(words(seed, purpose, epoch, np.array([row]), count)[0], numbers)


def test_the_words_of_other_rows_epochs_seeds_and_purposes_differ():
    keys = [(seed, purpose, epoch) for seed in (0, 2**63) for purpose in ("flip", "crop") for epoch in (0, 1)]
    found = np.concatenate([words(*key, np.arange(50), 8).ravel() for key in keys])
    assert len(np.unique(found)) > len(found) - 3  # 3,200 numbers below 2**32 hardly ever meet


def test_the_words_are_uniform():
    found = words(0, "flip", 0, np.arange(10_000), 7) / 2**32
    assert abs(found.mean() - 0.5) < 0.005
    assert abs(found.var() - 1 / 12) < 0.002
    assert np.abs(np.corrcoef(found.T) - np.eye(7)).max() < 0.05
