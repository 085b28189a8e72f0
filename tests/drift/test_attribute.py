"""Who is known to have written what differs, read from managedFields."""

import json
from typing import Any

import pytest
from counting import steps
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.drift.attribute import attributed, trusted_managers, trusted_rows
from gitops_dr.model import Difference, FieldChange, FieldManager, Presence, Ref

REF = Ref("apps", "Deployment", "shop", "web")
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def entry(name: Any, fields: Any, when: Any = EARLY, **other: Any) -> dict[str, Any]:
    return {
        "manager": name,
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": when,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **other,
    }


def key(**keys: Any) -> str:
    return "k:" + json.dumps(keys, separators=(",", ":"))


def modified(*changes: FieldChange) -> Difference:
    return Difference(REF, Presence.MODIFIED, "web.yaml", changes)


def authors(change: FieldChange, managed: Any, body: Any, trusted: Any = ()) -> list[str]:
    """Names of those whom the one change is attributed to, in order."""
    (found,) = attributed(modified(change), managed, body, trusted=trusted).changes
    assert (found.path, found.op, found.old, found.new) == (
        change.path,
        change.op,
        change.old,
        change.new,
    )
    return [manager.name for manager in found.managers]


BODY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "labels": {"app.kubernetes.io/name": "web", "added": "x"},
        "finalizers": ["example.com/hold", "other"],
    },
    "spec": {
        "replicas": 5,
        "paused": True,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "side",
                        "image": "side:2",
                        "command": ["run", "fast"],
                        "ports": [
                            {"containerPort": 53, "protocol": "TCP", "name": "dns-tcp"},
                            {"containerPort": 53, "protocol": "UDP", "name": "dns"},
                        ],
                    },
                    {
                        "name": "web",
                        "image": "web:2",
                        "env": [{"name": "MODE", "value": "debug"}, {"name": "A", "value": "a"}],
                        "resources": {"limits": {"cpu": "2"}},
                    },
                ],
                "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}],
            }
        },
    },
}

POD = "spec.template.spec"
MANAGED = [
    entry(
        "helm",
        {
            "f:metadata": {
                "f:labels": {".": {}, "f:app.kubernetes.io/name": {}},
                "f:finalizers": {".": {}, 'v:"example.com/hold"': {}},
            },
            "f:spec": {
                "f:selector": {},
                "f:template": {
                    "f:spec": {
                        "f:containers": {
                            key(name="web"): {
                                ".": {},
                                "f:name": {},
                                "f:env": {".": {}, key(name="A"): {".": {}, "f:name": {}}},
                                "f:resources": {"f:limits": {}},
                            },
                        },
                        "f:volumes": {
                            ".": {},
                            key(name="tmp"): {".": {}, "f:name": {}, "f:emptyDir": {}},
                        },
                    }
                },
            },
        },
        operation="Apply",
    ),
    entry(
        "kubectl-edit",
        {
            "f:metadata": {"f:labels": {"f:added": {}}, "f:finalizers": {'v:"other"': {}}},
            "f:spec": {
                "f:paused": {},
                "f:template": {
                    "f:spec": {
                        "f:containers": {
                            key(name="side"): {
                                ".": {},
                                "f:name": {},
                                "f:image": {},
                                "f:command": {},
                                "f:ports": {
                                    ".": {},
                                    key(containerPort=53, protocol="UDP"): {
                                        ".": {},
                                        "f:containerPort": {},
                                        "f:protocol": {},
                                        "f:name": {},
                                    },
                                },
                            },
                            key(name="web"): {
                                "f:image": {},
                                "f:env": {
                                    key(name="MODE"): {".": {}, "f:name": {}, "f:value": {}},
                                    key(name="A"): {"f:value": {}},
                                },
                                "f:resources": {"f:limits": {"f:cpu": {}}},
                            },
                        },
                        "f:volumes": {key(name="tmp"): {"f:emptyDir": {"f:medium": {}}}},
                    }
                },
            },
        },
        LATE,
    ),
    entry(
        "dns-operator",
        {
            "f:spec": {
                "f:template": {
                    "f:spec": {
                        "f:containers": {
                            key(name="side"): {
                                "f:ports": {
                                    key(containerPort=53, protocol="TCP"): {
                                        ".": {},
                                        "f:containerPort": {},
                                        "f:protocol": {},
                                        "f:name": {},
                                    }
                                }
                            }
                        }
                    }
                }
            }
        },
    ),
    entry("kubectl", {"f:spec": {"f:replicas": {}}}, LATE, subresource="scale"),
]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        # leaves
        ("spec.replicas", ["kubectl"]),
        ("spec.paused", ["kubectl-edit"]),
        ('metadata.labels["app.kubernetes.io/name"]', ["helm"]),
        ("metadata.labels.added", ["kubectl-edit"]),
        # items of lists by key, of one and of several
        (f"{POD}.containers[name=web].image", ["kubectl-edit"]),
        (f"{POD}.containers[name=side].image", ["kubectl-edit"]),
        (f"{POD}.containers[name=web].env[name=A].value", ["kubectl-edit"]),
        (f"{POD}.containers[name=web].env[name=A].name", ["helm"]),
        (
            f"{POD}.containers[name=side].ports[containerPort=53,protocol=TCP].name",
            ["dns-operator"],
        ),
        (
            f"{POD}.containers[name=side].ports[containerPort=53,protocol=UDP].name",
            ["kubectl-edit"],
        ),
        (f"{POD}.containers[name=side].ports[name=dns-tcp].protocol", ["dns-operator"]),
        # the same by place
        (f"{POD}.containers[1].image", ["kubectl-edit"]),
        (f"{POD}.containers[0].ports[0].protocol", ["dns-operator"]),
        # what is owned as one value
        ("spec.selector.matchLabels.app", ["helm"]),
        (f"{POD}.containers[name=side].command[1]", ["kubectl-edit"]),
        # an owner of the field itself comes before one of what it is a part of
        (f"{POD}.containers[name=web].resources.limits.cpu", ["kubectl-edit"]),
        (f"{POD}.volumes[name=tmp].emptyDir.medium", ["kubectl-edit"]),
        # items of sets by value
        ("metadata.finalizers[0]", ["helm"]),
        ("metadata.finalizers[1]", ["kubectl-edit"]),
        # nobody's
        ("metadata.name", []),
        ("spec.unheard.of", []),
        (f"{POD}.containers[name=gone].image", []),
    ],
)
def test_a_leaf_has_those_who_own_it(path, expected):
    assert authors(FieldChange(path, "replace", old="x", new="y"), MANAGED, BODY) == expected
    assert authors(FieldChange(path, "remove", old="x"), MANAGED, BODY) == []


def value_at(*steps: Any) -> Any:
    node: Any = BODY
    for step in steps:
        node = node[step]
    return node


CONTAINERS = ("spec", "template", "spec", "containers")


@pytest.mark.parametrize(
    ("path", "steps", "expected"),
    [
        (f"{POD}.containers[name=side]", (*CONTAINERS, 0), ["kubectl-edit", "dns-operator"]),
        (f"{POD}.containers", CONTAINERS, ["kubectl-edit", "dns-operator", "helm"]),
        (
            f"{POD}.containers[name=side].ports[containerPort=53,protocol=TCP]",
            (*CONTAINERS, 0, "ports", 0),
            ["dns-operator"],
        ),
        (
            f"{POD}.containers[name=web].env[name=A]",
            (*CONTAINERS, 1, "env", 1),
            ["kubectl-edit", "helm"],
        ),
        ("spec.selector", ("spec", "selector"), ["helm"]),
        ("metadata.labels", ("metadata", "labels"), ["kubectl-edit", "helm"]),
        ("metadata.finalizers", ("metadata", "finalizers"), ["kubectl-edit", "helm"]),
        (
            f"{POD}.volumes[name=tmp].emptyDir",
            ("spec", "template", "spec", "volumes", 0, "emptyDir"),
            ["kubectl-edit"],
        ),
        ("spec", ("spec",), ["kubectl", "kubectl-edit", "dns-operator", "helm"]),
    ],
)
def test_what_was_added_as_a_whole_has_those_who_own_any_of_it(path, steps, expected):
    assert authors(FieldChange(path, "add", new=value_at(*steps)), MANAGED, BODY) == expected


def test_what_a_rule_took_out_of_the_whole_has_no_say():
    """The cluster's annotations are compared without the controller's one."""
    managed = [
        entry("kube-controller-manager", {"f:metadata": {"f:annotations": {".": {}, "f:rev": {}}}}),
        entry("kubectl-annotate", {"f:metadata": {"f:annotations": {"f:note": {}}}}),
    ]
    annotations = {"note": "x"}
    change = FieldChange("metadata.annotations", "add", new=annotations)
    body = {"metadata": {"annotations": annotations}}
    assert authors(change, managed, body) == ["kubectl-annotate"]


@pytest.mark.parametrize("value", [{}, []])
def test_what_is_empty_is_its_own_leaf(value):
    managed = [
        entry("one", {"f:spec": {"f:empty": {}}}),
        entry("other", {"f:spec": {"f:empty": {".": {}, "f:gone": {}}}}, LATE),
        entry("below", {"f:spec": {"f:empty": {"f:gone": {}}}}),
    ]
    body = {"spec": {"empty": value}}
    for change in (
        FieldChange("spec.empty", "add", new=value),
        FieldChange("spec.empty", "replace", old="x", new=value),
    ):
        assert authors(change, managed, body) == ["other", "one"]
        assert authors(change, managed[2:], body) == ["below"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (["a"], ["a", "b"], ["two"]),
        (["b"], ["a", "b"], ["one"]),
        ([], ["a", "b"], ["one", "two"]),
        (["a", "b", "c"], ["a", "b"], []),  # only something went
        (["b", "a"], ["a", "b"], []),  # only the order changed
        ("text", ["a", "b"], ["one", "two"]),
    ],
)
def test_of_a_list_that_differs_as_a_whole_the_new_items_count(old, new, expected):
    managed = [
        entry("one", {"f:set": {".": {}, 'v:"a"': {}}}),
        entry("two", {"f:set": {'v:"b"': {}}}),
    ]
    assert authors(FieldChange("set", "replace", old=old, new=new), managed, {"set": new}) == (
        expected
    )


@pytest.mark.parametrize("old", [["b", "a"], ["a"], ["a", "b", "c"]])
def test_a_list_that_is_one_value_has_its_owner_whatever_changed_in_it(old):
    new = ["a", "b"]
    change = FieldChange("list", "replace", old=old, new=new)
    assert authors(change, [entry("one", {"f:list": {}})], {"list": new}) == ["one"]
    inside = FieldChange("spec.list", "replace", old=old, new=new)
    assert authors(inside, [entry("one", {"f:spec": {}})], {"spec": {"list": new}}) == ["one"]


def test_a_new_item_that_nobody_owns_has_the_owner_of_what_it_is_in():
    managed = [
        entry("whole", {"f:spec": {}}),
        entry("a", {"f:spec": {"f:list": {'v:"a"': {}}}}),
    ]
    new = ["a", "b"]
    for old, expected in ((["a"], ["whole"]), (["b"], ["a"]), (["b", "a"], [])):
        change = FieldChange("spec.list", "replace", old=old, new=new)
        assert authors(change, managed, {"spec": {"list": new}}) == expected


def test_of_a_map_that_differs_as_a_whole_the_changed_keys_count():
    managed = [entry("one", {"f:map": {"f:a": {}}}), entry("two", {"f:map": {"f:b": {}}})]
    new = {"a": 1, "b": 2}
    change = FieldChange("map", "replace", old={"a": 1, "b": 3}, new=new)
    assert authors(change, managed, {"map": new}) == ["two"]


@pytest.mark.parametrize(
    ("items", "names", "expected"),
    [
        # A key that the item lacks has its default in the field set.
        ([{"port": 1}], [key(port=1, protocol="TCP")], ["owner"]),
        ([{"port": 1}], [key(port=2, protocol="TCP")], []),
        ([{"port": 1}], [key(port=1, protocol="TCP"), key(port=1, protocol="UDP")], []),
        ([{"other": 1}], [key(port=1)], []),
        # A key may be left out of the field set, too.
        ([{"name": "a", "kind": "x"}], [key(name="a")], ["owner"]),
        ([{"port": 1, "protocol": "UDP"}], [key(port=1, protocol="TCP")], []),
        # Numbers, booleans and texts are not each other.
        ([{"port": 1}], [key(port="1")], []),
        ([{"on": True}], [key(on=1)], []),
        ([{"on": True}], [key(on=True)], ["owner"]),
        ([{"port": None}], [key(port=None)], ["owner"]),
        ([7], ["v:7"], ["owner"]),
        ([7], ['v:"7"'], []),
        ([True], ["v:1"], []),
        (["a"], ["i:0"], ["owner"]),
        (["a"], ["i:1"], []),
        ([{"a": 1}], ["i:0"], ["owner"]),
    ],
)
def test_items_are_found_as_field_sets_name_them(items, names, expected):
    managed = [entry("owner", {"f:list": {name: {} for name in names}})]
    change = FieldChange("list[0]", "add", new=items[0])
    assert authors(change, managed, {"list": items}) == expected


def test_the_field_set_that_names_an_item_by_more_keys_is_meant():
    fields = {key(name="a"): {"f:x": {}}, key(name="a", kind="k"): {"f:y": {}}}
    body = {"list": [{"name": "a", "kind": "k", "x": 1, "y": 1}]}
    managed = [entry("owner", {"f:list": fields})]
    assert authors(FieldChange("list[0].y", "add", new=1), managed, body) == ["owner"]
    assert authors(FieldChange("list[0].x", "add", new=1), managed, body) == []


def test_of_items_of_the_same_name_the_first_is_meant():
    body = {"list": [{"name": "a", "n": 1}, {"name": "a", "n": 2}]}
    change = FieldChange("list[name=a].n", "replace", old=0, new=1)
    for number, expected in ((1, ["owner"]), (2, [])):
        assert authors(change, [entry("owner", {"f:list": {key(n=number): {}}})], body) == expected


def test_all_is_said_of_a_manager_and_the_newest_is_first():
    managed = [
        entry("b", {"f:spec": {"f:replicas": {}}}, EARLY, operation="Apply"),
        entry("a", {"f:spec": {"f:replicas": {}}}, EARLY),
        entry("hpa", {"f:spec": {"f:replicas": {}}}, LATE, subresource="scale"),
        entry("timeless", {"f:spec": {"f:replicas": {}}}, None),
    ]
    change = FieldChange("spec.replicas", "replace", old=1, new=5)
    (found,) = attributed(modified(change), managed, BODY, trusted={"hpa", "x"}).changes
    assert found.managers == (
        FieldManager("hpa", "Update", "scale", LATE, trusted=True),
        FieldManager("a", "Update", "", EARLY),
        FieldManager("b", "Apply", "", EARLY),
        FieldManager("timeless", "Update"),
    )


# -- whole objects ---------------------------------------------------------------------------------


def whole(presence: Presence, managed: Any, body: Any) -> tuple[str, ...]:
    difference = Difference(REF, presence, "web.yaml")
    found = attributed(difference, managed, body, trusted=())
    assert found.presence is presence
    return tuple(manager.name for manager in found.managers)


def test_an_unmanaged_object_has_all_who_own_any_of_it():
    status = entry("kubelet", {"f:status": {"f:phase": {}}}, LATE, subresource="status")
    assert whole(Presence.UNMANAGED, [*MANAGED, status], BODY) == (
        "kubectl",
        "kubectl-edit",
        "dns-operator",
        "helm",
    )


@pytest.mark.parametrize("fields", [{}, {"f:metadata": {"f:labels": {".": {}, "f:gone": {}}}}])
def test_an_unmanaged_object_of_nothing_but_a_name_has_those_who_wrote_it(fields):
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    managed = [
        entry("kubectl-create", fields),
        entry("kube-controller-manager", {"f:status": {}}, subresource="status"),
    ]
    assert whole(Presence.UNMANAGED, managed, body) == ("kubectl-create",)


@pytest.mark.parametrize("presence", [Presence.MISSING, Presence.UNKNOWN])
def test_of_what_is_not_seen_nobody_is_known(presence):
    assert whole(presence, MANAGED, BODY) == ()


def test_who_wrote_nothing_owns_nothing():
    change = FieldChange("spec.replicas", "replace", old=1, new=5)
    assert authors(change, [entry("nobody", {})], BODY) == []


# -- what makes no sense ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "managed",
    [
        None,
        "text",
        {},
        [],
        [None, 5, "text", []],
        [{}],
        [entry("x", None)],
        [entry("x", [])],
        [entry("x", "f:spec")],
        [entry("", {"f:spec": {"f:replicas": {}}})],
        [entry(5, {"f:spec": {"f:replicas": {}}})],
        [entry("x", {"f:spec": []})],
        [entry("x", {"f:spec": {"f:replicas": None}})],
        [entry("x", {"spec": {"replicas": {}}})],
        [entry("x", {"": {}, "f": {}, "f:": {}, "?": {}})],
    ],
)
def test_what_makes_no_sense_says_nothing(managed):
    change = FieldChange("spec.replicas", "replace", old=1, new=5)
    assert authors(change, managed, BODY) == []
    assert whole(Presence.UNMANAGED, managed, {"metadata": {"name": "a"}}) in ((), ("x",))


@pytest.mark.parametrize(
    "name",
    [
        "k:",
        "k:{",
        'k:"a"',
        "k:[1]",
        "k:{}",
        "k:5",
        'k:{"name":{}}',
        'k:{"name":[1]}',
        "v:",
        "v:{",
        "v:{}",
        "v:[]",
        "i:",
        "i:x",
        "i:-1",
    ],
)
@pytest.mark.parametrize("item", [{"name": "a"}, {"name": {}}, "a", None, [], ["a"]])
def test_items_named_in_no_way_that_makes_sense_are_nobodys(name, item):
    managed = [entry("x", {"f:list": {name: {"f:name": {}}}})]
    change = FieldChange("list[0]", "add", new=item)
    assert authors(change, managed, {"list": [item]}) == []


@pytest.mark.parametrize("time", [None, 5, "", "yesterday", "2026-01-01", "2026-01-01T00:00:00"])
def test_a_time_that_is_none_is_not_known(time):
    change = FieldChange("spec.replicas", "replace", old=1, new=5)
    managed = [entry("x", {"f:spec": {"f:replicas": {}}}, time, operation=5, subresource=None)]
    (found,) = attributed(modified(change), managed, BODY, trusted=()).changes
    assert found.managers == (FieldManager("x", ""),)


SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b"])
NAMES = st.sampled_from(
    [".", "f:a", "f:b", 'k:{"a":"b"}', 'k:{"a":1,"b":"a"}', 'v:"a"', "v:1", "i:0", "x", "k:[", "f:"]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "f:a"]), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.recursive(
    st.just({}) | SCALARS, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=10
)
ENTRIES = st.lists(
    st.builds(entry, st.sampled_from(["m", "n", "", None]), FIELDS, st.sampled_from([EARLY, 5])),
    max_size=3,
)
PATHS = st.sampled_from(
    ["a", "a.b", "a[0]", "a[a=b].b", "a[0][1]", "b.a[a=1,b=a]", "a[*].b", "]", ""]
)


@given(
    ENTRIES | JSON,
    st.dictionaries(st.sampled_from(["a", "b"]), JSON),
    PATHS,
    JSON,
    JSON,
    st.sampled_from(["add", "replace", "remove", "other"]),
)
def test_nothing_raises_and_only_those_who_wrote_are_named(managed, body, path, old, new, op):
    change = FieldChange(path, op, old=old, new=new)
    (found,) = attributed(modified(change), managed, body, trusted=()).changes
    named = {m.name for m in found.managers}
    entries = managed if isinstance(managed, list) else []
    assert named <= {e.get("manager") for e in entries if isinstance(e, dict)}
    assert len(set(found.managers)) == len(found.managers)
    whole(Presence.UNMANAGED, managed, body)


def field_set(value: Any) -> dict[str, Any]:
    """What the API server would note of whoever wrote all of a value."""
    if isinstance(value, dict) and value:
        return {".": {}} | {f"f:{k}": field_set(child) for k, child in value.items()}
    if isinstance(value, list) and value and all(isinstance(i, dict) for i in value):
        return {f"i:{i}": field_set(child) for i, child in enumerate(value)}
    return {}


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON, min_size=1))
def test_whoever_wrote_all_of_an_object_wrote_each_field(body):
    managed = [entry("all", {"f:spec": field_set(body)})]
    for name, value in body.items():
        for op in ("add", "replace"):
            change = FieldChange(f"spec.{name}", op, old=object(), new=value)
            assert authors(change, managed, {"spec": body}) == ["all"]


def test_a_list_twice_as_long_is_twice_the_work():
    def work(length):
        items = [{"name": f"item-{n}", "value": n} for n in range(length)]
        fields = {key(name=item["name"]): {".": {}, "f:name": {}, "f:value": {}} for item in items}
        managed = [entry(f"m{n}", {"f:list": fields}) for n in range(3)]
        body = {"list": items}
        changes = [
            FieldChange(f"list[name={item['name']}].value", "replace", old=0, new=1)
            for item in items
        ]
        changes.append(FieldChange("list", "replace", old=items[1:], new=items))
        changes.append(FieldChange("list", "add", new=items))
        found = attributed(modified(*changes), managed, body, trusted=()).changes
        assert all(len(change.managers) == 3 for change in found)
        return steps(lambda: attributed(modified(*changes), managed, body, trusted=()))

    assert work(600) < 2.3 * work(300)


# -- the shipped rows ------------------------------------------------------------------------------


def test_the_rows_name_each_manager_once_and_say_why():
    rows = trusted_rows()
    assert len({row.name for row in rows}) == len(rows)
    assert trusted_managers() == {row.name for row in rows}
    assert {"kube-controller-manager", "kube-scheduler", "kubelet"} <= trusted_managers()
    for row in rows:
        assert row.because.endswith(".")
        assert row.link.startswith("https://")
