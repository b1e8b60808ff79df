"""What a checkpoint holds: the weights by name, and all else that training needs to go on with the same bits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnctl.core.arrays import Array
from nnctl.core.errors import DataError
from nnctl.data.batches import Batches
from nnctl.nn.network import Network
from nnctl.runs.checkpoint import Damaged
from nnctl.runs.store import Run
from nnctl.train.evaluate import Tally
from nnctl.train.loop import Progress, Snapshot
from nnctl.train.step import Learner

__all__ = ["load_intact", "load_weights", "restore_training", "save_best", "save_training"]

_PLAIN = ("epoch", "batch", "norm_sum", "norm_max", "norm_median", "norm_jump", "seconds", "lr", "history")
"""What is saved of the progress as it is."""
_NEEDED = frozenset({"step", "batch", "patience_best", "patience_waited", "best_epoch"})
"""What every version of nnctl has saved."""
_SUMS = "epoch/sums/"


def save_training(run: Run, learner: Learner, batches: Batches, progress: Progress) -> None:
    """Write ``checkpoints/last``: weights, optimizer memory, the best weights so far, and the epoch under way.

    The one that stood there is kept as ``checkpoints/previous``.
    """
    tensors: dict[str, Array] = dict(learner.network.tensors())
    tensors |= {f"optimizer/{name}": array for name, array in learner.slots.arrays().items()}
    if progress.best is not None:
        tensors |= {"best/theta": progress.best.theta, "best/state": progress.best.state}
    tensors |= {f"{_SUMS}{name}": sums for name, sums in progress.said.sums.items()}
    if progress.batch and not progress.said.blocks:
        tensors["epoch/outputs"] = progress.outputs[: batches.bounds[progress.batch - 1][1]]
    state = {
        "step": learner.step,
        "rows": batches.rows,
        **{name: getattr(progress, name) for name in _PLAIN},
        "said_blocks": progress.said.blocks,
        "patience_best": progress.patience.best,
        "patience_waited": progress.patience.waited,
        "best_epoch": None if progress.best is None else progress.best.epoch,
    }
    if run.has_tensors("last"):
        run.keep_tensors("last", as_name="previous")
    run.save_tensors("last", tensors, {"progress": json.dumps(state)})


def save_best(run: Run, network: Network, best: Snapshot) -> None:
    """Write ``checkpoints/best``: the weights of the best epoch by name."""
    tensors = dict(network.tensors(best.theta))
    kept = {slot.name: slot for slot in network.layout.slots if not slot.param.trainable}
    tensors |= {name: best.state[s.start : s.stop].reshape(s.param.shape) for name, s in kept.items()}
    run.save_tensors("best", tensors, {"epoch": str(best.epoch)})


def restore_training(run: Run, learner: Learner, batches: Batches, progress: Progress) -> str:
    """Bring a fresh learner and progress to where ``checkpoints/last`` stands; return what a person should be told.

    Where it is damaged, the one before it is used and takes its place; where there is none, nothing is changed.

    Raises
    ------
    DataError
        Where the checkpoint cannot be read or belongs to another network.
    """
    try:
        tensors, metadata, said = load_intact(run, "last")
    except Damaged as error:
        return f"{error} There is no other to go on from: the run begins again."
    if said:
        run.keep_tensors("previous", as_name="last")
    state = _progress_in(metadata, run)
    load_weights(learner.network, tensors, run.name)
    learner.slots.restore({name[10:]: array for name, array in tensors.items() if name.startswith("optimizer/")})
    if state["batch"] and state.get("rows", batches.rows) != batches.rows:
        raise DataError(
            f"{run.path}: it stopped within an epoch of batches of {state['rows']} rows, and resolved.yaml says "
            f"{batches.rows} now. Put back what it said, or train anew."
        )
    learner.step = state["step"]
    for name in _PLAIN:
        setattr(progress, name, state.get(name, getattr(progress, name)))  # an older run did not know the newest ones
    sums = {name.removeprefix(_SUMS): array.copy() for name, array in tensors.items() if name.startswith(_SUMS)}
    progress.said = Tally(sums, state.get("said_blocks", 0))
    progress.patience = replace(progress.patience, best=state["patience_best"], waited=state["patience_waited"])
    if state["best_epoch"] is not None:
        progress.best = Snapshot(state["best_epoch"], tensors["best/theta"].copy(), tensors["best/state"].copy())
    if "epoch/outputs" in tensors:
        progress.outputs[: batches.bounds[progress.batch - 1][1]] = tensors["epoch/outputs"]
    return said


def _progress_in(metadata: Mapping[str, str], run: Run) -> dict[str, Any]:
    try:
        state = json.loads(metadata["progress"])
    except (KeyError, ValueError, RecursionError):
        state = None
    if not isinstance(state, dict) or not set(state) >= _NEEDED:
        raise DataError(f"{run.path}: its last checkpoint does not say how far the training was. Train anew.")
    return state


def load_intact(run: Run, name: str) -> tuple[dict[str, Array], dict[str, str], str]:
    """Return tensors and metadata of a checkpoint, and what a person should be told.

    Where ``last`` is damaged it is the one before it that is returned.

    Raises
    ------
    Damaged
        Where there is no other, or that is damaged, too.
    DataError
        Where it is missing, or cannot be read.
    """
    try:
        return *run.load_tensors(name), ""
    except Damaged as error:
        if name != "last":
            raise Damaged(f"{error} Other weights of the run: --checkpoint last.") from None
        if not run.has_tensors("previous"):
            raise
        return *run.load_tensors("previous"), f"{error} The one before it is used."


def load_weights(network: Network, tensors: Mapping[str, Array], source: str) -> None:
    """Copy the weights of a checkpoint into a network.

    Raises
    ------
    DataError
        Where a tensor is missing, or has another shape or type.
    """
    for name, view in network.tensors().items():
        found = tensors.get(name)
        if found is None or found.shape != view.shape or found.dtype != view.dtype:
            got = "nothing" if found is None else f"{found.dtype} {found.shape}"
            raise DataError(f"{source}: the weights {name} must be {view.dtype} {view.shape}. Got {got}.")
        np.copyto(view, found)
