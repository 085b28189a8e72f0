"""From a recovery point and a cluster to a plan."""

from dataclasses import replace

import pytest
from fake_api import reply

from gitops_dr.desired.recovery import COVERAGE, Coverage, write_coverage
from gitops_dr.engine.opening import Where, open_repo
from gitops_dr.engine.point import read_point
from gitops_dr.engine.prepare import prepare
from gitops_dr.errors import RepositoryError
from gitops_dr.events import PhaseEnded
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.path import plural_of
from gitops_dr.model import Action, Ref, Resource
from gitops_dr.planning.selection import EVERYTHING, Intent, Selection
from gitops_dr.volumes.started_empty import NOTE, with_note

SETTINGS = "format: 1\nclusters:\n  prod:\n    context: fake\n"
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
WIDGETS = Resource("example.com", "v1", "Widget", "widgets", namespaced=True)
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)


def config_map(name, **parts):
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata} | parts


FILES = {
    "gitops-dr.yaml": SETTINGS,
    f"clusters/prod/{COVERAGE}": write_coverage(
        Coverage("source", "v1.37.2", ((CONFIG_MAPS, 2), (NAMESPACES, 1), (WIDGETS, 1)))
    ),
    "clusters/prod/cluster/namespaces/shop.yaml": canonical(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    ),
    "clusters/prod/namespaces/shop/configmaps/a.yaml": canonical(config_map("a")),
    "clusters/prod/namespaces/shop/configmaps/b.yaml": canonical(config_map("b")),
}


@pytest.fixture
def where(repo, tmp_path, connection):
    """The connection's kubeconfig, and that repository."""
    return Where(repo.root, kubeconfig=tmp_path / "kubeconfig")


@pytest.fixture
def target(cluster, make_live):
    """A cluster that has the second of the two ConfigMaps."""
    cluster.serve("v1", "ConfigMap", make_live("b", "shop"))
    cluster.serve("v1", "Namespace", namespaced=False)
    return cluster


def test_a_plan_makes_what_is_missing_in_order(repo, save, where, target):
    commit = save(FILES)
    prepared = prepare(where)
    planned = prepared.planned
    assert [str(step.ref) for step in planned.plan.steps] == ["Namespace/shop", "ConfigMap/shop/a"]
    assert [need.ref.kind for need in planned.plan.steps[1].needs] == ["Namespace"]
    assert planned.equal == 1
    assert planned.gaps == ()
    goal = planned.goal
    assert (goal.cluster, goal.commit, goal.context) == ("prod", commit, "fake")
    assert goal.server == target.api.url
    assert goal.target.uid == target.uid
    assert len(planned.digest) == 64


def test_the_plan_of_the_same_thing_is_the_same_plan(save, where, target):
    save(FILES)
    before = prepare(where).planned
    assert prepare(where).planned.digest == before.digest
    target.uid = "another"
    target.ready()
    assert prepare(where).planned.digest != before.digest


def test_files_that_cannot_be_read_are_gaps_of_the_plan(save, where, target):
    save({**FILES, "clusters/prod/broken.yaml": "text"})
    (gap,) = prepare(where).planned.gaps
    assert gap.ref == Ref("", "File", "", "clusters/prod/broken.yaml")


def test_kinds_are_addressed_as_git_holds_them(save, where, target):
    """Also one whose definition is not there yet, so that the target could not be asked."""
    save(FILES)
    resources = prepare(where).resources
    assert resources["", "ConfigMap"] == CONFIG_MAPS
    assert resources["example.com", "Widget"] == WIDGETS


def test_its_phases_are_told(save, where, target):
    save(FILES)
    events = []
    prepare(where, emit=events.append)
    ended = [event.phase for event in events if isinstance(event, PhaseEnded)]
    assert ended == ["observe", "compare", "plan", "check"]


# -- recovery points -------------------------------------------------------------------------------


def test_the_point_is_the_last_commit_unless_another_is_named(save, where):
    first = save(FILES)
    second = save({"clusters/prod/namespaces/shop/configmaps/b.yaml": None})
    opened = open_repo(where)
    assert read_point(opened, None).commit == second
    assert read_point(opened, first).commit == first
    assert read_point(opened, "HEAD~1").commit == first


def test_a_commit_without_an_export_is_no_point(save, where):
    save({"gitops-dr.yaml": SETTINGS})
    with pytest.raises(RepositoryError, match="has no export of this cluster") as caught:
        read_point(open_repo(where), None)
    assert "--at" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "plural"),
    [
        ("cluster/namespaces/shop.yaml", "namespaces"),
        ("namespaces/shop/widgets.example.com/a.yaml", "widgets"),
    ],
)
def test_the_plural_is_in_the_path(path, plural):
    assert plural_of(path) == plural


# -- volumes that started empty --------------------------------------------------------------------

CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced=True)
DATABASES = Resource("apps", "v1", "StatefulSet", "statefulsets", namespaced=True)
CLAIM = Ref("", "PersistentVolumeClaim", "shop", "data-db-0")
DATABASE = Ref("apps", "StatefulSet", "shop", "db")
CLAIM_BODY = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data-db-0", "namespace": "shop", "labels": {"app": "db"}},
    "spec": {"storageClassName": "fast"},
}
DATABASE_BODY = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "db", "namespace": "shop"},
    "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
}


@pytest.fixture
def empty(save, cluster, make_live):
    """A commit with a database and its claim; a cluster that has both, the claim with a note."""
    claim = with_note(CLAIM_BODY)
    cluster.serve(
        "v1",
        "PersistentVolumeClaim",
        make_live("data-db-0", "shop", metadata=claim["metadata"], spec=claim["spec"]),
        make_live("not-in-git", "shop", metadata={"annotations": {NOTE: "true"}}, spec={}),
    )
    live = make_live("db", "shop", spec=DATABASE_BODY["spec"])
    cluster.serve("apps/v1", "StatefulSet", live)
    kinds = ((CLAIMS, 1), (DATABASES, 1))
    folder = "clusters/prod/namespaces/shop"
    save(
        {
            "gitops-dr.yaml": SETTINGS,
            f"clusters/prod/{COVERAGE}": write_coverage(Coverage("source", "v1.37.2", kinds)),
            f"{folder}/persistentvolumeclaims/data-db-0.yaml": canonical(CLAIM_BODY),
            f"{folder}/statefulsets.apps/db.yaml": canonical(DATABASE_BODY),
        }
    )


def of(**parts):
    return Intent(Selection(**parts))


@pytest.mark.parametrize(
    "intent",
    [
        EVERYTHING,
        of(namespaces=frozenset({"shop"})),
        of(labels=(("app", "db"),)),
        of(refs=frozenset({CLAIM})),
        of(refs=frozenset({DATABASE})),
    ],
    ids=["everything", "its namespace", "its label", "itself", "what needs it"],
)
def test_a_volume_that_started_empty_is_a_gap_of_whatever_it_belongs_to(where, empty, intent):
    prepared = prepare(where, intent=intent)
    assert prepared.planned.plan.steps == ()
    (gap,) = prepared.planned.gaps
    assert gap.ref == CLAIM
    assert prepared.chosen >= {CLAIM}
    assert DATABASE not in prepared.chosen, "it does not differ"
    accepted = prepare(where, intent=replace(intent, accept_empty_volumes=True)).planned
    assert accepted.gaps == ()
    assert [(step.ref, step.action) for step in accepted.plan.steps] == [(CLAIM, Action.CONFIGURE)]


def test_and_no_gap_of_another_part(where, empty):
    assert prepare(where, intent=of(labels=(("app", "web"),))).planned.gaps == ()


# -- what the target cannot take -------------------------------------------------------------------

WIDGET = canonical(
    {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "shop"},
    }
)
WITH_WIDGET = FILES | {"clusters/prod/namespaces/shop/widgets.example.com/w.yaml": WIDGET}
WIDGET_REF = Ref("example.com", "Widget", "shop", "w")


def coverage(version="v1.37.2", **parts):
    kinds = ((CONFIG_MAPS, 2), (NAMESPACES, 1), (WIDGETS, 1))
    written = write_coverage(Coverage("source", version, kinds, **parts))
    return {f"clusters/prod/{COVERAGE}": written}


def test_a_kind_that_the_target_does_not_serve_is_a_gap_and_the_rest_is_planned(
    save, where, target
):
    save(WITH_WIDGET)
    planned = prepare(where).planned
    assert [step.ref.name for step in planned.plan.steps] == ["shop", "a"]
    (gap,) = planned.gaps
    assert gap.ref == WIDGET_REF
    assert "does not serve this kind in version v1" in gap.reason


def test_a_kind_that_an_operator_may_yet_define_is_tried(save, where, target):
    template = Ref("templates.example.com", "Template", "", "widgets")
    defined = (("apiextensions.k8s.io", "CustomResourceDefinition"),)
    save(WITH_WIDGET | coverage(generated={template: defined}))
    planned = prepare(where).planned
    assert planned.gaps == ()
    assert WIDGET_REF in [step.ref for step in planned.plan.steps]


SCHEMA = {
    "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "ConfigMap"}],
    "properties": {"apiVersion": {}, "kind": {}, "metadata": {"properties": {"name": {}}}},
}


@pytest.mark.parametrize(("version", "asked"), [("v1.37.2", False), ("v1.38.0", True)])
def test_fields_are_asked_for_where_the_source_was_of_another_version(
    save, where, target, version, asked
):
    save(FILES | coverage(version))
    target.api.on("/openapi/v3/api/v1", reply({"components": {"schemas": {"CM": SCHEMA}}}))
    gaps = prepare(where).planned.gaps
    assert [gap.ref.name for gap in gaps] == (["a"] if asked else [])
    assert all("does not know its metadata.namespace" in gap.reason for gap in gaps)
