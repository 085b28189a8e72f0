"""A commit against a running cluster: the differences, and which bodies are loaded for them."""

import pytest
from fake_api import refusal

from gitops_dr.cluster.discover import identify
from gitops_dr.desired.recovery import COVERAGE, Coverage, write_coverage
from gitops_dr.engine.difference import examine
from gitops_dr.engine.recorded import read_tree
from gitops_dr.errors import ClusterError
from gitops_dr.events import PhaseEnded, PhaseStarted
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Difference, FieldChange, Presence, Ref

PREFIX = "clusters/prod"


def config_map(name, **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop"},
        "data": data,
    }


def ref(name):
    return Ref("", "ConfigMap", "shop", name)


def path(name):
    return f"namespaces/shop/configmaps/{name}.yaml"


@pytest.fixture
def compare(repo, save, connection):
    """Commit the files and examine the cluster."""

    def run(files, **options):
        commit = save({f"{PREFIX}/{where}": data for where, data in files.items()})
        tree = read_tree(repo, commit, PREFIX)
        return examine(connection, identify(connection), tree, **options)

    return run


def test_each_object_is_equal_missing_modified_or_unmanaged(compare, cluster, make_live):
    cluster.serve(
        "v1",
        "ConfigMap",
        make_live("equal", "shop", data={"k": "v"}),
        make_live("modified", "shop", data={"k": "cluster"}),
        make_live("unmanaged", "shop"),
    )
    found = compare(
        {
            path("equal"): canonical(config_map("equal", k="v")),
            path("missing"): canonical(config_map("missing")),
            path("modified"): canonical(config_map("modified", k="git")),
        }
    )
    change = FieldChange("data.k", "replace", old="git", new="cluster")
    assert found.differences == (
        Difference(ref("missing"), Presence.MISSING, path("missing")),
        Difference(ref("modified"), Presence.MODIFIED, path("modified"), (change,)),
        Difference(ref("unmanaged"), Presence.UNMANAGED, path("unmanaged")),
    )
    assert found.equal == 1


def test_a_file_that_says_the_same_in_other_words_is_no_difference(compare, cluster, make_live):
    cluster.serve("v1", "ConfigMap", make_live("a", "shop", data={"k": "v"}))
    text = (
        "# ours\nkind: ConfigMap\napiVersion: v1\nmetadata: {namespace: shop, name: a}\n"
        "data: {k: 'v'}\n"
    )
    found = compare({"apps/ours.yaml": text})
    assert (found.differences, found.equal) == ((), 1)


def test_only_bodies_that_git_lacks_are_kept(compare, cluster, make_live):
    cluster.serve(
        "v1",
        "ConfigMap",
        make_live("equal", "shop", data={"k": "v"}),
        make_live("new", "shop", data={"k": "n"}),
    )
    found = compare({path("equal"): canonical(config_map("equal", k="v"))})
    fingerprint = found.observation.state.entries[ref("new")].fingerprint
    assert set(found.observation.bodies) == {fingerprint}


def test_a_live_body_that_lies_in_git_under_another_path_is_found_there(
    compare, cluster, make_live
):
    """The cluster went back to what a leftover file of ours says."""
    cluster.serve("v1", "ConfigMap", make_live("a", "shop", data={"k": "old"}))
    old = canonical(config_map("a", k="old"))
    found = compare({path("a"): canonical(config_map("a", k="new")), "recovery/old.yaml": old})
    assert not found.observation.bodies
    (difference,) = found.differences
    assert difference.changes == (FieldChange("data.k", "replace", old="new", new="old"),)


def test_an_object_of_a_kind_that_cannot_be_listed_is_unknown(compare, cluster):
    cluster.serve("v1", "ConfigMap", answer=refusal(403, "Forbidden", "not you"))
    found = compare({path("a"): canonical(config_map("a"))})
    assert found.differences == (
        Difference(ref("a"), Presence.UNKNOWN, path("a"), reason="not you"),
    )


def test_files_that_are_no_manifests_are_told_apart_from_other_gaps(compare, cluster):
    cluster.serve("v1", "ConfigMap", answer=refusal(403, "Forbidden", "not you"))
    found = compare({"broken.yaml": "text"})
    assert [gap.ref.name for gap in found.unreadable] == [f"{PREFIX}/broken.yaml"]


def test_kinds_are_read_in_the_version_of_the_commit(compare, cluster, make_live):
    budgets = [
        cluster.serve(f"policy/{v}", "PodDisruptionBudget", make_live("a", "shop"))
        for v in ("v2", "v1")
    ]
    account = Coverage("uid", "v1.37.2", ((budgets[1], 1),))
    found = compare({COVERAGE: write_coverage(account)})
    assert [entry.version for entry in found.observation.state.entries.values()] == ["v1"]


def test_a_cluster_that_cannot_be_read_at_all_is_an_error(compare, cluster, api):
    api.on("/apis", refusal(403, "Forbidden", "not you"))
    with pytest.raises(ClusterError, match="not you"):
        compare({})


def test_its_phases_are_told(compare, cluster):
    events = []
    compare({path("a"): canonical(config_map("a"))}, emit=events.append)
    named = [(type(e), e.phase) for e in events if isinstance(e, PhaseStarted | PhaseEnded)]
    assert named == [
        (PhaseStarted, "observe"),
        (PhaseEnded, "observe"),
        (PhaseStarted, "compare"),
        (PhaseEnded, "compare"),
    ]
