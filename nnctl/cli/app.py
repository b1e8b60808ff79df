"""The Typer app, the exit codes, and the one place where errors become messages.

Exit codes: 0 done, 1 a bug in nnctl, 2 usage or spec, 3 data, 4 diverged, 5 a check failed, 74 disk,
130 / 143 interrupted with the checkpoint saved, 141 nobody reads the output any more.
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from contextlib import suppress
from io import StringIO, TextIOWrapper
from itertools import takewhile
from typing import Annotated, Any, NoReturn

import typer

from nnctl import __version__
from nnctl.cli import (
    compare,
    data,
    diff,
    doctor,
    explain,
    fetch,
    gradcheck,
    init,
    lint,
    lr_find,
    ls,
    overfit_batch,
    predict,
    repro,
    rm,
    sample,
    schema,
    show,
    train,
    validate,
)
from nnctl.cli.failure import Failure
from nnctl.cli.habits import advice_on_option, refuse_command
from nnctl.cli.signals import Leaving
from nnctl.core.errors import Interrupted, NnctlError, UsageError
from nnctl.core.inert import inert

__all__ = ["app", "main"]

app = typer.Typer(
    name="nnctl",
    add_completion=False,
    rich_markup_mode=None,  # plain help: Rich would cost 40 ms of the 150 that `nnctl --help` may take
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Files: runs in runs (--runs-dir), fetched data in datasets (NNCTL_DATASETS). Caches of libraries: fonts "
    "that Matplotlib found, in ~/.cache/matplotlib (MPLCONFIGDIR); data of openml.org, in ~/scikit_learn_data "
    "(SCIKIT_LEARN_DATA).",
)

app.command("train")(train.command)
app.command("validate")(validate.command)
app.command("init")(init.command)
app.command("predict")(predict.command)
app.command("repro")(repro.command)
app.command("sample")(sample.command)
app.command("fetch")(fetch.command)
app.command("explain")(explain.command)
app.command("schema")(schema.command)
app.command("lint")(lint.command)
app.command("doctor")(doctor.command)
app.command("data")(data.command)
app.command("gradcheck")(gradcheck.command)
app.command("lr-find")(lr_find.command)
app.command("overfit-batch")(overfit_batch.command)
app.command("compare")(compare.command)
app.command("diff")(diff.command)
app.command("ls")(ls.command)
app.command("show")(show.command)
app.command("rm")(rm.command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nnctl {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Train, debug and compare small neural networks from a YAML spec."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run nnctl and leave with the documented exit code."""
    # Half a million objects are made by imports and none is garbage: looking for some takes 0.1 s of the 0.4 that
    # `nnctl validate` may take. A training makes next to none.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    _open_streams()
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _open_streams() -> None:
    """Put the null device where a stream was closed, or the next file that is opened would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for the whole process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name in letters that the terminal lacks is no error
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: list[str]) -> int:
    try:
        code = _outcome(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _unheard(141)
    except SystemExit as leaving:  # Typer ends with 1, the code of a bug, where typer.echo finds nobody listening
        if isinstance(leaving.__context__, BrokenPipeError):
            return _unheard(141)
        raise
    except OSError as error:
        _say(f"error: the output cannot be written: {error.strerror}.")
        return _unheard(74)
    return code


def _outcome(arguments: list[str]) -> int:
    """Call a command; what it raises becomes an exit code, a message on stderr and, with --json, the document."""
    failure: Failure
    try:
        refuse_command(arguments)
        with Leaving():
            result = app(arguments, standalone_mode=False)
        if result != 130:  # what Typer makes of Ctrl-C, without a word
            return result if isinstance(result, int) else 0
        failure = Failure.of(Interrupted("interrupted.", Leaving.number))
    except NnctlError as error:
        failure = Failure.of(error)
    except (KeyboardInterrupt, typer.Abort):
        failure = Failure.of(Interrupted("interrupted.", Leaving.number))
    except MemoryError:
        message = "out of memory. Make the batch, the network or the data smaller."
        failure = Failure("MemoryError", 2, message, f"error: {message}")
    except Exception as error:  # the last resort: whatever is left is a bug, and says so
        if isinstance(error, BrokenPipeError) or (isinstance(error, OSError) and error.errno in _UNWRITABLE):
            raise
        failure = _usage_or_bug(error, arguments)
    if failure.spoken:
        _say(failure.spoken)
    if "--json" in takewhile(lambda argument: argument != "--", arguments):
        from nnctl.cli.document import print_document  # noqa: PLC0415 - what --help does not need

        print_document(failure.document)
    return failure.exit_code


_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})
"""What only the output can have failed with: files of a run, and those that are named, raise DiskError."""


def _usage_or_bug(error: Any, arguments: list[str]) -> Failure:
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # Typer's own: unknown option and the like
        advice = advice_on_option(error, arguments)
        if advice:
            return Failure.of(UsageError(f"there is no option {error.option_name}. {advice}"))
        shown = StringIO()
        error.show(file=shown)
        _say(shown.getvalue().rstrip("\n"))
        return Failure("UsageError", int(error.exit_code), error.format_message(), "")
    import traceback  # noqa: PLC0415 - only for a bug

    _say(traceback.format_exc().rstrip("\n"))
    message = "this is a bug in nnctl, not a mistake of yours. Please report the lines above."
    return Failure("Bug", 1, f"{type(error).__name__}: {error}", message)


def _unheard(code: int) -> int:
    """Give up an output that nobody takes, or Python complains once more at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _say(text: str) -> None:
    # A value of the spec or a class name of the data may hold what a terminal would obey.
    shown = inert(text, keep="\n")
    with suppress(OSError):  # where nobody is listening the exit code still tells
        print(shown, file=sys.stderr)  # noqa: T201 - messages go to stderr


if __name__ == "__main__":
    main()
