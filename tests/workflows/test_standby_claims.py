"""A warm standby's claims get each later commit's data, and nothing that only they hold is lost.

On two labs with one storage; the tests tell one story and run in its order.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from failover_story import STANDBY, Story, begun, claims_of, is_kept, replicas
from stateful import SNAPSHOT_API, App, wait_until

from gitops_dr.cluster.lease import held, this_run
from gitops_dr.lab.binaries import assets
from gitops_dr.volumes.at_rest import noted_within
from gitops_dr.volumes.in_place import REPLACED

pytestmark = pytest.mark.lab

WEB, LOG = App("web"), App("log")
DB = App("db", "StatefulSet", "directory-wait")
APPS = (WEB, LOG, DB)
BOUND = sorted([*WEB.named, *LOG.named])
POD = {
    "metadata": {"name": "drill"},
    "spec": {
        "containers": [{"name": "main", "image": "registry.example.com/main:1"}],
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    },
}
CLAIM = f"/api/v1/namespaces/{WEB.name}/persistentvolumeclaims/data"


@pytest.fixture(scope="module")
def story(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with begun(tmp_path_factory.mktemp("standby"), *APPS) as found:
        found.write("targets/hot/target.yaml", STANDBY.replace("warm", "hot"))
        found.commit()
        yield found


def sync(story: Story, *flags: str, code: int = 0) -> Any:
    said = story.run("sync", "--target", "standby", "--yes", "-o", "json", *flags, code=code)
    return said.json if said.out else said


def brought(story: Story, *flags: str, code: int = 0) -> Any:
    return sync(story, "--replace-claims", *flags, code=code)["claims"]


def point(story: Story, text: str) -> None:
    """Something is written at the primary, and a recovery point has it."""
    story.primary.write(text, *APPS)
    story.run("export", "--cluster", "primary", "--volumes", "-q")
    story.points[text] = story.head


def volume(story: Story, app: App) -> str:
    name: str = story.standby.volume(app, "data")["metadata"]["name"]
    return name


def uids(story: Story) -> dict[str, str]:
    return {
        name: story.standby.claim(app, name)["metadata"]["uid"]
        for app in APPS
        for name in app.claims
    }


def has_data_of_the_primary(story: Story, *apps: App) -> bool:
    return all(story.standby.sums(app) == story.primary.sums(app) for app in apps)


def left(found: Any) -> dict[str, str]:
    return {f"{one['ref']['namespace']}/{one['ref']['name']}": one["reason"] for one in found}


def kept(story: Story, app: App) -> set[str]:
    return {
        body["metadata"]["name"]
        for body in story.standby.listed("/api/v1/persistentvolumes")
        if (body["metadata"].get("annotations") or {}).get(REPLACED) == app.named[0]
    }


def imported(story: Story, app: App) -> set[str]:
    found = story.standby.listed(f"{SNAPSHOT_API}/namespaces/{app.name}/volumesnapshots")
    return {body["metadata"]["name"] for body in found}


def is_noted_as_unused(story: Story) -> bool:
    conditions = story.standby.look(CLAIM)["status"].get("conditions") or ()
    return "True" in [one["status"] for one in conditions if one["type"] == "Unused"]


# -- in step -----------------------------------------------------------------------------------


def test_what_is_there_already_is_left(story: Story) -> None:
    point(story, "one")
    assert brought(story) == {
        "replaced": [],
        "left": [],
        "gone": [],
        "kept": [],
        "deleteKept": "",
    }
    assert has_data_of_the_primary(story, WEB, LOG)
    before = uids(story)
    assert brought(story)["replaced"] == []
    assert uids(story) == before


def test_only_a_warm_standby_that_rests(story: Story) -> None:
    def said(*arguments: str, code: int) -> str:
        return story.run("sync", "--yes", *arguments, code=code).err

    assert "no --target was said" in said("--replace-claims", code=2)
    assert "only with --replace-claims" in said("--target", "standby", "--drop-replaced", code=2)
    for name, why in (("hot", "its strategy is hot"), ("cold", "its strategy is cold")):
        assert f"target {name}: {why}" in said("--target", name, "--replace-claims", code=6)


def test_a_plan_shows_what_is_replaced(story: Story) -> None:
    point(story, "two")
    before = uids(story)
    said = story.run("sync", "--target", "standby", "--replace-claims", code=6)
    assert "Replaced by the commit's data; the old volumes are kept:" in said.err
    for name in (*WEB.named, *LOG.named, *DB.named):
        assert f"PersistentVolumeClaim/{name}: was filled from another snapshot" in said.err
    assert "nobody is here to confirm it" in said.err
    assert uids(story) == before
    # Without being told to it replaces nothing.
    assert sync(story)["claims"] is None
    assert uids(story) == before


def test_what_cannot_be_replaced_stays_what_it_was(story: Story) -> None:
    """No volume can be made; the claims get their old ones back, and still say what is in them."""
    old = {app: (volume(story, app), story.standby.sums(app)) for app in (WEB, LOG)}
    story.standby.fail(volume_error="no room")
    said = sync(story, "--replace-claims", "--timeout", "3", code=4)
    assert "no room" in said.err
    story.standby.fail()
    for app in (WEB, LOG):
        assert (volume(story, app), story.standby.sums(app)) == old[app]
        assert not kept(story, app)


def test_killed_and_continued_at_a_later_commit(story: Story) -> None:
    old = {app: volume(story, app) for app in (WEB, LOG)}
    command = ("sync", "--target", "standby", "--yes", "--replace-claims")
    # One is another by now, and one is deleted and not made again.
    story.run_until("before|gitops_dr.engine.in_place.make_filled||2", *command)
    there = [story.standby.claim(app, "data") for app in (WEB, LOG)]
    assert None in there
    point(story, "three")
    for verb in ("sync", "rebuild"):
        said = story.run(verb, "--target", "standby", "--yes", code=6)
        assert "its claims are being replaced by a sync that did not end" in said.err
    found = brought(story)
    assert set(claims_of(found, "replaced")) == set(BOUND)
    assert has_data_of_the_primary(story, WEB, LOG)
    for app, name in old.items():
        assert is_kept(story.standby, name, app.named[0])
    before = uids(story)
    again = brought(story)
    assert (again["replaced"], again["gone"]) == ([], [])
    assert {one["volume"] for one in again["kept"]} == {one["volume"] for one in found["kept"]}
    assert uids(story) == before


def test_only_the_volume_before_is_kept(story: Story) -> None:
    older = {app: kept(story, app) for app in (WEB, LOG)}
    now = {app: volume(story, app) for app in (WEB, LOG)}
    assert all(older.values())
    point(story, "four")
    found = brought(story, "--drop-replaced")
    assert claims_of(found, "replaced") == BOUND
    assert {one["volume"] for one in found["gone"]} == older[WEB] | older[LOG]
    for app in (WEB, LOG):
        wait_until(lambda app=app: kept(story, app) == {now[app]})
        assert is_kept(story.standby, now[app], app.named[0])
        # What the older ones were filled from is gone with them, and the data is in the storage.
        assert len(imported(story, app)) == 2
    for name in older[WEB] | older[LOG]:
        assert not (story.standby.lab.storage / "volumes" / name).exists()
    assert has_data_of_the_primary(story, WEB, LOG)
    again = brought(story, "--drop-replaced")
    assert (again["replaced"], again["gone"]) == ([], [])
    assert kept(story, WEB) == {now[WEB]}


def test_the_command_that_is_told_deletes_what_is_kept(story: Story) -> None:
    found = brought(story)
    assert {one["claim"] for one in found["kept"]} == set(BOUND)
    command = shlex.split(found["deleteKept"])
    assert command[0] == "kubectl"
    kubectl = assets().path("kubectl")
    environment = os.environ | story.environment
    subprocess.run([kubectl, *command[1:]], env=environment, check=True, capture_output=True)
    wait_until(lambda: not (kept(story, WEB) | kept(story, LOG)))
    assert brought(story)["kept"] == []


# -- what stays --------------------------------------------------------------------------------


def test_what_a_pod_has_or_had_stays(story: Story) -> None:
    story.standby.make(f"/api/v1/namespaces/{WEB.name}/pods", POD)
    point(story, "five")
    before = volume(story, WEB)
    found = brought(story, code=3)
    assert "Pod/web/drill has it" in left(found["left"])["web/data"]
    assert claims_of(found, "replaced") == LOG.named
    made = datetime.fromisoformat(story.standby.look(CLAIM)["metadata"]["creationTimestamp"])
    wait_until(lambda: datetime.now(UTC) - made > noted_within(9) + timedelta(seconds=1))
    story.standby.delete(f"/api/v1/namespaces/{WEB.name}/pods/drill")
    wait_until(lambda: is_noted_as_unused(story))
    found = brought(story, code=3)
    assert "a pod may have used it until " in left(found["left"])["web/data"]
    assert volume(story, WEB) == before
    assert (story.standby.folder(WEB, "data") / "four").is_file()
    assert not (story.standby.folder(WEB, "data") / "five").exists()


def test_what_is_deleted_is_filled_anew(story: Story) -> None:
    story.standby.delete(CLAIM)
    assert brought(story)["left"] == []
    assert has_data_of_the_primary(story, WEB, LOG)


def test_what_others_made_or_is_newer_stays(story: Story) -> None:
    before = uids(story)
    found = brought(story, "--at", story.points["four"], code=3)
    assert found["replaced"] == []
    assert all("its data is newer, of " in why for why in left(found["left"]).values())
    assert set(left(found["left"])) == {*BOUND, *DB.named}
    assert uids(story) == before
    story.standby.delete(CLAIM)
    body = {"metadata": {"name": "data", "labels": {"tier": "data"}}, "spec": WEB.claim_spec()}
    story.standby.make(CLAIM.rpartition("/")[0], body)
    wait_until(lambda: story.standby.all_bound(WEB))
    theirs = uids(story)
    found = brought(story, code=3)
    assert (
        "was not filled from a snapshot that this history knows" in left(found["left"])["web/data"]
    )
    assert uids(story) == theirs
    story.standby.delete(CLAIM)
    assert brought(story)["left"] == []


# -- the failover ------------------------------------------------------------------------------


def test_while_another_failover_is_at_work_nothing_is_done(story: Story) -> None:
    story.primary_is_dead = True
    before = story.head
    with held(story.standby.connection, this_run("failover")):
        said = story.failover("--fenced", code=6)
    assert "gitops-dr failover" in said.err
    assert story.head == before
    assert replicas(story.standby, WEB) == 0
    assert story.noted(story.standby, "failover-primary") == {}


def test_older_data_only_by_explicit_wish(story: Story) -> None:
    before = story.head
    said = story.failover("--fenced", "--at", story.points["four"], code=6)
    assert "was filled from another snapshot" in said.err
    assert "gitops-dr sync --target standby --replace-claims" in said.err
    assert story.head == before


def test_nothing_is_replaced_when_it_is_needed(story: Story) -> None:
    before = story.head
    found = story.failover("--fenced")
    assert found["complete"]
    assert found["point"]["commit"] == before
    assert found["replaced"] == []
    assert "claims" not in found["seconds"]
    for app in APPS:
        story.standby.await_running(app)
    assert has_data_of_the_primary(story, *APPS)


def test_an_active_ones_claims_are_never_replaced(story: Story) -> None:
    said = sync(story, "--replace-claims", code=6)
    assert "target standby: is active, and its claims hold what was written there" in said.err


def test_nor_those_that_a_failover_has_used(story: Story) -> None:
    """It is put to rest again, and the primary goes on: what was written here is only here."""
    story.standby.write("only here", *APPS)
    story.primary_is_dead = False
    text = (story.repo / "targets/standby/target.yaml").read_text()
    story.write("targets/standby/target.yaml", text.replace("active: true", "active: false"))
    story.commit()
    point(story, "six")
    sync(story)
    before, sums = uids(story), {app: story.standby.sums(app) for app in APPS}
    found = brought(story, code=3)
    assert found["replaced"] == []
    why = left(found["left"])
    assert set(why) == {*BOUND, *DB.named}
    assert all(
        "it may have been used: the standby is known to rest only since" in why[name]
        for name in BOUND
    )
    assert all("its class makes only for a pod" in why[name] for name in DB.named)
    assert uids(story) == before
    assert {app: story.standby.sums(app) for app in APPS} == sums


def test_unless_a_failover_is_told_to(story: Story) -> None:
    old = volume(story, WEB)
    story.primary_is_dead = True
    found = story.failover("--fenced", "--replace-claims", "--at", story.points["four"])
    assert found["complete"]
    assert {*BOUND, *DB.named} == set(claims_of(found, "replaced"))
    there = {each.name for each in story.standby.folder(WEB, "data").iterdir()}
    assert "four" in there
    assert not there & {"five", "only here"}
    body = story.standby.look(f"/api/v1/persistentvolumes/{old}")
    handle = body["spec"]["csi"]["volumeHandle"]
    assert (story.standby.lab.storage / "volumes" / handle / "only here").is_file()


def test_a_failover_goes_on_with_what_a_sync_has_begun(story: Story) -> None:
    story.primary_is_dead = False
    text = (story.repo / "targets/standby/target.yaml").read_text()
    story.write("targets/standby/target.yaml", text.replace("active: true", "active: false"))
    story.commit()
    sync(story)
    for app in (WEB, LOG):
        story.standby.delete(f"/api/v1/namespaces/{app.name}/persistentvolumeclaims/data")
    sync(story)
    assert has_data_of_the_primary(story, WEB, LOG)
    point(story, "seven")
    command = ("sync", "--target", "standby", "--yes", "--replace-claims")
    story.run_until("before|gitops_dr.engine.in_place.make_filled||2", *command)
    point(story, "eight")
    story.primary_is_dead = True
    found = story.failover("--fenced", "--replace-claims")
    assert found["complete"]
    assert set(BOUND) <= set(claims_of(found, "replaced"))
    assert has_data_of_the_primary(story, *APPS)


def test_what_was_used_since_is_not_the_points_data(story: Story) -> None:
    """A failover is taken back by hand, and the next one is to the same point."""
    story.standby.write("only here", *APPS)
    text = (story.repo / "targets/standby/target.yaml").read_text()
    story.write("targets/standby/target.yaml", text.replace("active: true", "active: false"))
    story.commit()
    sync(story)
    before = story.head
    said = story.failover("--fenced", code=6)
    assert "it may have been used" in said.err
    assert "--replace-claims" in said.err
    assert story.head == before
    found = story.failover("--fenced", "--replace-claims")
    assert found["complete"]
    assert {*BOUND, *DB.named} == set(claims_of(found, "replaced"))
    assert has_data_of_the_primary(story, *APPS)
