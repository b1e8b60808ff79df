"""What others call a thing is answered with what it is called here."""

import pytest

from nnctl.core import yaml
from nnctl.core.errors import SpecError
from nnctl.spec.load import parse_spec

SPEC = """\
data: {source: iris}
architecture: [%s, dense: outputs]
loss: %s
optimizer: %s
%s
"""


def said(layer="relu", loss="cross_entropy", optimizer="sgd", more=""):
    with pytest.raises(SpecError) as refused:
        parse_spec(yaml.loads(SPEC % (layer, loss, optimizer, more)))
    [problem] = refused.value.problems
    return f"{problem.dotted}: {problem.message}"


@pytest.mark.parametrize("loss", ["SparseCategoricalCrossentropy", "CategoricalCrossentropy()", "NLLLoss"])
def test_capitals_and_missing_underscores_are_no_other_word(loss):
    assert said(loss=loss).endswith("Did you mean 'cross_entropy'?")


def test_a_call_is_taken_for_its_name():
    assert said(optimizer='"SGD(lr=0.1, momentum=0.9)"').endswith("Did you mean 'sgd'?")
    assert said("MaxPool2d(2)").endswith("Did you mean 'max_pool'?")


def test_linear_with_a_capital_is_the_layer_with_weights():
    assert said("Linear: [4, 16]").endswith("Did you mean 'dense'?")
    assert said("lineer").endswith("Did you mean 'linear'?")


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ("batch: 32", "batch: unknown key. Did you mean 'training.batch_size'?"),
        ("learning_rate_init: 0.1", "learning_rate_init: unknown key. Did you mean 'optimizer.lr'?"),
        ("alpha: 0.1", "alpha: unknown key. It is a penalty: regularizers: [{l2: 1e-4}]."),
        ("device: cuda", "device: unknown key. There is the CPU alone: leave it out."),
        (
            "activation: relu",
            "activation: unknown key. An activation is a layer of its own: write it into the architecture, '- relu'.",
        ),
        (
            "early_stopping: true",
            "early_stopping: must be a mapping of some of these keys: monitor, mode, patience, min_delta. Got true.",
        ),
    ],
)
def test_a_key_of_others_is_answered_with_what_to_write(more, answer):
    assert said(more=more) == answer


def test_a_label_of_a_table_is_its_target():
    with pytest.raises(SpecError, match=r"csv\.label: unknown key\. Did you mean 'target'\?"):
        parse_spec(
            yaml.loads("data: {source: {csv: {path: a.csv, label: y}}}\narchitecture: [dense: outputs]\nloss: mse")
        )


@pytest.mark.parametrize(
    ("layer", "answer"),
    [
        ("{dense: {units: 4, kernel_regularizer: l2}}", "regularizers: [{l2: 1e-4}]."),
        ("{conv2d: {channels: 4, kernel_constraint: 3}}", "regularizers: [{max_norm: 3}]."),
        ("{gru: {units: 4, bias_regularizer: l2}}", "Biases are not penalized: leave it out."),
        ("{dense: {units: 4, input_shape: [4]}}", "It follows from the data: leave it out."),
    ],
)
def test_what_others_say_of_a_layer_and_is_said_elsewhere_here_is_pointed_to(layer, answer):
    assert said(layer).endswith(answer)


@pytest.mark.parametrize("name", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
def test_decay_may_be_that_of_the_rate_or_of_the_weights(name):
    answer = "schedule: cosine; of the weights weight_decay of adamw."
    assert said(optimizer=f"{{{name}: {{decay: 1e-4}}}}").endswith(answer)


def test_weight_decay_is_a_penalty_where_the_optimizer_has_none():
    assert said(optimizer="{rmsprop: {weight_decay: 1e-4}}").endswith("Write regularizers: [{l2: 1e-4}].")
    assert "adamw" in said(optimizer="{adam: {weight_decay: 1e-4}}")
