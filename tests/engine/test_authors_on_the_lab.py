"""Who wrote what, as a real API server notes it: many hands at a Deployment, a Service and others.

Every change that drift finds must have the manager that made it, whatever way it was made: an
update, a merge, a strategic merge, a JSON Patch, server-side apply, a subresource.
"""

import time

import orjson
import pytest
from api_server import ApiServer

from gitops_dr.cluster.connect import connect
from gitops_dr.cluster.discover import identify
from gitops_dr.cluster.listing import object_path
from gitops_dr.engine.difference import examine
from gitops_dr.engine.observe import observe
from gitops_dr.engine.recorded import read_tree
from gitops_dr.model import Presence

PREFIX = "clusters/prod"
PLACE = "authors"

STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"

GROUP = "authors.example.com"
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"sites.{GROUP}"},
    "spec": {
        "group": GROUP,
        "names": {"kind": "Site", "plural": "sites", "singular": "site", "listKind": "SiteList"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "routes": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["host", "port"],
                                        "items": {
                                            "type": "object",
                                            "required": ["host"],
                                            "properties": {
                                                "host": {"type": "string"},
                                                "port": {"type": "integer", "default": 443},
                                                "to": {"type": "string"},
                                            },
                                        },
                                    },
                                    "tags": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "set",
                                        "items": {"type": "string"},
                                    },
                                    "steps": {"type": "array", "items": {"type": "string"}},
                                    "whole": {
                                        "type": "object",
                                        "x-kubernetes-map-type": "atomic",
                                        "additionalProperties": {"type": "string"},
                                    },
                                    "open": {
                                        "type": "object",
                                        "x-kubernetes-preserve-unknown-fields": True,
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}


def named(kind, name, api_version="v1", **parts):
    metadata = {"name": name} | ({} if kind == "Namespace" else {"namespace": PLACE})
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": metadata | parts.pop("metadata", {}),
        **parts,
    }


DEPLOYMENT = named(
    "Deployment",
    "web",
    "apps/v1",
    metadata={"annotations": {"gone": "x", "stays": "x"}},
    spec={
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "web:1",
                        "env": [{"name": "MODE", "value": "calm"}, {"name": "A", "value": "a"}],
                        "ports": [
                            {"containerPort": 53, "protocol": "UDP", "name": "dns"},
                            {"containerPort": 53, "protocol": "TCP", "name": "dns-tcp"},
                        ],
                    },
                    {"name": "side", "image": "side:1"},
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            },
        },
    },
)
SERVICE = named(
    "Service",
    "dns",
    spec={
        "selector": {"app": "web"},
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        ],
    },
)
SETTINGS = named("ConfigMap", "settings", data={"a": "1", "b": "1", "both": "1", "kept": "1"})
GONE = named("ConfigMap", "gone", data={"a": "1"})
EXTRA = named("ConfigMap", "extra", data={"a": "1"})
SITE = named(
    "Site",
    "site",
    f"{GROUP}/v1",
    metadata={"finalizers": ["example.com/one"]},
    spec={
        "routes": [
            {"host": "a", "port": 80, "to": "x"},
            {"host": "a", "port": 443, "to": "x"},
            {"host": "b", "port": 443, "to": "x"},
        ],
        "tags": ["one"],
        "steps": ["one", "two"],
        "whole": {"a": "1"},
        "open": {"deep": {"er": "1"}, "list": [{"name": "a", "v": 1}]},
    },
)


class Hands:
    """Writes to objects under the names of field managers."""

    def __init__(self, api):
        self._api = api

    def patch(self, manager, body, change, kind=STRATEGIC, subresource=""):
        path = self._path(body) + (f"/{subresource}" if subresource else "")
        query = {"fieldManager": manager} | ({"force": "true"} if kind == APPLY else {})
        self._api.connection.json(
            "PATCH", path, query=query, body=orjson.dumps(change), content_type=kind
        )

    def apply(self, manager, body, **parts):
        applied = named(body["kind"], body["metadata"]["name"], body["apiVersion"], **parts)
        self.patch(manager, body, applied, APPLY)

    def json_patch(self, manager, body, path, value, op="replace"):
        self.patch(manager, body, [{"op": op, "path": path, "value": value}], JSON_PATCH)

    def pod(self, manager, **spec):
        self.patch(manager, DEPLOYMENT, {"spec": {"template": {"spec": spec}}})

    def replace(self, manager, body, **values):
        """Read, change and PUT, as most programs do."""
        live = self._api.listed(body)
        live["data"] |= values
        query = {"fieldManager": manager}
        self._api.connection.json("PUT", self._path(body), query=query, body=orjson.dumps(live))

    def _path(self, body):
        return object_path(self._api.resource(body), PLACE, body["metadata"]["name"])


@pytest.fixture(scope="module")
def api(kubeconfig):
    return ApiServer(connect(kubeconfig))


@pytest.fixture
def hands(api):
    """Everything of this file is there, and is taken away after the test."""
    api.create(named("Namespace", PLACE))
    api.create(DEFINITION)
    made = [DEFINITION, named("Namespace", PLACE)]
    try:
        account = named("ServiceAccount", "default")
        api.until(account, lambda _: True)
        ready = {"type": "Established", "status": "True"}
        api.until(
            DEFINITION,
            lambda found: any(
                ready.items() <= condition.items()
                for condition in found.get("status", {}).get("conditions", ())
            ),
        )
        for body in (DEPLOYMENT, SERVICE, SETTINGS, GONE):
            api.create(body)
        _when_served(lambda: api.create(SITE))
        yield Hands(api)
    finally:
        if api.listed(named("Namespace", PLACE)):
            try:
                api.patch(SITE, {"metadata": {"finalizers": None}})
            finally:
                for body in made:
                    api.delete(body)


def _when_served(act, seconds=30.0):
    """A definition is established a moment before its kind is served."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except (KeyError, StopIteration):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def edit(hands, api):
    """What happens to the objects after they were exported."""
    hands.pod("kubectl-edit", containers=[{"name": "web", "env": [{"name": "MODE", "value": "x"}]}])
    hands.pod("kubectl-set", containers=[{"name": "side", "image": "side:2"}])
    new = {"name": "new", "image": "new:1", "env": [{"name": "B", "value": "b"}]}
    hands.pod("kubectl-edit", containers=[new])
    hands.patch("kubectl", DEPLOYMENT, {"spec": {"replicas": 2}}, MERGE, "scale")
    toleration = {"key": "k", "operator": "Exists"}
    hands.json_patch("robot", DEPLOYMENT, "/spec/template/spec/tolerations", [toleration], op="add")
    hands.json_patch("robot", DEPLOYMENT, "/metadata/labels", {"example.com/was": "x"}, op="add")
    # A strategic merge takes ports of the same number for one.
    port = f"/spec/template/spec/containers/{_place_of('web', api)}/ports/1/name"
    hands.json_patch("dns-admin", DEPLOYMENT, port, "dns-t")
    pod = {
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
        "containers": [{"name": "web", "env": [{"name": "MESH", "value": "on"}]}],
    }
    hands.apply("mesh", DEPLOYMENT, spec={"template": {"spec": pod}})
    annotations = {"gone": None, "added": "x"}
    hands.patch("kubectl-annotate", DEPLOYMENT, {"metadata": {"annotations": annotations}})

    hands.json_patch("dns-admin", SERVICE, "/spec/ports/1/targetPort", 5353)

    hands.replace("kubectl-replace", SETTINGS, a="2")
    hands.apply("operator", SETTINGS, data={"b": "2", "both": "2"})
    hands.apply("second", SETTINGS, data={"both": "2"})

    hands.patch("kubectl-edit", SITE, {"spec": {"open": {"deep": {"er": "2"}}}}, MERGE)
    hands.json_patch("route-admin", SITE, "/spec/routes/1/to", "y")
    hands.apply("router", SITE, spec={"routes": [{"host": "b", "to": "z"}]})
    hands.json_patch("tagger", SITE, "/spec/tags/-", "two", op="add")
    hands.patch("stepper", SITE, {"spec": {"steps": ["one", "2"]}}, MERGE)
    hands.patch("mapper", SITE, {"spec": {"whole": {"b": "2"}}}, MERGE)
    hands.json_patch("finisher", SITE, "/metadata/finalizers/-", "example.com/two", op="add")

    api.delete(GONE)
    api.create(EXTRA, manager="kubectl-create")


def _place_of(container, api):
    containers = api.listed(DEPLOYMENT)["spec"]["template"]["spec"]["containers"]
    return [each["name"] for each in containers].index(container)


POD = "spec.template.spec"
EXPECTED = {
    ("Deployment", "web"): {
        "spec.replicas": ["kubectl Update scale"],
        "metadata.labels": ["robot Update"],
        "metadata.annotations.gone": [],
        "metadata.annotations.added": ["kubectl-annotate Update"],
        f"{POD}.tolerations": ["robot Update"],
        f"{POD}.containers[name=web].env[name=MODE].value": ["kubectl-edit Update"],
        f"{POD}.containers[name=web].env[name=MESH]": ["mesh Apply"],
        f"{POD}.containers[name=web].ports[containerPort=53,protocol=TCP].name": [
            "dns-admin Update"
        ],
        f"{POD}.containers[name=side].image": ["kubectl-set Update"],
        f"{POD}.containers[name=new]": ["kubectl-edit Update"],
        f"{POD}.volumes[name=tmp].emptyDir.sizeLimit": ["mesh Apply"],
    },
    ("Service", "dns"): {"spec.ports[port=53,protocol=TCP].targetPort": ["dns-admin Update"]},
    ("ConfigMap", "settings"): {
        "data.a": ["kubectl-replace Update"],
        "data.b": ["operator Apply"],
        "data.both": ["operator Apply", "second Apply"],
    },
    ("Site", "site"): {
        "spec.routes[host=a,port=443].to": ["route-admin Update"],
        "spec.routes[host=b,port=443].to": ["router Apply"],
        "spec.tags[1]": ["tagger Update"],
        "spec.steps[1]": ["stepper Update"],
        "spec.whole.b": ["mapper Update"],
        "spec.open.deep.er": ["kubectl-edit Update"],
        "metadata.finalizers[1]": ["finisher Update"],
    },
}


def shown(managers):
    return [" ".join(filter(None, (m.name, m.operation, m.subresource))) for m in managers]


def test_every_change_has_the_manager_that_made_it(hands, api, repo, save):
    connection = api.connection
    before = observe(connection, identify(connection), repo.blob_id)
    commit = save(
        {
            f"{PREFIX}/{entry.path}": before.bodies[entry.fingerprint]
            for entry in before.state.entries.values()
        }
    )
    edit(hands, api)
    found = examine(connection, identify(connection), read_tree(repo, commit, PREFIX))
    here = {(d.ref.kind, d.ref.name): d for d in found.differences if d.ref.namespace == PLACE}

    assert here.pop(("ConfigMap", "gone")).managers == ()
    extra = here.pop(("ConfigMap", "extra"))
    assert (extra.presence, shown(extra.managers)) == (
        Presence.UNMANAGED,
        ["kubectl-create Update"],
    )
    told = {
        key: {change.path: sorted(shown(change.managers)) for change in difference.changes}
        for key, difference in here.items()
    }
    assert told == EXPECTED
    for change in (change for difference in here.values() for change in difference.changes):
        times = [manager.time for manager in change.managers]
        assert times == sorted(times, reverse=True)
        assert not any(manager.trusted for manager in change.managers)
        assert all(m.time or _timeless(m) for m in change.managers), change


def _timeless(manager):
    """The API server notes no time of a scale, nor of an apply of what was there already."""
    return manager.subresource == "scale" or manager.name == "second"
