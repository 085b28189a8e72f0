"""What an API server fills in by itself is no change, and what only looks like it is one."""

import copy
from typing import Any

import pytest

from gitops_dr.drift.compare import differ
from gitops_dr.drift.judge import judged
from gitops_dr.model import Ref

WEB = Ref("apps", "Deployment", "shop", "web")


def deployment(spec: Any, **container: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "c", "image": "web:1", **container}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"spec": {**pod, **spec.pop("pod", {})}}, **spec},
    }


PARTLY = {"maxSurge": 1, "maxUnavailable": "25%"}
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


@pytest.mark.parametrize(
    ("git", "live", "expected"),
    [
        pytest.param(({}, {}), ({"replicas": 1}, {}), [], id="a default"),
        pytest.param(({}, {}), ({"replicas": 2}, {}), ["add spec.replicas"], id="not a default"),
        pytest.param(({}, {}), ({"strategy": ROLLING}, {}), [], id="a map made of defaults"),
        pytest.param(
            ({}, {}),
            ({"strategy": {**ROLLING, "rollingUpdate": PARTLY}}, {}),
            ["add spec.strategy.rollingUpdate.maxSurge"], id="the part that is no default",
        ),
        pytest.param(
            ({}, {}), ({"strategy": {"type": "Recreate"}}, {}), ["add spec.strategy.type"],
            id="another choice",
        ),
        pytest.param(
            ({"strategy": {"type": "Recreate"}}, {}), ({"strategy": {"type": "Recreate"}}, {}), [],
            id="the same choice",
        ),
        pytest.param(
            ({}, {}), ({"pod": {"dnsConfig": {}}}, {}), ["add spec.template.spec.dnsConfig"],
            id="a map that nobody makes",
        ),
        pytest.param(
            ({"paused": False}, {}), ({}, {}), [], id="a no that is not stored"
        ),
        pytest.param(
            ({"paused": True}, {}), ({}, {}), ["remove spec.paused"], id="a yes that is gone"
        ),
        pytest.param(
            ({"replicas": 1}, {}), ({}, {}), ["remove spec.replicas"], id="a default that is gone"
        ),
        # Some defaults follow from other fields: from what Git says of these.
        pytest.param(({}, {}), ({}, {"imagePullPolicy": "IfNotPresent"}), [], id="by the tag"),
        pytest.param(
            ({}, {}), ({}, {"imagePullPolicy": "Always"}),
            ["add spec.template.spec.containers[name=c].imagePullPolicy"], id="not by this tag",
        ),
        pytest.param(
            ({}, {}), ({}, {"image": "web", "imagePullPolicy": "Always"}),
            [
                "replace spec.template.spec.containers[name=c].image",
                "add spec.template.spec.containers[name=c].imagePullPolicy",
            ],
            id="by the cluster's tag, which is not Git's",
        ),
        pytest.param(
            ({}, {}), ({}, {"image": "web", "imagePullPolicy": "IfNotPresent"}),
            ["replace spec.template.spec.containers[name=c].image"], id="by Git's tag",
        ),
        pytest.param(
            ({}, {"ports": [{"containerPort": 80}]}),
            ({}, {"ports": [{"containerPort": 80, "protocol": "TCP"}]}), [], id="in an item",
        ),
    ],
)  # fmt: skip
def test_what_is_left_of_the_changes(git: Any, live: Any, expected: list[str]) -> None:
    ours, seen = (deployment(copy.deepcopy(spec), **container) for spec, container in (git, live))
    before = copy.deepcopy((ours, seen))
    found = judged(WEB, ours, seen)
    assert [f"{change.op} {change.path}" for change in found.changes] == expected
    assert (ours, seen) == before
    # What is wanted differs from what is there by just these.
    assert differ(found.wanted, seen) is bool(expected) or found.wanted == ours


def test_a_list_of_what_admission_adds_is_none() -> None:
    tolerations = [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute"}
        | {"tolerationSeconds": 300}
        for key in ("not-ready", "unreachable")
    ]
    git = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}}
    ref = Ref("", "Pod", "", "a")
    assert judged(ref, git, {**git, "spec": {"tolerations": tolerations}}).changes == ()
    more = [*tolerations, {"key": "mine", "operator": "Exists"}]
    (change,) = judged(ref, git, {**git, "spec": {"tolerations": more}}).changes
    assert (change.path, change.new) == ("spec.tolerations", more)


def test_of_a_custom_kind_nothing_is_known() -> None:
    git = {"apiVersion": "example.com/v1", "kind": "Deployment", "metadata": {"name": "a"}}
    seen = {**git, "spec": {"replicas": 1}}
    (change,) = judged(Ref("example.com", "Deployment", "", "a"), git, seen).changes
    assert change.path == "spec"


def test_what_is_wanted_takes_back_the_change_and_leaves_the_default() -> None:
    ours = deployment({}, env=[{"name": "A", "value": "1"}])
    seen = deployment(
        {"replicas": 1, "strategy": copy.deepcopy(ROLLING)},
        env=[{"name": "A", "value": "2"}, {"name": "B", "value": "3"}],
    )
    found = judged(WEB, ours, seen)
    expected = copy.deepcopy(seen)
    expected["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]
    assert found.wanted == expected
