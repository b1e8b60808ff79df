"""The whole look at the data, in the order in which its findings should be mended."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from nnctl.checks.data.columns import (
    columns_of,
    hidden_missing_values,
    identifiers,
    missing_values,
    non_finite_values,
)
from nnctl.checks.data.constant import constant_columns, measure_constant
from nnctl.checks.data.drift import judge_drift, measure_drift
from nnctl.checks.data.file import view_of_file
from nnctl.checks.data.inputs import judge_inputs, measure_inputs
from nnctl.checks.data.leaks import measure_leaks, target_leaks
from nnctl.checks.data.order import judge_order, judge_validation, measure_order
from nnctl.checks.data.rows import equal_rows, measure_rows, row_keys
from nnctl.checks.data.series import judge_series, measure_series
from nnctl.checks.data.sheets import augmented, augmented_rows, augmented_texts, histograms, made_rows, samples
from nnctl.checks.data.sounds import augmented_sounds, sounds
from nnctl.checks.data.targets import judge_classes, judge_values, measure_classes, measure_values
from nnctl.checks.data.tokens import judge_tokens, measure_tokens, token_column, token_histograms
from nnctl.checks.data.view import View, view_of, view_of_unusable
from nnctl.core.errors import DataError
from nnctl.core.finding import Finding, Report, Rule, Tell, Verdict, silent
from nnctl.data.table import counted
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.augmenting import changes_rows
from nnctl.spec.load import LoadedSpec

__all__ = ["check_data", "check_file", "check_unusable"]

UNUSABLE = Rule(
    "unusable-data",
    about="No network can be trained on the data as they are.",
    why="Some things cannot be repaired by guessing: a target that is missing, an input that is no number, a class "
    "that the training part lacks, a column of texts that are all different. Training refuses them rather than to "
    "make something up.",
    threshold="",
    fix="Do what the message says, then look again: nnctl data.",
)


def check_data(experiment: Experiment, tell: Tell = silent) -> Report:
    """Look at the raw columns of an experiment's source and at what the network receives of them.

    The raw rows are read again. Nothing is changed, and no random stream of the experiment is drawn from.

    Parameters
    ----------
    experiment : Experiment
    tell : callable
        Is told how far the check has come.

    Returns
    -------
    Report
        Figures: ``rows`` (of each part), ``target``, ``notes``, ``columns`` (what each raw column holds), ``constant``,
        ``equal_rows``, ``skills`` (how well each column alone predicts the target), ``order``, ``targets``, ``inputs``
        (what the network receives), ``drift``, and ``samples`` of pictures, with ``augmented`` ones where the spec
        augments, ``sounds`` and ``augmented_sounds``, or ``histograms`` of a table or of tokens, with
        ``augmented_rows`` or ``augmented_texts``; and ``made_rows`` where rows were made for rare classes.

    Raises
    ------
    DataError
        The source can no longer be read.
    """
    tell(0.0, "reading the rows")
    view = view_of(experiment)
    look = _looked_at if view.table.tokens is None else _looked_at_tokens
    look = look if view.table.series is None else _looked_at_series
    return look(view, experiment.notes, tell)


def check_file(path: Path, tell: Tell = silent, target: str | None = None) -> Report:
    """Look at a file for which there is no spec yet: at its columns, its rows and its targets.

    Parameters
    ----------
    path : Path
        A csv, tsv, parquet, npz or idx file.
    tell : callable
        Is told how far the check has come.
    target : str, optional
        The column to predict; left out, it is guessed as `nnctl init` does, and said so.

    Raises
    ------
    UsageError, DataError
        As `view_of_file` does.
    """
    tell(0.0, "reading the file")
    view, remarks = view_of_file(path, target)
    return _looked_at(view, remarks, tell)


def check_unusable(loaded: LoadedSpec, reason: DataError, tell: Tell = silent) -> Report:
    """Look at the raw rows of a spec whose data were refused, for the reason given.

    Raises
    ------
    DataError
        They cannot even be read.
    """
    tell(0.0, "reading the rows")
    try:
        view = view_of_unusable(loaded)
    except DataError:
        raise reason from None
    unusable = UNUSABLE.fail(str(reason))
    if view.table.text is not None:  # texts have no columns to look at
        figures = {"rows": {"all": len(view.table)}, "target": view.table.target, "notes": [], "columns": []}
        return Report("data", _headline(view, [unusable]), (unusable,), figures)
    return _looked_at(view, (), tell, [unusable])


def _looked_at(view: View, notes: Iterable[str], tell: Tell, known: Iterable[Finding] = ()) -> Report:
    """Measure everything, then judge it."""
    figures: dict[str, Any] = {
        "rows": {name: len(rows) for name, rows in view.parts.items()} if view.data else {"all": len(view.table)},
        "target": view.table.target,
        "notes": list(notes),
    }
    tell(0.1, "columns")
    figures["columns"] = columns_of(view)
    figures["constant"] = measure_constant(view)
    tell(0.3, "equal rows")
    keys = row_keys(view)
    figures["equal_rows"] = measure_rows(view, keys)
    tell(0.5, "columns that give the target away")
    figures["skills"] = measure_leaks(view, keys)
    figures["order"] = measure_order(view)
    if view.y is not None:
        figures["targets"] = measure_values(view) if view.classes is None else measure_classes(view)
    if view.data is not None:
        tell(0.7, "what the network receives")
        figures["inputs"] = measure_inputs(view)
        tell(0.8, "drift")
        figures["drift"] = measure_drift(view)
    findings = _in_order([*known, *_judged(view, figures)])
    tell(0.95, "picture")
    if view.image_shape is not None:
        figures["samples"] = samples(view)
        if view.experiment is not None and changes_rows(view.experiment.spec):
            figures["augmented"] = augmented(view.experiment, view.image_shape)
    elif view.table.recordings is not None and view.experiment is not None:
        figures["sounds"] = sounds(view)
        if view.experiment.spec.data.augment:
            figures["augmented_sounds"] = augmented_sounds(view.experiment)
    elif not view.is_grid:
        figures["histograms"] = histograms(view, {finding.where for finding in findings})
        if view.experiment is not None and changes_rows(view.experiment.spec):
            figures["augmented_rows"] = augmented_rows(view.experiment)
    if view.experiment is not None and view.experiment.data.train.made:
        figures["made_rows"] = made_rows(view.experiment)
    return Report("data", _headline(view, findings), tuple(findings), figures)


def _looked_at_tokens(view: View, notes: Iterable[str], tell: Tell) -> Report:
    """Look at rows of tokens, whose numbers are names, so that their size and spread mean nothing."""
    figures: dict[str, Any] = {
        "rows": {name: len(rows) for name, rows in view.parts.items()},
        "target": view.table.target,
        "notes": list(notes),
        "columns": [token_column(view)],
        "tokens": measure_tokens(view),
    }
    tell(0.3, "equal rows")
    figures["equal_rows"] = measure_rows(view, row_keys(view))
    findings = [*judge_tokens(figures["tokens"]), *equal_rows(view, figures["equal_rows"])]
    if view.classes is not None:
        figures["targets"] = measure_classes(view)
        findings += judge_classes(view, figures["targets"])
    tell(0.9, "picture")
    figures["histograms"] = token_histograms(view)
    if view.experiment is not None and view.experiment.data.texts is not None:
        figures["augmented_texts"] = augmented_texts(view.experiment)
    ordered = _in_order(findings)
    return Report("data", _headline(view, ordered), tuple(ordered), figures)


def _looked_at_series(view: View, notes: Iterable[str], tell: Tell) -> Report:
    """Look at the steps of a time series, which are no rows drawn one by one: neighbours are alike, as they should."""
    figures: dict[str, Any] = {
        "rows": {name: len(rows) for name, rows in view.parts.items()},
        "target": view.table.target,
        "notes": list(notes),
        "columns": columns_of(view),
        "constant": measure_constant(view),
        "targets": {} if view.y is None else measure_values(view),
    }
    tell(0.5, "what the network receives")
    figures["inputs"] = measure_inputs(view)
    figures["series"] = measure_series(view)
    findings = [
        *non_finite_values(view, figures["columns"]),
        *judge_inputs(view, figures["inputs"]),
        *(judge_values(figures["targets"]) if figures["targets"] else ()),
        *constant_columns(view, figures["constant"]),
        *judge_series(figures["series"]),
        *judge_validation(view),
    ]
    ordered = _in_order(findings)
    return Report("data", _headline(view, ordered), tuple(ordered), figures)


def _judged(view: View, figures: dict[str, Any]) -> Iterable[Finding]:
    """Yield all findings, those first that make the others worthless."""
    yield from non_finite_values(view, figures["columns"])
    yield from target_leaks(view, figures["skills"])
    yield from judge_order(view, figures["order"])
    if view.classes is not None:
        yield from judge_classes(view, figures["targets"])
    yield from equal_rows(view, figures["equal_rows"])
    if view.data is not None:
        yield from judge_inputs(view, figures["inputs"])
    if view.y is not None and view.classes is None:
        yield from judge_values(figures["targets"])
    yield from identifiers(view)
    yield from hidden_missing_values(view)
    yield from missing_values(view, figures["columns"])
    yield from constant_columns(view, figures["constant"])
    if view.data is not None:
        yield from judge_drift(view, figures["drift"])
        yield from judge_validation(view)


def _in_order(findings: list[Finding]) -> list[Finding]:
    order: tuple[Verdict, ...] = get_args(Verdict)
    return sorted(findings, key=lambda finding: -order.index(finding.verdict))


def _headline(view: View, findings: list[Finding]) -> str:
    rows = counted(len(view.table), "row")
    bad = [finding for finding in findings if finding.verdict != "pass"]
    if not bad:
        return f"nothing is wrong with these {rows}, as far as can be measured."
    fails = sum(finding.verdict == "fail" for finding in bad)
    said = f"{counted(fails, 'fault')} and {counted(len(bad) - fails, 'thing')} to look at"
    said = (
        said
        if fails and len(bad) > fails
        else counted(fails, "fault")
        if fails
        else f"{counted(len(bad), 'thing')} to look at"
    )
    place = f" ({bad[0].where})" if bad[0].where else ""
    return f"{said} in {rows}; first: {bad[0].rule}{place}."
