"""What must be stopped in a cluster so that nothing of it writes: tables over live objects."""

from __future__ import annotations

from typing import Any

import pytest

from gitops_dr.desired.fence import (
    Found,
    Stop,
    Stoppable,
    as_before,
    find,
    given_back,
    merged,
)
from gitops_dr.desired.outward import shipped_rows
from gitops_dr.desired.target import Kept
from gitops_dr.manifests.selector import ObjectSelector
from gitops_dr.model import Ref

CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
WEB = Ref("apps", "Deployment", "shop", "web")


def template(image: str = "main:1", *volumes: Any, **labels: str) -> Any:
    spec = {"containers": [{"name": "main", "image": image}], "volumes": list(volumes)}
    return {"metadata": {"labels": labels or {"app": "web"}}, "spec": spec}


def workload(replicas: int | None, *volumes: Any, image: str = "main:1", **more: Any) -> Any:
    spec = {"template": template(image, *volumes), **more}
    if replicas is not None:
        spec["replicas"] = replicas
    return spec


def body(ref: Ref, spec: Any, *, owner: str = "", phase: str = "", labels: Any = None) -> Any:
    metadata: dict[str, Any] = {"name": ref.name, "namespace": ref.namespace}
    if owner:
        api, _, kind = owner.rpartition("/")
        metadata["ownerReferences"] = [{"apiVersion": api, "kind": kind, "controller": True}]
    if labels:
        metadata["labels"] = labels
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def ref(kind: str, name: str = "x", namespace: str = "shop") -> Ref:
    kind, _, group = kind.partition(".")
    return Ref(group, kind, namespace, name)


POD = ref("Pod")
SET = ref("StatefulSet.apps")
CRON = ref("CronJob.batch")
JOB = ref("Job.batch")

# what is there, what it is patched with (None: left alone), whether it may write
ONE = [
    pytest.param(WEB, body(WEB, workload(3)), {"spec": {"replicas": 0}}, False, id="no claims"),
    pytest.param(WEB, body(WEB, workload(3, CLAIM)), {"spec": {"replicas": 0}}, True, id="claims"),
    pytest.param(WEB, body(WEB, workload(0, CLAIM)), None, False, id="at zero already"),
    pytest.param(
        WEB, body(WEB, workload(None, CLAIM)), {"spec": {"replicas": 0}}, True, id="the default"
    ),
    pytest.param(
        SET,
        body(SET, workload(1, volumeClaimTemplates=[{}])),
        {"spec": {"replicas": 0}},
        True,
        id="claims of its own",
    ),
    pytest.param(
        ref("ReplicaSet.apps"),
        body(ref("ReplicaSet.apps"), workload(3, CLAIM), owner="apps/v1/Deployment"),
        None,
        False,
        id="a replica set of a deployment follows it",
    ),
    pytest.param(
        ref("ReplicaSet.apps"),
        body(ref("ReplicaSet.apps"), workload(3, CLAIM)),
        {"spec": {"replicas": 0}},
        True,
        id="a replica set of its own",
    ),
    pytest.param(
        JOB,
        body(JOB, {"template": template("i", CLAIM), "suspend": False}, owner="batch/v1/CronJob"),
        {"spec": {"suspend": True}},
        True,
        id="a job runs on though its cron job is suspended",
    ),
    pytest.param(
        CRON,
        body(CRON, {"suspend": False, "jobTemplate": {"spec": {"template": template()}}}),
        {"spec": {"suspend": True}},
        False,
        id="a cron job",
    ),
    pytest.param(POD, body(POD, {"volumes": [CLAIM]}, phase="Running"), None, True, id="a pod"),
    pytest.param(POD, body(POD, {"volumes": [CLAIM]}, phase="Pending"), None, True, id="to come"),
    pytest.param(POD, body(POD, {"volumes": [CLAIM]}, phase="Failed"), None, False, id="ended"),
    pytest.param(POD, body(POD, {"volumes": []}, phase="Running"), None, False, id="no volume"),
    pytest.param(
        ref("Deployment.apps", namespace="kube-system"),
        body(ref("Deployment.apps", namespace="kube-system"), workload(2, CLAIM)),
        None,
        False,
        id="the cluster's own",
    ),
    pytest.param(
        ref("CronJob.batch", namespace="gitops-dr"),
        body(ref("CronJob.batch", namespace="gitops-dr"), {"suspend": False}),
        None,
        False,
        id="ours",
    ),
    pytest.param(
        WEB,
        body(WEB, workload(1, image="registry.k8s.io/sig-storage/csi-provisioner:v5@sha256:0")),
        None,
        False,
        id="without it no snapshot could be made",
    ),
    pytest.param(
        ref("Kustomization.kustomize.toolkit.fluxcd.io"),
        body(ref("Kustomization.kustomize.toolkit.fluxcd.io"), {"interval": "1m"}),
        {"spec": {"suspend": True}},
        False,
        id="what acts outward",
    ),
    pytest.param(ref("DaemonSet.apps"), body(ref("DaemonSet.apps"), {}), None, False, id="no rule"),
]


@pytest.mark.parametrize(("what", "live", "patch", "writes"), ONE)
def test_one_object(what: Ref, live: Any, patch: Any, writes: bool) -> None:
    asked = Stoppable(outward=shipped_rows(), ours="gitops-dr")
    found = find([(what, live)], asked)
    metadata = {"name": what.name, "namespace": what.namespace}
    assert [stop.patch for stop in found.stops] == (
        [] if patch is None else [{"metadata": metadata, **patch}]
    )
    assert found.writers == ((what,) if writes else ())
    acts = what.kind in ("CronJob", "Kustomization") and patch is not None
    assert found.acting == ((what,) if acts else ())


def test_what_is_held_does_not_act() -> None:
    held = body(CRON, {"suspend": True, "jobTemplate": {"spec": {"template": template()}}})
    assert find([(CRON, held)], Stoppable(outward=shipped_rows())) == Found()


def test_what_people_keep_and_what_the_api_server_asks_goes_on() -> None:
    kept = Kept(ObjectSelector(kind="Deployment", name="watch"), "It watches.")
    asked = Stoppable(kept=(kept,), behind=(("shop", {"app": "hook"}),))
    watch, hook = ref("Deployment.apps", "watch"), ref("Deployment.apps", "hook")
    behind = workload(1)
    behind["template"] = template("main:1", app="hook")
    bodies = [(watch, body(watch, workload(1))), (hook, body(hook, behind))]
    assert find(bodies, asked).stops == ()
    assert len(find(bodies, Stoppable()).stops) == 2


def test_what_scales_one_is_paused_only_where_that_rests() -> None:
    scaler = ref("ScaledObject.keda.sh")
    about = body(scaler, {"scaleTargetRef": {"name": "web"}})
    found = find([(scaler, about), (WEB, body(WEB, workload(2)))], Stoppable())
    assert [stop.ref for stop in found.stops] == [WEB, scaler]
    kept = Kept(ObjectSelector(name="web"), "It watches.")
    assert (
        find([(scaler, about), (WEB, body(WEB, workload(2)))], Stoppable(kept=(kept,))).stops == ()
    )


def test_what_was_is_given_back() -> None:
    scaler = ref("ScaledObject.keda.sh")
    about = body(scaler, {"scaleTargetRef": {"name": "web"}})
    found = find([(scaler, about), (WEB, body(WEB, workload(2)))], Stoppable())
    was = {stop.ref: stop.was for stop in found.stops}
    assert was[WEB] == {"spec.replicas": 2}
    assert given_back(WEB, was[WEB])["spec"] == {"replicas": 2}
    paused = given_back(scaler, was[scaler])
    assert list(paused["metadata"]["annotations"].values()) == [None]


BEFORE = [
    ({"spec": {"replicas": 0, "x": 1}}, {"spec.replicas": 3}, {"spec": {"replicas": 3, "x": 1}}),
    ({"spec": {"x": 1}}, {"spec.replicas": 3}, {"spec": {"x": 1}}),
    ({"spec": {"suspend": True}}, {"spec.suspend": None}, {}),
    ({"spec": {"suspend": True, "x": 1}}, {"spec.suspend": None}, {"spec": {"x": 1}}),
    ({"spec": {"replicas": 0}}, {}, {"spec": {"replicas": 0}}),
]


@pytest.mark.parametrize(("live", "was", "expected"), BEFORE)
def test_a_stopped_object_as_it_was(live: Any, was: Any, expected: Any) -> None:
    assert as_before(live, was) == expected


def test_the_first_note_of_how_it_was_counts() -> None:
    """A run that goes on sees zero, and must not take that for how it was."""
    before = {WEB: {"spec.replicas": 3}}
    again = Stop(WEB, {}, {"spec.replicas": 1, "metadata.annotations.x": None})
    other = Stop(SET, {}, {"spec.replicas": 2})
    assert merged(before, [again, other]) == {
        WEB: {"spec.replicas": 3, "metadata.annotations.x": None},
        SET: {"spec.replicas": 2},
    }
