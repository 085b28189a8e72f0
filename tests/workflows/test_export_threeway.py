"""Exports over real Git and a cluster in memory: whose change it was, and what the base is."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from command import commit_all, git
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_cluster import OTHERS, SHOP, config_map, new_repo

from gitops_dr.drift.threeway import Change
from gitops_dr.engine.opening import Where
from gitops_dr.errors import ExitCode, RefusedError
from gitops_dr.events import Notice
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import ANY, Gap, Ref
from gitops_dr.reports import export as report
from gitops_dr.results.export import Exported
from gitops_dr.workflows.export import export

MAPS = Path("clusters/prod/namespaces/shop/configmaps")
PENDING = Path("clusters/prod/recovery/pending.yaml")


def edit(repo: Path, name: str, **data: str) -> None:
    (repo / MAPS / f"{name}.yaml").write_bytes(canonical(config_map(name, **data)))
    commit_all(repo, f"Edit {name}")


def remove(repo: Path, name: str) -> None:
    (repo / MAPS / f"{name}.yaml").unlink()
    commit_all(repo, f"Remove {name}")


def in_git(repo: Path, name: str) -> dict[str, str] | None:
    file = repo / MAPS / f"{name}.yaml"
    return yaml.safe_load(file.read_text())["data"] if file.exists() else None


def standing(found) -> list[tuple[str, str, str]]:
    return [(each.ref.name, each.git, each.cluster) for each in found]


def exit_code(result: Exported) -> ExitCode:
    return report.exit_code(result)


# -- what nobody can tell ---------------------------------------------------------------------


def test_while_autoscalers_cannot_be_listed_no_scale_goes_into_git(repo, cluster):
    """The cluster in memory has no Deployments; what has replicas is treated alike."""
    scaled = config_map("scaled", v="1")
    cluster.put(scaled | {"spec": {"replicas": 2}})
    assert export(Where(repo)).created
    cluster.gaps.append(Gap(Ref("autoscaling", "HorizontalPodAutoscaler", "", ANY), "not you"))
    cluster.put(scaled | {"spec": {"replicas": 5}}, config_map("a", v="2"))
    result = export(Where(repo))
    assert result.written == (
        "namespaces/shop/configmaps/a.yaml",
        "recovery/coverage.yaml",
    )
    assert exit_code(result) is ExitCode.PARTIAL
    cluster.gaps.clear()
    export(Where(repo))
    assert "replicas: 5" in (repo / MAPS / "scaled.yaml").read_text()


def test_nor_is_a_scale_undone_that_was_merged_meanwhile(repo, cluster):
    scaled = config_map("scaled", v="1")
    cluster.put(scaled | {"spec": {"replicas": 2}})
    assert export(Where(repo)).created
    cluster.gaps.append(Gap(Ref("autoscaling", "HorizontalPodAutoscaler", "", ANY), "not you"))
    (repo / MAPS / "scaled.yaml").write_bytes(canonical(scaled | {"spec": {"replicas": 5}}))
    commit_all(repo, "Scale it")
    cluster.put(scaled | {"spec": {"replicas": 3}})
    for _ in range(2):
        result = export(Where(repo))
        assert standing(result.pending) == [("scaled", Change.EDITED, Change.NONE)]
    cluster.gaps.clear()
    cluster.put(scaled | {"spec": {"replicas": 2}})
    assert standing(export(Where(repo)).pending) == [("scaled", Change.EDITED, Change.NONE)]
    assert "replicas: 5" in (repo / MAPS / "scaled.yaml").read_text()


# -- whose change was it ----------------------------------------------------------------------


def test_a_merged_change_that_was_not_applied_is_never_undone(repo, cluster):
    edit(repo, "a", v="2")
    result = export(Where(repo))
    assert standing(result.pending) == [("a", Change.EDITED, Change.NONE)]
    assert exit_code(result) is ExitCode.DONE
    assert in_git(repo, "a") == {"v": "2"}
    assert not export(Where(repo)).created
    # Other things happen, and it still is not undone.
    cluster.put(config_map("b", v="2"))
    for _ in range(2):
        result = export(Where(repo))
        assert standing(result.pending) == [("a", Change.EDITED, Change.NONE)]
    assert (in_git(repo, "a"), in_git(repo, "b")) == ({"v": "2"}, {"v": "2"})


def test_an_applied_change_is_no_longer_pending(repo, cluster):
    edit(repo, "a", v="2")
    export(Where(repo))
    assert (repo / PENDING).exists()
    cluster.put(config_map("a", v="2"))
    result = export(Where(repo))
    assert (result.pending, result.conflicts) == ((), ())
    assert result.deleted == ("recovery/pending.yaml",)
    cluster.put(config_map("a", v="3"))
    assert not export(Where(repo)).conflicts
    assert in_git(repo, "a") == {"v": "3"}


def test_additions_and_deletions_in_git_are_pending(repo, cluster):
    edit(repo, "new", v="1")
    remove(repo, "a")
    cluster.put(config_map("b", v="2"))
    for _ in range(2):
        result = export(Where(repo))
        assert standing(result.pending) == [
            ("a", Change.DELETED, Change.NONE),
            ("new", Change.ADDED, Change.NONE),
        ]
    assert (in_git(repo, "a"), in_git(repo, "new")) == (None, {"v": "1"})
    del cluster["a"]
    cluster.put(config_map("new", v="1"))
    assert export(Where(repo)).pending == ()
    assert not (repo / PENDING).exists()


@pytest.mark.parametrize(
    ("git_side", "cluster_side", "said"),
    [
        ({"v": "2"}, {"v": "3"}, (Change.EDITED, Change.EDITED)),
        (None, {"v": "3"}, (Change.DELETED, Change.EDITED)),
        ({"v": "2"}, None, (Change.EDITED, Change.DELETED)),
    ],
)
def test_what_both_changed_is_a_conflict_until_somebody_decides(
    repo, cluster, git_side, cluster_side, said
):
    edit(repo, "a", **git_side) if git_side else remove(repo, "a")
    if cluster_side:
        cluster.put(config_map("a", **cluster_side))
    else:
        del cluster["a"]
    for _ in range(2):
        result = export(Where(repo))
        assert standing(result.conflicts) == [("a", *said)]
        assert exit_code(result) is ExitCode.PARTIAL
        assert in_git(repo, "a") == git_side
        # It stays one when the cluster goes on with something else.
        cluster.put(config_map("b", v=f"{in_git(repo, 'b')}"))
    assert export(Where(repo), cluster_wins=True).conflicts == ()
    assert in_git(repo, "a") == cluster_side
    assert not export(Where(repo)).created


def test_a_conflict_is_settled_by_making_git_say_what_the_cluster_is(repo, cluster):
    edit(repo, "a", v="2")
    cluster.put(config_map("a", v="3"))
    assert export(Where(repo)).conflicts
    edit(repo, "a", v="3")
    assert not export(Where(repo)).conflicts
    assert not (repo / PENDING).exists()


def test_defaults_that_the_api_server_adds_are_no_conflict(repo, cluster):
    edit(repo, "new", v="1")
    edit(repo, "a", v="1", w="1")
    export(Where(repo))
    cluster.put(config_map("new", v="1", default="x"), config_map("a", v="1", w="1", default="x"))
    result = export(Where(repo))
    assert (result.pending, result.conflicts) == ((), ())
    assert in_git(repo, "new") == {"v": "1", "default": "x"}
    assert in_git(repo, "a") == {"v": "1", "w": "1", "default": "x"}


def test_a_kind_that_could_not_be_read_forgets_nothing(repo, cluster):
    edit(repo, "a", v="2")
    remove(repo, "b")
    export(Where(repo))
    cluster.gaps = [Gap(Ref("", "ConfigMap", "", ANY), "403 Forbidden")]
    result = export(Where(repo))
    assert exit_code(result) is ExitCode.PARTIAL
    assert (result.pending, result.deleted) == ((), ())
    assert in_git(repo, "a") == {"v": "2"}
    cluster.gaps = []
    assert [each.ref.name for each in export(Where(repo)).pending] == ["a", "b"]


def test_coverage_counts_what_is_in_git(repo, cluster):
    def counted() -> int:
        text = (repo / "clusters/prod/recovery/coverage.yaml").read_text()
        kinds = yaml.safe_load(text)["kinds"]
        return next(kind["objects"] for kind in kinds if kind["kind"] == "ConfigMap")

    before = counted()
    assert before == len(list((repo / MAPS).iterdir()))
    edit(repo, "new", v="1")
    remove(repo, "a")
    remove(repo, "b")
    cluster.put(config_map("more", v="1"))
    export(Where(repo))
    assert counted() == before == len(list((repo / MAPS).iterdir()))
    cluster.gaps = [Gap(Ref("", "ConfigMap", "", ANY), "403 Forbidden")]
    export(Where(repo))
    assert counted() == before


def test_both_are_named_in_the_reports(repo, cluster):
    edit(repo, "a", v="2")
    edit(repo, "b", v="2")
    cluster.put(config_map("b", v="3"))
    result = export(Where(repo))
    table = report.as_table(result, {})
    assert "  ConfigMap/shop/a: changed in Git\n" in table
    assert "  ConfigMap/shop/b: changed in Git, changed in the cluster\n" in table
    assert "--cluster-wins" in table
    document = json.loads(report.as_json(result, {}))
    (conflict,) = document["conflicts"]
    assert conflict["ref"]["name"] == "b"
    assert (conflict["git"], conflict["cluster"]) == ("changed", "changed")
    assert [each["ref"]["name"] for each in document["pending"]] == ["a"]
    assert "1 pending, 1 in conflict" in git(repo, "log", "-1", "--format=%s")


def test_a_dry_run_names_them_and_writes_nothing(repo, cluster):
    edit(repo, "a", v="2")
    before = git(repo, "rev-parse", "HEAD")
    assert export(Where(repo), dry_run=True).pending
    assert git(repo, "rev-parse", "HEAD") == before
    assert git(repo, "status", "--porcelain") == ""


def test_a_file_that_is_no_longer_a_manifest_is_named_and_kept(repo, cluster):
    broken = repo / MAPS / "a.yaml"
    broken.write_text(broken.read_text() + "data: {}\n")
    commit_all(repo)
    kept = broken.read_bytes()
    cluster.put(config_map("a", v="3"), config_map("b", v="3"))
    for _ in range(2):
        result = export(Where(repo))
        assert any("a.yaml:" in gap.reason for gap in result.gaps)
        assert exit_code(result) is ExitCode.PARTIAL
        assert broken.read_bytes() == kept
    assert in_git(repo, "b") == {"v": "3"}
    # The base is not forgotten meanwhile: both have changed it.
    edit(repo, "a", v="2")
    assert standing(export(Where(repo)).conflicts) == [("a", Change.EDITED, Change.EDITED)]


def test_a_place_that_another_object_has_is_not_overwritten(repo, cluster):
    shutil.move(repo / MAPS / "a.yaml", repo / MAPS / "c.yaml")
    commit_all(repo)
    assert not export(Where(repo)).created
    cluster.put(config_map("c", v="1"))
    result = export(Where(repo))
    assert [gap.ref.name for gap in result.gaps] == ["c"]
    assert yaml.safe_load((repo / MAPS / "c.yaml").read_text())["metadata"]["name"] == "a"


# -- where the base comes from ----------------------------------------------------------------


def on_a_branch(repo: Path, deed, *, base: str = "HEAD") -> None:
    git(repo, "switch", "--quiet", "--create", "feature", base)
    deed()
    git(repo, "switch", "--quiet", "main")


def test_a_merge_does_not_hide_the_export_before_it(repo, cluster):
    start = git(repo, "rev-parse", "HEAD").strip()
    cluster.put(config_map("b", v="2"))
    export(Where(repo))
    on_a_branch(repo, lambda: edit(repo, "a", v="2"), base=start)
    git(repo, "merge", "--quiet", "--no-edit", "feature")
    cluster.put(config_map("b", v="3"))
    result = export(Where(repo))
    assert standing(result.pending) == [("a", Change.EDITED, Change.NONE)]
    assert in_git(repo, "b") == {"v": "3"}


def test_exports_on_a_branch_count_once_they_are_squashed(repo, cluster):
    def exports() -> None:
        for value in ("2", "3"):
            cluster.put(config_map("b", v=value))
            export(Where(repo))

    on_a_branch(repo, exports)
    git(repo, "merge", "--quiet", "--squash", "feature")
    git(repo, "commit", "--quiet", "--no-edit")
    assert "    Cluster: prod" in git(repo, "log", "-1", "--format=%B")
    cluster.put(config_map("b", v="4"))
    assert not export(Where(repo)).conflicts
    assert in_git(repo, "b") == {"v": "4"}


def test_an_edit_that_was_squashed_into_an_export_is_not_undone(repo, cluster):
    def export_and_edit() -> None:
        cluster.put(config_map("b", v="2"))
        export(Where(repo))
        edit(repo, "a", v="2")

    on_a_branch(repo, export_and_edit)
    git(repo, "merge", "--quiet", "--squash", "feature")
    git(repo, "commit", "--quiet", "--no-edit")
    result = export(Where(repo))
    assert standing(result.pending) == [("a", Change.EDITED, Change.NONE)]
    assert in_git(repo, "a") == {"v": "2"}


def test_an_edit_that_was_amended_into_an_export_is_not_undone(repo, cluster):
    cluster.put(config_map("b", v="2"))
    export(Where(repo))
    (repo / MAPS / "a.yaml").write_bytes(canonical(config_map("a", v="2")))
    git(repo, "commit", "--quiet", "--all", "--amend", "--no-edit")
    assert standing(export(Where(repo)).pending) == [("a", Change.EDITED, Change.NONE)]


def test_another_clusters_export_is_no_base(repo, cluster):
    (repo / "gitops-dr.yaml").write_text("format: 1\nclusters:\n  prod:\n  stage:\n")
    edit(repo, "a", v="2")
    assert export(Where(repo, cluster="stage")).created
    assert standing(export(Where(repo, cluster="prod")).pending) == [
        ("a", Change.EDITED, Change.NONE)
    ]


def forget_history(repo: Path) -> None:
    git(repo, "switch", "--quiet", "--orphan", "fresh")
    git(repo, "checkout", "--quiet", "main", "--", ".")
    commit_all(repo, "All that there was")


def test_without_an_export_in_the_history_nobody_guesses(repo, cluster):
    edit(repo, "a", v="2")
    forget_history(repo)
    before = git(repo, "rev-parse", "HEAD")
    with pytest.raises(RefusedError, match="1 objects differ") as caught:
        export(Where(repo))
    assert "--cluster-wins" in caught.value.hint
    assert git(repo, "rev-parse", "HEAD") == before
    said = []
    assert export(Where(repo), cluster_wins=True, emit=said.append).created
    assert any(isinstance(event, Notice) and "no export" in event.text for event in said)
    assert in_git(repo, "a") == {"v": "1"}


def test_without_an_export_in_the_history_equal_is_equal(repo, cluster):
    forget_history(repo)
    (repo / "clusters/prod/recovery/images.yaml").unlink()
    commit_all(repo)
    # What it commits then is a base again.
    assert export(Where(repo)).created
    cluster.put(config_map("a", v="2"))
    assert export(Where(repo)).written == (str(MAPS / "a.yaml").removeprefix("clusters/prod/"),)


def test_a_shallow_clone_is_told_how_to_become_whole(repo, cluster, tmp_path):
    edit(repo, "a", v="2")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repo}", str(clone))
    with pytest.raises(RefusedError, match="cut off") as caught:
        export(Where(clone))
    assert "git fetch --unshallow" in caught.value.hint
    git(clone, "fetch", "--quiet", "--unshallow")
    assert export(Where(clone)).pending


def test_a_clusters_folder_that_was_taken_away_is_exported_anew(repo, cluster):
    shutil.rmtree(repo / "clusters")
    commit_all(repo)
    result = export(Where(repo))
    assert result.pending == ()
    assert in_git(repo, "a") == {"v": "1"}


def test_a_reformatted_file_stays_and_is_written_when_the_cluster_changes(repo, cluster):
    file = repo / MAPS / "a.yaml"
    file.write_text("# mine\n" + file.read_text())
    commit_all(repo)
    assert not export(Where(repo)).created
    cluster.put(config_map("a", v="2"))
    assert not export(Where(repo)).conflicts
    assert in_git(repo, "a") == {"v": "2"}


VALUES = st.sampled_from(["1", "2", "3", None])
NAMES = st.sampled_from(["a", "b"])
DEEDS = st.lists(
    st.tuples(st.sampled_from(["git", "cluster", "apply", "export"]), NAMES, VALUES),
    min_size=4,
    max_size=12,
)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(DEEDS)
def test_no_history_loses_a_change(tmp_path_factory, cluster, deeds):
    repo = new_repo(tmp_path_factory.mktemp("world") / "repository")
    cluster.objects.clear()
    cluster.put(SHOP, config_map("a", v="1"), config_map("b", v="1"), *OTHERS)
    export(Where(repo))
    unapplied: dict[str, dict[str, str] | None] = {}

    def live(name: str) -> dict[str, str] | None:
        found = cluster.objects.get(Ref("", "ConfigMap", "shop", name))
        return found["data"] if found else None

    def set_live(name: str, data: dict[str, str] | None) -> None:
        if data is not None:
            cluster.put(config_map(name, **data))
        elif live(name) is not None:
            del cluster[name]

    for deed, name, value in deeds:
        data = None if value is None else {"v": value}
        if deed == "git" and data != in_git(repo, name):
            edit(repo, name, v=value) if value else remove(repo, name)
            unapplied[name] = data
        elif deed == "cluster":
            set_live(name, data)
        elif deed == "apply":
            set_live(name, in_git(repo, name))
        elif deed == "export":
            result = export(Where(repo), allow_shrink=True)
            told = {each.ref.name for each in (*result.pending, *result.conflicts)}
            for each in ("a", "b"):
                assert in_git(repo, each) == live(each) or each in told
            assert not export(Where(repo), allow_shrink=True).created
            assert git(repo, "status", "--porcelain") == ""
        for each in list(unapplied):
            if in_git(repo, each) == live(each):
                del unapplied[each]
        # Somebody may merge what the last export had, which is to take the edit back.
        for each, wanted in unapplied.items():
            assert in_git(repo, each) == wanted or wanted == {"v": "1"}
