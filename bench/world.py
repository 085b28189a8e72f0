"""Makes the cluster that is measured: mixed objects from a fixed seed, as they come. Pure.

The same number gives the same objects on every machine. Nothing in it runs: workloads have no
replicas or are suspended, so that controllers settle, while what they generate all the same
(ReplicaSets, revisions, default accounts) is there as in any cluster. There are no autoscalers,
which never settle without metrics, and no references to Secrets, which would be gaps.

    python bench/world.py 15000 > world.jsonl

writes one line for each object: its wave, the URL path of its collection, and its body.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

Body = dict[str, Any]

SEED = 20240229
OBJECTS_PER_NAMESPACE = 150
LABEL = "bench.example/world"
"""On every object, so that they can be told from what a lab has by itself."""

_VOCABULARY = (
    "amber basin cedar delta ember fjord grove harbor inlet jetty kelp lagoon maple north ocean "
    "pebble quartz ridge summit tidal upland valley willow xenon yonder zephyr"
)
_WORDS = _VOCABULARY.split()


class Item(NamedTuple):
    """One object to create."""

    wave: int
    """Whatever is in a lower wave must be there first."""
    path: str
    """The URL path to POST to."""
    body: Body


class Kind(NamedTuple):
    """How often a kind comes, per 1,000 objects, and how one of it is made."""

    share: int
    api_version: str
    kind: str
    plural: str
    make: Callable[[random.Random, str], Body]
    """From chance and the object's name: everything but apiVersion, kind and metadata."""
    namespaced: bool = True


def world(count: int) -> Iterator[Item]:
    """Make ``count`` objects; those of a lower wave come first."""
    chance = random.Random(SEED)
    namespaces = [f"team-{i:04d}" for i in range(max(4, count // OBJECTS_PER_NAMESPACE))]
    for crd in _CRDS:
        yield Item(0, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    for name in namespaces:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": _metadata(chance, name)}
        yield Item(0, "/api/v1/namespaces", body)
    made = len(_CRDS) + len(namespaces)
    shares = [kind.share for kind in KINDS]
    while made < count:
        kind = chance.choices(KINDS, shares)[0]
        name = f"{chance.choice(_WORDS)}-{chance.choice(_WORDS)}-{made:06d}"
        namespace = chance.choice(namespaces) if kind.namespaced else ""
        yield _item(chance, kind, namespace, name)
        made += 1


def _item(chance: random.Random, kind: Kind, namespace: str, name: str) -> Item:
    metadata = _metadata(chance, name)
    if namespace:
        metadata["namespace"] = namespace
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    return Item(1, collection(kind, namespace), body | kind.make(chance, name))


def collection(kind: Kind, namespace: str) -> str:
    """The URL path of a kind's collection."""
    root = "apis" if "/" in kind.api_version else "api"
    middle = f"/namespaces/{namespace}" if namespace else ""
    return f"/{root}/{kind.api_version}{middle}/{kind.plural}"


def digest() -> str:
    """Hash of all that decides what a world holds, 12 hex digits: this file."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def _metadata(chance: random.Random, name: str) -> Body:
    chart = f"{chance.choice(_WORDS)}-{chance.randint(0, 9)}.{chance.randint(0, 30)}.1"
    labels = {
        LABEL: "yes",
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": chance.choice(_WORDS),
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": chart,
    }
    annotations = {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": "default"}
    if chance.random() < 0.2:
        annotations["example.com/owner"] = f"{chance.choice(_WORDS)}@example.com"
    return {"name": name, "labels": labels, "annotations": annotations}


def _text(chance: random.Random, size: int) -> str:
    """Lines as configuration files have them, of about ``size`` characters."""
    lines = []
    while size > 0:
        word = chance.choice(_WORDS)
        line = (
            f"{chance.choice(_WORDS)}.{word}={chance.randint(0, 99999)} # {chance.choice(_WORDS)}"
        )
        lines.append(line)
        size -= len(line) + 1
    return "\n".join(lines) + "\n"


def _config(chance: random.Random, _name: str) -> Body:
    # Half of them below 1 kB, one in a hundred above 20 kB, none above 200 kB.
    size = int(min(200_000, chance.lognormvariate(6.7, 1.4)))
    if size < 600:
        return {"data": {chance.choice(_WORDS): str(chance.randint(0, 9999)) for _ in range(6)}}
    return {"data": {"application.properties": _text(chance, size), "LOG_LEVEL": "info"}}


def _secret(chance: random.Random, _name: str) -> Body:
    return {"type": "Opaque", "stringData": {"password": f"{chance.getrandbits(128):032x}"}}


def _nothing(_chance: random.Random, _name: str) -> Body:
    return {}


def _rules(chance: random.Random, _name: str) -> Body:
    every = ("pods", "configmaps", "services", "deployments", "ingresses", "jobs")
    return {
        "rules": [
            {
                "apiGroups": ["", "apps"],
                "resources": chance.sample(every, 3),
                "verbs": ["get", "list", "watch"],
            }
            for _ in range(chance.randint(1, 4))
        ]
    }


def _binding(chance: random.Random, name: str) -> Body:
    group = "rbac.authorization.k8s.io"
    return {
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
        "subjects": [
            {"kind": "Group", "apiGroup": group, "name": name},
            {"kind": "ServiceAccount", "namespace": "default", "name": chance.choice(_WORDS)},
        ],
    }


def _pods(chance: random.Random, name: str, restart: str = "Always") -> Body:
    image = f"{chance.choice(_WORDS)}/{chance.choice(_WORDS)}:1.{chance.randint(0, 40)}"
    container = {
        "name": "main",
        "image": f"registry.example.com/{image}",
        "args": ["--config=/etc/app/application.properties", f"--level={chance.randint(0, 9)}"],
        "env": [
            {"name": word.upper(), "value": str(chance.randint(0, 999))}
            for word in chance.sample(_WORDS, 6)
        ],
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
        "volumeMounts": [{"name": "cache", "mountPath": "/var/cache"}],
    }
    sidecar = {"name": "proxy", "image": "registry.example.com/mesh/proxy:2.7"}
    spec = {
        "restartPolicy": restart,
        "containers": [container, sidecar] if chance.random() < 0.3 else [container],
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "nodeSelector": {"example.com/pool": "none"},
    }
    return {"metadata": {"labels": {"app.kubernetes.io/name": name}}, "spec": spec}


def _selector(name: str) -> Body:
    return {"matchLabels": {"app.kubernetes.io/name": name}}


def _deployment(chance: random.Random, name: str) -> Body:
    spec = {"replicas": 0, "selector": _selector(name), "template": _pods(chance, name)}
    return {"spec": spec}


def _stateful_set(chance: random.Random, name: str) -> Body:
    made = _deployment(chance, name)
    made["spec"]["serviceName"] = name
    return made


def _daemon_set(chance: random.Random, name: str) -> Body:
    # No node has the label that its pods ask for.
    return {"spec": {"selector": _selector(name), "template": _pods(chance, name)}}


def _job(chance: random.Random, name: str) -> Body:
    return {"spec": {"suspend": True, "template": _pods(chance, name, "Never")}}


def _cron_job(chance: random.Random, name: str) -> Body:
    job = {"spec": {"template": _pods(chance, name, "OnFailure")}}
    return {"spec": {"schedule": "17 3 * * *", "suspend": True, "jobTemplate": job}}


def _service(chance: random.Random, name: str) -> Body:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    if chance.random() < 0.3:
        ports.append({"name": "metrics", "port": 9090, "targetPort": 9090})
    if chance.random() < 0.1:
        return {"spec": {"type": "ExternalName", "externalName": f"{name}.example.com"}}
    return {"spec": {"ports": ports}}


def _ingress(_chance: random.Random, name: str) -> Body:
    backend = {"service": {"name": name, "port": {"name": "http"}}}
    host = f"{name}.example.com"
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": host, "http": {"paths": [path]}}],
        }
    }


def _network_policy(chance: random.Random, name: str) -> Body:
    source = {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": chance.choice(_WORDS)}}}
    return {
        "spec": {
            "podSelector": _selector(name),
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [source], "ports": [{"protocol": "TCP", "port": 8080}]}],
            "egress": [{}],
        }
    }


def _budget(_chance: random.Random, name: str) -> Body:
    return {"spec": {"maxUnavailable": 1, "selector": _selector(name)}}


def _claim(chance: random.Random, _name: str) -> Body:
    size = {"requests": {"storage": f"{chance.randint(1, 20)}Gi"}}
    return {"spec": {"accessModes": ["ReadWriteOnce"], "resources": size}}


def _application(chance: random.Random, name: str) -> Body:
    return {
        "spec": {
            "source": {"url": f"https://git.example.com/{name}", "revision": chance.choice(_WORDS)},
            "interval": "10m",
            "values": {word: chance.randint(0, 99) for word in chance.sample(_WORDS, 8)},
            "dependsOn": [{"name": word} for word in chance.sample(_WORDS, 3)],
        }
    }


def _certificate(chance: random.Random, name: str) -> Body:
    return {
        "spec": {
            "dnsNames": [f"{name}.example.com", f"{chance.choice(_WORDS)}.example.com"],
            "secretName": f"{name}-tls",
            "duration": "2160h",
            "issuer": {"name": "ca", "kind": "ClusterIssuer"},
        }
    }


def _crd(plural: str, kind: str, spec: Body) -> Body:
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": spec},
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.bench.example", "labels": {LABEL: "yes"}},
        "spec": {
            "group": "bench.example",
            "scope": "Namespaced",
            "names": {
                "plural": plural,
                "singular": kind.lower(),
                "kind": kind,
                "listKind": f"{kind}List",
            },
            "versions": [version],
        },
    }


_STRING: Body = {"type": "string"}
_NAMED: Body = {"type": "object", "required": ["name"], "properties": {"name": _STRING}}
_CRDS = (
    _crd(
        "applications",
        "Application",
        {
            "source": {"type": "object", "properties": {"url": _STRING, "revision": _STRING}},
            "interval": {"type": "string", "default": "5m"},
            "prune": {"type": "boolean", "default": True},
            "values": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "dependsOn": {
                "type": "array",
                "items": _NAMED,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        },
    ),
    _crd(
        "certificates",
        "Certificate",
        {
            "dnsNames": {"type": "array", "items": _STRING},
            "secretName": _STRING,
            "duration": _STRING,
            "issuer": {"type": "object", "properties": {"name": _STRING, "kind": _STRING}},
        },
    ),
)

_RBAC = "rbac.authorization.k8s.io/v1"
KINDS = (
    Kind(400, "v1", "ConfigMap", "configmaps", _config),
    Kind(50, "v1", "Secret", "secrets", _secret),
    Kind(60, "v1", "ServiceAccount", "serviceaccounts", _nothing),
    Kind(60, "v1", "Service", "services", _service),
    Kind(2, "v1", "PersistentVolumeClaim", "persistentvolumeclaims", _claim),
    Kind(80, "apps/v1", "Deployment", "deployments", _deployment),
    Kind(10, "apps/v1", "StatefulSet", "statefulsets", _stateful_set),
    Kind(3, "apps/v1", "DaemonSet", "daemonsets", _daemon_set),
    Kind(15, "batch/v1", "Job", "jobs", _job),
    Kind(20, "batch/v1", "CronJob", "cronjobs", _cron_job),
    Kind(40, "networking.k8s.io/v1", "Ingress", "ingresses", _ingress),
    Kind(40, "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", _network_policy),
    Kind(10, "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", _budget),
    Kind(40, _RBAC, "Role", "roles", _rules),
    Kind(50, _RBAC, "RoleBinding", "rolebindings", _binding),
    Kind(5, _RBAC, "ClusterRole", "clusterroles", _rules, namespaced=False),
    Kind(5, _RBAC, "ClusterRoleBinding", "clusterrolebindings", _binding, namespaced=False),
    Kind(60, "bench.example/v1", "Application", "applications", _application),
    Kind(40, "bench.example/v1", "Certificate", "certificates", _certificate),
)


def main() -> None:
    """Write the world as lines of JSON."""
    for item in world(int(sys.argv[1])):
        print(json.dumps(item, separators=(",", ":")))


if __name__ == "__main__":
    main()
