"""nnctl schema; what the schema says is tested in tests/spec/test_schema.py."""

from __future__ import annotations

import json

from jsonschema import Draft7Validator


def test_it_prints_a_schema_and_nothing_else(nnctl):
    code, out, err = nnctl("schema")
    assert (code, err) == (0, "")
    Draft7Validator.check_schema(json.loads(out))


def test_it_writes_a_file_and_says_how_an_editor_finds_it(nnctl, here):
    code, out, _ = nnctl("schema", "-o", "nnctl.schema.json")
    assert code == 0
    assert "# yaml-language-server: $schema=nnctl.schema.json" in out
    assert json.loads((here / "nnctl.schema.json").read_text()) == json.loads(nnctl("schema").out)


def test_a_file_that_cannot_be_written_ends_with_74(nnctl):
    code, _, err = nnctl("schema", "-o", "no/where.json")
    assert code == 74
    assert "no/where.json" in err


def test_an_argument_that_it_does_not_take_ends_with_2(nnctl):
    assert nnctl("schema", "digits").code == 2
