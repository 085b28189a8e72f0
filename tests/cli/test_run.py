"""The command itself: exit codes and hints, help of everything, and a start that stays light."""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from gitops_dr import __version__, cli
from gitops_dr.errors import (
    ClusterError,
    ExitCode,
    GitOpsDRError,
    LabError,
    ManifestError,
    RefusedError,
    RepositoryError,
    UsageError,
)
from gitops_dr.workflows import drift

COMMANDS = [
    [],
    ["init"],
    ["export"],
    ["drift"],
    ["accept"],
    ["revert"],
    ["render"],
    ["plan"],
    ["rebuild"],
    ["sync"],
    ["failover"],
    ["doctor"],
    ["lab"],
    ["points"],
    *(["points", name] for name in ("list", "show")),
    ["volumes"],
    *(["volumes", name] for name in ("list", "snapshot", "prune", "restore")),
    ["secrets"],
    *(["secrets", name] for name in ("list", "init", "rotate", "check")),
    *(["lab", name] for name in ("up", "down", "list", "kubeconfig", "volume", "save")),
]


def every_command() -> list[list[str]]:
    root = typer.main.get_command(cli.app)
    found: list[list[str]] = [[]]
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        found.append([name])
        found += [[name, below] for below in getattr(command, "commands", {})]
    return found


def test_the_commands_here_are_all_there_are() -> None:
    assert sorted(COMMANDS) == sorted(every_command())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*command, "--help"]) == ExitCode.DONE
    said = capsys.readouterr()
    assert said.out.lstrip().startswith(f"Usage: {' '.join(['gitops-dr', *command])} ")
    assert said.out.count("\n") > 5
    assert said.err == ""


def test_the_exit_codes_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for code in ExitCode:
        assert f" {code.value} {code.name.lower()}" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == ExitCode.DONE
    assert capsys.readouterr().out == f"gitops-dr {__version__}\n"


# -- errors -----------------------------------------------------------------------------------

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `drift` with a workflow that ends with the error: exit code and stderr."""

    def run(error: BaseException) -> tuple[int, str]:
        def workflow(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(drift, "drift", workflow)
        code = cli.run(["drift"])
        said = capsys.readouterr()
        assert said.out == ""
        return code, said.err

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("--at: x", hint="do y"), 2),
        (ClusterError("server: x", hint="do y"), 4),
        (LabError("lab: x", hint="do y"), 4),
        (RepositoryError("folder: x", hint="do y"), 5),
        (ManifestError("a.yaml", 3, "x", hint="do y"), 5),
        (RefusedError("export: x", hint="do y"), 6),
        (GitOpsDRError("rule: x", hint="do y"), 70),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_one_line_and_a_hint(ending: Run, error: GitOpsDRError, code: int) -> None:
    assert ending(error) == (code, f"gitops-dr: {error.message}\n  hint: do y\n")


def test_an_error_without_a_hint_is_one_line(ending: Run) -> None:
    assert ending(RefusedError("export: x")) == (6, "gitops-dr: export: x\n")


def test_an_error_about_a_hostile_name_stays_one_line(ending: Run) -> None:
    _, said = ending(ClusterError("Pod/a\x1b[2J\nfine", hint="b\u202e\nc"))
    assert said == "gitops-dr: Pod/a\\u001b[2J\\u000afine\n  hint: b\\u202e\\u000ac\n"


def test_a_bug_shows_neither_values_nor_a_traceback(
    ending: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITOPS_DR_DEBUG", raising=False)
    code, said = ending(KeyError("hunter2"))
    assert code == ExitCode.BUG
    assert said.startswith("gitops-dr: a bug: KeyError\n  hint: ")
    assert "hunter2" not in said
    assert "Traceback" not in said


def test_a_bug_shows_where_if_asked(ending: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITOPS_DR_DEBUG", "1")
    code, said = ending(KeyError("where"))
    assert code == ExitCode.BUG
    assert "Traceback" in said


def test_an_interruption_says_that_one_can_go_on(ending: Run) -> None:
    code, said = ending(KeyboardInterrupt())
    assert code == ExitCode.INTERRUPTED
    assert said == "gitops-dr: interrupted; the same command goes on from here\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["drift", "--nosuch"],
        ["drift", "extra"],
        ["drift", "--output", "xml"],
        ["init"],
        ["rebuild", "--timeout", "soon"],
        ["lab", "up"],
        ["lab", "nosuch"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_makes_no_sense_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == ExitCode.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("gitops-dr: ")
    assert said.err.count("\n") == 2
    assert "--help" in said.err


@pytest.mark.parametrize("arguments", [[], ["lab"]])
def test_no_command_shows_the_help(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == ExitCode.USAGE
    said = capsys.readouterr()
    assert "Commands:" in said.out + said.err


# -- the process ------------------------------------------------------------------------------

# Not pydantic: typer itself reads options with it.
HEAVY = "kubernetes jinja2 grpc cryptography urllib3 ruamel rich git orjson yamlrocks"


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", [["drift"], ["lab", "up"], []], ids=" ".join)
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    done = python(
        "import sys; from gitops_dr.cli import run; code = run(sys.argv[1:]);"
        f"print([m for m in {HEAVY.split()!r} if m in sys.modules], file=sys.stderr);"
        "sys.exit(code)",
        *command,
        "--help",
    )
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"


COMMAND = Path(sys.executable).with_name("gitops-dr")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["drift", "--help"]], ids=str)
def test_nobody_reading_is_no_error(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([COMMAND, *arguments], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_code_of_a_result_that_nobody_reads_is_kept() -> None:
    read, write = os.pipe()
    os.close(read)
    code = (
        "import sys; from gitops_dr import cli; from gitops_dr.reports import drift as report;"
        "from gitops_dr.workflows import drift;"
        "drift.drift = lambda *_, **__: None; report.FORMATS = {'table': lambda _: 'text'};"
        "report.exit_code = lambda _: 1; sys.exit(cli.run(['drift']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"},
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_c_library_that_cannot_be_told_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_name: object) -> None:
        raise OSError

    before = gc.get_threshold()
    try:
        cli._settle_memory()
        monkeypatch.setattr(cli.ctypes, "CDLL", none)
        cli._settle_memory()
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.set_threshold(*before)
