"""The language of --where: what it selects, and what it says when it does not understand."""

import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnctl.core.errors import UsageError
from nnctl.runs.query import parse, resolve

RUNS = [
    {"name": "a1", "optimizer": "adam", "optimizer.lr": 0.001, "val_loss": 0.2, "seed": 1, "flag": True},
    {"name": "a2", "optimizer": "adam", "optimizer.lr": 0.01, "val_loss": 0.4, "seed": 2, "flag": False},
    {"name": "s3", "optimizer": "sgd", "optimizer.lr": 0.1, "val_loss": None, "seed": 3, "clip": "norm"},
]


def names(condition):
    return " ".join(run["name"] for run in parse(condition).select(RUNS))


@pytest.mark.parametrize(
    ("condition", "selected"),
    [
        ("optimizer=adam", "a1 a2"),
        ("optimizer == 'adam'", "a1 a2"),
        ("optimizer!=adam", "s3"),
        ("optimizer=adam and val_loss<0.3 or not (seed!=3)", "a1 s3"),
        ("seed=1 or seed=2 and seed=3", "a1"),
        ("(seed=1 or seed=2) and seed=3", ""),
        ("not seed=1 and not seed=2", "s3"),
        ("not not seed=1", "a1"),
        ("NOT seed=1 AND seed<=2", "a2"),
        ("val_loss<1", "a1 a2"),
        ("not val_loss<1", "s3"),
        ("val_loss=none", "s3"),
        ("clip=none", "a1 a2"),
        ("clip!=norm", "a1 a2"),
        ("optimizer.lr>=1e-2", "a2 s3"),
        ("lr>=.01", "a2 s3"),
        ("name=a*", "a1 a2"),
        ("name!=?1", "a2 s3"),
        ("name='a*'", ""),
        ("flag=true", "a1"),
        ("seed=true", ""),
        ("flag=1", ""),
        ("name>='a2'", "a2 s3"),
    ],
)
def test_a_condition_selects_the_runs_that_fulfil_it(condition, selected):
    assert names(condition) == selected


@pytest.mark.parametrize(
    ("condition", "said", "column"),
    [
        ("", "expected a key", 0),
        ("optimizer", "expected one of = != < <= > >=", 9),
        ("optimizer=", "expected a value", 10),
        ("optimizer= and seed=1", "expected a value", 11),
        ("seed=1 seed=2", "expected 'and' or 'or'", 7),
        ("(seed=1", "this '(' is not closed", 0),
        ("seed=1)", "without its '('", 6),
        ("seed=1, seed=2", "',' is not understood. Write 'and' or 'or'", 6),
        ("seed=1 && seed=2", "'&' is not understood", 7),
        ("name='a", "a quote that is not closed", 5),
        ("0.1<val_loss", "expected a key", 0),
        ("sead=1", "Did you mean 'seed'?", 0),
        ("seed=1 and optimiser=adam", "Did you mean 'optimizer'?", 11),
        ("optimizer<3", "'adam' in the runs, which is neither less nor more than 3", 10),
        ("xyz=1", "There are clip, flag, name", 0),
    ],
)
def test_what_is_not_understood_is_pointed_at(condition, said, column):
    with pytest.raises(UsageError) as told:
        names(condition)
    message, shown, caret = str(told.value).split("\n")
    assert said in message
    assert shown == f"    {condition}"
    assert caret == " " * (4 + column) + "^"


def test_a_text_where_a_figure_is_meant_names_the_figures():
    with pytest.raises(UsageError, match=r"Do you mean val_loss\?"):
        parse("loss<0.3").select([{"loss": "cross_entropy", "val_loss": 0.1}])


def test_the_end_of_a_key_will_do_where_it_is_the_only_one():
    known = ["optimizer.lr", "optimizer.adam.lr", "architecture.0.units", "architecture.2.units", "lr_end"]
    assert resolve("lr", known) == "optimizer.lr"
    assert resolve("0.units", known) == "architecture.0.units"
    with pytest.raises(UsageError, match=r"'units' may be architecture\.0\.units or architecture\.2\.units"):
        resolve("units", known)


def test_where_nothing_is_selected_the_values_that_there_are_can_be_told():
    assert parse("optimizer=adm and seed=1").choices(RUNS) == "optimizer is adam or sgd"


def test_no_depth_of_brackets_ends_the_program():
    with pytest.raises(UsageError, match="has more than"):
        parse("(" * 5000 + "seed=1" + ")" * 5000)
    assert names("(" * 90 + "seed=1" + ")" * 90) == "a1"


@given(st.text(alphabet="ab=<>!()'\" andornot1.*,", max_size=40))
def test_any_text_is_parsed_or_refused(text):
    with suppress(UsageError):
        parse(text)


def test_precedence_is_that_of_python():
    facts = [dict(zip("pqr", values, strict=True)) for values in itertools.product((0, 1), repeat=3)]
    for text in ("p=1 or q=1 and r=1", "not p=1 or q=1 and not r=1", "(p=1 or q=1) and not (r=1 or p=1)"):
        expected = [f for f in facts if eval(text.replace("=", "=="), {}, f)]
        assert parse(text).select(facts) == expected
