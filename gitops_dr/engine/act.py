"""Carries out one step of a plan and says what came of it. Writes to the cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from gitops_dr.cluster.apply import create, get, merge
from gitops_dr.cluster.connect import FIELD_MANAGER, ApiError, Connection
from gitops_dr.desired.managers import Holder
from gitops_dr.engine.aims import Aim, whole
from gitops_dr.engine.claims import delete_unbound, free_released_volume
from gitops_dr.engine.configure import configure
from gitops_dr.engine.handover import create_for
from gitops_dr.engine.importing import revive
from gitops_dr.engine.likeness import same
from gitops_dr.engine.owners import FindUid, owners_of, with_owners
from gitops_dr.engine.refusals import is_going, perhaps_done, too_early, unserved
from gitops_dr.engine.replacement import find_served, replace_object
from gitops_dr.model import SECRET, Action, Body, EmptyVolume, Outcome, Ref, Resource, Result, Step
from gitops_dr.planning.conflicts import TAKE
from gitops_dr.readiness import readiness
from gitops_dr.rules.completion import held
from gitops_dr.secrets.masking import without_values_of
from gitops_dr.volumes.restore import SOURCES, contains, source_lost
from gitops_dr.volumes.started_empty import note_taken_off, with_note

# Controllers make these in a new namespace; if they were faster, ours is laid over theirs.
_MADE_BY_CONTROLLERS = {("", "ServiceAccount", "default")}


@dataclass(frozen=True, slots=True)
class Act:
    """What one attempt at a step led to."""

    outcome: Outcome
    stored: Body | None = None
    """The object as the API server has it now."""
    too_early: bool = False
    """It was refused for a reason that passes; try again."""
    ownerless: bool = False
    """It was made without an owner that was not there yet."""
    perhaps_done: bool = False
    """The answer does not tell whether it was made: look before the next attempt."""
    unserved: bool = False
    """Its kind is not served yet."""


def act(
    connection: Connection,
    step: Step,
    resource: Resource,
    body: Body,
    find_uid: FindUid,
    *,
    aim: Aim = whole,
    holder: Holder | None = None,
    look_first: bool = False,
    dry_run: bool = False,
) -> Act:
    """Create the step's object, or find that it is there and equal; or configure or replace it.

    Creating, an object that is there and differs is left as it is, and the step has failed.
    Replacing deletes the one that is there first. Configuring puts Git's values back by a patch of
    just the fields that differ and that ``aim`` means, or takes a claim's note of an empty volume
    off. A claim is made whether or not its volume can be freed for it: the reason of the outcome
    says that it could not. ``look_first``: an earlier attempt may have made it. ``dry_run``: only
    of a step that configures, which then is all done but for the writing.
    """
    started = time.monotonic()
    try:
        if step.empty_volume is EmptyVolume.ACCEPTED:
            stored = merge(connection, resource, note_taken_off(step.ref))
            done = _came_to(step, Result.DONE, stored=stored)
        elif step.action is Action.CONFIGURE:
            wanted = with_owners(body, step.ref, find_uid)
            done = _configured(connection, step, resource, body, wanted, aim=aim, dry_run=dry_run)
        else:
            wanted = with_owners(held(step.ref, body), step.ref, find_uid)
            making = _Making(connection, step, resource, wanted, holder)
            is_new = step.action is not Action.REPLACE
            done = making.create(look_first=look_first) if is_new else making.replace()
            if owners_of(wanted) == owners_of(body):
                done = replace(done, ownerless=False)
    except ApiError as error:
        said = _said(connection, step.ref, resource, body, error)
        # The plan may have known that it would be refused, and why it is not done in another way.
        told = f"{said} ({step.reason})" if step.reason and error.status == 422 else said
        done = Act(
            Outcome(step.ref, step.action, Result.FAILED, told),
            too_early=too_early(error),
            perhaps_done=perhaps_done(error),
            unserved=unserved(error),
        )
    return replace(done, outcome=replace(done.outcome, seconds=time.monotonic() - started))


def _came_to(step: Step, result: Result, reason: str = "", stored: Body | None = None) -> Act:
    return Act(Outcome(step.ref, step.action, result, reason), stored)


def _configured(
    connection: Connection,
    step: Step,
    resource: Resource,
    body: Body,
    wanted: Body,
    *,
    aim: Aim,
    dry_run: bool,
) -> Act:
    result, stored, conflicts = configure(
        connection, step.ref, resource, body, wanted, aim=aim, dry_run=dry_run
    )
    if conflicts and not dry_run:
        reason = f"left alone: {', '.join(conflicts)}; {TAKE}"
        return _came_to(step, Result.FAILED, reason, stored)
    return _came_to(step, result, stored=stored)


@dataclass(frozen=True, slots=True)
class _Making:
    """Makes an object; what is made is ownerless unless the caller knows better."""

    connection: Connection
    step: Step
    resource: Resource
    wanted: Body
    holder: Holder | None

    def create(self, *, look_first: bool) -> Act:
        connection, step, wanted = self.connection, self.step, self.wanted
        made = self._made_before() if look_first else None
        try:
            stored, told = (made, "") if made else self._make()
        except ApiError as error:
            if error.status != 409 or error.reason != "AlreadyExists" or too_early(error):
                raise
            return self._find()
        if lost := source_lost(wanted, stored):
            left = delete_unbound(connection, stored)
            return _came_to(step, Result.FAILED, "; ".join(filter(None, [lost, left])))
        note = told or free_released_volume(connection, step.ref, stored)
        return replace(_came_to(step, Result.DONE, note, stored), ownerless=True)

    def replace(self) -> Act:
        step, wanted = self.step, self.wanted
        done = replace_object(
            self.connection,
            step.ref,
            self.resource,
            lambda live: same(step.ref, live, wanted, self.resource),
            lambda: self._make()[0],
        )
        return Act(
            Outcome(step.ref, step.action, done.result, _masked(step.ref, wanted, done.reason)),
            done.stored,
            too_early=done.again,
            ownerless=True,
            perhaps_done=done.perhaps_done,
        )

    def _make(self) -> tuple[Body, str]:
        """Create it, in its holder's name if it has one; as stored, and what is to be said."""
        if self.step.empty_volume is EmptyVolume.NOTED:
            # The note is ours, and nobody else's to take off.
            return create(self.connection, self.resource, with_note(self.wanted)), ""
        if self.holder is None:
            return create(self.connection, self.resource, self.wanted), ""
        return create_for(self.connection, self.step.ref, self.resource, self.wanted, self.holder)

    def _find(self) -> Act:
        """What to make of one that is there already."""
        connection, step, resource = self.connection, self.step, self.resource
        ref = step.ref
        if (ref.group, ref.kind, ref.name) in _MADE_BY_CONTROLLERS:
            return _came_to(step, Result.DONE, stored=merge(connection, resource, self.wanted))
        live = get(connection, resource, ref.namespace, ref.name)
        if not self._is_as_wanted(live):
            return _came_to(step, Result.FAILED, "exists and differs; left untouched", live)
        # Perhaps made by an attempt of ours that got no further.
        if ref.group_kind in SOURCES:
            revive(connection, ref, live)
        note = free_released_volume(connection, ref, live)
        return replace(_came_to(step, Result.PRESENT, note, live), ownerless=True)

    def _is_as_wanted(self, live: Body) -> bool:
        if self.step.ref.group_kind not in SOURCES:
            return same(self.step.ref, live, self.wanted, self.resource)
        # Made for a restore and in no commit; its controllers have added to it since.
        return not live["metadata"].get("deletionTimestamp") and contains(live, self.wanted)

    def _made_before(self) -> Body | None:
        """The object, if it is the one that an earlier attempt of ours has made.

        It was not there when the plan was made, so it is ours if we have written to it, in our name
        or its holder's; what somebody has changed since, the comparison at the end tells.
        """
        live = find_served(self.connection, self.step.ref, self.resource)
        if live is None:
            return None
        metadata = live["metadata"]
        managers = {each.get("manager") for each in metadata.get("managedFields") or ()}
        names = {FIELD_MANAGER} | ({self.holder.manager} if self.holder else set())
        is_ours = names & managers and not metadata.get("deletionTimestamp")
        return live if is_ours else None


def _said(connection: Connection, ref: Ref, resource: Resource, body: Body, error: ApiError) -> str:
    """Why it was refused, without what nobody may read."""
    said = error.message
    if is_going(error):
        said = _why_it_stays(connection, ref, resource) or said
    return _masked(ref, body, said)


def _masked(ref: Ref, body: Body, said: str) -> str:
    # A webhook may quote what it refuses.
    return without_values_of(body, said) if ref.group_kind == SECRET else said


def _why_it_stays(connection: Connection, ref: Ref, resource: Resource) -> str:
    """What holds an object that is being deleted; empty if that cannot be told."""
    try:
        live = get(connection, resource, ref.namespace, ref.name)
    except ApiError:
        return ""
    typed = {**live, "apiVersion": resource.api_version, "kind": resource.kind}
    return readiness(typed).reason if live["metadata"].get("deletionTimestamp") else ""
