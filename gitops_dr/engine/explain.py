"""Says of each object that differs how it does. Reads from Git and the cluster; writes to neither.

Bodies are loaded one object at a time. The API server's schemas are read where one of a kind
differs; it is asked for more (a dry run) only where they do not tell whether a change is one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import orjson

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.openapi import Documents
from gitops_dr.drift.attribute import trusted_managers
from gitops_dr.drift.compare import Comparison
from gitops_dr.drift.contained import judged_as_written
from gitops_dr.drift.judge import Judged, judged
from gitops_dr.drift.meaning import LITERALLY, Meaning
from gitops_dr.drift.settle import IsAutoscaled
from gitops_dr.engine.asking import Asker, Judge, Question
from gitops_dr.engine.background import Background
from gitops_dr.engine.observe import Observation
from gitops_dr.engine.recorded import Recorded
from gitops_dr.events import Advanced, Emit, silent
from gitops_dr.model import SECRET, Body, Difference, FieldChange, Presence, Ref, State

LiveBody = Callable[[Ref], Body]
"""The cluster's body of an object, without what rules take out."""


class Explainer:
    """Compares bodies for one comparison of a commit with a cluster."""

    def __init__(
        self,
        connection: Connection,
        recorded: Recorded,
        wanted: State,
        observation: Observation,
        *,
        trusted: Collection[str] = (),
        server: bool = False,
        emit: Emit = silent,
    ) -> None:
        """``server``: ask the API server about every object that differs.

        ``trusted``: field managers whose additions to what people wrote do not count.
        """
        self._connection = connection
        self.recorded = recorded
        self.wanted = wanted
        self.observation = observation
        self._trusted = trusted_managers() | frozenset(trusted)
        self._server = server
        self._emit = emit
        self._background = Background(recorded, observation)
        self._documents = Documents(connection)
        self._meanings: dict[tuple[str, str, str], tuple[Meaning, str]] = {}

    def modified(self, comparison: Comparison, live: LiveBody) -> Iterator[Difference]:
        """The objects of both sides that differ in meaning, those that had to be asked for last."""
        open_: dict[Ref, tuple[tuple[FieldChange, ...], str, bool]] = {}
        for ref, git in self.recorded.bodies(comparison.modified):
            meaning, trouble = self._meaning(ref)
            managed = orjson.loads(self.observation.managed.get(ref, b"[]"))
            judge = self._judge(ref, git, meaning, self.is_autoscaled)
            found = judge(managed, live(ref))
            if not found.changes:
                continue
            why, dry_run = self._why(ref, found, trouble)
            if why:
                open_[ref] = found.changes, why, dry_run
            else:
                yield self._difference(ref, found.changes)
        if open_:
            yield from self._asked(open_)

    def _asked(
        self, open_: dict[Ref, tuple[tuple[FieldChange, ...], str, bool]]
    ) -> Iterator[Difference]:
        def questions() -> Iterator[Question]:
            for ref, git in self.recorded.bodies(open_):
                changes, why, dry_run = open_[ref]
                resource = replace(
                    self.observation.resources[ref.group_kind],
                    version=self.wanted.entries[ref].version,
                )
                meaning, _ = self._meaning(ref)
                # Found out here, because only one thread reads from Git.
                autoscaled = self.is_autoscaled(ref)
                judge = self._judge(ref, git, meaning, _always(autoscaled))
                yield Question(ref, resource, judge, meaning, changes, why, dry_run=dry_run)

        asker = Asker(self._connection)
        for done, answer in enumerate(asker.ask(questions()), 1):
            self._emit(Advanced("compare", done, str(answer.ref)))
            if answer.changes:
                difference = self._difference(answer.ref, answer.changes)
                yield replace(difference, compared_locally=answer.compared_locally)

    def judge(self, ref: Ref, git: Body) -> tuple[Judge, Meaning]:
        """How an object is compared, for one that is looked at anew; and what its fields mean."""
        meaning, _ = self._meaning(ref)
        return self._judge(ref, git, meaning, self.is_autoscaled), meaning

    def is_autoscaled(self, ref: Ref) -> bool:
        """Whether an autoscaler targets the object, or nobody knows that none does."""
        return self._background.is_autoscaled(ref)

    def _judge(self, ref: Ref, git: Body, meaning: Meaning, is_autoscaled: IsAutoscaled) -> Judge:
        """How an object is compared: as it was exported, or as somebody wrote it."""

        def exported(_managed: Any, seen: Body) -> Judged:
            return judged(
                ref,
                git,
                seen,
                meaning,
                is_autoscaled=is_autoscaled,
                is_edited=lambda ref: not self._background.is_exported(ref),
            )

        def written(managed: Any, seen: Body) -> Judged:
            return judged_as_written(
                ref,
                git,
                managed,
                seen,
                meaning,
                trusted=self._trusted,
                is_autoscaled=is_autoscaled,
            )

        return written if self.recorded.is_authored(ref) else exported

    def _difference(self, ref: Ref, changes: tuple[FieldChange, ...]) -> Difference:
        return Difference(ref, Presence.MODIFIED, self.wanted.entries[ref].path, changes)

    def _why(self, ref: Ref, found: Judged, trouble: str) -> tuple[str, bool]:
        """Why the API server must be asked, and whether for a dry run; empty if it need not be."""
        if ref.group_kind == SECRET:
            # What is in it is nobody's to send about.
            return "", False
        git, live = self.wanted.entries[ref].version, self.observation.state.entries[ref].version
        asked = "it was to be asked for every difference" if self._server else ""
        edited = (found.question or self._background.may_be_mutated) and (
            not self._background.is_complete(ref)
        )
        mutated = "admission may change what Git has"
        doubt = asked or trouble or ((found.question or mutated) if edited else "")
        if git != live:
            group = f"{ref.group}/" if ref.group else ""
            return f"Git has it in {group}{git}, the cluster in {group}{live}", bool(doubt)
        return doubt, bool(doubt)

    def _meaning(self, ref: Ref) -> tuple[Meaning, str]:
        """What the fields of a kind mean in the version that Git has; and why that is not known."""
        key = (ref.group, self.wanted.entries[ref].version, ref.kind)
        if key not in self._meanings:
            try:
                shape = self._documents.shape(*key)
                trouble = "" if shape else "the API server has no schema of it"
            except ApiError as error:
                shape, trouble = None, f"its schema could not be read: {error.message}"
            self._meanings[key] = (Meaning(shape) if shape else LITERALLY, trouble)
        return self._meanings[key]


def _always(answer: bool) -> IsAutoscaled:  # noqa: FBT001 - it is a value like any other
    return lambda _ref: answer
