"""The JSON Schema, judged by an independent validator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from nnctl.core import yaml
from nnctl.core.component import Component
from nnctl.spec.load import load_spec, parse_spec, resolved_text
from nnctl.spec.model import Spec
from nnctl.spec.schema import families, json_schema

EXPERIMENTS = sorted((Path(__file__).parents[2] / "experiments").rglob("*.yaml"))

LEAST = """
data: {source: iris}
architecture: [dense: outputs]
loss: cross_entropy
"""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Draft7Validator:
    return Draft7Validator(schema)


def spec_with(line: str) -> Any:
    return yaml.loads(LEAST + line).data


def test_it_is_a_draft_07_schema(schema):
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)


def test_every_reference_leads_somewhere(schema):
    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if "$ref" in node else set()
            return own.union(*map(references, node.values()))
        return set().union(*map(references, node)) if isinstance(node, list) else set()

    assert references(schema) <= {f"#/definitions/{name}" for name in schema["definitions"]}
    assert len(references(schema)) > 50


def test_every_member_of_every_family_can_be_written(schema):
    for family in families().values():
        _, forms = schema["definitions"][family.__name__]["anyOf"]
        assert set(family.members()) <= set(forms["properties"])


def test_every_key_says_what_it_means(schema):
    objects = [
        part for d in schema["definitions"].values() for part in (d, *d.get("anyOf", ())) if "properties" in part
    ]
    silent = [
        key for part in (schema, *objects) for key, value in part["properties"].items() if not value["description"]
    ]
    assert silent == []


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_it_accepts_the_experiments_as_written_and_resolved(validator, path):
    loaded = load_spec(path)
    assert list(validator.iter_errors(yaml.load(path).data)) == []
    assert list(validator.iter_errors(yaml.loads(resolved_text(loaded.spec)).data)) == []


@pytest.mark.parametrize(
    "line",
    [
        "optimizer: adam",
        "optimizer: {adam: 1e-3}",
        "optimizer: {adam: {lr: 1, beta1: 0.5}}",
        "schedule: {cosine: {warmup: 3 epochs}}",
        "schedule: {cosine: {warmup: 0.1}}",
        "clip: {norm: 1}",
        "regularizers: [{l1: 1e-4}, {max_norm: 3}]",
        "training: {batch_size: full, epochs: 3}",
        "metrics: [accuracy, {f1: macro}]",
        "init: {constant: 0.5}",
        "init: zeros",
        "early_stopping: {}",
    ],
)
def test_it_accepts_what_the_loader_accepts(validator, line):
    parse_spec(yaml.loads(LEAST + line))
    assert list(validator.iter_errors(spec_with(line))) == []


@pytest.mark.parametrize(
    "line",
    [
        "epoch: 3",
        "optimizer: adams",
        "optimizer: {adam: {learning_rate: 1}}",
        "optimizer: {adam: {lr: fast}}",
        "optimizer: {adam: {lr: -1}}",
        "optimizer: {adam: {}, sgd: {}}",
        "optimizer: {}",
        "optimizer: [adam]",
        "optimizer: 3",
        "clip: norm",
        "init: constant",
        "seed: -1",
        "seed: first",
        "schedule: {cosine: {warmup: 3 weeks}}",
        "training: {batch_size: all}",
        "training: {epochs: 1.5}",
        "training:",
        "metrics: accuracy",
        "early_stopping: {mode: up}",
        "regularizers: [{l2: {}}]",
        "name: ''",
    ],
)
def test_it_refuses_what_the_loader_refuses(validator, line):
    from nnctl.core.errors import SpecError

    with pytest.raises(SpecError):
        parse_spec(yaml.loads(LEAST + line))
    assert list(validator.iter_errors(spec_with(line))) != []


@pytest.mark.parametrize("key", ["data", "architecture", "loss"])
def test_it_asks_for_what_every_spec_must_say(validator, key):
    data = spec_with("")
    del data[key]
    assert not validator.is_valid(data)


def test_it_accepts_every_component_spelled_with_its_defaults(schema):
    definitions = {"definitions": schema["definitions"]}
    for family in families().values():
        validator = Draft7Validator({"$ref": f"#/definitions/{family.__name__}", **definitions})
        for member in family.members().values():
            if any(field.is_required() for field in member.model_fields.values()) or member.family == "source":
                continue
            for full in (False, True):
                spelled = yaml.loads(yaml.dump({"a": without_null(member().spelled(full=full))})).data["a"]
                assert list(validator.iter_errors(spelled)) == [], (member.name, spelled)


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_null(item) for key, item in value.items() if item is not None}
    return value


def test_a_data_set_card_is_a_source(validator):
    assert validator.is_valid({**spec_with(""), "data": {"source": "mnist"}})
    assert validator.is_valid({**spec_with(""), "data": {"source": {"mnist": {"form": "image"}}}})
    assert not validator.is_valid({**spec_with(""), "data": {"source": "mnists"}})


def test_defaults_are_those_of_the_spec(schema):
    assert schema["definitions"]["optimizer.adam"]["anyOf"][0]["properties"]["lr"]["default"] == 1e-3
    assert schema["properties"]["optimizer"]["default"] == "adam"
    assert schema["definitions"]["Training"]["properties"]["batch_size"]["default"] == 32
    assert "default" not in schema["definitions"]["Training"]["properties"]["epochs"]
    assert Spec.model_fields.keys() == schema["properties"].keys()


def test_families_are_found_by_their_word():
    assert {"layer", "loss", "optimizer", "schedule", "source", "metric"} <= set(families())
    assert all(issubclass(family, Component) and family.members() for family in families().values())
