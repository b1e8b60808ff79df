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
    rm,
    sample,
    schema,
    show,
    train,
    validate,
)
from nnctl.core.errors import Interrupted, NnctlError, SpecError

__all__ = ["app", "main"]

app = typer.Typer(
    name="nnctl",
    add_completion=False,
    rich_markup_mode=None,  # plain help: Rich would cost 40 ms of the 150 that `nnctl --help` may take
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("train")(train.command)
app.command("validate")(validate.command)
app.command("init")(init.command)
app.command("predict")(predict.command)
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
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    try:
        result = app(arguments, standalone_mode=False)
        sys.stdout.flush()
        if result == 130:  # what Typer makes of Ctrl-C, without a word
            _say("interrupted.")
        return result if isinstance(result, int) else 0
    except Interrupted as error:
        _say(str(error))
        return 128 + error.signal
    except NnctlError as error:
        _say(_told(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted.")
        return 130
    except BrokenPipeError:
        return _unread()
    except SystemExit as leaving:  # Typer ends with 1, the code of a bug, where typer.echo finds nobody listening
        if isinstance(leaving.__context__, BrokenPipeError):
            return _unread()
        raise
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _say(f"error: the output cannot be written: {error.strerror}.")
        return 74
    except MemoryError:
        _say("error: out of memory. Make the batch, the network or the data smaller.")
        return 2
    except Exception as error:  # noqa: BLE001 - the last resort: whatever is left is a bug, and says so
        usage: Any = error
        if hasattr(usage, "format_message") and hasattr(usage, "exit_code"):  # Typer's own: unknown option and the like
            usage.show()
            return int(usage.exit_code)
        if isinstance(usage, typer.Abort):
            return 130
        import traceback  # noqa: PLC0415 - only for a bug

        traceback.print_exc()
        _say("this is a bug in nnctl, not a mistake of yours. Please report the lines above.")
        return 1


def _unread() -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at its end
    return 141


def _told(error: NnctlError) -> str:
    if not isinstance(error, SpecError):
        return f"error: {error}"
    count = len(error.problems)
    sources = dict.fromkeys(problem.source or error.source for problem in error.problems)
    places = " and ".join("the command line" if source == "command line" else source for source in sources)
    return f"{error}\n\n{count} mistake{'s' if count > 1 else ''} in {places}."


def _say(text: str) -> None:
    # A value of the spec or a class name of the data may hold what a terminal would obey.
    shown = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    with suppress(OSError):  # where nobody is listening the exit code still tells
        print(shown, file=sys.stderr)  # noqa: T201 - messages go to stderr


if __name__ == "__main__":
    main()
