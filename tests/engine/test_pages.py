"""A second look at a cluster: what comes again to the byte is taken again; all else is seen."""

import hashlib
from dataclasses import fields
from typing import Any

import orjson
import pytest
from fake_api import Answer, reply

from gitops_dr.cluster import listing
from gitops_dr.cluster.discover import identify
from gitops_dr.engine.gathering import Gathering
from gitops_dr.engine.observe import Observation, observe
from gitops_dr.engine.pages import Pages
from gitops_dr.model import ANY, Gap, Ref


def fingerprint(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def look(connection):
    def run(pages: Pages | None, **options: Any) -> Observation:
        return observe(connection, identify(connection), fingerprint, pages=pages, **options)

    return run


@pytest.fixture
def decoded(monkeypatch):
    """The resources whose items are decoded."""
    found = []
    real = listing._parts

    def counting(data, resource):
        found.append(resource.plural)
        return real(data, resource)

    monkeypatch.setattr(listing, "_parts", counting)
    return found


def config_map(name):
    return Ref("", "ConfigMap", "shop", name)


def shop(cluster, make_live):
    """Objects of every sort that something is made of."""
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "x"}
    owned = {"ownerReferences": [owner | {"controller": True}]}
    cluster.serve("v1", "ConfigMap", *(make_live(n, "shop", data={"k": n}) for n in "ab"))
    cluster.serve(
        "apps/v1",
        "Deployment",
        make_live("web", "shop", spec={"replicas": 3, "template": {"spec": {"containers": []}}}),
        make_live("lost", "shop", spec={"replicas": 1}),
    )
    cluster.serve("apps/v1", "ReplicaSet", make_live("web-1", "shop", metadata=owned, spec={}))
    cluster.serve("v1", "Pod", make_live("web-1-x", "shop", metadata=owned, spec={}))
    cluster.serve("example.com/v1", "Widget", make_live("w", "shop", metadata=owned, spec={}))


def test_what_has_not_changed_is_taken_again_without_being_decoded(
    cluster, look, make_live, decoded
):
    shop(cluster, make_live)
    first = look(Pages())
    assert set(decoded) >= {"configmaps", "deployments", "widgets"}
    decoded.clear()
    cluster.revision = "200"
    cluster.ready()
    second = look(first.pages)
    assert decoded == []
    assert (second.state, second.bodies) == (first.state, first.bodies)
    assert second == look(None)
    # The first look's bodies can be let go then.
    assert first.bodies
    assert not any(part.bodies for part in second.pages.parts.values())
    # And once more, from the second.
    decoded.clear()
    assert look(second.pages) == second
    assert decoded == []


def changed(cluster, kind, change):
    objects = next(found for resource, found in cluster.kinds.items() if resource.kind == kind)
    change(objects)
    cluster.ready()


def edited(objects):
    objects[0]["data"] = {"k": "another"}


def edited_in_the_same_length(objects):
    """Not even its resourceVersion is another one, as after a new default."""
    objects[0]["data"] = {"k": "z"}


CHANGES = {
    "modified": ("ConfigMap", edited),
    "modified, same version": ("ConfigMap", edited_in_the_same_length),
    "deleted": ("ConfigMap", lambda objects: objects.pop()),
    "all deleted": ("ConfigMap", lambda objects: objects.clear()),
    "order": ("ConfigMap", lambda objects: objects.reverse()),
    "owner gone": ("Deployment", lambda objects: objects.pop(0)),
    "no more owner": ("Widget", lambda objects: objects[0]["metadata"].pop("ownerReferences")),
}


@pytest.mark.parametrize(("kind", "change"), CHANGES.values(), ids=CHANGES)
def test_whatever_changed_meanwhile_is_seen(cluster, look, make_live, kind, change):
    shop(cluster, make_live)
    first = look(Pages())
    changed(cluster, kind, change)
    second = look(first.pages)
    assert second == look(None)
    assert second.pages.parts != first.pages.parts


def test_what_came_meanwhile_is_seen(cluster, look, make_live):
    shop(cluster, make_live)
    first = look(Pages())
    changed(cluster, "ConfigMap", lambda found: found.append(make_live("c", "shop", data={})))
    cluster.serve("v1", "Service", make_live("new", "shop", spec={}))
    second = look(first.pages)
    assert second == look(None)
    assert config_map("c") in second.state.entries
    assert Ref("", "Service", "shop", "new") in second.state.entries


def test_an_autoscaler_that_came_meanwhile_counts(cluster, look, make_live):
    shop(cluster, make_live)
    cluster.serve("autoscaling/v2", "HorizontalPodAutoscaler")
    first = look(Pages())
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = make_live("web", "shop", spec={"scaleTargetRef": target})
    changed(cluster, "HorizontalPodAutoscaler", lambda found: found.append(scaler))
    second = look(first.pages)
    web = Ref("apps", "Deployment", "shop", "web")
    assert b"replicas: 3" in first.bodies[first.state.entries[web].fingerprint]
    assert b"replicas" not in second.bodies[second.state.entries[web].fingerprint]
    assert second == look(None)


def test_a_kind_that_came_meanwhile_says_where_its_objects_are(cluster, look, make_live):
    """Whether an owner has a namespace is known only once its kind is served."""
    owner = {"apiVersion": "example.com/v1", "kind": "Fleet", "name": "f", "uid": "x"}
    owned = {"ownerReferences": [owner | {"controller": True}]}
    cluster.serve("v1", "ConfigMap", make_live("made", "shop", metadata=owned, data={}))
    first = look(Pages())
    assert config_map("made") in first.state.entries
    cluster.serve("example.com/v1", "Fleet", make_live("f", "shop"))
    second = look(first.pages)
    assert config_map("made") not in second.state.entries
    assert second == look(None)


@pytest.mark.parametrize(
    "other",
    [{"known": ["some"]}, {"authors": True}, {"holders": True}, {"keep": lambda _ref: True}],
    ids=["known", "authors", "holders", "keep"],
)
def test_what_is_asked_otherwise_is_made_anew(cluster, look, make_live, other):
    shop(cluster, make_live)
    managed = {"managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {}}]}
    changed(
        cluster,
        "ConfigMap",
        lambda found: found.append(make_live("m", "shop", metadata=managed, data={})),
    )
    first = look(Pages(), known=())
    if "known" in other:
        other = {"known": [first.state.entries[config_map("a")].fingerprint]}
    assert look(first.pages, **other) == look(None, **other)


def test_a_list_that_fails_is_unknown_whatever_it_was_before(cluster, look, make_live):
    shop(cluster, make_live)
    first = look(Pages())
    resource = next(each for each in cluster.kinds if each.kind == "ConfigMap")
    cluster.kinds[resource] = reply({"message": "no"}, status=403)
    cluster.ready()
    second = look(first.pages)
    assert not any(ref.kind == "ConfigMap" for ref in second.state.entries)
    assert Ref("", "ConfigMap", "", ANY) in {gap.ref for gap in second.state.gaps}


def test_lists_at_one_moment_and_those_that_nobody_asks_for_again_are_not_kept(
    cluster, look, make_live
):
    shop(cluster, make_live)
    assert look(None).pages is None
    assert not look(Pages(), exact=True).pages.parts


def test_of_secrets_nothing_is_kept(cluster, look, make_live):
    cluster.serve("v1", "Secret", make_live("s", "shop", data={"k": "dg=="}))
    cluster.serve("v1", "ConfigMap", make_live("a", "shop"))
    found = look(Pages())
    assert {resource.group_kind for resource, _ in found.pages.parts} == {("", "ConfigMap")}


def test_items_that_cannot_be_told_from_the_rest_are_read_each_time(cluster, look, make_live):
    shop(cluster, make_live)
    resource = next(each for each in cluster.kinds if each.kind == "ConfigMap")
    odd = {"items": cluster.kinds[resource], "metadata": {"resourceVersion": "1"}}
    cluster.kinds[resource] = Answer(pieces=(orjson.dumps(odd),))
    cluster.ready()
    first = look(Pages())
    assert config_map("a") in first.state.entries
    assert "configmaps" not in {resource.plural for resource, _ in first.pages.parts}
    assert look(first.pages) == first


def test_a_part_gives_the_whole_all_that_it_has():
    """Also what somebody adds to it later."""
    ref = config_map("a")
    samples: dict[type, Any] = {dict: {"key": {"value"}}, list: ["value"], set: {"value"}}
    part, whole = Gathering(), Gathering()
    apart = ("bodies", "facts")
    for each in fields(Gathering):
        if each.name not in apart:
            setattr(part, each.name, samples[type(getattr(part, each.name))].copy())
    part.facts.owner_of[ref] = ref
    whole.add(part)
    for each in fields(Gathering):
        if each.name not in apart:
            assert getattr(whole, each.name) == getattr(part, each.name), each.name
    assert whole.facts.owner_of == {ref: ref}
    # What the whole gathers later does not change the part.
    whole.add(part)
    whole.digests["key"].add("other")
    whole.gaps.append(Gap(ref, "later"))
    assert part.digests == {"key": {"value"}}
    assert part.gaps == ["value"]


def test_a_part_sees_what_the_whole_knows():
    whole = Gathering()
    whole.facts.autoscaled.add(config_map("a"))
    part = whole.part()
    assert part.facts.autoscaled == {config_map("a")}
    assert part.bodies is whole.bodies
    assert not part.facts.owner_of
