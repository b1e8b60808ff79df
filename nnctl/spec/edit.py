"""One value of a spec changed in its text: comments, order, quoting and all else stay byte for byte.

The text is changed where the value stands and never written anew from data. What comes out is read back before anyone
sees it, and must be the same spec with that one value changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import yaml

from nnctl.core import scalars
from nnctl.core.errors import DiskError, Problem, SpecError
from nnctl.core.yaml import loads
from nnctl.runs import atomic
from nnctl.spec.load import parse_spec
from nnctl.spec.model import Spec

__all__ = ["replace_text", "with_learning_rate"]

_BOM = "\ufeff"


def with_learning_rate(text: str, lr: float, source: str = "spec.yaml") -> str:
    """Return a spec's text with another learning rate.

    Parameters
    ----------
    text : str
        A valid spec.
    lr : float
        The new rate, > 0.
    source : str
        The file's name, for messages.

    Raises
    ------
    SpecError
        If the text is no valid spec, or the rate is written in a way that cannot be changed in place, such as by an
        anchor that other values share.
    """
    bom, body = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    before = _parsed(body, source)
    wanted = before.model_copy(update={"optimizer": before.optimizer.model_copy(update={"lr": lr})})
    start, end, new = _change(body, before.optimizer.name, scalars.write(float(lr)))
    edited = body[:start] + new + body[end:]
    try:
        same = _parsed(edited, source) == wanted
    except SpecError:
        same = False
    if not same:
        _refuse(body, start, f"cannot be changed in place. Write lr: {scalars.write(float(lr))} there by hand.", source)
    return bom + edited


def replace_text(path: Path, before: str, after: str) -> None:
    """Write a spec's new text into its file, atomically, keeping the file's mode; a link stays a link.

    Raises
    ------
    SpecError
        If the file no longer holds the text that was changed.
    DiskError
        If it cannot be written; the old text still stands there.
    """
    file = path.resolve()
    try:
        held, mode = file.read_bytes(), file.stat().st_mode
    except OSError as error:
        raise DiskError(f"{path}: cannot be read again: {error.strerror}. It was not changed.") from None
    if held != before.encode():
        _refuse("", 0, "was changed by someone else meanwhile. It was left as it is; try again.", str(path))
    try:
        atomic.replace(file, after.encode())
        file.chmod(mode)
    except (DiskError, OSError) as error:
        reason = error if isinstance(error, OSError) else error.__cause__
        said = reason.strerror if isinstance(reason, OSError) else reason
        raise DiskError(f"{path}: cannot be written: {said}. It was not changed.") from None


def _parsed(text: str, source: str) -> Spec:
    document = loads(text, source)
    document.data.setdefault("name", "run")
    return parse_spec(document)


def _change(text: str, name: str, value: str) -> tuple[int, int, str]:
    """Return where the text changes, and what stands there then, for an optimizer called `name`."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    optimizer = _entry(root, "optimizer")
    if optimizer is None:
        return _inserted(text, root, "optimizer", f"{{{name}: {{lr: {value}}}}}", at_end=True)
    if isinstance(optimizer, yaml.ScalarNode):  # optimizer: adam
        written = text[optimizer.start_mark.index : optimizer.end_mark.index]
        return optimizer.start_mark.index, optimizer.end_mark.index, f"{{{written}: {{lr: {value}}}}}"
    fields = _entry(optimizer, name)
    rate = _entry(fields, "lr") if isinstance(fields, yaml.MappingNode) else fields  # {adam: 1e-3} is its lr
    if rate is None:
        return _inserted(text, fields, "lr", value, at_end=False)
    return rate.start_mark.index, rate.end_mark.index, value


def _entry(node: Any, key: str) -> Any:
    """Return the node of a mapping's entry, or None."""
    return next((value for name, value in node.value if name.value == key), None)


def _inserted(text: str, mapping: Any, key: str, value: str, *, at_end: bool) -> tuple[int, int, str]:
    """Return the change that gives a mapping one more entry: after the last one on a line of its own, or first."""
    if mapping.flow_style:
        inside = text.index("{", mapping.start_mark.index) + 1
        return inside, inside, f"{key}: {value}{', ' if mapping.value else ''}"
    newline = "\r\n" if "\r\n" in text else "\n"
    first = mapping.value[0][0].start_mark
    if at_end:
        last = len(text)
        gap = "" if text.endswith(("\n", "\r")) else newline
        return last, last, f"{gap}{' ' * first.column}{key}: {value}{newline}"
    return first.index, first.index, f"{key}: {value}{newline}{' ' * first.column}"


def _refuse(text: str, index: int, message: str, source: str) -> NoReturn:
    if not text:
        raise SpecError([Problem((), message)], source)
    start = text.rfind("\n", 0, index) + 1
    line = text[start:].split("\n", 1)[0].rstrip("\r")
    place = (text.count("\n", 0, index) + 1, index - start + 1, line)
    raise SpecError([Problem(("optimizer",), message, *place)], source)
