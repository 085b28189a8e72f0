"""A failover to where nothing is yet: a cold target, and a warm one that was never synced.

On real control planes with one storage, each target's its own and empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from failover_story import CRON, STANDBY, Story, begun, claims_of, replicas
from stateful import App, Cluster

from gitops_dr import lab as labs

pytestmark = pytest.mark.lab

WEB = App("web")
DB = App("db", "StatefulSet", "directory-wait")
APPS = (WEB, DB)
PHASES = {"observe", "compare", "plan", "check", "source", "activate", "execute", "release"}


@pytest.fixture(scope="module")
def story(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with begun(tmp_path_factory.mktemp("cold"), *APPS) as found:
        found.run("export", "--cluster", "primary", "--volumes", "-q")
        yield found


def spaces(cluster: Cluster) -> set[str]:
    return {body["metadata"]["name"] for body in cluster.listed("/api/v1/namespaces")}


def runs_everything(story: Story, target: str) -> None:
    """Fail over to a target with nothing of ours, and look at all that comes of it."""
    before = spaces(story.standby)
    assert not before & {"web", "db", "gitops-dr"}
    found = story.failover("--fenced", to=target)
    assert found["complete"]
    assert found["differences"] == []
    assert found["replaced"] == []
    assert found["seconds"].keys() >= PHASES
    assert found["rto"]["seconds"] >= found["seconds"]["execute"]
    assert claims_of(found["rpo"], "claims") == sorted([*WEB.named, *DB.named])
    for app in APPS:
        story.standby.await_running(app)
        assert replicas(story.standby, app) == app.replicas
        assert story.standby.sums(app) == story.primary.sums(app)
    assert [one["ref"]["kind"] for one in found["released"]] == ["CronJob"]
    assert story.standby.look(f"{CRON.format('web')}/nightly")["spec"]["suspend"] is False
    drift = story.run("drift", "--target", target, "-o", "json").json
    assert drift["differences"] == []
    assert story.target(target)["active"] is True
    # Nothing is left to do, and whoever runs it again is told.
    again = story.failover("--fenced", to=target)
    assert again["alreadyActive"]["target"] == target


def test_a_cold_one_is_built_from_nothing(story: Story) -> None:
    before = spaces(story.standby)
    for _ in range(2):
        checked = story.run("sync", "--target", "cold", "--yes", "-o", "json").json
        assert checked["checks"]
    assert spaces(story.standby) == before
    story.primary_is_dead = True
    runs_everything(story, "cold")


def test_a_warm_one_whose_source_died_before_the_first_sync(story: Story) -> None:
    story.primary_is_dead = True
    with labs.running("fresh", storage=story.primary.lab.storage) as fresh:
        story.standby = Cluster(fresh)
        story.write("targets/fresh/target.yaml", STANDBY.replace("standby", "fresh"))
        text = (story.repo / "targets/cold/target.yaml").read_text()
        story.write("targets/cold/target.yaml", text.replace("active: true", "active: false"))
        story.commit()
        runs_everything(story, "fresh")
