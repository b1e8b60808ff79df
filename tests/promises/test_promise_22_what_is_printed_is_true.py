"""Promise 22: the figures shown are those of the predictions, and a run that is trained again is the same run.

That `nnctl repro` says what differs, and why, is tested in tests/cli/test_repro.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import call
from sklearn import metrics as sk

from nnctl.runs.store import Run

CLASSES = ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"]
VALUES = ["mse", "rmse", "mae", "r2"]

SPEC = """\
name: told
data: {source: %s, split: {validation: 0.2, test: 0.3}%s}
architecture: [dense: 12, batch_norm, relu, dropout: 0.2, dense: outputs]
loss: %s
optimizer: {adam: 0.01}
training: {epochs: 6, batch_size: 8}
metrics: [%s]
"""


@pytest.fixture(autouse=True)
def tables(tmp_path, monkeypatch) -> Path:
    """A working directory with the data of the specs below."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")  # a table with many metrics in one line each
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 3))
    weight = rng.integers(0, 5, 160)  # some rows weigh nothing
    kinds = np.digitize(x[:, 0] + rng.normal(size=160) * 0.3, [-0.4, 0.4])
    rows = zip(x, weight, kinds, strict=True)
    Path("rows.csv").write_text(
        "a,b,c,w,kind,sign,value\n"
        + "".join(
            f"{a},{b},{c},{w},{['low', 'mid', 'high'][k]},{'no' if a + b < 0 else 'yes'},{3 * a - b + 100}\n"
            for (a, b, c), w, k in rows
        )
    )
    np.savez("rows.npz", x=x, y=np.stack([x[:, 0] * 3, x[:, 1] * 50 + 7], axis=1))
    return tmp_path


def csv(target: str, more: str = "") -> str:
    others = ", ".join({"kind", "sign", "value"} - {target})
    drop = f"[{others}]" if more else f"[{others}, w]"
    return f"{{csv: {{path: rows.csv, target: {target}, drop: {drop}{more}}}}}"


CASES = {
    "three classes": (csv("kind"), "", "cross_entropy", CLASSES),
    "three classes, weights": (csv("kind", ", weight: w"), "", "cross_entropy", CLASSES),
    "two classes, one output": (csv("sign"), "", "binary_cross_entropy", CLASSES),
    "two classes, two outputs": (csv("sign"), "", "cross_entropy", CLASSES),
    "regression": (csv("value"), "", "mse", VALUES),
    "regression, scaled target": (csv("value"), ", target_scaling: standard", "huber", VALUES),
    "regression, weights": (csv("value", ", weight: w"), "", "mae", VALUES),
    "two targets": ("{npz: rows.npz}", ", target_scaling: standard", "mse", VALUES),
}


def by_scikit_learn(name: str, found: dict, weight: np.ndarray | None) -> float:
    """Return a metric of the predictions, as scikit-learn computes it."""
    entries = found["predictions"]
    said, true = (np.array([entry[key] for entry in entries]) for key in ("prediction", "target"))
    if name in VALUES:
        functions = {"mse": sk.mean_squared_error, "rmse": sk.root_mean_squared_error, "mae": sk.mean_absolute_error}
        return functions.get(name, sk.r2_score)(true, said, sample_weight=weight)
    labels = list(entries[0]["probabilities"])
    p = np.array([list(entry["probabilities"].values()) for entry in entries])
    if name == "roc_auc":
        y = np.array([labels.index(each) for each in true])
        return sk.roc_auc_score(np.eye(len(labels))[y], p, sample_weight=weight)
    if name == "log_loss":
        return sk.log_loss(true, p / p.sum(axis=1, keepdims=True), labels=labels, sample_weight=weight)
    if name == "accuracy":
        return sk.accuracy_score(true, said, sample_weight=weight)
    if name == "balanced_accuracy":
        return sk.balanced_accuracy_score(true, said, sample_weight=weight)
    average = {"average": "macro"} if len(labels) > 2 else {"average": "binary", "pos_label": labels[1]}
    function = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}[name]
    return function(true, said, sample_weight=weight, zero_division=0, **average)


def shown(out: str) -> dict[str, dict[str, str]]:
    """Return the figures of the table that `train` shows, by part and metric."""
    lines = out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("seed 0, last epoch"))
    names = lines[head].split()[5:]
    rows = [line.split() for line in lines[head + 1 : head + 4]]
    return {part: dict(zip(names, figures, strict=True)) for part, *figures in rows}


@pytest.mark.parametrize("case", CASES)
def test_the_figures_in_the_table_are_those_that_scikit_learn_computes_from_the_predictions(case):
    source, scaling, loss, names = CASES[case]
    Path("spec.yaml").write_text(SPEC % (source, scaling, loss, ", ".join(names)))
    code, out, err = call("train", "--no-plot")
    assert (code, err) == (0, "")
    [run] = Path("runs").iterdir()
    weights = np.loadtxt("rows.csv", delimiter=",", skiprows=1, usecols=3) if "weight" in source else None
    table = shown(out)
    assert set(table) == {"train", "validation", "test"}
    for part, figures in table.items():
        found = json.loads(call("predict", run, part, "--json").out)
        weight = None if weights is None else weights[[entry["row"] - 1 for entry in found["predictions"]]]
        for name in names:
            expected = by_scikit_learn(name, found, weight)
            assert float(figures[name]) == pytest.approx(expected, rel=6e-4, abs=1e-9), (part, name)
            assert found["score"][name] == pytest.approx(expected, rel=1e-5, abs=1e-6), (part, name)


def weights_of(run: Path) -> dict[str, bytes]:
    return {name: tensor.tobytes() for name, tensor in Run.open(run).load_tensors("last")[0].items()}


@pytest.mark.parametrize("case", ["three classes, weights", "regression, scaled target", "two targets"])
def test_training_the_resolved_spec_of_a_run_gives_its_weights_from_anywhere(case, tables, monkeypatch):
    source, scaling, loss, names = CASES[case]
    Path("spec.yaml").write_text(SPEC % (source, scaling, loss, ", ".join(names)))
    first = tables / json.loads(call("train", "--no-plot", "--json").out)["run"]
    (tables / "elsewhere").mkdir()
    monkeypatch.chdir(tables / "elsewhere")
    answer = call("train", first / "resolved.yaml", "--no-plot", "--json")
    assert answer.code == 0, answer.err
    assert weights_of(Path(json.loads(answer.out)["run"])) == weights_of(first)


def test_repro_says_identical_and_names_the_first_figure_that_is_not():
    source, scaling, loss, names = CASES["three classes"]
    Path("spec.yaml").write_text(SPEC % (source, scaling, loss, ", ".join(names)))
    run = Path(json.loads(call("train", "--no-plot", "--json").out)["run"])
    assert json.loads(call("repro", run, "--json").out)["verdict"] == "identical"
    lines = (run / "metrics.jsonl").read_text().splitlines()
    record = json.loads(lines[4])
    record["grad_norm"] = float(np.nextafter(record["grad_norm"], 9))  # the least that can be
    (run / "metrics.jsonl").write_text("\n".join([*lines[:4], json.dumps(record), *lines[5:]]) + "\n")
    code, _, err = call("repro", run)
    assert code == 5
    assert "epoch 5 is the first that differs, grad_norm" in err
