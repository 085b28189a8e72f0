"""Lists resources page by page, several at once. Reads from the cluster only.

Pages are handed over as they arrive and then forgotten, so that memory does not follow the size of
the cluster. Decoded, a page takes many times its bytes: it waits as bytes, and is decoded where it
is taken.
"""

from __future__ import annotations

import hashlib
import queue
import re
import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.model import Resource

PAGE = 500
"""Objects a page, as kubectl asks for."""

AT_ONCE = 4
"""Lists in flight. More does not help: encoding bounds the server, decoding bounds us."""

# A list of built-ins has its own metadata first, one of custom resources last. It has no nested
# fields, and both patterns hold on to an end of the answer, so that nothing within an item is
# taken for it.
_HEAD = re.compile(rb'\{"kind":"\w+","apiVersion":"[^"]+","metadata":(\{[^{}]*\}),"items":')
_TAIL = re.compile(rb'\],"kind":"\w+","metadata":(\{[^{}]*\})\}\s*\Z')
_TAIL_BYTES = 4096

_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

PageKey = tuple[Resource, bytes]
"""What a page is known again by: its resource, and the SHA-256 of its items as they came."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of one resource, or the reason why they could not be had."""

    resource: Resource
    items: list[dict[str, Any]]
    last: bool
    """No page of this resource follows."""
    error: ApiError | None = None
    torn: bool = False
    """Not of the revision that was asked for."""
    revision: str = ""
    """The resourceVersion that the server says the page is of."""
    key: PageKey | None = None
    """None where it was not asked for, or where the items cannot be told from the rest."""
    is_known: bool = False
    """The caller has this very page, so that its items were not decoded."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A page as it came."""

    data: bytes
    page: Page
    """The page without its items."""

    def decoded(self, known: Container[PageKey]) -> Page:
        """The page, or the reason why it cannot be read; without items if it is ``known``."""
        if self.page.error:
            return self.page
        if self.page.key is not None and self.page.key in known:
            return replace(self.page, is_known=True)
        try:
            _, items = _parts(self.data, self.page.resource)
        except ApiError as error:
            return replace(self.page, error=error)
        return replace(self.page, items=items)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """One resource to list; ``metadata_only`` keeps everything but metadata on the server.

    ``keyed``: its pages get their keys.
    """

    resource: Resource
    metadata_only: bool = False
    keyed: bool = False


def collection_path(resource: Resource, namespace: str = "") -> str:
    """The URL path of a resource's collection, in one namespace or across all."""
    root = f"/apis/{resource.group}" if resource.group else "/api"
    middle = f"/namespaces/{namespace}" if namespace and resource.namespaced else ""
    return f"{root}/{resource.version}{middle}/{resource.plural}"


def object_path(resource: Resource, namespace: str, name: str) -> str:
    """The URL path of one object."""
    return f"{collection_path(resource, namespace)}/{name}"


def list_pages(
    connection: Connection,
    requests: Sequence[ListRequest],
    *,
    revision: str = "",
    known: Container[PageKey] = (),
) -> Iterator[Page]:
    """List every request; pages of different resources interleave.

    ``known``: pages that the caller has, and whose items it does not need.
    ``revision``: the resourceVersion at which all lists are taken; empty for "now". Where a server
    refuses it (410 or an aggregated API that knows no such revision) the list is taken as it is
    and its pages are marked torn. A list that fails yields one page with ``error``.
    """
    pending: queue.SimpleQueue[ListRequest] = queue.SimpleQueue()
    for request in requests:
        pending.put(request)
    answers: queue.SimpleQueue[_Answer | BaseException | None] = queue.SimpleQueue()
    # Pages must not pile up when we are slower than the server.
    slots = threading.Semaphore(2 * AT_ONCE)
    stopped = threading.Event()

    def fetch() -> None:
        while not stopped.is_set():
            try:
                request = pending.get_nowait()
            except queue.Empty:
                return
            for answer in _one_list(connection, request, revision):
                slots.acquire()
                if stopped.is_set():
                    return
                answers.put(answer)

    def work() -> None:
        problem = None
        try:
            fetch()
        except BaseException as error:  # noqa: BLE001 - raised again where the pages are taken
            problem = error
        answers.put(problem)

    running = min(AT_ONCE, len(requests))
    for _ in range(running):
        threading.Thread(target=work, name="list", daemon=True).start()
    try:
        while running:
            answer = answers.get()
            if answer is None:
                running -= 1
            elif isinstance(answer, _Answer):
                slots.release()
                yield answer.decoded(known)
            else:
                raise answer
    finally:
        # Whoever waits for a slot sees that it is over; whoever waits for the server, right after.
        stopped.set()
        slots.release(AT_ONCE)


def _one_list(connection: Connection, request: ListRequest, revision: str) -> Iterator[_Answer]:
    resource = request.resource
    yielded = False
    torn = False
    continuation = ""
    while True:
        query: dict[str, str | int] = {"limit": PAGE}
        if continuation:
            query["continue"] = continuation
        elif revision and not torn:
            query |= {"resourceVersion": revision, "resourceVersionMatch": "Exact"}
        try:
            data = connection.request(
                "GET",
                collection_path(resource),
                query=query,
                accept=_METADATA_ONLY if request.metadata_only else "application/json",
            )
            metadata = _metadata(data, resource)
        except ApiError as error:
            refused_revision = revision and not torn and not yielded and error.status in (400, 410)
            expired_in_the_middle = (
                yielded and error.status == 410 and error.continuation not in ("", continuation)
            )
            if refused_revision or expired_in_the_middle:
                torn, continuation = True, error.continuation if yielded else ""
                continue
            yield _Answer(b"", Page(resource, [], last=True, error=error))
            return
        is_of = str(metadata.get("resourceVersion") or "")
        if revision and not yielded:
            torn = torn or is_of != revision
        continuation = metadata.get("continue") or ""
        yielded = True
        key = _key(data, resource) if request.keyed else None
        page = Page(resource, [], last=not continuation, torn=torn, revision=is_of, key=key)
        yield _Answer(data, page)
        if not continuation:
            return


def _metadata(data: bytes, resource: Resource) -> dict[str, Any]:
    """The metadata of a list, without decoding its items where that can be."""
    found = _HEAD.match(data) or _TAIL.search(data, max(0, len(data) - _TAIL_BYTES))
    if found:
        with suppress(orjson.JSONDecodeError):
            metadata: dict[str, Any] = orjson.loads(found[1])
            return metadata
    return _parts(data, resource)[0]


def _key(data: bytes, resource: Resource) -> PageKey | None:
    """What a page is known again by; the metadata of the list is another one each time."""
    view = memoryview(data)
    if found := _HEAD.match(data):
        items = view[found.end() :]
    elif found := _TAIL.search(data, max(0, len(data) - _TAIL_BYTES)):
        items = view[: found.start()]
    else:
        return None
    return resource, hashlib.sha256(items).digest()


def _parts(data: bytes, resource: Resource) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The metadata and the items of a list. Raises ``ApiError`` if it is none."""
    path = collection_path(resource)
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ApiError(
            f"{path}: the answer is not JSON: {error}",
            status=0,
            hint="is this an API server, and is a proxy in between?",
        ) from error
    if isinstance(document, dict):
        metadata, items = document.get("metadata") or {}, document.get("items") or []
        if isinstance(metadata, dict) and isinstance(items, list):
            return metadata, items
    raise ApiError(f"{path}: the answer is not a list", status=0)
