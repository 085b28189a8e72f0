"""Asks the API server what it would make of Git's version of an object: dry runs. Writes nothing.

What it is asked to do is what a revert would do to the object: a patch of just the fields that
differ. What it would make of them, with its defaults, its normal forms and its admission, is held
against what is there. Where it says that a field cannot be changed, it is asked what it would make
of Git's version as a new object: that shows the defaults and the admission all the same.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from gitops_dr.cluster.apply import create, get, patch
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.drift.compare import field_changes
from gitops_dr.drift.judge import Judged, confirmed
from gitops_dr.drift.meaning import Meaning
from gitops_dr.drift.patch import json_patch
from gitops_dr.engine.owners import without_owners
from gitops_dr.model import Body, FieldChange, Ref, Resource
from gitops_dr.rules.clean import rules_for

AT_ONCE = 8
"""Dry runs in flight; more gain little, because the API server is busy with them."""

_BATCH = 64
"""Questions whose bodies are held at once."""

_ATTEMPTS = 3
"""How often an object is looked at anew because somebody wrote to it meanwhile."""

_OF_THE_OBJECT = frozenset({400, 404, 409, 413, 422})
"""HTTP statuses that say something of one object; others will be the same for all of its kind."""

_LONGEST_PREFIX = 50
"""Characters of a name to which the API server adds its own."""


Judge = Callable[[Any, Body], Judged]
"""Holds Git's version against a live object: given its managedFields, and what is left of it
without what rules take out."""


@dataclass(frozen=True, slots=True)
class Question:
    """An object of which the API server is to say what it would make of Git's version."""

    ref: Ref
    resource: Resource
    """In the API version that Git's manifest is in."""
    judge: Judge
    meaning: Meaning
    changes: tuple[FieldChange, ...]
    """What differs as far as can be told without asking."""
    why: str
    """Why it must be asked."""
    dry_run: bool = True
    """Otherwise reading the object in Git's version of the API answers it, if nothing is open."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What really differs; ``compared_locally`` says why that could not be found out."""

    ref: Ref
    changes: tuple[FieldChange, ...]
    compared_locally: str = ""


class _Unanswered(Exception):  # noqa: N818 - it ends a question, and is none to be reported
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Asker:
    """Asks one API server; a refusal that is not about one object is asked for once a kind."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._refused: dict[tuple[tuple[str, str], str], str] = {}
        self._tried: set[tuple[str, str]] = set()
        self._gates: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)

    def ask(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Answer the questions, in their order, several at once."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="dry-run") as workers:
            for batch in itertools.batched(questions, _BATCH):
                for question in batch:
                    # Made here, so that no two threads make one.
                    _ = self._gates[question.ref.group_kind]
                yield from workers.map(self._one, batch)

    def _one(self, question: Question) -> Answer:
        kind = question.ref.group_kind
        with self._gates[kind]:
            if kind not in self._tried:
                # Nobody else asks of this kind until it is known whether that is refused.
                self._tried.add(kind)
                return self._answer(question)
        return self._answer(question)

    def _answer(self, question: Question) -> Answer:
        local = question.changes
        try:
            for _ in range(_ATTEMPTS):
                live = self._live(question)
                seen = _cleaned(live, question)
                found = question.judge(live["metadata"].get("managedFields"), seen)
                local = found.changes
                if not (question.dry_run or found.question):
                    return Answer(question.ref, local)
                predicted = self._predicted(question, live, seen, found.wanted)
                if predicted is not None:
                    would_be = field_changes(
                        without_owners(_cleaned(predicted, question)),
                        without_owners(seen),
                        (),
                        question.meaning,
                    )
                    return Answer(question.ref, confirmed(local, would_be, found.certain))
            raise _Unanswered("somebody else writes to it all the time")  # noqa: TRY301
        except _Unanswered as error:
            return Answer(question.ref, local, f"{question.why}; {error.reason}")

    def _live(self, question: Question) -> Body:
        ref = question.ref
        self._check(question, "get")
        try:
            live = get(self._connection, question.resource, ref.namespace, ref.name)
        except ApiError as error:
            # Of an object that is gone the API server says its name; of a version that is not
            # served, only that it found nothing.
            if error.status == 404 and f'"{ref.name}"' not in error.message:
                version = question.resource.api_version
                raise _Unanswered(f"the API server does not serve {version}") from error
            raise self._unanswered(question, "get", error) from error
        if "resourceVersion" not in live["metadata"]:
            raise _Unanswered("its API gives no resourceVersion")
        return live

    def _predicted(self, question: Question, live: Body, seen: Body, wanted: Body) -> Body | None:
        """The object as it would be; None if somebody has written to it meanwhile."""
        ref, resource, wanted = question.ref, question.resource, without_owners(wanted)
        operations = json_patch(live, without_owners(seen), wanted, question.meaning)
        if len(operations) == 1:
            return live
        self._check(question, "patch")
        try:
            return patch(
                self._connection, resource, ref.namespace, ref.name, operations, dry_run=True
            )
        except ApiError as error:
            if error.status not in (409, 422):
                raise self._unanswered(question, "patch", error) from error
            now = self._live(question)
            if now["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
                return None
            made = self._as_new(question, wanted)
            if made is None:
                raise self._unanswered(question, "patch", error) from error
            return made

    def _as_new(self, question: Question, wanted: Body) -> Body | None:
        """What Git's version would be if it were new; None if no other of it can be made."""
        ref = question.ref
        metadata = {key: value for key, value in wanted["metadata"].items() if key != "name"}
        metadata["generateName"] = f"{ref.name[:_LONGEST_PREFIX]}-"
        try:
            made = create(
                self._connection, question.resource, {**wanted, "metadata": metadata}, dry_run=True
            )
        except ApiError:
            return None
        named: Body = _renamed(made, str(made["metadata"].get("name", "")), ref.name)
        return named

    def _check(self, question: Question, verb: str) -> None:
        refused = self._refused.get((question.ref.group_kind, verb))
        if refused is not None:
            raise _Unanswered(refused)

    def _unanswered(self, question: Question, verb: str, error: ApiError) -> _Unanswered:
        deed = "reading it" if verb == "get" else "a dry run"
        # What follows the first line is a listing of the object.
        message = error.message.partition("\n")[0]
        reason = f"{deed} was refused: {message}"
        if error.status == 0:
            reason = f"{deed} got no answer: {message}"
        elif error.status == 404:
            reason = "it was deleted meanwhile"
        if error.status not in _OF_THE_OBJECT:
            self._refused[question.ref.group_kind, verb] = reason
        return _Unanswered(reason)


def _cleaned(body: Body, question: Question) -> Body:
    resource = question.resource
    copy = deepcopy({**body, "apiVersion": resource.api_version, "kind": resource.kind})
    rules_for(resource.group, resource.kind).clean(copy)
    return copy


def _renamed(value: Any, name: str, to: str) -> Any:
    """The same with another name: the API server derives labels from it, among other things."""
    if isinstance(value, dict):
        return {key: _renamed(child, name, to) for key, child in value.items()}
    if isinstance(value, list):
        return [_renamed(item, name, to) for item in value]
    return to if name and value == name else value
