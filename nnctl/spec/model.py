"""Spec: all that one experiment is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from nnctl.core.component import Items, NonNegative, PositiveInt, Schema
from nnctl.data.augment import Augmentation
from nnctl.data.scaling import NoScaling, Scaling, Standard
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan
from nnctl.nn.initializers import Auto, Initializer, Zeros
from nnctl.nn.layer import Layer
from nnctl.nn.losses import Loss
from nnctl.nn.preset import written_out
from nnctl.optim.gradients import Clip, Regularizer
from nnctl.optim.optimizers import Adam, Optimizer
from nnctl.optim.schedules import Constant, Schedule
from nnctl.train.metrics import Metric

__all__ = ["DEFAULT_EPOCHS", "FORMAT", "Data", "EarlyStopping", "Spec", "Training"]

DEFAULT_EPOCHS = 50
"""Where a spec says neither epochs nor steps."""


FORMAT = 1
"""The version of the spec's language."""


class Data(Schema):
    """What is learned from, and how it is brought into form."""

    advice: ClassVar[Mapping[str, str]] = {
        "batch_size": "It is training.batch_size.",
        "shuffle": "It is split.shuffle, or training.shuffle for the order of the batches.",
        "target": "It belongs to the source: csv: {path: ..., target: ...}.",
        "test_size": "It is split.test.",
        "validation_split": "It is split.validation.",
    }

    source: Source
    """Where the rows come from: a bundled set, a generator, a file, or the card of a known data set."""
    split: SplitPlan = Field(default_factory=SplitPlan)
    """Which rows train, which validate, which test."""
    scaling: Scaling = Field(default_factory=Standard)
    """How the inputs are scaled; learned from the training part."""
    target_scaling: Scaling = Field(default_factory=NoScaling)
    """How the targets of a regression are scaled while training; metrics and predictions are in their own units."""
    augment: Items[Augmentation] = ()
    """How the rows of the training part are changed on their way to the network, every time in another way."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "augmentation": "augment",
        "augmentations": "augment",
        "transforms": "augment",
        "transform": "augment",
        "dataset": "source",
        "name": "source",
        "splits": "split",
        "normalization": "scaling",
        "normalize": "scaling",
        "preprocessing": "scaling",
        "scaler": "scaling",
    }


class Training(Schema):
    """How long and in what portions to train."""

    advice: ClassVar[Mapping[str, str]] = {
        "learning_rate": "It is optimizer.lr.",
        "lr": "It is optimizer.lr.",
        "patience": "It is early_stopping.patience.",
        "test_size": "It is data.split.test.",
        "validation_split": "It is data.split.validation.",
    }

    epochs: PositiveInt | None = None
    """Passes over the training part; 50 if neither epochs nor steps is given."""
    steps: PositiveInt | None = None
    """Updates of the weights, instead of epochs."""
    batch_size: PositiveInt | Literal["full"] = 32
    """Rows of a minibatch, or ``full`` for the whole training part at once."""
    shuffle: bool = True
    """Whether every epoch takes the rows in an order of its own."""
    accumulate: PositiveInt = 1
    """Minibatches whose gradients are summed before one update: the effect of a batch this many times larger, with the
    memory of one. Only `batch_norm` can tell: it normalizes every minibatch by itself."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of weights and data; float64 takes about twice as long."""
    evaluate_every: PositiveInt = 1
    """Epochs between evaluations of the validation part; the last epoch is always evaluated."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "n_epochs": "epochs",
        "max_epochs": "epochs",
        "num_epochs": "epochs",
        "max_iter": "epochs",
        "max_steps": "steps",
        "iterations": "steps",
        "batch": "batch_size",
        "minibatch_size": "batch_size",
        "accumulate_grad_batches": "accumulate",
        "gradient_accumulation_steps": "accumulate",
        "precision": "dtype",
        "check_val_every_n_epoch": "evaluate_every",
        "validation_freq": "evaluate_every",
    }


class EarlyStopping(Schema):
    """Stop when a figure no longer improves, and keep the best weights, whatever ended the run.

    Source: Prechelt (1998), "Early stopping - but when?"; the patience rule is that of common practice.
    """

    monitor: str | None = None
    """A recorded figure, such as ``val_loss`` or ``val_accuracy``; by default ``val_loss``, or ``train_loss`` where
    there is no validation part."""
    mode: Literal["min", "max"] | None = None
    """Whether less or more is better; by default what suits the figure."""
    patience: PositiveInt = 10
    """Evaluations without improvement before training stops."""
    min_delta: NonNegative = 0.0
    """What counts as an improvement: more than this."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "metric": "monitor",
        "n_iter_no_change": "patience",
        "tol": "min_delta",
        "threshold": "min_delta",
        "direction": "mode",
    }


class Spec(Schema):
    """One experiment: data, architecture, and how it is trained."""

    advice: ClassVar[Mapping[str, str]] = {
        "activation": "An activation is a layer of its own: write it into the architecture, '- relu'.",
        "alpha": "It is a penalty: regularizers: [{l2: 1e-4}].",
        "device": "There is the CPU alone: leave it out.",
    }

    format: Literal[1] = 1
    """The version of the language that the spec is written in; a spec without one is in the first."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)] = "run"
    """What its runs are called; letters, digits and ``._-``. By default the name of the file."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The one number that all chance follows from: split, initial weights, order of the rows, dropout."""
    data: Data
    """What is learned from."""
    architecture: Annotated[Items[Layer], Field(min_length=1), AfterValidator(written_out)]
    """The layers, from the input to the output. A preset is written out: its layers stand in its place."""
    init: Initializer = Field(default_factory=Auto)
    """How the weights of layers start that name no init of their own."""
    bias_init: Initializer = Field(default_factory=Zeros)
    """How biases start."""
    loss: Loss
    """What is made small."""
    optimizer: Optimizer = Field(default_factory=Adam)
    """How the weights follow the gradient."""
    schedule: Schedule = Field(default_factory=Constant)
    """How the learning rate changes from step to step."""
    regularizers: Items[Regularizer] = ()
    """Penalties and constraints on the weights."""
    clip: Clip | None = None
    """A limit on the gradient; its norm before clipping is recorded in any case."""
    training: Training = Field(default_factory=Training)
    """How long and in what portions."""
    early_stopping: EarlyStopping | None = None
    """When to stop before the end. Where it is given, the weights of the best epoch are the result; else the last."""
    metrics: Items[Metric] | None = None
    """What is measured on every part beside the loss; by default accuracy, or r2 for a regression."""

    field_synonyms: ClassVar[Mapping[str, str]] = {
        "random_state": "seed",
        "random_seed": "seed",
        "dataset": "data",
        "model": "architecture",
        "layers": "architecture",
        "network": "architecture",
        "hidden_layer_sizes": "architecture",
        "initializer": "init",
        "initialization": "init",
        "criterion": "loss",
        "objective": "loss",
        "solver": "optimizer",
        "optim": "optimizer",
        "lr_scheduler": "schedule",
        "scheduler": "schedule",
        "lr_schedule": "schedule",
        "regularization": "regularizers",
        "regularizer": "regularizers",
        "penalty": "regularizers",
        "learning_rate": "optimizer.lr",
        "learning_rate_init": "optimizer.lr",
        "eta0": "optimizer.lr",
        "lr": "optimizer.lr",
        "weight_decay": "optimizer.weight_decay",
        "momentum": "optimizer.momentum",
        "gradient_clip_val": "clip.norm",
        "grad_clip": "clip.norm",
        "clipnorm": "clip.norm",
        "clip_norm": "clip.norm",
        "clipvalue": "clip.value",
        "gradient_clipping": "clip",
        "trainer": "training",
        "train": "training",
        "n_epochs": "training.epochs",
        "num_epochs": "training.epochs",
        "max_epochs": "training.epochs",
        "max_iter": "training.epochs",
        "epochs": "training.epochs",
        "steps": "training.steps",
        "batch": "training.batch_size",
        "batch_size": "training.batch_size",
        "dtype": "training.dtype",
        "callbacks": "early_stopping",
        "patience": "early_stopping.patience",
        "validation_split": "data.split.validation",
        "validation_fraction": "data.split.validation",
        "test_size": "data.split.test",
        "metric": "metrics",
    }
