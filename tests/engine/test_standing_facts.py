"""How the Secrets and the recovery point of a repository stand, as doctor looks at them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command import commit_all
from secret_samples import Key, Repo, new_key, place
from volumes_samples import RECORD

from gitops_dr.desired.recovery import COVERAGE, Coverage, write_coverage
from gitops_dr.engine.opening import Opened, open_repo
from gitops_dr.engine.standing_facts import point_facts, rule_problems, secret_facts
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Ref
from gitops_dr.volumes.records import SnapshotRecord, record_path, write_record
from gitops_dr.volumes.retention import PRUNED, handle_of, write_pruned


@pytest.fixture(autouse=True)
def _people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


@pytest.fixture
def one(tmp_path: Path) -> Key:
    return new_key(tmp_path, "one")


# -- secrets -----------------------------------------------------------------------------------


def test_a_key_that_opens_them_is_enough(repo: Repo, one: Key) -> None:
    repo.rules(one)
    repo.seal(one)
    where = repo.where(one)
    found = secret_facts(open_repo(where), where)
    assert (found.files, found.closed, found.problem) == (1, (), None)


def test_one_of_each_set_of_recipients_is_tried(repo: Repo, one: Key, tmp_path: Path) -> None:
    other = new_key(tmp_path, "other")
    repo.rules(one)
    repo.seal(one)
    repo.seal(other, name="x-alike")
    repo.seal(other, name="x-closed")
    where = repo.where(one)
    found = secret_facts(open_repo(where), where)
    assert found.files == 3
    (closed,) = found.closed
    assert place("x-alike") in closed.reason
    assert closed.hint
    where = repo.where()
    assert len(secret_facts(open_repo(where), where).closed) == 2


def test_a_damaged_key_file_is_told_and_not_shown(repo: Repo, one: Key, tmp_path: Path) -> None:
    repo.rules(one)
    repo.seal(one)
    broken = tmp_path / "broken"
    broken.write_text("AGE-SECRET-KEY-1HUNTER2\n")
    broken.chmod(0o600)
    where = repo.where(broken)
    found = secret_facts(open_repo(where), where)
    assert found.problem is not None or found.closed
    assert "HUNTER2" not in str(found)


def test_without_secrets_no_key_is_looked_for(repo: Repo) -> None:
    where = repo.where(Path("/nowhere"))
    assert secret_facts(open_repo(where), where).files == 0


def test_rules_that_cannot_be_followed_are_told_apart(repo: Repo, one: Key) -> None:
    where = repo.where(one)
    rules = [
        {"path_regex": "^clusters/prod/", "age": one.recipient},
        {"path_regex": "^other/", "age": "age1nonsense"},
        {"path_regex": "^kms/", "kms": "arn:aws:kms:x"},
    ]

    def problems() -> tuple[int, int]:
        (repo.path / ".sops.yaml").write_bytes(canonical({"creation_rules": rules}))
        commit_all(repo.path)
        own, others = rule_problems(open_repo(where))
        assert all(each.reason.startswith(".sops.yaml") for each in (*own, *others))
        return len(own), len(others)

    assert problems() == (0, 1)
    rules[0]["age"] = "age1nonsense"
    assert problems() == (1, 1)
    rules[:] = [{"path_regex": 3}]
    assert problems() == (1, 0)


# -- the recovery point ------------------------------------------------------------------------

NOW = datetime.now(UTC)
DATA = Ref("", "PersistentVolumeClaim", "shop", "data")


def claim(name: str = "data", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "labels": {"app": name}}
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return {**kind, "metadata": metadata, "spec": spec}


def record(name: str = "data", hours: float = 1) -> SnapshotRecord:
    created = (NOW - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return replace(RECORD, namespace="shop", claim=name, created=created)


def point(repo: Repo, *bodies: dict[str, Any], settings: str = "", **files: bytes) -> Opened:
    """A repository with a recovery point of these claims."""
    root = repo.path / "clusters/prod"
    for body in bodies:
        file = root / f"namespaces/shop/persistentvolumeclaims/{body['metadata']['name']}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(canonical(body))
    coverage = Coverage("u", "v1.37.2", (), unprotected={DATA: "the driver was away"})
    for path, data in {COVERAGE: write_coverage(coverage), **files}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    (repo.path / "gitops-dr.yaml").write_text(f"format: 1\nclusters:\n  prod:\n{settings}")
    commit_all(repo.path, "A point\n\nCluster: prod")
    return open_repo(repo.where())


def snapshot(name: str = "data", hours: float = 1) -> dict[str, bytes]:
    made = record(name, hours)
    return {record_path(made.ref): write_record(made)}


def test_without_an_export_there_is_no_point(repo: Repo) -> None:
    assert point_facts(open_repo(repo.where())) is None


def test_a_claim_with_its_snapshot_is_well(repo: Repo) -> None:
    found = point_facts(point(repo, claim(), **snapshot()))
    assert found is not None
    assert (found.stale, found.without, found.max_age) == ((), {}, None)
    assert timedelta() <= found.age < timedelta(minutes=5)


def test_a_claim_without_one_says_why(repo: Repo) -> None:
    found = point_facts(point(repo, claim(), claim("other")))
    assert found is not None
    assert {ref.name: why for ref, why in found.without.items()} == {
        "data": "the driver was away",
        "other": "no snapshot of it was taken",
    }


def test_a_snapshot_that_was_pruned_is_none(repo: Repo) -> None:
    gone = {PRUNED: write_pruned({handle_of(record())})}
    found = point_facts(point(repo, claim(), **snapshot(), **gone))
    assert found is not None
    assert "was pruned" in found.without[DATA]


@pytest.mark.parametrize(("hours", "stale"), [(25, ()), (27, (DATA,))])
def test_a_snapshot_may_be_as_old_as_is_said(repo: Repo, hours: float, stale: Any) -> None:
    settings = "volumes:\n  maxAge: 26h\n"
    found = point_facts(point(repo, claim(), settings=settings, **snapshot(hours=hours)))
    assert found is not None
    assert (found.stale, found.max_age) == (stale, timedelta(hours=26))


@pytest.mark.parametrize("meant", ["capture: false", "restore: empty", "restore: skip"])
def test_what_is_meant_to_be_without_is_well(repo: Repo, meant: str) -> None:
    row = f"volumes:\n  policies:\n  - name: data\n    {meant}\n"
    found = point_facts(point(repo, claim(), settings=row))
    assert found is not None
    assert found.without == {}


def test_a_static_volume_needs_none(repo: Repo) -> None:
    found = point_facts(point(repo, claim(volumeName="pv")))
    assert found is not None
    assert found.without == {}
