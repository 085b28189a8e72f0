"""What has not finished comes back held, or not at all; and the hold is told from other changes."""

import copy
from typing import Any

import pytest

from gitops_dr.drift.compare import field_changes
from gitops_dr.model import Difference, FieldChange, Presence, Ref
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.completion import (
    cannot_be_held,
    held,
    is_held_back,
    is_hold,
    release,
    runs_to_an_end,
)
from gitops_dr.rules.conditions import compile_when
from gitops_dr.rules.rows import CompletionRow, completion_rows

JOB = Ref("batch", "Job", "shop", "migrate")
POD = Ref("", "Pod", "shop", "once")
PIPELINE = Ref("tekton.dev", "PipelineRun", "ci", "build")
TASK = Ref("tekton.dev", "TaskRun", "ci", "build-1")
WORKFLOW = Ref("argoproj.io", "Workflow", "ci", "build")
TRAINING = Ref("kubeflow.org", "PyTorchJob", "ml", "train")
SPARK = Ref("sparkoperator.k8s.io", "SparkApplication", "ml", "sum")
CONFIG = Ref("", "ConfigMap", "shop", "a")
GATE = [{"name": "gitops-dr.dev/held"}]


def body(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "spec": spec}


HELD = [
    (JOB, body(suspend=False), "suspend", True),
    (JOB, body(), "suspend", True),
    (POD, body(restartPolicy="Never"), "schedulingGates", GATE),
    (POD, body(restartPolicy="OnFailure"), "schedulingGates", GATE),
    (PIPELINE, body(), "status", "PipelineRunPending"),
    (WORKFLOW, body(), "suspend", True),
    (TRAINING, body(), "runPolicy", {"suspend": True}),
    (TRAINING, body(runPolicy={"cleanPodPolicy": "All"}), "runPolicy", None),
    (SPARK, body(restartPolicy={"type": "Never"}), "suspend", True),
]


@pytest.mark.parametrize(("ref", "before", "field", "value"), HELD, ids=str)
def test_what_had_not_finished_is_held(ref: Ref, before: Any, field: str, value: Any) -> None:
    original = copy.deepcopy(before)
    after = held(ref, before)
    assert before == original, "the caller's body is left alone"
    if value is None:
        value = {"cleanPodPolicy": "All", "suspend": True}
    assert after["spec"][field] == value
    assert {k: v for k, v in after["spec"].items() if k != field} == {
        k: v for k, v in before["spec"].items() if k != field
    }
    assert held(ref, after) == after, "held twice is held once"


@pytest.mark.parametrize(
    ("ref", "before"),
    [
        pytest.param(JOB, body(suspend=True), id="suspended at the source"),
        pytest.param(PIPELINE, body(status="Cancelled"), id="being cancelled"),
        pytest.param(POD, body(restartPolicy="Always"), id="a pod that serves"),
        pytest.param(
            POD, body(restartPolicy="Never", schedulingGates=[{"name": "mine"}]), id="gated"
        ),
        pytest.param(SPARK, body(restartPolicy={"type": "Always"}), id="a stream"),
        pytest.param(CONFIG, body(suspend=False), id="another kind"),
        pytest.param(TASK, body(), id="a kind without a hold"),
    ],
)
def test_everything_else_stays_as_it_is(ref: Ref, before: Any) -> None:
    assert held(ref, before) is before


def test_a_kind_without_a_hold_is_not_brought_back() -> None:
    reason = cannot_be_held(TASK.group_kind)
    assert reason is not None
    assert "second time" in reason
    assert cannot_be_held(JOB.group_kind) is None
    assert cannot_be_held(CONFIG.group_kind) is None


def test_the_kind_with_the_same_name_in_another_group_is_another_kind() -> None:
    assert cannot_be_held(("velero.io", "Restore"))
    assert cannot_be_held(("example.com", "Restore")) is None


# -- the comparison afterwards ----------------------------------------------------------------


def difference(ref: Ref, git: Any, live: Any) -> Difference:
    changes = tuple(field_changes(git, live))
    return Difference(ref, Presence.MODIFIED, "path", changes)


@pytest.mark.parametrize(("ref", "before", "field", "value"), HELD, ids=str)
def test_a_held_object_differs_by_its_hold_alone(
    ref: Ref, before: Any, field: str, value: Any
) -> None:
    found = difference(ref, before, held(ref, before))
    assert is_held_back(found)
    assert all(is_hold(ref, change) for change in found.changes)
    path = release(ref)
    assert path is not None
    assert path.split(".")[1] == field
    more = copy.deepcopy(held(ref, before))
    more["metadata"]["labels"] = {"a": "b"}
    assert not is_held_back(difference(ref, before, more))


@pytest.mark.parametrize(
    ("ref", "change"),
    [
        (JOB, FieldChange("spec.suspend", "replace", old=True, new=False)),
        (JOB, FieldChange("spec.suspend", "remove", old=True)),
        (JOB, FieldChange("spec.parallelism", "replace", old=1, new=True)),
        (PIPELINE, FieldChange("spec.status", "add", new="Cancelled")),
        (TRAINING, FieldChange("spec.runPolicy", "add", new={"suspend": True, "x": 1})),
        (POD, FieldChange("spec.schedulingGates", "add", new=[{"name": "mine"}])),
        (CONFIG, FieldChange("spec.suspend", "add", new=True)),
    ],
    ids=str,
)
def test_another_change_is_no_hold(ref: Ref, change: FieldChange) -> None:
    assert not is_hold(ref, change)
    assert not is_held_back(Difference(ref, Presence.MODIFIED, "path", (change,)))


def test_what_is_missing_is_not_held_back() -> None:
    assert not is_held_back(Difference(JOB, Presence.MISSING, "path"))
    assert not is_held_back(Difference(JOB, Presence.MODIFIED, "path"))


# -- the rows ---------------------------------------------------------------------------------

UNFINISHED: dict[str, Any] = {
    "metadata": {"name": "x", "namespace": "y"},
    "spec": {},
    "status": {
        "phase": "InProgress",
        "finished": False,
        "state": "Restoring",
        "jobDeploymentStatus": "Running",
        "applicationState": {"state": "RUNNING"},
        "restoreCompletionTs": "",
        "conditions": [
            {"type": "Succeeded", "status": "Unknown"},
            {"type": "Complete", "status": "False"},
            {"type": "Completed", "status": "False"},
            {"type": "Failed", "status": "False"},
        ],
    },
}


def kinds() -> list[tuple[str, str]]:
    return [
        (name.partition(".")[2], name.partition(".")[0])
        for r in completion_rows()
        for name in r.kinds
    ]


@pytest.mark.parametrize("group_kind", kinds(), ids=str)
def test_what_still_runs_or_has_not_begun_is_exported(group_kind: tuple[str, str]) -> None:
    rules = rules_for(*group_kind)
    assert rules.omission(UNFINISHED) is None
    assert rules.omission({"metadata": {"name": "x"}, "spec": {}}) is None


def test_a_kind_is_in_one_row_only() -> None:
    assert len(set(kinds())) == len(kinds())


@pytest.mark.parametrize("row", completion_rows(), ids=lambda row: row.id)
def test_every_row_says_when_it_is_over(row: CompletionRow) -> None:
    assert compile_when(row.finished) is not None
    if row.hold:
        compile_when(row.hold.when)
        assert row.hold.value, "an empty value could not be told from no hold"


def test_pods_as_such_do_not_run_to_an_end() -> None:
    assert runs_to_an_end(("batch", "Job"))
    assert runs_to_an_end(("tekton.dev", "TaskRun"))
    assert not runs_to_an_end(("", "Pod"))
    assert not runs_to_an_end(("apps", "Deployment"))
