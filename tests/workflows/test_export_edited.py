"""Exports into files that people have laid out: what they wrote there stays."""

from pathlib import Path

import pytest
import yaml
from command import commit_all, git
from small_cluster import config_map

from gitops_dr.drift.threeway import Change
from gitops_dr.engine.opening import Where
from gitops_dr.events import Notice
from gitops_dr.workflows.export import export

MAPS = Path("clusters/prod/namespaces/shop/configmaps")
PENDING = Path("clusters/prod/recovery/pending.yaml")

LAID_OUT = """\
# The shop's settings. Ask the web team.
kind: ConfigMap
apiVersion: v1
metadata: {name: a, namespace: shop}
data:
  # changed by hand
  v: '1'   # one
  # asked for by finance
  tax: "0.19"
"""


@pytest.fixture
def file(repo, cluster) -> Path:
    """A file with comments, of an object that the cluster has just so."""
    path = repo / MAPS / "a.yaml"
    path.write_text(LAID_OUT)
    commit_all(repo)
    cluster.put(config_map("a", v="1", tax="0.19"))
    assert not export(Where(repo)).pending
    assert path.read_text() == LAID_OUT
    return path


def test_only_what_the_cluster_changed_is_written(repo, cluster, file):
    cluster.put(config_map("a", v="2", tax="0.19", new="x"))
    result = export(Where(repo))
    assert result.written == (str(file.relative_to(repo / "clusters/prod")),)
    expected = LAID_OUT.replace("v: '1'   # one", "v: '2'   # one") + "  new: x\n"
    assert file.read_text() == expected
    assert not export(Where(repo)).created
    cluster.put(config_map("a", v="2"))
    export(Where(repo))
    assert file.read_text() == expected[: expected.index("  # asked")].replace("'1'", "'2'")
    assert git(repo, "status", "--porcelain") == ""


def test_a_dry_run_says_the_same_and_leaves_the_file(repo, cluster, file):
    cluster.put(config_map("a", v="2", tax="0.19"))
    assert export(Where(repo), dry_run=True).written
    assert file.read_text() == LAID_OUT


def test_what_cannot_be_edited_is_written_anew_and_said(repo, cluster, file):
    odd = LAID_OUT.replace("  # asked", "  x: {p, q: 1}\n  # asked")
    file.write_text(odd)
    commit_all(repo)
    body = config_map("a", v="1", tax="0.19")
    body["data"]["x"] = {"p": None, "q": 1}
    cluster.put(body)
    export(Where(repo))
    assert file.read_text() == odd
    body["data"]["v"] = "2"
    said: list[object] = []
    export(Where(repo), emit=said.append)
    notes = [event.text for event in said if isinstance(event, Notice)]
    (note,) = [note for note in notes if "written anew" in note]
    assert note.startswith("namespaces/shop/configmaps/a.yaml: ")
    assert "#" not in file.read_text()
    assert yaml.safe_load(file.read_text())["data"]["v"] == "2"


def test_the_base_of_what_is_pending_is_found_in_a_file_with_comments(repo, cluster, file):
    # The canonical bytes of that version were never in Git: only the file was.
    cluster.put(config_map("a", v="2", tax="0.19"))
    export(Where(repo))
    before = git(repo, "rev-parse", f"HEAD:{MAPS}/a.yaml").strip()
    file.write_text(file.read_text().replace('"0.19"', '"0.21"'))
    commit_all(repo)
    for _ in range(2):
        result = export(Where(repo))
        assert [(each.ref.name, each.git) for each in result.pending] == [("a", Change.EDITED)]
        (held,) = yaml.safe_load((repo / PENDING).read_text())["objects"]
        assert held["blob"] == before != held["base"]
    # It is applied, and the cluster adds something of its own.
    cluster.put(config_map("a", v="2", tax="0.21", default="x"))
    result = export(Where(repo))
    assert (result.pending, result.conflicts) == ((), ())
    assert '# asked for by finance\n  tax: "0.21"\n  default: x\n' in file.read_text()
    assert not (repo / PENDING).exists()


def test_a_base_that_is_canonical_needs_no_other_name(repo, cluster):
    (repo / MAPS / "a.yaml").write_text(LAID_OUT)
    commit_all(repo)
    assert export(Where(repo)).pending
    (held,) = yaml.safe_load((repo / PENDING).read_text())["objects"]
    assert "blob" not in held
