"""Components: three spellings and no fourth, mistakes told together, and a round trip for every one there is."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from nnctl.core.component import (
    Component,
    Items,
    NonNegative,
    Positive,
    PositiveInt,
    Schema,
    Share,
    did_you_mean,
)
from nnctl.core.mistakes import problems_of
from nnctl.spec.model import Spec
from nnctl.spec.schema import families


class Shape(Component, family="shape"):
    """A family."""

    synonyms: ClassVar[dict[str, str]] = {"disc": "circle"}


class Round(Shape):
    """An abstract step: it has no name, and its fields are shared."""

    colour: str = "red"
    """Its colour."""


class Circle(Round, name="circle"):
    """One required field."""

    radius: Positive
    """Half its width,
    in metres."""

    field_synonyms: ClassVar[dict[str, str]] = {"r": "radius", "size": "radius"}


class Ball(Circle, name="ball"):
    """A synonym of its own beside those it inherits."""

    inside: Shape | None = None
    """What it holds."""

    field_synonyms: ClassVar[dict[str, str]] = {"content": "inside", "gone": "no_such_field"}


class Point(Shape, name="point"):
    """No field at all."""


class Box(Shape, name="box"):
    """Two required fields, so that neither is the one; a value sets the first field of all."""

    label: str = ""
    """What is written on it."""
    width: PositiveInt
    """Its width."""
    height: PositiveInt
    """Its height."""


class Everything(Shape, name="everything"):
    """Every kind of limit."""

    share: Share = 0.5
    """A share."""
    count: Annotated[int, Field(ge=2, le=9)] = 3
    """A count."""
    many: Annotated[Items[NonNegative], Field(min_length=1, max_length=3)] = (1.0,)
    """Some."""
    mode: Literal["fast", "slow"] = "fast"
    """How."""
    text: Annotated[str, Field(min_length=1, max_length=3, pattern="^[a-z]*$")] = "abc"
    """A text."""
    on: bool = True
    """Whether."""
    either: PositiveInt | Literal["all"] = "all"
    """One or the other."""
    named: dict[str, float] = Field(default_factory=dict)
    """By name."""
    inner: Shape = Field(default_factory=Point)
    """Another."""


def mistakes(value: Any, family: type[Component] = Shape) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        family.parse(value)
    return [(".".join(map(str, path)), said) for path, said in problems_of(caught.value)]


def mistake(value: Any) -> str:
    ((path, said),) = mistakes(value)
    return f"{path}: {said}" if path else said


# ---------------------------------------------------------------------- spellings


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("point", Point()),
        ({"point": {}}, Point()),
        ("everything", Everything()),
        ({"everything": {}}, Everything()),
        ({"circle": 2}, Circle(radius=2)),
        ({"circle": {"radius": 2}}, Circle(radius=2)),
        ({"circle": {"radius": 2, "colour": "blue"}}, Circle(radius=2, colour="blue")),
        ({"everything": 0.25}, Everything(share=0.25)),  # no required field: the first
        ({"ball": {"radius": 1, "inside": {"ball": {"radius": 0.5, "inside": "point"}}}}, None),
    ],
)
def test_a_name_a_value_and_a_mapping_are_the_three_spellings(written, meant):
    found = Shape.parse(written)
    assert meant is None or found == meant
    assert Shape.parse(found.spelled()) == found
    assert Shape.parse(found) is found


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (None, "must name a shape: ball, box, circle, everything, point. Got nothing."),
        (5, "must name a shape: ball, box, circle, everything, point. Got 5."),
        (["point"], "must name a shape: ball, box, circle, everything, point. Got ['point']."),
        ({}, "must name a shape: ball, box, circle, everything, point. Got a mapping."),
        ({"circle": 1, "box": 2}, "must name one shape. Got 2 keys: circle, box. Indent what belongs to the first."),
        ({"circle": None}, "circle: is empty. Write 'circle' alone for the defaults."),
        ({"point": 5}, "point: takes no value. Got 5. Write 'point' alone."),
        ("box", "width: is required and missing. height: is required and missing."),
        ({"box": "big"}, "box.width: is required and missing. box.height: is required and missing."),
    ],
)
def test_there_is_no_fourth_spelling(written, said):
    assert " ".join(f"{path}: {text}" if path else text for path, text in mistakes(written)) == said


def test_an_article_fits_its_noun():
    assert mistakes(5, families()["optimizer"])[0][1].startswith("must name an optimizer: adam,")


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("circel", "unknown shape 'circel'. Did you mean 'circle'?"),
        ("Circle", "unknown shape 'Circle'. Did you mean 'circle'?"),
        ("disc", "unknown shape 'disc'. Did you mean 'circle'?"),
        ({"disc": 3}, "disc: unknown shape 'disc'. Did you mean 'circle'?"),
        ("tesseract", "unknown shape 'tesseract'. Known: ball, box, circle, everything, point."),
        ("", "unknown shape ''. Known: ball, box, circle, everything, point."),
        ("\x1b[2J", r"unknown shape '\x1b[2J'. Known: ball, box, circle, everything, point."),
    ],
)
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(written, said):
    assert mistake(written) == said


def test_an_abstract_step_is_no_member_and_narrows_the_family():
    assert list(Shape.members()) == ["ball", "box", "circle", "everything", "point"]
    assert list(Round.members()) == ["ball", "circle"]
    assert Round.parse({"circle": 1}) == Circle(radius=1)
    assert mistakes("point", Round)[0][1].startswith("unknown shape 'point'.")


def test_a_name_is_registered_once():
    with pytest.raises(TypeError, match="shape 'point' is registered twice"):
        type("Again", (Shape,), {"__module__": __name__}, name="point")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("radios", " Did you mean 'radius'?"),
        ("RADIUS", " Did you mean 'radius'?"),
        ("r", " Did you mean 'radius'?"),
        ("batch-size", " Did you mean 'batch_size'?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_a_word_is_matched_by_likeness_and_a_synonym_first(word, hint):
    assert did_you_mean(word, ["radius", "batch_size", "rows"], {"r": "radius"}) == hint


# ---------------------------------------------------------------------- mistakes


def test_unknown_keys_and_wrong_values_are_told_together():
    assert mistakes({"everything": {"shre": 1, "count": 1, "zzz": 3, "on": "yes", "mode": "odd"}}) == [
        ("everything.shre", "unknown key. Did you mean 'share'?"),
        (
            "everything.zzz",
            "unknown key. Known: share, count, many, mode, text, on, either, named, inner.",
        ),
        ("everything.count", "must be >= 2. Got 1."),
        ("everything.mode", "must be 'fast' or 'slow'. Got 'odd'."),
        ("everything.on", "must be true or false. Got 'yes'."),
    ]


def test_another_frameworks_word_is_told_what_it_is_called_here_and_is_not_called_missing():
    assert mistakes({"circle": {"size": 3}}) == [("circle.size", "unknown key. Did you mean 'radius'?")]
    assert mistakes({"ball": {"content": 3, "r": 1}}) == [
        ("ball.content", "unknown key. Did you mean 'inside'?"),
        ("ball.r", "unknown key. Did you mean 'radius'?"),
    ]


@pytest.mark.parametrize("key", ["float", "str", "int", "list[x]", "function-", "nullable["])
def test_a_key_that_looks_like_the_branch_of_a_union_keeps_its_name(key):
    assert mistakes({"everything": {key: 1}})[0][0] == f"everything.{key}"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"share": 1}, "must be < 1. Got 1."),
        ({"share": -0.5}, "must be >= 0. Got -0.5."),
        ({"share": "x"}, "must be a number. Got 'x'."),
        ({"share": True}, "must be a number. Got true."),
        ({"share": float("nan")}, "must be a finite number. Got nan."),
        ({"share": float("inf")}, "must be a finite number. Got inf."),
        ({"count": 10**30}, f"must be <= 9. Got {10**30}."),
        ({"count": 2.0}, "must be a whole number. Got 2.0. Write 2."),
        ({"count": 2.5}, "must be a whole number. Got 2.5."),
        ({"many": []}, "must have at least 1 item(s). Got []."),
        ({"many": [1.0] * 4}, "must have at most 3 item(s). Got [1.0, 1.0, 1.0, 1.0]."),
        ({"many": 1}, "must be a list, such as [1]. Got 1."),
        ({"many": [list(range(100))]}, "must be a number. Got a list."),
        ({"text": ""}, "must not be empty. Got ''."),
        ({"text": "abcd"}, "must have at most 3 character(s). Got 'abcd'."),
        ({"text": "A"}, "must match ^[a-z]*$. Got 'A'."),
        ({"text": 5}, "must be a text. Got 5."),
        ({"text": None}, "must be a text. Got nothing."),
        ({"either": 0}, "must be > 0 or 'all'. Got 0."),
        ({"either": "some"}, "must be a whole number or 'all'. Got 'some'."),
        ({"named": []}, "must be a mapping of keys to values. Got []."),
        ({"mode": "x" * 100}, f"must be 'fast' or 'slow'. Got '{'x' * 56}...."),
    ],
)
def test_a_mistake_is_a_sentence_of_what_must_be_and_what_was_found(fields, said):
    ((_, text),) = mistakes({"everything": fields})
    assert text == said


def test_a_mistake_within_a_list_is_not_also_told_of_the_list():
    assert mistakes({"everything": {"many": [-1]}}) == [("everything.many.0", "must be >= 0. Got -1.")]


def test_a_mistake_deep_inside_names_the_whole_way_down():
    assert mistakes({"ball": {"radius": 1, "inside": {"ball": {"radius": 1, "inside": {"circle": -1}}}}}) == [
        ("ball.inside.ball.inside.circle.radius", "must be > 0. Got -1.")
    ]


# ---------------------------------------------------------------------- records


def test_a_component_is_frozen():
    circle = Circle(radius=1)
    with pytest.raises(ValidationError, match="frozen"):
        circle.radius = 2  # type: ignore[misc]


def test_equal_components_are_equal_and_hash_alike():
    assert Circle(radius=1) == Circle(radius=1.0) != Circle(radius=2)
    assert len({Circle(radius=1), Circle(radius=1.0)}) == 1


def test_field_docs_are_the_docstrings_under_the_fields_and_those_inherited():
    assert Ball.field_docs() == {
        "colour": "Its colour.",
        "radius": "Half its width,\nin metres.",
        "inside": "What it holds.",
    }


def test_only_what_differs_from_the_default_is_spelled_where_that_is_asked():
    assert Circle(radius=1).spelled(full=False) == {"circle": {"radius": 1.0}}
    assert Everything().spelled(full=False) == "everything"
    assert Everything(inner=Circle(radius=2)).spelled(full=False) == {
        "everything": {"inner": {"circle": {"radius": 2.0}}}
    }
    assert Everything().spelled()["everything"]["inner"] == "point"


# ---------------------------------------------------------------------- every component there is

MEMBERS = [member for family in families().values() for member in family.members().values()]
NEEDED: dict[str, Any] = {
    "units": 3, "rate": 0.1, "limit": 2.0, "max_norm": 1.0, "max_value": 1.0, "std": 0.1, "value": 0.5, "target": "y",
    "path": "file.csv", "layers": ["relu", {"dense": 2}], "at": [2, 5], "every": 3, "gamma": 0.9, "name": "mnist",
    "images": "a", "labels": "b", "dataset": "mnist", "size": 16, "padding": 1, "degrees": 10.0, "heads": 2,
    "channels": 4, "width": 16, "groups": 2, "targets": ["y"], "time": "t", "hidden": [8], "shape": [2, 2],
    "factor": 0.5, "memory": 3, "table": "synonyms.txt", "there": "apertium en-es", "back": "apertium es-en",
}  # fmt: skip


def example_of(member: type[Component]) -> Component:
    required = [name for name, field in member.model_fields.items() if field.is_required()]
    wanted = [*required, *(["path"] if "path" in member.model_fields else [])]
    return member.parse({member.name: {name: NEEDED[name] for name in wanted}})


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: f"{member.family}-{member.name}")
def test_every_component_is_the_one_that_its_spelling_says(member):
    made = example_of(member)
    assert type(made) is member
    family = families()[member.family]
    assert family.parse(made.spelled()) == made
    assert family.parse(made.spelled(full=False)) == made


@given(st.data())
def test_a_changed_component_survives_the_round_trip_too(data):
    member = data.draw(st.sampled_from([m for m in MEMBERS if m.model_fields]))
    made = example_of(member)
    numbers = [name for name, field in member.model_fields.items() if type(getattr(made, name)) is float]
    changes = {name: data.draw(st.floats(0.0, 1.0)) for name in numbers}
    try:
        changed = member.model_validate({**dict(made), **changes})
    except ValidationError:
        return  # out of this one's range
    assert families()[member.family].parse(changed.spelled()) == changed
    assert families()[member.family].parse(changed.spelled(full=False)) == changed


@pytest.mark.parametrize("family", families().values(), ids=lambda family: family.family)
def test_every_synonym_leads_to_a_member(family):
    assert set(family.synonyms.values()) <= set(family.members())
    assert not set(family.synonyms) & set(family.members())


def sections() -> list[type[Schema]]:
    found: list[type[Schema]] = [Spec]
    for section in found:
        found += [
            kind
            for field in section.model_fields.values()
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ()))
            if isinstance(kind, type) and issubclass(kind, Schema) and not issubclass(kind, Component)
        ]
    return found


@pytest.mark.parametrize("schema", [*sections(), *MEMBERS], ids=lambda schema: schema.__name__)
def test_every_field_has_a_docstring_and_every_field_synonym_leads_to_a_field(schema):
    assert set(schema.field_docs()) == set(schema.model_fields)
    for base in schema.__mro__:
        ours = base.__dict__.get("field_synonyms", {})
        assert not set(ours) & set(schema.model_fields), "a field needs no synonym for itself"
    own = schema.__dict__.get("field_synonyms", {})
    assert {meant.split(".")[0] for meant in own.values()} <= set(schema.model_fields)
