"""What a trained network says of new rows: the run alone gives preprocessing, weights and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from nnctl.core.arrays import Array, Float
from nnctl.core.errors import DataError, SpecError, UsageError
from nnctl.core.foreign import read_up_to
from nnctl.data.batches import present
from nnctl.data.dataset import Split
from nnctl.data.prepare_series import refuse_too_many_windows
from nnctl.data.preprocessing import Preprocessing
from nnctl.data.reading import read_input
from nnctl.data.table import PartName, Table, counted
from nnctl.experiment.assembly import Experiment, lay_out, set_blas_threads
from nnctl.experiment.forecasting import by_time
from nnctl.experiment.saving import load_intact, load_weights
from nnctl.experiment.session import data_hash
from nnctl.experiment.short_rows import lost_in_prediction
from nnctl.nn.layer import ShapeError
from nnctl.nn.network import Network
from nnctl.runs.store import Run
from nnctl.spec.load import LoadedSpec, load_spec
from nnctl.train.evaluate import Examples, Judge

__all__ = ["Checkpoint", "Prediction", "Predictor"]

MOST_BYTES = 256_000_000
"""Of a preprocessing.json that is read; a large vocabulary takes some megabytes."""

Checkpoint = Literal["best", "last"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says of N rows.

    Parameters
    ----------
    rows : int array (N,)
        Where each row stands in its file or source, counted from 1.
    said : array (N,) or (N, outputs)
        Class names, or values in the target's own units.
    columns : tuple of str
        The classes that the columns of `figures` are about; empty for a regression.
    figures : float array (N, len(columns))
        Their probabilities, or scores where the loss gives no probabilities.
    truth : array (N,), (N, outputs) or None
        The targets of the input, if it has any, as `said`.
    score : dict or None
        Loss and metrics, where the input has targets.
    notes : tuple of str
        What a person should know.
    places : mapping of str to sequence
        What else tells the predictions apart: the `file` of an image or a recording; the `position` in its row,
        counted from 1, where every position of a sequence has one; of a time series when it is made, for which time,
        and how many steps ahead.
    names : tuple of str
        What the outputs of a forecast are called; else empty.
    """

    rows: Array
    said: Array
    columns: tuple[str, ...]
    figures: Float
    truth: Array | None = None
    score: dict[str, float] | None = None
    notes: tuple[str, ...] = field(default=())
    places: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    names: tuple[str, ...] = ()


class Predictor:
    """The network of a run, ready to predict.

    Parameters
    ----------
    run : Run
        In any state, if it has a checkpoint.
    checkpoint : {"best", "last"}, optional
        Which weights; by default those that the run's own result is about.

    Raises
    ------
    DataError
        A file of the run is missing or damaged, or they do not belong together.
    """

    def __init__(self, run: Run, checkpoint: Checkpoint | None = None) -> None:
        self.run = run
        self.loaded = _spec_of(run)
        self.spec = self.loaded.spec
        self.preprocessing = _preprocessing_of(run)
        self.loss = self.spec.loss
        self.checkpoint = checkpoint or self._own_checkpoint()
        self.network = self._network()
        self.judge = Judge(self.loss, self.spec.metrics or (), self.preprocessing.decode_target)

    @property
    def gives_probabilities(self) -> bool:
        """Whether the figures are probabilities, and not scores of any size."""
        return self.loss.output is not None

    def of_file(self, path: str) -> Prediction:
        """Predict the rows of a file; where it has targets, compare, with every row counting alike in the loss.

        Raises
        ------
        DataError
            The file cannot be read, or its rows are not such as the network was trained on.
        """
        table = read_input(path, self.preprocessing, self.spec.data.source)
        if len(table) == 0:
            raise DataError(f"{path}: there are no rows.")
        if table.series is not None:
            return self._of_series(path, table)
        try:
            unseen = self.preprocessing.unseen(table)
            table = self.preprocessing.tokenized(table)
            x = self.preprocessing.transform(table, self.network.dtype)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        notes = (*self._notes(), *table.notes, *((unseen,) if unseen else ()))
        notes = (*notes, *lost_in_prediction(table.lengths, self.network.layout))
        y = None
        if table.y is not None:
            try:
                y = self._targets(table)
            except DataError as error:
                notes = (*notes, f"no score: {error}")
        rows = np.arange(1, len(table) + 1)
        examples = None
        if y is not None:
            t = self.loss.encode(y, self.network.layout.out_shape[-1], self.network.dtype)
            examples = Examples(x, self._in_own_units(y), t, lengths=table.lengths)
        predicted = self._prediction(x, table.lengths, rows, notes, y, examples)
        if not table.files:
            return predicted
        return replace(predicted, places={"file": [table.files[row - 1] for row in predicted.rows], **predicted.places})

    def of_part(self, part: PartName) -> Prediction:
        """Predict a part of the run's own data, drawn again from the source; the score is that of the run.

        Raises
        ------
        UsageError
            The run's data have no such part.
        DataError
            The data are not there any more.
        """
        experiment = Experiment(self.loaded)
        split: Split | None = getattr(experiment.data.of_source, part)
        if split is None:
            raise UsageError(f"the data of {self.run.path} have no {part} part.")
        kept, now = self.preprocessing, experiment.data.preprocessing
        if (kept.input_shape, kept.classes, kept.outputs) != (now.input_shape, now.classes, now.outputs):
            raise DataError(
                f"{self.run.path}: its network takes rows of shape {kept.input_shape} to {kept.outputs} outputs, and "
                f"the data now give shape {now.input_shape} and {now.outputs} outputs, or classes of other names. "
                f"Restore the data, or train anew."
            )
        began_with = self.run.record.get("environment", {}).get("data_hash")
        changed = began_with is not None and began_with != data_hash(experiment.data)
        notes = self._notes() + (("the data have changed since the run was trained.",) if changed else ())
        examples = experiment.examples(split)
        found = self._prediction(split.x, split.lengths, split.rows + 1, notes, split.y, examples)
        series = experiment.data.series
        return found if series is None else replace(found, **by_time(series, split.rows, found.said))

    # ------------------------------------------------------------------ the run

    def _own_checkpoint(self) -> Checkpoint:
        summary = self.run.record.get("summary")
        if summary is not None:
            kept: Checkpoint
            for kept in get_args(Checkpoint):  # and nothing else, for it becomes the name of a file
                if summary.get("weights") == kept:
                    return kept
            raise DataError(f"{self.run.path / 'run.json'}: is damaged: it does not say which weights it is about.")
        has_best = (self.run.path / "checkpoints" / "best.safetensors").exists()
        prefers_best = self.spec.early_stopping is not None or self.run.status == "diverged"
        return "best" if has_best and prefers_best else "last"

    def _network(self) -> Network:
        pre = self.preprocessing
        try:
            outputs = self.loss.outputs(None if pre.classes is None else len(pre.classes), pre.outputs)
            layout = lay_out(self.spec, pre, outputs)
        except (ShapeError, ValueError) as error:
            raise DataError(f"{self.run.path}: resolved.yaml and preprocessing.json do not fit: {error}") from None
        tensors, _, self._damage = load_intact(self.run, self.checkpoint)
        network = Network(layout, dtype=self.spec.training.dtype, seed=self.spec.seed)
        load_weights(network, tensors, str(self.run.path))
        # The bits of a product depend on the threads: the run's own number gives the run's own figures.
        set_blas_threads(self.run.record.get("environment", {}).get("blas_threads", 1))
        return network

    def _notes(self) -> tuple[str, ...]:
        status = self.run.status
        notes = () if status == "done" else (f"the run is {status}; these are its {self.checkpoint} weights so far.",)
        return (self._damage, *notes) if self._damage else notes

    # ------------------------------------------------------------------ targets

    def _targets(self, table: Table) -> Array:
        """Return class indices, or scaled targets (N, outputs)."""
        y = self.preprocessing.encode_target(table, self.network.dtype)
        *places, _ = self.network.layout.out_shape
        wanted = (*places,) if self.preprocessing.classes is not None else (*places, self.preprocessing.outputs)
        if y.shape[1:] != wanted:
            raise DataError(f"the targets have shape {y.shape}, and the network predicts {wanted} for a row.")
        return y

    def _in_own_units(self, y: Array) -> Array:
        return y if self.preprocessing.classes is not None else self.preprocessing.decode_target(y)

    # ------------------------------------------------------------------ predictions

    @np.errstate(over="ignore", invalid="ignore")  # a note tells of what is not finite, once
    def _prediction(
        self,
        x: Array,
        lengths: Array | None,
        rows: Array,
        notes: tuple[str, ...],
        y: Array | None = None,
        examples: Examples | None = None,
    ) -> Prediction:
        """Return what the network says of x; with targets y, also as `examples`, what is true and the score."""
        mask = None if lengths is None else present(lengths, x.shape[1])
        if len(self.network.layout.out_shape) > 1:
            return self._of_positions(x, mask, rows, notes, y, examples)
        z = self.network.predict(x, mask)
        notes = (*notes, *_wild(np.asarray(np.isfinite(z).all(axis=1))))
        truth = None if y is None else self.preprocessing.decode_target(y)
        score = None if examples is None else self.judge.outputs(z, examples)
        values = self.judge.predictions(z)
        classes = self.preprocessing.classes
        if classes is None:
            return Prediction(rows, values, (), values[:, :0], truth, score, notes)
        said = self.preprocessing.decode_target(self.loss.labels(z))
        if values.shape[1] == 1 and self.gives_probabilities:
            values = np.hstack([1 - values, values])
        return Prediction(rows, said, classes[-values.shape[1] :], values, truth, score, notes)

    def _of_positions(
        self,
        x: Array,
        mask: Array | None,
        rows: Array,
        notes: tuple[str, ...],
        y: Array | None,
        examples: Examples | None,
    ) -> Prediction:
        """Return what the network says at every position that is there, and how sure it is of it.

        In blocks, since the probabilities of all tokens at all positions may not fit into the memory.
        """
        layout = self.network.layout
        silent = layout.shape[0] - layout.out_shape[0]  # the positions at the start of which nothing is said
        there = np.ones((len(x), x.shape[1] - silent), bool) if mask is None else mask
        size = layout.evaluation_rows
        said, figures, finite = [], [], []
        for start in range(0, len(x), size):
            block = slice(start, start + size)
            z = self.network.predict(x[block], None if mask is None else mask[block])[there[block]]
            finite.append(np.isfinite(z).all(axis=1))
            values = self.judge.predictions(z)
            if self.preprocessing.classes is None:
                said.append(values)
                figures.append(values[:, :0])
            else:
                said.append(self.preprocessing.decode_target(self.loss.labels(z)))
                figures.append(values.max(axis=1, keepdims=True))
        row, position = np.nonzero(there)
        return Prediction(
            rows[row],
            np.concatenate(said),
            () if self.preprocessing.classes is None else ("prediction",),
            np.concatenate(figures),
            None if y is None else self.preprocessing.decode_target(y[there]),
            None if examples is None else self.judge.network(self.network, examples),
            (*notes, *_wild(np.concatenate(finite))),
            {"position": (position + 1).tolist()},
        )

    # ------------------------------------------------------------------ time series

    def _of_series(self, path: str, table: Table) -> Prediction:
        """Return the forecasts from every window that the rows allow; the score is of those whose targets are known."""
        series, x = table.series, table.x
        assert series is not None
        assert isinstance(x, np.ndarray)
        origins = series.all_origins()
        if not len(origins):
            raise DataError(
                f"{path}: a forecast is made from {counted(series.form.lookback, 'row')} without a gap, and "
                f"{counted(series.longest_run, 'row')} at most follow one another here."
            )
        refuse_too_many_windows(series, len(origins), self.network.dtype)
        windows = series.inputs_of(self.preprocessing.scaling.apply(x, dtype=self.network.dtype), origins)
        z = self.network.predict(windows)
        truth = series.targets_of(series.values, origins)
        known = np.flatnonzero(np.isfinite(truth).reshape(len(truth), -1).all(axis=1))
        score = self._score_of_known(z[known], windows[known], truth[known]) if len(known) else None
        said = self.judge.predictions(z)
        finite = np.asarray(np.isfinite(z).reshape(len(z), -1).all(axis=1))
        notes = (*self._notes(), *table.notes, *_wild(finite))
        found = Prediction(origins, said, (), said[..., :0], truth, score, notes)
        return replace(found, **by_time(series, origins, said))

    def _score_of_known(self, z: Float, x: Array, truth: Float) -> dict[str, float]:
        scaled = self.preprocessing.target_scaling
        assert scaled is not None
        t = self.loss.encode(scaled.apply(truth, dtype=self.network.dtype), z.shape[-1], self.network.dtype)
        return self.judge.outputs(z, Examples(x, truth, t))


def _wild(finite: Array) -> tuple[str, ...]:
    """Return the note on predictions that mean nothing, if some do."""
    count = int((~finite).sum())
    if not count:
        return ()
    first = int(np.argmin(finite)) + 1
    those = f"{count:,} of {len(finite):,} predictions, first for number {first:,}"
    return (f"what the network says is not finite for {those}; these mean nothing.",)


PARTS: tuple[PartName, ...] = get_args(PartName)


def _spec_of(run: Run) -> LoadedSpec:
    try:
        return load_spec(run.path / "resolved.yaml")
    except SpecError as error:
        raise DataError(f"the run's spec cannot be used. {error}") from None


def _preprocessing_of(run: Run) -> Preprocessing:
    path = run.path / "preprocessing.json"
    try:
        raw = read_up_to(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}.") from None
    return Preprocessing.from_json(raw)
