"""What a target is asked before volumes come back: not for a Secret's values, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_api import FakeApi, listed, refusal, reply
from volumes_samples import RECORD

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.engine.fitting import target_facts
from gitops_dr.model import Ref
from gitops_dr.volumes.fitting import TargetFacts

PREFIX = "snapshot.storage.kubernetes.io/deletion-secret"
SECRETS = {f"{PREFIX}-name": "key", f"{PREFIX}-namespace": "rook"}
WITH_SECRET = replace(RECORD, secret_annotations=SECRETS)
DRIVERS = "/apis/storage.k8s.io/v1/csidrivers"
SECRET = "/api/v1/namespaces/rook/secrets/key"


def test_what_is_there_and_what_git_brings_is_known(api: FakeApi, connection: Connection) -> None:
    node = {"metadata": {"name": "a", "labels": {"zone": "z1"}}}
    resting = {**node, "spec": {"unschedulable": True}}
    api.on("/api/v1/nodes", reply(listed(node, resting, {"metadata": {"name": "b"}})))
    api.on(DRIVERS, reply(listed({"metadata": {"name": "here"}})))
    quota = {"metadata": {"name": "q", "namespace": "shop"}}
    api.on("/api/v1/resourcequotas", reply(listed(quota)))
    in_git = {Ref("storage.k8s.io", "CSIDriver", "", "coming")}
    assert target_facts(connection, in_git, [RECORD]) == TargetFacts(
        drivers=frozenset({"here", "coming"}), nodes=({"zone": "z1"}, {}), quotas=(quota,)
    )


@pytest.mark.parametrize(
    ("answer", "absent"),
    [
        (reply({"metadata": {"name": "key"}}), set()),
        (refusal(404, "NotFound"), {("rook", "key")}),
        (refusal(403, "Forbidden"), set()),
    ],
    ids=["there", "not there", "not to be looked at"],
)
def test_a_secret_is_looked_for_but_not_read(
    api: FakeApi, connection: Connection, answer, absent
) -> None:
    api.on(SECRET, answer)
    facts = target_facts(connection, (), [WITH_SECRET, WITH_SECRET])
    assert facts.absent_secrets == absent
    (asked,) = api.asked(SECRET, "GET")
    assert "PartialObjectMetadata" in asked.headers["Accept"]


def test_nodes_are_many_and_only_looked_at_for_a_volume_that_has_a_place(
    api: FakeApi, connection: Connection
) -> None:
    target_facts(connection, (), [replace(RECORD, topology=())])
    assert api.asked("/api/v1/nodes", "GET") == []


def test_one_that_git_brings_is_not_looked_for(api: FakeApi, connection: Connection) -> None:
    facts = target_facts(connection, {Ref("", "Secret", "rook", "key")}, [WITH_SECRET])
    assert (facts.absent_secrets, api.asked(SECRET, "GET")) == (frozenset(), [])


def test_what_we_may_not_look_at_is_not_known(api: FakeApi, connection: Connection) -> None:
    for path in ("/api/v1/nodes", "/api/v1/resourcequotas", DRIVERS):
        api.on(path, refusal(403, "Forbidden", "no"))
    assert target_facts(connection, (), [RECORD]) == TargetFacts()


def test_a_target_that_cannot_be_asked_is_no_target(api: FakeApi, connection: Connection) -> None:
    api.on(SECRET, refusal(500, "InternalError", "no"))
    with pytest.raises(ApiError):
        target_facts(connection, (), [WITH_SECRET])
