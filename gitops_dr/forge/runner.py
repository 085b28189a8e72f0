"""What GitHub's runner says about the job that we are: by variables and files. Reads, and appends.

The event file may have been made by anybody who can open a pull request: what is taken from it is a
number or a commit id, or it is refused.
https://docs.github.com/en/actions/reference/workflows-and-actions/variables has the variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gitops_dr.errors import UsageError
from gitops_dr.forge.api import ForgeError

SUMMARY_LIMIT = 1_000_000
"""Bytes of one step's summary that we write at most; GitHub drops one of more than 1 MiB whole."""

_LARGEST_EVENT = 64 << 20

_REPOSITORY = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9._-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_SERVER = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?", re.ASCII)
_REF = re.compile(r"refs/pull/([1-9]\d{0,17})/(?:merge|head)", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?", re.ASCII)
_DIGITS = re.compile(r"[1-9]\d{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Job:
    """Which job this is, and on which pull request."""

    repository: str
    """``owner/name``."""
    number: int
    """The pull request's."""
    head: str
    """The commit that the pull request must still have as its head; empty where that is sure."""
    name: str
    """The job's id in its workflow, or what somebody calls it; empty where nobody does."""
    run: str
    """Web address of the run, where its artifacts are too; empty outside of one."""


def read_job(
    environ: Mapping[str, str], *, number: int | None = None, name: str | None = None
) -> Job:
    """Find repository, pull request and run in the variables and the event of the runner.

    ``number`` is what a person or a workflow says, else it is the event's; so is ``name``. After a
    ``workflow_run`` the number must be said, because for a fork's pull request GitHub does not know
    it there, and whoever said it may have been the fork: ``head`` is then the commit that the first
    workflow ran for.
    Raises ``UsageError`` for what is lacking or is not what it should be.
    """
    repository = environ.get("GITHUB_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(
            f"GITHUB_REPOSITORY {repository!r}: is no owner/name",
            hint="a workflow has it; elsewhere set it to the repository of the pull request",
        )
    head = ""
    if environ.get("GITHUB_EVENT_NAME") == "workflow_run":
        head = _triggering_commit(_event(environ))
    if number is None:
        number = _number(environ, told=bool(head))
    elif number < 1:
        raise UsageError(f"pull request {number}: is no number of one")
    return Job(
        repository=repository,
        number=number,
        head=head,
        name=environ.get("GITHUB_JOB", "") if name is None else name,
        run=run_address(environ),
    )


def run_address(environ: Mapping[str, str]) -> str:
    """Web address of the run that we are part of; empty outside of one."""
    server = environ.get("GITHUB_SERVER_URL", "").rstrip("/")
    repository, run = environ.get("GITHUB_REPOSITORY", ""), environ.get("GITHUB_RUN_ID", "")
    if not (
        _SERVER.fullmatch(server) and _REPOSITORY.fullmatch(repository) and _DIGITS.fullmatch(run)
    ):
        return ""
    return f"{server}/{repository}/actions/runs/{run}"


def append_summary(environ: Mapping[str, str], render: Callable[[int], str]) -> bool:
    """Append to the summary of the step that we are, if there is one and if there is room.

    ``render`` is given the bytes (of UTF-8) that there is room for and returns Markdown; what is
    longer all the same is not written, because GitHub would drop the summary as a whole. Returns
    whether it was written. Raises ``ForgeError`` if the file cannot be.
    """
    place = environ.get("GITHUB_STEP_SUMMARY", "")
    if not place:
        return False
    path = Path(place)
    try:
        there = path.stat().st_size if path.exists() else 0
        # A blank line before, so that an unfinished table or paragraph is not continued by ours.
        room = SUMMARY_LIMIT - there - len("\n\n\n")
        text = render(room).encode() if room > 0 else b""
        if not 0 < len(text) <= room:
            return False
        with path.open("ab") as file:
            file.write((b"\n\n" if there else b"") + text + b"\n")
    except OSError as error:
        raise ForgeError(f"GITHUB_STEP_SUMMARY {place}: {error.strerror}") from error
    return True


def _number(environ: Mapping[str, str], *, told: bool) -> int:
    found = _REF.fullmatch(environ.get("GITHUB_REF", ""))
    if found:
        return int(found[1])
    # A workflow_run's own list of pull requests may name those of other repositories.
    if not told and environ.get("GITHUB_EVENT_PATH"):
        event = _event(environ)
        issue = _part(event, "issue")
        number = _part(event, "pull_request").get("number") or (
            issue.get("number") if issue.get("pull_request") else None
        )
        if type(number) is int and number > 0:
            return number
    raise UsageError(
        "pull request: its number is unknown: neither GITHUB_REF nor the event is about one",
        hint="run it on: pull_request, or give the number",
    )


def _triggering_commit(event: Mapping[str, Any]) -> str:
    commit = _part(event, "workflow_run").get("head_sha")
    if not (isinstance(commit, str) and _COMMIT.fullmatch(commit)):
        raise UsageError(
            "GITHUB_EVENT_PATH: the event does not say which commit the first workflow ran for",
            hint="without it nobody knows that the pull request is the right one",
        )
    return commit


def _event(environ: Mapping[str, str]) -> Mapping[str, Any]:
    place = environ.get("GITHUB_EVENT_PATH", "")
    try:
        path = Path(place)
        if path.stat().st_size > _LARGEST_EVENT:
            raise UsageError(f"GITHUB_EVENT_PATH {place}: is too large for an event")
        event = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"GITHUB_EVENT_PATH {place!r}: {error.strerror}") from error
    except (orjson.JSONDecodeError, ValueError) as error:
        raise UsageError(f"GITHUB_EVENT_PATH {place!r}: is no JSON") from error
    return event if isinstance(event, dict) else {}


def _part(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = of.get(key)
    return part if isinstance(part, dict) else {}
