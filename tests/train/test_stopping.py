from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nnctl.train.stopping import Patience

values = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=30)


def after(patience: Patience, sequence: list[float]) -> Patience:
    for value in sequence:
        patience = patience.after(value)
    return patience


def test_patience_counts_evaluations_since_the_best():
    patience = after(Patience(limit=3), [1.0, 0.5, 0.6, 0.7])
    assert (patience.best, patience.waited, patience.exhausted) == (0.5, 2, False)
    assert patience.after(0.9).exhausted


def test_an_improvement_must_exceed_min_delta():
    patience = after(Patience(limit=5, min_delta=0.1), [1.0, 0.95])
    assert patience.best == 1.0
    assert not patience.improved
    assert patience.after(0.89).improved


def test_mode_max_takes_more_for_better():
    assert after(Patience(mode="max"), [0.1, 0.9, 0.5]).best == 0.9


def test_without_a_limit_patience_never_ends():
    assert not after(Patience(), [1.0] * 1000).exhausted


@given(values)
def test_values_that_are_not_finite_are_never_the_best(sequence):
    finite = [v for v in sequence if abs(v) < float("inf")]
    assert after(Patience(), sequence).best == (min(finite) if finite else None)


def test_a_first_value_of_nan_is_no_improvement():
    patience = Patience(limit=2).after(float("nan"))
    assert not patience.improved
    assert patience.after(float("inf")).exhausted
