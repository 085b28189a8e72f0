"""Takes each listed object where it belongs: into the State, or to what is left out of it.

Reads from the cluster only what waited for an owner that turned out not to be exported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

import orjson

from gitops_dr.cluster.connect import FIELD_MANAGER, ApiError, Connection
from gitops_dr.cluster.listing import Page, collection_path
from gitops_dr.desired.exposing import Exposed, api_rows, exposing
from gitops_dr.desired.managers import Holder
from gitops_dr.desired.recovery import has_images, images_of
from gitops_dr.desired.secret_records import ExternalSecret
from gitops_dr.drift.holders import LAST_APPLIED, holder_of
from gitops_dr.engine.contents import Contents
from gitops_dr.engine.kinds import (
    API_SERVICE,
    AUTOSCALER,
    CRD,
)
from gitops_dr.engine.remembered import Remembered, key_of
from gitops_dr.engine.sealing import CANNOT_TELL, KEPT, NO_RECIPIENTS, Sealing, has_values
from gitops_dr.errors import ManifestError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.path import manifest_path
from gitops_dr.model import (
    ANY,
    SECRET,
    Body,
    Entry,
    Gap,
    Omission,
    Ref,
    Resource,
)
from gitops_dr.rules.clean import KindRules, rules_for
from gitops_dr.rules.relations import (
    RelationFacts,
    apply_autoscaler,
    controller_owner,
    note_autoscaler,
    orphans,
)
from gitops_dr.rules.rows import Omit
from gitops_dr.secrets.policy import VALUES, Policy
from gitops_dr.volumes.started_empty import has_note

Fingerprint = Callable[[bytes], str]

_POD, _CLAIM = ("", "Pod"), ("", "PersistentVolumeClaim")
_NOTED = frozenset({CRD, API_SERVICE, AUTOSCALER, _POD, _CLAIM})
"""Kinds whose objects say something of others."""


@dataclass(slots=True)
class Gathering:
    """What accumulates while pages stream by."""

    entries: dict[Ref, Entry] = field(default_factory=dict)
    bodies: Contents = field(default_factory=Contents)
    accounted: set[Ref] = field(default_factory=set)
    """Left out by a rule, yet there: they still own what they generated."""
    omissions: list[Omission] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    facts: RelationFacts = field(default_factory=RelationFacts)
    torn: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    digests: dict[str, set[str]] = field(default_factory=dict)
    storage_versions: dict[tuple[str, str], str] = field(default_factory=dict)
    """Group and kind of every CRD to the version to read it in."""
    aggregated: set[str] = field(default_factory=set)
    """Groups that an API server of their own serves, or should."""
    held: dict[Ref, Resource] = field(default_factory=dict)
    """Objects with a controller owner, until it is known whether that owner is exported."""
    started_empty: set[Ref] = field(default_factory=set)
    """Claims with a note that a rebuild made them without their data."""
    managed: dict[Ref, bytes] = field(default_factory=dict)
    hmacs: dict[Ref, str] = field(default_factory=dict)
    external: dict[Ref, ExternalSecret] = field(default_factory=dict)
    holders: dict[Ref, Holder] = field(default_factory=dict)
    exposed: dict[Ref, Exposed] = field(default_factory=dict)
    apis: dict[int, str] = field(default_factory=dict)
    """URLs of the API server, by how much each counts."""
    kept: list[str] = field(default_factory=list)
    """Fingerprints of what was added to ``bodies``, but for Secrets."""

    def part(self) -> Gathering:
        """An empty one for some of the objects, which finds what they are held against.

        What is kept of bodies is in both.
        """
        facts = RelationFacts(autoscaled=self.facts.autoscaled)
        return Gathering(bodies=self.bodies, facts=facts)

    def add(self, part: Gathering) -> None:
        """Take up what a part has gathered, but for bodies, and leave it as it is."""
        self.facts.owner_of |= part.facts.owner_of
        for image, digests in part.digests.items():
            self.digests.setdefault(image, set()).update(digests)
        for each in fields(self):
            if each.name in ("facts", "digests", "bodies"):
                continue
            mine, theirs = getattr(self, each.name), getattr(part, each.name)
            if isinstance(mine, list):
                mine.extend(theirs)
            else:
                mine.update(theirs)


@dataclass(frozen=True, slots=True)
class Terms:
    """By what objects are taken, besides their bytes. The fields are those of ``observe``."""

    fingerprint: Fingerprint
    known: frozenset[str]
    namespaced: frozenset[tuple[str, str]]
    authors: bool
    holders: bool
    keep: Callable[[Ref], bool]


@dataclass(frozen=True, slots=True)
class Reader:
    """Puts each object of a page where it belongs."""

    connection: Connection
    terms: Terms
    remembered: Remembered | None
    secrets: Sealing | None
    into: Gathering

    def take(self, page: Page) -> None:
        """Take the objects of a page, which is empty then; one that could not be read is a gap."""
        resource = page.resource
        if page.error is not None:
            every = Ref(resource.group, resource.kind, "", ANY)
            if resource.group_kind == SECRET and self.secrets is None and page.error.status == 403:
                # None would come into Git: whoever is not let near them lacks nothing but names.
                reason = f"{NO_RECIPIENTS.because} Nor may their names be listed."
                self.into.omissions.append(Omission(every, NO_RECIPIENTS.row_id, reason))
                return
            self.into.gaps.append(Gap(every, page.error.message))
            return
        if page.torn:
            self.into.torn.add(_kind_name(resource))
        group, kind, api_version = resource.group, resource.kind, resource.api_version
        rules, is_noted = rules_for(group, kind), resource.group_kind in _NOTED
        exposes, of_api = exposing(resource.group_kind), api_rows(resource.group_kind)
        # What was seen is let go: beside the next page this one would take as much memory again.
        page.items.reverse()
        while page.items:
            body = page.items.pop()
            # Items of a built-in list carry neither; a PartialObjectMetadata carries its own.
            body["apiVersion"] = api_version
            body["kind"] = kind
            metadata = body["metadata"]
            ref = Ref(group, kind, metadata.get("namespace", ""), metadata["name"])
            if is_noted:
                self._note(ref, body)
            if exposes is not None and (found := exposes.read(ref, body)) is not None:
                self.into.exposed[ref] = found
            if (
                of_api
                and (row := of_api.get((ref.namespace, ref.name)))
                and (url := row.read(body))
            ):
                self.into.apis[row.order] = url
            self._object(ref, resource, rules, body)

    def _object(self, ref: Ref, resource: Resource, rules: KindRules, body: Body) -> None:
        row = rules.omission(body)
        if row is not None:
            self.into.accounted.add(ref)
            if row.omit is Omit.BY_NAME:
                self.into.omissions.append(Omission(ref, row.id, row.because))
            return
        if ref.group_kind == SECRET and not self._belongs_in_git(ref, body):
            self.into.accounted.add(ref)
            return
        if "ownerReferences" in body["metadata"]:
            owner = controller_owner(ref, body, self.terms.namespaced)
            if owner is not None:
                self.into.facts.owner_of[ref] = owner
                self.into.held[ref] = resource
                return
        self._keep(ref, resource, body)

    def _belongs_in_git(self, ref: Ref, body: Body) -> bool:
        """Whether policy lets a Secret into Git; one that it leaves out is accounted for."""
        decision = self.secrets.decide(ref, body) if self.secrets else NO_RECIPIENTS
        if self.secrets is not None and not self.secrets.can_tell:
            self.into.gaps.append(Gap(Ref(*SECRET, "", ANY), CANNOT_TELL))
            return False
        if decision.exported_empty:
            for key in VALUES:
                body.pop(key, None)
            return True
        if decision.policy in KEPT:
            return True
        if decision.policy is Policy.EXTERNAL:
            keys = tuple(sorted(body.get("data") or ()))
            self.into.external[ref] = ExternalSecret(decision.policy, keys)
        named = Ref(*SECRET, "", ANY) if decision.quietly else ref
        self.into.omissions.append(Omission(named, decision.row_id, decision.because))
        return False

    def _keep(self, ref: Ref, resource: Resource, body: Body) -> None:
        metadata = body["metadata"]
        managed = (
            metadata.get("managedFields") if self.terms.authors or self.terms.holders else None
        )
        last_applied = bool(managed) and LAST_APPLIED in (metadata.get("annotations") or ())
        rules_for(ref.group, ref.kind).clean(body)
        apply_autoscaler(ref, body, self.into.facts)
        if self.terms.holders and managed:
            found = holder_of(managed, body, last_applied=last_applied, ours=FIELD_MANAGER)
            if found is not None:
                self.into.holders[ref] = found
        if has_images(ref.group_kind):
            self.into.images |= images_of(ref, body)
        if ref.group_kind == SECRET and self.secrets is not None and has_values(body):
            self._keep_secret(ref, resource, body, managed)
            return
        remembered = self.remembered
        key = None if remembered is None else key_of(body)
        fingerprint = None if remembered is None else remembered[key]
        if fingerprint is None or fingerprint not in self.terms.known or self.terms.keep(ref):
            try:
                data = canonical(body)
            except ManifestError as error:
                self.into.gaps.append(Gap(ref, error.problem))
                return
            fingerprint = self.terms.fingerprint(data)
            if remembered is not None:
                remembered.add(key, fingerprint)
            if fingerprint not in self.terms.known or self.terms.keep(ref):
                self.into.bodies[fingerprint] = data
                self.into.kept.append(fingerprint)
                self._keep_managed(ref, managed)
        path = manifest_path(ref, resource.plural)
        self.into.entries[ref] = Entry(fingerprint, path, resource.version)

    def _keep_secret(self, ref: Ref, resource: Resource, body: Body, managed: Any) -> None:
        assert self.secrets is not None  # noqa: S101 - else none is kept
        try:
            data = canonical(body)
        except ManifestError as error:
            self.into.gaps.append(Gap(ref, error.problem))
            return
        mac = self.into.hmacs[ref] = self.secrets.hmac(ref, data)
        fingerprint = self.secrets.fingerprint(mac)
        if fingerprint not in self.terms.known or self.terms.keep(ref):
            self.into.bodies.hold(fingerprint, data)
            self._keep_managed(ref, managed)
        path = manifest_path(ref, resource.plural)
        self.into.entries[ref] = Entry(fingerprint, path, resource.version)

    def _keep_managed(self, ref: Ref, managed: Any) -> None:
        if managed and self.terms.authors:
            # Decoded they would take ten times the room, and much may differ. Those of a status
            # that is nested beyond measure cannot be written, and its author stays unknown.
            with suppress(orjson.JSONEncodeError):
                self.into.managed[ref] = orjson.dumps(managed)

    def _note(self, ref: Ref, body: Body) -> None:
        kind = ref.group_kind
        if kind == _POD:
            for image, digest in running_images(body):
                self.into.digests.setdefault(image, set()).add(digest)
        elif kind == _CLAIM and has_note(kind, body):
            self.into.started_empty.add(ref)
        elif kind == AUTOSCALER:
            note_autoscaler(body, self.into.facts)
        elif kind == CRD:
            spec = body["spec"]
            self.into.storage_versions[spec["group"], spec["names"]["kind"]] = next(
                (v["name"] for v in spec["versions"] if v["storage"] and v["served"]), ""
            )
        elif kind == API_SERVICE and body["spec"].get("service"):
            self.into.aggregated.add(body["spec"].get("group", ""))

    def settle_orphans(self, revision: str) -> None:
        """Read again, and keep, what waited for an owner that turned out not to be exported."""
        into = self.into
        # What is left out by name is somebody's decision, not what each cluster makes for itself.
        named = {omission.ref for omission in into.omissions}
        exported = into.entries.keys() | (into.accounted - named)
        waiting = {
            ref: owner
            for ref, owner in into.facts.owner_of.items()
            if not any(gap.ref.covers(owner) for gap in into.gaps)
        }
        for ref in orphans(waiting, exported):
            resource = into.held[ref]
            query = {"fieldSelector": f"metadata.name={ref.name}"}
            if revision and _kind_name(resource) not in into.torn:
                query |= {"resourceVersion": revision, "resourceVersionMatch": "Exact"}
            path = collection_path(resource, ref.namespace)
            try:
                found = self.connection.json("GET", path, query=query).get("items") or ()
            except ApiError as error:
                into.gaps.append(Gap(ref, error.message))
                continue
            for body in found:
                body["apiVersion"], body["kind"] = resource.api_version, resource.kind
                self._keep(ref, resource, body)


def running_images(pod: Body) -> Iterable[tuple[str, str]]:
    """Image reference as written and the digest that runs or is mounted, where the pod tells it."""
    status = pod.get("status") or {}
    mounted = {
        volume["name"]: volume["image"].get("reference", "")
        for volume in pod["spec"].get("volumes") or ()
        if volume.get("image")
    }
    wanted = {
        container["name"]: container.get("image", "")
        for field_name in ("containers", "initContainers")
        for container in pod["spec"].get(field_name) or ()
    }
    for field_name in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(field_name) or ():
            _, at, digest = container.get("imageID", "").rpartition("@")
            if at and container["name"] in wanted:
                yield wanted[container["name"]], digest
            for mount in container.get("volumeMounts") or () if mounted else ():
                image = (mount.get("volumeStatus") or {}).get("image") or {}
                _, at, digest = image.get("imageRef", "").rpartition("@")
                if at and mounted.get(mount["name"]):
                    yield mounted[mount["name"]], digest


def _kind_name(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural
