"""What is another for the outside after a rebuild: old and new, and what is to be done. Pure.

Only what changed is told. Nobody here reaches anything: DNS, clouds and those who hold a token are
for people, or for what they run; this is their list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gitops_dr.desired.endpoints import Endpoints
from gitops_dr.desired.exposing import Exposed, Gives, exposing
from gitops_dr.model import Ref


class Affects(StrEnum):
    """What outside is concerned, in the order in which it is told."""

    DNS = "dns"
    ADDRESS = "address"
    """A load balancer that no name is known of."""
    ROUTED = "routed-address"
    NODE_PORT = "node-port"
    API = "api"
    ISSUER = "issuer"
    TRUST = "trust"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Changed:
    """One thing that is another now."""

    affects: Affects
    subject: str
    """The host name at the source, or the object at the source; empty for the cluster itself."""
    old: tuple[str, ...]
    """Addresses, ports or URLs; empty where nobody recorded any."""
    new: tuple[str, ...]
    """Empty where there is none, or none yet."""
    todo: str
    """What a person does about it, as a clause without a full stop."""
    host: str = ""
    """Of a name: what it is called at the target."""
    refs: tuple[Ref, ...] = ()
    """The objects at the target that it is about, sorted."""
    pending: bool = False
    """A controller is still to say the new one."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What changed for the outside."""

    changes: tuple[Changed, ...] = ()
    recorded: bool = True
    """Whether the recovery point says by what the source was known."""

    @property
    def pending(self) -> tuple[Changed, ...]:
        """The changes of which not all is known yet."""
        return tuple(change for change in self.changes if change.pending)


@dataclass(frozen=True, slots=True)
class Moved:
    """How the source's objects and names are called at the target, and whether it is another."""

    ref: Callable[[Ref], Ref | None] = field(default=lambda ref: ref)
    """The object at the target; None for one that the target is without, on purpose."""
    host: Callable[[str], str] = field(default=lambda host: host)
    elsewhere: bool = False
    """The target is another cluster than the source."""
    whole: bool = True
    """All of the source comes there, so that the cluster itself takes its place."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """One object of the source, and what it is at the target."""

    ref: Ref
    there: Ref
    old: Exposed
    new: Exposed | None
    """None where it is not there."""
    addresses: tuple[str, ...]
    """Where it is reached at the target; with what stands before it."""
    before: tuple[str, ...]
    """Where it was reached at the source."""
    pending: bool

    @property
    def gone(self) -> str:
        return "" if self.new is not None else f"{self.there} is not there, so nothing answers"


def changed_outside(before: Endpoints, now: Endpoints, moved: Moved) -> tuple[Changed, ...]:
    """What the outside must be told: by what it affects, then by object.

    ``before`` is the source's, from the recovery point; ``now`` the target's, as it was seen.
    """
    refs: dict[Changed, set[Ref]] = {}
    is_another = moved.elsewhere or before.issuer.url != now.issuer.url
    for pair in _pairs(before, now, moved):
        for change in (
            *_names(pair, moved),
            *_ports(pair, elsewhere=moved.elsewhere),
            *(_trust(pair) if is_another else ()),
        ):
            refs.setdefault(change, set()).add(pair.there)
    changes = [replace(change, refs=tuple(sorted(found))) for change, found in refs.items()]
    if moved.whole:
        changes += _of_cluster(before, now, elsewhere=moved.elsewhere)
    order = list(Affects)
    return tuple(sorted(changes, key=lambda change: order.index(change.affects)))


def awaited(before: Endpoints, now: Endpoints, moved: Moved) -> tuple[Ref, ...]:
    """The target's objects of which a controller has not yet said what the source's had."""
    waiting: set[Ref] = set()
    for pair in _pairs(before, now, moved):
        had = {Gives.ADDRESS: pair.before, Gives.HOST: pair.old.hosts}
        waiting.update(
            each
            for each in now.awaiting(pair.there)
            if any(had.get(gives) for gives in now.exposed[each].awaited)
        )
    return tuple(sorted(waiting))


def _pairs(before: Endpoints, now: Endpoints, moved: Moved) -> Iterator[_Pair]:
    for ref, old in sorted(before.exposed.items()):
        there = moved.ref(ref)
        if there is not None:
            addresses = now.addresses(there)
            yield _Pair(
                ref,
                there,
                old,
                now.exposed.get(there),
                addresses,
                before.addresses(ref),
                pending=not addresses and bool(now.awaiting(there)),
            )


def _names(pair: _Pair, moved: Moved) -> Iterator[Changed]:
    """Names whose addresses are others; or the addresses, where no name is known of them."""
    old, new = pair.before, pair.addresses
    hosts = list(_hosts(pair, moved))
    for host, named in hosts:
        if host != named or old != new:
            todo = pair.gone or _dns(host, named, new, pending=pair.pending)
            yield Changed(Affects.DNS, host, old, new, todo, host=named, pending=pair.pending)
    if not hosts and pair.old.addresses and old != new:
        todo = pair.gone or _address(pair)
        yield Changed(Affects.ADDRESS, str(pair.ref), old, new, todo, pending=pair.pending)


def _ports(pair: _Pair, *, elsewhere: bool) -> Iterator[Changed]:
    """What leads to the nodes, which are others in another cluster."""
    old, new = pair.old, pair.new or Exposed()
    if old.routed and (elsewhere or old.routed != new.routed):
        todo = pair.gone or f"route {_list(new.routed)} to nodes of this cluster"
        yield Changed(Affects.ROUTED, str(pair.ref), old.routed, new.routed, todo)
    if old.node_ports and (elsewhere or old.node_ports != new.node_ports):
        todo = pair.gone or f"send to port {_list(new.node_ports)} of this cluster's nodes"
        yield Changed(Affects.NODE_PORT, str(pair.ref), old.node_ports, new.node_ports, todo)


def _trust(pair: _Pair) -> Iterator[Changed]:
    if pair.old.trusts:
        kind = exposing(pair.ref.group_kind)
        todo = pair.gone or (kind.todo if kind else "") or "let it trust the new issuer"
        new = pair.new.trusts if pair.new else ()
        yield Changed(Affects.TRUST, str(pair.ref), pair.old.trusts, new, todo)


def _hosts(pair: _Pair, moved: Moved) -> Iterator[tuple[str, str]]:
    """Each name of the source with that of the target; empty where the other has no such name."""
    new = pair.new or Exposed()
    left = dict.fromkeys(new.hosts)
    for host in pair.old.hosts:
        if Gives.HOST in new.awaited:
            # Who makes the name has not said it yet.
            named = moved.host(host)
        else:
            named = next((name for name in (host, moved.host(host)) if name in left), "")
        left.pop(named, None)
        yield host, named
    for host in left:
        yield "", host


def _dns(host: str, named: str, addresses: tuple[str, ...], *, pending: bool) -> str:
    if not named:
        return f"nothing serves {host} here: take its record away, or let it lead elsewhere"
    if not addresses:
        waits = "once it has an address, point" if pending else "find its address, and point"
        return f"{waits} {named} to it"
    point = f"point {named} to {_list(addresses)}"
    if host and named != host:
        point += f"; who asks for {host} still comes to the source"
    return point


def _address(pair: _Pair) -> str:
    asked = pair.new.asked if pair.new else ()
    if pair.addresses:
        return "change records, allow lists and firewalls that name the old one"
    if pair.pending and asked:
        return f"it asks for {_list(asked)}, which the source may still hold"
    if pair.pending:
        return "once it has an address, change records, allow lists and firewalls"
    return "it has no address here: change what names the old one"


def _of_cluster(before: Endpoints, now: Endpoints, *, elsewhere: bool) -> Iterator[Changed]:
    if now.api != before.api and (elsewhere or (before.api and now.api)):
        todo = "give kubeconfigs and pipelines the new address and the new CA"
        yield Changed(Affects.API, "", _one(before.api), _one(now.api), todo)
    urls = before.issuer.url, now.issuer.url
    if urls[0] != urls[1] and (elsewhere or all(urls)):
        todo = "let clouds and others that trust its tokens trust the new one"
        if now.issuer.unread:
            todo += f" (it is not known: {now.issuer.unread})"
        yield Changed(Affects.ISSUER, "", _one(urls[0]), _one(urls[1]), todo)
    if elsewhere:
        todo = "give programs outside that hold tokens of service accounts new ones"
        yield Changed(Affects.TOKENS, "", ("the source's",), ("worth nothing here",), todo)


def _one(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _list(found: tuple[str, ...]) -> str:
    return ", ".join(found)


def seen_since(now: Endpoints, exposed: Mapping[Ref, Exposed | None]) -> Endpoints:
    """The same with what was seen of some objects since; None: it is there no more."""
    every = {**now.exposed, **exposed}
    there = {ref: found for ref, found in every.items() if found is not None}
    return replace(now, exposed=there)
