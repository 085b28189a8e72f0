"""Each row of a plan's checks: plain where something is wrong, and silent by a hair beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from checks.plan_samples import (
    HOOK,
    NODE,
    ONE,
    SNAPSHOTS,
    Case,
    claim,
    config_map,
    facts,
    found,
    hook,
    on,
    quota,
    required,
    seen,
    service,
    with_requests,
    workload,
)
from checks.rights_cases import CASES as RIGHTS
from checks.rights_cases import DEFINITION, RBAC
from checks.storage_cases import CASES as STORAGE

from gitops_dr.checks.demand import Demand
from gitops_dr.checks.facts import SnapshotFacts
from gitops_dr.checks.findings import Severity
from gitops_dr.checks.needs import Need
from gitops_dr.checks.of_cluster import MOST_SKEW
from gitops_dr.checks.of_plan import PLAN_ROWS, check_plan
from gitops_dr.checks.of_pods import quantity
from gitops_dr.checks.plan_facts import PlanFacts, Storage
from gitops_dr.model import Gap, Holder, Ref

WEB = Ref("apps", "Deployment", "shop", "web")
TAINTED = replace(NODE, taints=(("gpu", "yes", "NoSchedule"),))
FREE = {"count/configmaps": "2"}
IN_X = {"matchLabels": {"kubernetes.io/metadata.name": "other"}}
CONTENT = Ref(SNAPSHOTS, "VolumeSnapshotContent", "", "c")
VOLUME = Ref("", "PersistentVolume", "", "pv")
PORT = {"ports": [{"port": 80, "nodePort": 30001}]}
PORTS = {(30001, "TCP"): Ref("", "Service", "other", "first")}
RANGE = ("10.96.0.0/16", "fd00::/108")
CSI = Storage(provisioners={"fast": "d.csi"}, drivers=frozenset({"d.csi"}), nodes={"d.csi": 1})
OF_HOOK = "w.example.com must answer, and nothing is behind Service/x/s; it would stop "

CASES: dict[str, Callable[[], Case]] = {
    **RIGHTS,
    **STORAGE,
    "another version": lambda: (
        facts(config_map(), source_version="v1.36.0"),
        "version|warning: target: runs Kubernetes v1.37.2, which is newer than the source's v1.36",
        facts(config_map(), source_version="v1.37.9"),
    ),
    "a kind that is not served": lambda: (
        facts(refused={WEB: "not served"}),
        "api-versions|warning: Deployment.apps/shop/web: not served; it is a gap",
        facts(),
    ),
    "a version that moved": lambda: (
        facts(rewritten={WEB: "apps/v2"}),
        (
            "api-versions|warning: Deployment.apps/shop/web: the target does not serve Git's "
            "version any more; it is made as apps/v2"
        ),
        facts(),
    ),
    "a permission": lambda: (
        facts(seen=seen(user="alice", missing=(Need("apps", "deployments", "create", "shop"),))),
        "permissions|warning: alice: may not create deployments.apps in shop",
        facts(seen=seen(user="alice", missing=())),
    ),
    "somebody at work": lambda: (
        facts(seen=seen(holder=Holder("r", "h", "bob", 7, "gitops-dr sync", "2026-11-22"))),
        "alone|warning: Lease gitops-dr/cluster: is held by bob@h",
        facts(),
    ),
    "a namespace that goes": lambda: (
        facts(config_map(), seen=seen(terminating={"shop": "finalizers"})),
        "namespaces|warning: Namespace/shop: is being deleted (finalizers), and 1 objects",
        facts(config_map(), seen=seen(terminating={"other": "finalizers"})),
    ),
    "a Secret that stays closed": lambda: (
        facts(blocked=(Gap(Ref("", "Secret", "shop", "s"), "no key"),)),
        "secrets|blocker: Secret/shop/s: no key",
        facts(blocked=()),
    ),
    "data that is not to be had": lambda: (
        facts(blocked=(Gap(Ref("", "PersistentVolumeClaim", "shop", "d"), "no snapshot"),)),
        "data|blocker: PersistentVolumeClaim/shop/d: no snapshot",
        facts(blocked=()),
    ),
    "a class": lambda: (
        facts(absent={Ref("x", "PriorityClass", "", "high"): (WEB,)}),
        (
            "classes|warning: PriorityClass.x/high: is neither in Git nor in the target; needed by "
            "Deployment.apps/shop/web"
        ),
        facts(absent={}),
    ),
    "a driver": lambda: (
        facts(
            claim(storageClassName="fast"),
            seen=seen(storage=replace(CSI, drivers=frozenset(), nodes={})),
        ),
        "storage|warning: CSIDriver/d.csi: is neither in Git nor in the target",
        facts(claim(storageClassName="fast"), seen=seen(storage=CSI)),
    ),
    "a driver that runs nowhere": lambda: (
        facts(
            claim(storageClassName="fast"),
            seen=seen(storage=replace(CSI, nodes={}, told_of=2)),
        ),
        "storage|warning: CSIDriver/d.csi: runs on none of the target's nodes",
        facts(
            claim(storageClassName="fast"),
            seen=seen(storage=replace(CSI, nodes={}, told_of=0)),
        ),
    ),
    "a driver that does not run yet": lambda: (
        facts(
            claim(storageClassName="fast"),
            seen=seen(storage=replace(CSI, nodes={"other": 2}, told_of=2)),
        ),
        "storage|warning: CSIDriver/d.csi: runs on none of the target's nodes",
        facts(
            claim(storageClassName="fast"),
            workload(kind="DaemonSet"),
            seen=seen(storage=replace(CSI, nodes={"other": 2}, told_of=2)),
        ),
    ),
    "no default class": lambda: (
        facts(claim(), seen=seen(storage=CSI)),
        (
            "storage|warning: PersistentVolumeClaim/shop/data: names no StorageClass, and the "
            "target has no default"
        ),
        facts(claim(), seen=seen(storage=replace(CSI, default_classes=("fast",)))),
    ),
    "two default classes": lambda: (
        facts(claim(), seen=seen(storage=replace(CSI, default_classes=("a", "b")))),
        (
            "storage|warning: PersistentVolumeClaim/shop/data: names no StorageClass, and the "
            "target has 2 defaults"
        ),
        # That of a static volume makes nobody anything.
        facts(claim(volumeName="pv"), seen=seen(storage=replace(CSI, default_classes=("a", "b")))),
    ),
    "nodes that take no more volumes": lambda: (
        facts(
            claim(storageClassName="fast"),
            seen=seen(storage=replace(CSI, limits={"d.csi": 3}, attached={"d.csi": 3})),
        ),
        (
            "storage|warning: CSIDriver/d.csi: its nodes take 3 volumes, 3 are there, and the plan "
            "needs 1 more"
        ),
        facts(
            claim(storageClassName="fast"),
            seen=seen(storage=replace(CSI, limits={"d.csi": 4}, attached={"d.csi": 3})),
        ),
    ),
    "snapshots that nobody serves": lambda: (
        facts(claim(), restored=ONE, seen=seen(snapshots=SnapshotFacts(served=False))),
        "snapshots|blocker: snapshot.storage.k8s.io/v1: is not served",
        facts(
            claim(),
            restored=ONE,
            brings_snapshots=True,
            seen=seen(snapshots=SnapshotFacts(served=False)),
        ),
    ),
    "a snapshot that nobody looks at": lambda: (
        facts(restored=ONE, seen=seen(snapshots=SnapshotFacts(served=True, untouched=("a/b",)))),
        "snapshots|warning: VolumeSnapshot a/b: nobody has looked at it",
        facts(restored={}, seen=seen(snapshots=SnapshotFacts(served=True, untouched=("a/b",)))),
    ),
    "a controller that is gone": lambda: (
        facts(restored=ONE, seen=seen(snapshots=SnapshotFacts(served=True, leader="gone"))),
        "snapshots|warning: snapshot controller: gone",
        facts(restored=ONE, seen=seen(snapshots=SnapshotFacts(served=True))),
    ),
    "a content that deletes": lambda: (
        facts((CONTENT, {"spec": {"source": {"snapshotHandle": "h"}, "deletionPolicy": "Delete"}})),
        (
            "snapshot-contents|blocker: VolumeSnapshotContent.snapshot.storage.k8s.io/c: takes "
            "snapshot h along"
        ),
        facts((CONTENT, {"spec": {"source": {"snapshotHandle": "h"}, "deletionPolicy": "Retain"}})),
    ),
    "a volume of two clusters": lambda: (
        facts((VOLUME, {"spec": {"csi": {"volumeHandle": "vol-1"}}}), elsewhere=True),
        "shared-volumes|warning: PersistentVolume/pv: names volume vol-1, which is the source's",
        facts((VOLUME, {"spec": {"csi": {"volumeHandle": "vol-1"}}}), elsewhere=False),
    ),
    "a quota of objects": lambda: (
        facts(
            config_map("a"),
            config_map("b"),
            seen=seen(quotas=(quota(FREE, {"count/configmaps": "1"}),)),
        ),
        (
            "quotas|warning: ResourceQuota/shop/q: 1 of 2 count/configmaps is used, and the plan "
            "needs 2 more"
        ),
        facts(config_map("a"), seen=seen(quotas=(quota(FREE, {"count/configmaps": "1"}),))),
    ),
    "a quota of processors": lambda: (
        facts(with_requests(3, cpu="500m"), seen=seen(quotas=(quota({"requests.cpu": "1"}, {}),))),
        (
            "quotas|warning: ResourceQuota/shop/q: 0 of 1 requests.cpu is used, and the plan needs "
            "1500m more"
        ),
        facts(with_requests(2, cpu="500m"), seen=seen(quotas=(quota({"requests.cpu": "1"}, {}),))),
    ),
    "a quota of storage": lambda: (
        facts(claim(size="2Gi"), seen=seen(quotas=(quota({"requests.storage": "1Gi"}, {}),))),
        (
            "quotas|warning: ResourceQuota/shop/q: 0 of 1Gi requests.storage is used, and the plan "
            "needs 2Gi more"
        ),
        facts(claim(size="1Gi"), seen=seen(quotas=(quota({"requests.storage": "1Gi"}, {}),))),
    ),
    "a quota of one class": lambda: (
        facts(
            claim(storageClassName="fast"),
            seen=seen(
                storage=CSI,
                quotas=(
                    quota({"fast.storageclass.storage.k8s.io/persistentvolumeclaims": "0"}, {}),
                ),
            ),
        ),
        (
            "quotas|warning: ResourceQuota/shop/q: 0 of 0 fast.storageclass.storage.k8s.io/"
            "persistentvolumeclaims is used, and the plan needs 1 more"
        ),
        facts(
            claim(storageClassName="fast"),
            seen=seen(
                storage=CSI,
                quotas=(
                    quota({"slow.storageclass.storage.k8s.io/persistentvolumeclaims": "0"}, {}),
                ),
            ),
        ),
    ),
    "a quota of node ports": lambda: (
        facts(
            service(type="NodePort"), seen=seen(quotas=(quota({"services.nodeports": "0"}, {}),))
        ),
        "quotas|warning: ResourceQuota/shop/q: 0 of 0 services.nodeports is used",
        facts(
            service(type="ClusterIP"), seen=seen(quotas=(quota({"services.nodeports": "0"}, {}),))
        ),
    ),
    "a quota of pods": lambda: (
        facts(with_requests(3), seen=seen(quotas=(quota({"pods": "2"}, {}),))),
        "quotas|warning: ResourceQuota/shop/q: 0 of 2 pods is used, and the plan needs 3 more",
        # Of some pods only: whose they are cannot be told.
        facts(
            with_requests(3), seen=seen(quotas=(quota({"pods": "2"}, {}, scopes=["Terminating"]),))
        ),
    ),
    "no node": lambda: (
        facts(workload(), seen=seen(nodes=())),
        "nodes|warning: Deployment.apps/shop/web: no node takes pods",
        facts(workload(replicas=0), seen=seen(nodes=())),
    ),
    "a label that no node has": lambda: (
        facts(workload(nodeSelector={"zone": "b"})),
        "nodes|warning: Deployment.apps/shop/web: no node has zone=b",
        facts(workload(nodeSelector={"zone": "a"})),
    ),
    "an affinity that no node meets": lambda: (
        facts(workload(affinity=required(on("zone", "NotIn", "a")))),
        "nodes|warning: Deployment.apps/shop/web: no node has zone NotIn a",
        facts(workload(affinity=required(on("zone", "In", "b", "a"), on("size", "Gt", "3")))),
    ),
    "a number that is too small": lambda: (
        facts(workload(affinity=required(on("size", "Gt", "4")))),
        "nodes|warning: Deployment.apps/shop/web: no node has size Gt 4",
        facts(workload(affinity=required(on("size", "Lt", "5"), on("none", "DoesNotExist")))),
    ),
    "a taint": lambda: (
        facts(workload(), seen=seen(nodes=(TAINTED,))),
        (
            "nodes|warning: Deployment.apps/shop/web: does not tolerate the taints of the nodes it "
            "may run on, such as gpu:NoSchedule"
        ),
        facts(
            workload(tolerations=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
            seen=seen(nodes=(TAINTED,)),
        ),
    ),
    "a taint of a DaemonSet's nodes": lambda: (
        facts(workload(kind="DaemonSet"), seen=seen(nodes=(TAINTED,))),
        "nodes|warning: DaemonSet.apps/shop/web: does not tolerate",
        facts(
            workload(kind="DaemonSet", tolerations=[{"operator": "Exists"}]),
            seen=seen(nodes=(TAINTED,)),
        ),
    ),
    "too little room": lambda: (
        facts(with_requests(3, cpu="2")),
        "capacity|warning: Node/n1: the pods ask for 6 of cpu, and there is 4",
        facts(with_requests(2, cpu="2")),
    ),
    "a pod that fits on no node": lambda: (
        facts(with_requests(1, memory="9Gi")),
        (
            "capacity|warning: Deployment.apps/shop/web: a pod asks for 9Gi of memory, and no node "
            "has more than 8Gi"
        ),
        facts(with_requests(1, memory="8Gi")),
    ),
    "an image": lambda: (
        facts(
            workload(containers=[{"image": "r.example.com/a:1"}]),
            seen=seen(images={"r.example.com/a:1": "is not in its registry"}),
        ),
        (
            "images|warning: image r.example.com/a:1: is not in its registry; needed by "
            "Deployment.apps/shop/web"
        ),
        facts(workload(containers=[{"image": "r.example.com/a:1"}]), seen=seen(images={})),
    ),
    "a level of security": lambda: (
        facts(
            workload(hostNetwork=True),
            seen=seen(namespaces={"shop": {"pod-security.kubernetes.io/enforce": "restricted"}}),
        ),
        (
            "pod-security|warning: Deployment.apps/shop/web: has hostNetwork, and Namespace/shop "
            "enforces restricted"
        ),
        facts(
            workload(hostNetwork=True),
            seen=seen(namespaces={"shop": {"pod-security.kubernetes.io/enforce": "privileged"}}),
        ),
    ),
    "a webhook that stops a part": lambda: (
        facts(config_map(), service(), seen=seen(hooks=(hook(),))),
        f"webhooks|warning: {HOOK}: its webhook {OF_HOOK}ConfigMap/shop/a",
        facts(service(), seen=seen(hooks=(hook(),))),
    ),
    "a webhook that stops everything": lambda: (
        facts(config_map("a"), config_map("b"), seen=seen(hooks=(hook(),))),
        f"webhooks|blocker: {HOOK}: its webhook {OF_HOOK}everything: ConfigMap/shop/a and 1 more",
        facts(config_map(), seen=seen(hooks=(hook(namespaces=IN_X),))),
    ),
    "a webhook about what nobody can tell": lambda: (
        facts(config_map(), seen=seen(hooks=(hook(selects_objects=True),))),
        f"webhooks|warning: {HOOK}: its webhook {OF_HOOK}ConfigMap/shop/a",
        facts(config_map(namespace="other"), seen=seen(hooks=(hook(rules=()),))),
    ),
    "a node port that is taken": lambda: (
        facts(service(**PORT), seen=seen(node_ports=PORTS)),
        (
            "addresses|warning: Service/shop/web: its node port 30001/TCP is taken by "
            "Service/other/first"
        ),
        facts(service(ports=[{"nodePort": 30001, "protocol": "UDP"}]), seen=seen(node_ports=PORTS)),
    ),
    "a health check port that is taken": lambda: (
        facts(service(healthCheckNodePort=30001), seen=seen(node_ports=PORTS)),
        "addresses|warning: Service/shop/web: its node port 30001/TCP is taken by",
        facts(service(healthCheckNodePort=30002), seen=seen(node_ports=PORTS)),
    ),
    "a node port that two want": lambda: (
        facts(service("a", **PORT), service("b", **PORT)),
        "addresses|warning: Service/shop/b: its node port 30001/TCP is asked for by Service/shop/a",
        facts(service("a", **PORT)),
    ),
    "an address that is taken": lambda: (
        facts(
            service(clusterIP="10.96.0.7"),
            seen=seen(cluster_ips={"10.96.0.7": Ref("", "Service", "other", "x")}, ranges=RANGE),
        ),
        "addresses|warning: Service/shop/web: its address 10.96.0.7 is taken by Service/other/x",
        facts(service(clusterIP="None"), seen=seen(ranges=RANGE)),
    ),
    "an address of another range": lambda: (
        facts(service(clusterIPs=["10.97.0.7"]), seen=seen(ranges=RANGE)),
        "addresses|warning: Service/shop/web: its address 10.97.0.7 is in no range of the target",
        facts(service(clusterIPs=["10.96.255.7", "fd00::7"]), seen=seen(ranges=RANGE)),
    ),
    "an address of a load balancer": lambda: (
        facts(service(type="LoadBalancer", loadBalancerIP="192.0.2.1"), elsewhere=True),
        "addresses|warning: Service/shop/web: its load-balancer address 192.0.2.1 is asked for",
        facts(service(type="LoadBalancer", loadBalancerIP="192.0.2.1")),
    ),
    "an external address": lambda: (
        facts(service(externalIPs=["192.0.2.7"]), elsewhere=True),
        "addresses|warning: Service/shop/web: its external address 192.0.2.7 is asked for, and",
        facts(service(externalIPs=["192.0.2.7"])),
    ),
    "a clock": lambda: (
        facts(config_map(), seen=seen(clock_ahead=MOST_SKEW + 7)),
        "clock|warning: target: its clock is 12 s ahead of ours",
        facts(config_map(), seen=seen(clock_ahead=-MOST_SKEW)),
    ),
    "a source that is at work": lambda: (
        facts(workload(), elsewhere=True, seen=seen(source="context prod")),
        (
            "source|warning: context prod: the source still answers, and the plan starts "
            "Deployment.apps/shop/web a second time"
        ),
        facts(workload(replicas=0), elsewhere=True, seen=seen(source="context prod")),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_told_by_its_row_alone(name: str) -> None:
    given, wanted, _ = CASES[name]()
    row, _, line = wanted.partition("|")
    told = found(given)
    assert list(told) == [row], told
    assert any(each.startswith(line) for each in told[row]), told


@pytest.mark.parametrize("name", CASES)
def test_a_near_miss_is_silent(name: str) -> None:
    given, _, near_miss = CASES[name]()
    assert found(near_miss) == {}
    assert found(given) != {}


def test_every_row_has_a_case_a_reason_and_a_link() -> None:
    assert {case()[1].partition("|")[0] for case in CASES.values()} == {r.id for r in PLAN_ROWS}
    for row in PLAN_ROWS:
        assert row.because.endswith(".")
        assert row.link.startswith("https://")


def test_a_row_that_blocks_says_when() -> None:
    blocks = {
        wanted.partition("|")[0]
        for _, wanted, _ in (case() for case in CASES.values())
        if "|blocker" in wanted
    }
    assert blocks == {row.id for row in PLAN_ROWS if row.blocks}


def test_what_we_may_not_look_at_is_not_known_and_stops_nothing() -> None:
    blind = seen(
        missing=None, nodes=None, quotas=None, node_ports=None, hooks=None,
        terminating=None, storage=None, rights=None, stored=None, snapshot_classes=None,
    )  # fmt: skip
    checks = check_plan(facts(workload(), service(**PORT), claim(), seen=blind))
    assert {one.id for one in checks if one.findings is None} == {
        "permissions", "escalation", "stored-versions", "namespaces", "storage",
        "storage-classes", "storage-room", "storage-backends", "quotas", "nodes", "capacity",
        "webhooks", "webhook-urls", "addresses",
    }  # fmt: skip
    assert not [one for one in checks if one.findings]


def test_what_is_there_already_is_asked_for_by_nobody() -> None:
    """Only what the plan creates counts, though more was looked at."""
    given = facts(workload(nodeSelector={"zone": "b"}), service(**PORT), claim())
    assert found(replace(given, creates={}, seen=seen(node_ports=PORTS))) == {}


def test_a_set_asks_for_the_claims_that_it_makes() -> None:
    template = {"metadata": {"name": "data"}, "spec": claim(size="2Gi")[1]["spec"]}
    ref, body = workload("db", "StatefulSet", replicas=3)
    body["spec"]["volumeClaimTemplates"] = [template]
    full = seen(quotas=(quota({"requests.storage": "4Gi"}, {}),))
    (line,) = found(facts((ref, body), seen=full))["quotas"]
    assert "the plan needs 6Gi more" in line
    # One of them is there, or comes by itself.
    there = Ref("", "PersistentVolumeClaim", "shop", "data-db-0")
    assert found(facts((ref, body), seen=full, present=frozenset({there}))) == {}
    (line,) = found(facts((ref, body), claim("data-db-0", size="1Gi"), seen=full))["quotas"]
    assert "the plan needs 5Gi more" in line


def test_a_quota_that_blocks_already_is_not_told_twice() -> None:
    full = quota({"requests.storage": "1Gi"}, {})
    gap = Gap(Ref("", "ResourceQuota", "shop", "q"), "no room")
    given = facts(claim(size="2Gi"), blocked=(gap,), seen=seen(quotas=(full,)))
    assert found(given) == {"data": ["blocker: ResourceQuota/shop/q: no room"]}


def test_init_containers_count_as_kubernetes_counts_them() -> None:
    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    ref, body = workload(
        containers=[container("1"), {"resources": {"limits": {"cpu": "500m"}}}],
        initContainers=[container("3"), container("250m", restartPolicy="Always")],
    )
    demand = Demand()
    demand.look(ref, body)
    assert demand.pods[ref].requests == {"cpu": Fraction(3)}
    assert demand.pods[ref].limits == {"cpu": Fraction(1, 2)}


ODD = (None, 3, "x", [], [None, 3, "x"], {}, {"x": None}, [{}], [{"x": 3}])


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_bodies_ask_for_nothing_and_break_nothing(odd: Any) -> None:
    demand = Demand()
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        for spec in (
            odd,
            {"template": odd, "volumeClaimTemplates": odd, "replicas": odd},
            {"template": {"spec": odd}},
            {"template": {"spec": {
                "containers": odd, "initContainers": odd, "nodeSelector": odd, "affinity": odd,
                "tolerations": odd, "imagePullSecrets": odd, "volumes": odd,
            }}},
            {"template": {"spec": {"containers": [{"resources": odd, "ports": odd}]}}},
            {"template": {"spec": {"containers": [{"image": odd}]}}},
            {"template": {"spec": {"affinity": required({"key": odd, "values": odd})}}},
        ):  # fmt: skip
            demand.look(Ref("apps", kind, "shop", "w"), {"spec": spec})
    for kind in ("Service", "PersistentVolumeClaim", "PersistentVolume", "ServiceAccount"):
        for spec in (
            odd,
            {"ports": odd, "clusterIPs": odd, "externalIPs": odd, "resources": odd, "csi": odd},
        ):
            demand.look(Ref("", kind, "shop", "w"), {"spec": spec, "imagePullSecrets": odd})
    demand.look(CONTENT, {"spec": {"source": odd}})
    for kind in ("Role", "ClusterRole"):
        for rule in (odd, {"verbs": odd, "resources": ["x"], "apiGroups": odd}):
            demand.look(Ref(RBAC, kind, "shop", "r"), {"rules": [rule], "aggregationRule": odd})
        demand.look(Ref(RBAC, kind, "shop", "r"), {"rules": odd})
        demand.look(Ref(RBAC, f"{kind}Binding", "shop", "b"), {"roleRef": odd})
        odd_role = {"kind": kind, "name": odd}
        demand.look(Ref(RBAC, f"{kind}Binding", "shop", "b"), {"roleRef": odd_role})
    for versions in (odd, [odd], [{"name": odd}]):
        demand.look(DEFINITION, {"spec": {"versions": versions}})
    asked = (demand.pods, demand.claims, demand.services, demand.roles, demand.bindings)
    creates = dict.fromkeys([ref for refs in asked for ref in refs], "things")
    changes = {DEFINITION: "things"}
    odd_seen = seen(node_ports=PORTS, ranges=RANGE, stored={DEFINITION: ("v1",)})
    check_plan(PlanFacts(demand, creates, changes=changes, seen=odd_seen))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("pods", 1024, "1024"),
        ("count/configmaps", 0, "0"),
        ("memory", 1024, "1Ki"),
        ("memory", 1025, "1025"),
        ("requests.storage", 3 * 1024**3, "3Gi"),
        ("memory", 5 * 1024**5, "5120Ti"),
        ("cpu", Fraction(3, 2), "1500m"),
        ("limits.cpu", 2, "2"),
    ],
)
def test_amounts_are_told_as_people_write_them(name: str, value: Any, text: str) -> None:
    assert quantity(name, Fraction(value)) == text


def test_the_worst_comes_first_in_nobodys_order() -> None:
    assert list(Severity) == [Severity.BLOCKER, Severity.WARNING]
