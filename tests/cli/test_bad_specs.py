"""Whatever is done to a spec, nnctl trains it or says what is wrong: no traceback, no endless loop, no riddle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnctl.core import yaml
from nnctl.core.errors import NnctlError, SpecError
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.session import Session
from nnctl.spec.load import LoadedSpec, load_spec

CLASSES = {
    "name": "small",
    "seed": 3,
    "data": {
        "source": {"csv": {"path": "table.csv", "target": "y", "drop": ["c"], "numeric": ["a"], "impute": "mean"}},
        "split": {"validation": 0.2, "test": 10, "stratify": True},
        "scaling": {"minmax": {"range": [0, 1]}},
    },
    "architecture": [
        {"dense": {"units": 4, "init": {"xavier_normal": {"gain": 1.0}}, "bias": True}},
        "batch_norm",
        {"leaky_relu": 0.1},
        {"dropout": 0.2},
        {"repeat": {"layers": [{"residual": [{"dense": 4}, "tanh"]}], "times": 2}},
        {"dense": "outputs"},
    ],
    "init": "he_normal",
    "bias_init": {"constant": 0.01},
    "loss": {"cross_entropy": {"label_smoothing": 0.1, "class_weight": [1, 2]}},
    "optimizer": {"adamw": {"lr": 1e-2, "weight_decay": 0.1, "beta1": 0.9, "amsgrad": True}},
    "schedule": {"one_cycle": {"warmup": 0.3, "div_factor": 25}},
    "regularizers": [{"l2": 1e-4}, {"max_norm": 2.0}],
    "clip": {"norm": 1.0},
    "training": {"epochs": 2, "batch_size": 16, "accumulate": 2, "evaluate_every": 1, "dtype": "float64"},
    "early_stopping": {"monitor": "val_loss", "mode": "min", "patience": 3, "min_delta": 1e-3},
    "metrics": ["accuracy"],
}
QUANTITY = {
    "data": {"source": {"npz": {"path": "arrays.npz"}}, "scaling": "standard", "target_scaling": "standard"},
    "architecture": ["flatten", {"dense": 3}, "layer_norm", {"prelu": {"shared": True}}, {"dense": "outputs"}],
    "init": {"normal": {"std": 0.1}},
    "loss": {"huber": {"delta": 1.0}},
    "optimizer": {"momentum": {"lr": 0.01, "beta": 0.9, "nesterov": True}},
    "schedule": {"cosine": {"warmup": "3 steps", "cycle": 0.5}},
    "clip": {"value": 0.1},
    "training": {"steps": 4, "batch_size": "full", "shuffle": False},
    "metrics": ["r2", "mae"],
}

NUMBERS: list[Any] = [0, -1, 1, 2, 7, 0.5, 1.0, -0.5, 1e-300, 1e300, inf, -inf, nan, 10**12, 10**30]
WORDS: list[Any] = [
    "", " ", "x" * 200, "ü😀", "\x1b[31m", "a\nb", "../..", "/dev/null", "outputs", "full", "balanced", "5 epochs",
    "0 steps", "relu", "y", "1e3",
]  # fmt: skip
NESTED: list[Any] = [
    [], [[]], [None], {}, {"": 1}, {"a": {"b": {"c": 1}}}, ["relu", {"dense": 3}], {"relu": {}},
    {"dense": {"units": 3}},
]  # fmt: skip
NASTY: list[Any] = [None, True, False, *NUMBERS, *WORDS, *NESTED]
KEYS = ["", "lr", "units", "epochs", "name", "float", "x" * 100, "ü", "learning_rate", "source", "layers", "batch_size"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("specs")
    rows = "".join(f"{i % 7},{i * i % 5},{i},{'no' if i % 2 else 'yes'}\n" for i in range(80))
    (found / "table.csv").write_text("a,b,c,y\n" + rows)
    x = np.random.default_rng(0).normal(size=(60, 2, 3))
    np.savez(found / "arrays.npz", x=x, y=x.sum((1, 2)))
    return found


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a spec: the mapping or list that holds it, and its key."""
    if isinstance(value, dict | list):
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from places(item)


@st.composite
def broken(draw: Any) -> dict[str, Any]:
    """Return a spec in which one to three things were changed."""
    spec = deepcopy(draw(st.sampled_from([CLASSES, QUANTITY])))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(places(spec))))
        match draw(st.sampled_from(["replace", "replace", "number", "drop", "rename", "add", "wrap", "unwrap"])):
            case "replace":
                holder[key] = deepcopy(draw(st.sampled_from(NASTY)))
            case "number":
                holder[key] = draw(st.floats() | st.integers(-5, 40) | st.integers(10**9, 10**40))
            case "drop":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from(KEYS))] = holder.pop(key)
            case "add" if isinstance(holder[key], dict):
                holder[key][draw(st.sampled_from(KEYS))] = deepcopy(draw(st.sampled_from(NASTY)))
            case "wrap":
                holder[key] = draw(st.sampled_from([[holder[key]], {"dense": holder[key]}, [holder[key]] * 3]))
            case "unwrap" if isinstance(holder[key], dict | list) and holder[key]:
                inner = holder[key]
                holder[key] = next(iter(inner.values())) if isinstance(inner, dict) else inner[0]
        if not spec:
            break
    return spec


JARGON = re.compile(
    r"pydantic|Input should|should be|Value error|validation error|NoneType|Traceback|<class|np\.|array\("
)


def outcome(folder: Path, written: dict[str, Any]) -> str:
    """Train a spec for two steps and return "trained", or what is wrong with it."""
    (folder / "spec.yaml").write_text(yaml.dump(written))
    try:
        loaded = for_two_steps(load_spec(folder / "spec.yaml"))
        for _ in Session.start(Experiment(loaded), folder / "runs").epochs():
            pass
    except NnctlError as error:
        return judged(error)
    return "trained"


def for_two_steps(loaded: LoadedSpec) -> LoadedSpec:
    training = loaded.spec.training.model_copy(update={"steps": 2, "epochs": None})
    return replace(loaded, spec=loaded.spec.model_copy(update={"training": training}))


def judged(error: NnctlError) -> str:
    text = str(error)
    assert not JARGON.search(text), text
    messages = [problem.message for problem in error.problems] if isinstance(error, SpecError) else [text]
    for message in messages:
        assert message.endswith((".", "?", "'")), message
        assert len(message) < 1000, message
    return text


def test_the_specs_train_as_they_are(folder):
    assert [outcome(folder, spec) for spec in (CLASSES, QUANTITY)] == ["trained", "trained"]


@given(broken())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_a_broken_spec_is_trained_or_refused_in_plain_words(folder, written):
    outcome(folder, written)


@pytest.mark.slow
@given(broken())
@settings(max_examples=5000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_a_great_many_broken_specs_are_trained_or_refused_in_plain_words(folder, written):
    outcome(folder, written)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=200)
def test_any_file_at_all_is_refused_in_plain_words(folder, content):
    (folder / "spec.yaml").write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load_spec(folder / "spec.yaml")
    judged(caught.value)


LINES = yaml.dump(CLASSES).splitlines()


@given(
    st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.integers(0, 60), st.text(max_size=3)), min_size=1, max_size=3)
)
@settings(max_examples=200)
def test_a_typing_mistake_is_read_or_refused_in_plain_words(folder, slips):
    lines = list(LINES)
    for line, column, typed in slips:
        lines[line] = lines[line][:column] + typed + lines[line][column + 1 :]
    (folder / "spec.yaml").write_text("\n".join(lines), encoding="utf-8", errors="replace")
    try:
        load_spec(folder / "spec.yaml")
    except SpecError as error:
        judged(error)


@given(
    st.lists(
        st.text(max_size=30) | st.sampled_from(["training.epochs", "optimizer.lr=", "architecture.0.units=1"]),
        max_size=3,
    )
)
@settings(max_examples=200)
def test_any_override_is_taken_or_refused_in_plain_words(folder, overrides):
    (folder / "spec.yaml").write_text(yaml.dump(CLASSES))
    try:
        load_spec(folder / "spec.yaml", overrides)
    except SpecError as error:
        judged(error)
