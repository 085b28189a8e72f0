"""Why a workload is not ready, in the words of whoever knows: its pods, or an event."""

from __future__ import annotations

from typing import Any

import pytest
from fake_api import FakeApi, listed, refusal, reply

from gitops_dr.cluster.connect import Connection
from gitops_dr.engine.unready import with_causes
from gitops_dr.model import Action, Outcome, Result, parse_ref

SETS = "/apis/apps/v1/namespaces/shop/replicasets"
PODS = "/api/v1/namespaces/shop/pods"
EVENTS = "/api/v1/namespaces/shop/events"


def late(text: str, result: Result = Result.UNREADY) -> Outcome:
    return Outcome(parse_ref(text), Action.CREATE, result, "0 of 1 replicas are available")


def made(name: str, kind: str = "", owner: str = "", **parts: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if owner:
        metadata["ownerReferences"] = [
            {"kind": "Other", "name": "x"},
            {"kind": kind, "name": owner, "controller": True},
        ]
    return {"metadata": metadata, **parts}


def warning(kind: str, name: str, message: str, at: str = "2026-01-01T00:00:00Z") -> Any:
    about = {"kind": kind, "name": name}
    return {"metadata": {}, "involvedObject": about, "message": message, "lastTimestamp": at}


UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes available"}],
}
NO_IMAGE = {
    "phase": "Pending",
    "containerStatuses": [
        {
            "name": "web",
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": 'pulling "shop:1"'}},
        }
    ],
}
RUNS = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


@pytest.fixture
def tells(api: FakeApi, connection: Connection) -> Any:
    """What is said of an outcome in a namespace that has these."""

    def say(text: str, *, sets: Any = (), pods: Any = (), events: Any = ()) -> str:
        api.on(SETS, reply(listed(*sets)))
        api.on(PODS, reply(listed(*pods)))
        api.on(EVENTS, reply(listed(*events)))
        (outcome,) = with_causes(connection, [late(text)])
        return outcome.reason.removeprefix("0 of 1 replicas are available").removeprefix("; ")

    return say


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (UNSCHEDULABLE, "Pod web-1-a: 0/3 nodes available"),
        (NO_IMAGE, 'Pod web-1-a: container web: ImagePullBackOff: pulling "shop:1"'),
    ],
)
def test_a_deployment_has_its_pods_reason(tells: Any, status: Any, says: str) -> None:
    sets = [made("web-1", "Deployment", "web"), made("api-1", "Deployment", "api")]
    pods = [
        made("api-1-a", "ReplicaSet", "api-1", status={"phase": "Failed"}),
        made("web-1-b", "ReplicaSet", "web-1", status=RUNS),
        made("web-1-a", "ReplicaSet", "web-1", status=status),
    ]
    assert tells("Deployment.apps/shop/web", sets=sets, pods=pods) == says


@pytest.mark.parametrize("kind", ["StatefulSet.apps", "DaemonSet.apps", "Job.batch"])
def test_what_has_its_pods_itself(tells: Any, kind: str) -> None:
    pods = [made("web-0", kind.partition(".")[0], "web", status=UNSCHEDULABLE)]
    assert tells(f"{kind}/shop/web", pods=pods) == "Pod web-0: 0/3 nodes available"


def test_where_the_pod_only_waits_its_newest_event_knows_why(tells: Any) -> None:
    pods = [made("web-0", "StatefulSet", "web", status={"phase": "Pending"})]
    events = [
        warning("Pod", "web-0", "MountVolume failed:\n no such share", "2026-01-01T00:00:02Z"),
        warning("Pod", "web-0", "old", "2026-01-01T00:00:01Z"),
        warning("Pod", "other", "another", "2026-01-01T00:00:03Z"),
    ]
    said = tells("StatefulSet.apps/shop/web", pods=pods, events=events)
    assert said == "Pod web-0: is Pending and not ready: MountVolume failed: no such share"


@pytest.mark.parametrize("about", [("Deployment", "web"), ("ReplicaSet", "web-1")])
def test_without_pods_it_is_said_of_whoever_should_make_them(tells: Any, about: Any) -> None:
    events = [warning(*about, "exceeded quota: pods")]
    sets = [made("web-1", "Deployment", "web")]
    assert tells("Deployment.apps/shop/web", sets=sets, events=events) == "exceeded quota: pods"


def test_a_pod_is_not_named_twice(tells: Any) -> None:
    assert tells("Pod/shop/web", pods=[made("web", status=UNSCHEDULABLE)]) == "0/3 nodes available"


def test_where_nobody_says_anything_the_outcome_stays(tells: Any) -> None:
    assert tells("Deployment.apps/shop/web") == ""


def test_a_reason_that_is_there_is_not_said_again(api: FakeApi, connection: Connection) -> None:
    api.on(SETS, reply(listed()))
    api.on(PODS, reply(listed()))
    api.on(EVENTS, reply(listed(warning("Job", "a", "replicas are available"))))
    outcome = late("Job.batch/shop/a")
    assert list(with_causes(connection, [outcome])) == [outcome]


def test_a_namespace_is_asked_for_once(api: FakeApi, connection: Connection) -> None:
    for path in (SETS, PODS, EVENTS):
        api.on(path, reply(listed()))
    outcomes = [late("Job.batch/shop/a"), late("Job.batch/shop/b")]
    assert list(with_causes(connection, outcomes)) == outcomes
    assert len(api.requests) == 3
    assert api.asked(EVENTS)[0].query["fieldSelector"] == "type=Warning"


def test_a_cluster_that_does_not_answer_is_not_asked_for_each(
    api: FakeApi, connection: Connection
) -> None:
    api.on(SETS, refusal(403, "Forbidden", "no"))
    outcomes = [late("Job.batch/shop/a"), late("Job.batch/shop/b"), late("Job.batch/bank/b")]
    assert list(with_causes(connection, outcomes)) == outcomes
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    "outcome",
    [late("Job.batch/shop/a", Result.DONE), late("PersistentVolumeClaim/shop/a")],
    ids=str,
)
def test_of_others_nobody_is_asked(api: FakeApi, connection: Connection, outcome: Outcome) -> None:
    assert list(with_causes(connection, [outcome])) == [outcome]
    assert api.requests == []
