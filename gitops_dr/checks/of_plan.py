"""The checks of a plan: what would stop it, or should be known before the first write. Pure.

A blocker makes the whole run wrong or unsafe: data would be lost, or nothing could come. What stops
only a part of it is a warning, for that part becomes a gap or a failed step, and all others come.
Which checks there are is told by ``PLAN_ROWS`` alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from gitops_dr.checks.findings import Checked, Finding, PlanRow, blocker, warning
from gitops_dr.checks.of_admission import ADMISSION_ROWS
from gitops_dr.checks.of_classes import CLASS_ROWS
from gitops_dr.checks.of_cluster import another_version, at_work, skew
from gitops_dr.checks.of_kinds import KIND_ROWS
from gitops_dr.checks.of_pods import POD_ROWS, some
from gitops_dr.checks.of_rights import RIGHTS_ROWS
from gitops_dr.checks.of_storage import STORAGE_ROWS
from gitops_dr.checks.plan_facts import PlanFacts
from gitops_dr.model import SECRET, Ref

_NAMESPACE = ("", "Namespace")


def check_plan(facts: PlanFacts) -> tuple[Checked, ...]:
    """Look at all of a plan, in order."""
    return tuple(row.check(facts) for row in PLAN_ROWS if row.asked(facts))


# -- the target --------------------------------------------------------------------------------


def _version(facts: PlanFacts) -> Iterator[Finding]:
    remedy = "see api-versions for what it does not know"
    yield from another_version(facts.seen.server, facts.seen.version, facts.source_version, remedy)


def _alone(facts: PlanFacts) -> Iterator[Finding]:
    yield from at_work(facts.seen.holder)


def _terminating(facts: PlanFacts) -> Iterator[Finding]:
    for name, holds in sorted((facts.seen.terminating or {}).items()):
        mine = [
            ref
            for ref in facts.creates
            if ref.namespace == name or (ref.group_kind == _NAMESPACE and ref.name == name)
        ]
        if mine:
            yield warning(
                f"Namespace/{name}",
                f"is being deleted{f' ({holds})' if holds else ''}, and {len(mine)} objects of the "
                "plan belong there",
                "wait until it is gone, or take away what holds it",
            )


def _clock(facts: PlanFacts) -> Iterator[Finding]:
    yield from skew(facts.seen.server, facts.seen.clock_ahead)


def _source(facts: PlanFacts) -> Iterator[Finding]:
    running = [
        ref for ref, pods in facts.demand.pods.items() if ref in facts.creates and pods.number
    ]
    if facts.seen.source and running:
        yield warning(
            facts.seen.source,
            f"the source still answers, and the plan starts {some(sorted(running))} a second time",
            "stop the source or cut it off first, or have the target stand by",
        )


# -- what is in the way ------------------------------------------------------------------------


def _secrets(facts: PlanFacts) -> Iterator[Finding]:
    for gap in facts.blocked:
        if gap.ref.group_kind == SECRET:
            yield blocker(
                gap.ref,
                gap.reason,
                "name the file of an age identity that opens it in SOPS_AGE_KEY_FILE, or say "
                "--without-secrets",
            )


def _classes(facts: PlanFacts) -> Iterator[Finding]:
    for ref, users in sorted(facts.absent.items()):
        yield warning(
            ref,
            f"is neither in Git nor in the target; needed by {some(sorted(users))}",
            "create it, or have a target's mapping or patch name another",
        )


def _addresses(facts: PlanFacts) -> Iterator[Finding]:
    ours = {ref: wanted for ref, wanted in facts.demand.services.items() if ref in facts.creates}
    asked: dict[tuple[int, str], Ref] = {}
    ranges = [ipaddress.ip_network(each, strict=False) for each in facts.seen.ranges]
    for ref, wanted in sorted(ours.items()):
        for port in wanted.node_ports:
            told = f"node port {port[0]}/{port[1]}"
            holder = (facts.seen.node_ports or {}).get(port)
            if holder is not None and holder != ref:
                yield _taken(ref, told, f"is taken by {holder}")
            elif port in asked:
                yield _taken(ref, told, f"is asked for by {asked[port]}, too")
            asked.setdefault(port, ref)
        for ip in wanted.cluster_ips:
            holder = facts.seen.cluster_ips.get(ip)
            if holder is not None and holder != ref:
                yield _taken(ref, f"address {ip}", f"is taken by {holder}")
            elif ranges and not _is_in(ip, ranges):
                told = ", ".join(facts.seen.ranges)
                yield _taken(ref, f"address {ip}", f"is in no range of the target ({told})")
        pinned = {"load-balancer address": wanted.load_balancer}
        pinned["external address"] = ", ".join(wanted.external)
        for what, address in pinned.items():
            if address and facts.elsewhere:
                yield _taken(ref, f"{what} {address}", "is asked for, and belongs to the source")


def _taken(ref: Ref, what: str, why: str) -> Finding:
    return warning(ref, f"its {what} {why}", "free it, or patch another or none in at the target")


def _is_in(ip: str, ranges: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return True
    family = [each for each in ranges if each.version == address.version]
    return not family or any(address in each for each in family)


PLAN_ROWS: tuple[PlanRow[PlanFacts], ...] = (
    PlanRow(
        "version",
        "the target's version and the source's",
        "Another version knows other kinds and fields.",
        "https://kubernetes.io/releases/version-skew-policy/",
        _version,
    ),
    *KIND_ROWS,
    *RIGHTS_ROWS,
    PlanRow(
        "alone",
        "nobody else is at work",
        "One run at a time works on a cluster.",
        "https://kubernetes.io/docs/concepts/architecture/leases/",
        _alone,
    ),
    PlanRow(
        "namespaces",
        "no namespace is being deleted",
        "Nothing can be created in it until it is gone.",
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/",
        _terminating,
        known=lambda facts: facts.seen.terminating is not None,
    ),
    PlanRow(
        "secrets",
        "Secrets can be opened",
        "A Secret without its values is none, and what needs it does not run.",
        "https://github.com/getsops/sops#encrypting-using-age",
        _secrets,
        blocks="a Secret stays closed, without --without-secrets",
    ),
    PlanRow(
        "classes",
        "classes are there",
        "Priority, runtime, ingress, gateway, storage and attributes classes are often each "
        "cluster's own; without them objects are refused or wait.",
        "https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/",
        _classes,
    ),
    *STORAGE_ROWS,
    *CLASS_ROWS,
    *POD_ROWS,
    *ADMISSION_ROWS,
    PlanRow(
        "addresses",
        "ports and addresses that Services ask for are free",
        "A Service whose node port or address is taken is refused.",
        "https://kubernetes.io/docs/concepts/services-networking/service/#choosing-your-own-port",
        _addresses,
        known=lambda facts: facts.seen.node_ports is not None,
    ),
    PlanRow(
        "clock",
        "its clock and ours",
        "Ages of recovery points are told by both.",
        "https://kubernetes.io/docs/reference/using-api/api-concepts/",
        _clock,
    ),
    PlanRow(
        "source",
        "the source is not at work at the same time",
        "Two clusters that do the same work write to the same places outside.",
        "https://en.wikipedia.org/wiki/Fencing_(computing)",
        _source,
        asked=lambda facts: facts.elsewhere,
    ),
)
"""In the order in which they are told."""
