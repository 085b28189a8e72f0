"""Reads a running cluster into a State: LIST, rules, canonical bytes, fingerprints.

Reads from the cluster only. A page is processed and let go; a body is kept only if its fingerprint
is not among those that the caller knows, so memory follows the differences, not the cluster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.discover import discover
from gitops_dr.cluster.listing import ListRequest, Page, list_pages
from gitops_dr.desired.exposing import Exposed
from gitops_dr.desired.managers import Holder
from gitops_dr.desired.secret_records import ExternalSecret
from gitops_dr.engine.collecting import uncollected
from gitops_dr.engine.contents import Contents
from gitops_dr.engine.gathering import Fingerprint, Gathering, Reader, Terms
from gitops_dr.engine.kinds import (
    at_storage_version,
    resources_to_list,
    standing,
    unserved,
)
from gitops_dr.engine.pages import Pages
from gitops_dr.engine.remembered import Remembered
from gitops_dr.engine.sealing import Sealing
from gitops_dr.events import Advanced, Emit, PhaseEnded, PhaseStarted, silent
from gitops_dr.model import (
    ANY,
    SECRET,
    Gap,
    Identity,
    Ref,
    Resource,
    State,
    by_kind,
)
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.relations import (
    Generated,
    generated_kinds,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind as it was listed, for the account in ``coverage.yaml``."""

    resource: Resource
    objects: int
    """How many of its objects are in the State."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A cluster at one moment."""

    state: State
    bodies: Mapping[str, bytes]
    """Canonical bytes by fingerprint, for the fingerprints that the caller did not know."""
    identity: Identity
    kinds: tuple[Kind, ...]
    """Every kind that was listed, and those of ``recorded`` that are there but are not served."""
    torn: tuple[str, ...]
    """Kinds that could not be listed at the revision of the others."""
    images: frozenset[str]
    """Image references that the State's objects ask for."""
    digests: Mapping[str, tuple[str, ...]]
    """Image reference to the digests that pods run of it."""
    resources: Mapping[tuple[str, str], Resource]
    """How each kind was listed."""
    generated: Generated
    """What operators have made for the State's custom resources."""
    started_empty: frozenset[Ref] = frozenset()
    """Claims with a note that a rebuild made them without their data."""
    managed: Mapping[Ref, bytes] = field(default_factory=dict)
    """``metadata.managedFields`` as JSON, where it was asked for, of the objects whose fingerprints
    the caller did not know."""
    hmacs: Mapping[Ref, str] = field(default_factory=dict)
    """By what each Secret of the State is known again."""
    external: Mapping[Ref, ExternalSecret] = field(default_factory=dict)
    """Secrets whose values come back from elsewhere."""
    holders: Mapping[Ref, Holder] = field(default_factory=dict)
    """Who applied each object of the State, where it was asked for and somebody did."""
    exposed: Mapping[Ref, Exposed] = field(default_factory=dict)
    """By what objects are reached from outside: those of the State, and what owners make."""
    api: str = ""
    """URL of the API server, as the cluster itself says it; empty where it does not."""
    pages: Pages | None = field(default=None, compare=False, repr=False)
    """What was made of each page, where that was asked for."""


@uncollected()
def observe(
    connection: Connection,
    identity: Identity,
    fingerprint: Fingerprint,
    *,
    known: Collection[str] = (),
    versions: Mapping[tuple[str, str], str] | None = None,
    recorded: Collection[Resource] = (),
    exact: bool = False,
    authors: bool = False,
    holders: bool = False,
    keep: Callable[[Ref], bool] = lambda _ref: False,
    remembered: Remembered | None = None,
    secrets: Sealing | None = None,
    pages: Pages | None = None,
    emit: Emit = silent,
) -> Observation:
    """Read the whole cluster that ``identity`` names.

    ``known``: fingerprints whose bodies the caller has. ``versions``: the API version per group
    and kind in which built-ins should be read while it is served (Git's). ``recorded``: the kinds
    that Git knows. ``exact``: take all lists at one resourceVersion. ``authors``: keep beside the
    bodies the managedFields, which say who wrote them. ``holders``: tell who applied each object.
    ``keep``: of which objects to keep all that,
    whatever their fingerprints are. ``remembered``: by what objects with known fingerprints are
    known again; what else there is to remember is added. ``secrets``: how Secrets are read; without
    it only their metadata is, to name them. ``pages``: those of a look before, or none yet; what
    was made of them is taken again where the cluster answers the same, and what is made of these is
    kept. A kind that cannot be listed is a gap, and
    so is a recorded one that is not served although nobody took it away; raises ``ClusterError``
    only if the cluster cannot be reached or identified.
    """
    started = time.monotonic()
    emit(PhaseStarted("observe"))
    discovery = discover(connection)
    # A backend that is down is no gap where a rule leaves all of its group out anyway.
    gaps = [gap for gap in discovery.gaps if not rules_for(*gap.ref.group_kind).omit_kind]
    gathering = Gathering(gaps=gaps)
    reader = Reader(
        connection,
        Terms(
            fingerprint,
            known=frozenset(known),
            namespaced=frozenset(r.group_kind for r in discovery.resources if r.namespaced),
            authors=authors,
            holders=holders,
            keep=keep,
        ),
        remembered=remembered,
        secrets=secrets,
        into=gathering,
    )
    revision = identity.revision if exact else ""

    # What the others depend on comes first: CRDs say in which version to list, autoscalers which
    # replicas are not ours.
    first, rest = resources_to_list(discovery, versions or {})
    for page in list_pages(connection, [ListRequest(r) for r in first], revision=revision):
        reader.take(page)
    chosen = first + at_storage_version(rest, discovery, gathering.storage_versions)
    requests = [
        ListRequest(
            r,
            metadata_only=r.group_kind == SECRET and secrets is None,
            # Of Secrets nothing is kept that was made of their values.
            keyed=pages is not None and not exact and r.group_kind != SECRET,
        )
        for r in chosen[len(first) :]
    ]
    before = (pages or Pages()).under(reader.terms, frozenset(gathering.facts.autoscaled))
    now = Pages(before.terms, before.autoscaled, bodies=gathering.bodies)
    finished = len(first)
    answers = list_pages(connection, requests, revision=revision, known=before.parts.keys())
    for page in answers:
        _take(page, reader, before, now)
        if page.last:
            finished += 1
            emit(Advanced("observe", finished, page.resource.plural))
    lost = unserved(
        recorded,
        chosen,
        discovery,
        unread={gap.ref.group_kind for gap in gathering.gaps},
        defined=gathering.storage_versions,
        aggregated=gathering.aggregated,
    )
    gathering.gaps += (Gap(Ref(*kind.group_kind, "", ANY), why) for kind, why in lost.items())
    reader.settle_orphans(revision)

    state = State(
        entries=gathering.entries,
        omissions=tuple(
            sorted(
                {*gathering.omissions, *standing(chosen, discovery, secrets=secrets is not None)}
            )
        ),
        gaps=tuple(sorted(set(gathering.gaps))),
        unlisted=frozenset(gathering.accounted)
        | (gathering.held.keys() - gathering.entries.keys()),
    )
    emit(PhaseEnded("observe", time.monotonic() - started, len(state.entries)))
    return Observation(
        state=state,
        bodies=gathering.bodies,
        identity=identity,
        images=frozenset(gathering.images),
        kinds=_kinds([*chosen, *lost], state),
        torn=tuple(sorted(gathering.torn)),
        digests={image: tuple(sorted(ids)) for image, ids in sorted(gathering.digests.items())},
        resources={resource.group_kind: resource for resource in chosen},
        generated=generated_kinds(gathering.facts.owner_of, gathering.entries.keys()),
        started_empty=frozenset(gathering.started_empty),
        managed=gathering.managed,
        hmacs=gathering.hmacs,
        external=gathering.external,
        holders=gathering.holders,
        exposed={
            ref: found
            for ref, found in gathering.exposed.items()
            if ref in gathering.entries or ref in gathering.held
        },
        api=gathering.apis[min(gathering.apis)] if gathering.apis else "",
        pages=now if pages is not None else None,
    )


def _take(page: Page, reader: Reader, before: Pages, now: Pages) -> None:
    """Take a page, or what was made of it before; what is made of it is kept for the next time."""
    whole = reader.into
    if page.key is None:
        reader.take(page)
        return
    if page.is_known:
        part = before.parts[page.key]
        for fingerprint in part.kept:
            whole.bodies[fingerprint] = before.bodies[fingerprint]
    else:
        part = whole.part()
        replace(reader, into=part).take(page)
        # They are in the whole, which a part must not keep longer than its own look needs it.
        part.bodies = Contents()
    whole.add(part)
    now.parts[page.key] = part


def _kinds(chosen: Iterable[Resource], state: State) -> tuple[Kind, ...]:
    counts = by_kind(state.entries)
    return tuple(
        Kind(resource, counts.get(resource.group_kind, 0))
        for resource in sorted(chosen, key=lambda r: (r.group, r.kind))
    )
