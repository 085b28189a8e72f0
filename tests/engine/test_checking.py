"""The checks of a plan look at what it needs, and survive whatever the target answers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from engine.test_prepare import CONFIG_MAPS, FILES, target, where
from fake_api import Answer, listed, refusal, reply
from volumes_samples import RECORD

from gitops_dr.desired.recovery import COVERAGE, Coverage, write_coverage
from gitops_dr.engine.checking import checked
from gitops_dr.engine.prepare import prepare
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Resource

__all__ = ["target", "where"]

HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/ops/endpointslices"
CLUSTER_WIDE = ("/api/v1/resourcequotas", "/api/v1/services", "/api/v1/nodes", HOOKS)

HOOK = {
    "metadata": {"name": "strict"},
    "webhooks": [
        {
            "name": "strict.example.com",
            "failurePolicy": "Fail",
            "clientConfig": {"service": {"namespace": "ops", "name": "strict"}},
            "rules": [{"operations": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        }
    ],
}


def standing(where: Any) -> dict[str, list[str] | None]:
    return {
        one.id: None
        if one.findings is None
        else [f"{f.severity}: {f.about}: {f.reason}" for f in one.findings]
        for one in prepare(where).planned.checks
    }


def test_a_plan_that_changes_nothing_asks_for_nothing(save, where, target, make_live):
    same = make_live("b", "shop")
    target.serve("v1", "ConfigMap", same)
    save(
        {
            "gitops-dr.yaml": FILES["gitops-dr.yaml"],
            f"clusters/prod/{COVERAGE}": write_coverage(
                Coverage("source", "v1.37.2", ((CONFIG_MAPS, 1),))
            ),
            "clusters/prod/namespaces/shop/configmaps/b.yaml": FILES[
                "clusters/prod/namespaces/shop/configmaps/b.yaml"
            ],
        }
    )
    assert standing(where)["quotas"] == []
    assert [path for path in CLUSTER_WIDE if target.api.asked(path)] == []
    assert not target.api.asked("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "POST")


def test_only_what_a_plan_needs_is_looked_up(save, where, target):
    save(FILES)
    standing(where)
    asked = [path for path in CLUSTER_WIDE if target.api.asked(path)]
    assert asked == ["/api/v1/resourcequotas", HOOKS]


@pytest.mark.parametrize("status", [403, 500])
def test_what_is_refused_is_not_known_and_the_plan_is_there(save, where, target, status):
    save(FILES)
    for path in ("/api/v1/resourcequotas", HOOKS):
        target.api.on(path, refusal(status, "Failure", "no"))
    found = standing(where)
    assert found["quotas"] is None
    assert found["webhooks"] is None
    assert found["addresses"] == []


def test_a_webhook_behind_which_nothing_is_ready(save, where, target):
    save(FILES)
    target.api.on(HOOKS, reply(listed(HOOK)))
    (line,) = standing(where)["webhooks"] or ()
    assert line.startswith("blocker: ValidatingWebhookConfiguration.admissionregistration.k8s.io/")
    (request,) = target.api.asked(SLICES)
    assert request.query["labelSelector"] == "kubernetes.io/service-name=strict"


@pytest.mark.parametrize(
    ("endpoints", "calm"),
    [
        ([{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}], True),
        ([{"addresses": ["10.0.0.1"]}], True),
        ([{"addresses": ["10.0.0.1"], "conditions": {"ready": False}}], False),
        ([], False),
    ],
)
def test_endpoints_that_are_ready_make_it_a_backend(save, where, target, endpoints, calm):
    save(FILES)
    target.api.on(HOOKS, reply(listed(HOOK)))
    target.api.on(SLICES, reply(listed({"metadata": {"name": "a"}, "endpoints": endpoints})))
    assert (standing(where)["webhooks"] == []) is calm


@pytest.mark.parametrize(("hours", "told"), [(2, 1), (0.5, 0)])
def test_a_snapshot_may_be_as_old_as_the_settings_say(
    save, where, target, hours, told, monkeypatch
):
    settings = FILES["gitops-dr.yaml"] + "volumes:\n  maxAge: 1h\n"
    save({**FILES, "gitops-dr.yaml": settings})
    created = (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def with_volume(connection, examined, planned, groundwork, **settings):
        restored = (replace(RECORD, created=created),)
        planned = replace(planned, restored=restored)
        return checked(connection, examined, planned, groundwork, **settings)

    monkeypatch.setattr("gitops_dr.engine.prepare.checked", with_volume)
    (one,) = (one for one in prepare(where).planned.checks if one.id == "snapshot-age")
    assert len(one.findings or ()) == told


# -- the source ------------------------------------------------------------------------------------

WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web"}]}}},
}
PLACE = "clusters/prod/namespaces/shop/deployments.apps/web.yaml"


@pytest.mark.parametrize(("replicas", "asked"), [(2, 1), (0, 0)])
def test_the_source_is_asked_where_something_would_run_twice(save, where, target, replicas, asked):
    target.serve("apps/v1", "Deployment")
    save({**FILES, PLACE: canonical({**WEB, "spec": {**WEB["spec"], "replicas": replicas}})})
    made = prepare(where)
    times: list[int] = []

    def source() -> str:
        times.append(1)
        return "context prod"

    checks = checked(made.connection, made.examined, made.planned, made.groundwork, source=source)
    (one,) = (one for one in checks if one.id == "source")
    assert len(times) == len(one.findings or ()) == asked


# -- versions that were removed --------------------------------------------------------------------


def cron(version: str) -> dict[str, Any]:
    metadata = {"name": "nightly", "namespace": "shop"}
    spec = {"schedule": "0 3 * * *"}
    return {"apiVersion": version, "kind": "CronJob", "metadata": metadata, "spec": spec}


OLD = Resource("batch", "v1beta1", "CronJob", "cronjobs", namespaced=True)
AGED = {
    **FILES,
    f"clusters/prod/{COVERAGE}": write_coverage(
        Coverage("source", "v1.24.0", ((OLD, 1), (CONFIG_MAPS, 2)))
    ),
    "clusters/prod/namespaces/shop/cronjobs.batch/nightly.yaml": canonical(cron("batch/v1beta1")),
}


def test_it_is_made_in_the_version_that_is_served(save, where, target):
    save(AGED)
    target.serve("batch/v1", "CronJob")
    prepared = prepare(where)
    (step,) = (s for s in prepared.planned.plan.steps if s.ref.kind == "CronJob")
    assert step.version == "v1"
    assert prepared.resources["batch", "CronJob"].version == "v1"
    ((_, body),) = prepared.bodies([step.ref])
    assert (body["apiVersion"], body["spec"]["schedule"]) == ("batch/v1", "0 3 * * *")
    assert prepared.planned.gaps == ()


def test_while_it_is_served_it_stays_as_it_is(save, where, target):
    save(AGED)
    target.serve("batch/v1", "CronJob")
    target.serve("batch/v1beta1", "CronJob")
    prepared = prepare(where)
    (step,) = (s for s in prepared.planned.plan.steps if s.ref.kind == "CronJob")
    assert step.version == "v1beta1"
    assert prepared.planned.checks[1].findings == ()


def test_while_it_is_served_beside_another_that_is_preferred_it_stays_too(save, where, target):
    """Where the export says nothing of the kind it is listed in the version that is preferred."""
    save({**AGED, f"clusters/prod/{COVERAGE}": FILES[f"clusters/prod/{COVERAGE}"]})
    target.serve("batch/v1", "CronJob")
    target.serve("batch/v1beta1", "CronJob")
    (step,) = (s for s in prepare(where).planned.plan.steps if s.ref.kind == "CronJob")
    assert step.version == "v1beta1"


def test_what_would_mean_something_else_is_a_gap_as_before(save, where, target):
    budget = {
        "apiVersion": "policy/v1beta1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "all", "namespace": "shop"},
        "spec": {"minAvailable": 1, "selector": {}},
    }
    place = "clusters/prod/namespaces/shop/poddisruptionbudgets.policy/all.yaml"
    save({**FILES, place: canonical(budget)})
    target.serve("policy/v1", "PodDisruptionBudget")
    (gap,) = prepare(where).planned.gaps
    assert gap.reason == ("the target does not serve this kind in version v1beta1; it serves v1")


def test_where_nothing_of_it_is_served_it_is_a_gap_as_before(save, where, target):
    save(AGED)
    (gap,) = prepare(where).planned.gaps
    assert gap.ref.kind == "CronJob"
    assert gap.reason == "the target does not serve this kind in version v1beta1"


def test_one_that_is_there_already_in_the_new_version_is_equal(save, where, target):
    save(AGED)
    there = {**cron("batch/v1"), "metadata": {**cron("x")["metadata"], "uid": "u"}}
    target.serve("batch/v1", "CronJob", json.loads(json.dumps(there)))
    planned = prepare(where).planned
    assert [step.ref.kind for step in planned.plan.steps] == ["Namespace", "ConfigMap"]
    assert planned.equal == 2


def test_a_target_that_answers_nonsense_ends_in_a_plan_all_the_same(save, where, target):
    save(FILES)
    target.api.on("/api/v1/resourcequotas", Answer(200, (b"<html>",)))
    assert standing(where)["quotas"] is None
