"""A plan that somebody looked at, kept in a file until it is carried out. Pure: text and values.

The file has what was asked for and the plan's digest, not the plan: it is made again, and only the
same one is carried out. No value of any object is in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gitops_dr.errors import RefusedError, UsageError
from gitops_dr.model import Plan, parse_ref
from gitops_dr.planning.selection import Intent, Release, Selection

FORMAT = 1
_NAMED = 3
_HINT = "write one with gitops-dr plan --out FILE"


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What was planned, for which cluster of which repository, and into which one."""

    cluster: str
    commit: str
    """Full id of the recovery point."""
    configuration: str
    """Blob id of ``gitops-dr.yaml``, empty if there was none; with a target, ``+`` and what changes
    whenever that does."""
    target: str
    """UID of the cluster that it was planned for."""
    digest: str
    intent: Intent
    steps: tuple[str, ...]
    """Each act in a few words, in order."""

    def refuse_another(self, now: SavedPlan) -> None:
        """Raise ``RefusedError``, saying what is another, unless both plans are the same."""
        if self.digest == now.digest:
            return
        raise RefusedError(
            f"plan {self.digest[:12]}: it is no longer what would be done: "
            f"{self._changed(now)}; nothing was written",
            hint="plan again, look at it, and carry that one out",
        )

    def _changed(self, now: SavedPlan) -> str:
        if self.target != now.target:
            return f"it is for the cluster with UID {self.target}, and this one has {now.target}"
        if self.commit != now.commit:
            return f"it is for commit {self.commit[:12]}, not {now.commit[:12]}"
        if self.configuration != now.configuration:
            files = (one.configuration.partition("+")[0] for one in (self, now))
            what = "what its target is" if len(set(files)) == 1 else "gitops-dr.yaml"
            return f"{what} has changed since"
        before, after = set(self.steps), set(now.steps)
        return (
            _some("new", [step for step in now.steps if step not in before])
            or _some("gone", [step for step in self.steps if step not in after])
            or "the steps come in another order, or do something else"
        )


def describe(plan: Plan) -> tuple[str, ...]:
    """Each step of a plan in a few words."""
    return tuple(f"{step.action} {step.ref}" for step in plan.steps)


def write_saved(saved: SavedPlan) -> str:
    """Put a plan into the text of a file."""
    selection = saved.intent.selection
    document = {
        "format": FORMAT,
        "cluster": saved.cluster,
        "commit": saved.commit,
        "configuration": saved.configuration,
        "target": saved.target,
        "digest": saved.digest,
        "wanted": {
            "namespaces": sorted(selection.namespaces),
            "labels": [list(pair) for pair in selection.labels],
            "refs": [str(ref) for ref in sorted(selection.refs)],
            "overwrite": saved.intent.overwrite,
            "acceptEmptyVolumes": saved.intent.accept_empty_volumes,
            "withoutSecrets": saved.intent.without_secrets,
            "replace": saved.intent.replace,
            "takeOwnership": saved.intent.take_ownership,
            "release": saved.intent.release,
        },
        "steps": list(saved.steps),
    }
    return json.dumps(document, indent=2) + "\n"


def read_saved(text: str, place: str) -> SavedPlan:
    """Read a file that :func:`write_saved` wrote; ``place`` names it in messages.

    Raises ``UsageError`` for anything else.
    """
    from pydantic import BaseModel, ConfigDict, ValidationError

    class Model(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)

    class Wanted(Model):
        namespaces: list[str]
        labels: list[tuple[str, str]]
        refs: list[str]
        overwrite: bool
        acceptEmptyVolumes: bool  # noqa: N815 - as in the file
        withoutSecrets: bool  # noqa: N815 - as in the file
        replace: bool = False
        takeOwnership: bool = False  # noqa: N815 - as in the file
        release: Release = Release.IF_NEWEST

    class File(Model):
        format: int
        cluster: str
        commit: str
        configuration: str
        target: str
        digest: str
        wanted: Wanted
        steps: list[str]

    try:
        file = File.model_validate_json(text)
        refs = frozenset(map(parse_ref, file.wanted.refs))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{place}: no saved plan: {where}: {first['msg']}", hint=_HINT) from error
    except ValueError as error:
        raise UsageError(f"{place}: no saved plan: wanted.refs: {error}", hint=_HINT) from error
    if file.format != FORMAT:
        raise UsageError(
            f"{place}: a saved plan of format {file.format}, and this version reads {FORMAT}",
            hint="plan again with this version",
        )
    wanted = file.wanted
    selection = Selection(frozenset(wanted.namespaces), tuple(wanted.labels), refs)
    return SavedPlan(
        cluster=file.cluster,
        commit=file.commit,
        configuration=file.configuration,
        target=file.target,
        digest=file.digest,
        intent=Intent(
            selection,
            accept_empty_volumes=wanted.acceptEmptyVolumes,
            without_secrets=wanted.withoutSecrets,
            overwrite=wanted.overwrite,
            replace=wanted.replace,
            take_ownership=wanted.takeOwnership,
            release=wanted.release,
        ),
        steps=tuple(file.steps),
    )


def _some(what: str, steps: Sequence[str]) -> str:
    if not steps:
        return ""
    more = len(steps) - _NAMED
    return f"{what}: {', '.join(steps[:_NAMED])}" + (f" and {more} more" if more > 0 else "")
