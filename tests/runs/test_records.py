"""metrics.jsonl: whole lines, strict JSON, torn ends, and the way back to an epoch."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnctl.core.errors import DataError
from nnctl.runs.records import Records


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path / "metrics.jsonl")


def test_a_run_without_records_has_none(records):
    assert records.read() == []
    records.sync()


def test_records_come_back_in_order(records):
    for epoch in range(3):
        records.append({"epoch": epoch, "loss": np.float32(0.5), "name": "é\n"})
    records.sync()
    assert records.read() == [{"epoch": epoch, "loss": 0.5, "name": "é\n"} for epoch in range(3)]
    assert len(records.path.read_text().splitlines()) == 3


def test_what_is_not_finite_is_null(records):
    records.append({"epoch": 0, "loss": math.nan, "norm": math.inf})
    assert json.loads(records.path.read_text()) == {"epoch": 0, "loss": None, "norm": None}


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5))
    )
)
def test_any_record_comes_back_bit_for_bit(tmp_path_factory, rows):
    records = Records(tmp_path_factory.mktemp("records") / "metrics.jsonl")
    whole = [{**row, "epoch": epoch} for epoch, row in enumerate(rows)]
    for record in whole:
        records.append(record)
    assert records.read() == whole


def test_a_torn_last_line_is_passed_over_at_every_length(records):
    records.append({"epoch": 0, "loss": 1.0})
    first = records.path.read_bytes()
    records.append({"epoch": 1, "loss": 0.5})
    whole = records.path.read_bytes()
    for length in range(len(first), len(whole)):
        records.path.write_bytes(whole[:length])
        assert [r["epoch"] for r in records.read()] == [0]


def test_records_after_an_epoch_and_a_torn_line_are_cut_off(records):
    for epoch in range(5):
        records.append({"epoch": epoch, "loss": 1 / 3})
    with records.path.open("a") as file:
        file.write('{"epoch": 5, "lo')
    records.truncate_after(2)
    records.append({"epoch": 3, "loss": 2.0})
    assert records.read() == [{"epoch": e, "loss": 1 / 3} for e in range(3)] + [{"epoch": 3, "loss": 2.0}]


@pytest.mark.parametrize("line", ["", "{", "[1]", "{}", '{"epoch": "1"}', '{"epoch": 1, "loss": NaN}', "\udcff"])
def test_a_damaged_line_is_named(records, line):
    records.append({"epoch": 0})
    with records.path.open("ab") as file:
        file.write(line.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl:2: is not a record"):
        records.read()
