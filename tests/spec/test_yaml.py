"""YAML as data: the 1.2 core rules, the refusals, the limits, the places, and the way back to text."""

import math
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnctl.core import scalars
from nnctl.core.errors import SpecError
from nnctl.core.yaml import Document, dump, load, loads, to_problems


def refusal(text):
    with pytest.raises(SpecError) as caught:
        loads(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), (".5", 0.5), ("1.", 1.0), ("+1.5E+2", 150.0), ("-0", 0), ("007", 7), ("0o17", 15),
        ("0x1F", 31),
        (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), ("true", True), ("True", True), ("FALSE", False),
        ("null", None), ("~", None), ("", None), ("Null", None),
    ],
)  # fmt: skip
def test_core_scalars_are_what_yaml_1_2_says(text, value):
    read = loads(f"key: {text}").data["key"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "off", "y", "tRUE", "2024-01-01", "12:30:45", "1_000", "0b11", "017x", "-0x1F", ".e3", "e3",
     "1e", "nan", "inf", "-.nan", "nULL", "=", "1٣"],
)  # fmt: skip
def test_everything_else_is_a_text(text):
    assert loads(f"key: {text}").data["key"] == text


def test_nan_is_a_number():
    assert math.isnan(loads("key: .NaN").data["key"])


@pytest.mark.parametrize("text", ["'1e-3'", '"true"', "!!str null", "! 5", "|\n  5"])
def test_quoted_scalars_are_texts(text):
    assert isinstance(loads(f"key: {text}").data["key"], str)


def test_core_tags_are_obeyed():
    assert loads("{a: !!float 1, b: !!int '7', c: !!map {}, d: !!seq [], e: !!null ~, f: !!bool true}").data == {
        "a": 1.0, "b": 7, "c": {}, "d": [], "e": None, "f": True,
    }  # fmt: skip


def test_a_core_tag_that_does_not_fit_is_refused():
    assert "a: is tagged !!int, which it is not. Got 'true'." in refusal("a: !!int true")


@pytest.mark.parametrize(
    "tag", ["!python", "!!python/object/apply:os.system", "!<tag:example.org,2000:x>", "!!set", "!!timestamp"]
)
@pytest.mark.parametrize("value", ["x", "[1]", "{a: 1}"])
def test_other_tags_are_refused(tag, value):
    assert "has the tag" in refusal(f"key: {tag} {value}")


def test_a_duplicate_key_is_refused_with_both_lines():
    said = refusal("optimizer:\n  lr: 1\n  betas: 2\n  lr: 3\n")
    assert said.startswith(
        "spec.yaml:4:3: optimizer.lr: stands twice, in lines 2 and 4. Remove one.\n      lr: 3\n      ^"
    )


def test_every_broken_rule_is_told_at_once():
    said = refusal("a: 1\na: 2\n1: x\n<<: {b: 1}\nc: !x 1\n")
    assert [line.split(":")[1] for line in said.splitlines() if line.startswith("spec.yaml")] == ["2", "3", "4", "5"]


def test_at_most_twenty_broken_rules_are_told():
    assert len(refusal("a: !x 1\n" * 1000).splitlines()) == 60


@pytest.mark.parametrize("key", ["1", "1.5", "true", "~", "? [a]\n", "? {a: b}\n", "&x [a]", "!!int 3"])
def test_a_key_that_is_not_a_text_is_refused(key):
    assert "key that is not a text" in refusal(f"{key} : 1") or "has the tag" in refusal(f"{key} : 1")


def test_no_is_a_key_like_any_other():
    assert loads("no: 1\n'1': 2").data == {"no": 1, "1": 2}


def test_merge_keys_are_refused():
    assert "merge key '<<'" in refusal("base: &b {a: 1}\nother: {<<: *b, c: 2}")


@pytest.mark.parametrize("text", ["a:\n\tb: 1", "a: 1\n\tb: 2", "a:\n  b: 1\n \t c: 2", "\ta: 1"])
def test_a_tab_in_the_indentation_is_named(text):
    assert "has a tab in its indentation. Indent with spaces." in refusal(text)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("a: [1\nb: 2", "that begins in line 1. Close the bracket"),
        ("a: 'x", "Close the quotation mark"),
        ("a: @x", "Quote a text"),
        ("a: b: c", "quote a text that holds ': '"),
        ("a: 1\n b: 2", "Check the indentation"),
        ("a:\n  - 1\n - 2", "Check the indentation"),
        ("a: x\x07", "control characters are not allowed (0x07 in line 1)"),
        ("a: '\ud800'", "not Unicode text"),
    ],
)
def test_what_is_not_yaml_is_refused_with_advice(text, advice):
    assert advice in refusal(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("---\n", "Got nothing"),
        ("- relu", "Got a list"),
        ("relu", "Got a single value"),
        ("a: 1\n---\nb: 2", "spec.yaml:2:1: holds more than one document"),
    ],
)
def test_the_top_level_is_one_mapping(text, said):
    assert said in refusal(text)


def test_an_alias_is_a_copy_of_its_anchor():
    data = loads("a: &x {list: [1, 2]}\nb: *x\nc: &x 5\nd: *x").data
    assert data == {"a": {"list": [1, 2]}, "b": {"list": [1, 2]}, "c": 5, "d": 5}
    assert data["a"] is not data["b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [1, *a]", "a.1: holds itself"),
        ("a: &a {b: {c: *a}}", "a.b.c: holds itself"),
        ("a: &one 1\nb: *on", "no anchor '&on' stands before it. Did you mean 'one'?"),
    ],
)
def test_an_alias_without_a_finished_anchor_is_refused(text, said):
    assert said in refusal(text)


ALIAS_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{here}: &{here} [{','.join(['*' + before] * 9)}]\n" for before, here in zip("abcdefgh", "bcdefghi", strict=True)
)
DEEP_BY_ALIASES = f"a0: &a0 {'[' * 50}{']' * 50}\n" + "".join(
    f"a{i}: &a{i} {'[' * 50}*a{i - 1}{']' * 50}\n" for i in range(1, 50)
)


@pytest.mark.parametrize(
    "bomb",
    [
        ALIAS_BOMB, DEEP_BY_ALIASES, "[" * 1000, "a: " + "[" * 1000 + "]" * 1000, "{a: " * 1000, "- " * 1000,
        "? " * 1000,
        "a: " + "[" * 900_000, "a: [" + "1," * 450_000 + "]", "- a\n" * 250_000, "a: " + "9" * 900_000,
        "a: 0x" + "F" * 5000,
    ],
    ids=["aliases", "depth by aliases", "open brackets", "brackets", "braces", "dashes", "question marks",
         "many brackets", "wide", "long", "digits", "hex digits"],
)  # fmt: skip
def test_a_bomb_ends_in_a_readable_error_at_once(bomb):
    start = time.process_time()
    said = refusal(bomb)
    assert time.process_time() - start < 20  # it takes a second at most; what explodes takes for ever
    assert len(said) < 600


def test_64_levels_are_read():
    assert loads("a: " + "[" * 63 + "]" * 63)
    assert "nested more than 64 levels" in refusal("a: " + "[" * 65 + "]" * 65)


def test_a_number_has_at_most_300_digits():
    assert math.isfinite(float(loads("a: " + "9" * 300).data["a"]))
    assert "at most 300" in refusal("a: " + "9" * 301)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"name: \xff\n", "is not UTF-8 text (byte 0xff in line 1)"),
        ("name: x\n".encode("utf-16"), "is not UTF-8"),
        (b"# " + b"x" * 10**6, "is larger than 1 MB"),
    ],
)
def test_a_file_that_cannot_be_a_spec_is_refused_by_name(tmp_path, content, said):
    file = tmp_path / "bad.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SpecError, match=r"bad\.yaml") as caught:
        load(file)
    assert said in str(caught.value)


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    (tmp_path / "digits-mlp.yaml").write_text("name: x")
    with pytest.raises(SpecError, match=r"does not exist\. Did you mean 'digits-mlp.yaml'\?"):
        load(tmp_path / "digit-mlp.yml")


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(SpecError, match="is a directory"):
        load(tmp_path)


def test_a_byte_order_mark_is_passed_over(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_bytes(b"\xef\xbb\xbfname: \xc3\xa9\r\nseed: 1\r\n")
    assert load(file).data == {"name": "é", "seed": 1}
    assert load(str(file)).source == str(file)


SPEC = """\
name: digits
optimizer:
  adamw: {lr: -1, weight_decay: 0}
architecture:
  - dense: 128
  - relu
  - residual:
      - dense: {units: 64}
"""


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ((), 1, 1),
        (("name",), 1, 1),
        (("optimizer", "adamw"), 3, 3),
        (("optimizer", "adamw", "lr"), 3, 11),
        (("optimizer", "adamw", "momentum"), 3, 3),
        (("architecture", 0, "dense", "units"), 5, 5),
        (("architecture", 1), 6, 5),
        (("architecture", 7), 4, 1),
        (("architecture", 2, "residual", 0, "dense", "units"), 8, 17),
        (("architecture", 2, "residual", "layers", 0, "dense", "units"), 8, 17),
        (("missing", "name"), 1, 1),
    ],
)
def test_a_path_is_located_at_its_key_or_its_deepest_ancestor(path, line, column):
    assert loads(SPEC).locate(path) == (line, column, SPEC.splitlines()[line - 1])


def test_an_aliased_value_is_located_where_it_is_written():
    document = loads("a: &x {lr: -1}\nb: *x")
    assert document.locate(("b", "lr"))[:2] == (1, 8)
    assert document.locate(("b",))[:2] == (2, 1)


def test_problems_show_the_line_with_a_caret():
    document = loads(SPEC, "digits.yaml")
    problems = to_problems(document, [(("optimizer", "adamw", "lr"), "must be > 0. Got -1.")])
    assert str(SpecError(problems, document.source)) == (
        "digits.yaml:3:11: optimizer.adamw.lr: must be > 0. Got -1.\n"
        "      adamw: {lr: -1, weight_decay: 0}\n"
        "              ^"
    )


def test_data_without_a_text_has_problems_without_a_place():
    problem = to_problems(Document({"lr": -1}), [(("lr",), "must be > 0.")])[0]
    assert (problem.line, problem.text, problem.source) == (None, None, None)


TEXTS = st.text(max_size=30) | st.sampled_from(
    ["no", "1e-3", "null", "~", "", "- a", "a: b", "#", "...", "---", "<<", " x "]
)
SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(TEXTS, v, max_size=4), max_leaves=15)
MAPPINGS = st.dictionaries(TEXTS, VALUES, max_size=5)


@given(MAPPINGS)
def test_what_is_dumped_reads_back_equal(data):
    read = loads(dump(data)).data
    assert read == data
    assert repr(read) == repr(data)


@given(MAPPINGS, st.text())
def test_comments_change_nothing(data, comment):
    nested = [(key, inner) for key, value in data.items() if isinstance(value, dict) for inner in value]
    paths = [(), *((key,) for key in data), *((key, 0) for key in data), *nested]
    assert loads(dump(data, dict.fromkeys(paths, comment))).data == data


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_any_text_is_read_or_refused(text):
    with suppress(SpecError):
        loads(text)


def test_a_dump_is_written_as_a_person_would():
    data = {
        "name": "digits-mlp",
        "optimizer": {"adamw": {"lr": 0.001, "weight_decay": 1e-8, "betas": (0.9, 0.999)}},
        "architecture": [{"dense": {"units": 64, "bias": True}}, "relu", {"repeat": [{"dense": 3.0}, [["no"]]]}],
        "augment": [],
        "note": "a: b",
        "nothing": None,
        "large": 1e22,
    }
    comments = {(): "An experiment.\nIts second line.", ("architecture",): "the layers", ("architecture", 1): "kinked"}
    assert dump(data, comments) == (
        "# An experiment.\n"
        "# Its second line.\n"
        "name: digits-mlp\n"
        "optimizer:\n"
        "  adamw:\n"
        "    lr: 0.001\n"
        "    weight_decay: 1e-8\n"
        "    betas: [0.9, 0.999]\n"
        "# the layers\n"
        "architecture:\n"
        "  - dense:\n"
        "      units: 64\n"
        "      bias: true\n"
        "  # kinked\n"
        "  - relu\n"
        "  - repeat:\n"
        "      - dense: 3.0\n"
        '      - - ["no"]\n'
        "augment: []\n"
        'note: "a: b"\n'
        "nothing: null\n"
        "large: 1e22\n"
    )


def test_what_has_no_yaml_spelling_is_not_dumped():
    with pytest.raises(TypeError, match="complex has no YAML spelling"):
        scalars.write(1j)


def test_a_long_line_of_a_comment_is_broken_between_words():
    lines = dump({"a": {"b": 1}}, {("a", "b"): "word " * 40 + "\n\nlast"}).splitlines()
    assert max(map(len, lines)) <= 79
    assert lines[-3:] == ["", "  # last", "  b: 1"]
    assert " ".join(line.strip(" #") for line in lines[1:-3]).split() == ["word"] * 40
