"""Checks of a plan about what runs: nodes, room, quotas, images, levels of security. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from gitops_dr.checks.demand import CLAIM, DAEMON_SET, SERVICE, Claim, Place, Pods
from gitops_dr.checks.findings import Finding, PlanRow, warning
from gitops_dr.checks.plan_facts import Node, PlanFacts
from gitops_dr.manifests.quantity import amount, with_unit
from gitops_dr.model import Ref

_NOTHING = Fraction()
_BYTES = ("memory", "storage", "hugepages")
"""What the names of resources have in them that are counted in bytes."""

NAMED = 5
"""How many of what is alike are told one by one; of more there is only their number."""

_OF_CLASS = ".storageclass.storage.k8s.io/"
_LEVEL = "pod-security.kubernetes.io/enforce"
_COUNTED = frozenset(
    {
        "pods",
        "services",
        "configmaps",
        "secrets",
        "persistentvolumeclaims",
        "replicationcontrollers",
        "resourcequotas",
    }
)
"""Resources that a quota counts by their bare name."""


def some(refs: list[Ref]) -> str:
    """The first one, and how many more there are."""
    more = len(refs) - 1
    return f"{refs[0]}" + (f" and {more} more" if more > 0 else "")


# -- nodes -------------------------------------------------------------------------------------


def _nodes(facts: PlanFacts) -> Iterator[Finding]:
    nodes = facts.seen.nodes or ()
    wanted: dict[Place, list[Ref]] = {}
    for ref, pods in _running(facts).items():
        wanted.setdefault(pods.place, []).append(ref)
    if wanted and not nodes:
        refs = sorted(ref for found in wanted.values() for ref in found)
        yield warning(some(refs), "no node takes pods", "add nodes, or uncordon some")
        return
    for place, refs in sorted(wanted.items(), key=lambda item: min(item[1])):
        labelled = [node for node in nodes if _has_place(place, node)]
        if not labelled:
            yield warning(
                some(sorted(refs)),
                f"no node has {_told(place)}",
                "label nodes, or say mappings.nodeSelectors in target.yaml",
            )
        elif not any(_tolerates(place, node) for node in labelled):
            taint = ":".join(filter(None, (labelled[0].taints[0][0], labelled[0].taints[0][2])))
            yield warning(
                some(sorted(refs)),
                f"does not tolerate the taints of the nodes it may run on, such as {taint}",
                "take the taint off a node, or patch a toleration in at the target",
            )


def _running(facts: PlanFacts) -> dict[Ref, Pods]:
    """Workloads whose pods are to run: what rests at zero needs no node."""
    return {
        ref: pods
        for ref, pods in facts.demand.pods.items()
        if ref in facts.creates and (pods.number or ref.group_kind == DAEMON_SET)
    }


def _has_place(place: Place, node: Node) -> bool:
    if any(node.labels.get(key) != value for key, value in place.labels):
        return False
    return not place.terms or any(
        all(_meets(one, node.labels) for one in term) for term in place.terms
    )


def _meets(one: tuple[str, str, tuple[str, ...]], labels: Mapping[str, str]) -> bool:
    """Whether labels meet one requirement.

    https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#operators
    """
    key, operator, values = one
    value = labels.get(key)
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            try:
                have, limit = int(value or ""), int(values[0])
            except (IndexError, ValueError):
                return False
            return have > limit if operator == "Gt" else have < limit
        case _:
            return True


def _tolerates(place: Place, node: Node) -> bool:
    """Whether pods get past the taints of a node.

    https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
    """
    return all(
        any(
            (not t_key or t_key == key)
            and (operator == "Exists" or (t_key and t_value == value))
            and t_effect in ("", effect)
            for t_key, operator, t_value, t_effect in place.tolerations
        )
        for key, value, effect in node.taints
        if effect in ("NoSchedule", "NoExecute")
    )


def _told(place: Place) -> str:
    labels = [f"{key}={value}" for key, value in place.labels]
    terms = [
        " and ".join(" ".join(filter(None, (k, op, ",".join(values)))) for k, op, values in term)
        for term in place.terms
    ]
    return " with ".join(filter(None, [", ".join(labels), " or ".join(terms)]))


# -- room --------------------------------------------------------------------------------------


def _capacity(facts: PlanFacts) -> Iterator[Finding]:
    nodes = facts.seen.nodes or ()
    if not nodes:
        return
    there: dict[str, Fraction] = {}
    largest: dict[str, Fraction] = {}
    for node in nodes:
        for name, value in node.allocatable.items():
            there[name] = there.get(name, _NOTHING) + value
            largest[name] = max(largest.get(name, _NOTHING), value)
    needed: dict[str, Fraction] = {}
    too_large: dict[tuple[str, Fraction], list[Ref]] = {}
    for ref, pods in _running(facts).items():
        for name, value in pods.requests.items():
            if value > largest.get(name, _NOTHING):
                too_large.setdefault((name, value), []).append(ref)
            needed[name] = needed.get(name, _NOTHING) + value * pods.number
    for (name, value), refs in sorted(too_large.items()):
        yield warning(
            some(sorted(refs)),
            f"a pod asks for {quantity(name, value)} of {name}, and no node has more than "
            f"{quantity(name, largest.get(name, _NOTHING))}",
            "add a larger node, or patch the request at the target",
        )
    for name, value in sorted(needed.items()):
        if value > there.get(name, _NOTHING):
            yield warning(
                f"{len(nodes)} nodes" if len(nodes) > 1 else f"Node/{nodes[0].name}",
                f"the pods ask for {quantity(name, value)} of {name}, and there is "
                f"{quantity(name, there.get(name, _NOTHING))}",
                "add nodes, or begin with fewer replicas",
            )


def quantity(name: str, value: Fraction) -> str:
    """As people write it."""
    if "cpu" in name.rpartition(".")[2]:
        return f"{value.numerator}" if value.denominator == 1 else f"{math.ceil(value * 1000)}m"
    return with_unit(value) if any(word in name for word in _BYTES) else f"{math.ceil(value)}"


# -- quotas ------------------------------------------------------------------------------------


def _quotas(facts: PlanFacts) -> Iterator[Finding]:
    known = {gap.ref for gap in facts.blocked}
    by_namespace: dict[str, list[Ref]] = {}
    for ref in facts.creates:
        by_namespace.setdefault(ref.namespace, []).append(ref)
    for quota in facts.seen.quotas or ():
        metadata, spec = quota["metadata"], quota.get("spec") or {}
        about = Ref("", "ResourceQuota", metadata["namespace"], metadata["name"])
        mine = by_namespace.get(about.namespace)
        # What counts some pods only cannot be told from outside.
        if not mine or about in known or spec.get("scopes") or spec.get("scopeSelector"):
            continue
        used = (quota.get("status") or {}).get("used") or {}
        for key, hard in sorted((spec.get("hard") or {}).items()):
            needed = _needed(key, mine, facts)
            limit, now = amount(hard) or Fraction(), amount(used.get(key, 0)) or Fraction()
            if needed and needed + now > limit:
                yield warning(
                    about,
                    f"{quantity(key, now)} of {hard} {key} is used, and the plan needs "
                    f"{quantity(key, needed)} more",
                    "raise the quota, or have less there",
                )


def _needed(key: str, refs: list[Ref], facts: PlanFacts) -> Fraction:
    """How much of a quota's resource objects take.

    https://kubernetes.io/docs/concepts/policy/resource-quotas/#types-of-resource-quota
    """
    storage_class, of_class, resource = key.rpartition(_OF_CLASS)
    if of_class or resource in ("requests.storage", "persistentvolumeclaims"):
        claims = [
            claim
            for claim in made_claims(refs, facts)
            if not of_class or claim.storage_class == storage_class
        ]
        if resource == "requests.storage":
            return sum((claim.size for claim in claims), Fraction())
        return Fraction(len(claims))
    if resource.startswith("services."):
        return Fraction(sum(_is_counted(resource, ref, facts) for ref in refs))
    if resource == "pods":
        return Fraction(sum(pods.number for _, pods in _pods(refs, facts)))
    if resource in _COUNTED or resource.startswith("count/"):
        plural, _, group = resource.removeprefix("count/").partition(".")
        return Fraction(sum((ref.group, facts.creates[ref]) == (group, plural) for ref in refs))
    kind, dot, name = resource.partition(".")
    if not dot and kind in ("cpu", "memory"):
        kind, name = "requests", kind
    if kind not in ("requests", "limits"):
        return Fraction()
    return sum(
        (
            (pods.requests if kind == "requests" else pods.limits).get(name, Fraction())
            * pods.number
            for _, pods in _pods(refs, facts)
        ),
        Fraction(),
    )


def _pods(refs: list[Ref], facts: PlanFacts) -> Iterator[tuple[Ref, Pods]]:
    for ref in refs:
        if ref in facts.demand.pods:
            yield ref, facts.demand.pods[ref]


def made_claims(refs: Iterable[Ref], facts: PlanFacts) -> Iterator[Claim]:
    """Those of the plan, and those that StatefulSets make which are neither in it nor there."""
    for ref in refs:
        if ref in facts.demand.claims:
            yield facts.demand.claims[ref]
        replicas, templates = facts.demand.templates.get(ref, (0, ()))
        for name, claim in templates:
            for ordinal in range(replicas):
                own = Ref(*CLAIM, ref.namespace, f"{name}-{ref.name}-{ordinal}")
                if own not in facts.creates and own not in facts.present:
                    yield claim


def _is_counted(resource: str, ref: Ref, facts: PlanFacts) -> bool:
    if ref.group_kind != SERVICE or ref not in facts.demand.services:
        return False
    kind = facts.demand.services[ref].type
    if resource == "services.nodeports":
        return kind in ("NodePort", "LoadBalancer")
    return resource == "services.loadbalancers" and kind == "LoadBalancer"


# -- images and security -----------------------------------------------------------------------


def _images(facts: PlanFacts) -> Iterator[Finding]:
    users: dict[str, list[Ref]] = {}
    for ref, pods in facts.demand.pods.items():
        for image in pods.images:
            if ref in facts.creates:
                users.setdefault(image, []).append(ref)
    for image, why in sorted((facts.seen.images or {}).items()):
        who = f"; needed by {some(sorted(users[image]))}" if image in users else ""
        yield warning(
            f"image {image}",
            f"{why}{who}",
            "push it there, or say mappings.images in target.yaml",
        )


def _levels(facts: PlanFacts) -> Iterator[Finding]:
    privileged = {ref: pods for ref, pods in facts.demand.pods.items() if pods.needs_privileges}
    for ref, pods in sorted(privileged.items()):
        level = facts.seen.namespaces.get(ref.namespace, {}).get(_LEVEL, "")
        if ref in facts.creates and level in ("baseline", "restricted"):
            yield warning(
                ref,
                f"has {', '.join(pods.needs_privileges)}, and Namespace/{ref.namespace} enforces "
                f"{level}",
                f"change the label {_LEVEL}, or patch the workload at the target",
            )


def _knows_nodes(facts: PlanFacts) -> bool:
    return facts.seen.nodes is not None


POD_ROWS: tuple[PlanRow[PlanFacts], ...] = (
    PlanRow(
        "quotas",
        "quotas leave room for it",
        "What a quota has no room for is refused, or its pods are, which nobody sees at once.",
        "https://kubernetes.io/docs/concepts/policy/resource-quotas/",
        _quotas,
        known=lambda facts: facts.seen.quotas is not None,
    ),
    PlanRow(
        "nodes",
        "nodes with the labels, zones and taints that pods ask for",
        "A pod that no node may take waits for ever.",
        "https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/",
        _nodes,
        known=_knows_nodes,
    ),
    PlanRow(
        "capacity",
        "nodes have room for what pods ask for",
        "Pods beyond what nodes have wait. What runs there already is not counted.",
        "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
        _capacity,
        known=_knows_nodes,
    ),
    PlanRow(
        "images",
        "registries have the images",
        "A pod whose image cannot be pulled does not start. Asked with --check-images only.",
        "https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull",
        _images,
        asked=lambda facts: facts.seen.images is not None,
    ),
    PlanRow(
        "pod-security",
        "namespaces that are there let its pods be",
        "What a namespace's level forbids is refused pod by pod; the workload itself is taken.",
        "https://kubernetes.io/docs/concepts/security/pod-security-admission/",
        _levels,
    ),
)
