"""Overrides on the command line, on a toy schema with toy components."""

from typing import Literal

import pytest
from pydantic import ValidationError

from nnctl.core.component import Component, Items, Positive, PositiveInt, Schema
from nnctl.core.errors import SpecError
from nnctl.core.mistakes import problems_of
from nnctl.core.yaml import loads, to_problems
from nnctl.spec.overrides import apply


class Rule(Component, family="optimizer"):
    pass


class Adamw(Rule, name="adamw"):
    lr: Positive = 1e-3
    weight_decay: float = 0.0


class Sgd(Rule, name="sgd"):
    lr: Positive = 0.1


class Part(Component, family="layer"):
    pass


class Linear(Part, name="dense"):
    units: PositiveInt
    bias: bool = True


class Bend(Part, name="relu"):
    pass


class Around(Part, name="residual"):
    layers: Items[Part]
    scale: float = 1.0


class Limit(Component, family="clip"):
    pass


class Norm(Limit, name="norm"):
    norm: Positive


class Training(Schema):
    epochs: PositiveInt = 1
    mode: Literal["fast", "slow"] = "fast"


class Toy(Schema):
    name: str = "toy"
    optimizer: Rule = Adamw(weight_decay=0.5)
    architecture: Items[Part] = ()
    clip: Limit | None = None
    training: Training = Training()
    sizes: dict[str, Part] | None = None
    weights: Literal["balanced"] | dict[str, float] | None = None


def applied(text, *arguments):
    return apply(loads(text or "{}"), arguments, Toy).data


@pytest.mark.parametrize(
    ("text", "argument", "data"),
    [
        ("", "training.epochs=5", {"training": {"epochs": 5}}),
        ("training: {epochs: 1}", "training.epochs=5", {"training": {"epochs": 5}}),
        ("training:", "training.epochs=5", {"training": {"epochs": 5}}),
        ("name: x", "name=no", {"name": "no"}),
        ("name: x", "name=a=b", {"name": "a=b"}),
        ("clip: {norm: 1}", "clip=null", {}),
        ("training: {epochs: 1, mode: slow}", "training.mode=~", {"training": {"epochs": 1}}),
        ("optimizer: {adamw: {lr: 1, weight_decay: 2}}", "optimizer.lr=null",
         {"optimizer": {"adamw": {"weight_decay": 2}}}),
        ("", "weights.a=2", {"weights": {"a": 2}}),
        ("", "optimizer=sgd", {"optimizer": "sgd"}),
        ("optimizer: adamw", "optimizer={sgd: {lr: 1e-3}}", {"optimizer": {"sgd": {"lr": 1e-3}}}),
        ("optimizer: adamw", "optimizer.lr=3e-4", {"optimizer": {"adamw": {"lr": 3e-4}}}),
        ("optimizer: adamw", "optimizer.adamw.lr=3e-4", {"optimizer": {"adamw": {"lr": 3e-4}}}),
        ("optimizer: adamw", "optimizer.adamw=3e-4", {"optimizer": {"adamw": 3e-4}}),
        ("optimizer: {adamw: 1}", "optimizer.lr=2", {"optimizer": {"adamw": {"lr": 2}}}),
        ("optimizer: {adamw: 1}", "optimizer.weight_decay=2", {"optimizer": {"adamw": {"lr": 1, "weight_decay": 2}}}),
        ("optimizer: {adamw: {lr: 1}}", "optimizer.weight_decay=2",
         {"optimizer": {"adamw": {"lr": 1, "weight_decay": 2}}}),
        ("optimizer: {adamw: }", "optimizer.lr=2", {"optimizer": {"adamw": {"lr": 2}}}),
        ("", "optimizer.lr=2", {"optimizer": {"adamw": {"weight_decay": 0.5, "lr": 2}}}),
        ("", "clip.norm=2", {"clip": {"norm": 2}}),
        ("clip: {norm: 1}", "clip.norm=2", {"clip": {"norm": 2}}),
        ("architecture: [{dense: 8}]", "architecture.0=relu", {"architecture": ["relu"]}),
        ("architecture: [{dense: 8}]", "architecture.0.dense.units=9", {"architecture": [{"dense": {"units": 9}}]}),
        ("architecture: [{dense: 8}]", "architecture.0.bias=false",
         {"architecture": [{"dense": {"units": 8, "bias": False}}]}),
        ("architecture: [{residual: [relu, {dense: 8}]}]", "architecture.0.1.units=9",
         {"architecture": [{"residual": ["relu", {"dense": {"units": 9}}]}]}),
        ("architecture: [{residual: [{dense: 8}]}]", "architecture.0.residual.0.units=9",
         {"architecture": [{"residual": [{"dense": {"units": 9}}]}]}),
        ("architecture: [{residual: [relu]}]", "architecture.0.scale=2",
         {"architecture": [{"residual": {"layers": ["relu"], "scale": 2}}]}),
        ("sizes: {a: {dense: 1}}", "sizes.a.units=2", {"sizes": {"a": {"dense": {"units": 2}}}}),
        ("", "trainin.epochs=5", {"trainin": {"epochs": 5}}),
        ("optimizer: adm", "optimizer.lr=5", {"optimizer": {"adm": {"lr": 5}}}),
    ],
)  # fmt: skip
def test_an_override_is_put_in_its_place(text, argument, data):
    assert applied(text, argument) == data


def test_overrides_follow_one_another():
    assert applied("optimizer: adamw", "optimizer=sgd", "optimizer.lr=1", "optimizer.lr=2") == {
        "optimizer": {"sgd": {"lr": 2}}
    }


def test_the_document_itself_is_left_alone():
    document = loads("optimizer: {adamw: {lr: 1}}")
    apply(document, ["optimizer.lr=2"], Toy)
    assert document.data == {"optimizer": {"adamw": {"lr": 1}}}
    assert document.locate(("optimizer", "adamw", "lr")).line == 1


@pytest.mark.parametrize(
    ("text", "argument", "said"),
    [
        ("", "training.epochs",
         "is not an override. Write key=value, such as training.epochs=5.\n    training.epochs\n    ^"),
        ("clip: {norm: 1}", "clip=", "has no value. Write clip=null to take the key out and have the default."),
        ("", "=5", "has an empty key"),
        ("", "training..epochs=5", "has an empty key"),
        ("", "name=[1", "name: is not YAML: did not find expected ',' or ']'"),
        ("", "name={a: 1, a: 2}", "name: stands twice, in line 1"),
        ("", "name=!x 1", "has the tag '!x'"),
        ("architecture: [relu, relu]", "architecture.2.units=1",
         "architecture: has the items 0 to 1. Got '2'.\n    architecture.2.units=1\n                 ^"),
        ("architecture: [relu]", "architecture.-1=relu", "Got '-1'"),
        ("architecture: [relu]", "architecture.first=relu", "Got 'first'"),
        ("architecture: []", "architecture.0=relu", "is an empty list"),
        ("training: {epochs: 5}", "training.epochs.x=relu", "training.epochs: is 5, which holds no 'x'"),
        ("optimizer: adamw", "optimizer.sgd.lr=1", "optimizer: is 'adamw', not 'sgd'"),
    ],
)  # fmt: skip
def test_an_override_that_cannot_be_followed_is_refused(text, argument, said):
    with pytest.raises(SpecError) as caught:
        applied(text, argument)
    assert str(caught.value).startswith("command line: ")
    assert said in str(caught.value)


def test_every_refused_override_is_told_at_once():
    with pytest.raises(SpecError) as caught:
        applied("", "one", "two", "=three", "training.epochs=1")
    assert len(caught.value.problems) == 3


def complaints(text, *arguments):
    document = apply(loads(text or "{}"), arguments, Toy)
    with pytest.raises(ValidationError) as caught:
        Toy.model_validate(document.data)
    return str(SpecError(to_problems(document, problems_of(caught.value)), document.source))


def test_a_refused_value_is_shown_on_the_command_line():
    assert complaints("optimizer: {adamw: {lr: 1}}", "optimizer.lr=-1") == (
        "command line: optimizer.adamw.lr: must be > 0. Got -1.\n    optimizer.lr=-1\n                 ^"
    )


def test_a_refused_value_within_the_argument_has_the_caret_under_its_key():
    assert complaints("", "optimizer={sgd: {lr: -1}}").endswith(
        "    optimizer={sgd: {lr: -1}}\n" + " " * 4 + " " * len("optimizer={sgd: {") + "^"
    )


def test_an_unknown_key_has_the_caret_under_it():
    said = complaints("", "trainin.epochs=5")
    assert "command line: trainin: unknown key. Did you mean 'training'?\n    trainin.epochs=5\n    ^" in said


def test_mistakes_of_the_file_and_of_the_command_line_keep_their_places():
    said = complaints("name: 5\ntraining: {epochs: 0}", "training.mode=medium")
    assert "spec.yaml:1:1: name: must be a text." in said
    assert "spec.yaml:2:12: training.epochs: must be > 0." in said
    assert "command line: training.mode: must be 'fast' or 'slow'. Got 'medium'.\n    training.mode=medium" in said


def test_a_replaced_value_forgets_the_places_of_the_old_one():
    said = complaints("architecture:\n  - dense: {units: 8}", "architecture.0={dense: {bias: true}}")
    assert said.startswith("command line: architecture.0.dense.units: is required and missing.\n    architecture.0={")
