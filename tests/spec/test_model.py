"""The defaults of a spec are those that its documentation names."""

from __future__ import annotations

import pytest

from nnctl.core.component import Schema
from nnctl.nn.losses import Loss
from nnctl.spec.model import Data, EarlyStopping, Spec, Training

LEAST = {"data": {"source": "iris"}, "architecture": [{"dense": "outputs"}], "loss": "cross_entropy"}


@pytest.fixture
def spec() -> Spec:
    return Spec.model_validate(LEAST)


def test_a_spec_needs_data_an_architecture_and_a_loss():
    assert [name for name, field in Spec.model_fields.items() if field.is_required()] == [
        "data", "architecture", "loss",
    ]  # fmt: skip


def test_the_defaults_of_a_spec_are_the_documented_ones(spec):
    said = spec.plain(full=True)
    assert (said["name"], said["seed"]) == ("run", 0)
    assert said["data"]["scaling"] == "standard"
    assert said["data"]["target_scaling"] == "none"
    assert (said["init"], said["bias_init"]) == ("auto", "zeros")
    assert said["optimizer"]["adam"]["lr"] == 1e-3
    assert list(said["schedule"]) == ["constant"]
    assert (said["regularizers"], said["clip"], said["early_stopping"], said["metrics"]) == ([], None, None, None)


def test_the_defaults_of_training_are_the_documented_ones():
    assert Training().plain() == {
        "epochs": None,
        "steps": None,
        "batch_size": 32,
        "shuffle": True,
        "accumulate": 1,
        "dtype": "float32",
        "evaluate_every": 1,
    }
    assert "50 if neither" in Training.field_docs()["epochs"]


def test_the_defaults_of_early_stopping_are_the_documented_ones():
    assert EarlyStopping().plain() == {"monitor": None, "mode": None, "patience": 10, "min_delta": 0.0}


@pytest.mark.parametrize("section", [Spec, Data, Training, EarlyStopping])
def test_a_section_is_frozen_and_strict(section):
    assert section.model_config["frozen"]
    assert section.model_config["strict"]
    assert section.model_config["extra"] == "forbid"


@pytest.mark.parametrize("section", [Spec, Data, Training, EarlyStopping])
def test_every_synonym_of_a_section_leads_to_a_key(section: type[Schema]):
    assert {meant.split(".")[0] for meant in section.field_synonyms.values()} <= set(section.model_fields)
    assert not set(section.field_synonyms) & set(section.model_fields)


def test_defaults_are_not_spelled_where_only_what_differs_is_asked(spec):
    assert spec.plain(full=False) == {
        "data": {"source": "iris"},
        "architecture": [{"dense": {"units": "outputs"}}],
        "loss": "cross_entropy",
    }


def test_two_specs_of_the_same_words_are_equal_and_share_nothing_that_changes(spec):
    other = Spec.model_validate(LEAST)
    assert other == spec
    assert Loss.parse("cross_entropy") == spec.loss
    assert hash(other.optimizer) == hash(spec.optimizer)
