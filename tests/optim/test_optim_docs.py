"""Every component of nnctl.optim says what it is, its formula and its source."""

import inspect
import re

import pytest

from nnctl.optim import Clip, Optimizer, Regularizer, Schedule

MEMBERS = [member for family in (Clip, Optimizer, Regularizer, Schedule) for member in family.members().values()]


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: f"{member.family} {member.name}")
def test_a_component_has_a_summary_a_formula_and_a_source(member):
    summary, blank, *rest = inspect.cleandoc(member.__doc__).splitlines()
    text = "\n".join(rest)
    assert summary.endswith(".")
    assert not blank
    assert re.search(r"[←=]|λ w", text), "no formula"
    assert re.search(r"^Source: .*\(?(19|20)\d\d", text, re.MULTILINE), "no source with its year"


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: f"{member.family} {member.name}")
def test_a_component_has_a_sentence_under_each_of_its_fields(member):
    docs = member.field_docs()
    assert set(docs) == set(member.model_fields)
    assert all(re.search(r"[.?]$", doc) for doc in docs.values())
