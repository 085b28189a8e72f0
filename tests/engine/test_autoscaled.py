"""Replicas while nobody can tell which of them an autoscaler decides: Git's are kept."""

import pytest
from fake_api import refusal

from gitops_dr.cluster.discover import identify
from gitops_dr.engine.difference import examine
from gitops_dr.engine.recorded import read_tree
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import ANY, Gap, Presence, Ref

PREFIX = "clusters/prod"
FORBIDDEN = refusal(403, "Forbidden", "not you")
AUTOSCALERS = Gap(Ref("autoscaling", "HorizontalPodAutoscaler", "", ANY), "not you")


def deployment(name, **spec):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec,
    }


@pytest.fixture
def compare(repo, save, connection):
    """Commit these Deployments, each in its file, and examine the cluster."""

    def run(*bodies, left_over=None):
        files = {
            f"{PREFIX}/namespaces/shop/deployments.apps/{body['metadata']['name']}.yaml": body
            for body in bodies
        }
        files |= {f"{PREFIX}/recovery/left-over.yaml": left_over} if left_over else {}
        commit = save({path: canonical(body) for path, body in files.items()})
        return examine(connection, identify(connection), read_tree(repo, commit, PREFIX))

    return run


def changes(found):
    return {d.ref.name: [change.path for change in d.changes] for d in found.differences}


@pytest.fixture
def live(cluster, make_live):
    """Deployments of which somebody has scaled three."""
    cluster.serve(
        "apps/v1",
        "Deployment",
        make_live("left", "shop", spec={"replicas": 5, "image": "a"}),
        make_live("said", "shop", spec={"replicas": 5, "image": "a"}),
        make_live("changed", "shop", spec={"replicas": 5, "image": "b"}),
        make_live("same", "shop", spec={"replicas": 2, "image": "a"}),
        make_live("new", "shop", spec={"replicas": 5, "image": "a"}),
    )
    return cluster


IN_GIT = (
    deployment("left", image="a"),
    deployment("said", replicas=2, image="a"),
    deployment("changed", replicas=2, image="a"),
    deployment("same", replicas=2, image="a"),
)


def test_where_autoscalers_cannot_be_listed_nobody_is_taken_to_have_scaled(live, compare):
    live.serve("autoscaling/v2", "HorizontalPodAutoscaler", answer=FORBIDDEN)
    found = compare(*IN_GIT)
    assert changes(found) == {"changed": ["spec.image"], "new": []}
    assert found.equal == 3
    state = found.observation.state
    assert state.gaps == (AUTOSCALERS,)
    new = state.entries[Ref("apps", "Deployment", "shop", "new")]
    assert b"replicas: 5" in found.observation.bodies[new.fingerprint], "Git has nothing to keep"


def test_where_they_can_be_listed_a_scale_is_a_change(live, compare, make_live):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "left"}
    scaler = make_live("left", "shop", spec={"scaleTargetRef": target})
    live.serve("autoscaling/v2", "HorizontalPodAutoscaler", scaler)
    found = compare(*IN_GIT)
    found = [d for d in found.differences if d.presence is Presence.MODIFIED]
    assert {d.ref.name for d in found} == {"said", "changed"}


def test_another_gap_keeps_no_scale(live, compare):
    live.serve("v1", "ConfigMap", answer=FORBIDDEN)
    assert set(changes(compare(*IN_GIT))) == {"left", "said", "changed", "new"}


def test_a_body_that_lies_in_git_already_is_found_there(cluster, compare, make_live):
    cluster.serve("autoscaling/v2", "HorizontalPodAutoscaler", answer=FORBIDDEN)
    cluster.serve("apps/v1", "Deployment", make_live("web", "shop", spec={"replicas": 5}))
    found = compare(deployment("web", replicas=2), left_over=deployment("web", replicas=5))
    assert changes(found) == {}
