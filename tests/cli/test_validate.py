"""nnctl validate, on every exit code that it can end with."""

from __future__ import annotations

import json

import pytest


def test_a_good_spec_shows_its_network(nnctl, spec):
    code, out, err = nnctl("validate", spec)
    assert (code, err) == (0, "")
    assert "0.dense" in out
    assert "(B, 3)" in out
    assert "67" in out
    assert out.endswith("ok\n")


def test_every_layer_says_what_it_holds_for_a_batch(nnctl, spec):
    lines = nnctl("validate", spec).out.splitlines()
    heading, first = next(line for line in lines if "memory" in line), next(line for line in lines if "0.dense" in line)
    assert heading.split() == ["layer", "output", "parameters", "memory"]
    assert first.endswith("iB")
    found = json.loads(nnctl("validate", spec, "--json").out)
    held = [layer["memory"] for layer in found["layers"]]
    assert all(held)
    assert sum(held) < found["memory"]["activations"]


def test_the_spec_of_this_directory_is_taken_where_none_is_named(nnctl, spec):
    assert nnctl("validate").code == 0
    assert nnctl("validate", "optimizer.lr=-1").code == 2


def test_without_a_spec_it_says_how_to_get_one(nnctl):
    code, _, err = nnctl("validate")
    assert code == 2
    assert "nnctl init" in err


def test_every_mistake_is_told_at_once_with_its_line_and_a_caret(nnctl, spec):
    spec.write_text(spec.read_text().replace("relu", "rellu").replace("epochs: 3", "epochs: -3"))
    code, out, err = nnctl("validate", spec)
    assert (code, out) == (2, "")
    assert f"{spec}:3:" in err
    assert "Did you mean 'relu'?" in err
    assert f"{spec}:6:" in err
    assert "must be > 0. Got -3." in err
    assert "^" in err
    assert "2 mistakes" in err


def test_a_shape_that_does_not_fit_is_a_mistake_in_the_spec(nnctl, spec):
    code, _, err = nnctl("validate", spec, "architecture=[dense: 8, relu, dense: 4]")
    assert code == 2
    assert "3 classes" in err


def test_a_monitor_that_is_not_recorded_is_refused_as_train_would(nnctl, spec):
    code, _, err = nnctl("validate", spec, "early_stopping={monitor: val_f1}")
    assert code == 2
    assert "val_f1" in err


def test_mistakes_of_the_spec_come_before_data_that_are_not_there(nnctl, spec):
    spec.write_text(spec.read_text().replace("source: iris", "source: {csv: {path: no.csv, target: y}}"))
    code, _, err = nnctl("validate", spec, "optimizer.lr=-1")
    assert code == 2
    assert "no.csv" not in err
    code, _, err = nnctl("validate", spec)
    assert code == 3
    assert "no.csv" in err


def test_a_data_set_that_was_not_fetched_says_how(nnctl, spec):
    spec.write_text(spec.read_text().replace("source: iris", "source: mnist"))
    code, _, err = nnctl("validate", spec)
    assert code == 3
    assert "nnctl fetch mnist" in err


def test_json_is_one_document(nnctl, spec):
    code, out, err = nnctl("validate", spec, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["parameters"] == 67
    assert [layer["layer"] for layer in found["layers"]] == ["0.dense", "1.relu", "2.dense"]


def test_json_lists_the_mistakes(nnctl, spec):
    spec.write_text(spec.read_text().replace("relu", "rellu"))
    code, out, _ = nnctl("validate", spec, "--json", "los=mse")
    found = json.loads(out)
    assert code == 2
    by_path = {mistake["path"]: mistake for mistake in found["error"]["errors"]}
    assert set(by_path) == {"architecture.1", "los"}
    assert by_path["architecture.1"]["line"] == 3
    assert by_path["los"]["where"] == "command line"
    assert "relu" in by_path["architecture.1"]["message"]


def test_json_tells_what_is_wrong_with_the_data(nnctl, spec):
    code, out, _ = nnctl("validate", spec, "--json", "data.source={csv: {path: no.csv, target: y}}")
    found = json.loads(out)
    assert code == 3
    assert "no.csv" in found["error"]["message"]


@pytest.mark.parametrize("arguments", [["--nope"], ["a.yaml", "nonsense"]])
def test_a_wrong_command_line_ends_with_2(nnctl, spec, arguments):
    assert nnctl("validate", *arguments).code == 2


def test_a_network_for_tokens_on_numbers_says_what_to_write(nnctl, spec):
    encoder = "{transformer_encoder: {width: 8, heads: 2, depth: 1%s}}, {dense: outputs}"
    code, _, err = nnctl("validate", spec, f"architecture=[{encoder % ''}]")
    assert code == 2
    assert "'inputs: numbers'" in err
