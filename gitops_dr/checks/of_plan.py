"""The checks of a plan: what would stop it, or should be known before the first write. Pure.

A blocker makes the whole run wrong or unsafe: data would be lost, or nothing could come. What stops
only a part of it is a warning, for that part becomes a gap or a failed step, and all others come.
Which checks there are is told by ``PLAN_ROWS`` alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from functools import cache

from gitops_dr.checks.facts import Hook
from gitops_dr.checks.findings import Checked, Finding, PlanRow, blocker, warning
from gitops_dr.checks.of_cluster import another_version, at_work, skew
from gitops_dr.checks.of_pods import NAMED, POD_ROWS, some
from gitops_dr.checks.of_storage import STORAGE_ROWS
from gitops_dr.checks.plan_facts import PlanFacts
from gitops_dr.manifests.selector import selector_labels
from gitops_dr.model import SECRET, Ref

_NAMESPACE = ("", "Namespace")


def check_plan(facts: PlanFacts) -> tuple[Checked, ...]:
    """Look at all of a plan, in order."""
    return tuple(row.check(facts) for row in PLAN_ROWS if row.asked(facts))


# -- the target --------------------------------------------------------------------------------


def _version(facts: PlanFacts) -> Iterator[Finding]:
    remedy = "see api-versions for what it does not know"
    yield from another_version(facts.seen.server, facts.seen.version, facts.source_version, remedy)


def _api_versions(facts: PlanFacts) -> Iterator[Finding]:
    by_reason: dict[str, list[Ref]] = {}
    for ref, why in sorted(facts.refused.items()):
        by_reason.setdefault(why, []).append(ref)
    for why, refs in by_reason.items():
        yield warning(
            some(refs), f"{why}; it is a gap", "upgrade the target, or say what is other in a patch"
        )
    by_version: dict[str, list[Ref]] = {}
    for ref, version in sorted(facts.rewritten.items()):
        by_version.setdefault(version, []).append(ref)
    for version, refs in by_version.items():
        yield warning(
            some(refs),
            f"the target does not serve Git's version any more; it is made as {version}",
            "bring Git up to date: export once it is there",
        )


def _permissions(facts: PlanFacts) -> Iterator[Finding]:
    missing = facts.seen.missing or ()
    who = facts.seen.user or "the user of this context"
    # Who looks at a plan need not be who carries it out, and the API server refuses by itself.
    for need in missing[:NAMED]:
        yield warning(who, f"may not {need}", "gitops-dr doctor --for rebuild -o yaml prints roles")
    if len(missing) > NAMED:
        more = f"may not do {len(missing) - NAMED} more things that the plan needs"
        yield warning(who, more, "gitops-dr doctor --for rebuild -o yaml prints roles")


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


def _webhooks(facts: PlanFacts) -> Iterator[Finding]:
    for hook in facts.seen.hooks or ():
        if any(ref.namespace == hook.service.namespace for ref in facts.demand.pods):
            continue  # What should answer may be what the plan brings.
        stopped = _stopped(hook, facts)
        if not stopped:
            continue
        everything = len(stopped) == len(facts.creates) and not hook.selects_objects
        yield (blocker if everything else warning)(
            hook.configuration,
            f"its webhook {hook.name} must answer, and nothing is behind {hook.service}; it would "
            f"stop {'everything: ' if everything else ''}{some(stopped)}",
            "bring its backend up, or delete the configuration until it is",
        )


def _stopped(hook: Hook, facts: PlanFacts) -> list[Ref]:
    """What it would stop, as far as it can be told without bodies: its own selector matches all.

    https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-rules
    """
    selector = selector_labels(hook.namespaces)

    @cache
    def asked(group: str, plural: str, scope: str) -> bool:
        return any(
            {"*", "CREATE"} & set(rule.get("operations") or ())
            and {"*", group} & set(rule.get("apiGroups") or ())
            and {"*", "*/*", plural} & set(rule.get("resources") or ())
            and rule.get("scope", "*") in ("*", scope)
            for rule in hook.rules
        )

    @cache
    def selected(namespace: str) -> bool:
        # One that the plan makes has at least the label that every namespace has.
        given = facts.seen.namespaces.get(namespace, {})
        labels = {"kubernetes.io/metadata.name": namespace, **given}
        return all(one.holds(labels) for one in selector)

    def is_stopped(ref: Ref, plural: str) -> bool:
        if ref.group == "admissionregistration.k8s.io":
            return False  # Webhooks are never asked about themselves.
        if not asked(ref.group, plural, "Namespaced" if ref.namespace else "Cluster"):
            return False
        if ref.namespace or ref.group_kind == _NAMESPACE:
            return selected(ref.namespace or ref.name)
        return True

    return sorted(ref for ref, plural in facts.creates.items() if is_stopped(ref, plural))


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
        if wanted.load_balancer and facts.elsewhere:
            yield _taken(
                ref,
                f"load-balancer address {wanted.load_balancer}",
                "is asked for, and belongs to the source",
            )


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
    PlanRow(
        "api-versions",
        "the target knows every kind, version and field",
        "What it does not serve cannot come back; what moved is written in the new place.",
        "https://kubernetes.io/docs/reference/using-api/deprecation-guide/",
        _api_versions,
    ),
    PlanRow(
        "permissions",
        "its user may do it",
        "The API server refuses the rest, object by object.",
        "https://kubernetes.io/docs/reference/access-authn-authz/authorization/",
        _permissions,
        known=lambda facts: facts.seen.missing is not None,
    ),
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
    *POD_ROWS,
    PlanRow(
        "webhooks",
        "webhooks of the target answer",
        "With failurePolicy Fail and nobody behind it, whatever it is about is refused.",
        "https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
        _webhooks,
        blocks="it would stop every object of the plan",
        known=lambda facts: facts.seen.hooks is not None,
    ),
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
