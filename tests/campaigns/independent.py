"""Another view of a cluster, which shares no code with the product. Reads over HTTP.

It speaks to the API server in plain JSON and takes out of an object only what Kubernetes'
documentation says that the cluster itself puts there, so that it can judge what the product's
rules left out and what a rebuild brought back.
"""

from __future__ import annotations

import copy
import ipaddress
import json
import re
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

Key = tuple[str, str, str, str]
"""Group, kind, namespace, name."""

Body = dict[str, Any]

SECONDS = 60.0


class Api:
    """Requests to one API server as the administrator whose certificate lies in a folder.

    Threads may share it; close it.
    """

    def __init__(self, server: str, pki: Path) -> None:
        self._host = urlsplit(server).netloc
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._idle: list[HTTPSConnection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for connection in self._idle:
            connection.close()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
    ) -> tuple[int, Any]:
        """Status and decoded answer; status 0, with the reason, if there was no answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = HTTPSConnection(self._host, timeout=SECONDS, context=self._tls)
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (HTTPException, OSError) as error:
            connection.close()
            return 0, {"message": str(error)}
        self._idle.append(connection)
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, {"message": text.decode(errors="replace").strip()}

    def get(self, path: str) -> Any:
        """The answer to a GET; raises ``AssertionError`` for any but 200."""
        status, answer = self.call("GET", path)
        if status == 0:
            status, answer = self.call("GET", path)
        assert status == 200, (path, status, answer)
        return answer


@dataclass(frozen=True)
class Cluster:
    """Everything that an API server listed."""

    objects: Mapping[Key, Body]
    unlisted: Mapping[str, str] = field(default_factory=dict)
    """Groups and resources that could not be listed, with the server's reason."""


def read_cluster(api: Api) -> Cluster:
    """List every kind that can be listed, in the preferred version (another where that fails)."""
    objects: dict[Key, Body] = {}
    unlisted: dict[str, str] = {}
    for plural, versions in _kinds(api, unlisted).items():
        reasons = []
        for group_version, kind in versions:
            root = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
            status, items = _list(api, f"{root}/{plural[1]}")
            if status == 200:
                for item in items:
                    item["apiVersion"], item["kind"] = group_version, kind
                    objects[key_of(item)] = item
                break
            reasons.append(f"{group_version}: {status} {items}")
        else:
            unlisted[".".join(reversed(plural))] = "; ".join(reasons)
    return Cluster(objects, unlisted)


def key_of(body: Body) -> Key:
    """The identity of an object."""
    group = body["apiVersion"].rpartition("/")[0]
    metadata = body["metadata"]
    return group, body["kind"], metadata.get("namespace", ""), metadata["name"]


def _kinds(api: Api, unlisted: dict[str, str]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """For each group and plural the versions that serve it, preferred first, with the kind."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    groups = [("", ["v1"])]
    for group in api.get("/apis")["groups"]:
        preferred = group["preferredVersion"]["groupVersion"]
        others = [v["groupVersion"] for v in group["versions"] if v["groupVersion"] != preferred]
        groups.append((group["name"], [preferred, *others]))
    for group, versions in groups:
        for version in versions:
            status, answer = api.call("GET", f"/apis/{version}" if group else f"/api/{version}")
            if status != 200:
                unlisted[version] = str(answer.get("message"))
                continue
            for resource in answer["resources"]:
                if "/" not in resource["name"] and "list" in resource["verbs"]:
                    kinds = found.setdefault((group, resource["name"]), [])
                    kinds.append((version, resource["kind"]))
    return found


def _list(api: Api, path: str) -> tuple[int, Any]:
    items: list[Body] = []
    more = ""
    while True:
        status, answer = api.call("GET", f"{path}?limit=500{more}")
        if status != 200:
            return status, answer.get("message")
        items += answer["items"] or []
        if not answer["metadata"].get("continue"):
            return 200, items
        more = f"&continue={answer['metadata']['continue']}"


# -- what a cluster writes into objects by itself ----------------------------------------------
# https://kubernetes.io/docs/reference/using-api/api-concepts/ (metadata that the system sets)
_SYSTEM_METADATA = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
# https://kubernetes.io/docs/reference/labels-annotations-taints/ (set by controllers or by kubectl)
_SYSTEM_ANNOTATIONS = (
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
)
_JOB_LABELS = (
    "batch.kubernetes.io/controller-uid",
    "controller-uid",
)
# https://github.com/kubernetes-csi/external-snapshotter (README: while a snapshot is being taken)
_SYSTEM_FINALIZERS = ("snapshot.storage.kubernetes.io/pvc-as-source-protection",)
# https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#podtopologylabels
_TOPOLOGY_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
_TOKEN_VOLUME = re.compile(r"^kube-api-access-[a-z0-9]{5}$")


def normalised(body: Body, declared: Body | None, scaled: bool = False) -> Body:
    """What somebody wants of an object, without what this cluster chose for it.

    ``declared`` is the object as its author wrote it, where that is known: what stands there was
    not chosen by the cluster. ``scaled``: an autoscaler chooses its replicas.
    """
    body = copy.deepcopy(body)
    body.pop("status", None)
    metadata = body["metadata"]
    for name in _SYSTEM_METADATA:
        metadata.pop(name, None)
    annotations = metadata.get("annotations") or {}
    provisioned = "volume.kubernetes.io/storage-provisioner" in annotations
    for name in _SYSTEM_ANNOTATIONS:
        annotations.pop(name, None)
    if "finalizers" in metadata:
        kept = [each for each in metadata["finalizers"] if each not in _SYSTEM_FINALIZERS]
        metadata["finalizers"] = kept
    for owner in metadata.get("ownerReferences") or ():
        owner.pop("uid", None)
    spec = body.get("spec")
    if scaled and isinstance(spec, dict):
        spec.pop("replicas", None)
    chosen = _CHOSEN.get((key_of(body)[0], body["kind"]))
    if chosen is not None and isinstance(spec, dict):
        chosen(body, spec, (declared or {}).get("spec") or {})
    if provisioned and body["kind"] == "PersistentVolumeClaim" and isinstance(spec, dict):
        spec.pop("volumeName", None)
    for name in ("annotations", "finalizers", "labels"):
        if not metadata.get(name):
            metadata.pop(name, None)
    return body


def _service(_body: Body, spec: Body, declared: Body) -> None:
    # https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
    if "clusterIP" not in declared and "clusterIPs" not in declared:
        spec["clusterIPs"] = [_address(each) for each in spec.get("clusterIPs") or ()]
        spec["clusterIP"] = _address(spec.get("clusterIP"))
    # https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport
    wanted = {(p.get("port"), p.get("protocol", "TCP")): p for p in declared.get("ports") or ()}
    for port in spec.get("ports") or ():
        author = wanted.get((port.get("port"), port.get("protocol")), {})
        if "nodePort" in port and "nodePort" not in author:
            port["nodePort"] = "allocated"
    if "healthCheckNodePort" in spec and "healthCheckNodePort" not in declared:
        spec["healthCheckNodePort"] = "allocated"


def _address(text: Any) -> Any:
    try:
        return f"allocated IPv{ipaddress.ip_address(text).version}"
    except ValueError:
        return text


def _pod(body: Body, spec: Body, declared: Body) -> None:
    for name in _TOPOLOGY_LABELS:
        body["metadata"].get("labels", {}).pop(name, None)
    # https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
    if "nodeName" not in declared:
        spec.pop("nodeName", None)
    # https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    holders = [spec.get("volumes") or [], *(c.get("volumeMounts") or [] for c in containers)]
    for items in holders:
        for item in items:
            if _TOKEN_VOLUME.match(item.get("name", "")):
                item["name"] = "kube-api-access"


def _job(body: Body, spec: Body, declared: Body) -> None:
    # https://kubernetes.io/docs/concepts/workloads/controllers/job/#specifying-your-own-pod-selector
    if declared.get("manualSelector"):
        return
    spec.pop("selector", None)
    for metadata in (body["metadata"], spec.get("template", {}).get("metadata") or {}):
        for name in _JOB_LABELS:
            (metadata.get("labels") or {}).pop(name, None)


def _volume(_body: Body, spec: Body, _declared: Body) -> None:
    # https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding
    for name in ("uid", "resourceVersion"):
        (spec.get("claimRef") or {}).pop(name, None)


_CHOSEN: Mapping[tuple[str, str], Callable[[Body, Body, Body], None]] = {
    ("", "PersistentVolume"): _volume,
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("batch", "Job"): _job,
}


def scaled_by_others(cluster: Cluster) -> set[Key]:
    """What HorizontalPodAutoscalers scale.

    https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
    """
    found = set()
    for group, kind, namespace, name in cluster.objects:
        if (group, kind) == ("autoscaling", "HorizontalPodAutoscaler"):
            spec = cluster.objects[group, kind, namespace, name]["spec"]
            target = spec["scaleTargetRef"]
            target_group = target.get("apiVersion", "").rpartition("/")[0]
            found.add((target_group, target["kind"], namespace, target["name"]))
    return found


def generator(body: Body) -> tuple[str, str, str] | None:
    """Group, kind and name of the controller that made an object, if one did.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
    """
    for owner in body["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return owner["apiVersion"].rpartition("/")[0], owner["kind"], owner["name"]
    return None


def generated(cluster: Cluster) -> Counter[tuple[Key, str]]:
    """How many objects of each kind each owner generated."""
    counts: Counter[tuple[Key, str]] = Counter()
    for (_, kind, namespace, _), body in cluster.objects.items():
        owner = generator(body)
        if owner is not None:
            group, owner_kind, name = owner
            place = namespace if (group, owner_kind, namespace, name) in cluster.objects else ""
            counts[(group, owner_kind, place, name), kind] += 1
    return counts


def changed_paths(one: Any, other: Any, at: str = "") -> Iterator[str]:
    """The paths at which two JSON values differ, with both values, shortened."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            missing = object()
            pair = one.get(name, missing), other.get(name, missing)
            if missing in pair:
                side = "only in the source" if pair[1] is missing else "only in the rebuilt"
                yield f"{at}.{name} ({side}: {str(one.get(name, other.get(name)))[:80]})"
            else:
                yield from changed_paths(*pair, f"{at}.{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from changed_paths(*pair, f"{at}[{index}]")
    elif one != other or type(one) is not type(other):
        yield f"{at} ({str(one)[:60]} -> {str(other)[:60]})"
