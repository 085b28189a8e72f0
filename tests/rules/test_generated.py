"""What operators had made is noted, and seen to be missing when an operator is dead."""

from typing import Any

import pytest

from gitops_dr.model import ANY, Entry, Gap, Ref, State
from gitops_dr.rules.relations import generated_kinds, not_generated
from gitops_dr.rules.rows import relation_rows

CLUSTER = Ref("postgresql.cnpg.io", "Cluster", "shop", "db")
POD = Ref("", "Pod", "shop", "db-1")
SERVICE = Ref("", "Service", "shop", "db-rw")
KSVC = Ref("serving.knative.dev", "Service", "shop", "web")
CONFIGURATION = Ref("serving.knative.dev", "Configuration", "shop", "web")
REVISION = Ref("serving.knative.dev", "Revision", "shop", "web-1")
DEPLOYMENT = Ref("apps", "Deployment", "shop", "web-1")
REPLICA_SET = Ref("apps", "ReplicaSet", "shop", "web-1-x")
WEB_POD = Ref("", "Pod", "shop", "web-1-x-y")
CRON_JOB = Ref("batch", "CronJob", "shop", "nightly")
JOB = Ref("batch", "Job", "shop", "nightly-1")
CRON_WORKFLOW = Ref("argoproj.io", "CronWorkflow", "ci", "nightly")
WORKFLOW = Ref("argoproj.io", "Workflow", "ci", "nightly-1")
WORKFLOW_POD = Ref("", "Pod", "ci", "nightly-1-a")
RUNNERS = Ref("actions.github.com", "EphemeralRunnerSet", "ci", "set")
RUNNER = Ref("actions.github.com", "EphemeralRunner", "ci", "set-1")


@pytest.mark.parametrize(
    ("owner_of", "exported", "expected"),
    [
        pytest.param({}, set(), {}, id="nothing"),
        pytest.param(
            {SERVICE: CLUSTER, POD: CLUSTER},
            {CLUSTER},
            {CLUSTER: (("", "Pod"), ("", "Service"))},
            id="each kind once, sorted",
        ),
        pytest.param(
            {CONFIGURATION: KSVC, REVISION: CONFIGURATION, DEPLOYMENT: REVISION}
            | {REPLICA_SET: DEPLOYMENT, WEB_POD: REPLICA_SET},
            {KSVC},
            {
                KSVC: (
                    ("apps", "Deployment"),
                    ("serving.knative.dev", "Configuration"),
                    ("serving.knative.dev", "Revision"),
                )
            },
            id="below generated custom resources, not below Kubernetes' own kinds",
        ),
        pytest.param(
            {REPLICA_SET: DEPLOYMENT, WEB_POD: REPLICA_SET},
            {DEPLOYMENT},
            {},
            id="Kubernetes' own controllers are told by readiness",
        ),
        pytest.param({JOB: CRON_JOB}, {CRON_JOB}, {}, id="a CronJob's Jobs breathe"),
        pytest.param(
            {WORKFLOW: CRON_WORKFLOW, WORKFLOW_POD: WORKFLOW},
            {CRON_WORKFLOW, WORKFLOW},
            {},
            id="what runs to an end, and its pods",
        ),
        pytest.param({RUNNER: RUNNERS}, {RUNNERS}, {}, id="a breathing kind"),
        pytest.param({POD: CLUSTER}, set(), {}, id="an owner that is not exported"),
        pytest.param({KSVC: CONFIGURATION, CONFIGURATION: KSVC}, set(), {}, id="a cycle"),
    ],
)
def test_what_is_noted(owner_of: Any, exported: Any, expected: Any) -> None:
    assert generated_kinds(owner_of, exported) == expected


def state(*refs: Ref, gaps: tuple[Gap, ...] = ()) -> State:
    return State({ref: Entry("f", "p", "v1") for ref in refs}, gaps=gaps)


RECORDED = {CLUSTER: (("", "Pod"), ("", "Service"))}


@pytest.mark.parametrize(
    ("observed", "now", "missing"),
    [
        pytest.param(state(CLUSTER), {}, [("", "Pod"), ("", "Service")], id="a dead operator"),
        pytest.param(state(CLUSTER), {CLUSTER: (("", "Pod"),)}, [("", "Service")], id="half of it"),
        pytest.param(state(CLUSTER), RECORDED, [], id="all there again"),
        pytest.param(
            state(CLUSTER), {CLUSTER: (*RECORDED[CLUSTER], ("", "Secret"))}, [], id="and more"
        ),
        pytest.param(state(), {}, [], id="the owner itself is missing"),
        pytest.param(
            state(CLUSTER, gaps=(Gap(Ref("", "Pod", "", ANY), "403"),)),
            {},
            [("", "Service")],
            id="pods cannot be listed",
        ),
        pytest.param(
            state(CLUSTER, gaps=(Gap(Ref("", ANY, "", ANY), "down"),)), {}, [], id="a group is down"
        ),
        pytest.param(
            state(CLUSTER, gaps=(Gap(POD, "one file"),)),
            {},
            [("", "Pod"), ("", "Service")],
            id="one of them is a gap",
        ),
    ],
)
def test_what_is_missed(observed: State, now: Any, missing: Any) -> None:
    assert not_generated(RECORDED, observed, now) == [(CLUSTER, kind) for kind in missing]


def test_the_breathing_kinds_are_kinds() -> None:
    row = next(row for row in relation_rows() if row.relation == "controller-owner")
    assert "EphemeralRunner.actions.github.com" in row.breathing
