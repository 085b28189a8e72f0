"""Git is contained in the cluster: what counts beside it, and who has to be known for that."""

from copy import deepcopy
from typing import Any

import pytest

from gitops_dr.drift.appliers import appliers, applies_git
from gitops_dr.drift.attribute import Owners, trusted_managers
from gitops_dr.drift.contained import Contained, contained
from gitops_dr.drift.defaults import defaults_of
from gitops_dr.drift.meaning import LITERALLY, Meaning
from gitops_dr.manifests.shape import kind_shape
from gitops_dr.model import FieldManager

TIME = "2026-11-22T10:00:00Z"

KEYED = {"x-kubernetes-list-type": "map"}
PORT = {
    "type": "object",
    "properties": {
        "containerPort": {"type": "integer"},
        "protocol": {"type": "string", "default": "TCP"},
        "hostPort": {"type": "integer"},
    },
}
SCHEMAS = {
    "io.k8s.api.apps.v1.Deployment": {
        "type": "object",
        "x-kubernetes-group-version-kind": [
            {"group": "apps", "version": "v1", "kind": "Deployment"}
        ],
        "properties": {
            "metadata": {
                "type": "object",
                "properties": {
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
                    "finalizers": {
                        "type": "array",
                        "items": {"type": "string"},
                        "x-kubernetes-list-type": "set",
                    },
                },
            },
            "spec": {
                "type": "object",
                "properties": {
                    "replicas": {"type": "integer"},
                    "minReadySeconds": {"type": "integer"},
                    "inventedLately": {"type": "string"},
                    "strategy": {"type": "object"},
                    "selector": {"type": "object", "x-kubernetes-map-type": "atomic"},
                    "template": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "tolerations": {
                                        "type": "array",
                                        "items": {"type": "object"},
                                        "x-kubernetes-list-type": "atomic",
                                    },
                                    "containers": {
                                        **KEYED,
                                        "type": "array",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "properties": {
                                                "ports": {
                                                    **KEYED,
                                                    "type": "array",
                                                    "x-kubernetes-list-map-keys": [
                                                        "containerPort",
                                                        "protocol",
                                                    ],
                                                    "items": PORT,
                                                },
                                                "env": {
                                                    **KEYED,
                                                    "type": "array",
                                                    "x-kubernetes-list-map-keys": ["name"],
                                                    "items": {"type": "object"},
                                                },
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                },
            },
        },
    },
    "com.example.v1.Widget": {
        "type": "object",
        "x-kubernetes-group-version-kind": [
            {"group": "example.com", "version": "v1", "kind": "Widget"}
        ],
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "size": {"type": "integer", "default": 3},
                    "enabled": {"type": "boolean"},
                    "door": {
                        "type": "object",
                        "properties": {
                            "of": {"type": "string", "default": "wood"},
                            "color": {"type": "string"},
                        },
                    },
                    "steps": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"times": {"type": "integer", "default": 1}},
                        },
                    },
                },
            }
        },
    },
}

GIT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "web:1",
                        "env": [{"name": "A", "value": "1"}],
                        "ports": [{"containerPort": 80}],
                    }
                ]
            }
        },
    },
}

DEFAULTS = {
    "replicas": 1,
    "progressDeadlineSeconds": 600,
    "revisionHistoryLimit": 10,
    "strategy": {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    },
}

CONTAINER_FIELDS = {
    ".": {},
    "f:name": {},
    "f:image": {},
    "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
    "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
}

APPLIED = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:selector": {},
        "f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': CONTAINER_FIELDS}}},
    },
}
"""What server-side apply makes the owner of: what GIT says, and nothing else."""

CONTAINER = "spec.template.spec.containers[name=web]"


def live() -> dict[str, Any]:
    body: dict[str, Any] = deepcopy(GIT)
    body["spec"] |= deepcopy(DEFAULTS)
    pods = body["spec"]["template"]["spec"]
    pods |= {"restartPolicy": "Always", "securityContext": {}}
    pods["containers"][0] |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePolicy": "File"}
    pods["containers"][0]["ports"] = [{"containerPort": 80, "protocol": "TCP"}]
    return body


def entry(manager: str, fields: Any, operation: str = "Update", subresource: str = "") -> Any:
    made = {"manager": manager, "operation": operation, "time": TIME, "fieldsV1": fields}
    return made | ({"subresource": subresource} if subresource else {})


def under(path: str, fields: Any = None) -> Any:
    """The field set of one field; keys and items separated by blanks."""
    made = {} if fields is None else fields
    for step in reversed(path.split(" ")):
        made = {step if step[1:2] == ":" else f"f:{step}": made}
    return made


IN_CONTAINER = 'spec template spec containers k:{"name":"web"}'


def compare(git: Any, now: Any, *managed: Any, **options: Any) -> Contained:
    kind = options.pop("kind", ("apps", "Deployment"))
    meaning = options.pop("meaning", Meaning(kind_shape(SCHEMAS, kind[0], "v1", kind[1])))
    owners = Owners(list(managed), now, trusted=options.pop("trusted", trusted_managers()))
    return contained(git, now, meaning=meaning, defaults=defaults_of(*kind), owners=owners)


def changes(*arguments: Any, **options: Any) -> list[tuple[str, str]]:
    return [(c.path, c.op) for c in compare(*arguments, **options).changes]


KUBECTL = entry("kubectl", APPLIED, "Apply")


def test_what_the_api_server_fills_in_does_not_count():
    assert changes(GIT, live(), KUBECTL) == []


def test_nor_does_it_where_somebody_owns_the_defaults():
    """Whoever creates an object without server-side apply owns the defaults as well."""
    all_of_it = {
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {
            "f:selector": {},
            "f:replicas": {},
            "f:progressDeadlineSeconds": {},
            "f:revisionHistoryLimit": {},
            "f:strategy": {
                "f:type": {},
                "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
            },
            "f:template": {
                "f:spec": {
                    "f:restartPolicy": {},
                    "f:securityContext": {},
                    "f:containers": {
                        'k:{"name":"web"}': {
                            **CONTAINER_FIELDS,
                            "f:imagePullPolicy": {},
                            "f:terminationMessagePolicy": {},
                        }
                    },
                }
            },
        },
    }
    for manager in ("kubectl-create", "kubectl-client-side-apply", "helm"):
        assert changes(GIT, live(), entry(manager, all_of_it)) == []
    now = live()
    now["spec"]["strategy"]["rollingUpdate"]["maxSurge"] = 3
    now["spec"]["replicas"] = 4
    assert changes(GIT, now, entry("kubectl-create", all_of_it)) == [
        ("spec.replicas", "add"),
        ("spec.strategy.rollingUpdate.maxSurge", "add"),
    ]


def test_values_of_git_must_be_so():
    now = live()
    now["metadata"]["labels"] = {"app": "other"}
    container = now["spec"]["template"]["spec"]["containers"][0]
    container["image"] = "web:2"
    container["env"] = []
    assert changes(GIT, now, KUBECTL) == [
        ("metadata.labels.app", "replace"),
        (f"{CONTAINER}.env[name=A]", "remove"),
        (f"{CONTAINER}.image", "replace"),
    ]


FOREIGN = {
    "an environment variable": (
        ("env", [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
        f'{IN_CONTAINER} env k:{{"name":"B"}}',
        f"{CONTAINER}.env[name=B]",
    ),
    "a port": (
        (
            "ports",
            [
                {"containerPort": 80, "protocol": "TCP"},
                {"containerPort": 80, "protocol": "UDP"},
            ],
        ),
        f'{IN_CONTAINER} ports k:{{"containerPort":80,"protocol":"UDP"}}',
        f"{CONTAINER}.ports[containerPort=80,protocol=UDP]",
    ),
    "a field": (("stdin", True), f"{IN_CONTAINER} stdin", f"{CONTAINER}.stdin"),
}


@pytest.mark.parametrize(("written", "fields", "path"), FOREIGN.values(), ids=list(FOREIGN))
def test_what_another_manager_adds_is_found(written, fields, path):
    now = live()
    now["spec"]["template"]["spec"]["containers"][0][written[0]] = written[1]
    owned = under(fields, {".": {}})
    assert changes(GIT, now, KUBECTL, entry("kubectl-edit", owned)) == [(path, "add")]
    # Put there by admission, it is nobody's; by a controller, it is its own affair.
    assert changes(GIT, now, KUBECTL) == []
    assert changes(GIT, now, KUBECTL, entry("kube-controller-manager", owned)) == []
    assert changes(GIT, now, KUBECTL, entry("mine", owned), trusted={"mine"}) == []
    # Known to nobody at all, everything that is no default counts.
    assert changes(GIT, now) == [(path, "add")]


def test_a_list_that_is_one_value_is_found_with_its_owner():
    now = live()
    now["spec"]["template"]["spec"]["tolerations"] = [{"key": "x", "operator": "Exists"}]
    owned = under("spec template spec tolerations")
    found = [("spec.template.spec.tolerations", "add")]
    assert changes(GIT, now, KUBECTL, entry("kubectl-patch", owned)) == found
    assert changes(GIT, now, KUBECTL) == []


def test_what_git_once_applied_and_has_no_longer_is_found():
    git = deepcopy(GIT)
    container = git["spec"]["template"]["spec"]["containers"][0]
    del container["env"]
    del git["metadata"]["labels"]
    assert changes(git, live(), KUBECTL) == [
        ("metadata.labels", "add"),
        (f"{CONTAINER}.env", "add"),
    ]


def test_what_was_in_git_is_told_from_what_somebody_added():
    git = deepcopy(GIT)
    del git["metadata"]["labels"]
    now = live()
    now["metadata"]["annotations"] = {"a": "b"}
    container = now["spec"]["template"]["spec"]["containers"][0]
    container["env"].append({"name": "B", "value": "2"})
    by_hand = entry("kubectl-edit", under("metadata annotations a"))
    mine = entry("my-pipeline", under(f'{IN_CONTAINER} env k:{{"name":"B"}}', {".": {}}), "Apply")
    found = compare(git, now, KUBECTL, by_hand, mine).changes
    assert {change.path: change.removed_from_git for change in found} == {
        "metadata.annotations": False,
        "metadata.labels": True,
        f"{CONTAINER}.env[name=B]": False,
    }
    # kubectl scale and kubectl apply --server-side have one name.
    now = live()
    now["spec"]["replicas"] = 3
    scaled = entry("kubectl", under("spec replicas"), subresource="scale")
    assert [c.removed_from_git for c in compare(GIT, now, KUBECTL, scaled).changes] == [False]


def test_each_applier_has_a_reason_and_a_link():
    assert len({(row.name, row.operation) for row in appliers()}) == len(appliers())
    for row in appliers():
        assert row.because.endswith("."), row.name
        assert row.link.startswith("https://"), row.name
        manager = FieldManager(row.name, row.operation or "Update")
        assert applies_git(manager)
        assert not applies_git(FieldManager(f"{row.name}-2", "Apply"))
    assert not applies_git(FieldManager("kubectl", "Update"))


def test_entries_of_a_map_count_one_by_one():
    now = live()
    now["metadata"]["annotations"] = {"a": "by hand", "b": "by a controller", "c": "by admission"}
    by_hand = entry("kubectl-annotate", under("metadata annotations a"))
    by_controller = entry("kube-controller-manager", under("metadata annotations b"))
    found = [("metadata.annotations.a", "add")]
    assert changes(GIT, now, KUBECTL, by_hand, by_controller) == found
    now["metadata"]["annotations"] = {"a": "by hand"}
    assert changes(GIT, now, KUBECTL, by_hand) == [("metadata.annotations", "add")]


def test_a_label_of_the_api_server_is_told_from_one_of_somebody():
    git = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    now = deepcopy(git)
    now["metadata"]["labels"] = {"kubernetes.io/metadata.name": "shop", "team": "a"}
    labels = {"f:kubernetes.io/metadata.name": {}, "f:team": {}}
    by_hand = entry("kubectl-create", under("metadata labels", labels))
    for meaning in (LITERALLY, Meaning(None)):
        found = changes(git, now, by_hand, kind=("", "Namespace"), meaning=meaning)
        assert found == [("metadata.labels.team", "add")]


def test_a_map_that_is_one_value_is_found_with_its_owner():
    git = deepcopy(GIT)
    del git["spec"]["selector"]
    applied = deepcopy(APPLIED)
    del applied["f:spec"]["f:selector"]
    by_hand = entry("kubectl-edit", under("spec selector"))
    kubectl = entry("kubectl", applied, "Apply")
    assert changes(git, live(), kubectl, by_hand) == [("spec.selector", "add")]
    assert changes(git, live(), kubectl) == []


def test_of_what_admission_added_only_what_somebody_wrote_counts():
    now = live()
    side = {"name": "side", "image": "side:1", "env": [{"name": "X", "value": "1"}]}
    now["spec"]["template"]["spec"]["containers"].append(side)
    inside = 'spec template spec containers k:{"name":"side"}'
    item = under(f'{inside} env k:{{"name":"X"}}', {".": {}, "f:name": {}, "f:value": {}})
    path = "spec.template.spec.containers[name=side].env"
    assert changes(GIT, now, KUBECTL, entry("kubectl-edit", item)) == [(path, "add")]
    side["env"].append({"name": "Y", "value": "2"})
    assert changes(GIT, now, KUBECTL, entry("kubectl-edit", item)) == [(f"{path}[name=X]", "add")]


def test_what_is_written_through_the_status_does_not_count():
    now = live()
    now["metadata"]["annotations"] = {"a": "seen"}
    fields = under("metadata annotations a")
    assert changes(GIT, now, KUBECTL, entry("operator", fields, subresource="status")) == []
    assert changes(GIT, now, KUBECTL, entry("operator", fields, subresource="scale")) == [
        ("metadata.annotations", "add")
    ]


def test_members_of_a_set_count_one_by_one():
    now = live()
    now["metadata"]["finalizers"] = ["example.com/a", "example.com/b"]
    fields = under('metadata finalizers v:"example.com/b"')
    assert changes(GIT, now, KUBECTL, entry("kubectl-edit", fields)) == [
        ("metadata.finalizers[1]", "add")
    ]
    git = deepcopy(GIT)
    git["metadata"]["finalizers"] = ["example.com/c", "example.com/a"]
    assert changes(git, now, KUBECTL, entry("kubectl-edit", fields)) == [
        ("metadata.finalizers[0]", "remove"),
        ("metadata.finalizers[1]", "add"),
    ]


def test_what_is_added_with_defaults_in_it_is_one_thing():
    """Taken back in parts, a probe would be left without what it asks for."""
    now = live()
    probe = {"httpGet": {"port": 80, "path": "/up", "scheme": "HTTP"}, "periodSeconds": 10}
    now["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = probe
    path = f"{CONTAINER}.livenessProbe"
    asked = under(f"{IN_CONTAINER} livenessProbe httpGet", {"f:port": {}, "f:path": {}})
    for operation in ("Apply", "Update"):
        found = compare(GIT, now, KUBECTL, entry("someone", asked, operation)).changes
        assert [(c.path, c.op, c.new) for c in found] == [(path, "add", probe)]
    side = {"name": "side", "image": "side:1", "imagePullPolicy": "IfNotPresent"}
    now = live()
    now["spec"]["template"]["spec"]["containers"].append(side)
    added = under('spec template spec containers k:{"name":"side"}', {".": {}, "f:image": {}})
    found = compare(GIT, now, KUBECTL, entry("kubectl-edit", added)).changes
    assert [c.path for c in found] == ["spec.template.spec.containers[name=side]"]
    assert found[0].new == side


def test_inside_of_one_value_all_but_defaults_counts():
    """Of an atomic list there is one owner, who wrote all of it."""
    git = deepcopy(GIT)
    git["spec"]["template"]["spec"]["tolerations"] = [{"key": "x"}]
    now = live()
    now["spec"]["template"]["spec"]["tolerations"] = [{"key": "x", "operator": "Exists"}]
    applied = deepcopy(APPLIED)
    applied["f:spec"]["f:template"]["f:spec"]["f:tolerations"] = {}
    assert changes(git, now, entry("kubectl", applied, "Apply")) == [
        ("spec.template.spec.tolerations[key=x].operator", "add")
    ]
    git = deepcopy(GIT)
    now = live()
    now["spec"]["selector"]["matchExpressions"] = [{"key": "x", "operator": "Exists"}]
    assert changes(git, now, KUBECTL) == [("spec.selector.matchExpressions", "add")]


def test_a_null_says_nothing():
    git = deepcopy(GIT)
    git["spec"]["replicas"] = None
    git["spec"]["strategy"] = None
    git["metadata"]["annotations"] = {"a": None}
    now = live()
    now["metadata"]["annotations"] = {"a": ""}
    assert changes(git, now, KUBECTL) == []
    assert changes(git, now, KUBECTL, meaning=LITERALLY) == []
    now["spec"]["replicas"] = 2
    scaled = entry("kubectl", under("spec replicas"), subresource="scale")
    assert changes(git, now, KUBECTL, scaled) == [("spec.replicas", "add")]


def test_what_the_api_server_does_not_store_does_not_lack():
    git = deepcopy(GIT)
    git["spec"]["minReadySeconds"] = 0
    container = git["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"mountPath": "/a", "name": "a", "readOnly": False}]
    now = live()
    now["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [
        {"mountPath": "/a", "name": "a"}
    ]
    assert changes(git, now, KUBECTL) == []
    git["spec"]["template"]["spec"]["automountServiceAccountToken"] = False
    assert changes(git, now, KUBECTL) == [
        ("spec.template.spec.automountServiceAccountToken", "remove")
    ]


def test_defaults_of_custom_resources_are_in_their_schema():
    git = {"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"steps": [{"run": "a"}]}}
    now = deepcopy(git)
    now["spec"] |= {"size": 3, "steps": [{"run": "a", "times": 1}]}
    by_hand = entry("kubectl-create", under("spec", {"f:size": {}, "f:steps": {}}))
    kind = ("example.com", "Widget")
    assert changes(git, now, by_hand, kind=kind) == []
    now["spec"] |= {"size": 4, "steps": [{"run": "a", "times": 2}]}
    found = [("spec.size", "add"), ("spec.steps[0].times", "add")]
    assert changes(git, now, by_hand, kind=kind) == found
    # Of a custom resource false is stored, so it may lack.
    git["spec"]["enabled"] = False
    assert ("spec.enabled", "remove") in changes(git, now, by_hand, kind=kind)


def test_what_is_added_to_a_custom_resource_brings_its_defaults_along():
    git = {"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"enabled": True}}
    now = deepcopy(git)
    now["spec"]["door"] = {"of": "wood", "color": "red"}
    painted = entry("painter", under("spec door color"), "Apply")
    kind = ("example.com", "Widget")
    assert changes(git, now, painted, kind=kind) == [("spec.door", "add")]
    now["spec"]["door"]["of"] = "steel"
    assert changes(git, now, painted, kind=kind) == [("spec.door.color", "add")]


def test_it_is_said_what_may_be_a_default_that_nobody_knows():
    now = live()
    now["spec"] |= {"inventedLately": "Always", "replicas": 3}
    fields = under("spec", {"f:inventedLately": {}, "f:replicas": {}})
    found = compare(GIT, now, entry("kubectl-create", fields))
    assert [c.path for c in found.changes] == ["spec.inventedLately", "spec.replicas"]
    assert found.unsure == ("spec.inventedLately",)
    # Server-side apply owns no defaults.
    assert compare(GIT, now, entry("kubectl", fields, "Apply")).unsure == ()
    assert compare(GIT, now).unsure == ("spec.inventedLately",)


def test_an_owner_of_something_empty_owns_nothing_that_came_later():
    """A LimitRange fills resources of a pod whose creator owned them as an empty map."""
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c"}]}}
    now = deepcopy(pod)
    now["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    owned = under('spec containers k:{"name":"c"}', {".": {}, "f:resources": {}})
    kind = ("", "Pod")
    assert changes(pod, now, entry("kubectl-create", owned), kind=kind, meaning=LITERALLY) == []


def test_nothing_is_changed_by_comparing():
    git, now = deepcopy(GIT), live()
    before = deepcopy((git, now))
    compare(git, now, KUBECTL)
    assert (git, now) == before
