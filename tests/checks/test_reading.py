"""What is read out of a target's objects: classes, room, webhooks; and nothing out of odd ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from gitops_dr.checks.of_classes import backends
from gitops_dr.checks.of_rights import lacking
from gitops_dr.checks.plan_facts import Class, Room
from gitops_dr.checks.reading import read_class, read_hooks, read_storage

GIB = 1024**3
ODD = (None, 3, "x", [], [None, 3, "x"], {}, {"x": None}, [{}], [{"x": 3}])


def test_a_class_is_read() -> None:
    term = {"matchLabelExpressions": [{"key": "zone", "values": ["a", "b"]}]}
    body = {
        "metadata": {"name": "fast"},
        "provisioner": "d.csi",
        "parameters": {"clusterID": "one"},
        "reclaimPolicy": "Retain",
        "allowVolumeExpansion": True,
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowedTopologies": [term],
    }
    places = ((("zone", ("a", "b")),),)
    assert read_class(body) == Class("d.csi", {"clusterID": "one"}, "Retain", True, True, places)


def test_what_a_class_does_not_say_is_as_the_api_has_it() -> None:
    assert read_class({"metadata": {"name": "fast"}, "driver": "d.csi"}) == Class("d.csi")


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_an_odd_class_says_nothing(odd: Any) -> None:
    for terms in (odd, [odd], [{"matchLabelExpressions": odd}], [{"matchLabelExpressions": [odd]}]):
        body = {"parameters": odd, "allowedTopologies": terms, "provisioner": "d"}
        assert read_class(body).driver == "d"


def free(**numbers: str) -> dict[str, Any]:
    return {"storageClassName": "fast", **numbers}


@pytest.mark.parametrize(
    ("published", "room"),
    [
        ([], None),
        ([free()], None),
        ([free(capacity="2Gi")], Room(Fraction(2 * GIB), Fraction(2 * GIB))),
        (
            [free(capacity="2Gi"), free(capacity="1Gi"), free()],
            Room(Fraction(2 * GIB), Fraction(3 * GIB)),
        ),
        (
            [free(capacity="9Gi", maximumVolumeSize="2Gi")],
            Room(Fraction(2 * GIB), Fraction(9 * GIB)),
        ),
        ([free(capacity="9Gi"), free(maximumVolumeSize="2Gi")], Room(Fraction(9 * GIB), None)),
        ([free(capacity="0")], Room(Fraction(), Fraction())),
    ],
)
def test_room_is_what_drivers_publish(published: list[Any], room: Room | None) -> None:
    assert read_storage([], [], [], None, published).room.get("fast") == room


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://hooks.example.com/in?token=hunter2", "hooks.example.com"),
        ("https://bob:hunter2@hooks.example.com:8443/in", "hooks.example.com:8443"),
        ("https://[fd00::1]:8443/", "fd00::1:8443"),
        ("https://hooks.example.com:nonsense/", ""),
        ("https://[", ""),
    ],
)
def test_of_a_url_nothing_but_the_host_is_kept(url: str, host: str) -> None:
    hook = {"name": "w", "failurePolicy": "Fail", "clientConfig": {"url": url}}
    body = {"metadata": {"name": "w"}, "webhooks": [hook, {**hook, "failurePolicy": "Ignore"}]}
    (found,) = read_hooks("ValidatingWebhookConfiguration", [body])
    assert (found.service, found.host) == (None, host)


def test_a_role_of_more_rights_than_anybody_writes_is_looked_at_in_part() -> None:
    many = [f"x{i}" for i in range(1000)]
    held = [{"apiGroups": ["*"], "resources": ["*"], "verbs": many}]
    huge = {"apiGroups": many, "resources": many, "verbs": many}
    assert lacking(held, [huge]) == ""
    assert lacking([], [huge]) == "x0 x0.x0"


def test_rows_of_backends_say_why_and_where_it_stands() -> None:
    assert backends()
    for row in backends():
        assert row.parameters
        assert row.because.endswith(".")
        assert row.link.startswith("https://")
