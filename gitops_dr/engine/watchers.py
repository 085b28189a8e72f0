"""Watches what becomes of objects, with a thread for each kind. Reads from the cluster only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.cluster.listing import ListRequest, list_pages
from gitops_dr.cluster.watch import watch
from gitops_dr.model import Body, Ref, Resource
from gitops_dr.readiness import Readiness, readiness


@dataclass(frozen=True, slots=True)
class Seen:
    """What a watch has seen of one object."""

    ref: Ref
    readiness: Readiness


def start_watchers(
    connection: Connection,
    resources: Iterable[Resource],
    ours: Collection[Ref],
    *,
    judge: Callable[[Body], Readiness],
    tell: Callable[[Seen], None],
    stop: threading.Event,
) -> list[threading.Thread]:
    """Watch all objects of these resources until ``stop`` is set.

    ``tell`` is called, in the threads that this starts, with each of ``ours`` as it is found and
    whenever it changes, judged by ``judge``, and once for each resource with another object on
    which somebody reports: that is what tells that somebody does.
    """
    threads = []
    for resource in resources:
        thread = threading.Thread(
            target=watch,
            args=(connection, resource, _teller(resource, ours, judge, tell), stop),
            name=f"watch {resource.plural}",
            daemon=True,
        )
        thread.start()
        threads.append(thread)
    return threads


def look(
    connection: Connection,
    resources: Iterable[Resource],
    ours: Collection[Ref],
    *,
    judge: Callable[[Body], Readiness],
    tell: Callable[[Seen], None],
) -> None:
    """Read all objects of these resources once, and tell of them as the watchers do.

    In the caller's thread. What cannot be read or judged is passed over.
    """
    for page in list_pages(connection, [ListRequest(resource) for resource in resources]):
        seen = _teller(page.resource, ours, judge, tell)
        for body in page.items:
            with suppress(ApiError):
                seen(body)


def _teller(
    resource: Resource,
    ours: Collection[Ref],
    judge: Callable[[Body], Readiness],
    tell: Callable[[Seen], None],
) -> Callable[[Body], None]:
    spoken = False

    def seen(body: Body) -> None:
        nonlocal spoken
        metadata = body["metadata"]
        namespace = metadata.get("namespace", "")
        ref = Ref(resource.group, resource.kind, namespace, metadata["name"])
        if ref not in ours and spoken:
            return
        body.setdefault("kind", resource.kind)
        body.setdefault("apiVersion", resource.api_version)
        if ref in ours:
            tell(Seen(ref, judge(body)))
        elif (found := readiness(body)).observable:
            spoken = True
            tell(Seen(ref, found))

    return seen
