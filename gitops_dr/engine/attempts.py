"""Makes the attempts of a plan's steps, each by itself and in any thread. Writes to the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace

from gitops_dr.cluster.apply import get
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.desired.managers import Holder
from gitops_dr.engine.act import Act, act
from gitops_dr.engine.aims import Aim
from gitops_dr.engine.owners import relink
from gitops_dr.engine.refusals import too_early
from gitops_dr.engine.retries import pauses
from gitops_dr.model import Body, Ref, Resource, Step
from gitops_dr.readiness import Readiness, awaited, readiness


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt of a step, and what it came to."""

    step: Step
    act: Act
    readiness: Readiness | None = None
    """Of the object as it was stored; None if it was not, or if its kind has none."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """What an attempt needs to know. The parameters are those of ``execute``."""

    connection: Connection
    resources: Mapping[tuple[str, str], Resource]
    late_binding: Callable[[Body], bool]
    aim: Aim
    holders: Mapping[Ref, Holder]
    unawaited: Container[Ref]
    uids: dict[Ref, str] = field(default_factory=dict)
    """UID of everything that is known to be there, whoever made it; empty if its API gives none.
    The thread that decides adds to it; here only one key is looked up."""

    def make(self, step: Step, body: Body, *, look_first: bool) -> Attempted:
        """Carry out a step; ``look_first``: it was perhaps carried out before."""
        result = act(
            self.connection,
            step,
            self._resource(step),
            body,
            self.find_uid,
            aim=self.aim,
            holder=self.holders.get(step.ref),
            look_first=look_first,
        )
        is_awaited = awaited(step.ref.group_kind) and step.ref not in self.unawaited
        if result.stored is None or not is_awaited:
            return Attempted(step, result)
        try:
            return Attempted(step, result, self.judge(result.stored))
        except ApiError as error:
            # The watch sees it too, and asks again.
            return Attempted(step, result, Readiness(ready=False, reason=error.message))

    def judge(self, body: Body) -> Readiness:
        """Say whether an object is ready. Raises ``ApiError`` if a claim's class is not known."""
        late = body.get("kind") == "PersistentVolumeClaim" and self.late_binding(body)
        return readiness(body, wait_for_consumer=late)

    def link(self, step: Step, body: Body, deadline: float) -> None:
        """Give what a step made its owners that are there by now; ``deadline`` is monotonic.

        To link twice is to link once, so what passes is tried again without looking. Raises
        ``ApiError``.
        """
        resource = self._resource(step)
        for pause in pauses():
            try:
                relink(self.connection, step.ref, resource, body, self.find_uid)
            except ApiError as error:
                if not too_early(error) or time.monotonic() > deadline:
                    raise
            else:
                return
            time.sleep(pause)

    def find_uid(self, ref: Ref) -> str | None:
        """The UID that an object has in the target, or None if it is not there."""
        known = self.uids.get(ref)
        resource = self.resources.get(ref.group_kind)
        if known or resource is None or resource.namespaced != bool(ref.namespace):
            return known
        try:
            found = get(self.connection, resource, ref.namespace, ref.name)
        except ApiError as error:
            if error.status == 404:
                return None
            # Not knowing is no reason to leave an owner out: the step is tried again or fails.
            raise
        return str(found["metadata"].get("uid", ""))

    def _resource(self, step: Step) -> Resource:
        return replace(self.resources[step.ref.group_kind], version=step.version)
