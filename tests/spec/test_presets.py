"""Presets: what they stand for, how a spec holds them, and where their mistakes are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from nnctl.core import yaml
from nnctl.core.errors import SpecError
from nnctl.experiment.assembly import Experiment
from nnctl.nn.layer import Layer
from nnctl.nn.layout import Layout
from nnctl.nn.preset import Preset
from nnctl.spec.edit import with_learning_rate
from nnctl.spec.load import LoadedSpec, load_spec, resolved_text
from nnctl.spec.model import Spec
from nnctl.spec.schema import json_schema

HEAD = "data: {source: digits}\nloss: cross_entropy\narchitecture:\n"
PRESETS = {name: layer for name, layer in Layer.members().items() if issubclass(layer, Preset)}


def loaded(tmp_path: Path, entries: str, *overrides: str) -> LoadedSpec:
    (tmp_path / "spec.yaml").write_text(HEAD + entries)
    return load_spec(tmp_path / "spec.yaml", overrides)


def said(tmp_path: Path, entries: str) -> str:
    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, entries)
    [problem] = caught.value.problems
    return f"{problem.line}:{problem.column} {problem.dotted}: {problem.message}"


def standing_for(spelling: Any) -> list[Any]:
    """Return the spelling of the layers that a preset is written out to."""
    spec = Spec.model_validate({"data": {"source": "digits"}, "loss": "cross_entropy", "architecture": [spelling]})
    return [layer.spelled(full=False) for layer in spec.architecture]


def test_all_that_there_are_are_tried_here() -> None:
    assert set(PRESETS) == {
        *("lenet", "lstm_classifier", "mlp", "resnet", "transformer_decoder", "transformer_encoder")
    }


def test_an_mlp_is_its_layers() -> None:
    assert standing_for({"mlp": [128, 64]}) == [
        *("flatten", {"dense": {"units": 128}}, "relu", {"dense": {"units": 64}}, "relu"),
        {"dense": {"units": "outputs"}},
    ]


def test_an_mlp_has_norm_and_dropout_where_they_are_named() -> None:
    fields = {"hidden": [8], "norm": "batch_norm", "activation": {"leaky_relu": 0.2}, "dropout": 0.2}
    assert standing_for({"mlp": fields})[1:-1] == [
        {"dense": {"units": 8, "bias": False}},
        *("batch_norm", {"leaky_relu": {"alpha": 0.2}}, {"dropout": {"rate": 0.2}}),
    ]
    assert standing_for({"mlp": {**fields, "norm": "layer_norm", "activation": "selu"}})[1:-1] == [
        {"dense": {"units": 8}},
        *("layer_norm", "selu", {"alpha_dropout": {"rate": 0.2}}),
    ]


def test_lenet_has_the_shapes_of_its_source() -> None:
    layout = Layout(Spec.model_validate(spec_of("lenet")).architecture[:-1], (28, 28, 1))
    assert [row.out_shape for row in layout.rows if row.layer.name in {"conv2d", "avg_pool", "dense"}] == [
        *((28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (120,), (84,)),
    ]


def test_a_resnet_of_20_layers_has_as_many_and_as_many_weights_as_its_source() -> None:
    architecture = [layer.with_outputs(10) for layer in Spec.model_validate(spec_of("resnet")).architecture]
    layout = Layout(tuple(architecture), (32, 32, 3))
    with_weights = [
        row for row in layout.rows if row.layer.name in {"conv2d", "dense"} and "projection" not in row.path
    ]
    assert len(with_weights) == 20
    sizes = [row.out_shape[:2] for row in layout.rows if row.layer.name == "residual"]
    assert sizes == [(32, 32)] * 3 + [(16, 16)] * 3 + [(8, 8)] * 3
    assert 0.265e6 < layout.size < 0.275e6  # table 6 of the source: 0.27 million


def test_an_lstm_classifier_reads_tokens_where_an_embedding_is_named() -> None:
    lstm = {"lstm": {"units": 8, "layers": 2, "dropout": 0.1}}
    output = [{"dropout": {"rate": 0.1}}, {"dense": {"units": "outputs"}}]
    assert standing_for({"lstm_classifier": {"units": 8, "depth": 2, "dropout": 0.1}}) == [lstm, *output]
    fields = {"units": 8, "depth": 2, "dropout": 0.1, "embedding": 5}
    assert standing_for({"lstm_classifier": fields}) == [{"embedding": {"width": 5}}, lstm, *output]


def test_a_transformer_encoder_is_its_layers() -> None:
    block = {"transformer_block": {"heads": 4}}
    assert standing_for({"transformer_encoder": 16}) == [
        *({"embedding": {"width": 16}}, "position", {"repeat": {"layers": [block]}}, "layer_norm"),
        *("global_avg_pool", {"dense": {"units": "outputs"}}),
    ]
    fields = {"width": 16, "inputs": "numbers", "position": "rotary", "placement": "post", "pool": "none", "depth": 3}
    block = {"transformer_block": {"heads": 4, "placement": "post", "rotary": True}}
    assert standing_for({"transformer_encoder": fields}) == [
        *({"dense": {"units": 16}}, {"repeat": {"layers": [block], "times": 3}}, {"dense": {"units": "outputs"}}),
    ]


def test_a_transformer_decoder_is_causal_and_may_end_with_the_vectors_it_began_with() -> None:
    stack = ["position", {"repeat": {"layers": [{"transformer_block": {"heads": 4, "causal": True}}]}}, "layer_norm"]
    assert standing_for({"transformer_decoder": 16}) == [
        *({"embedding": {"width": 16}}, *stack, {"dense": {"units": "outputs"}}),
    ]
    assert standing_for({"transformer_decoder": {"width": 16, "tied": True}}) == [
        {"tied_embedding": {"width": 16, "layers": stack}}
    ]


def spec_of(entry: Any) -> dict[str, Any]:
    return {"data": {"source": "digits"}, "loss": "cross_entropy", "architecture": [entry]}


# ---------------------------------------------------------------------- in a spec


def test_a_spec_holds_plain_layers_alone_and_is_the_same_when_read_back(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "  - reshape: [8, 8, 1]\n  - resnet: {blocks: [1, 1], channels: 4}\n").spec
    text = resolved_text(spec)
    assert "resnet" not in text.replace("name: resnet", "")
    (tmp_path / "resolved.yaml").write_text(text)
    assert load_spec(tmp_path / "resolved.yaml").spec == spec


def test_within_another_layer_a_preset_becomes_a_sequential(tmp_path: Path) -> None:
    entries = (
        "  - parallel: [{mlp: {hidden: [8], outputs: 3}}, linear]\n  - residual: [{mlp: {hidden: [8], outputs: 67}}]\n"
    )
    parallel, residual = loaded(tmp_path, entries).spec.architecture
    made = {"sequential": {"layers": ["flatten", {"dense": {"units": 8}}, "relu", {"dense": {"units": 3}}]}}
    assert parallel.spelled(full=False) == {"parallel": {"layers": [made, "linear"]}}
    assert "mlp" not in str(residual.spelled())


def test_the_schema_knows_presets() -> None:
    validator = Draft7Validator(json_schema())
    assert validator.is_valid(spec_of({"mlp": {"hidden": [3], "activation": {"leaky_relu": 0.1}}}))
    assert validator.is_valid(spec_of("resnet"))
    assert not validator.is_valid(spec_of({"mlp": {"hiden": [3]}}))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("mpl: [3]", "unknown layer 'mpl'. Did you mean 'mlp'?"),
        ("resnet18", "unknown layer 'resnet18'. Did you mean 'resnet'?"),
        ("mlp", "is required and missing"),
        ("mlp: []", "must have at least 1 item(s). Got []."),
        ("mlp: {hidden: [3], hidden_layer_sizes: [3]}", "unknown key. Did you mean 'hidden'?"),
        ("mlp: {hidden: [3, 0]}", "must be > 0. Got 0."),
        ("resnet: [2, 5000]", "must be <= 1000. Got 5000."),
        ("transformer_encoder: {width: 8, depth: 100000}", "must be <= 1000"),
    ],
)
def test_a_mistake_in_a_preset_is_told_with_its_line(tmp_path: Path, entry: str, expected: str) -> None:
    found = said(tmp_path, f"  - relu\n  - {entry}\n")
    assert found.startswith("5:")
    assert expected in found


@pytest.mark.parametrize(
    ("entries", "line", "path"),
    [
        ("  - reshape: [8, 8, 1]\n  - lenet\n", 5, "architecture.4.conv2d"),
        ("  - reshape: [8, 8, 1]\n  - lenet: {kernel: 3}\n  - relu\n  - conv2d: 4\n", 7, "architecture.14.conv2d"),
        ("  - mlp: {hidden: [4], outputs: 5}\n  - residual: [{dense: 3}]\n", 5, "architecture.4.residual"),
        ("  - mlp: {hidden: [4], outputs: 5}\n  - sequential:\n    - relu\n    - conv2d: 3\n", 7,
         "architecture.4.sequential.layers.1.conv2d"),
    ],
)  # fmt: skip
def test_a_shape_that_does_not_fit_is_told_with_the_line_of_the_preset_or_behind_it(
    tmp_path: Path, entries: str, line: int, path: str
) -> None:
    with pytest.raises(SpecError) as caught:
        Experiment(loaded(tmp_path, entries))
    [problem] = caught.value.problems
    assert (problem.line, problem.dotted) == (line, path)


def test_an_override_reaches_into_a_preset(tmp_path: Path) -> None:
    entries = "  - mlp: {hidden: [4, 5]}\n"
    spec = loaded(tmp_path, entries, "architecture.0.hidden.1=7", "architecture.0.dropout=0.5").spec
    assert spec.architecture[4].spelled(full=False) == {"dense": {"units": 7}}
    spec = loaded(tmp_path, "  - mlp: [4, 5]\n", "architecture.0.dropout=0.5").spec
    assert spec.architecture[3].spelled() == {"dropout": {"rate": 0.5}}


def test_a_learning_rate_is_written_beside_a_preset(tmp_path: Path) -> None:
    text = HEAD + "  - mlp: [4, 5]  # small\n"
    edited = with_learning_rate(text, 0.25)
    assert "- mlp: [4, 5]  # small" in edited
    (tmp_path / "edited.yaml").write_text(edited)
    assert load_spec(tmp_path / "edited.yaml").spec.optimizer.lr == 0.25


def test_places_before_and_behind_a_preset_stay_those_of_the_file(tmp_path: Path) -> None:
    document = loaded(tmp_path, "  - relu\n  - mlp:\n      hidden: [4]\n  - dropout:\n      rate: 0.1\n").document
    lines = [document.locate(("architecture", i)).line for i in range(7)]
    assert lines == [4, 5, 5, 5, 5, 7, 3]  # the last is not there: the list itself
    assert document.locate(("architecture", 5, "dropout", "rate")).line == 8


def test_yaml_aliases_of_presets_are_presets() -> None:
    text = HEAD + "  - &small {mlp: {hidden: [4], outputs: 4}}\n  - *small\n"
    spec = Spec.model_validate({**yaml.loads(text).data, "name": "run"})
    assert len(spec.architecture) == 8
