"""The command ``gitops-dr``: flags to one workflow, its result to a report, that to an exit code.

No logic lives here. Everything heavy is imported inside the commands, so that ``--help`` and
completion stay quick.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import traceback
from contextlib import suppress
from typing import Annotated

import typer
from typer.exceptions import TyperException

from gitops_dr import __version__
from gitops_dr.cli import (
    accept,
    doctor,
    drift,
    export,
    failover,
    init,
    lab,
    plan,
    points,
    rebuild,
    render,
    revert,
    secrets,
    sync,
    volumes,
)
from gitops_dr.errors import ExitCode, GitOpsDRError

_ALLOCATIONS = 200_000
"""Objects made and not freed before Python looks for garbage; by itself it does at 2,000."""

_M_ARENA_MAX = -8
"""How many heaps: https://man7.org/linux/man-pages/man3/mallopt.3.html"""

app = typer.Typer(
    name="gitops-dr",
    help="A Kubernetes cluster is a commit: export it, see its drift, rebuild it.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=(
        "Exit codes: 0 done, 1 differences, 2 usage, 3 partial (a gap or a failed step), "
        "4 cluster, 5 repository, 6 refused, 70 bug, 130 interrupted."
    ),
)
app.command(name="init")(init.init)
app.command(name="export")(export.export)
app.command(name="drift")(drift.drift)
app.command(name="accept")(accept.accept)
app.command(name="revert")(revert.revert)
app.command(name="render")(render.render)
app.command(name="plan")(plan.plan)
app.command(name="rebuild")(rebuild.rebuild)
app.command(name="sync")(sync.sync)
app.command(name="failover")(failover.failover)
app.command(name="doctor")(doctor.doctor)
app.add_typer(points.app, name="points")
app.add_typer(volumes.app, name="volumes")
app.add_typer(secrets.app, name="secrets")
app.add_typer(lab.app, name="lab")


def _version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        print(f"gitops-dr {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command and exit with its code."""
    _settle_memory()
    code = run(sys.argv[1:])
    gc.freeze()
    sys.exit(code)


def _settle_memory() -> None:
    """Tell Python and the C library what a process is like that does one thing and ends."""
    # Nearly all that a run makes lives to its end: to look for garbage in it costs a twentieth.
    gc.set_threshold(_ALLOCATIONS)
    # By itself glibc keeps a heap for each thread, and in each the room of the largest page.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def run(arguments: list[str]) -> int:
    """Run one command line; errors become a line and a hint on stderr, and an exit code."""
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _nobody_reads()
    return code


def _run(arguments: list[str]) -> int:
    out = sys.stdout
    try:
        code = app(arguments, prog_name="gitops-dr", standalone_mode=False)
    except GitOpsDRError as error:
        from gitops_dr.reports.text import shown

        print(f"gitops-dr: {shown(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {shown(error.hint)}", file=sys.stderr)
        return error.exit_code
    except TyperException as error:
        print(_usage(error), file=sys.stderr)
        return ExitCode.USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    except SystemExit:
        # Completion ends so; and typer, having put another stdout there, when a pipe was closed.
        if sys.stdout is out:
            raise
        sys.stdout = out
        _nobody_reads()
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the last place where a bug can be given its exit code
        print(f"gitops-dr: a bug: {type(error).__name__}", file=sys.stderr)
        print("  hint: run it with GITOPS_DR_DEBUG=1 to see where, and report it", file=sys.stderr)
        if os.environ.get("GITOPS_DR_DEBUG"):
            traceback.print_exc()
        return ExitCode.BUG
    if code == ExitCode.INTERRUPTED:
        print("gitops-dr: interrupted; the same command goes on from here", file=sys.stderr)
    return code if isinstance(code, int) else ExitCode.DONE


def _usage(error: TyperException) -> str:
    """Say what is wrong with the command line; where a command is lacking altogether, the help."""
    from gitops_dr.reports.text import shown

    message, context = error.format_message(), getattr(error, "ctx", None)
    if context is not None and message == context.get_help():
        return message
    command = context.command_path if context is not None else "gitops-dr"
    return f"gitops-dr: {shown(message)}\n  hint: see {command} --help"


def _nobody_reads() -> None:
    """Whoever read us has seen enough: nothing more is written, also not when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
