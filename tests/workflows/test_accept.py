"""What the cluster has goes into Git: over real Git and a cluster in memory."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import commit_all, git
from small_cluster import IDENTITY, KINDS, OTHERS, SHOP, config_map, ref_of

from gitops_dr.cluster.connect import ApiError
from gitops_dr.desired.recovery import images_of
from gitops_dr.engine import difference
from gitops_dr.engine.opening import Where
from gitops_dr.errors import ExitCode, RefusedError, RepositoryError, UsageError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.model import ANY, Gap, Identity, Omission, Presence, Ref, Resource
from gitops_dr.planning.chosen import Choice
from gitops_dr.planning.selection import Selection
from gitops_dr.reports import accept as report
from gitops_dr.results.drift import Accepted
from gitops_dr.workflows import accept as module
from gitops_dr.workflows.accept import accept
from gitops_dr.workflows.export import export

PREFIX = Path("clusters/prod")
MAPS = PREFIX / "namespaces/shop/configmaps"
RECOVERY = PREFIX / "recovery"
A, B = Ref("", "ConfigMap", "shop", "a"), Ref("", "ConfigMap", "shop", "b")
WEB = Ref("apps", "Deployment", "shop", "web")

LAID_OUT = """\
# The shop's settings. Ask the web team.
kind: ConfigMap
apiVersion: v1
metadata: {name: a, namespace: shop}
data:
  # changed by hand
  v: '1'   # one
"""


class NoSchemas:
    """A connection to an API server that says nothing of its kinds."""

    def json(self, _method: str, path: str) -> Any:
        raise ApiError(f"{path}: not here", status=404)

    def request(self, _method: str, path: str, **_options: Any) -> bytes:
        raise ApiError(f"{path}: not here", status=404)


@pytest.fixture(autouse=True)
def in_place(cluster, monkeypatch):
    monkeypatch.setattr(module, "open_cluster", lambda _where, _settings: NoSchemas())
    monkeypatch.setattr(
        module, "identify", lambda _c: Identity(cluster.uid, IDENTITY.version, "100")
    )
    monkeypatch.setattr(difference, "observe", lambda *a, **k: cluster.observe(*a, **k))  # noqa: PLW0108


def choose(*refs: Ref, namespaces: tuple[str, ...] = (), fields: tuple[str, ...] = ()) -> Choice:
    return Choice(
        Selection(frozenset(namespaces), refs=frozenset(refs)),
        tuple(map(parse_fieldpath, fields)),
    )


def drifted(repo: Path) -> list[tuple[str, Presence]]:
    found = accept(Where(repo), dry_run=True)
    return [(d.ref.name, d.presence) for d in found.differences]


def in_git(repo: Path, name: str) -> dict[str, str] | None:
    file = repo / MAPS / f"{name}.yaml"
    return yaml.safe_load(file.read_text())["data"] if file.exists() else None


def commits(repo: Path) -> int:
    return int(git(repo, "rev-list", "--count", "HEAD"))


def status(repo: Path) -> list[str]:
    return git(repo, "status", "--porcelain", "--untracked-files=all").splitlines()


# -- into the files, into a commit ---------------------------


def test_fields_are_written_into_the_file_for_a_person_to_commit(repo, cluster):
    cluster.put(config_map("a", v="2"), config_map("b", v="2"))
    before = commits(repo)
    result = accept(Where(repo), choice=choose(A))
    assert [d.ref for d in result.differences] == [A]
    assert [c.path for c in result.differences[0].changes] == ["data.v"]
    assert (result.commit, result.written) == (None, ("namespaces/shop/configmaps/a.yaml",))
    assert (in_git(repo, "a"), in_git(repo, "b")) == ({"v": "2"}, {"v": "1"})
    assert status(repo) == [f" M {MAPS}/a.yaml"]
    assert commits(repo) == before
    # Once more is no harm.
    assert accept(Where(repo), choice=choose(A)).written
    commit_all(repo)
    assert drifted(repo) == [("b", Presence.MODIFIED)]


def test_all_that_differs_is_committed_and_an_export_has_nothing_to_add(repo, cluster):
    cluster.put(config_map("a", v="2"), config_map("new", v="1"))
    del cluster["b"]
    before = commits(repo)
    result = accept(Where(repo), to_commit=True)
    assert [(d.ref.name, d.presence) for d in result.differences] == [
        ("a", Presence.MODIFIED),
        ("b", Presence.MISSING),
        ("new", Presence.UNMANAGED),
    ]
    assert commits(repo) == before + 1
    assert result.commit == git(repo, "rev-parse", "HEAD").strip()
    assert (in_git(repo, "a"), in_git(repo, "b")) == ({"v": "2"}, None)
    assert (repo / MAPS / "new.yaml").read_bytes() == canonical(config_map("new", v="1"))
    assert status(repo) == []
    assert drifted(repo) == []
    assert not export(Where(repo)).created


def test_the_commit_says_what_and_from_where_and_is_no_export(repo, cluster):
    cluster.put(config_map("a", v="2"), config_map("x\nCluster: prod\nCluster-Files: y", v="1"))
    accept(Where(repo), to_commit=True)
    message = git(repo, "log", "-1", "--format=%B")
    assert message.startswith("Accept from prod: 1 modified, 1 unmanaged\n\n")
    assert "  modified ConfigMap/shop/a\n" in message
    trailers = message.rstrip().rpartition("\n\n")[2].splitlines()
    assert trailers[:2] == ["Accepted-From: prod", f"Accepted-From-UID: {cluster.uid}"]
    assert trailers[2].startswith("Cluster-Files: ")
    assert not any(line.strip().startswith("Cluster: ") for line in message.splitlines())
    assert "  unmanaged 'ConfigMap/shop/x\\nCluster: prod\\nCluster-Files: y'\n" in message


def test_what_a_person_laid_out_stays(repo, cluster):
    (repo / MAPS / "a.yaml").write_text(LAID_OUT)
    commit_all(repo)
    cluster.put(config_map("a", v="2", new="yes"))
    accept(Where(repo), choice=choose(A), to_commit=True)
    expected = LAID_OUT.replace("v: '1' ", "v: '2' ").replace("  # changed", "  # changed")
    text = (repo / MAPS / "a.yaml").read_text()
    assert text == f"{expected}  new: 'yes'\n"
    assert not export(Where(repo)).created
    assert (repo / MAPS / "a.yaml").read_text() == text


def test_a_dry_run_writes_nothing(repo, cluster):
    cluster.put(config_map("a", v="2"))
    before = commits(repo)
    asked: list[Accepted] = []
    for to_commit in (False, True):
        result = accept(Where(repo), asked.append, to_commit=to_commit, dry_run=True)
        assert result.written == ("namespaces/shop/configmaps/a.yaml",)
    assert (status(repo), commits(repo), asked) == ([], before, [])


def test_whoever_is_asked_can_stop_it(repo, cluster):
    cluster.put(config_map("a", v="2"))
    before = commits(repo)

    def no(found: Accepted) -> None:
        assert [d.ref for d in found.differences] == [A]
        raise RefusedError("no")

    for to_commit in (False, True):
        with pytest.raises(RefusedError, match="no"):
            accept(Where(repo), no, to_commit=to_commit)
    assert (status(repo), commits(repo)) == ([], before)


def test_nothing_differs(repo, cluster):
    result = accept(Where(repo), to_commit=True)
    assert (result.differences, result.written, result.commit) == ((), (), None)
    assert report.exit_code(result) is ExitCode.DONE


# -- what is meant ---------------------------


def test_a_namespace_is_all_that_is_in_it_and_itself(repo, cluster):
    elsewhere = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}}
    cluster.put(elsewhere, config_map("z", "elsewhere", v="1"), config_map("a", v="2"))
    result = accept(Where(repo), choice=choose(A, namespaces=("elsewhere",)), dry_run=True)
    assert [d.ref.name for d in result.differences] == ["z", "a", "elsewhere"]
    result = accept(Where(repo), choice=choose(namespaces=("shop",)), dry_run=True)
    assert [d.ref.name for d in result.differences] == ["a"]
    with pytest.raises(UsageError, match="namespace elsewher: neither") as caught:
        accept(Where(repo), choice=choose(namespaces=("elsewher",)))
    assert caught.value.hint == "did you mean elsewhere?"


@pytest.mark.parametrize(
    ("ref", "error", "message", "hint"),
    [
        (B, UsageError, "ConfigMap/shop/b: does not differ from Git", ""),
        (
            Ref("", "ConfigMap", "shop", "aa"),
            UsageError,
            "ConfigMap/shop/aa: neither in Git nor in the cluster",
            "did you mean ConfigMap/shop/a?",
        ),
        (
            Ref("", "Widget", "", "q"),
            UsageError,
            "Widget/q: neither in Git nor in the cluster",
            "name it as drift does",
        ),
    ],
)
def test_a_name_of_nothing_that_differs_is_an_error(repo, cluster, ref, error, message, hint):
    cluster.put(config_map("a", v="2"))
    with pytest.raises(error) as caught:
        accept(Where(repo), choice=choose(A, ref))
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert status(repo) == []


def test_what_a_rule_leaves_out_says_why(repo, cluster, monkeypatch):
    observe = cluster.observe

    def with_omission(*arguments: Any, **options: Any):
        found = observe(*arguments, **options)
        omission = Omission(Ref("", "ConfigMap", "shop", "made"), "generated", "A controller does.")
        return module.replace(found, state=module.replace(found.state, omissions=(omission,)))

    monkeypatch.setattr(difference, "observe", with_omission)
    with pytest.raises(RefusedError, match="made: is left out of Git") as caught:
        accept(Where(repo), choice=choose(Ref("", "ConfigMap", "shop", "made")))
    assert caught.value.hint == "A controller does."


def test_what_an_ignore_rule_hides_is_not_accepted(repo, cluster):
    rules = """\
format: 1
clusters:
  prod:
ignore:
- kind: ConfigMap
  name: b
  because: another tool writes it
- kind: ConfigMap
  name: a
  field: data.hidden
  because: another tool writes it
"""
    (repo / "gitops-dr.yaml").write_text(rules)
    commit_all(repo)
    cluster.put(config_map("a", v="2", hidden="x"), config_map("b", v="2"))
    result = accept(Where(repo))
    assert [d.ref for d in result.differences] == [A]
    assert (in_git(repo, "a"), in_git(repo, "b")) == ({"v": "2"}, {"v": "1"})
    with pytest.raises(UsageError, match="an ignore rule hides how it differs"):
        accept(Where(repo), choice=choose(B))


def test_a_part_that_cannot_be_read_is_refused_or_left_out_and_named(repo, cluster):
    cluster.put(config_map("a", v="2"))
    cluster.gaps = [Gap(B, "403 Forbidden")]
    with pytest.raises(RefusedError, match="ConfigMap/shop/b: 403 Forbidden"):
        accept(Where(repo), choice=choose(A, B))
    assert status(repo) == []
    result = accept(Where(repo))
    assert [d.ref for d in result.differences] == [A]
    assert result.refused == (Gap(B, "403 Forbidden"),)
    assert report.exit_code(result) is ExitCode.PARTIAL
    assert in_git(repo, "b") == {"v": "1"}
    cluster.gaps = [Gap(Ref("", "ConfigMap", "", ANY), "403 Forbidden")]
    assert accept(Where(repo)).differences == ()


# -- single fields ---------------------------


def test_single_fields_of_one_object(repo, cluster):
    cluster.put(config_map("a", v="2", w="2", x="2"))
    accept(Where(repo), choice=choose(A, fields=("data.v", "data.x")), to_commit=True)
    assert in_git(repo, "a") == {"v": "2", "x": "2"}
    assert drifted(repo) == [("a", Presence.MODIFIED)]
    assert not export(Where(repo)).conflicts
    assert in_git(repo, "a") == {"v": "2", "w": "2", "x": "2"}


def test_a_field_names_what_is_below_it(repo, cluster):
    cluster.put(config_map("a", v="2", w="2"))
    accept(Where(repo), choice=choose(A, fields=("data",)))
    assert in_git(repo, "a") == {"v": "2", "w": "2"}


@pytest.mark.parametrize(
    ("choice", "message", "hint"),
    [
        (choose(fields=("data.v",)), "--field: of which object?", "name one object with it"),
        (choose(A, B, fields=("data.v",)), "--field: of which object?", "name one object with it"),
        (
            choose(A, namespaces=("shop",), fields=("data.v",)),
            "--field: of which object?",
            "name one object with it",
        ),
        (
            choose(A, fields=("data.vv",)),
            "ConfigMap/shop/a: data.vv does not differ",
            "did you mean data.v?",
        ),
        (choose(A, fields=("data.v", "spec")), "ConfigMap/shop/a: spec does not differ", ""),
        (
            choose(Ref("", "ConfigMap", "shop", "new"), fields=("data.v",)),
            "ConfigMap/shop/new: is unmanaged, so it differs as a whole",
            "leave --field out",
        ),
    ],
)
def test_a_field_that_does_not_differ_is_an_error(repo, cluster, choice, message, hint):
    cluster.put(config_map("a", v="2"), config_map("b", v="2"), config_map("new", v="1"))
    with pytest.raises(UsageError) as caught:
        accept(Where(repo), choice=choice)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert status(repo) == []


# -- whose file it is ---------------------------


def test_an_authored_file_gets_what_differs_and_nothing_else(repo, cluster):
    (repo / "gitops-dr.yaml").write_text(
        "format: 1\nclusters:\n  prod:\n    authored: [namespaces/shop/configmaps/a.yaml]\n"
    )
    (repo / MAPS / "a.yaml").write_text(LAID_OUT)
    commit_all(repo)
    cluster.put(config_map("a", v="2"))
    result = accept(Where(repo), choice=choose(A), to_commit=True)
    assert (result.written, result.notes) == (("namespaces/shop/configmaps/a.yaml",), ())
    assert (repo / MAPS / "a.yaml").read_text() == LAID_OUT.replace("'1'", "'2'")


def test_a_file_that_was_moved_is_written_where_it_is(repo, cluster):
    (repo / PREFIX / "mine").mkdir()
    shutil.move(repo / MAPS / "a.yaml", repo / PREFIX / "mine/settings.yaml")
    commit_all(repo)
    cluster.put(config_map("a", v="2"))
    result = accept(Where(repo), to_commit=True)
    assert result.written == ("mine/settings.yaml",)
    assert not (repo / MAPS / "a.yaml").exists()
    assert drifted(repo) == []


def test_a_place_that_another_object_has_is_not_overwritten(repo, cluster):
    shutil.move(repo / MAPS / "a.yaml", repo / MAPS / "c.yaml")
    commit_all(repo)
    cluster.put(config_map("c", v="1"), config_map("b", v="2"))
    result = accept(Where(repo), to_commit=True)
    assert [gap.ref.name for gap in result.refused] == ["c"]
    assert "holds another object" in result.refused[0].reason
    assert in_git(repo, "b") == {"v": "2"}
    assert yaml.safe_load((repo / MAPS / "c.yaml").read_text())["metadata"]["name"] == "a"


def test_a_private_key_does_not_get_into_git(repo, cluster):
    key = f"-----BEGIN PRIVATE KEY-----\n{'A' * 64}\n-----END PRIVATE KEY-----\n"
    cluster.put(config_map("a", v=key), config_map("b", v="2"))
    with pytest.raises(RefusedError, match="a: holds a private key"):
        accept(Where(repo), choice=choose(A))
    result = accept(Where(repo))
    assert [gap.ref for gap in result.refused] == [A]
    assert (in_git(repo, "a"), in_git(repo, "b")) == ({"v": "1"}, {"v": "2"})


@pytest.mark.parametrize("to_commit", [False, True])
def test_uncommitted_work_is_never_lost(repo, cluster, to_commit):
    cluster.put(config_map("a", v="2"), config_map("b", v="2"))
    (repo / MAPS / "b.yaml").write_text("# mine\n")
    with pytest.raises(RefusedError, match=r"b\.yaml: it has uncommitted changes"):
        accept(Where(repo), to_commit=to_commit)
    assert status(repo) == [f" M {MAPS}/b.yaml"]
    accept(Where(repo), choice=choose(A), to_commit=to_commit)
    assert in_git(repo, "a") == {"v": "2"}


# -- which repository, which cluster ---------------------------


def test_another_cluster_than_the_recorded_one_is_refused(repo, cluster):
    cluster.put(config_map("a", v="2"))
    cluster.uid = "another"
    with pytest.raises(RefusedError, match="this is not the cluster that was exported"):
        accept(Where(repo))
    assert status(repo) == []


def test_a_bare_repository_needs_a_commit(repo, cluster, tmp_path):
    bare = tmp_path / "bare"
    git(repo, "clone", "--quiet", "--bare", str(repo), str(bare))
    cluster.put(config_map("a", v="2"))
    with pytest.raises(UsageError) as caught:
        accept(Where(bare))
    assert caught.value.hint == "say --commit"
    assert accept(Where(bare), dry_run=True).written
    result = accept(Where(bare), to_commit=True)
    assert git(bare, "rev-parse", "HEAD").strip() == result.commit
    assert "v: '2'" in git(bare, "show", f"HEAD:{MAPS}/a.yaml").replace('"', "'")


def test_a_commit_needs_a_branch_and_an_export(repo, cluster, tmp_path):
    cluster.put(config_map("a", v="2"))
    git(repo, "switch", "--quiet", "--detach")
    with pytest.raises(RepositoryError, match="detached"):
        accept(Where(repo), to_commit=True)
    assert accept(Where(repo)).written
    git(repo, "restore", ".")
    git(repo, "rm", "-q", "-r", str(PREFIX))
    git(repo, "commit", "-q", "-m", "Gone")
    with pytest.raises(RepositoryError, match="has no export"):
        accept(Where(repo))


# -- what the next export makes of it ---------------------------


def test_a_conflict_is_settled_by_accepting(repo, cluster):
    (repo / MAPS / "a.yaml").write_bytes(canonical(config_map("a", v="2")))
    commit_all(repo)
    cluster.put(config_map("a", v="3"))
    assert export(Where(repo)).conflicts
    assert (repo / RECOVERY / "pending.yaml").exists()
    accept(Where(repo), choice=choose(A), to_commit=True)
    assert not (repo / RECOVERY / "pending.yaml").exists()
    result = export(Where(repo))
    assert (result.created, result.conflicts, result.pending) == (False, (), ())
    # And it is settled: what the cluster does next is the cluster's own.
    cluster.put(config_map("a", v="4"))
    assert not export(Where(repo)).conflicts
    assert in_git(repo, "a") == {"v": "4"}


def test_what_is_pending_besides_stays_so(repo, cluster):
    for name in ("a", "b"):
        (repo / MAPS / f"{name}.yaml").write_bytes(canonical(config_map(name, v="2")))
    commit_all(repo)
    assert len(export(Where(repo)).pending) == 2
    accept(Where(repo), choice=choose(A), to_commit=True)
    assert in_git(repo, "a") == {"v": "1"}
    result = export(Where(repo))
    assert (result.created, [each.ref for each in result.pending]) == (False, [B])
    # A field of it that is accepted settles nothing.
    cluster.put(config_map("b", v="1", w="1"))
    accept(Where(repo), choice=choose(B, fields=("data.w",)), to_commit=True)
    assert [each.ref for each in export(Where(repo)).conflicts] == [B]


def test_what_the_cluster_does_after_it_was_accepted_is_the_clusters_own(repo, cluster):
    for value in ("2", "3"):
        cluster.put(config_map("a", v=value))
        accept(Where(repo), choice=choose(A), to_commit=True)
        assert not export(Where(repo)).created
    # Git's own changes since are not forgotten.
    (repo / MAPS / "b.yaml").write_bytes(canonical(config_map("b", v="mine")))
    commit_all(repo)
    cluster.put(config_map("a", v="4"))
    assert not export(Where(repo)).conflicts
    cluster.put(config_map("a", v="5"), config_map("new", v="1"))
    accept(Where(repo), choice=choose(A), to_commit=True)
    held = yaml.safe_load((repo / RECOVERY / "pending.yaml").read_text())["objects"]
    assert [each["name"] for each in held] == ["b"]
    (repo / "README.md").write_text("Ours.\n")
    commit_all(repo)
    cluster.put(config_map("a", v="6"))
    result = export(Where(repo))
    assert (result.conflicts, [each.ref for each in result.pending]) == ((), [B])
    assert (in_git(repo, "a"), in_git(repo, "b")) == ({"v": "6"}, {"v": "mine"})
    assert in_git(repo, "new") == {"v": "1"}


def test_what_was_deleted_in_git_and_not_in_the_cluster_stays_pending(repo, cluster):
    (repo / MAPS / "b.yaml").unlink()
    commit_all(repo)
    cluster.put(config_map("a", v="2"))
    accept(Where(repo), choice=choose(A), to_commit=True)
    (pending,) = export(Where(repo)).pending
    assert (pending.ref, pending.git) == (B, "deleted")
    assert in_git(repo, "b") is None


def test_what_operators_make_is_accounted_for(repo, cluster, monkeypatch):
    made = {A: (("apps", "Deployment"),), B: (("batch", "Job"),)}
    observe = cluster.observe

    def with_generated(*arguments: Any, **options: Any):
        found = observe(*arguments, **options)
        generated = {ref: made[ref] for ref in sorted(made) if ref in cluster.objects}
        return module.replace(found, generated=generated)

    monkeypatch.setattr(cluster, "observe", with_generated)
    cluster.put_in_place(monkeypatch.setattr)
    export(Where(repo))
    del cluster["a"]
    made[B] = (("", "Service"), ("batch", "Job"))
    new = Ref("", "ConfigMap", "shop", "new")
    made[new] = (("", "Pod"),)
    cluster.put(config_map("b", v="2"), config_map("new", v="1"))
    accept(Where(repo), to_commit=True)
    generated = yaml.safe_load((repo / RECOVERY / "coverage.yaml").read_text())["generated"]
    assert generated == [
        {"owner": "ConfigMap/shop/b", "kinds": ["Service", "Job.batch"]},
        {"owner": "ConfigMap/shop/new", "kinds": ["Pod"]},
    ]
    assert not export(Where(repo)).created


@pytest.fixture
def running(cluster, monkeypatch):
    """The cluster runs Deployments too; ``running(name, image)`` deploys one."""
    resource = Resource("apps", "v1", "Deployment", "deployments", namespaced=True)
    monkeypatch.setitem(KINDS, WEB.group_kind, resource)
    observe = cluster.observe

    def with_images(*arguments: Any, **options: Any):
        found = observe(*arguments, **options)
        images = {
            image
            for ref, body in cluster.objects.items()
            if ref.kind == "Deployment"
            for image in images_of(ref, body)
        }
        digests = {image: (f"sha256:{image}",) for image in images}
        return module.replace(found, images=frozenset(images), digests=digests)

    monkeypatch.setattr(cluster, "observe", with_images)
    cluster.put_in_place(monkeypatch.setattr)

    def deploy(name: str, image: str) -> None:
        cluster.put(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}},
            }
        )

    return deploy


def test_the_images_are_those_that_git_asks_for(repo, cluster, running):
    def images() -> dict[str, list[str]]:
        return yaml.safe_load((repo / RECOVERY / "images.yaml").read_text())["images"]

    for name, image in (("web", "web:1"), ("other", "o:1"), ("old", "old:1"), ("same", "web:1")):
        running(name, image)
    export(Where(repo))
    assert sorted(images()) == ["o:1", "old:1", "web:1"]
    running("web", "web:2")
    running("other", "o:2")
    del cluster["old"]
    accept(Where(repo), choice=choose(WEB), to_commit=True)
    assert sorted(images()) == ["o:1", "old:1", "web:1", "web:2"]
    assert images()["web:2"] == ["sha256:web:2"]
    accept(Where(repo), to_commit=True)
    assert sorted(images()) == ["o:2", "web:1", "web:2"]
    assert not export(Where(repo)).created


def test_a_kind_that_is_new_in_git_is_counted(repo, cluster, running):
    running("web", "web:1")
    accept(Where(repo), to_commit=True)
    kinds = yaml.safe_load((repo / RECOVERY / "coverage.yaml").read_text())["kinds"]
    counts = {kind["kind"]: kind["objects"] for kind in kinds}
    assert counts == {"Namespace": 1, "ConfigMap": 2 + len(OTHERS), "Deployment": 1}
    assert not export(Where(repo)).created


# -- reports ---------------------------


def test_reports(repo, cluster):
    cluster.put(config_map("a", v="2"), config_map("new", v="1"))
    del cluster["b"]
    cluster.gaps = [Gap(ref_of(OTHERS[0]), "403")]
    result = accept(Where(repo), dry_run=True)
    table = report.as_table(result, {})
    assert table.splitlines()[0] == "prod: would accept 3 objects; nothing was written"
    assert "modified   ConfigMap/shop/a\n             ~ data.v\n" in table
    assert "Would write:\n  namespaces/shop/configmaps/a.yaml\n" in table
    assert "Would delete:\n  namespaces/shop/configmaps/b.yaml\n" in table
    assert "Not accepted:\n  ConfigMap/shop/other-0: 403" in table
    result = accept(Where(repo))
    table = report.as_table(result, {"compare": 0.5})
    assert table.startswith("prod: 3 objects accepted into the files; look at them (git diff)")
    git(repo, "restore", ".")
    (repo / MAPS / "new.yaml").unlink()
    result = accept(Where(repo), to_commit=True)
    assert f"commit {(result.commit or '')[:12]}" in report.as_table(result, {})
    document = json.loads(report.as_json(result, {"compare": 0.5}))
    assert document["commit"] == result.commit
    assert [each["state"] for each in document["accepted"]] == ["modified", "missing", "unmanaged"]
    assert document["deleted"] == ["namespaces/shop/configmaps/b.yaml"]
    assert document["refused"][0]["reason"] == "403"
    assert document["dryRun"] is False
    assert SHOP["metadata"]["name"] == "shop"
