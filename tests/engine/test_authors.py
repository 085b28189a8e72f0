"""Differences have their authors, from the managedFields that observe kept."""

import hashlib
import json

import orjson
import pytest
from fake_api import Answer, listed

from gitops_dr.cluster.discover import identify
from gitops_dr.engine.difference import examine
from gitops_dr.engine.observe import observe
from gitops_dr.engine.recorded import read_tree
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import FieldManager, Presence, Ref

PREFIX = "clusters/prod"
TIME = "2026-01-01T00:00:00Z"


def fingerprint(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def config_map(name, **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop"},
        "data": data,
    }


def ref(name):
    return Ref("", "ConfigMap", "shop", name)


def written(name, *keys):
    fields = {"f:data": {".": {}} | {f"f:{key}": {} for key in keys}}
    return {
        "manager": name,
        "operation": "Update",
        "apiVersion": "v1",
        "time": TIME,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


@pytest.fixture
def compare(repo, save, connection):
    def run(*bodies, **options):
        files = {f"{PREFIX}/{body['metadata']['name']}.yaml": canonical(body) for body in bodies}
        tree = read_tree(repo, save(files), PREFIX)
        return examine(connection, identify(connection), tree, **options)

    return run


def test_managed_fields_are_kept_of_objects_that_the_caller_does_not_know(
    cluster, connection, make_live
):
    managed = [written("kubectl-edit", "k")]
    cluster.serve(
        "v1",
        "ConfigMap",
        make_live("known", "shop", metadata={"managedFields": managed}, data={"k": "1"}),
        make_live("new", "shop", metadata={"managedFields": managed}, data={"k": "2"}),
        make_live("nobodys", "shop", data={"k": "3"}),
    )

    def look(**options):
        return observe(connection, identify(connection), fingerprint, **options)

    known = look().state.entries[ref("known")].fingerprint
    found = look(known=[known], authors=True)
    assert {one: orjson.loads(data) for one, data in found.managed.items()} == {ref("new"): managed}
    assert b"managedFields" not in b"".join(found.bodies.values())
    assert not look(known=[known]).managed


def test_managed_fields_that_are_too_deep_are_not_kept(cluster, connection, make_live):
    deep = fields = {}
    for _ in range(400):
        deep["f:a"] = deep = {}
    metadata = {"managedFields": [{"manager": "x", "fieldsV1": {"f:status": fields}}]}
    page = json.dumps(listed(make_live("a", "shop", metadata=metadata))).encode()
    cluster.serve("v1", "ConfigMap", answer=Answer(pieces=(page,)))
    found = observe(connection, identify(connection), fingerprint, authors=True)
    assert list(found.state.entries) == [ref("a")]
    assert not found.managed


def test_a_change_and_an_unmanaged_object_have_authors_and_a_missing_one_has_none(
    compare, cluster, make_live
):
    cluster.serve(
        "v1",
        "ConfigMap",
        make_live(
            "modified",
            "shop",
            metadata={"managedFields": [written("kubectl-edit", "k"), written("kubelet", "new")]},
            data={"k": "cluster", "new": "x"},
        ),
        make_live(
            "unmanaged",
            "shop",
            metadata={"managedFields": [written("keda-operator", "k")]},
            data={"k": "v"},
        ),
        make_live("nobodys", "shop", data={"k": "v"}),
    )
    found = compare(
        config_map("missing"), config_map("modified", k="git", gone="x"), trusted={"keda-operator"}
    )
    missing, modified, nobodys, unmanaged = found.differences
    assert (missing.presence, missing.managers) == (Presence.MISSING, ())
    assert (nobodys.presence, nobodys.managers) == (Presence.UNMANAGED, ())
    assert unmanaged.managers == (FieldManager("keda-operator", "Update", "", TIME, trusted=True),)
    assert {change.path: change.managers for change in modified.changes} == {
        "data.gone": (),
        "data.k": (FieldManager("kubectl-edit", "Update", "", TIME),),
        "data.new": (FieldManager("kubelet", "Update", "", TIME, trusted=True),),
    }
