"""What other tools call a command or an option, and what to write here."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Any

from nnctl.core.errors import UsageError

__all__ = ["advice_on_option", "refuse_command"]

_MEASURED = (
    "nnctl train measures every part at its end, nnctl show RUN shows the figures again, and nnctl predict RUN test "
    "has them row by row."
)
_SEARCHED = (
    "nnctl lr-find SPEC finds the learning rate; for anything else train variants, nnctl train SPEC KEY=VALUE, and put "
    "them side by side: nnctl compare"
)
_COMMANDS = {
    **dict.fromkeys(("fit", "run", "learn", "start"), "Write: nnctl train SPEC"),
    **dict.fromkeys(("evaluate", "eval", "test", "score"), _MEASURED),
    **dict.fromkeys(("tune", "search", "sweep", "optimize"), _SEARCHED),
    **dict.fromkeys(("resume", "continue"), "Write: nnctl train --resume RUN"),
    **dict.fromkeys(("infer", "inference"), "Write: nnctl predict RUN FILE"),
    **dict.fromkeys(("new", "create"), "Write: nnctl init SOURCE"),
    **dict.fromkeys(("list", "runs"), "Write: nnctl ls"),
    **dict.fromkeys(("delete", "remove"), "Write: nnctl rm RUN"),
    "check": "nnctl validate SPEC checks that it is valid, nnctl doctor SPEC whether it learns.",
    "summary": "nnctl validate SPEC shows the network, nnctl show RUN what came of a run.",
    "plot": "Pictures are in the plots folder of a run; several runs are drawn by: nnctl compare --plot FILE.png",
    "generate": "Write: nnctl sample RUN",
    "download": "Write: nnctl fetch NAME",
    "help": "Write: nnctl --help, or for a word of a spec: nnctl explain NAME",
    "version": "Write: nnctl --version",
}
_OPTIONS = {
    "config": "The spec stands alone: nnctl {command} SPEC",
    "spec": "The spec stands alone: nnctl {command} SPEC",
    "device": "There is the CPU alone: leave it out.",
    "gpu": "There is the CPU alone: leave it out.",
    "gpus": "There is the CPU alone: leave it out.",
    "output_dir": "Runs go where --runs-dir says.",
    "out_dir": "Runs go where --runs-dir says.",
    "verbose": "All is shown but with --quiet.",
}


def refuse_command(arguments: Sequence[str]) -> None:
    """Raise, saying what to write, where a command line begins with a command of other tools."""
    for name in arguments[:1]:
        if name in _COMMANDS:
            raise UsageError(f"there is no command '{name}'. {_COMMANDS[name]}")


def advice_on_option(error: Any, arguments: Sequence[str]) -> str | None:
    """Return what to write for an option that there is not, where the spec has a key for it.

    Parameters
    ----------
    error : Exception
        Of Typer.
    arguments : sequence of str
        The command line.
    """
    option, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if option is None or context is None or not any(each.name == "overrides" for each in context.command.params):
        return None
    from nnctl.spec.model import Spec  # noqa: PLC0415 - 0.2 s that only a mistake costs

    name, command = option.lstrip("-").replace("-", "_"), context.info_name
    if name in _OPTIONS:
        return _OPTIONS[name].format(command=command)
    key = Spec.field_synonyms.get(name, name)
    if key.split(".")[0] not in Spec.model_fields:
        return None
    key = {"data": "data.source"}.get(key, key)
    change = quote(f"{key}={_value_of(option, arguments)}")
    return f"Keys of the spec are changed after its name: nnctl {command} SPEC {change}"


def _value_of(option: str, arguments: Sequence[str]) -> str:
    for i, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}=")
        if argument == option and i + 1 < len(arguments) and not arguments[i + 1].startswith("--"):
            return arguments[i + 1]
    return "..."
