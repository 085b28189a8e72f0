"""Which commands run in which pods around which snapshots, and what is said of all others."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitops_dr.model import Ref
from gitops_dr.volumes.hooks import (
    Freeze,
    HookPlan,
    PodHooks,
    claims_of,
    parse_command,
    parse_timeout,
    plan_hooks,
)
from gitops_dr.volumes.policy import NO_POLICY, Hook, OnError, VolumePolicy

OURS, VELERO = "hook.gitops-dr.dev/", "hook.backup.velero.io/"
FREEZE, THAW = Hook(("freeze",), "db"), Hook(("thaw",), "db")
BOTH = {f"pre.{OURS}command": "freeze", f"post.{OURS}command": "thaw"}


def claim(name: str = "data") -> Ref:
    return Ref("", "PersistentVolumeClaim", "shop", name)


def ref(name: str = "db-0") -> Ref:
    return Ref("", "Pod", "shop", name)


def pod(
    name: str = "db-0",
    claims: tuple[str, ...] = ("data",),
    annotations: dict[str, str] | None = None,
    *,
    containers: tuple[str, ...] = ("db", "exporter"),
    ready: str = "True",
    **status: Any,
) -> dict[str, Any]:
    volumes: list[dict[str, Any]] = [{"name": "config", "configMap": {"name": "c"}}]
    volumes += [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
    return {
        "metadata": {"name": name, "namespace": "shop", "annotations": annotations or {}},
        "spec": {"containers": [{"name": c} for c in containers], "volumes": volumes},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            **status,
        },
    }


def plan(*pods: dict[str, Any], **policies: VolumePolicy) -> HookPlan:
    """The plan for the claims ``data``, ``wal`` and whatever has a policy."""
    claims = {claim("data"): NO_POLICY, claim("wal"): NO_POLICY}
    claims |= {claim(name): policy for name, policy in policies.items()}
    return plan_hooks(claims, iter(pods))


def only(found: HookPlan) -> Freeze:
    assert found.refused == {}
    [freeze] = found.freezes
    return freeze


# -- where hooks come from -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "pre", "post"),
    [
        (BOTH, FREEZE, THAW),
        ({f"pre.{OURS}command": '["freeze"]'}, FREEZE, None),
        ({f"post.{OURS}command": ' ["thaw"] '}, None, THAW),
        (
            {
                f"pre.{OURS}command": '["/sbin/fsfreeze", "--freeze", "/my data"]',
                f"pre.{OURS}container": "exporter",
                f"pre.{OURS}timeout": "1m30s",
                f"pre.{OURS}on-error": "continue",
            },
            Hook(("/sbin/fsfreeze", "--freeze", "/my data"), "exporter", 90.0, OnError.CONTINUE),
            None,
        ),
        (
            {
                f"pre.{VELERO}command": '["/bin/freeze", "-f"]',
                f"pre.{VELERO}on-error": "Continue",
                f"post.{VELERO}command": "/bin/thaw",
                f"post.{VELERO}timeout": "5m",
                f"post.{VELERO}container": "exporter",
                f"post.{VELERO}on-error": "Fail",
            },
            Hook(("/bin/freeze", "-f"), "db", 30.0, OnError.CONTINUE),
            Hook(("/bin/thaw",), "exporter", 300.0, OnError.FAIL),
        ),
        # Velero's oldest form has no phase and means pre; the form with one wins.
        ({f"{VELERO}command": "freeze"}, FREEZE, None),
        ({f"{VELERO}command": "other", f"pre.{VELERO}command": "freeze"}, FREEZE, None),
        # Ours win as a whole: half of each would not belong together.
        (
            {f"pre.{OURS}command": "freeze", f"post.{VELERO}command": "other"},
            FREEZE,
            None,
        ),
        # What Velero does after a restore is none of ours.
        ({**BOTH, "post.hook.restore.velero.io/command": "other"}, FREEZE, THAW),
    ],
)
def test_hooks_are_read_from_annotations(annotations, pre, post) -> None:
    freeze = only(plan(pod(annotations=annotations)))
    expected = PodHooks(ref(), (pre,) if pre else (), (post,) if post else ())
    assert freeze == Freeze((claim(),), (expected,))


def test_a_policy_wins_over_annotations() -> None:
    policy = VolumePolicy(pre=Hook(("policy",), "exporter", 5.0))
    freeze = only(plan(pod(annotations=BOTH), data=policy))
    assert freeze.pods == (PodHooks(ref(), (Hook(("policy",), "exporter", 5.0),)),)


def test_a_policy_without_a_container_means_the_first() -> None:
    policy = VolumePolicy(pre=Hook(("a",)), post=Hook(("b",)))
    freeze = only(plan(pod(), data=policy))
    assert freeze.pods == (PodHooks(ref(), (Hook(("a",), "db"),), (Hook(("b",), "db"),)),)


def test_a_policys_hook_runs_where_its_container_is() -> None:
    policy = VolumePolicy(pre=Hook(("a",), "db"))
    reader = pod("reader", containers=("web",))
    freeze = only(plan(reader, pod(), data=policy))
    assert [each.pre for each in freeze.pods if each.pre] == [(Hook(("a",), "db"),)]


@pytest.mark.parametrize("on_error", list(OnError))
def test_a_policys_container_that_no_pod_has_is_told(on_error) -> None:
    policy = VolumePolicy(post=Hook(("a",), "dbb", on_error=on_error))
    found = plan(pod(), pod("db-1"), data=policy)
    problem = "no pod that uses it has a container 'dbb', which its policy names"
    if on_error is OnError.FAIL:
        assert found == HookPlan(refused={claim(): problem})
    else:
        assert only(found).problems == (problem,)
        assert not any(each.post for each in only(found).pods)


def test_a_sidecar_is_a_container_and_an_init_container_is_none() -> None:
    body = pod(annotations={f"pre.{OURS}command": "freeze", f"pre.{OURS}container": "mesh"})
    body["spec"]["initContainers"] = [{"name": "mesh", "restartPolicy": "Always"}]
    assert only(plan(body)).pods[0].pre == (Hook(("freeze",), "mesh"),)
    body["spec"]["initContainers"] = [{"name": "mesh"}]
    assert claim() in plan(body).refused


@pytest.mark.parametrize(
    "body",
    [
        pod(),
        pod(claims=("elsewhere",), annotations=BOTH),
        pod(claims=(), annotations=BOTH),
        pod(annotations={"hook.gitops-dr.dev/command": "freeze"}),
        pod(annotations={"example.com/pre.hook.gitops-dr.dev": "freeze"}),
        {
            **pod(claims=(), annotations=BOTH),
            "spec": {
                "containers": [{"name": "db"}],
                "volumes": [{"name": "data", "ephemeral": {"volumeClaimTemplate": {}}}],
            },
        },
    ],
)
def test_without_hooks_or_claims_nothing_is_held_still(body) -> None:
    assert plan(body) == HookPlan()


def test_a_pod_names_its_claims() -> None:
    body = pod(claims=("wal", "data", "wal"))
    assert claims_of(body) == [claim("data"), claim("wal")]
    assert claims_of({"metadata": {"namespace": "shop", "name": "x"}, "spec": {}}) == []


# -- which pods and which claims together ----------------------------------------------------------


def test_several_claims_of_a_pod_are_frozen_once() -> None:
    freeze = only(plan(pod(claims=("data", "wal"), annotations=BOTH)))
    assert freeze == Freeze((claim("data"), claim("wal")), (PodHooks(ref(), (FREEZE,), (THAW,)),))


def test_each_hook_of_several_claims_is_run_once() -> None:
    policies = {
        "data": VolumePolicy(pre=Hook(("a",), "db")),
        "wal": VolumePolicy(pre=Hook(("a",), "db"), post=Hook(("c",), "db")),
    }
    body = pod(claims=("data", "wal", "more"), annotations=BOTH)
    freeze = only(plan(body, **policies, more=NO_POLICY))
    assert freeze.claims == (claim("data"), claim("more"), claim("wal"))
    assert freeze.pods == (
        PodHooks(ref(), (Hook(("a",), "db"), FREEZE), (THAW, Hook(("c",), "db"))),
    )


def test_a_claim_without_hooks_is_not_held_up_by_one_of_the_same_pod() -> None:
    freeze = only(plan(pod(claims=("data", "wal")), data=VolumePolicy(pre=FREEZE)))
    assert freeze.claims == (claim("data"),)


def test_all_pods_of_a_claim_are_held_still_for_it() -> None:
    found = plan(pod("db-1", annotations=BOTH), pod("db-0", annotations=BOTH), pod("reader"))
    assert only(found) == Freeze(
        (claim(),),
        (PodHooks(ref("db-0"), (FREEZE,), (THAW,)), PodHooks(ref("db-1"), (FREEZE,), (THAW,))),
    )


def test_what_shares_a_pod_or_a_claim_is_frozen_together_and_nothing_else_is() -> None:
    found = plan(
        pod("a", ("data", "shared"), BOTH),
        pod("b", ("shared", "wal"), BOTH),
        pod("c", ("other",), BOTH),
        shared=NO_POLICY,
        other=NO_POLICY,
    )
    assert [
        (freeze.claims, [each.pod.name for each in freeze.pods]) for freeze in found.freezes
    ] == [
        ((claim("data"), claim("shared"), claim("wal")), ["a", "b"]),
        ((claim("other"),), ["c"]),
    ]


def test_the_same_claim_name_elsewhere_is_another_claim() -> None:
    body = pod(annotations=BOTH)
    body["metadata"]["namespace"] = "bank"
    assert plan(body) == HookPlan()


@pytest.mark.parametrize(
    ("change", "lacking"),
    [
        ({"phase": "Pending"}, "is Pending"),
        ({"phase": None}, "is not started"),
        ({"phase": "Unknown"}, "is Unknown"),
        ({"ready": "False"}, "is not ready"),
        ({"conditions": None}, "is not ready"),
        ({"deleted": True}, "is being deleted"),
    ],
)
def test_in_a_pod_that_cannot_hold_still_nothing_is_run_and_that_is_told(change, lacking) -> None:
    deleted = change.pop("deleted", False)
    body = pod(annotations=BOTH, **change)
    if deleted:
        body["metadata"]["deletionTimestamp"] = "2026-11-26T10:45:00Z"
    note = f"{claim()}: no hook is run in {ref()}, which {lacking}"
    assert plan(body) == HookPlan(notes=(note,))
    # Another pod is held still all the same.
    found = plan(body, pod("db-1", annotations=BOTH))
    assert [each.pod for each in only(found).pods] == [ref("db-1")]
    assert found.notes == (note,)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_uses_nothing(phase) -> None:
    assert plan(pod(annotations=BOTH, phase=phase)) == HookPlan()


def test_a_policys_hooks_that_no_pod_runs_are_told() -> None:
    policy = VolumePolicy(pre=FREEZE)
    note = f"{claim()}: its hooks are not run, because no pod uses it"
    assert plan(data=policy) == HookPlan(notes=(note,))
    assert plan(pod(claims=("wal",)), data=policy) == HookPlan(notes=(note,))


# -- what makes no sense ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        ({"command": "[freeze]"}, r"command is no JSON: .+"),
        ({"command": "[]"}, "command is empty"),
        ({"command": ""}, "command is empty"),
        ({"command": '["", "x"]'}, "command is empty"),
        ({"command": '["a", 5]'}, "command is neither a list of words nor one word"),
        ({"command": '["a\\u0000"]'}, "command has a word that no command can have"),
        ({"command": "fsfreeze -f /data"}, "command is more than one word; write a list.*"),
        ({"command": "a", "timeout": "30"}, "timeout '30' is no duration such as 30s or 2m"),
        ({"command": "a", "timeout": ""}, "timeout '' is no duration.*"),
        ({"command": "a", "timeout": "0s"}, "timeout '0s' is not more than nothing.*"),
        ({"command": "a", "timeout": "2h"}, "timeout '2h' is not more than nothing.*"),
        ({"command": "a", "on-error": "ignore"}, "on-error 'ignore' is neither Fail nor Continue"),
        (
            {"command": "a", "container": "exporters"},
            "container 'exporters' is none of the pod's containers; did you mean 'exporter'?",
        ),
        ({"command": "a", "container": ""}, "container '' is none of the pod's containers"),
        ({"comand": "a"}, "comand is not known; did you mean 'command'?"),
        ({"command": "a", "when": "now"}, "when is not known"),
        ({"timeout": "5s"}, "command is missing"),
    ],
)
@pytest.mark.parametrize("phase", ["pre", "post"])
@pytest.mark.parametrize("scheme", [OURS, VELERO])
def test_annotations_that_make_no_sense_cost_the_snapshot(
    annotations, problem, phase, scheme
) -> None:
    given = {f"{phase}.{scheme}{key}": value for key, value in annotations.items()}
    found = plan(pod(annotations=given))
    assert found.freezes == ()
    prefix = re.escape(f"annotation {phase}.{scheme}")
    pattern = problem if ".+" in problem or ".*" in problem else re.escape(problem)
    assert re.fullmatch(prefix + pattern, found.refused[claim()])

    tolerant = plan(pod(annotations={f"{phase}.{scheme}on-error": "Continue"} | given))
    if "on-error" not in annotations:
        [told] = only(tolerant).problems
        assert re.fullmatch(prefix + pattern, told)


def test_a_reason_names_no_pod() -> None:
    """It is kept in Git, and the names of pods come and go."""
    found = plan(pod("db-7d9c4", annotations={f"pre.{OURS}command": ""}))
    assert "7d9c4" not in found.refused[claim()]


def test_one_pod_that_makes_no_sense_costs_only_its_own_claims() -> None:
    found = plan(
        pod("a", ("data", "shared"), {f"pre.{OURS}command": ""}),
        pod("b", ("shared", "wal"), BOTH),
        shared=NO_POLICY,
    )
    assert set(found.refused) == {claim("data"), claim("shared")}
    [freeze] = found.freezes
    assert freeze == Freeze((claim("wal"),), (PodHooks(ref("b"), (FREEZE,), (THAW,)),))


def test_half_a_hook_pair_that_need_not_work_leaves_the_other_half() -> None:
    annotations = {f"pre.{OURS}command": "", f"pre.{OURS}on-error": "continue"}
    freeze = only(plan(pod(annotations=annotations | {f"post.{OURS}command": "thaw"})))
    assert freeze.pods == (PodHooks(ref(), (), (THAW,)),)
    assert len(freeze.problems) == 1


# -- durations and commands ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("2m", 120), ("1m30s", 90), ("1h", 3600), ("1.5m", 90), ("250ms", 0.25)],
)
def test_durations(text, seconds) -> None:
    assert parse_timeout(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "-5s", "5 s", "5s ", "1.s", ".5s", "1.5.2s", "5d", "61m", "0s", "1e9s", "٣s"],
)
def test_what_is_no_duration(text) -> None:
    with pytest.raises(ValueError, match=r"duration|nothing"):
        parse_timeout(text)


@pytest.mark.parametrize(
    ("written", "command"),
    [("sync", ("sync",)), (["sh", "-c", "a b", ""], ("sh", "-c", "a b", ""))],
)
def test_commands(written, command) -> None:
    assert parse_command(written) == command


@pytest.mark.parametrize(
    "written", ["", "a b", "a\tb", [], [""], [5], None, 5, {"a": "b"}, ["a\0"]]
)
def test_what_is_no_command(written) -> None:
    with pytest.raises(ValueError, match=r"is|has"):
        parse_command(written)


TEXTS = st.text(max_size=8) | st.sampled_from(["30s", "Continue", "Fail", "db", '["a"]', "[", "a"])
KEYS = st.builds(
    "{}{}".format,
    st.sampled_from(
        [f"{phase}.{scheme}" for phase in ("pre", "post") for scheme in (OURS, VELERO)]
    ),
    st.sampled_from(["command", "container", "timeout", "on-error", "", "x"]),
)


@given(st.dictionaries(KEYS, TEXTS, max_size=8))
@example({f"pre.{OURS}command": "[" * 5000})
@example({f"pre.{OURS}command": json.dumps(["\ud800"])})
def test_any_annotations_are_hooks_or_a_reason(annotations) -> None:
    found = plan(pod(annotations=annotations))
    for reason in [*found.refused.values(), *(p for f in found.freezes for p in f.problems)]:
        assert reason.startswith("annotation ")
    for freeze in found.freezes:
        for each in freeze.pods:
            for hook in (*each.pre, *each.post):
                assert hook.command
                assert hook.container in ("db", "exporter")
                assert 0 < hook.timeout <= 3600
    assert bool(annotations) == bool(found.freezes or found.refused)
