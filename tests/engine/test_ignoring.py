"""Ignore rules over a whole comparison: what they ask for is loaded, and each is accounted for."""

from datetime import date

import pytest
from fake_api import refusal

from gitops_dr.cluster.discover import identify
from gitops_dr.drift.ignore import IgnoreRule
from gitops_dr.engine.difference import examine
from gitops_dr.engine.ignoring import without_ignored
from gitops_dr.engine.recorded import read_tree
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.manifests.selector import ObjectSelector, parse_labels
from gitops_dr.model import Presence

PREFIX = "clusters/prod"
TODAY = date(2026, 11, 22)


def config_map(name, labels=None, **data):
    metadata = {"name": name, "namespace": "shop"} | ({"labels": labels} if labels else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def rule(field="", state=None, labels="", manager="", **patterns):
    return IgnoreRule(
        "ignore[0]",
        "x",
        ObjectSelector(**patterns, labels=parse_labels(labels) if labels else ()),
        field=parse_fieldpath(field) if field else (),
        state=state and Presence(state),
        manager=manager,
    )


@pytest.fixture
def ignore(repo, save, connection):
    """Commit bodies, examine the cluster and give what the rules leave and did."""

    def run(bodies, *rules, files=(), **options):
        content = {f"{PREFIX}/{b['metadata']['name']}.yaml": canonical(b) for b in bodies}
        commit = save(content | dict(files))
        examined = examine(connection, identify(connection), read_tree(repo, commit, PREFIX))
        kept, uses = without_ignored(examined, rules, today=TODAY, **options)
        return [d.ref.name for d in kept], uses

    return run


def test_without_rules_nothing_happens(ignore, cluster):
    cluster.serve("v1", "ConfigMap")
    assert ignore([config_map("a")]) == (["a"], ())


def test_labels_are_the_live_ones_and_gits_where_nothing_is_live(ignore, cluster, make_live):
    def live(name, labels):
        return make_live(name, "shop", metadata={"labels": labels}, data={"k": "cluster"})

    cluster.serve(
        "v1",
        "ConfigMap",
        live("modified-web", {"app": "web"}),
        live("modified-db", {"app": "db"}),
        live("unmanaged-web", {"app": "web"}),
        live("unmanaged-db", {"app": "db"}),
    )
    git = [
        config_map("modified-web", {"app": "db"}, k="git"),
        config_map("modified-db", {"app": "web"}, k="git"),
        config_map("missing-web", {"app": "web"}),
        config_map("missing-db", {"app": "db"}),
        config_map("missing-none"),
    ]
    rules = [rule(state=state, labels="app=web") for state in ("modified", "missing", "unmanaged")]
    kept, uses = ignore(git, *rules)
    assert kept == ["missing-db", "missing-none", "modified-db", "unmanaged-db"]
    assert [use.hidden for use in uses] == [1, 1, 1]


def deployment(name, *containers):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"list": list(containers)},
    }


def test_an_item_is_looked_up_on_the_side_that_has_it(ignore, cluster, make_live):
    """Without a key that all items share, items are told apart by their place."""
    live = [{"id": 1, "x": "live"}, {"id": 2, "new": "live"}, {"id": 3}]
    git = [{"id": 1, "x": "git"}, {"id": 2}, {"id": 3, "old": "git"}]
    cluster.serve("apps/v1", "Deployment", make_live("web", "shop", spec={"list": live}))
    for number in (1, 2, 3):
        kept, (use,) = ignore([deployment("web", *git)], rule(f"spec.list[id={number}]"))
        assert (kept, use.hidden) == (["web"], 1)
    rules = [rule(f"spec.list[id={number}]") for number in (1, 2, 3)]
    kept, uses = ignore([deployment("web", *git)], *rules)
    assert (kept, [use.hidden for use in uses]) == ([], [1, 1, 1])
    rules = [rule("spec.list[old=git].old"), rule("spec.list[new=live].new")]
    kept, uses = ignore([deployment("web", *git)], *rules)
    assert (kept, [use.hidden for use in uses]) == (["web"], [1, 1])


def test_a_body_that_lies_in_git_under_another_path_is_found_there(ignore, cluster, make_live):
    old = config_map("a", {"app": "web"}, k="old")
    live = make_live("a", "shop", metadata={"labels": {"app": "web"}}, data={"k": "old"})
    cluster.serve("v1", "ConfigMap", live)
    leftover = {f"{PREFIX}/recovery/old.yaml": canonical(old)}
    one = rule("data", labels="app=web")
    kept, (use,) = ignore([config_map("a", {"app": "web"}, k="new")], one, files=leftover)
    assert (kept, use.hidden) == ([], 1)


def test_rules_of_no_use_are_told_so(ignore, cluster, make_live):
    managed = [
        {"manager": "keda-operator", "operation": "Update", "fieldsV1": {"f:data": {"f:k": {}}}}
    ]
    live = make_live("web", "shop", metadata={"managedFields": managed}, data={"k": "cluster"})
    cluster.serve("v1", "ConfigMap", live, make_live("same", "shop", data={"setting": "v"}))
    git = [config_map("web", k="git"), config_map("same", setting="v")]
    _, uses = ignore(
        git,
        rule("data.k"),
        rule("data", kind="ConfigMaps"),
        rule("data", name="sane"),
        rule("data.seting", name="same"),
        rule("data.setting", name="same"),
        rule(manager="keda-operatr"),
        rule(manager="kubelt"),
        rule(manager="kubelet"),
    )
    assert [(use.problem.partition(":")[0], use.hint) for use in uses] == [
        ("", ""),
        ("misspelt", "did you mean 'ConfigMap'?"),
        ("misspelt", "did you mean 'same'?"),
        ("misspelt", "did you mean 'data.setting'?"),
        ("unused", "take it out if it is not needed any more"),
        ("misspelt", "did you mean 'keda-operator'?"),
        ("misspelt", "did you mean 'kubelet'?"),
        ("unused", "take it out if it is not needed any more"),
    ]


def test_a_rule_may_be_needed_by_what_was_not_compared(ignore, cluster):
    cluster.serve("v1", "ConfigMap", answer=refusal(403, "Forbidden", "not you"))
    _, (use,) = ignore([], rule("data"))
    assert not use.problem
    cluster.serve("v1", "ConfigMap")
    assert ignore([], rule("data"))[1][0].problem.startswith("unused")
    assert not ignore([], rule("data"), whole=False)[1][0].problem
    broken = {f"{PREFIX}/broken.yaml": "text"}
    assert not ignore([], rule("data"), files=broken)[1][0].problem


def test_what_a_rule_leaves_out_of_the_comparison_is_there_to_be_named(ignore, cluster, make_live):
    """A Pod of a ReplicaSet of a Deployment: it is there, though it is not compared."""

    def owned(kind, name):
        owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": True}
        return {"ownerReferences": [owner]}

    cluster.serve("apps/v1", "Deployment", make_live("web", "shop", spec={}))
    cluster.serve(
        "apps/v1", "ReplicaSet", make_live("web-1", "shop", metadata=owned("Deployment", "web"))
    )
    _, (use,) = ignore([], rule(kind="ReplicaSet", name="web-1"))
    assert use.problem == "unused: nothing that it names differs"
