"""What people keep and what tools render, beside what was exported."""

import pytest

from gitops_dr.cluster.discover import identify
from gitops_dr.config import ClusterSettings
from gitops_dr.desired.authored import Authored, Rendering
from gitops_dr.engine.authored import with_rendered, without_unseen
from gitops_dr.engine.observe import observe
from gitops_dr.engine.recorded import read_state, read_tree
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Entry, Ref

PREFIX = "clusters/prod"
IS_AUTHORED = ClusterSettings("prod", None, authored=("namespaces/pay/**",)).is_authored


def config_map(name, namespace="shop", **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def ref(name, namespace="shop", kind="ConfigMap"):
    return Ref("", kind, namespace, name)


@pytest.fixture
def recorded(repo, save):
    def run(files, is_authored=IS_AUTHORED):
        commit = save({f"{PREFIX}/{where}": data for where, data in files.items()})
        return read_state(read_tree(repo, commit, PREFIX, is_authored=is_authored))

    return run


@pytest.fixture
def observed(repo, connection):
    return lambda: observe(connection, identify(connection), repo.blob_id)


KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
BARE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def test_what_people_keep_need_not_be_manifests_nor_name_their_namespace(recorded):
    found = recorded(
        {
            "namespaces/pay/app/a.yaml": BARE,
            "namespaces/pay/app/kustomization.yaml": KUSTOMIZATION,
            "namespaces/pay/app/values.yaml": "replicas: 3\n",
            "namespaces/pay/README.md": "# Ours\n",
            "namespaces/pay/app/broken.yaml": "apiVersion: v1\nkind: ConfigMap\n",
            "namespaces/shop/configmaps/b.yaml": canonical(config_map("b")),
            "namespaces/shop/configmaps/values.yaml": "replicas: 3\n",
        }
    )
    assert set(found.state.entries) == {ref("a", "pay"), ref("b")}
    assert [gap.ref.name for gap in found.state.gaps] == [
        f"{PREFIX}/namespaces/pay/app/broken.yaml",
        f"{PREFIX}/namespaces/shop/configmaps/values.yaml",
    ]
    assert {r.name: found.is_authored(r) for r in found.state.entries} == {"a": True, "b": False}
    ((_, body),) = found.bodies([ref("a", "pay")])
    assert body["metadata"] == {"name": "a", "namespace": "pay"}


def test_without_such_paths_every_file_is_a_manifest(recorded):
    found = recorded({"namespaces/pay/app/a.yaml": BARE}, is_authored=lambda _path: False)
    assert set(found.state.entries) == {ref("a", "")}


def test_of_the_same_object_the_rendered_version_counts(recorded, observed, cluster):
    cluster.serve("v1", "ConfigMap")
    found = recorded(
        {f"namespaces/shop/configmaps/{n}.yaml": canonical(config_map(n)) for n in ("a", "b", "c")}
    )
    manifests = (
        Authored(config_map("b", of="rendered"), "out/b.yaml"),
        Authored({**config_map("new"), "metadata": {"name": "new"}}, "out/new.yaml"),
    )
    both, omissions = with_rendered(found, observed(), Rendering(manifests, "pay"))
    assert omissions == ()
    assert both.state.entries[ref("b")] == Entry("", "out/b.yaml", "v1")
    assert both.state.entries[ref("a")] == found.state.entries[ref("a")]
    assert {r.name for r in both.state.entries if both.is_authored(r)} == {"b", "new"}
    order = [ref("c"), ref("new", "pay"), ref("a"), ref("b")]
    bodies = dict(both.bodies(order))
    assert list(bodies) == order
    assert bodies[ref("b")]["data"] == {"of": "rendered"}
    assert bodies[ref("new", "pay")]["metadata"]["namespace"] == "pay"
    assert bodies[ref("a")] == config_map("a")


def test_nothing_rendered_changes_nothing(recorded, observed, cluster):
    cluster.serve("v1", "ConfigMap")
    found = recorded({"namespaces/pay/app/a.yaml": BARE})
    assert with_rendered(found, observed(), Rendering()) == (found, ())


def test_what_no_comparison_sees_is_not_missing(recorded, observed, cluster, make_live):
    cluster.serve("v1", "ConfigMap")
    cluster.serve("v1", "Secret", make_live("there", "pay"))
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\n"
    event = "apiVersion: v1\nkind: Event\nmetadata: {name: e}\n"
    found = recorded(
        {
            "namespaces/pay/a.yaml": BARE,
            "namespaces/pay/there.yaml": secret % "there",
            "namespaces/pay/gone.yaml": secret % "gone",
            "namespaces/pay/event.yaml": event,
        }
    )
    left, omissions = without_unseen(found, observed())
    assert set(left.state.entries) == {ref("a", "pay"), ref("gone", "pay", "Secret")}
    assert [(o.ref.kind, o.ref.name, o.rule) for o in omissions] == [
        ("Event", "e", "events"),
        ("Secret", "there", "secrets-policy"),
    ]
    # Of what was exported the same is told by the comparison itself.
    exported = recorded(
        {"namespaces/pay/there.yaml": secret % "there"}, is_authored=lambda _path: False
    )
    assert without_unseen(exported, observed()) == (exported, ())
