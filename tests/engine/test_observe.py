"""What is read of a cluster, in which version, what is kept, and what is said to be missing."""

import hashlib

import pytest
from fake_api import listed, refusal, reply

from gitops_dr.cluster.discover import identify
from gitops_dr.engine.gathering import running_images
from gitops_dr.engine.observe import observe
from gitops_dr.events import Advanced, PhaseEnded, PhaseStarted
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import ANY, Gap, Omission, Ref
from gitops_dr.volumes.started_empty import NOTE


def fingerprint(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def look(connection):
    def run(**options):
        return observe(connection, identify(connection), fingerprint, **options)

    return run


def config_map(name, namespace="shop"):
    return Ref("", "ConfigMap", namespace, name)


def owned_by(api_version, kind, name):
    owner = {"apiVersion": api_version, "kind": kind, "name": name, "uid": "x", "controller": True}
    return {"ownerReferences": [owner]}


# -- fingerprints and bodies -----------------------------------------------------------------------


def test_an_object_is_its_canonical_bytes_without_what_the_server_adds(cluster, look, make_live):
    cluster.serve("v1", "ConfigMap", make_live("a", "shop", data={"k": "v"}))
    found = look()
    clean = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "shop"},
        "data": {"k": "v"},
    }
    entry = found.state.entries[config_map("a")]
    assert entry.fingerprint == fingerprint(canonical(clean))
    assert entry.path == "namespaces/shop/configmaps/a.yaml"
    assert entry.version == "v1"
    assert found.bodies == {entry.fingerprint: canonical(clean)}
    assert [(kind.resource.kind, kind.objects) for kind in found.kinds] == [("ConfigMap", 1)]


def test_bodies_are_kept_only_where_the_caller_has_none(cluster, look, make_live):
    objects = [make_live(name, "shop", data={"of": name}) for name in ("a", "b")]
    cluster.serve("v1", "ConfigMap", *objects)
    first = look()
    known = first.state.entries[config_map("a")].fingerprint
    second = look(known=[known])
    assert second.state.entries == first.state.entries
    assert set(second.bodies) == set(first.bodies) - {known}
    assert not look(known=first.bodies).bodies


def test_progress_is_told(cluster, look):
    cluster.serve("v1", "ConfigMap")
    events = []
    look(emit=events.append)
    assert events[0] == PhaseStarted("observe")
    assert Advanced("observe", 1, "configmaps") in events
    assert isinstance(events[-1], PhaseEnded)


def test_what_no_file_can_hold_is_a_gap(cluster, look, make_live):
    cluster.serve(
        "v1",
        "ConfigMap",
        make_live("bad", "shop", data={"k" * 2000: "v"}),
        make_live("good", "shop"),
    )
    found = look()
    assert list(found.state.entries) == [config_map("good")]
    (gap,) = found.state.gaps
    assert gap.ref == config_map("bad")
    assert "cannot be written as YAML" in gap.reason


# -- versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "read"), [({}, "v2"), ({"v": "v1"}, "v1"), ({"v": "v1beta1"}, "v2")]
)
def test_built_ins_are_read_in_gits_version_while_it_is_served(
    cluster, look, make_live, held, read
):
    for version in ("v2", "v1"):
        budget = make_live("a", "shop", spec={"as": version})
        cluster.serve(f"policy/{version}", "PodDisruptionBudget", budget)
    versions = {("policy", "PodDisruptionBudget"): held["v"]} if held else None
    found = look(versions=versions)
    ref = Ref("policy", "PodDisruptionBudget", "shop", "a")
    assert found.state.entries[ref].version == read
    assert list(found.state.entries) == [ref]
    other = "v1" if read == "v2" else "v2"
    assert not cluster.queries("PodDisruptionBudget", other)
    assert (
        f"apiVersion: policy/{read}".encode() in found.bodies[found.state.entries[ref].fingerprint]
    )


@pytest.mark.parametrize("served", [True, False])
def test_custom_resources_are_read_as_they_are_stored(cluster, look, make_live, served):
    for version in ("v2", "v1"):
        cluster.serve(f"example.com/{version}", "Widget", make_live("a", "shop"))
    spec = {
        "group": "example.com",
        "names": {"kind": "Widget"},
        "versions": [
            {"name": "v2", "storage": False, "served": True},
            {"name": "v1", "storage": True, "served": served},
        ],
    }
    cluster.serve(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        make_live("widgets.example.com", spec=spec),
        namespaced=False,
    )
    # Git's version does not count: it may need a conversion that does not work any more.
    found = look(versions={("example.com", "Widget"): "v2"})
    ref = Ref("example.com", "Widget", "shop", "a")
    assert found.state.entries[ref].version == ("v1" if served else "v2")
    assert found.resources[ref.group_kind].version == ("v1" if served else "v2")


# -- one moment ------------------------------------------------------------------------------------


def test_an_exact_observation_asks_all_lists_for_one_revision(cluster, look):
    cluster.serve("v1", "ConfigMap")
    cluster.serve("autoscaling/v2", "HorizontalPodAutoscaler")
    assert look(exact=True).torn == ()
    for kind in ("ConfigMap", "HorizontalPodAutoscaler"):
        (query,) = cluster.queries(kind)
        assert query["resourceVersion"] == "100"
        assert query["resourceVersionMatch"] == "Exact"


def test_otherwise_lists_are_of_now(cluster, look):
    cluster.serve("v1", "ConfigMap")
    assert look().torn == ()
    (query,) = cluster.queries("ConfigMap")
    assert "resourceVersion" not in query


def test_kinds_of_another_moment_are_named(cluster, look):
    cluster.serve("v1", "ConfigMap")
    cluster.serve("example.com/v1", "Widget", answer=reply(listed(revision="9")))
    assert look(exact=True).torn == ("widgets.example.com",)


# -- owners ----------------------------------------------------------------------------------------


def test_what_an_exported_owner_makes_again_is_left_out(cluster, look, make_live):
    cluster.serve("apps/v1", "Deployment", make_live("web", "shop"))
    made = make_live("web-1", "shop", metadata=owned_by("apps/v1", "Deployment", "web"))
    cluster.serve("apps/v1", "ReplicaSet", made)
    pod = make_live(
        "web-1-x",
        "shop",
        metadata=owned_by("apps/v1", "ReplicaSet", "web-1"),
        spec={"containers": []},
    )
    cluster.serve("v1", "Pod", pod)
    found = look()
    assert list(found.state.entries) == [Ref("apps", "Deployment", "shop", "web")]
    assert found.state.unlisted == {
        Ref("apps", "ReplicaSet", "shop", "web-1"),
        Ref("", "Pod", "shop", "web-1-x"),
    }
    assert len(cluster.queries("Pod")) == 1


@pytest.mark.parametrize("exact", [False, True])
def test_an_orphan_is_read_again_and_kept(cluster, look, make_live, exact, api):
    gone = owned_by("apps/v1", "Deployment", "gone")
    cluster.serve(
        "apps/v1",
        "ReplicaSet",
        make_live("lost", "shop", metadata=gone, spec={"replicas": 2}),
        make_live("other", "shop", spec={"replicas": 2}),
    )
    cluster.serve("apps/v1", "Deployment")
    found = look(exact=exact)
    assert {ref.name for ref in found.state.entries} == {"lost", "other"}
    assert found.state.unlisted == frozenset()
    (again,) = api.asked("/apis/apps/v1/namespaces/shop/replicasets")
    assert again.query["fieldSelector"] == "metadata.name=lost"
    assert again.query.get("resourceVersion") == ("100" if exact else None)


def test_an_object_that_a_rule_leaves_out_still_owns_what_it_made(cluster, look, make_live):
    done = {"conditions": [{"type": "Complete", "status": "True"}]}
    cluster.serve("batch/v1", "Job", make_live("migrate", "shop", status=done))
    pod = make_live(
        "migrate-x",
        "shop",
        metadata=owned_by("batch/v1", "Job", "migrate"),
        spec={"containers": []},
    )
    cluster.serve("v1", "Pod", pod)
    found = look()
    assert not found.state.entries
    assert found.state.unlisted == {
        Ref("batch", "Job", "shop", "migrate"),
        Ref("", "Pod", "shop", "migrate-x"),
    }


def test_what_is_left_out_by_name_makes_nothing_again(cluster, look, make_live):
    """A Secret is somebody's decision, not what each cluster makes for itself."""
    cluster.serve("v1", "Secret", make_live("source", "shop"))
    made = owned_by("v1", "Secret", "source")
    cluster.serve("v1", "ConfigMap", make_live("made", "shop", metadata=made, data={"k": "v"}))
    assert list(look().state.entries) == [config_map("made")]


def test_a_claim_with_the_note_of_an_empty_volume_is_told(cluster, look, make_live):
    noted = {"annotations": {NOTE: "true"}}
    cluster.serve(
        "v1",
        "PersistentVolumeClaim",
        make_live("empty", "shop", metadata=noted, spec={}),
        make_live("full", "shop", spec={}),
    )
    cluster.serve("v1", "ConfigMap", make_live("other", "shop", metadata=noted))
    found = look()
    assert found.started_empty == {Ref("", "PersistentVolumeClaim", "shop", "empty")}
    entry = found.state.entries[Ref("", "PersistentVolumeClaim", "shop", "empty")]
    assert NOTE.encode() not in found.bodies[entry.fingerprint]


def test_a_claim_is_kept_whoever_owns_it(cluster, look, make_live):
    cluster.serve("apps/v1", "StatefulSet", make_live("db", "shop"))
    claim = make_live("data", "shop", metadata=owned_by("apps/v1", "StatefulSet", "db"), spec={})
    cluster.serve("v1", "PersistentVolumeClaim", claim)
    assert Ref("", "PersistentVolumeClaim", "shop", "data") in look().state.entries


def test_nobody_is_an_orphan_of_a_kind_that_could_not_be_read(cluster, look, make_live):
    cluster.serve("apps/v1", "Deployment", answer=refusal(403, "Forbidden", "not you"))
    made = make_live("web-1", "shop", metadata=owned_by("apps/v1", "Deployment", "web"))
    cluster.serve("apps/v1", "ReplicaSet", made)
    found = look()
    assert not found.state.entries
    assert found.state.gaps == (Gap(Ref("apps", "Deployment", "", ANY), "not you"),)


def test_an_owner_that_is_cluster_scoped_is_found(cluster, look, make_live):
    cluster.serve("example.com/v1", "Fleet", make_live("all"), namespaced=False)
    made = make_live("one", "shop", metadata=owned_by("example.com/v1", "Fleet", "all"))
    cluster.serve("v1", "ConfigMap", made)
    assert list(look().state.entries) == [Ref("example.com", "Fleet", "", "all")]


def test_what_an_autoscaler_decides_is_no_part_of_the_object(cluster, look, make_live):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    cluster.serve(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        make_live("web", "shop", spec={"scaleTargetRef": target}),
    )
    cluster.serve("apps/v1", "Deployment", make_live("web", "shop", spec={"replicas": 5, "x": 1}))
    found = look()
    entry = found.state.entries[Ref("apps", "Deployment", "shop", "web")]
    assert b"replicas" not in found.bodies[entry.fingerprint]
    assert b"x: 1" in found.bodies[entry.fingerprint]


# -- gaps and omissions ----------------------------------------------------------------------------


def test_a_kind_that_cannot_be_listed_is_a_gap_and_the_others_go_on(cluster, look, make_live):
    cluster.serve("v1", "ConfigMap", make_live("a", "shop"))
    cluster.serve("example.com/v1", "Widget", answer=refusal(500, "", "conversion failed"))
    found = look()
    assert list(found.state.entries) == [config_map("a")]
    assert found.state.gaps == (Gap(Ref("example.com", "Widget", "", ANY), "conversion failed"),)


def test_a_group_whose_backend_is_down_is_a_gap_unless_a_rule_leaves_it_out(cluster, look):
    cluster.stale = ["example.com", "metrics.k8s.io"]
    cluster.ready()
    assert [gap.ref.group for gap in look().state.gaps] == ["example.com"]


def test_of_secrets_only_metadata_is_asked_for_and_each_is_named(cluster, look, make_live, api):
    cluster.serve("v1", "Secret", make_live("password", "shop", data={"p": "aHVudGVyMg=="}))
    found = look()
    ref = Ref("", "Secret", "shop", "password")
    assert not found.state.entries
    assert not found.bodies
    assert any(o.ref == ref and o.rule == "secrets-policy" for o in found.state.omissions)
    assert ref in found.state.unlisted
    (request,) = api.asked("/api/v1/secrets")
    assert "PartialObjectMetadataList" in request.headers["Accept"]


def test_other_kinds_are_read_whole(cluster, look, api):
    cluster.serve("v1", "ConfigMap")
    look()
    assert api.asked("/api/v1/configmaps")[0].headers["Accept"] == "application/json"


def test_standing_omissions_do_not_depend_on_what_is_there(cluster, look, make_live):
    jobs = cluster.serve("batch/v1", "Job")
    cluster.serve("v1", "ConfigMap")
    before = look().state
    done = {"conditions": [{"type": "Complete", "status": "True"}]}
    cluster.kinds[jobs] = [make_live("migrate", "shop", status=done)]
    cluster.ready()
    after = look().state
    assert after.omissions == before.omissions
    assert any(o.rule == "finished-job" and o.ref.name == ANY for o in before.omissions)
    assert any(o.rule == "generated" for o in before.omissions)


def test_kinds_that_a_rule_leaves_out_are_not_even_listed(cluster, look, make_live):
    cluster.serve("v1", "Event", make_live("e", "shop"))
    found = look()
    assert not cluster.queries("Event")
    assert [o for o in found.state.omissions if o.ref == Ref("", "Event", "", ANY)]
    assert not found.kinds


def test_kinds_that_nobody_can_create_are_accounted_for_and_not_listed(cluster, look):
    cluster.serve("example.com/v1", "Measurement", verbs=("list",))
    cluster.serve("example.com/v1", "Review", verbs=("create",))
    found = look()
    assert not cluster.queries("Measurement")
    ref = Ref("example.com", "Measurement", "", ANY)
    assert [o.rule for o in found.state.omissions if o.ref == ref] == ["read-only"]
    assert not [o for o in found.state.omissions if o.ref.kind == "Review"]
    assert isinstance(found.state.omissions[0], Omission)


# -- images ----------------------------------------------------------------------------------------


def pod_of(*containers, statuses=(), **fields):
    return {
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"containers": list(containers), **fields},
        "status": {"containerStatuses": list(statuses)},
    }


def test_the_digest_that_runs_is_told_by_the_reference_as_written():
    pod = pod_of(
        {"name": "web", "image": "nginx:1"},
        {"name": "starting", "image": "nginx:2"},
        statuses=[
            {"name": "web", "image": "docker.io/nginx:1", "imageID": "docker.io/nginx@sha256:1"},
            {"name": "starting", "imageID": ""},
            {"name": "ephemeral", "imageID": "x@sha256:2"},
        ],
        initContainers=[{"name": "init", "image": "busybox"}],
    )
    pod["status"]["initContainerStatuses"] = [{"name": "init", "imageID": "busybox@sha256:3"}]
    assert list(running_images(pod)) == [("nginx:1", "sha256:1"), ("busybox", "sha256:3")]


def test_the_digest_of_an_image_that_is_mounted_is_told_where_the_kubelet_tells_it():
    mounts = [
        {"name": "model", "volumeStatus": {"image": {"imageRef": "r.example/model@sha256:4"}}},
        {"name": "rules", "volumeStatus": {}},
        {"name": "tmp"},
    ]
    pod = pod_of(
        {"name": "web", "image": "nginx:1"},
        statuses=[{"name": "web", "imageID": "nginx@sha256:1", "volumeMounts": mounts}],
        volumes=[
            {"name": "model", "image": {"reference": "r.example/model:7"}},
            {"name": "rules", "image": {"reference": "r.example/rules:7"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    )
    assert list(running_images(pod)) == [
        ("nginx:1", "sha256:1"),
        ("r.example/model:7", "sha256:4"),
    ]


def test_a_pod_that_has_not_started_runs_nothing():
    assert not list(running_images({"spec": {}, "metadata": {"name": "p"}}))


def test_images_are_of_what_is_exported_and_digests_of_what_runs(cluster, look, make_live):
    template = {"spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}
    cluster.serve("apps/v1", "Deployment", make_live("web", "shop", spec={"template": template}))
    pods = []
    for name, digest in (("web-1", "sha256:b"), ("web-2", "sha256:a")):
        pod = pod_of(
            {"name": "web", "image": "nginx:1"},
            statuses=[{"name": "web", "imageID": f"nginx@{digest}"}],
        )
        owner = owned_by("apps/v1", "Deployment", "web")
        pods.append(make_live(name, "shop", metadata=owner, spec=pod["spec"], status=pod["status"]))
    cluster.serve("v1", "Pod", *pods)
    found = look()
    assert found.images == {"nginx:1"}
    assert found.digests == {"nginx:1": ("sha256:a", "sha256:b")}
