"""``recovery/managers.yaml``: written as it is specified, read back, refused where it is odd."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.desired.managers import Holder, Share, read_managers, write_managers
from gitops_dr.errors import GitOpsDRError, RepositoryError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Ref

WEB = Ref("apps", "Deployment", "shop", "web")
SHARE = Share("injector", "Update", {"f:metadata": {"f:annotations": {"f:a.b/c": {}}}})
HOLDERS = {
    WEB: Holder("kustomize-controller", "Apply", shares=(SHARE,)),
    Ref("", "ConfigMap", "shop", "b"): Holder("kustomize-controller", "Apply"),
    Ref("", "ConfigMap", "shop", "a"): Holder("kustomize-controller", "Apply"),
    Ref("", "Namespace", "", "shop"): Holder("kubectl-client-side-apply", "Update", True),
}

TEXT = """\
format: 1
managers:
- lastApplied: true
  manager: kubectl-client-side-apply
  objects:
    Namespace:
    - names:
      - shop
      namespace: ""
  operation: Update
- lastApplied: false
  manager: kustomize-controller
  objects:
    ConfigMap:
    - names:
      - a
      - b
      namespace: shop
    Deployment.apps:
    - names:
      - web
      namespace: shop
  operation: Apply
shared:
- fields: '{"f:metadata":{"f:annotations":{"f:a.b/c":{}}}}'
  manager: injector
  operation: Update
  ref: Deployment.apps/shop/web
"""


def test_the_form() -> None:
    data = write_managers(HOLDERS)
    assert data is not None
    assert data.decode().replace('\\"', '"').replace('"{', "'{").replace('}"', "}'") == TEXT


def test_where_nobody_applied_anything_there_is_no_file() -> None:
    assert write_managers({}) is None


def test_it_is_read_back() -> None:
    data = write_managers(HOLDERS)
    assert data is not None
    assert read_managers(data, "x") == HOLDERS


names = st.text("ab-.", min_size=1, max_size=5)
refs = st.builds(Ref, st.sampled_from(["", "apps"]), st.sampled_from(["A", "B"]), names, names)
shares = st.builds(
    Share,
    names,
    st.sampled_from(["Apply", "Update"]),
    st.dictionaries(st.text(), st.just({}), min_size=1),
)
holders = st.builds(
    Holder,
    names,
    st.sampled_from(["Apply", "Update"]),
    st.booleans(),
    st.lists(shares, max_size=2).map(tuple),
)


@given(st.dictionaries(refs, holders, min_size=1))
def test_whatever_there_is_comes_back(found: dict[Ref, Holder]) -> None:
    data = write_managers(found)
    assert data is not None
    assert read_managers(data, "x") == found
    assert write_managers(dict(reversed(found.items()))) == data


def entry(**other: Any) -> dict[str, Any]:
    objects = {"ConfigMap": [{"namespace": "shop", "names": ["a"]}]}
    made = {"manager": "m", "operation": "Apply", "lastApplied": False, "objects": objects}
    return made | other


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"format": 2, "managers": [], "shared": []},
        {"format": 1, "managers": {}},
        {"format": 1, "managers": [entry()]},
        {"format": 1, "managers": [entry(operation="Replace")], "shared": []},
        {"format": 1, "managers": [entry(manager=7)], "shared": []},
        {"format": 1, "managers": [entry(objects={"ConfigMap": ["a"]})], "shared": []},
        {"format": 1, "managers": [entry(objects=[])], "shared": []},
        {
            "format": 1,
            "managers": [entry()],
            "shared": [{"ref": "ConfigMap/shop/a", "manager": "m", "operation": "Apply"}],
        },
        {
            "format": 1,
            "managers": [entry()],
            "shared": [
                {"ref": "ConfigMap/shop/a", "manager": "m", "operation": "Apply", "fields": "no"}
            ],
        },
        {
            "format": 1,
            "managers": [entry()],
            "shared": [
                {"ref": "ConfigMap/shop/a", "manager": "m", "operation": "Apply", "fields": "[]"}
            ],
        },
    ],
)
def test_what_is_no_such_file_is_refused_by_its_name(document: dict[str, Any]) -> None:
    with pytest.raises(RepositoryError, match=r"^place/managers\.yaml: "):
        read_managers(canonical(document), "place/managers.yaml")


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_too(data: bytes) -> None:
    with pytest.raises(GitOpsDRError):
        read_managers(data, "x")
