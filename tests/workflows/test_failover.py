"""A failover to a warm standby, and what must never happen in one: two that run, old data in use.

On two labs with one storage, as a person would; the tests tell one story and run in its order.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from command import git, gitops_dr
from failover_story import CRON, PRIMARY, Story, begun, claims_of, is_kept, replicas
from stateful import App

pytestmark = pytest.mark.lab

WEB = App("web", "Deployment", "directory")
DB = App("db", "StatefulSet", "directory-wait")
APPS = (WEB, DB)
NIGHTLY = f"{CRON.format('web')}/nightly"
NAMES = sorted([*WEB.named, *DB.named])


@pytest.fixture(scope="module")
def story(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with begun(tmp_path_factory.mktemp("failover"), *APPS) as found:
        yield found


def test_a_cold_one_is_only_checked(story: Story) -> None:
    found = story.run("export", "--cluster", "primary", "--volumes", "-o", "json").json
    assert len(found["snapshots"]) == 4
    found = story.run("sync", "--target", "cold", "--yes", "-o", "json").json
    assert found["checks"]
    assert story.standby.look("/api/v1/namespaces/web") is None
    assert story.standby.look("/api/v1/namespaces/gitops-dr") is None


def test_a_warm_standby_is_there_and_rests(story: Story) -> None:
    synced = story.run("sync", "--target", "standby", "--yes", "-o", "json").json
    assert synced["complete"]
    for app in APPS:
        assert replicas(story.standby, app) == 0
    assert story.standby.look(NIGHTLY)["spec"]["suspend"] is True
    # A claim that binds at once is filled by now.
    assert story.standby.sums(WEB) == story.primary.sums(WEB)


def test_alive_and_not_fenced_is_refused_and_nothing_is_written(story: Story) -> None:
    before = story.head
    said = story.failover(code=6)
    assert "cluster primary: it answers, and Deployment.apps/web/web (and " in said.err
    assert "--fence" in said.err
    assert story.head == before
    assert replicas(story.primary, WEB) == 1
    assert replicas(story.standby, WEB) == 0
    assert story.noted(story.standby, "failover-primary") == {}
    assert story.noted(story.primary, "fenced") == {}


def test_unreachable_is_not_dead(story: Story) -> None:
    story.primary_is_dead = True
    before = story.head
    said = story.failover(code=6)
    assert "cluster primary: nobody knows whether it still runs" in said.err
    assert "--fenced" in said.err
    assert story.head == before
    assert "cannot be stopped" in story.failover("--fence", code=6).err


def test_a_claim_with_older_data_is_never_used(story: Story) -> None:
    """The standby's claims are of the first point, and there is a second one."""
    story.primary_is_dead = False
    story.primary.write("second", *APPS)
    story.run("export", "--cluster", "primary", "--volumes", "-q")
    story.primary_is_dead = True
    before = story.head
    said = story.failover("--fenced", code=6)
    assert "PersistentVolumeClaim/db/data-db-0: was filled from another snapshot" in said.err
    assert "(and 3 more claims)" in said.err
    assert "--replace-claims" in said.err
    assert story.head == before
    assert replicas(story.standby, WEB) == 0


def test_the_primary_is_dead(story: Story) -> None:
    point = story.head
    old = story.standby.volume(WEB, "data")["metadata"]["name"]
    found = story.failover("--fenced", "--replace-claims")
    assert found["complete"]
    assert found["differences"] == []
    assert found["source"]["answers"] is False
    assert found["point"]["commit"] == point
    assert not found["point"]["made"]
    assert claims_of(found["rpo"], "claims") == NAMES
    assert found["rpo"]["dataSeconds"] > 0
    assert found["rto"]["seconds"] > 0
    # Those of the set never had a volume, and are made anew.
    assert claims_of(found, "replaced") == WEB.named
    for app in APPS:
        story.standby.await_running(app)
        assert story.standby.sums(app) == story.primary.sums(app)
    assert is_kept(story.standby, old, "web/data")
    assert story.standby.look(NIGHTLY)["spec"]["suspend"] is False
    assert story.target()["active"] is True
    text = (story.repo / "targets/standby/target.yaml").read_text()
    assert text.startswith("# Where we go when the primary is lost.\n")
    assert "strategy: warm   # it waits\n" in text
    drift = story.run("drift", "--target", "standby", "-o", "json").json
    assert drift["differences"] == []
    noted = story.noted(story.standby, "failover-primary")
    assert (noted["active"], noted["commit"], noted["point"]) == ("true", story.head, point)
    assert noted["ended"]


def test_a_second_time_there_is_nothing_to_do(story: Story) -> None:
    before = story.head
    found = story.failover("--fenced")
    assert found["complete"]
    assert found["alreadyActive"]["commit"] == before
    said = story.run("failover", "--target", "standby", "--yes", "--fenced")
    assert said.out.startswith("standby is active already: primary was failed over to it at ")
    # What would not be what was asked for is refused.
    assert "is stopped before that only" in story.failover("--fence", code=6).err
    older = story.failover("--fenced", "--at", "HEAD~2", code=6)
    assert "has been failed over to at " in older.err
    assert story.head == before


def test_a_checkout_that_does_not_know_it_is_refused(story: Story, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(story.repo, old)
    git(old, "reset", "--quiet", "--hard", "HEAD~1")
    for verb in ("sync", "rebuild"):
        said = gitops_dr(
            *(verb, "--target", "standby", "--yes", "--repo", str(old)),
            environment=story.environment,
        )
        assert said.code == 6, said.err
        assert "has been failed over to by commit" in said.err
        assert "git pull" in said.err
    assert replicas(story.standby, WEB) == 1
    assert story.run("sync", "--target", "standby", "--yes", "-o", "json").json["complete"]


# -- and back ---------------------------------------------------------------------------------


def test_what_was_failed_over_from_is_exported_no_more(story: Story) -> None:
    story.primary_is_dead = False
    said = story.run("export", "--cluster", "primary", code=6)
    assert "has been failed over to target standby" in said.err
    story.primary_is_dead = True


def test_the_standby_is_a_cluster_of_its_own(story: Story) -> None:
    story.standby.write("meanwhile", *APPS)
    found = story.run("export", "--cluster", "standby", "--volumes", "-o", "json").json
    assert len(found["snapshots"]) == 4
    uid = story.primary.look("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    story.write("targets/primary/target.yaml", f"{PRIMARY}uid: {uid}\n")
    story.commit()


def test_the_old_data_of_the_primary_is_not_used(story: Story) -> None:
    """It came back as it was, and still runs."""
    story.primary_is_dead = False
    before = story.head
    assert "may still write" in story.failover(to="primary", code=6).err
    said = story.failover("--fence", to="primary", code=6)
    assert "PersistentVolumeClaim/db/data-db-0: holds data of its own" in said.err
    assert "--replace-claims" in said.err
    assert story.head == before
    assert replicas(story.standby, WEB) == 1
    assert story.noted(story.standby, "fenced") == {}


def test_back_again_killed_and_continued(story: Story) -> None:
    sums = {app: story.standby.sums(app) for app in APPS}
    assert all(sums[app] != story.primary.sums(app) for app in APPS)
    old = {
        name: story.primary.volume(app, name)["metadata"]["name"]
        for app in APPS
        for name in app.claims
    }
    command = ("failover", "--target", "primary", "--yes", "--fence", "--replace-claims")
    exports = story.exports("standby")
    # The source is stopped, its last point made, and nothing says yet where all runs.
    story.run_until("before|gitops_dr.workflows.failover.activate||1", *command)
    assert replicas(story.standby, WEB) == 0
    assert story.target("primary").get("active") is not True
    said = story.run("export", "--cluster", "standby", code=6)
    assert "was stopped for the failover to primary" in said.err
    # It is said, and two of the four claims are another's already.
    story.run_until("before|gitops_dr.engine.in_place.delete_claim||3", *command)
    assert story.target("primary")["active"] is True
    assert story.target("standby")["active"] is False
    # Nothing else may start there what would use the others.
    said = story.run("sync", "--target", "primary", "--yes", code=6)
    assert "a failover to it did not end" in said.err
    # A run that was killed is gone on with.
    found = story.failover("--fence", "--replace-claims", to="primary")
    assert found["complete"], found
    assert found["continued"]
    assert found["active"]["noLonger"] == []
    assert story.exports("standby") == exports + 1
    for app in APPS:
        story.primary.await_running(app)
        assert story.primary.sums(app) == sums[app]
        assert replicas(story.standby, app) == 0
    for name, volume in old.items():
        assert is_kept(story.primary, volume, f"{'web' if name == 'data' else 'db'}/{name}")
    assert story.primary.look(NIGHTLY)["spec"]["suspend"] is False
    assert story.standby.look(NIGHTLY)["spec"]["suspend"] is True
    assert story.noted(story.standby, "failover-primary")["active"] == "false"
    assert found["rpo"]["dataSeconds"] == 0
    point = found["point"]["commit"]
    path = f"{point}:clusters/standby/namespaces/db/statefulsets.apps/db.yaml"
    assert yaml.safe_load(git(story.repo, "show", path))["spec"]["replicas"] == 3


def test_the_standby_waits_again(story: Story) -> None:
    found = story.run("export", "--cluster", "primary", "--volumes", "-o", "json").json
    assert len(found["snapshots"]) == 4
    synced = story.run("sync", "--target", "standby", "--yes", "-o", "json").json
    assert synced["complete"]
    for app in APPS:
        assert replicas(story.standby, app) == 0


# -- and there again, as planned -----------------------------------------------------------------


def test_a_fence_can_be_taken_back(story: Story) -> None:
    command = ("failover", "--target", "standby", "--yes", "--fence", "--replace-claims")
    story.run_until("after|gitops_dr.engine.fencing.Fencing.stop||1", *command)
    assert replicas(story.primary, DB) == 0
    back = story.run("failover", "--target", "standby", "--unfence", "-o", "json").json
    assert "StatefulSet" in {one["kind"] for one in back["objects"]}
    for app in APPS:
        story.primary.await_running(app)
    assert story.primary.look(NIGHTLY)["spec"]["suspend"] is False
    drift = story.run("drift", "--cluster", "primary", "-o", "json").json
    assert drift["differences"] == []


def test_a_planned_one_loses_nothing(story: Story) -> None:
    command = ("failover", "--target", "standby", "--yes", "--fence", "--replace-claims")
    story.run_until("before|gitops_dr.workflows.failover.activate||1", *command)
    # It was stopped and recorded, and then somebody let it run again by hand: that counts.
    for app in APPS:
        story.primary.patch(app.path, {"spec": {"replicas": app.replicas}})
        story.primary.await_running(app)
    story.primary.write("last", *APPS)
    sums = {app: story.primary.sums(app) for app in APPS}
    found = story.failover("--fence", "--replace-claims")
    assert found["complete"]
    assert found["point"]["made"]
    assert found["rpo"]["dataSeconds"] == found["rpo"]["configurationSeconds"] == 0
    assert found["active"]["noLonger"] == ["primary"]
    for app in APPS:
        story.standby.await_running(app)
        assert story.standby.sums(app) == sums[app]
        assert replicas(story.primary, app) == 0
