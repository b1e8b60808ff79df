"""nnctl: train, debug and compare small neural networks, from a YAML spec or from Python.

    import nnctl

    session = nnctl.train_spec(nnctl.load_spec("spec.yaml", ["training.epochs=5"]))
    print(session.summary["metrics"], session.run.path)

The names below are imported from where they are defined when they are first used: ``import nnctl`` alone is as light as
`nnctl --help` has to be.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnctl.core.component import Component
    from nnctl.core.errors import NnctlError
    from nnctl.data.sources import Source
    from nnctl.experiment.assembly import Experiment
    from nnctl.experiment.prediction import Predictor
    from nnctl.experiment.session import Session, train_spec
    from nnctl.nn.initializers import Initializer
    from nnctl.nn.layer import Layer
    from nnctl.nn.layout import Layout
    from nnctl.nn.losses import Loss
    from nnctl.nn.network import Network
    from nnctl.optim import Optimizer, Schedule
    from nnctl.runs.store import Run
    from nnctl.spec.load import LoadedSpec, load_spec
    from nnctl.spec.model import Spec
    from nnctl.train.metrics import Metric
    from nnctl.train.step import Learner, train_step

__version__ = "0.1.0"

__all__ = [
    "Component",
    "Experiment",
    "Initializer",
    "Layer",
    "Layout",
    "Learner",
    "LoadedSpec",
    "Loss",
    "Metric",
    "Network",
    "NnctlError",
    "Optimizer",
    "Predictor",
    "Run",
    "Schedule",
    "Session",
    "Source",
    "Spec",
    "load_spec",
    "train_spec",
    "train_step",
]

_HOMES = {
    "core.component": ("Component",),
    "core.errors": ("NnctlError",),
    "data.sources": ("Source",),
    "experiment.assembly": ("Experiment",),
    "experiment.prediction": ("Predictor",),
    "experiment.session": ("Session", "train_spec"),
    "nn.initializers": ("Initializer",),
    "nn.layer": ("Layer",),
    "nn.layout": ("Layout",),
    "nn.losses": ("Loss",),
    "nn.network": ("Network",),
    "optim": ("Optimizer", "Schedule"),
    "runs.store": ("Run",),
    "spec.load": ("LoadedSpec", "load_spec"),
    "spec.model": ("Spec",),
    "train.metrics": ("Metric",),
    "train.step": ("Learner", "train_step"),
}


def __getattr__(name: str) -> Any:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'nnctl' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"nnctl.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
