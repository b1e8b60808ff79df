"""From a file to a checked spec: every mistake at once, each with its line, its column, a caret and a hint."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnctl.core import yaml
from nnctl.core.errors import SpecError
from nnctl.spec.load import MAX_LAYERS, load_spec, parse_spec, resolved_text
from nnctl.spec.model import Spec

LEAST = """\
data: {source: iris}
architecture: [dense: outputs]
loss: cross_entropy
"""


def spec_of(text: str) -> Spec:
    return parse_spec(yaml.loads(dedent(text)))


def told(text: str) -> list[str]:
    """Return the mistakes of a text, each as "line:column path: message"."""
    with pytest.raises(SpecError) as caught:
        spec_of(text)
    found = caught.value.problems
    assert [(p.line, p.column) for p in found] == sorted((p.line, p.column) for p in found)
    return [f"{p.line}:{p.column} {p.dotted}: {p.message}" for p in found]


def one(text: str) -> str:
    (line,) = told(text)
    return line


def added(line: str) -> str:
    """Return the mistake that one line makes below a spec that is in order."""
    return one(LEAST + line).split(" ", 1)[1]


# ---------------------------------------------------------------------- all mistakes at once


MANY = """\
name: a/b
seed: -1
dataa: {source: iris}
architecture:
  - dense: 0
  - rleu
  - {dropout: 0.2, relu: 1}
loss: cross_entropi
optimizer: {adam: {learning_rate: 0.1, beta1: 2}}
clip:
training: {epochs: many, batch_size: 0}
"""


def test_every_mistake_is_told_at_once_in_the_order_of_the_lines():
    assert told(MANY) == [
        "1:1 name: must hold letters, digits and ._- alone, and begin with a letter or a digit. Got 'a/b'.",
        "2:1 seed: must be >= 0. Got -1.",
        "3:1 dataa: unknown key. Did you mean 'data'?",
        "5:5 architecture.0.dense.units: must be > 0 or 'outputs'. Got 0.",
        "6:5 architecture.1: unknown layer 'rleu'. Did you mean 'relu'?",
        "7:5 architecture.2: must name one layer. Got 2 keys: dropout, relu. Indent what belongs to the first.",
        "8:1 loss: unknown loss 'cross_entropi'. Did you mean 'cross_entropy'?",
        "9:20 optimizer.adam.learning_rate: unknown key. Did you mean 'lr'?",
        "9:40 optimizer.adam.beta1: must be < 1. Got 2.",
        "10:1 clip: is empty. Give it a value, or leave the key out for the default.",
        "11:12 training.epochs: must be a whole number. Got 'many'.",
        "11:26 training.batch_size: must be > 0 or 'full'. Got 0.",
    ]


def test_a_mistake_shows_its_line_with_a_caret_under_the_value():
    with pytest.raises(SpecError) as caught:
        spec_of(LEAST + "optimizer:\n  adamw:\n    lr: -1\n")
    assert str(caught.value) == "spec.yaml:6:5: optimizer.adamw.lr: must be > 0. Got -1.\n        lr: -1\n        ^"


@pytest.mark.parametrize("key", ["data", "architecture", "loss"])
def test_what_every_spec_must_say_is_asked_for(key):
    rest = "".join(line for line in LEAST.splitlines(True) if not line.startswith(key))
    assert one(rest) == f"1:1 {key}: is required and missing."


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("clip:", "clip"),
        ("training:", "training"),
        ("optimizer: {adam: }", "optimizer.adam"),
        ("training: {epochs: ~}", "training.epochs"),
        ("metrics: [accuracy, null]", "metrics.1"),
        ("regularizers:\n  -\n", "regularizers.0"),
    ],
)
def test_an_empty_section_is_a_mistake_told_once(line, path):
    assert added(line) == f"{path}: is empty. Give it a value, or leave the key out for the default."


def test_an_empty_list_is_none_where_that_makes_sense():
    spec = spec_of(LEAST + "metrics: []\nregularizers: []\n")
    assert (spec.metrics, spec.regularizers) == ((), ())
    assert one(LEAST.replace("[dense: outputs]", "[]")) == "2:1 architecture: must have at least 1 item(s). Got []."


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("learning_rate: 1", "optimizer.lr"),
        ("lr: 1", "optimizer.lr"),
        ("hidden_layer_sizes: [3]", "architecture"),
        ("n_epochs: 3", "training.epochs"),
        ("epochs: 3", "training.epochs"),
        ("gradient_clip_val: 1", "clip.norm"),
        ("random_state: 1", "seed"),
        ("solver: adam", "optimizer"),
        ("lr_scheduler: step", "schedule"),
        ("callbacks: 1", "early_stopping"),
        ("Metrics: []", "metrics"),
        ("bias-init: zeros", "bias_init"),
    ],
)
def test_what_other_frameworks_say_is_told_what_it_is_here(word, meant):
    assert added(word).endswith(f": unknown key. Did you mean '{meant}'?")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optimizer: {sgd: {learning_rate: 1}}", "optimizer.sgd.learning_rate: unknown key. Did you mean 'lr'?"),
        ("training: {n_epochs: 3}", "training.n_epochs: unknown key. Did you mean 'epochs'?"),
        ("training: {max_epochs: 3}", "training.max_epochs: unknown key. Did you mean 'epochs'?"),
        ("training: {batchsize: 3}", "training.batchsize: unknown key. Did you mean 'batch_size'?"),
        ("early_stopping: {tol: 3}", "early_stopping.tol: unknown key. Did you mean 'min_delta'?"),
        ("optimizer: Adam", "optimizer: unknown optimizer 'Adam'. Did you mean 'adam'?"),
        ("clip: {clipnorm: 1}", "clip.clipnorm: unknown clip 'clipnorm'. Did you mean 'norm'?"),
        ("clip: 1.0", "clip: must name a clip: norm, value. Got 1.0."),
        ("seed: 1e3", "seed: must be a whole number. Got 1000.0. Write 1000."),
        ("seed: 9223372036854775808", "seed: must be < 9223372036854775808. Got 9223372036854775808."),
        ("name: ''", "name: must hold letters, digits and ._- alone, and begin with a letter or a digit. Got ''."),
        ("training: {shuffle: no}", "training.shuffle: must be true or false. Got 'no'."),
        ("training: {dtype: float16}", "training.dtype: must be 'float32' or 'float64'. Got 'float16'."),
        ("training: {epochs: 1.5}", "training.epochs: must be a whole number. Got 1.5."),
        ("training: {batch_size: 1e2}", "training.batch_size: must be a whole number or 'full'. Got 100.0. Write 100."),
        ("training: {epochs: true}", "training.epochs: must be a whole number. Got true."),
        ("metrics: accuracy", "metrics: must be a list, such as [accuracy]. Got 'accuracy'."),
        ("optimizer: {adam: {lr: .nan}}", "optimizer.adam.lr: must be a finite number. Got nan."),
        ("optimizer: {adam: {lr: 1e400}}", "optimizer.adam.lr: must be a finite number. Got inf."),
        ("qqq: 3", "qqq: unknown key. Known: " + ", ".join(Spec.model_fields) + "."),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_what_must_be_and_what_was_found(line, said):
    assert added(line) == said


# ---------------------------------------------------------------------- between sections

MONITOR = "early_stopping.monitor: must begin with 'train_' or 'val_', such as val_loss. "


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("training: {epochs: 3, steps: 5}", "training.steps: stands beside epochs: give one of the two."),
        ("metrics: [accuracy, r2]", "metrics.1: r2 is for regression, and the loss is for classification."),
        ("metrics: [accuracy, accuracy]", "metrics.1: accuracy is there twice"),
        (
            "early_stopping: {monitor: loss}",
            MONITOR + "Got 'loss'. Did you mean 'val_loss'?",
        ),
        (
            "early_stopping: {monitor: test_f1}",
            MONITOR + "Got 'test_f1'. Did you mean 'val_f1'?",
        ),
        (
            "early_stopping: {monitor: ''}",
            MONITOR + "Got ''.",
        ),
    ],
)
def test_sections_that_contradict_each_other_are_a_mistake(line, said):
    assert added(line).startswith(said)


def test_all_contradictions_are_told_at_once():
    text = LEAST + "training: {epochs: 3, steps: 5}\nmetrics: [r2, mae]\nearly_stopping: {monitor: loss}\n"
    assert [line.split()[1] for line in told(text)] == [
        "training.steps:", "metrics.0:", "metrics.1:", "early_stopping.monitor:",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        ("{repeat: {times: 1000000000000, layers: [relu]}}", "1,000,000,000,002"),
        ("{repeat: {times: 300, layers: [{repeat: {times: 300, layers: [relu]}}]}}", "90,302"),
    ],
)
def test_layers_without_end_are_refused_before_they_are_laid_out(layer, count):
    text = LEAST.replace("[dense", f"[{layer}, dense")
    assert one(text) == f"2:1 architecture: must have at most {MAX_LAYERS:,} layers, repetitions counted. Got {count}."


def test_the_most_layers_that_are_allowed_are_allowed():
    spec_of(LEAST.replace("[dense", f"[repeat: {{times: {MAX_LAYERS - 2}, layers: [relu]}}, dense"))


# ---------------------------------------------------------------------- the file


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("digits-mlp.yaml", "digits-mlp"),
        ("my first try.yaml", "my-first-try"),
        ("..hidden.yml", "hidden"),
        ("日本.yaml", "run"),
        ("x" * 200 + ".yaml", "x" * 80),
    ],
)
def test_a_spec_is_called_what_its_file_is_called(spec_file, file, name):
    assert load_spec(spec_file(LEAST, file)).spec.name == name


def test_a_name_that_is_given_is_kept_even_if_on_the_command_line(spec_file):
    assert load_spec(spec_file(LEAST + "name: mine\n")).spec.name == "mine"
    assert load_spec(spec_file(LEAST), ["name=mine"]).spec.name == "mine"


def test_the_text_is_kept_as_written_and_paths_start_at_the_file(spec_file, tmp_path):
    loaded = load_spec(str(spec_file("# a comment\n" + LEAST)), ["seed=7"])
    assert loaded.text == "# a comment\n" + LEAST
    assert loaded.base == tmp_path.resolve()
    assert loaded.spec.seed == 7


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty. `nnctl init` writes a spec to start from."),
        ("# only this\n", "is empty. `nnctl init` writes a spec to start from."),
        ("[1]", "must be a mapping of keys to values at the top level. Got a list."),
        ("data:\n\tsource: iris\n", "has a tab in its indentation. Indent with spaces."),
        ("data: !!python/name:os.system x", "the tag '!!python/name:os.system'; a spec is plain data."),
        (LEAST + LEAST, "stands twice, in lines 1 and 4. Remove one."),
        ("a: &a [*a]", "holds itself"),
        ("a: " + "[" * 100, "is nested more than 64 levels deep."),
        ("x" * 1_000_001, "is larger than 1 MB."),
    ],
)
def test_a_file_that_is_no_such_yaml_is_refused(spec_file, content, said):
    with pytest.raises(SpecError) as caught:
        load_spec(spec_file(content))
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_said_with_one_that_is(spec_file, tmp_path):
    spec_file(LEAST, "digits.yaml")
    with pytest.raises(SpecError, match=r"does not exist\. Did you mean 'digits\.yaml'\?"):
        load_spec(tmp_path / "digit.yaml")
    with pytest.raises(SpecError, match="is a directory"):
        load_spec(tmp_path)


def test_mistakes_of_the_file_and_of_the_command_line_are_told_together(spec_file):
    with pytest.raises(SpecError) as caught:
        load_spec(spec_file(LEAST + "sed: 1\n"), ["training.epochs=0"])
    assert [(p.source, p.line) for p in caught.value.problems] == [("command line", None), (None, 4)]


# ---------------------------------------------------------------------- another seed


def test_another_seed_changes_the_seed_alone(spec_file):
    loaded = load_spec(spec_file(LEAST))
    other = loaded.with_seed(5)
    assert other.spec == loaded.spec.model_copy(update={"seed": 5})
    assert (other.text, other.base, other.document) == (loaded.text, loaded.base, loaded.document)


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_another_seed_out_of_range_is_refused(spec_file, seed):
    with pytest.raises(SpecError, match="seed: must be"):
        load_spec(spec_file(LEAST)).with_seed(seed)


# ---------------------------------------------------------------------- the resolved spec


def test_the_resolved_spec_says_every_default_and_nothing_is_empty():
    text = resolved_text(spec_of(LEAST))
    assert "null" not in text
    assert "early_stopping" not in text
    for words in ("seed: 0", "batch_size: 32", "dtype: float32", "lr: 0.001", "scaling: standard", "bias: true"):
        assert words in text


def named(name: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return value.map(lambda fields: {name: fields})


activations = st.sampled_from(["relu", {"leaky_relu": 0.2}, {"elu": {"alpha": 0.5}}, {"prelu": {"shared": True}}])
numbers = st.floats(1e-8, 0.9, allow_subnormal=False)
inits = st.sampled_from(["he_normal", {"normal": 0.01}, {"xavier_uniform": {"gain": 2.0}}])
dense = st.fixed_dictionaries({"units": st.integers(1, 10**6)}, optional={"bias": st.booleans(), "init": inits})
one_layer = st.one_of(named("dense", dense), activations, named("dropout", numbers), st.just("batch_norm"))


def composites(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    group = st.lists(inner, min_size=1, max_size=2)
    repeated = st.fixed_dictionaries({"layers": group, "times": st.integers(1, 3)})
    return named("residual", group) | named("repeat", repeated)


sources = ["iris", {"moons": {"samples": 50, "noise": 0.1}}, {"csv": {"path": "a b.csv", "target": "yes"}}]
data = st.fixed_dictionaries(
    {"source": st.sampled_from(sources)},
    optional={
        "split": st.fixed_dictionaries({"validation": numbers, "stratify": st.booleans()}),
        "scaling": st.sampled_from(["minmax", "none"]),
    },
)
losses = [{"label_smoothing": 0.1}, {"class_weight": [1, 2.5]}, {"class_weight": "balanced"}]
specs = st.fixed_dictionaries(
    {
        "data": data,
        "architecture": st.lists(st.recursive(one_layer, composites, max_leaves=4), min_size=1, max_size=4),
        "loss": st.just("cross_entropy") | named("cross_entropy", st.sampled_from(losses)),
    },
    optional={
        "name": st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z"),
        "seed": st.integers(0, 2**63 - 1),
        "optimizer": st.just("sgd") | named("adamw", st.fixed_dictionaries({"lr": numbers, "weight_decay": numbers})),
        "schedule": st.sampled_from(["constant", {"cosine": {"warmup": "5 steps"}}, {"one_cycle": {"warmup": 0.3}}]),
        "regularizers": st.lists(named("l2", numbers), max_size=1),
        "clip": named("norm", numbers),
        "training": st.sampled_from([{"steps": 5}, {"epochs": 7, "batch_size": "full"}, {"dtype": "float64"}, {}]),
        "early_stopping": st.sampled_from([{}, {"monitor": "val_f1", "min_delta": 0}]),
        "metrics": st.sampled_from([[], ["accuracy"], [{"f1": {"average": "macro"}}, "log_loss"]]),
    },
)


@given(specs)
def test_a_resolved_spec_is_read_back_as_the_same_spec(written):
    spec = spec_of(yaml.dump(written))
    text = resolved_text(spec)
    assert spec_of(text) == spec
    assert resolved_text(spec_of(text)) == text


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("architecture: [{dense: {units: 4, activation: relu}}]", "write it as the next entry, '- relu'"),
        ("optimizer: {sgd: {lr: 0.1, momentum: 0.9}}", "Write optimizer: {momentum: {beta: 0.9}}."),
        ("optimizer: {adam: {weight_decay: 0.1}}", "Write optimizer: adamw"),
        ("training: {validation_split: 0.1}", "It is data.split.validation."),
        ("data: {source: iris, test_size: 0.1}", "It is split.test."),
    ],
)
def test_a_word_that_has_no_key_here_is_answered_with_what_to_write(text, advice):
    key = text.split(":")[0]
    least = "\n".join(line for line in LEAST.splitlines() if not line.startswith(f"{key}:"))
    with pytest.raises(SpecError) as caught:
        spec_of(f"{least}\n{text}\n")
    assert advice in str(caught.value)
