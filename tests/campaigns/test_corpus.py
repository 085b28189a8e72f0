"""The corpus goes into Git and comes back; a view that shares no code with the product judges it.

Every object of the source is in the rebuilt cluster with equal content, or the product's own
account says, with a reason, why it is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import yaml
from campaigns.independent import (
    Body,
    Cluster,
    Key,
    changed_paths,
    generated,
    generator,
    key_of,
    normalised,
    scaled_by_others,
)
from campaigns.loader import read_lines
from campaigns.rebuilding import Figures, Rebuilt
from corpus import corpus

ANY = "*"


def _annotated(name: str) -> Callable[[Key, Body], bool]:
    return lambda _key, body: name in (body["metadata"].get("annotations") or {})


def _labelled(name: str) -> Callable[[Key, Body], bool]:
    return lambda _key, body: name in (body["metadata"].get("labels") or {})


def _named(*names: str) -> Callable[[Key, Body], bool]:
    return lambda key, _body: key[3] in names


def _finished(_key: Key, body: Body) -> bool:
    status = body.get("status") or {}
    final = ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")
    return status.get("phase") in ("Succeeded", "Failed") or any(
        c["type"] in final and c["status"] == "True" for c in status.get("conditions") or ()
    )


def _by_controllers(_key: Key, body: Body) -> bool:
    entries = body["metadata"].get("managedFields") or ()
    return all(entry.get("manager") == "kube-controller-manager" for entry in entries)


def _bare_default_account(key: Key, body: Body) -> bool:
    # The API server's own defaulting adds nothing to an account.
    return key[3] == "default" and body.keys() <= {"apiVersion", "kind", "metadata"}


_OWN_NAMESPACE = "gitops-dr"
"""What is kept there is about that cluster only (docs/rules.md, own-record)."""


def _everything(_key: Key, _body: Body) -> bool:
    return True


# What a rule that names no object may cover, said independently of the rule.
MEANING: Mapping[str, Callable[[Key, Body], bool]] = {
    "allocated-addresses": _everything,
    "api-server-endpoints": lambda key, _: key[2] == "default",
    "api-server-service": _named("kubernetes"),
    "api-server-trust-bundle": lambda _, body: "kube-apiserver-serving" in body["metadata"]["name"],
    "automanaged-api-service": _labelled("kube-aggregator.kubernetes.io/automanaged"),
    "bootstrapped-flow-control": _annotated("apf.kubernetes.io/autoupdate-spec"),
    "bootstrapped-rbac": _labelled("kubernetes.io/bootstrapping"),
    "client-ca": lambda key, _: key[2] == "kube-system",
    "component-status": _everything,
    "controller-service-account": lambda key, body: (
        key[2] == "kube-system" and _by_controllers(key, body)
    ),
    "default-service-account": _bare_default_account,
    "default-service-cidr": _named("kubernetes"),
    "dynamic-volume": _annotated("pv.kubernetes.io/provisioned-by"),
    "events": _everything,
    "generated": lambda _, body: generator(body) is not None,
    "leases": _everything,
    "managed-endpoint-slices": _labelled("endpointslice.kubernetes.io/managed-by"),
    "managed-endpoints": _labelled("endpoints.kubernetes.io/managed-by"),
    "node-objects": _everything,
    "requests": _everything,
    "root-ca": _named("kube-root-ca.crt"),
    "storage-versions": _everything,
    "system-priority-classes": _named("system-cluster-critical", "system-node-critical"),
    "terminating": lambda _, body: "deletionTimestamp" in body["metadata"],
    "unlabelled-endpoints": _by_controllers,
    "volume-snapshots": _everything,
}


def _may_cover(rule: str) -> Callable[[Key, Body], bool]:
    if rule.startswith("finished-"):
        return _finished
    return MEANING.get(rule, _nothing)


@dataclass
class Account:
    """What the product says of objects that did not come back as they were."""

    omissions: dict[Key, list[tuple[str, str]]] = field(default_factory=dict)
    """Rule and reason by identity, wildcards included."""
    reasons: dict[Key, str] = field(default_factory=dict)
    held: dict[Key, set[str]] = field(default_factory=dict)
    """Paths at which an object was changed so that it does not run a second time."""
    outward: dict[Key, str] = field(default_factory=dict)
    """The field by which what acts outward is held; empty for one that is not made yet."""

    def holds(self, key: Key, paths: Collection[str]) -> bool:
        """Whether an object differs only in the field by which it is held."""
        held = self.outward.get(key)
        if held is None:
            return False
        places = [path.partition(" ")[0].lstrip(".") for path in paths]
        plain = held.replace('["', ".").replace('"]', "")
        return all(held and plain.startswith(place) for place in places) or (
            not held and list(paths) == ["is not there"]
        )

    def explains(self, key: Key, body: Body) -> str:
        """The product's reason for one object's absence; empty if it gives none."""
        group, kind, _, _ = key
        for place in (key, (group, kind, "", ANY), (group, ANY, "", ANY), ("", ANY, "", ANY)):
            for rule, reason in self.omissions.get(place, ()):
                if reason and (place == key or _may_cover(rule)(key, body)):
                    return f"omitted: {rule}"
            if place in self.reasons:
                return self.reasons[place]
        return ""


def _nothing(_key: Key, _body: Body) -> bool:
    return False


def _key(ref: Mapping[str, str]) -> Key:
    return ref["group"], ref["kind"], ref["namespace"], ref["name"]


def _key_of_text(text: str) -> Key:
    kind, *places = text.split("/")
    kind, _, group = kind.partition(".")
    return group, kind, places[0] if len(places) == 2 else "", places[-1]


def read_account(rebuilt: Rebuilt) -> Account:
    """From the recovery point's coverage.yaml and the rebuild's JSON report."""
    account = Account()
    text = (rebuilt.repo / "clusters" / "corpus" / "recovery" / "coverage.yaml").read_text()
    coverage = yaml.safe_load(text)
    for each in coverage["omissions"]:
        place = account.omissions.setdefault(_key_of_text(each["ref"]), [])
        place.append((each["rule"], each["reason"]))
    for each in coverage["gaps"]:
        account.reasons[_key_of_text(each["ref"])] = f"gap: {each['reason']}"
    for each in rebuilt.report["plan"]["omissions"]:
        account.reasons[_key(each["ref"])] = f"{each['rule']}: {each['reason']}"
    for each in rebuilt.report["held"]:
        paths = {field["path"] for field in each["fields"]}
        account.held[_key(each["ref"])] = paths
    for each in rebuilt.report["outward"]["held"]:
        account.outward[_key(each["ref"])] = each["field"]
    for step in rebuilt.report["plan"]["steps"]:
        if step["action"] == "skip":
            account.reasons[_key(step["ref"])] = f"skipped: {step['reason']}"
    for gap in rebuilt.report["gaps"]:
        account.reasons[_key(gap["ref"])] = f"gap: {gap['reason']}"
    for note in rebuilt.report["plan"]["notes"]:
        ref, started_empty, _ = note.partition(": starts empty, which was accepted: ")
        if started_empty:
            account.reasons[_key_of_text(ref)] = "started empty, as was accepted"
    return account


@dataclass
class Judged:
    """The source's objects, by what became of them."""

    equal: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)


def judge(rebuilt: Rebuilt, declared: Mapping[Key, Body]) -> Judged:
    """Look for each object of the source in the rebuilt cluster."""
    account = read_account(rebuilt)
    scaled = scaled_by_others(rebuilt.source)
    judged = Judged()
    for key, body in sorted(rebuilt.source.objects.items()):
        if key[2] == _OWN_NAMESPACE:
            judged.explained["the product's own record"] += 1
            continue
        found = rebuilt.cluster.objects.get(key)
        paths = ["is not there"]
        if found is not None:
            author = declared.get(key)
            paths = list(
                changed_paths(
                    normalised(body, author, key in scaled),
                    normalised(found, author, key in scaled),
                )
            )
        if not paths:
            judged.equal += 1
        elif {path.partition(" ")[0].lstrip(".") for path in paths} <= account.held.get(key, set()):
            judged.explained["held back"] += 1
        elif account.holds(key, paths):
            judged.explained["acts outward, and is held"] += 1
        elif reason := account.explains(key, body):
            judged.explained[reason] += 1
        else:
            judged.unexplained.append(f"{'/'.join(key)}: {'; '.join(paths[:5])}")
    return judged


def test_nothing_differs_without_a_reason(rebuilt: Rebuilt, figures: Figures) -> None:
    lines = read_lines(corpus() / "objects.jsonl.gz")
    judged = judge(rebuilt, {key_of(line["object"]): line["object"] for line in lines})
    results = Counter(outcome["result"] for outcome in rebuilt.report["outcomes"])
    figures(
        f"corpus: {len(rebuilt.source.objects)} objects in the source: {judged.equal} equal, "
        f"{judged.explained.total()} explained, {len(judged.unexplained)} unexplained; "
        f"rebuild exit {rebuilt.code}, outcomes {dict(results)}"
    )
    for reason, count in judged.explained.most_common():
        figures(f"  {count:5} {reason}")
    assert not judged.unexplained, "\n".join(judged.unexplained)


def test_no_step_failed(rebuilt: Rebuilt) -> None:
    """The source's API server took every object, so the target's does."""
    bad = [
        f"{'/'.join(_key(outcome['ref']))}: {outcome['result']}: {outcome['reason']}"
        for outcome in rebuilt.report["outcomes"]
        if outcome["result"] in ("failed", "blocked")
    ]
    assert not bad, "\n".join(bad)


def test_owners_generated_again(rebuilt: Rebuilt, figures: Figures) -> None:
    """Each owner that came back and had generated objects of a kind has some again."""
    before, after = generated(rebuilt.source), generated(rebuilt.cluster)
    at_rest = [key for key, at in read_account(rebuilt).outward.items() if at == "spec.replicas"]
    awaited = [
        each
        for each in before
        if each[0] in rebuilt.cluster.objects and not _is_of(each[0], at_rest)
    ]
    lacking = [f"{'/'.join(owner)}: no {kind}" for owner, kind in awaited if not after[owner, kind]]
    fewer = sum(after[each] < before[each] for each in awaited)
    figures(
        f"owners: {len(awaited)} pairs of owner and generated kind, {len(lacking)} lack all, "
        f"{fewer} have fewer than before"
    )
    assert not lacking, "\n".join(lacking)


def _is_of(owner: Key, workloads: Collection[Key]) -> bool:
    """Whether it is a workload that is held at zero, or a ReplicaSet of one."""
    _, kind, namespace, name = owner
    return owner in workloads or any(
        kind == "ReplicaSet" and (namespace, name.rpartition("-")[0]) == (space, workload)
        for _, _, space, workload in workloads
    )


def test_nothing_is_there_that_was_not_before(rebuilt: Rebuilt, figures: Figures) -> None:
    """Beside what controllers generate under names of their own."""
    account = read_account(rebuilt)
    extra = list(_extra(rebuilt.source, rebuilt.cluster, account))
    assert not extra, "\n".join(extra)


def _extra(source: Cluster, cluster: Cluster, account: Account) -> Iterator[str]:
    for key, body in sorted(cluster.objects.items()):
        if key not in source.objects and not account.explains(key, body):
            yield "/".join(key)
