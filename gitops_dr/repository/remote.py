"""Speaks to remotes: the only commands of the door that reach beyond this machine. Runs git.

The transports are few and named here; ``ext::`` and its like, which run what a URL says, are none
of them. Programs for credentials and for SSH are the user's own (global configuration and
environment), never those that a repository's configuration names.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from gitops_dr.errors import RepositoryError
from gitops_dr.repository.git import scrub, user_revision
from gitops_dr.repository.repository import Repository, current_branch

PROTOCOLS = "file:http:https:ssh"
"""Transports that the user may choose; a folder (``file``) runs no more than its own hooks."""

THEIRS = "refs/gitops-dr/theirs"
"""Where a remote branch is put while it is looked at."""

_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15"
_HEADS = "refs/heads/"
_PROGRAM = re.compile(r"core\.(?:sshcommand|askpass)|credential\.(?:.*\.)?helper", re.DOTALL)
_TRUSTED = ("system", "global", "command")
"""Scopes of configuration that no repository can write to."""
_ENVIRONMENT = re.compile(r"GIT_(ASKPASS|SSH|SSH_COMMAND|SSH_VARIANT|SSL_\w+|HTTP_\w+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STATUS = re.compile(r"^(?P<flag>[ +*!=-])\t[^\t]*:(?P<ref>[^\t]*)\t(?P<said>.*)$", re.MULTILINE)
_EMPTY_TALK = re.compile(
    r"To |Done$|hint: |Everything up-to-date|error: failed to push some refs|Updates were rejected"
    r"|Please make sure you have|and the repository exists|fatal: Could not read from remote"
    r"|warning: "
)


@dataclass(frozen=True, slots=True)
class Place:
    """A branch of a remote."""

    remote: str
    """Its name or URL, as git is to be told."""
    branch: str
    """Full name of the branch there."""

    def __str__(self) -> str:
        """Name it for a message, without credentials."""
        return f"{scrub(self.remote)} ({self.branch.removeprefix(_HEADS)})"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a remote said to a push."""

    good: bool
    rejected: str = ""
    """The reason why it did not take the branch; empty if it was not asked, or took it."""
    said: str = ""
    """All of it on one line, without credentials and control characters."""


def place_for(repo: Repository, remote: str | None) -> Place:
    """Where the branch that HEAD is on belongs: to ``remote``, or where git would push it.

    Raises ``RepositoryError`` if there is no such place.
    """
    branch = current_branch(repo)
    short = branch.removeprefix(_HEADS)
    upstream = _config(repo, f"branch.{short}.remote")
    name = remote or next(
        (
            found
            for key in (f"branch.{short}.pushRemote", "remote.pushDefault")
            if (found := _config(repo, key))
        ),
        upstream if upstream != "." else "",
    )
    if not name:
        names = repo.git.run(["remote"]).decode().split()
        if len(names) != 1 and "origin" not in names:
            raise RepositoryError(
                f"{repo.root}: nothing says where {short} is to be pushed",
                hint="name a remote or a URL with --push-to, or git push -u once",
            )
        name = names[0] if len(names) == 1 else "origin"
    if name.startswith("-") or _CONTROL.search(name):
        raise RepositoryError(f"{scrub(name)!r}: this is neither the name of a remote nor a URL")
    merge = _config(repo, f"branch.{short}.merge") if name == upstream else ""
    return Place(name, merge if merge.startswith(_HEADS) else branch)


def send(repo: Repository, place: Place, commit: str) -> Answer:
    """Offer a commit for a remote branch; it is never forced upon it.

    Raises ``RepositoryError`` if git cannot be started.
    """
    good, said = repo.git.verdict(
        [
            *_settings(repo),
            *("push", "--porcelain", "--no-verify", "--no-signed", "--no-follow-tags"),
            *("--recurse-submodules=no", "--no-progress", "--receive-pack=git-receive-pack"),
            *("--end-of-options", place.remote, f"{user_revision(commit)}:{place.branch}"),
        ],
        env=_environment(),
    )
    about = [line for line in _STATUS.finditer(said) if line["ref"] == place.branch]
    rejected = next((line["said"] for line in about if line["flag"] == "!"), "")
    return Answer(good, scrub(rejected), _one_line(said))


def fetch(repo: Repository, place: Place) -> str:
    """Bring a remote branch here; gives the full id of its commit. No ref of the user's moves.

    Raises ``RepositoryError`` if it cannot be had.
    """
    good, said = repo.git.verdict(
        [
            *_settings(repo),
            *("fetch", "--no-tags", "--recurse-submodules=no", "--no-auto-maintenance"),
            *("--no-progress", "--no-write-fetch-head", "--refmap="),
            *("--upload-pack=git-upload-pack", "--end-of-options", place.remote),
            f"+{place.branch}:{THEIRS}",
        ],
        env=_environment(),
    )
    if not good:
        raise RepositoryError(f"{place}: cannot be fetched: {_one_line(said)}")
    commit = repo.git.run(["rev-parse", "--verify", f"{THEIRS}^{{commit}}"]).decode().strip()
    repo.git.run(["update-ref", "-d", THEIRS])
    return commit


def last_seen(repo: Repository, place: Place) -> str | None:
    """The commit that the remote branch had when it was last heard of; None if nobody knows."""
    short = place.branch.removeprefix(_HEADS)
    tracking = f"refs/remotes/{place.remote}/{short}^{{commit}}"
    return repo.git.ask(["rev-parse", "--quiet", "--verify", tracking], no=(1, 128))


def _config(repo: Repository, key: str) -> str:
    return repo.git.ask(["config", "--get", key], no=(1,)) or ""


def _settings(repo: Repository) -> list[str]:
    """Settings that put the user's programs in the place of those that the repository names."""
    listed = repo.git.run(["config", "--list", "--show-scope", "-z"]).decode(errors="replace")
    words = listed.split("\0")
    programs = {"core.sshcommand": _SSH, "core.askpass": ""}
    helpers: list[tuple[str, str]] = []
    for scope, setting in zip(words[::2], words[1::2], strict=False):
        key, _, value = setting.partition("\n")
        if scope not in _TRUSTED or not _PROGRAM.fullmatch(key):
            continue
        if key in programs:
            programs[key] = value
        else:
            helpers.append((key, value))
    settings = [
        # An empty one makes git forget those that it has read.
        ("credential.helper", ""),
        *helpers,
        *programs.items(),
        ("core.alternateRefsCommand", "false"),
        ("http.lowSpeedLimit", "1"),
        ("http.lowSpeedTime", "300"),
    ]
    return [part for key, value in settings for part in ("-c", f"{key}={value}")]


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if _ENVIRONMENT.fullmatch(key)}
    return {**kept, "GIT_ALLOW_PROTOCOL": PROTOCOLS}


def _one_line(said: str) -> str:
    """What matters of a conversation: what the remote says first, then what git does."""
    lines = [
        line.strip()
        for line in re.split(r"[\r\n]+", said)
        if line.strip() and not _STATUS.match(line) and not _EMPTY_TALK.match(line)
    ]
    lines.sort(key=lambda line: not line.startswith("remote:"))
    told = [scrub(line.removeprefix("remote:").strip()) for line in lines]
    return "; ".join(list(dict.fromkeys(filter(None, told)))[:3]) or "git did not say why"
