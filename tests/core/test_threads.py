import threading
import warnings

import numpy as np
import pytest

from nnctl.core.threads import together


def test_all_pieces_are_done_when_it_returns():
    done = []
    together([lambda i=i: done.append(i) for i in range(20)])
    assert sorted(done) == list(range(20))


def test_pieces_run_at_the_same_time():
    meeting = threading.Barrier(2, timeout=10)
    together([meeting.wait, meeting.wait])  # one after the other they would wait for ever


def test_what_a_piece_raises_is_raised_when_the_others_are_done():
    done = []

    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        together([lambda: done.append(1), fails, lambda: done.append(2)])
    with pytest.raises(ValueError, match="no"):
        together([fails, lambda: done.append(3)])
    assert sorted(done) == [1, 2, 3]


def test_numpys_settings_of_the_caller_hold_in_every_piece():
    large = np.full(4, 1e300)
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("error")
        together([lambda: large * large, lambda: large * large])
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        together([lambda: None, lambda: large * large])
