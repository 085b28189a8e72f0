"""The recovery file ``endpoints.yaml``: by what a cluster is known to the outside. Pure.

Load balancers' addresses, the names that lead to them, the API server and the issuer of its tokens
are in no manifest, and are others after a rebuild: whoever rebuilds must know the old ones.
``docs/format.md`` specifies the file; it is there only while there is something in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from gitops_dr.desired.exposing import Exposed, Gives, api_kinds, clean_url, is_sound
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.versioned import as_text, misread, parse_versioned
from gitops_dr.model import Body, Gap, Ref, parse_ref

FORMAT = 1
ENDPOINTS = "recovery/endpoints.yaml"

_KEYS: Final = {
    "addresses": ("addresses", Gives.ADDRESS),
    "asked": ("asked", Gives.ASKED),
    "hosts": ("hosts", Gives.HOST),
    "nodePorts": ("node_ports", Gives.NODE_PORT),
    "routed": ("routed", Gives.ROUTED),
    "trusts": ("trusts", Gives.TRUST),
}
"""Keys of the file: the field of ``Exposed``, and what it holds."""

_DEFAULT_KEYS: Final = "/openid/v1/jwks"
"""Where an API server serves its keys unless it was told another place."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs a cluster's service account tokens."""

    url: str = ""
    """Empty if it is not known, or if the API server tells nobody."""
    keys: str = ""
    """URL of its public keys; empty where that is an API server's own address."""
    unread: str = ""
    """Why it could not be asked for; empty if it could."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """By what one cluster is known to the outside."""

    exposed: Mapping[Ref, Exposed] = field(default_factory=dict)
    api: str = ""
    """URL of the API server, as the cluster itself says it; empty where it does not."""
    issuer: Issuer = Issuer()

    def __bool__(self) -> bool:
        return bool(self.exposed or self.api or self.issuer != Issuer())

    def addresses(self, ref: Ref) -> tuple[str, ...]:
        """Where the object is reached: its own addresses, or those of the objects before it."""
        exposed = self.exposed.get(ref, Exposed())
        if exposed.addresses:
            return exposed.addresses
        before = (self.exposed.get(each, Exposed()) for each in exposed.via)
        return tuple(sorted({address for each in before for address in each.addresses}))

    def awaiting(self, ref: Ref) -> tuple[Ref, ...]:
        """The objects of which a controller is still to say something, so that this one is whole.

        Itself, or the objects before it.
        """
        exposed = self.exposed.get(ref, Exposed())
        candidates = (ref, *exposed.via)
        return tuple(each for each in candidates if self.exposed.get(each, Exposed()).awaited)


def issuer_of(document: Any) -> Issuer:
    """Read an API server's ``/.well-known/openid-configuration``.

    Each API server puts an address of its own before its keys unless it was told where they are,
    so that two of one cluster say different things: such a URL is none of the cluster's.
    https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
    """
    if not isinstance(document, dict):
        return Issuer()
    url, keys = clean_url(document.get("issuer")), clean_url(document.get("jwks_uri"))
    own = urlsplit(keys).path == _DEFAULT_KEYS and urlsplit(keys).netloc != urlsplit(url).netloc
    return Issuer(url, "" if own else keys) if url else Issuer()


def endpoints_after(now: Endpoints, before: Endpoints, gaps: Iterable[Gap] = ()) -> Endpoints:
    """What a recovery point says, given what was seen and what the last one of this cluster said.

    What could not be read stays as it was, and an object that has no address just now keeps the
    last one: a controller that is down takes it away, and that may be the very day of a rebuild.
    """
    unread = tuple(gap.ref for gap in gaps)
    exposed = {
        ref: found
        for ref, seen in now.exposed.items()
        if not (found := _last(seen, before, ref)).is_empty
    }
    exposed |= {
        ref: kept
        for ref, kept in before.exposed.items()
        if ref not in now.exposed and any(each.covers(ref) for each in unread)
    }
    keeps_api = not now.api and any(ref.group_kind in api_kinds() for ref in unread)
    issuer = now.issuer
    if issuer.unread and before.issuer.url:
        issuer = before.issuer
    return Endpoints(exposed, before.api if keeps_api else now.api, issuer)


def _last(seen: Exposed, before: Endpoints, ref: Ref) -> Exposed:
    known = before.exposed.get(ref)
    if known is None or not seen.awaited:
        return seen
    addresses = known.addresses if Gives.ADDRESS in seen.awaited else ()
    hosts = known.hosts if Gives.HOST in seen.awaited else ()
    return replace(seen, addresses=seen.addresses or addresses, hosts=seen.hosts or hosts)


def write_endpoints(found: Endpoints) -> bytes | None:
    """Write the bytes of ``endpoints.yaml``; None if it should not be there."""
    document: Body = {}
    if found.api:
        document["api"] = found.api
    if found.exposed:
        document["exposed"] = [_entry(ref, each) for ref, each in sorted(found.exposed.items())]
    issuer = {"keys": found.issuer.keys, "unread": found.issuer.unread, "url": found.issuer.url}
    if any(issuer.values()):
        document["issuer"] = {key: value for key, value in issuer.items() if value}
    return canonical({"format": FORMAT, **document}) if document else None


def _entry(ref: Ref, exposed: Exposed) -> Body:
    lists: Body = {
        key: list(values) for key, (name, _) in _KEYS.items() if (values := getattr(exposed, name))
    }
    if exposed.via:
        lists["via"] = [str(each) for each in exposed.via]
    return {**lists, "ref": str(ref)}


def read_endpoints(data: bytes, path: str) -> Endpoints:
    """Read ``endpoints.yaml``.

    Raises ``RepositoryError`` if the file is not one, or of a newer format.
    """
    document = parse_versioned(data, path, FORMAT)
    with misread(path, "a file of endpoints"):
        issuer = document.get("issuer", {})
        return Endpoints(
            exposed=dict(map(_exposed, _list(document, "exposed"))),
            api=_url(document.get("api", "")),
            issuer=Issuer(
                _url(issuer.get("url", "")),
                _url(issuer.get("keys", "")),
                as_text(issuer.get("unread", "")),
            ),
        )


def _exposed(entry: Mapping[str, Any]) -> tuple[Ref, Exposed]:
    lists: dict[str, Any] = {}
    for key, (name, gives) in _KEYS.items():
        lists[name] = tuple(sorted({_sound(gives, value) for value in _list(entry, key)}))
    via = tuple(sorted({parse_ref(as_text(each)) for each in _list(entry, "via")}))
    return parse_ref(as_text(entry["ref"])), Exposed(**lists, via=via)


def _list(of: Mapping[str, Any], key: str) -> list[Any]:
    found = of.get(key, [])
    if not isinstance(found, list):
        raise TypeError(f"{key} is no list")
    return found


def _sound(gives: Gives, value: Any) -> str:
    text = as_text(value)
    if not is_sound(gives, text):
        raise ValueError(f"{text!r} is no {gives}")
    return text


def _url(value: Any) -> str:
    text = as_text(value)
    if text and not clean_url(text):
        raise ValueError(f"{text!r} is no URL")
    return text
