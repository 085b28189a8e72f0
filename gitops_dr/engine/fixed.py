"""Finds out what a plan cannot change in place, and what would be lost by replacing it. Reads only.

The API server has the last word: a change that it refuses although it would take the same object
anew is one that only a replacement makes. Both are tried as dry runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import orjson

from gitops_dr.cluster.apply import create, get
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.engine.aims import Aim
from gitops_dr.engine.asking import AT_ONCE
from gitops_dr.engine.dependents import dependents
from gitops_dr.engine.execute import LoadBodies
from gitops_dr.engine.owners import with_owners
from gitops_dr.engine.rehearse import changing, rehearse
from gitops_dr.model import Body, Difference, FieldChange, Plan, Ref, Resource, Step
from gitops_dr.planning.immutable import (
    ORPHAN,
    Fixed,
    gives_rights,
    made_again,
    may_be_refused,
    named_fields,
    propagation,
    what_is_lost,
)
from gitops_dr.rules.rows import names_kind

_TAKEN = "already allocated"
"""Said of a new object that wants the address or port that the old one still has."""


@dataclass(frozen=True, slots=True)
class _Tried:
    """A change that the API server refuses, and what would come in its place."""

    step: Step
    resource: Resource
    git: Body
    said: str
    changes: tuple[FieldChange, ...]


def find_fixed(
    connection: Connection,
    plan: Plan,
    differences: Iterable[Difference],
    load: LoadBodies,
    *,
    resources: Mapping[tuple[str, str], Resource],
    aim: Aim,
    replacing: bool,
) -> dict[Ref, Fixed]:
    """Say which of the plan's changes only a replacement makes, and what would be lost by it.

    ``differences`` are those that the plan was made from, ``load``, ``resources`` and ``aim`` those
    of :func:`~gitops_dr.engine.execute.execute`. Only what may be refused is tried: changes of the
    fields that the rows name, and of custom resources. ``replacing``: also look for objects that
    would go with one that is replaced, which takes a list of all. Raises ``ClusterError``.
    """
    steps = changing(plan)
    changes = {d.ref: d.changes for d in differences if d.ref in steps}
    doubtful = (
        {ref for ref, git in load(sorted(changes)) if may_be_refused(ref, changes[ref], git)}
        if changes
        else set()
    )
    part = replace(plan, steps=tuple(steps[ref] for ref in sorted(doubtful)))
    refused = rehearse(connection, part, load, resources, aim) if doubtful else {}

    def tried() -> Iterator[_Tried]:
        for ref, git in load(sorted(refused)) if refused else ():
            step = steps[ref]
            resource = replace(resources[ref.group_kind], version=step.version)
            yield _Tried(step, resource, git, refused[ref], changes[ref])

    found: dict[Ref, Fixed] = {}
    uids: dict[str, Ref] = {}
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fixed") as workers:
        for batch in itertools.batched(tried(), AT_ONCE):
            for ref, fixed, uid in workers.map(lambda one: _judge(connection, one), batch):
                if fixed is not None:
                    found[ref] = fixed
                    uids[uid] = ref
    return _with_dependents(connection, found, uids) if replacing else found


def _judge(connection: Connection, tried: _Tried) -> tuple[Ref, Fixed | None, str]:
    """Whether a refused change could be made by a replacement, and what goes with it; its UID."""
    ref, resource = tried.step.ref, tried.resource
    if not _could_be_made(connection, tried):
        return ref, None, ""
    fields = named_fields(ref, tried.changes, tried.git, tried.said)
    try:
        live = get(connection, resource, ref.namespace, ref.name)
        stays = what_is_lost(ref, fields, live)
        if not stays and gives_rights(ref) and _gives_us(connection, live):
            stays = "It gives the rights by which this is done."
    except ApiError as error:
        return ref, Fixed(fields, tried.said, f"What is lost cannot be told: {error.message}"), ""
    return ref, Fixed(fields, tried.said, stays), live["metadata"].get("uid") or ""


def _could_be_made(connection: Connection, tried: _Tried) -> bool:
    """Whether nothing but the one that is there stands in the way of the object that Git has."""
    wanted = with_owners(tried.git, tried.step.ref, lambda _owner: None)
    try:
        create(connection, tried.resource, wanted, dry_run=True)
    except ApiError as error:
        return error.reason == "AlreadyExists" or _TAKEN in error.message
    return True


def _with_dependents(
    connection: Connection, found: dict[Ref, Fixed], uids: Mapping[str, Ref]
) -> dict[Ref, Fixed]:
    """Keep those with which objects would go that nobody makes again."""
    going = {
        uid: ref
        for uid, ref in uids.items()
        if uid and not found[ref].stays and propagation(ref) != ORPHAN
    }
    try:
        owned = dependents(connection, going)
    except ApiError as error:
        stays = f"What it owns cannot be told: {error.message}"
        return found | {ref: replace(found[ref], stays=stays) for ref in going.values()}
    for ref, others in owned.items():
        kinds = made_again(ref)
        lost = [other for other in others if not names_kind(kinds, *other.group_kind)]
        if lost:
            more = f" and {len(lost) - 1} more" if lost[1:] else ""
            stays = f"{lost[0]}{more}, which it owns, would go with it."
            found[ref] = replace(found[ref], stays=stays)
    return found


def _gives_us(connection: Connection, binding: Body) -> bool:
    """Whether a binding's subjects are we; nobody but an administrator does without it."""
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    user = connection.json("POST", path, body=orjson.dumps(body))["status"]["userInfo"]
    groups = user.get("groups") or ()
    if "system:masters" in groups:
        return False
    names = {("User", user["username"]), *(("Group", group) for group in groups)}
    for subject in binding.get("subjects") or ():
        kind, name = subject["kind"], subject["name"]
        if kind == "ServiceAccount":
            kind, name = "User", f"system:serviceaccount:{subject.get('namespace', '')}:{name}"
        if (kind, name) in names:
            return True
    return False
