"""The first spec for a data set: a small network that learns something, with comments that teach the choices."""

from __future__ import annotations

from typing import Any

from nnctl.core import yaml
from nnctl.core.mistakes import Loc
from nnctl.experiment.inspection import Findings

__all__ = ["starter_spec"]

RARE = 0.5
"""A class with less than this part of its even share makes accuracy misleading."""


def starter_spec(found: Findings, name: str, command: str) -> str:
    """Return the text of a spec that fits a data set.

    Parameters
    ----------
    found : Findings
    name : str
        What its runs are called.
    command : str
        What was typed to get it.
    """
    tiny = found.rows < 50
    spec: dict[str, Any] = {
        "name": name,
        "seed": 0,
        "data": _data(found, tiny=tiny),
        "architecture": _architecture(found),
        "init": "auto",
        "loss": _loss(found),
        "optimizer": {"adamw": {"lr": 0.01 if found.rows < 1000 else 0.003, "weight_decay": 0.01}},
        "schedule": "constant" if tiny else "one_cycle",
        "training": {"epochs": _epochs(found.rows), "batch_size": "full" if tiny else _batch(found.rows)},
        "metrics": _metrics(found),
    }
    if not tiny:
        spec["early_stopping"] = {"monitor": "val_loss", "patience": 20}
    return yaml.dump(spec, _comments(found, command))


def _is_rare(found: Findings) -> bool:
    return found.classes > 0 and found.rarest[1] * found.classes < RARE


def _data(found: Findings, *, tiny: bool) -> dict[str, Any]:
    source = found.source
    if isinstance(source, dict) and (found.has_missing or found.has_texts):
        [(kind, fields)] = source.items()
        fields = fields | ({"impute": "median"} if found.has_missing else {})
        source = {kind: fields | ({"encoding": "onehot"} if found.has_texts else {})}
    data: dict[str, Any] = {"source": source}
    time = {"time": found.time} if found.time else {}
    if tiny:
        data["split"] = time | {"validation": 0, "test": 0}
    else:
        data["split"] = time | {"validation": 0.15} | ({} if found.has_test else {"test": 0.15})
    data["scaling"] = "pixels" if found.is_image else "standard"
    if found.task == "regression":
        data["target_scaling"] = "standard"
    return data


def _architecture(found: Findings) -> list[Any]:
    if found.rows >= 5000 or found.features >= 64:
        hidden: list[Any] = [{"dense": 128}, "relu", {"dropout": 0.2}]
    else:
        width = 32 if found.rows >= 1000 else 16
        hidden = [{"dense": width}, "relu", {"dense": width}, "relu"]
    return [*hidden, {"dense": "outputs"}]


def _loss(found: Findings) -> str:
    if found.task == "regression":
        return "mse"
    return "binary_cross_entropy" if found.classes == 2 else "cross_entropy"


def _metrics(found: Findings) -> list[str]:
    if found.task == "regression":
        return ["r2", "rmse"]
    return ["accuracy", "balanced_accuracy"] if _is_rare(found) else ["accuracy"]


def _epochs(rows: int) -> int:
    return 200 if rows < 50 else 100 if rows < 1000 else 50 if rows < 5000 else 10


def _batch(rows: int) -> int:
    return 16 if rows < 200 else 32 if rows < 5000 else 64


def _comments(found: Findings, command: str) -> dict[Loc, str]:
    """Return what stands above each key."""
    source_kind = next(iter(found.source)) if isinstance(found.source, dict) else str(found.source)
    comments: dict[Loc, str] = {
        (): (
            f"{found.title}: a starting point, written by `{command}`.\n"
            "nnctl validate     checks this file and shows the network\n"
            "nnctl train        trains it; any key can be changed: SPEC optimizer.lr=0.1\n"
            "nnctl explain NAME tells what a word means, and what could stand for it\n"
        ),
        (
            "seed",
        ): "\nThe one number that all chance follows from. Train with a few (--seeds 5) before you believe a figure.",
        ("data",): "\nWhat is learned from.",
        ("data", "split"): _about_split(found),
        ("data", "scaling"): (
            "Networks learn best from inputs around 0 of size 1. standard: mean 0, variance 1. Others: minmax (into "
            "an interval), robust (where outliers spoil mean and variance), pixels (grey values), none."
        ),
        ("architecture",): (
            "\nThe layers from input to output. More units or layers can express more and overfit sooner; dropout and "
            "more data work against that. `outputs` is as wide as the data and the loss ask for.\n"
            "Activations: relu, tanh, gelu, ...; between layers also dropout, batch_norm, layer_norm, residual."
        ),
        ("init",): (
            "\nHow weights start. auto takes what suits the activation: he_normal for relu, xavier_normal for tanh. "
            "Too small, and gradients vanish; too large, and they explode."
        ),
        ("loss",): f"\n{_about_loss(found)}",
        ("optimizer",): (
            "\nHow weights follow the gradient. The learning rate lr matters most of all: try a third and three times "
            "as much. weight_decay keeps weights small. Others: sgd, momentum, rmsprop, adam."
        ),
        ("schedule",): (
            "\nThe learning rate over time. one_cycle rises and falls; cosine only falls; constant stays; "
            "reduce_on_plateau falls when nothing improves."
        ),
        ("training",): (
            "\nAn epoch sees every row once. Small batches: more steps and more noise; `full`: all rows in one step."
        ),
        ("metrics",): f"\n{_about_metrics(found)}",
        ("early_stopping",): (
            "\nStop when the validation part no longer improves for so many epochs, and keep the best weights."
        ),
    }
    if isinstance(found.source, dict):
        comments |= _about_columns(found, source_kind)
    if found.task == "regression":
        comments["data", "target_scaling"] = (
            "The target is scaled for training only; predictions and metrics are in its own units."
        )
    return comments


def _about_split(found: Findings) -> str:
    if found.rows < 50:
        few = "So few rows that all of them train. With more: {validation: 0.15, test: 0.15}."
        return f"{few}{_about_time(found) if found.time else ''}"
    start = "Validation rows choose between epochs and between settings; test rows are for the last word only."
    own = " The test part is the data set's own." if found.has_test else ""
    if found.time:
        return f"{start}{_about_time(found)}"
    more = (
        "\nAlso: stratify (the default for classes), group (rows of one patient together), time (the latest rows test)."
    )
    return f"{start}{own}{more}"


def _about_time(found: Findings) -> str:
    return (
        f"\nThe dates in '{found.time}' order the rows and are no input: the latest rows test, those before them "
        f"validate, as a network is used on days after those it learned from. If time plays no part, write "
        f"drop: [{found.time}] in the source in place of time."
    )


def _about_columns(found: Findings, kind: str) -> dict[Loc, str]:
    """Return the comments on how the columns of a file are read."""
    place: Loc = ("data", "source", kind)
    comments: dict[Loc, str] = {}
    if found.codes:
        comments[place] = (
            "Columns of texts are categories, the others numbers. Numbers that are codes and no quantities can be "
            f"made categories:  categorical: [{', '.join(found.codes)}]"
        )
    dropped = [remark for remark in found.remarks if "left out" in remark]
    if dropped:
        comments[*place, "drop"] = "\n".join(dropped) + "."
    comments[*place, "impute"] = (
        "What fills a missing number: median, mean or most_frequent of the training part, or error to forbid it."
    )
    comments[*place, "encoding"] = (
        "onehot: a column of 0 and 1 for every category; ordinal: its number in the sorted list."
    )
    return comments


def _about_loss(found: Findings) -> str:
    if found.task == "regression":
        return (
            "What is made small: the mean squared error. With outliers in the target try huber or mae. If the target "
            "is a class and no quantity, take cross_entropy and remove target_scaling."
        )
    weights = ""
    if _is_rare(found):
        rare, share = found.rarest
        weights = (
            f"\nOnly {100 * share:.2g} % of the rows are of class '{rare}'. To let every class count alike:\n"
            f"loss: {{{_loss(found)}: {{class_weight: balanced}}}}"
        )
    if found.classes == 2:
        return (
            "What is made small: minus the log of the probability of the true class, for two classes. It brings its "
            f"own sigmoid. Others: cross_entropy (softmax over two outputs), hinge.{weights}"
        )
    return (
        "What is made small: minus the log of the probability of the true class. It brings its own softmax. "
        f"label_smoothing makes it less sure of itself; hinge wants a margin.{weights}"
    )


def _about_metrics(found: Findings) -> str:
    if found.task == "regression":
        return "What is reported: r2 (1 is perfect, 0 as good as the mean), rmse and mae in the units of the target."
    if _is_rare(found):
        return "What is reported. Accuracy alone misleads where a class is rare. Also: f1, precision, recall, roc_auc."
    return "What is reported, beside the loss. Also: balanced_accuracy, f1, precision, recall, roc_auc, log_loss."
