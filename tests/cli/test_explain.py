"""nnctl explain: everything that a spec can say has a page, and what the page shows is true."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from nnctl.cli.pages import _within
from nnctl.core import yaml
from nnctl.core.component import Component
from nnctl.spec.reference import _LISTS, contents, pages
from nnctl.spec.schema import families

MEMBERS = [member for family in families().values() for member in family.members().values()]
every_member = pytest.mark.parametrize("member", MEMBERS, ids=lambda m: f"{m.family}.{m.name}")


def page_of(member: type[Component]):
    [page] = pages(f"{member.family}.{member.name}")
    return page


@every_member
def test_every_example_is_a_spelling_that_the_loader_takes(member):
    page = page_of(member)
    assert page.examples
    for example in page.examples:
        line = example.replace("- ", "x: [", 1) + "]" if example.startswith("- ") else example
        [value] = yaml.loads(line).data.values()
        item = value[0] if example.startswith("- ") else value
        assert type(families()[member.family].parse(item)) is member


@every_member
def test_every_field_is_explained(member):
    page = page_of(member)
    assert [entry.name for entry in page.fields] == list(member.model_fields)
    assert all(entry.kind and entry.meaning for entry in page.fields)
    assert page.text.startswith(member.__doc__.splitlines()[0])


def test_lists_are_shown_as_lists():
    assert pages("dense")[0].examples[0] == "- dense: 64"
    shown = [page for name in ("relu", "l2", "accuracy", "mixup") for page in pages(name)]
    assert {place for page in shown for place, _ in page.places} == _LISTS


def test_the_three_spellings_are_shown():
    assert pages("dropout")[0].examples == ["- dropout", "- dropout: 0.5", "- dropout: {rate: 0.5}"]


def test_ranges_defaults_and_other_names_are_told_in_words():
    lr, beta1, *_ = pages("adam")[0].fields
    assert (lr.kind, lr.default) == ("number > 0", "0.001")
    assert "learning_rate" in lr.elsewhere
    assert beta1.kind == "number >= 0 and < 1"
    assert pages("dense.units")[0].fields[0].default is None
    assert pages("training.batch_size")[0].fields[0].kind == "whole number > 0 or full"
    assert pages("multi_step.at")[0].fields[0].kind.startswith("list of whole numbers")
    assert pages("momentum.form")[0].fields[0].kind == "classical or averaged"
    assert pages("residual")[0].fields[0].kind == "list of layers"


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("adam", ["optimizer adam"]),
        ("Adam", ["optimizer adam"]),
        ("optimizer.adam", ["optimizer adam"]),
        ("optimizer.adam.lr", ["adam.lr"]),
        ("mse", ["loss mse", "metric mse"]),
        ("optimizer", ["optimizer"]),
        ("architecture", ["layer"]),
        ("init", ["initializer"]),
        ("spec", ["spec"]),
        ("data.split", ["data.split"]),
        ("split", ["data.split"]),
        ("data.source.csv.target", ["csv.target"]),
        ("training.epochs", ["training.epochs"]),
        ("seed", ["seed"]),
    ],
)
def test_names_lead_to_pages(name, titles):
    assert [page.title for page in pages(name)] == titles


def test_contents_name_every_member_and_every_key():
    listed = {(word, name) for word, _, rows in contents() for name, _ in rows}
    assert {(member.family, member.name) for member in MEMBERS} <= listed
    assert {("spec", "seed"), ("training", "epochs"), ("data.split", "stratify"), ("source", "mnist")} <= listed


def test_a_page_is_printed(nnctl):
    code, out, err = nnctl("explain", "adam")
    assert (code, err) == (0, "")
    assert out.startswith("optimizer adam\n")
    assert "number > 0; default 0.001" in out
    assert "arXiv:1412.6980" in out
    assert "optimizer: {adam: 0.001}" in out


def test_formulas_keep_their_lines_and_prose_is_wrapped(nnctl):
    out = nnctl("explain", "cross_entropy").out
    assert re.search(r"^  backward:  dz = 1/N w \(p - t\)$", out, re.MULTILINE)
    assert max(map(cell_len, out.splitlines())) <= 100
    assert not any(line.endswith(" ") for line in out.splitlines())


def test_two_things_of_one_name_are_both_shown(nnctl):
    out = nnctl("explain", "mse").out
    assert "loss mse" in out
    assert "metric mse" in out


def test_without_a_name_everything_is_listed(nnctl):
    code, out, _ = nnctl("explain")
    assert code == 0
    assert all(re.search(rf"^  {member.name}\b", out, re.MULTILINE) for member in MEMBERS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("adm", "'adam'"),
        ("bce", "'binary_cross_entropy'"),
        ("lr", "adam.lr"),
        ("learning_rate", "adam.lr"),
        ("batch_siz", "'batch_size'"),
        ("n_epochs", "training.epochs"),
        ("adam.lr.more", "adam.lr"),
        ("[red]x[/]", "[red]x[/]"),
        ("qqqqqqqq", "`nnctl explain` alone"),
        ("", "`nnctl explain` alone"),
    ],
)
def test_an_unknown_name_ends_with_2_and_a_hint(nnctl, name, said):
    code, out, err = nnctl("explain", name)
    assert (code, out) == (2, "")
    assert said in err


def test_it_fits_a_narrow_terminal(nnctl, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    for name in (["adam"], ["csv"], []):
        out = nnctl("explain", *name).out
        assert max(map(cell_len, out.splitlines())) <= 40, name


@pytest.mark.parametrize("width", [60, 78, 98])
def test_a_formula_that_is_too_long_goes_on_below_its_beginning(width):
    formula = (
        "forward:   y[i, j] = b + Σ_uv x[i s + u d - m, j s + v d - m] W[u, v], x being zero outside; stride s,\n"
        "           dilation d, margin m\n"
        "backward:  db = Σ dy"
    )
    first, *middle, last = _within(formula.split("\n"), width)
    assert max(map(len, [first, *middle])) <= width
    assert all(line.startswith(" " * 11) and line[11] != " " for line in middle)
    assert first.startswith("forward:   ")
    assert last == "backward:  db = Σ dy"
    assert " ".join("\n".join([first, *middle, last]).split()) == " ".join(formula.split())
    assert width < 78 or all(line.endswith((",", ";", "m")) for line in [first, *middle])


def test_a_formula_that_fits_keeps_its_lines():
    lines = ["forward:   y = x", "           z = y"]
    assert list(_within(lines, 98)) == lines
    assert list(_within(["  " + "x" * 200], 98)) == ["  " + "x" * 200]
