"""What only a target had at an earlier commit: told by its folder then, or not at all."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest
from command import commit_all, git

from gitops_dr.cluster.sync_record import SyncedTo
from gitops_dr.engine.opening import Where, open_repo
from gitops_dr.engine.point import read_point
from gitops_dr.engine.target_then import owned_then
from gitops_dr.engine.targets import read_target
from gitops_dr.errors import RefusedError
from gitops_dr.events import Event, Notice
from gitops_dr.repository.trust import Trust
from gitops_dr.resources import shipped
from gitops_dr.secrets.sops import seal

KEY = pyrage.x25519.Identity.generate()
CANARY = "canary-of-a-target"
FOLDER = "targets/standby"
TEMPLATE = f"{FOLDER}/templates/own.yaml.j2"
OWN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '%s', namespace: orders}\n"


class Story:
    """A repository, and the commit that a cluster was brought to."""

    def __init__(self, repo: Path) -> None:
        self.repo = repo

    def put(self, **files: str | bytes) -> str:
        for name, data in files.items():
            file = self.repo / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data if isinstance(data, bytes) else data.encode())
        commit_all(self.repo)
        return git(self.repo, "rev-parse", "HEAD").strip()

    def drop(self, name: str) -> str:
        (self.repo / name).unlink()
        commit_all(self.repo)
        return git(self.repo, "rev-parse", "HEAD").strip()

    def owned(
        self, synced: SyncedTo, *, key: bool = True, trust: Trust | None = None
    ) -> tuple[set[str], list[str]]:
        """Names of what the target had of its own, and what was said."""
        environment = {"HOME": str(self.repo.parent), "SOPS_AGE_KEY": str(KEY) if key else ""}
        where = Where(self.repo, environment=environment)
        opened = open_repo(where)
        if trust is not None:
            opened = replace(opened, trust=trust)
        said: list[Event] = []
        found = owned_then(
            opened,
            where,
            synced,
            read_target(opened, where, "standby", masked=True),
            tree=read_point(opened, None),
            resources={},
            emit=said.append,
        )
        return (
            {f"{ref.kind}/{ref.namespace}/{ref.name}" for ref in found},
            [each.text for each in said if isinstance(each, Notice)],
        )


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    path = tmp_path / "repository"
    shutil.copytree(shipped("cluster-repos/bookstore"), path)
    git(path, "init", "--quiet", "--initial-branch=main")
    commit_all(path, "Start")
    return Story(path)


def both(story: Story) -> SyncedTo:
    """Brought to a commit with two objects of the target's own, and a Secret."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "orders"},
        "stringData": {"password": CANARY},
    }
    commit = story.put(
        **{
            f"{FOLDER}/target.yaml": "format: 1\n",
            TEMPLATE: OWN % "one" + "---\n" + OWN % "two",
            f"{FOLDER}/secrets/db.yaml": seal(
                secret, [str(KEY.to_public())], now=datetime.now(UTC)
            ),
        }
    )
    return SyncedTo(commit, "standby")


ALL = {"ConfigMap/orders/one", "ConfigMap/orders/two", "Secret/orders/db"}


def test_what_the_folder_had_then(story: Story) -> None:
    synced = both(story)
    story.put(**{TEMPLATE: OWN % "one"})
    assert story.owned(synced) == (ALL, [])


def test_a_secret_need_not_be_opened_for_that(story: Story) -> None:
    synced = both(story)
    story.drop(f"{FOLDER}/secrets/db.yaml")
    assert story.owned(synced, key=False) == (ALL, [])


@pytest.mark.parametrize("name", ["README.md", "clusters/bookstore/namespaces/x.yaml"])
def test_a_folder_without_a_change_is_not_rendered_again(story: Story, name: str) -> None:
    synced = both(story)
    story.put(**{name: "other\n"})
    assert story.owned(synced) == (set(), [])


def test_of_the_source_itself_there_is_nothing(story: Story) -> None:
    synced = both(story)
    story.put(**{TEMPLATE: OWN % "one"})
    assert story.owned(replace(synced, target="")) == (set(), [])


def test_the_folder_counts_of_the_commit_that_it_was_read_at(story: Story) -> None:
    """An older state of the source may have been brought there, with the target of that day."""
    start = git(story.repo, "rev-parse", "HEAD").strip()
    synced = both(story)
    story.put(**{TEMPLATE: OWN % "one"})
    assert story.owned(SyncedTo(start, "standby", synced.commit)) == (ALL, [])
    owned, (said,) = story.owned(SyncedTo(start, "standby"))
    assert owned == set()
    assert said.startswith(f"what left targets/standby since commit {start[:12]} is not known")


def test_under_the_name_that_it_had(story: Story) -> None:
    synced = both(story)
    story.put(**{"targets/former/target.yaml": "format: 1\n"})
    (story.repo / "targets/former/templates").mkdir()
    then = story.put(**{"targets/former/templates/own.yaml": OWN % "old"})
    owned, said = story.owned(replace(synced, target="former", commit=then))
    assert (owned, said) == ({"ConfigMap/orders/old"}, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OWN % "one" + "---\n" + OWN % "{{ values.none }}", "own.yaml.j2"),
        ("a: b", "what it makes is no manifest"),
        (OWN % "one" + "---\n" + OWN % "one", "rendered twice"),
        (OWN.replace(", namespace: orders", "") % "one", "has no namespace"),
    ],
)
def test_what_cannot_be_made_any_more_deletes_nothing(story: Story, text: str, said: str) -> None:
    story.put(**{f"{FOLDER}/target.yaml": "format: 1\n"})
    then = story.put(**{TEMPLATE: text})
    story.put(**{TEMPLATE: OWN % "one"})
    owned, (notice,) = story.owned(SyncedTo(then, "standby"))
    assert owned == set()
    assert "nothing of it is deleted" in notice
    assert said in notice


def test_values_that_cannot_be_opened_any_more_delete_nothing(story: Story) -> None:
    both(story)
    values = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "values"},
        "stringData": {"token": CANARY},
    }
    sealed = seal(values, [str(KEY.to_public())], now=datetime.now(UTC))
    then = story.put(**{f"{FOLDER}/secret-values.yaml": sealed})
    story.put(**{TEMPLATE: OWN % "one"})
    owned, (notice,) = story.owned(SyncedTo(then, "standby"), key=False)
    assert owned == set()
    assert "is not known" in notice
    assert CANARY not in notice
    assert story.owned(SyncedTo(then, "standby")) == (ALL, [])


def test_a_commit_that_is_not_there_deletes_nothing(story: Story) -> None:
    both(story)
    owned, (notice,) = story.owned(SyncedTo("0" * 40, "standby"))
    assert owned == set()
    assert "nothing of it is deleted" in notice


def test_a_commit_that_nobody_signed_is_not_read(story: Story) -> None:
    synced = both(story)
    story.put(**{TEMPLATE: OWN % "one"})

    class Nobody(Trust):
        def require(self, commit: str, what: str) -> None:
            if commit == synced.commit:
                raise RefusedError(f"{commit} ({what}): not signed")

    opened = open_repo(Where(story.repo, environment={}))
    with pytest.raises(RefusedError, match="the target standby before"):
        story.owned(synced, trust=Nobody(opened.repo))


def test_ref_of_what_is_owned(story: Story) -> None:
    """The namespace of a cluster-scoped kind is none, as an export of the source has it."""
    text = OWN.replace("ConfigMap", "Namespace") % "extra"
    story.put(**{f"{FOLDER}/target.yaml": "format: 1\n"})
    then = story.put(**{TEMPLATE: text})
    story.put(**{TEMPLATE: OWN % "one"})
    owned, _ = story.owned(SyncedTo(then, "standby"))
    assert owned == {"Namespace//extra"}
