"""Brings our commits to a remote branch, on top of what others have pushed meanwhile. Runs git.

Nothing is ever forced. A push that somebody else was quicker than is tried again on top of theirs,
a few times and with pauses; whatever else a remote says no to is told and left: the commit is kept,
and the next push sends it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from gitops_dr.errors import GitOpsDRError, RefusedError, RepositoryError
from gitops_dr.repository.remote import Answer, Place, place_for, send
from gitops_dr.repository.replay import replay
from gitops_dr.repository.repository import Repository, head
from gitops_dr.repository.trust import Trust
from gitops_dr.results.export import Pushed

ATTEMPTS = 3
"""How often one push is tried, the first time included."""

_QUICKER = (
    "fetch first",
    "non-fast-forward",
    "stale info",
    "failed to update ref",
    "cannot lock ref",
    "incorrect old value provided",
    "reference already exists",
)
"""What remotes say when the branch moved, before the push or while it came in."""

_CREDENTIALS = (
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "Permission denied",
    "The requested URL returned error: 401",
    "The requested URL returned error: 403",
    "Host key verification failed",
)
"""What git and SSH say to somebody whom the remote does not know."""

_KEPT = "the commit is kept here, and the next export --push sends it"


def push(
    repo: Repository,
    trust: Trust,
    *,
    remote: str | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Pushed:
    """Push the branch that HEAD is on to ``remote``, a name or a URL (default: where git would).

    What others have pushed meanwhile comes below ours, if no path of theirs is one of ours; it must
    be signed where ``trust`` asks for it. Nothing that a remote, the network or git refuse is
    raised: the result says why, and where HEAD is now.
    """
    place = ""
    before = head(repo)
    try:
        found = place_for(repo, remote)
        place = str(found)
        return _push(repo, trust, found, pause)
    except GitOpsDRError as error:
        return Pushed(
            place,
            head(repo),
            replayed=head(repo) != before,
            reason=error.message,
            hint=error.hint or _KEPT,
            refused=isinstance(error, RefusedError),
        )


def _push(repo: Repository, trust: Trust, place: Place, pause: Callable[[float], None]) -> Pushed:
    replayed = False
    left: tuple[str, ...] = ()
    attempt = 1
    while True:
        commit = head(repo)
        if commit is None:
            raise RepositoryError(f"{repo.root}: has no commit to push")
        answer = send(repo, place, commit)
        if answer.good:
            return Pushed(str(place), commit, replayed=replayed, left=left)
        if not any(reason in answer.rejected for reason in _QUICKER):
            raise _refusal(place, answer)
        if attempt == ATTEMPTS:
            raise RepositoryError(
                f"{place}: somebody else was quicker {ATTEMPTS} times in a row; the last time it "
                f"said {answer.rejected}",
                hint=_KEPT,
            )
        if attempt > 1:
            # Whoever was quicker may be as quick again: not in step with them.
            pause(random.uniform(0.2, 1.0) * 2**attempt)  # noqa: S311 - no secret
        moved = replay(repo, place, commit, trust)
        replayed, left = replayed or moved.replayed, (*left, *moved.left)
        attempt += 1


def _refusal(place: Place, answer: Answer) -> RepositoryError:
    if answer.rejected:
        told = "" if answer.said in answer.rejected else f": {answer.said}"
        return RepositoryError(
            f"{place}: refuses the push: {answer.rejected}{told}",
            hint="it will refuse it again until its rules or the commit change; "
            "the commit is kept here",
        )
    if any(words in answer.said for words in _CREDENTIALS):
        return RepositoryError(
            f"{place}: does not let us in: {answer.said}",
            hint="give git credentials that may push (git help credentials); "
            "the commit is kept here",
        )
    return RepositoryError(f"{place}: cannot be pushed to: {answer.said}", hint=_KEPT)
