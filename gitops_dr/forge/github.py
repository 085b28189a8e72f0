"""One sticky comment on a pull request for each cluster and job, kept up to date. Network only.

The comment is found again by a marker in its first line, which nobody sees. Everybody may write
such a line, so only a comment of our own account counts: else somebody's comment would carry our
words, and they could change them afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from gitops_dr.errors import RefusedError, UsageError
from gitops_dr.forge.api import Answer, Api, Clock, ForgeError, open_api
from gitops_dr.forge.runner import Job, read_job

BODY_LIMIT = 65_536
"""Bytes of a comment. GitHub says characters, and has been seen to count bytes and to allow more;
in bytes it holds however it is counted."""

PATIENCE = 300.0
"""Seconds that posting may take, with everything that GitHub makes us wait for."""

_CREATIONS = 3
"""Times that a comment is made at most, where GitHub left it open whether it took one."""

_API = "https://api.github.com"
_ENTERPRISE = re.compile(r"/api/v3$")


class Deed(StrEnum):
    """What posting did."""

    CREATED = "created"
    UPDATED = "updated"
    NOTHING = "nothing"
    """There was nothing to say, and no comment that says otherwise."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What posting did, and where it is to be seen."""

    deed: Deed
    address: str = ""
    """Web address of the comment, as the forge says it."""


def marker(cluster: str, job: str) -> str:
    """Make the first line of a comment, by which it is found; no name can end it or forge one."""
    return f"<!-- gitops-dr cluster={_marked(cluster)} job={_marked(job)} -->"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request that we may comment on."""

    job: Job
    api: Api
    patience: float = PATIENCE

    def __str__(self) -> str:
        return f"pull request {self.job.repository}#{self.job.number}"

    def post(self, cluster: str, body: str, *, clean: bool, always: bool = False) -> Posted:
        """Put ``body`` (Markdown) into this job's comment on the cluster, making it if need be.

        A ``clean`` result updates a comment that is there and makes none, unless ``always``: a
        pull request without drift needs no message that says so. Raises ``ForgeError`` if that is
        not possible within ``patience``, and ``RefusedError`` if the pull request has another head
        than the one that the run was for.
        """
        deadline = self.api.clock.now() + self.patience
        first_line = marker(cluster, self.job.name)
        text = f"{first_line}\n{body}"
        if len(text.encode()) > BODY_LIMIT:
            raise ForgeError(
                f"{self}: a comment of {len(text.encode())} bytes is more than GitHub takes",
                hint="the whole report is what -o prints",
            )
        self._check_head(deadline)
        account = self._account(deadline)
        for tried in range(1, _CREATIONS + 1):
            found = self._find(first_line, account, deadline)
            updated = self._update(found, text, deadline, ours=account is not None)
            if updated:
                return Posted(Deed.UPDATED, _address(updated))
            if clean and not always:
                return Posted(Deed.NOTHING)
            try:
                return Posted(Deed.CREATED, _address(self._create(text, deadline)))
            except ForgeError as error:
                if not error.unsure or tried == _CREATIONS:
                    raise
            # It may be there by now: look for it before another one is made.
            self.api.clock.sleep(2.0**tried)
        raise AssertionError("the last try returns or raises")

    def _check_head(self, deadline: float) -> None:
        if not self.job.head:
            return
        path = f"/repos/{self.job.repository}/pulls/{self.job.number}"
        found = self.api.send("GET", path, about=str(self), deadline=deadline).document
        head = found.get("head") if isinstance(found, dict) else None
        commit = head.get("sha") if isinstance(head, dict) else None
        if commit != self.job.head:
            raise RefusedError(
                f"{self}: its head is not the commit {self.job.head[:12]} that this run is for",
                hint="it has moved on, and its next run posts; or the number is not this run's",
            )

    def _account(self, deadline: float) -> str | None:
        """The name that we comment by; None if the forge does not say.

        Only GraphQL tells it to a workflow's own token, which is no user's.
        """
        base = _ENTERPRISE.sub("/api", self.api.base)
        answer = self.api.send(
            "POST",
            f"{base}/graphql",
            about=f"{self}: asking who we are",
            deadline=deadline,
            body={"query": "query { viewer { login } }"},
            expected=(403, 404, 406, 410),
            tries=3,
        )
        found: Any = answer.document
        for key in ("data", "viewer", "login"):
            found = found.get(key) if isinstance(found, dict) else None
        return found.lower() if isinstance(found, str) and found else None

    def _find(self, first_line: str, account: str | None, deadline: float) -> list[int]:
        """The ids of our comments with this marker, oldest first."""
        path = f"/repos/{self.job.repository}/issues/{self.job.number}/comments?per_page=100"
        pages = self.api.pages(path, about=f"{self}: reading its comments", deadline=deadline)
        return sorted(
            comment["id"]
            for comment in pages
            if isinstance(comment, dict)
            and type(comment.get("id")) is int
            and str(comment.get("body") or "").startswith(first_line)
            and _is_by(comment.get("user"), account)
        )

    def _update(self, found: list[int], text: str, deadline: float, *, ours: bool) -> Answer | None:
        """Put the text into the oldest that is still there; None if none is.

        Two runs at once may have made one each; the later one would stay as it is for ever, so it
        goes, if it is surely ours.
        """
        about = f"{self}: updating the comment"
        updated = None
        for number in found:
            path = f"/repos/{self.job.repository}/issues/comments/{number}"
            if updated is None:
                answer = self.api.send(
                    "PATCH", path, about=about, deadline=deadline, body={"body": text},
                    expected=(404,),
                )  # fmt: skip
                updated = answer if answer.status != 404 else None
            elif ours:
                self.api.send("DELETE", path, about=about, deadline=deadline, expected=(404,))
        return updated

    def _create(self, text: str, deadline: float) -> Answer:
        path = f"/repos/{self.job.repository}/issues/{self.job.number}/comments"
        about = f"{self}: posting the comment"
        return self.api.send(
            "POST", path, about=about, deadline=deadline, body={"body": text}, repeat=False
        )


def from_environment(
    environ: Mapping[str, str],
    *,
    number: int | None = None,
    job: str | None = None,
    clock: Clock | None = None,
) -> PullRequest:
    """Find the pull request that the running job is for; sends nothing.

    Reads ``GITHUB_TOKEN``, ``GITHUB_API_URL``, ``GITHUB_REPOSITORY``, ``GITHUB_REF``,
    ``GITHUB_EVENT_NAME``, ``GITHUB_EVENT_PATH``, ``GITHUB_JOB`` and those of :func:`run_address`.
    ``number`` and ``job`` go before what the environment says. Raises ``UsageError`` for what is
    lacking or unfit.
    """
    token = environ.get("GITHUB_TOKEN", "").strip()
    if not token:
        raise UsageError(
            "GITHUB_TOKEN: is not set, so that nothing can be posted",
            hint="in a workflow, give the step `env: GITHUB_TOKEN: ${{ github.token }}`",
        )
    api = open_api(environ.get("GITHUB_API_URL") or _API, token, environ, clock)
    return PullRequest(read_job(environ, number=number, name=job), api)


def _is_by(user: Any, account: str | None) -> bool:
    """Whether a comment's user is our account or, where that is unknown, at least no person."""
    if not isinstance(user, dict):
        return False
    if account is None:
        return user.get("type") == "Bot"
    return str(user.get("login")).lower() == account


def _marked(name: str) -> str:
    """A name as the marker has it: nothing in it ends a comment, a word or a key."""
    return quote(name, safe="", errors="replace").replace("--", "-%2D")


def _address(answer: Answer) -> str:
    found = answer.document.get("html_url") if isinstance(answer.document, dict) else None
    return found if isinstance(found, str) else ""
