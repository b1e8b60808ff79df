"""Time series in a file: rows with a time, and what is to be foretold of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nnctl.core.arrays import Array, Float
from nnctl.core.component import Items
from nnctl.core.errors import DataError
from nnctl.data.finite import refuse_unusable
from nnctl.data.numerals import DecimalMark, no_numbers, numbers_of, refuse_decimal_marks
from nnctl.data.series import Series
from nnctl.data.sources.decoding import TextEncoding
from nnctl.data.sources.delimited import Csv, Separator, Tsv
from nnctl.data.sources.frames import FrameFile, require_column
from nnctl.data.sources.parquet import Parquet
from nnctl.data.sources.paths import found
from nnctl.data.sources.windowed import Windowed
from nnctl.data.table import Table, counted, shown_rows
from nnctl.data.times import TOLERANCE, Grid, Unit, counted_in, grid_of, times_of, written

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TimeSeries"]

KINDS: dict[str, type[FrameFile]] = {".csv": Csv, ".tsv": Tsv, ".parquet": Parquet}


class TimeSeries(Windowed, name="time_series"):
    """Windows over the rows of a csv, tsv or parquet file that has a column of times; a regression.

    Rows are sorted by their times. Where most of them are one step apart, a longer distance is a gap: no window reaches
    over one. The data are split by time, as `split` says by shares of the times or by their number: test rows come last
    and validation rows before them, and a window whose targets straddle a border is in no part. Scaling is learned from
    the rows that training windows hold.
    """

    files: ClassVar[tuple[str, ...]] = ("path",)

    path: str
    """The file."""
    time: str
    """The column that says when a row was: dates (2024-12-31, 2024-12-31 23:00, 31.12.2024) or numbers."""
    targets: Annotated[Items[str], Field(min_length=1)]
    """The columns to foretell. They are inputs as well, unless `inputs` leaves them out."""
    series: str | None = None
    """A column that says which series a row is of, where the file holds several; windows are cut from each of them."""
    impute: Literal["error", "last"] = "error"
    """What becomes of a missing input: an error, or the last value before it, and never one that comes after."""
    gaps: Literal["split", "ignore", "error"] = "split"
    """What becomes of times that are missing in a regular grid: no window reaches over them, or rows count as steps
    whatever lies between them (trading days), or an error."""
    separator: Separator | None = None
    """The one character between two values of a text file; left out, a comma, or a tab in a .tsv file."""
    decimal: DecimalMark = "."
    """What stands before the decimals of a number in a text file."""
    missing: Items[str] = Csv.model_fields["missing"].default
    """What stands for a missing value in a text file."""
    text_encoding: TextEncoding = "utf-8"
    """How a text file's bytes stand for characters; older files of Windows are often in cp1252."""

    def load(self, base: Path, seed: int) -> Table:  # noqa: ARG002 - read, not drawn
        """Read the file.

        Raises
        ------
        DataError
            A column is not there or holds no numbers, a target is missing, times cannot be told or are there twice, or
            no window fits.
        """
        return self.refuse_too_short(self._table(found(self.path, base)))

    def of_input(self, file: Path, inputs: tuple[str, ...], grid: Grid) -> Table:
        """Return the rows of a file to predict from; targets that it does not hold are nan.

        Parameters
        ----------
        file : Path
        inputs : tuple of str
            The columns that the network was trained on.
        grid : Grid
            That of the rows that it was trained on.
        """
        reader = self.model_copy(update={"inputs": inputs})
        return reader._table(file, grid)  # noqa: SLF001 - its own, with other settings

    # ------------------------------------------------------------------ the file

    def _table(self, file: Path, trained_on: Grid | None = None) -> Table:
        """Return the rows in the order of time; to predict from them, with the grid that the network was trained on."""
        frame = self._read(file)
        place = f"data.source.{self.name}"
        for role, name in (("time", self.time), *([("series", self.series)] if self.series else [])):
            require_column(frame, name, f"{place}.{role}")
        at, unit = counted_in(
            times_of(frame[self.time], f"{place}.time"), None if trained_on is None else trained_on.unit
        )
        member, members = self._members(frame)
        inputs, targets, notes = self._columns(frame, may_lack=() if trained_on is None else self.targets)
        if trained_on is None:
            refuse_unusable(np.stack(list(targets.values()), axis=1), tuple(targets), "target")
        order = np.lexsort((at, member))
        at, member = at[order], member[order]
        if (np.diff(order) < 0).any():
            notes = (*notes, "the rows of the file are not in the order of time, and are sorted")
        self._refuse_twice(at, member, members, unit, order)
        inputs, filled = self._filled({name: values[order] for name, values in inputs.items()}, member, order)
        targets = {name: values[order] for name, values in targets.items()}
        grid, run, said = self._runs(at, member, unit, trained_on)
        series = Series(
            self.windowing,
            np.stack(list(targets.values()), 1),
            tuple(targets),
            at,
            grid,
            run,
            member,
            members,
            tuple(inputs),
        )
        return self.table_of(np.stack(list(inputs.values()), 1), series, (*notes, *filled, *said))

    def _read(self, file: Path) -> pl.DataFrame:
        kind = KINDS.get(file.suffix.lower())
        if kind is None:
            raise DataError(f"{file}: is of no kind that holds a time series. Known: {', '.join(KINDS)}.")
        settings: dict[str, Any] = {}
        if kind is not Parquet:
            settings = {"decimal": self.decimal, "missing": self.missing, "text_encoding": self.text_encoding}
            settings |= {"separator": self.separator} if self.separator else {}
        frame = kind(path=str(file), target=self.targets[0], **settings).read(file)
        if len(frame) == 0:
            raise DataError(f"{file}: there are no rows.")
        return frame

    def _members(self, frame: pl.DataFrame) -> tuple[Array, tuple[str, ...]]:
        """Return which series each row is of, and what they are called."""
        if self.series is None:
            return np.zeros(len(frame), np.int64), ()
        column = frame[self.series]
        missing = np.flatnonzero(column.is_null().to_numpy())
        if len(missing):
            raise DataError(
                f"data.source.{self.name}.series: column '{self.series}' is missing in "
                f"{counted(len(missing), 'row')} ({shown_rows(missing)})."
            )
        names, member = np.unique(column.cast(str).to_numpy().astype(str), return_inverse=True)
        return member, tuple(names.tolist())

    def _refuse_twice(self, at: Float, member: Array, members: tuple[str, ...], unit: Unit, order: Array) -> None:
        twice = np.flatnonzero((np.diff(at) == 0) & (np.diff(member) == 0))
        if not len(twice):
            return
        first = twice[0]
        rows = shown_rows(np.sort(order[[first, first + 1]]))
        of = f" of series '{members[member[first]]}'" if members else ""
        hint = "" if members else " If the file holds several series, name the column that tells them apart: series."
        raise DataError(
            f"data.source.{self.name}.time: {counted(len(twice), 'time')}{of} "
            f"{'is' if len(twice) == 1 else 'are'} there twice, first {written(at[[first]], unit)[0]} ({rows}).{hint}"
        )

    # ------------------------------------------------------------------ columns of numbers

    def _columns(
        self, frame: pl.DataFrame, may_lack: tuple[str, ...]
    ) -> tuple[dict[str, Float], dict[str, Float], tuple[str, ...]]:
        """Return inputs and targets as float64, nan where a value is missing, and what a person should know."""
        for role, names in (("inputs", self.inputs), ("targets", self.targets)):
            for name in names:
                if name not in frame.columns and (role == "inputs" or name not in may_lack):
                    require_column(frame, name, f"data.source.{self.name}.{role}")
        wanted = (*self.inputs, *self.targets)
        rest = frame.drop(self.time, *([self.series] if self.series else []))
        read = {
            column.name: self._numbers(column, is_wanted=column.name in wanted)
            for column in rest
            if not self.inputs or column.name in wanted
        }
        numbers = {name: values for name, values in read.items() if values is not None}
        notes = [f"columns that hold no numbers are no inputs: {', '.join(read.keys() - numbers.keys())}"]
        inputs = {name: numbers[name] for name in self.inputs or numbers}
        unknown = np.full(len(frame), np.nan)
        targets = {name: numbers.get(name, unknown) for name in self.targets}
        return inputs, targets, tuple(notes) if len(numbers) < len(read) else ()

    def _numbers(self, column: pl.Series, *, is_wanted: bool) -> Float | None:
        import polars as pl  # noqa: PLC0415 - 150 ms, and the plain path has no frames

        numbers: pl.Series | None
        if column.dtype == pl.String:
            numbers = numbers_of(column, self.decimal)
            if numbers is None and is_wanted:
                refuse_decimal_marks(column)
                wrong = np.flatnonzero(no_numbers(column))
                role = "targets" if column.name in self.targets else "inputs"
                raise DataError(
                    f"data.source.{self.name}.{role}: column '{column.name}' should hold numbers and holds "
                    f"'{column[int(wrong[0])]}': {counted(len(wrong), 'value')} of {len(column):,} "
                    f"{'is' if len(wrong) == 1 else 'are'} no number ({shown_rows(wrong)}). If that stands for a "
                    f"missing value, add it to `missing`."
                )
        else:
            numbers = column if column.dtype.is_numeric() or column.dtype == pl.Boolean else None
            if numbers is None and is_wanted:
                raise DataError(f"column '{column.name}' should hold numbers and holds {column.dtype}.")
        if numbers is None:
            return None
        values = np.array(numbers.cast(pl.Float64).to_numpy())
        refuse_unusable(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)[:, None], (column.name,))
        return values

    def _filled(
        self, inputs: dict[str, Float], member: Array, order: Array
    ) -> tuple[dict[str, Float], tuple[str, ...]]:
        """Return the inputs with missing values filled by the last one before them, and a sentence on how many were."""
        counts = {}
        for name, values in inputs.items():
            missing = np.flatnonzero(np.isnan(values))
            if not len(missing):
                continue
            where = f"{counted(len(missing), 'row')} of {len(values):,} ({shown_rows(np.sort(order[missing]))})"
            if self.impute == "error":
                raise DataError(
                    f"input '{name}' is missing in {where}. Fill them, or write 'impute: last' in the source, which "
                    f"takes the last value before each."
                )
            known = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
            nothing = np.flatnonzero((known < 0) | (member[known] != member))
            if len(nothing):
                raise DataError(
                    f"input '{name}' is missing in {where}, and in row {int(order[nothing[0]]) + 1} there is no value "
                    f"before it to fill it with. Remove the first rows."
                )
            inputs = {**inputs, name: values[known]}
            counts[name] = len(missing)
        said = ", ".join(f"{name} ({counted(n, 'row')})" for name, n in counts.items())
        return inputs, (f"missing inputs were filled with the last value before them: {said}",) if counts else ()

    # ------------------------------------------------------------------ gaps

    def _runs(
        self, at: Float, member: Array, unit: Unit, trained_on: Grid | None
    ) -> tuple[Grid, Array, tuple[str, ...]]:
        """Return the grid of the times, which unbroken run each row is in, and what a person should know."""
        if trained_on is not None and trained_on.unit != unit:
            raise DataError(
                f"the times are counted in {unit}s; those that the network was trained on in {trained_on.unit}s."
            )
        grid = trained_on or grid_of(at, member, unit)
        breaks = np.diff(member) != 0
        run = np.concatenate([[0], np.cumsum(breaks)])
        if grid.step is None:
            return grid, run, ("the times are on no regular grid: rows count as steps, whatever lies between them",)
        steps = np.where(breaks, 1.0, grid.steps(at))
        off = np.flatnonzero(np.abs(steps - np.round(steps)) > TOLERANCE)
        if len(off):
            both = written(at[off[0] : off[0] + 2], unit)
            raise DataError(
                f"{both[1]} comes {steps[off[0]]:.3g} steps after {both[0]}: the times are on another grid than those "
                f"that the network was trained on."
            )
        gaps = np.flatnonzero(steps > 1.5)
        if not len(gaps):
            return grid, run, ()
        absent = int(np.round(steps[gaps] - 1).sum())
        said = (
            f"{counted(absent, 'time')} {'is' if absent == 1 else 'are'} missing in {counted(len(gaps), 'gap')}, the "
            f"first after {written(at[gaps[:1]], unit)[0]}"
        )
        if self.gaps == "error":
            raise DataError(f"data.source.{self.name}.gaps: {said}. Fill them in the file, or write 'gaps: split'.")
        if self.gaps == "ignore":
            return Grid(unit, None), run, (f"{said}: rows count as steps all the same",)
        breaks[gaps] = True
        return grid, np.concatenate([[0], np.cumsum(breaks)]), (f"{said}: no window reaches over one",)
