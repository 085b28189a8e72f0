"""Since when a standby is at rest is noted, and forgotten before anything is started there."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from fake_api import listed, refusal, reply

from gitops_dr.cluster.connect import ApiError
from gitops_dr.cluster.rest_record import begin_rest, end_rest, rests_since
from gitops_dr.engine.claim_users import used_by
from gitops_dr.engine.resting import note_rest
from gitops_dr.model import Ref

MAPS = "/api/v1/namespaces/gitops-dr/configmaps"
PATH = f"{MAPS}/at-rest-prod"
NOTED = reply({"metadata": {"name": "at-rest-prod", "creationTimestamp": "2026-11-26T11:00:00Z"}})
MISSING = refusal(404, "NotFound")
FORBIDDEN = refusal(403, "Forbidden")
A, B, C = (Ref("", "PersistentVolumeClaim", "shop", name) for name in "abc")


def prepared(connection: Any, *, at_rest: bool) -> Any:
    settings = SimpleNamespace(name="prod")
    return SimpleNamespace(
        connection=connection,
        opened=SimpleNamespace(settings=settings),
        target=SimpleNamespace(at_rest=at_rest),
    )


def test_the_moment_is_the_clusters_own(api, connection) -> None:
    api.on(PATH, NOTED)
    assert rests_since(connection, "prod") == datetime(2026, 11, 26, 11, tzinfo=UTC)
    assert rests_since(connection, "other") is None
    api.on(PATH, FORBIDDEN)
    with pytest.raises(ApiError):
        rests_since(connection, "prod")


def test_it_is_noted_once(api, connection) -> None:
    api.on(PATH, MISSING, NOTED)
    api.on("/api/v1/namespaces/gitops-dr", reply({"metadata": {"name": "gitops-dr"}}))
    api.on(MAPS, refusal(409, "AlreadyExists"), method="POST")
    begin_rest(connection, "prod")
    begin_rest(connection, "prod")
    assert len(api.asked(MAPS, "POST")) == 1


def test_it_is_forgotten_if_it_is_noted(api, connection) -> None:
    api.on(PATH, MISSING, NOTED)
    api.on(PATH, MISSING, method="DELETE")
    end_rest(connection, "prod")
    assert not api.asked(PATH, "DELETE")
    end_rest(connection, "prod")
    assert len(api.asked(PATH, "DELETE")) == 1


@pytest.mark.parametrize("at_rest", [True, False])
def test_who_may_not_goes_without(api, connection, at_rest: bool) -> None:
    api.on(PATH, FORBIDDEN)
    told: list[Any] = []
    note_rest(prepared(connection, at_rest=at_rest), told.append)
    assert len(told) == at_rest
    api.on(PATH, refusal(500, "InternalError"))
    with pytest.raises(ApiError):
        note_rest(prepared(connection, at_rest=at_rest), told.append)


def test_what_uses_a_claim(api, connection) -> None:
    spec = {"volumes": [{"persistentVolumeClaim": {"claimName": "a"}}]}
    pod = {"metadata": {"name": "p", "namespace": "shop"}, "spec": spec}
    api.on("/api/v1/namespaces/shop/pods", reply(listed(pod)))
    attached = {"spec": {"source": {"persistentVolumeName": "pv-b"}, "nodeName": "n1"}}
    api.on("/apis/storage.k8s.io/v1/volumeattachments", reply(listed(attached)))
    found = used_by(connection, {A: "pv-a", B: "pv-b", C: "pv-c"})
    assert found == {A: "Pod/shop/p has it", B: "its volume is attached to node n1"}


@pytest.mark.parametrize("replicas", [0, 2])
def test_a_workload_that_is_not_at_zero_would_use_it(api, connection, replicas: int) -> None:
    spec = {"volumes": [{"persistentVolumeClaim": {"claimName": "a"}}]}
    body = {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": replicas, "template": {"spec": spec}},
    }
    api.on("/apis/apps/v1/namespaces/shop/deployments", reply(listed(body)))
    told = {A: "Deployment.apps/shop/web has it, and 2 replicas"} if replicas else {}
    assert used_by(connection, {A: "pv-a", C: ""}) == told
