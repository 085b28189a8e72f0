"""What a plan asks of its target: pods, claims, addresses, kept without the bodies. Pure.

Bodies are read one at a time, :meth:`Demand.look` is called on each, and the body is let go. What
is not as the API has it asks for nothing, and never fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from gitops_dr.desired.pod_specs import pod_spec_paths
from gitops_dr.manifests.fieldpath import get
from gitops_dr.manifests.quantity import amount
from gitops_dr.model import Body, Ref

CLAIM = ("", "PersistentVolumeClaim")
SERVICE = ("", "Service")
STATEFUL_SET = ("apps", "StatefulSet")
_ACCOUNT = ("", "ServiceAccount")
_VOLUME = ("", "PersistentVolume")
_CONTENT = ("snapshot.storage.k8s.io", "VolumeSnapshotContent")
DAEMON_SET = ("apps", "DaemonSet")
_CRON_JOB = ("batch", "CronJob")
DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
RBAC = "rbac.authorization.k8s.io"
_ROLES = frozenset({(RBAC, "Role"), (RBAC, "ClusterRole")})
_BINDINGS = frozenset({(RBAC, "RoleBinding"), (RBAC, "ClusterRoleBinding")})
_HEADLESS = "None"


@dataclass(frozen=True, slots=True)
class Place:
    """Where pods may run: equal ones are looked at once."""

    labels: tuple[tuple[str, str], ...] = ()
    """That a node must have."""
    terms: tuple[tuple[tuple[str, str, tuple[str, ...]], ...], ...] = ()
    """Of which a node must meet one: each a list of key, operator, values. Empty: any node."""
    tolerations: tuple[tuple[str, str, str, str], ...] = ()
    """Key, operator, value and effect of each."""


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of one workload."""

    number: int
    """How many there are to be; 0 where that is one a node, or they come and go."""
    place: Place
    requests: Mapping[str, Fraction]
    """What one pod asks for, by resource."""
    limits: Mapping[str, Fraction]
    images: tuple[str, ...]
    pull_secrets: tuple[str, ...] = ()
    needs_privileges: tuple[str, ...] = ()
    """What of it the level ``baseline`` of the Pod Security Standards forbids."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim, or one of those that a StatefulSet makes."""

    storage_class: str | None
    """None: that of the target's default."""
    size: Fraction
    attributes_class: str = ""
    volume: str = ""
    """The PersistentVolume that it names."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a Service asks for by itself."""

    node_ports: tuple[tuple[int, str], ...] = ()
    """Port and protocol."""
    cluster_ips: tuple[str, ...] = ()
    load_balancer: str = ""
    """The address of its load balancer."""
    external: tuple[str, ...] = ()
    """Addresses that lead to the nodes by no doing of Kubernetes (``externalIPs``)."""
    type: str = "ClusterIP"


@dataclass(frozen=True, slots=True)
class RoleRules:
    """What a role gives."""

    rules: tuple[Mapping[str, Any], ...] = ()
    gathers: bool = False
    """A controller fills it with what other roles give (``aggregationRule``)."""


@dataclass(slots=True)
class Demand:
    """What the objects ask for that were looked at."""

    pods: dict[Ref, Pods] = field(default_factory=dict)
    claims: dict[Ref, Claim] = field(default_factory=dict)
    templates: dict[Ref, tuple[int, tuple[tuple[str, Claim], ...]]] = field(default_factory=dict)
    """Of a StatefulSet: its replicas, and the claims that it makes for each, by their names."""
    services: dict[Ref, Addresses] = field(default_factory=dict)
    deleting: dict[Ref, str] = field(default_factory=dict)
    """Contents that take a snapshot along that is not theirs, with its handle."""
    static: dict[Ref, str] = field(default_factory=dict)
    """PersistentVolumes of a driver that name a volume which is there already, with its handle."""
    accounts: dict[Ref, tuple[str, ...]] = field(default_factory=dict)
    """ServiceAccounts, with the Secrets that their pods pull images with."""
    roles: dict[Ref, RoleRules] = field(default_factory=dict)
    bindings: dict[Ref, Ref] = field(default_factory=dict)
    """RoleBindings and ClusterRoleBindings, with the role that each gives."""
    definitions: dict[Ref, tuple[str, ...]] = field(default_factory=dict)
    """CustomResourceDefinitions, with the names of their versions."""

    def look(self, ref: Ref, body: Body) -> None:
        """Take one object into account; one that was looked at before is taken anew."""
        spec = _map(body.get("spec"))
        kind = ref.group_kind
        if kind in pod_spec_paths():
            self.pods[ref] = _pods(ref, body, spec)
            if kind == STATEFUL_SET:
                self.templates[ref] = (_replicas(spec), tuple(_templates(spec)))
        elif kind == CLAIM:
            self.claims[ref] = _claim(spec)
        elif kind == SERVICE:
            self.services[ref] = addresses_of(spec)
        elif kind == _ACCOUNT:
            self.accounts[ref] = _secrets(body)
        elif kind in _ROLES:
            rules = tuple(rule for rule in _list(body.get("rules")) if isinstance(rule, dict))
            self.roles[ref] = RoleRules(rules, gathers=bool(body.get("aggregationRule")))
        elif kind in _BINDINGS:
            self._bind(ref, _map(body.get("roleRef")))
        elif kind == DEFINITION:
            versions = [_map(each).get("name") for each in _list(spec.get("versions"))]
            self.definitions[ref] = tuple(name for name in versions if isinstance(name, str))
        elif kind == _CONTENT:
            handle = _map(spec.get("source")).get("snapshotHandle")
            if handle and spec.get("deletionPolicy") != "Retain":
                self.deleting[ref] = str(handle)
        elif kind == _VOLUME and (handle := _map(spec.get("csi")).get("volumeHandle")):
            self.static[ref] = str(handle)

    def _bind(self, ref: Ref, role: Mapping[str, Any]) -> None:
        kind, name = role.get("kind"), role.get("name")
        if isinstance(name, str) and (RBAC, kind) in _ROLES:
            namespace = ref.namespace if kind == "Role" else ""
            self.bindings[ref] = Ref(RBAC, str(kind), namespace, name)


def _pods(ref: Ref, body: Body, spec: Mapping[str, Any]) -> Pods:
    pod = _map(get(body, pod_spec_paths()[ref.group_kind]))
    containers = [each for each in _list(pod.get("containers")) if isinstance(each, dict)]
    initial = [each for each in _list(pod.get("initContainers")) if isinstance(each, dict)]
    return Pods(
        number=_number(ref.group_kind, spec),
        place=_place(pod),
        requests=_sum(containers, initial, "requests"),
        limits=_sum(containers, initial, "limits"),
        images=tuple(
            dict.fromkeys(
                image
                for each in (*initial, *containers)
                if isinstance(image := each.get("image"), str) and image
            )
        ),
        pull_secrets=_secrets(pod),
        needs_privileges=tuple(dict.fromkeys(_privileges(pod, [*initial, *containers]))),
    )


def _secrets(holder: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        str(each["name"])
        for each in _list(holder.get("imagePullSecrets"))
        if isinstance(each, dict) and each.get("name")
    )


def _number(kind: tuple[str, str], spec: Mapping[str, Any]) -> int:
    if kind == ("", "Pod"):
        return 1
    if kind in (DAEMON_SET, _CRON_JOB, ("", "PodTemplate")):
        return 0
    if kind == ("batch", "Job"):
        return 0 if spec.get("suspend") else _whole(spec.get("parallelism"), 1)
    return _replicas(spec)


def _replicas(spec: Mapping[str, Any]) -> int:
    return _whole(spec.get("replicas"), 1)


def _whole(value: Any, default: int) -> int:
    return value if isinstance(value, int) and value >= 0 else default


def _sum(containers: list[Body], initial: list[Body], key: str) -> dict[str, Fraction]:
    """What a pod asks for: its containers together, and those that begin one after the other.

    https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
    """
    found: dict[str, Fraction] = {}
    beside = [each for each in initial if each.get("restartPolicy") == "Always"]
    for each in (*containers, *beside):
        for name, value in _resources(each, key):
            found[name] = found[name] + value if name in found else value
    for each in initial:
        if each.get("restartPolicy") != "Always":
            for name, value in _resources(each, key):
                found[name] = max(found.get(name, value), value)
    return found


def _resources(container: Body, key: str) -> Iterator[tuple[str, Fraction]]:
    """A request that is not written is the limit, as the API server fills it in."""
    resources = _map(container.get("resources"))
    written = _map(resources.get(key))
    if key == "requests":
        written = {**_map(resources.get("limits")), **written}
    for name, value in written.items():
        number = _amount(value) if isinstance(value, str) else amount(value)
        if number is not None:
            yield str(name), number


# Thousands of pods ask for the same few amounts.
_amount = lru_cache(1024)(amount)


def _place(pod: Mapping[str, Any]) -> Place:
    required = _map(
        _map(_map(pod.get("affinity")).get("nodeAffinity")).get(
            "requiredDuringSchedulingIgnoredDuringExecution"
        )
    )
    return Place(
        labels=tuple(sorted((str(k), str(v)) for k, v in _map(pod.get("nodeSelector")).items())),
        terms=tuple(_term(each) for each in _list(required.get("nodeSelectorTerms"))),
        tolerations=tuple(
            (
                str(each.get("key") or ""),
                str(each.get("operator") or "Equal"),
                str(each.get("value") or ""),
                str(each.get("effect") or ""),
            )
            for each in _list(pod.get("tolerations"))
            if isinstance(each, dict)
        ),
    )


def _term(term: Any) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    return tuple(
        (
            str(each.get("key") or ""),
            str(each.get("operator") or ""),
            tuple(map(str, _list(each.get("values")))),
        )
        for each in _list(_map(term).get("matchExpressions"))
        if isinstance(each, dict)
    )


def _privileges(pod: Mapping[str, Any], containers: list[Body]) -> Iterator[str]:
    """What ``baseline`` forbids, as far as most who need it use it.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
    """
    yield from (key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key))
    if any(_map(each).get("hostPath") for each in _list(pod.get("volumes"))):
        yield "a hostPath volume"
    for each in containers:
        if _map(each.get("securityContext")).get("privileged"):
            yield "a privileged container"
        if any(_map(port).get("hostPort") for port in _list(each.get("ports"))):
            yield "a hostPort"


def _claim(spec: Mapping[str, Any]) -> Claim:
    name = spec.get("storageClassName")
    request = _map(_map(spec.get("resources")).get("requests")).get("storage")
    return Claim(
        storage_class=name if isinstance(name, str) else None,
        size=amount(request) or Fraction(),
        attributes_class=str(spec.get("volumeAttributesClassName") or ""),
        volume=str(spec.get("volumeName") or ""),
    )


def _templates(spec: Mapping[str, Any]) -> Iterator[tuple[str, Claim]]:
    for each in _list(spec.get("volumeClaimTemplates")):
        name = _map(_map(each).get("metadata")).get("name")
        if name:
            yield str(name), _claim(_map(each.get("spec")))


def addresses_of(spec: Mapping[str, Any]) -> Addresses:
    """What the spec of a Service asks for, or has."""
    ports = [
        (number, str(port.get("protocol") or "TCP"))
        for port in _list(spec.get("ports"))
        if isinstance(port, dict) and isinstance(number := port.get("nodePort"), int) and number
    ]
    health = spec.get("healthCheckNodePort")
    if isinstance(health, int) and health:
        ports.append((health, "TCP"))
    ips = [*_list(spec.get("clusterIPs")), spec.get("clusterIP")]
    return Addresses(
        node_ports=tuple(dict.fromkeys(ports)),
        cluster_ips=tuple(
            dict.fromkeys(ip for ip in ips if isinstance(ip, str) and ip not in ("", _HEADLESS))
        ),
        load_balancer=str(spec.get("loadBalancerIP") or ""),
        external=tuple(ip for ip in _list(spec.get("externalIPs")) if isinstance(ip, str)),
        type=str(spec.get("type") or "ClusterIP"),
    )


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
