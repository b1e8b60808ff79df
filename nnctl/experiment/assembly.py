"""A spec with its data: what trains, laid out and priced before anything large is allocated."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from nnctl.core.arrays import Float, Shape
from nnctl.core.compiled import compile_loops
from nnctl.core.errors import DataError, SpecError
from nnctl.core.machine import available_memory, cores
from nnctl.data.batches import Batches, is_positionwise
from nnctl.data.dataset import Prepared, Split
from nnctl.data.prepare import prepare
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.table import counted
from nnctl.experiment.augmenting import augmenter_of, enlarged, refuse_unsuited
from nnctl.experiment.measuring import metrics_of
from nnctl.experiment.price import SHARE, Memory, price, size
from nnctl.experiment.short_rows import lost_in_training
from nnctl.nn.embedding import Embedding, TiedEmbedding
from nnctl.nn.layer import ShapeError
from nnctl.nn.layout import Layout
from nnctl.nn.losses import Loss, fuse
from nnctl.nn.memory import Use
from nnctl.nn.network import Network
from nnctl.nn.team import Team, replicas_for
from nnctl.spec.load import LoadedSpec
from nnctl.spec.model import DEFAULT_EPOCHS, Spec
from nnctl.train.evaluate import Examples, Judge
from nnctl.train.loop import Plan, Progress
from nnctl.train.step import Learner
from nnctl.train.stopping import Patience

__all__ = ["Experiment", "blas_threads", "compile_for", "lay_out", "set_blas_threads"]

THREADED_FLOP = 15e6
"""From this many floating point operations in its largest product on, a network gains from a second BLAS thread."""


COMPILED_UPDATES = 5_000_000_000
"""From so many updates of single parameters on a compiler is worth the two seconds that it takes to import and to work:
a loop saves Adam 0.8 ns for each."""

COMPILER_BYTES = 2**29
"""What must be free for the compiler, which takes 150 MB."""


def blas_threads(layout: Layout, batch: int) -> int:
    """Return how many threads BLAS gets: one, unless the largest product is worth more and replicas share no cores.

    A fixed rule and no timing, because the bits of a product depend on it. The bound is a cautious one: small networks
    gain nothing from a second thread (T1 of ``tests/benchmarks/dense.py``: 90 us and 91), those below it a little on a
    quiet machine (T3: 148 us and 117), and threads that have to meet wait for whoever else is at work.
    """
    small = layout.largest_product(batch) < THREADED_FLOP
    return 1 if small or layout.two_ways or replicas_for(layout, batch) > 1 else min(cores(), 8)


def set_blas_threads(threads: int) -> None:
    """Limit BLAS to that many threads, for the rest of the process."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - 18 ms

    threadpool_limits(threads, user_api="blas")


def compile_for(network: Network, steps: int) -> None:
    """Have loops compiled for a training so long that it is over sooner, where Numba is installed; the bits stay."""
    free = available_memory()
    if network.theta.size * steps >= COMPILED_UPDATES and (free is None or free >= COMPILER_BYTES):
        compile_loops(network.dtype)


def lay_out(spec: Spec, preprocessing: Preprocessing, outputs: int) -> Layout:
    """Return the plan of the network that a spec describes, for the inputs of the data and that many outputs.

    Raises
    ------
    ShapeError
        Where a layer cannot take what reaches it, or the last activation does not fit the loss.
    """
    layers = [layer.with_outputs(outputs) for layer in spec.architecture]
    if preprocessing.tokens is not None:
        layers = [layer.with_vocabulary(len(preprocessing.tokens)) for layer in layers]
    return Layout(fuse(spec.loss, layers), preprocessing.input_shape, spec.init, spec.bias_init)


class Experiment:
    """A spec with its data loaded and its network laid out; nothing large but the data is allocated yet.

    Parameters
    ----------
    loaded : LoadedSpec
    data : Prepared, optional
        Its data, where they are at hand already.

    Raises
    ------
    DataError
        Where the data cannot be used.
    SpecError
        Where the architecture does not fit the data or the loss, or is too large for the memory.
    """

    def __init__(self, loaded: LoadedSpec, data: Prepared | None = None) -> None:
        self.loaded = loaded
        self.spec = loaded.spec
        try:
            found = data or self._prepared()
            refuse_unsuited(loaded, found)
            self.data: Prepared = data or enlarged(found, self.spec)
        except DataError as error:
            raise loaded.of_data(error) from None
        self.loss = self._loss()
        self.outputs = self._outputs()
        self.layout = self._layout()
        self.batch_rows = self._batch_rows()
        self.metrics = metrics_of(loaded, self.data)
        self.monitor = self._monitor()
        self._check_memory()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the data, and of what the network loses of them."""
        return (*self.data.notes, *lost_in_training(self.loaded, self.data, self.layout))

    def variant(self, **changes: Any) -> Experiment:
        """Return the same experiment with other sections of its spec, on the same rows in the same parts.

        Parameters
        ----------
        **changes
            Sections by name: ``optimizer=...``, ``seed=1``, ``regularizers=()``, ``training=...``. Another
            `training.dtype` casts the data.
        """
        spec = self.spec.model_copy(update=changes)
        return Experiment(replace(self.loaded, spec=spec), self.data.astype(np.dtype(spec.training.dtype)))

    # ------------------------------------------------------------------ what the spec leaves to the data

    def _prepared(self) -> Prepared:
        spec = self.spec
        return prepare(
            spec.data.source,
            spec.data.split,
            spec.data.scaling,
            task=spec.loss.task,
            target_scaling=spec.data.target_scaling,
            seed=spec.seed,
            dtype=np.dtype(spec.training.dtype),
            base=self.loaded.base,
            augment=spec.data.augment,
        )

    def _loss(self) -> Loss:
        try:
            return self.spec.loss.settled(self.data.train.y, self.data.classes or ())
        except ValueError as error:
            raise self.loaded.error(("loss", self.spec.loss.name, "class_weight"), str(error)) from None

    def _outputs(self) -> int:
        classes = None if self.data.classes is None else len(self.data.classes)
        try:
            return self.loss.outputs(classes, self.data.outputs)
        except ValueError as error:
            raise self.loaded.error(("loss",), str(error)) from None

    def _layout(self) -> Layout:
        try:
            layout = lay_out(self.spec, self.data.preprocessing, self.outputs)
        except ShapeError as error:
            first = self.spec.architecture[0]
            starts_wrong = error.path == (0, first.name) and not isinstance(first, Embedding | TiedEmbedding)
            hint = " The inputs are tokens: begin with 'embedding: 64'." * (starts_wrong and self._reads_tokens)
            raise self.loaded.error(("architecture", *error.path), f"{error}{hint}") from None
        if self._reads_tokens and layout.root.vocabulary() is None:
            raise self.loaded.error(
                ("architecture", 0),
                "the inputs are tokens: numbers that name things and measure none. Begin with 'embedding: 64'.",
            )
        if layout.out_shape != self._wanted_shape():
            raise self._wrong_width(layout)
        return layout

    @property
    def _reads_tokens(self) -> bool:
        return self.data.preprocessing.tokens is not None

    def _wanted_shape(self) -> Shape:
        y = self.data.train.y
        return (y.shape[1], self.outputs) if is_positionwise(y) else (self.outputs,)

    def _wrong_width(self, layout: Layout) -> SpecError:
        what = f"{len(self.data.classes)} classes" if self.data.classes else f"{self.data.outputs} target column(s)"
        last = max(0, len(layout.layers) - 1)
        sequence = ", and 'returns: sequence' in recurrent layers" * is_positionwise(self.data.train.y)
        advice = f"Write 'dense: outputs' as the last layer with weights{sequence}."
        wanted, got = self._wanted_shape(), layout.out_shape
        if len(got) > len(wanted) and got[-1:] == wanted[-1:]:
            last_alone = ", or write 'returns: last' in recurrent layers" * (len(got) == 2)
            advice = f"Put 'flatten' or 'global_avg_pool' before it{last_alone}."
        return self.loaded.error(
            ("architecture", last),
            f"must end with shape {wanted} a sample for {what} and the loss {self.loss.name}. Got {got}. {advice}",
        )

    def _batch_rows(self) -> int:
        rows, wanted = len(self.data.train), self.spec.training.batch_size
        if wanted == "full":
            return rows
        if wanted > rows:
            raise DataError(
                f"the training part has {counted(rows, 'row')}, fewer than one batch of {wanted}. "
                f"Set training.batch_size to {rows}{' or less' * (rows > 1)}, or to 'full'."
            )
        return wanted

    def _monitor(self) -> str:
        """Return the figure that tells the best epoch."""
        default = "train_loss" if self.data.validation is None else "val_loss"
        monitor = (self.spec.early_stopping and self.spec.early_stopping.monitor) or default
        measured = {"loss", *(metric.name for metric in self.metrics)}
        part, _, figure = monitor.partition("_")
        if figure not in measured:
            known = ", ".join(f"{part}_{name}" for name in sorted(measured))
            raise self.loaded.error(
                ("early_stopping", "monitor"), f"'{monitor}' is not recorded. Known: {known}. Or add it to metrics."
            )
        if part == "val" and self.data.validation is None:
            raise self.loaded.error(
                ("early_stopping", "monitor"), f"'{monitor}' needs a validation part, and data.split leaves none."
            )
        return monitor

    # ------------------------------------------------------------------ memory

    @cached_property
    def memory(self) -> Memory:
        """What the training will hold, in bytes."""
        return price(self)

    def _check_memory(self) -> None:
        needed, free = self.memory, available_memory()
        if free is None or needed.to_come <= SHARE * free:
            return
        raise self.loaded.error(
            ("architecture", *self._most_costly()),
            f"the training needs {size(needed.to_come)} of memory beside its data, more than {SHARE:.0%} of the "
            f"{size(free)} that are free: {needed.parts()}. "
            f"Make {'layers' if needed.parameters > needed.activations else 'training.batch_size or layers'} smaller.",
        )

    def _most_costly(self) -> tuple[str | int, ...]:
        """Return the top-level layer that most of the memory is for, as keys of the spec."""
        item_vectors = 2 + len(self.spec.optimizer.moment_names())
        costs = [0] * len(self.spec.architecture)
        for row in self.layout.rows[1:]:
            held = row.layer.buffers(row.in_shape, Use(self.batch_rows, training=True))
            costs[min(int(row.path.split(".", 1)[0]), len(costs) - 1)] += held + item_vectors * row.params
        return (int(np.argmax(costs)),)

    # ------------------------------------------------------------------ what trains

    def resolved(self) -> Spec:
        """Return the spec with all that it left open filled in; training it gives the same run from any directory."""
        spec = self.spec
        base = self.loaded.base
        augment = tuple(step.located(base) for step in spec.data.augment)
        data = spec.data.model_copy(update={"source": spec.data.source.located(base), "augment": augment})
        return spec.model_copy(update={"data": data, "metrics": self.metrics})

    @property
    def threads(self) -> int:
        """The number of BLAS threads that this network gets."""
        return blas_threads(self.layout, self.batch_rows)

    def learner(self, replicas: int | None = None) -> Learner:
        """Return a fresh network with all that changes it; by default with as many replicas as suit this machine."""
        spec = self.spec
        with np.errstate(over="ignore"):  # weights beyond the dtype are infinite, which the first step tells
            network = Network(self.layout, dtype=spec.training.dtype, seed=spec.seed)
        return Learner(
            network,
            self.loss,
            spec.optimizer,
            regularizers=spec.regularizers,
            clip=spec.clip,
            team=Team(network, replicas or replicas_for(self.layout, self.batch_rows)),
            micro_rows=self.batch_rows if spec.training.accumulate > 1 else None,
        )

    def batches(self, train: Examples) -> Batches:
        """Return the training part in minibatches, micro-batches of one update taken together."""
        rows = min(self.batch_rows * self.spec.training.accumulate, len(train.x))
        return Batches(
            train.x,
            train.t,
            train.w,
            rows,
            shuffle=self.spec.training.shuffle,
            seed=self.spec.seed,
            lengths=train.lengths,
            shortest=self.layout.shortest if train.lengths is not None else 1,
            augmenter=augmenter_of(self.spec, self.data, train),
        )

    def examples(self, split: Split) -> Examples:
        """Return a split with its targets as the loss wants them."""
        dtype = np.dtype(self.spec.training.dtype)
        t = self.loss.encode(split.y, self.outputs, dtype)
        y = split.y if self.loss.task == "classification" else self.data.preprocessing.decode_target(split.y)
        return Examples(
            split.x, y, t, self.loss.weights(split.y, split.weight, dtype), split.weight, lengths=split.lengths
        )

    @property
    def judge(self) -> Judge:
        """What measures the network on a split."""
        return Judge(self.loss, self.metrics, self._units)

    def _units(self, prediction: Float) -> Float:
        return self.data.preprocessing.decode_target(prediction)

    def plan(self, batches: Batches) -> Plan:
        """Return how long and by what rules to train."""
        training = self.spec.training
        steps = training.steps or (training.epochs or DEFAULT_EPOCHS) * len(batches)
        return Plan(steps, self.spec.schedule, self.monitor, training.evaluate_every)

    def progress(self, batches: Batches) -> Progress:
        """Return a fresh training state."""
        stopping = self.spec.early_stopping
        patience = Patience(
            mode=(stopping and stopping.mode) or self._mode(),
            limit=stopping.patience if stopping else None,
            min_delta=stopping.min_delta if stopping else 0.0,
        )
        rows = batches.rows if is_positionwise(batches.t) else len(batches.x)
        return Progress(patience, np.zeros((rows, *self.layout.out_shape), self.spec.training.dtype))

    def _mode(self) -> Literal["min", "max"]:
        name = self.monitor.partition("_")[2]
        better = {metric.name: metric.greater_is_better for metric in self.metrics}
        return "max" if better.get(name, False) else "min"

    @property
    def restores_best(self) -> bool:
        """Whether the weights of the best epoch are the result, rather than the last."""
        return self.spec.early_stopping is not None
