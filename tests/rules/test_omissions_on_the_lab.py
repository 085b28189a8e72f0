"""What is left out, on a real API server: it makes these itself, or a user's object shows why."""

import base64
import copy
from collections.abc import Callable
from hashlib import sha1
from typing import Any

import pytest
from api_server import ApiServer, group_kind
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gitops_dr.cluster.connect import ApiError
from gitops_dr.cluster.discover import identify
from gitops_dr.engine.observe import Observation, observe
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Ref
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.completion import held
from gitops_dr.rules.rows import completion_rows, object_rows

MADE_BY_THE_CLUSTER = {
    "allocated-addresses",
    "api-server-service",
    "api-server-trust-bundle",
    "automanaged-api-service",
    "bootstrapped-flow-control",
    "bootstrapped-rbac",
    "client-ca",
    "controller-service-account",
    "default-service-account",
    "default-service-cidr",
    "events",
    "leases",
    "managed-endpoint-slices",
    "managed-endpoints",
    "node-objects",
    "root-ca",
    "system-priority-classes",
}
MADE_BY_USERS = {
    "autoscaler-status",
    "finished-job",
    "finished-pod",
    "leader-lock",
    "mirror-pod",
    "requests",
    "service-account-token",
    "storage-versions",
    "volume-snapshots",
}
IN_A_SHOP = {"dynamic-volume", "ephemeral-claim", "terminating"}
NOT_PROVOKED = {
    "api-server-endpoints": "a lab's API server does not publish its address (it is on loopback)",
    "component-status": "nobody can create one, so it is not listed in the first place",
    "etcd-snapshots": "takes k3s",
    "issuance-steps": "takes cert-manager",
    "machines": "takes an autoscaler of nodes",
    "metrics": "takes a metrics adapter; nothing is stored",
    "network-runtime": "takes a network plugin",
    "own-namespace": "tests/workflows/test_secrets.py shows it: what we make is one for all tests",
    "own-record": "tests/workflows/test_secrets.py shows it",
    "reports": "takes a scanner",
    "unlabelled-endpoints": "servers before 1.33 write no label, later ones always do",
}
# Their kinds are other projects'; test_objects.py and test_completion.py show them.
NOT_PROVOKED |= {
    row.id: "takes the controller of the kind"
    for row in completion_rows()
    if row.id not in ("finished-pod", "finished-job")
}

POD = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "c:1"}]}
SIZE = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}


def make(api_version: str, kind: str, name: str, namespace: str = "", **fields: Any) -> Any:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    metadata |= fields.pop("metadata", {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def omission(body: Any) -> str | None:
    rules = rules_for(*group_kind(body))
    row = rules.omit_kind or rules.omission(body)
    return row.id if row else None


def test_every_row_that_leaves_out_is_shown_or_says_why_not() -> None:
    shown = MADE_BY_THE_CLUSTER | MADE_BY_USERS | IN_A_SHOP
    assert not shown & NOT_PROVOKED.keys()
    assert shown | NOT_PROVOKED.keys() == {row.id for row in object_rows() if row.omit}


def test_what_every_cluster_makes_for_itself_is_left_out(
    api: ApiServer, place: Callable[[], str]
) -> None:
    """And brought into another cluster it would meet that one's own."""
    place()
    found: dict[str, Any] = {}
    everything = list(api.everything())
    # What other tests have made and deleted: nothing comes into those.
    going = {
        body["metadata"]["name"]
        for body in everything
        if body["kind"] == "Namespace" and "deletionTimestamp" in body["metadata"]
    }
    for body in everything:
        row = omission(body)
        if row in MADE_BY_THE_CLUSTER and body["metadata"].get("namespace") not in going:
            found.setdefault(row, body)
    assert found.keys() == MADE_BY_THE_CLUSTER
    for row, body in found.items():
        wanted = copy.deepcopy(body)
        rules_for(*group_kind(body)).clean(wanted)
        wanted["metadata"].pop("ownerReferences", None)
        with pytest.raises(ApiError) as refused:
            api.create(wanted, dry_run=True)
        assert refused.value.reason == "AlreadyExists", row


def test_the_accounts_of_all_controllers_of_this_version_are_known(api: ApiServer) -> None:
    """A new version of Kubernetes that brings a new controller fails here, and in no cluster."""
    kept = {
        body["metadata"]["name"]
        for body in api.everything()
        if body["kind"] == "ServiceAccount"
        and body["metadata"]["namespace"] == "kube-system"
        and omission(body) is None
    }
    assert {name for name in kept if not name.startswith("lab-")} == {"coredns", "kube-proxy"}


# -- objects that users make ------------------------------------------------------------------


def signing_request() -> str:
    """A certificate signing request, as the API takes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


def of_users(namespace: str) -> dict[str, tuple[Any, Callable[[Any], bool]]]:
    """For each row an object, and what is to hold before it is looked at."""
    leader = {"control-plane.alpha.kubernetes.io/leader": '{"holderIdentity":"a"}'}
    mirror = {"kubernetes.io/config.mirror": "1", "kubernetes.io/config.source": "file"}
    account = {"kubernetes.io/service-account.name": "default"}
    token = "kubernetes.io/service-account-token"
    on_a_node = POD | {"nodeName": "lab-worker-1", "automountServiceAccountToken": False}
    usages = {"signerName": "example.com/ours", "usages": ["client auth"]}
    source = {"source": {"persistentVolumeClaimName": "none"}}
    kept = {"resource": {"group": "", "resource": "configmaps"}}
    return {
        "autoscaler-status": (
            make("v1", "ConfigMap", "cluster-autoscaler-status", "kube-system", data={"a": "b"}),
            bool,
        ),
        "finished-job": (
            make("batch/v1", "Job", "left", namespace, spec={"template": {"spec": POD}}),
            lambda body: bool(body.get("status", {}).get("completionTime")),
        ),
        "finished-pod": (
            make("v1", "Pod", "left", namespace, spec=POD),
            lambda body: body["status"]["phase"] == "Succeeded",
        ),
        "leader-lock": (
            make("v1", "ConfigMap", "left", namespace, metadata={"annotations": leader}),
            bool,
        ),
        "mirror-pod": (
            make(
                "v1", "Pod", "mirror", namespace, metadata={"annotations": mirror}, spec=on_a_node
            ),
            bool,
        ),
        "requests": (
            make(
                "certificates.k8s.io/v1",
                "CertificateSigningRequest",
                "rules-left",
                spec=usages | {"request": signing_request()},
            ),
            bool,
        ),
        "service-account-token": (
            make(
                "v1",
                "Secret",
                "default-token-a1b2c",
                namespace,
                metadata={"annotations": account},
                type=token,
            ),
            lambda body: "token" in body.get("data", {}),
        ),
        "storage-versions": (
            make("storagemigration.k8s.io/v1", "StorageVersionMigration", "rules-left", spec=kept),
            bool,
        ),
        "volume-snapshots": (
            make("snapshot.storage.k8s.io/v1", "VolumeSnapshot", "left", namespace, spec=source),
            bool,
        ),
    }


@pytest.mark.parametrize("row", sorted(MADE_BY_USERS))
def test_what_users_make_and_is_left_out(
    api: ApiServer, places: tuple[str, ...], tidy: list[Any], row: str
) -> None:
    body, ready = of_users(places[0])[row]
    tidy.append(body)
    api.create(body)
    if row == "finished-pod":
        # The kubelet's first word comes first: it would overwrite ours.
        api.until(body, lambda found: found["status"].get("phase") == "Running")
        api.patch(body, {"status": {"phase": "Succeeded"}}, "status")
    assert omission(api.until(body, ready)) == row


# -- relations, as an export sees them --------------------------------------------------------


def seen(api: ApiServer) -> Observation:
    identity = identify(api.connection)
    return observe(api.connection, identity, lambda data: sha1(data).hexdigest())


def in_git(observation: Observation, ref: Ref) -> Any:
    entry = observation.state.entries[ref]
    return parse(observation.bodies[entry.fingerprint], str(ref))


def pods_of(app: str, **spec: Any) -> Any:
    labels = {"app": app}
    containers = [{"name": "c", "image": "c:1"}]
    return {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        **spec,
    }


def test_what_owners_scalers_and_people_mean_for_an_object(
    api: ApiServer, place: Callable[[], str], tidy: list[Any]
) -> None:
    shop = place()
    template = {"metadata": {"name": "data"}, "spec": SIZE}
    retention = {"whenDeleted": "Delete", "whenScaled": "Retain"}
    scratch = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": SIZE}}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}
    kept = {"finalizers": ["example.com/keep"]}
    bodies = [
        make("apps/v1", "Deployment", "scaled", shop, spec=pods_of("scaled", replicas=2)),
        make("apps/v1", "Deployment", "fixed", shop, spec=pods_of("fixed", replicas=2)),
        make("apps/v1", "Deployment", "gone", shop, spec=pods_of("gone", replicas=1)),
        make(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "scaled",
            shop,
            spec={"maxReplicas": 3, "scaleTargetRef": target},
        ),
        make(
            "apps/v1",
            "StatefulSet",
            "db",
            shop,
            spec=pods_of(
                "db",
                serviceName="db",
                replicas=1,
                volumeClaimTemplates=[template],
                persistentVolumeClaimRetentionPolicy=retention,
            ),
        ),
        make(
            "v1",
            "Pod",
            "bare",
            shop,
            spec={"containers": [{"name": "c", "image": "c:1"}], "volumes": [scratch]},
        ),
        make("v1", "Secret", "password", shop, stringData={"a": "b"}),
        make("v1", "ConfigMap", "dying", shop, metadata=kept),
        make("v1", "ConfigMap", "living", shop, metadata=kept),
    ]
    tidy += bodies
    for body in bodies:
        api.create(body)
    account = make("v1", "ServiceAccount", "default", shop)
    api.patch(account, {"imagePullSecrets": [{"name": "registry"}]})
    api.delete(bodies[-2])
    claim = make("v1", "PersistentVolumeClaim", "data-db-0", shop)
    api.until(claim, lambda body: "ownerReferences" in body["metadata"])
    ephemeral = api.until(
        make("v1", "PersistentVolumeClaim", "bare-scratch", shop),
        lambda body: body["status"].get("phase") == "Bound",
    )
    for name, count in (("scaled", 2), ("fixed", 2), ("gone", 1)):
        api.until(
            make("apps/v1", "Deployment", name, shop),
            lambda body, count=count: body.get("status", {}).get("readyReplicas") == count,
        )
    api.delete(bodies[2], propagationPolicy="Orphan")

    observation = seen(api)
    entries = {
        (ref.kind, ref.name.split("-")[0])
        for ref in observation.state.entries
        if ref.namespace == shop
    }
    assert entries == {
        ("Deployment", "scaled"),
        ("Deployment", "fixed"),
        # Its Deployment is gone, so nobody makes it again; but it makes its Pod again.
        ("ReplicaSet", "gone"),
        ("HorizontalPodAutoscaler", "scaled"),
        ("StatefulSet", "db"),
        # A StatefulSet owns it, and it stands for data all the same.
        ("PersistentVolumeClaim", "data"),
        ("Pod", "bare"),
        ("ServiceAccount", "default"),
        ("ConfigMap", "living"),
    }
    assert "replicas" not in in_git(observation, Ref("apps", "Deployment", shop, "scaled"))["spec"]
    assert in_git(observation, Ref("apps", "Deployment", shop, "fixed"))["spec"]["replicas"] == 2
    default = in_git(observation, Ref("", "ServiceAccount", shop, "default"))
    assert default["imagePullSecrets"] == [{"name": "registry"}]
    omitted = {o.ref: o.rule for o in observation.state.omissions}
    assert omitted[Ref("", "Secret", shop, "password")] == "secrets-policy"
    volume = make("v1", "PersistentVolume", ephemeral["spec"]["volumeName"])
    assert omission(api.listed(volume)) == "dynamic-volume"
    assert omission(ephemeral) == "ephemeral-claim"
    assert omission(api.listed(bodies[-2])) == "terminating"
    # Left out, yet there: whatever needs them finds them.
    assert Ref("", "Secret", shop, "password") in observation.state.unlisted


def test_what_an_operator_has_made_is_noted(
    api: ApiServer, place: Callable[[], str], tidy: list[Any]
) -> None:
    shop = place()
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = make(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "shops.operated.example.com",
        spec={
            "group": "operated.example.com",
            "scope": "Namespaced",
            "names": {"plural": "shops", "kind": "Shop"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    )
    tidy.append(definition)
    api.define(definition)
    owner = make("operated.example.com/v1", "Shop", "main", shop, spec={"selfSigned": {}})
    # Served a moment after it is established.
    for _ in range(100):
        try:
            uid = api.create(owner)["metadata"]["uid"]
            break
        except (ApiError, KeyError):
            continue
    reference = {"apiVersion": "operated.example.com/v1", "kind": "Shop", "name": "main"}
    owned = {"ownerReferences": [reference | {"uid": uid, "controller": True}]}
    api.create(make("v1", "ConfigMap", "made", shop, metadata=owned))
    api.create(make("v1", "ConfigMap", "made-too", shop, metadata=owned))
    observation = seen(api)
    ref = Ref("operated.example.com", "Shop", shop, "main")
    assert observation.generated[ref] == (("", "ConfigMap"),)
    assert Ref("", "ConfigMap", shop, "made") not in observation.state.entries
    assert in_git(observation, ref)["spec"] == {"selfSigned": {}}


def test_a_default_role_that_a_person_has_changed_is_exported(api: ApiServer) -> None:
    role = make("rbac.authorization.k8s.io/v1", "ClusterRole", "view")
    assert omission(api.listed(role)) == "bootstrapped-rbac"
    # Only asked: the session's lab keeps its role as it is.
    changed = api.patch(role, {"metadata": {"labels": {"team": "a"}}}, dryRun="All")
    assert omission(changed) is None


# -- nothing runs a second time ---------------------------------------------------------------


def test_a_job_that_had_not_finished_comes_back_held(
    api: ApiServer, places: tuple[str, ...], tidy: list[Any]
) -> None:
    job = make("batch/v1", "Job", "unfinished", places[1], spec={"template": {"spec": POD}})
    ref = Ref("batch", "Job", places[1], "unfinished")
    body = held(ref, job)
    tidy.append(job)
    api.create(body)
    suspended = api.until(job, lambda found: bool(found.get("status", {}).get("conditions")))
    assert suspended["status"]["conditions"][0]["type"] == "Suspended"
    assert omission(suspended) is None
    api.patch(job, {"spec": {"suspend": False}})
    done = api.until(job, lambda found: bool(found["status"].get("completionTime")))
    assert omission(done) == "finished-job"


def test_a_pod_that_runs_to_an_end_comes_back_held(
    api: ApiServer, places: tuple[str, ...], tidy: list[Any]
) -> None:
    pod = make("v1", "Pod", "unfinished", places[1], spec=POD)
    body = held(Ref("", "Pod", places[1], "unfinished"), pod)
    tidy.append(pod)
    api.create(body)
    waiting = api.until(pod, lambda found: bool(found.get("status", {}).get("conditions")))
    assert waiting["status"]["conditions"][0]["reason"] == "SchedulingGated"
    assert "nodeName" not in waiting["spec"]
    api.patch(pod, {"spec": {"schedulingGates": None}})
    api.until(pod, lambda found: "nodeName" in found["spec"])
