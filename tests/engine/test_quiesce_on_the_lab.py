"""A capture with hooks and real snapshots. Pods are simulated, so the commands go elsewhere."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_server import ApiServer
from exec_server import Call, ExecServer, exec_serving
from fake_api import write_kubeconfig

from gitops_dr.cluster import exec as execution
from gitops_dr.cluster.connect import ApiError, connect
from gitops_dr.cluster.listing import collection_path
from gitops_dr.engine import quiesce as quiescing
from gitops_dr.engine.capture import Captured, capture, clear_unfinished
from gitops_dr.engine.snapshots import CONTENTS, SNAPSHOTS, delete
from gitops_dr.events import Notice
from gitops_dr.lab import Lab
from gitops_dr.lab.storage import Faults, Storage
from gitops_dr.model import Ref
from gitops_dr.volumes.capture import is_cut, is_usable
from gitops_dr.volumes.policy import Hook, VolumePolicy, VolumeSettings

NAMESPACE = "frozen"
DATA, PLAIN = (Ref("", "PersistentVolumeClaim", NAMESPACE, name) for name in ("data", "plain"))
OURS = "hook.gitops-dr.dev/"
BOTH = {f"pre.{OURS}command": "freeze", f"post.{OURS}command": '["thaw", "--now"]'}
SECONDS = 60.0


def namespaced(kind: str, name: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": spec,
    }


def claim(name: str) -> dict[str, Any]:
    return namespaced(
        "PersistentVolumeClaim",
        name,
        {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "directory",
            "resources": {"requests": {"storage": "1Mi"}},
        },
    )


def pod(name: str, claims: tuple[str, ...], **annotations: str) -> dict[str, Any]:
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    spec = {"containers": [{"name": "db", "image": "db"}], "volumes": volumes}
    return namespaced("Pod", name, spec, annotations=annotations)


def is_ready(body: Any) -> bool:
    conditions = body["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> Iterator[ApiServer]:
    """A namespace with two claims; a pod with hooks uses one of them."""
    server = ApiServer(connect(kubeconfig))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    account["metadata"]["namespace"] = NAMESPACE
    server.create(namespace)
    server.until(account, lambda _: True)
    bodies = [claim("data"), claim("plain"), pod("db-0", ("data",), **BOTH), pod("web", ("plain",))]
    for body in bodies:
        server.create(body)
    for body in bodies[2:]:
        server.until(body, is_ready, SECONDS)
    yield server
    for body in reversed(bodies):
        server.delete(body, gracePeriodSeconds="0")
    server.delete(namespace, wait=True)


@pytest.fixture
def commands(monkeypatch, tmp_path: Path) -> Iterator[ExecServer]:
    monkeypatch.setattr(execution, "_PAUSE", 0.01)
    with exec_serving() as started:
        elsewhere = connect(write_kubeconfig(tmp_path / "kubeconfig", started.url))

        def run(_connection, *arguments, **options):
            return execution.run(elsewhere, *arguments, **options)

        monkeypatch.setattr(quiescing, "run", run)
        yield started


@pytest.fixture
def faults(lab: Lab, api: ApiServer) -> Iterator[Callable[..., None]]:
    storage = Storage(lab.storage)
    yield lambda **wanted: storage.set_faults(Faults(**wanted))
    storage.set_faults(Faults())

    def are_gone() -> bool:
        """What failed and was taken back must be asked for again once the storage is well."""
        items = api.connection.json("GET", collection_path(SNAPSHOTS, NAMESPACE))["items"]
        for body in items:
            with suppress(ApiError):  # It may be gone between two requests.
                delete(api.connection, NAMESPACE, body["metadata"]["name"])
        return not items

    until(are_gone)


def snapshots(api: ApiServer) -> dict[str, Any]:
    """The VolumeSnapshots that are there to stay, by the claim that each is of."""
    items = api.connection.json("GET", collection_path(SNAPSHOTS, NAMESPACE))["items"]
    return {
        body["spec"]["source"]["persistentVolumeClaimName"]: body
        for body in items
        if "deletionTimestamp" not in body["metadata"]
    }


def taken(api: ApiServer, *policies: VolumePolicy, **options: Any) -> tuple[Captured, list[str]]:
    """What a capture of the namespace gave, and the notices; the snapshots are taken away again."""
    events: list[Any] = []
    found = capture(
        api.connection,
        replace(VolumeSettings(), policies=policies),
        "tests",
        in_scope=lambda ref, _labels: ref.namespace == NAMESPACE,
        emit=events.append,
        **options,
    )
    remaining = snapshots(api)
    assert set(remaining) == {record.claim for record in found.records}, "left or lost one"
    for body in remaining.values():
        content = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": CONTENTS.kind}
        content["metadata"] = {"name": body["status"]["boundVolumeSnapshotContentName"]}
        api.patch(content, {"spec": {"deletionPolicy": "Delete"}})
        api.delete(body | {"apiVersion": content["apiVersion"], "kind": SNAPSHOTS.kind}, wait=True)
    return found, [event.text for event in events if isinstance(event, Notice)]


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_snapshot_is_cut_while_the_application_holds_still(api, commands) -> None:
    seen: dict[str, Any] = {}

    def freeze(call: Call) -> None:
        # Claims without hooks are captured whole meanwhile.
        until(lambda: is_usable(snapshots(api).get("plain", {})))
        seen["before"] = set(snapshots(api))
        call.exit(0)

    def thaw(call: Call) -> None:
        seen["after"] = snapshots(api)["data"]
        call.exit(0)

    commands.on("freeze", freeze)
    commands.on("thaw", thaw)
    found, notices = taken(api)
    assert seen["before"] == {"plain"}
    assert is_cut(seen["after"])
    assert [call.command for call in commands.calls] == [["freeze"], ["thaw", "--now"]]
    assert (found.gaps, notices) == ((), [])
    data, plain = found.records
    assert (data.ref, plain.ref) == (DATA, PLAIN)
    assert data.hooks.result == "ok"
    first, last = commands.calls
    assert data.hooks.frozen_seconds >= last.ended - first.started > 0
    assert (plain.hooks.result, plain.hooks.frozen_seconds) == ("none", 0.0)


def test_the_application_is_let_go_before_the_snapshot_can_be_used(api, commands, faults) -> None:
    faults(never_ready=True)
    seen: list[Any] = []

    def thaw(call: Call) -> None:
        seen.append(snapshots(api)["data"])
        call.exit(0)

    commands.on("thaw", thaw)
    before = time.monotonic()
    found, _ = taken(api, timeout=5.0)
    [snapshot] = seen
    assert is_cut(snapshot)
    assert not is_usable(snapshot)
    assert commands.calls[1].started - before < 5.0
    assert {gap.ref for gap in found.gaps} == {DATA, PLAIN}


def test_a_storage_that_cuts_nothing_does_not_hold_the_application_up(
    api, commands, faults
) -> None:
    faults(snapshot_error="the array is full")
    found, _ = taken(api, timeout=6.0, longest_freeze=5.0)
    first, last = commands.calls
    assert first.command == ["freeze"]
    assert last.command == ["thaw", "--now"]
    assert 5.0 <= last.started - first.started < 20.0
    [reason] = [gap.reason for gap in found.gaps if gap.ref == DATA]
    assert "the array is full" in reason
    assert found.records == ()


@pytest.mark.parametrize("phase", ["freeze", "thaw"])
def test_a_hook_that_fails_is_a_gap_and_leaves_no_snapshot(api, commands, lab, phase) -> None:
    # Other tests leave some in the lab that all share.
    before = {snapshot.identifier for snapshot in Storage(lab.storage).snapshots()}
    commands.on(phase, lambda call: call.exit(7))
    found, notices = taken(api)
    word = "pre" if phase == "freeze" else "post"
    [gap] = found.gaps
    assert gap.ref == DATA
    assert gap.reason == f"its {word} hook failed in container db: it ended with exit code 7"
    assert [record.ref for record in found.records] == [PLAIN]
    assert len(notices) == 1
    assert "Pod/frozen/db-0" in notices[0]
    assert commands.commands()[-1] == "thaw --now"
    until(lambda: {one.identifier for one in Storage(lab.storage).snapshots()} <= before)


def test_a_hook_that_may_fail_is_in_the_record(api, commands) -> None:
    commands.on("freeze", lambda call: call.exit(1))
    api.patch(pod("db-0", ()), {"metadata": {"annotations": {f"pre.{OURS}on-error": "continue"}}})
    try:
        found, notices = taken(api)
    finally:
        api.patch(pod("db-0", ()), {"metadata": {"annotations": {f"pre.{OURS}on-error": None}}})
    assert found.gaps == ()
    assert [record.hooks.result for record in found.records] == ["failed", "none"]
    assert len(notices) == 1


def test_a_policys_hook_wins_and_one_that_makes_no_sense_is_a_gap(api, commands) -> None:
    found, _ = taken(api, VolumePolicy(pre=Hook(("sync",))))
    assert commands.commands() == ["sync", "sync"], "one for each claim's pod"
    assert {record.hooks.result for record in found.records} == {"ok"}
    found, _ = taken(api, VolumePolicy(pre=Hook(("sync",), "nowhere")))
    assert [gap.ref for gap in found.gaps] == [DATA, PLAIN]
    assert "'nowhere'" in found.gaps[0].reason


def test_a_pod_that_is_not_there_is_not_held_still_and_that_is_told(api, commands) -> None:
    api.delete(pod("db-0", ()), wait=True, gracePeriodSeconds="0")
    try:
        found, notices = taken(api)
        assert (found.gaps, notices) == ((), [])
        found, notices = taken(api, VolumePolicy(post=Hook(("thaw",), "db")))
        assert notices == [f"{DATA}: its hooks are not run, because no pod uses it"]
    finally:
        body = pod("db-0", ("data",), **BOTH)
        api.create(body)
        api.until(body, is_ready, SECONDS)
    assert found.gaps == ()
    assert commands.commands() == ["thaw"]


def test_an_interruption_lets_the_application_go(api, commands) -> None:
    """Whatever snapshots it leaves say whose they are, and the next run removes them."""
    holds = threading.Event()

    def freeze(call: Call) -> None:
        holds.set()
        call.exit(0)

    commands.on("freeze", freeze)

    def emit(_event: Any) -> None:
        if holds.is_set():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capture(
            api.connection,
            VolumeSettings(),
            "tests",
            in_scope=lambda ref, _labels: ref.namespace == NAMESPACE,
            emit=emit,
        )
    assert commands.commands() == ["freeze", "thaw --now"]
    clear_unfinished(api.connection, "tests", lambda _set: False)
    assert snapshots(api) == {}
