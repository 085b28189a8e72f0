"""How a target differs from the source, for people and programs; and manifests without secrets."""

import json
from dataclasses import replace

import pytest

from gitops_dr.desired.target_rendered import Change, Contrast, Rewriting
from gitops_dr.errors import ExitCode
from gitops_dr.model import Difference, FieldChange, Identity, MaskedValue, Presence, Ref
from gitops_dr.reports import render
from gitops_dr.reports.plan import announcement
from gitops_dr.results.rebuild import Goal

WEB = Ref("apps", "Deployment", "shop-b", "web")
SOURCE = Ref("apps", "Deployment", "shop", "web")
DB = Ref("", "Secret", "shop-b", "db")


def change(ref: Ref, path: str, old: object, new: object) -> Difference:
    return Difference(ref, Presence.MODIFIED, "x.yaml", (FieldChange(path, "replace", old, new),))


CONTRAST = Contrast(
    "prod",
    "a" * 40,
    "standby",
    (
        Rewriting(
            Change.CHANGED,
            change(WEB, "spec.replicas", 3, 0),
            SOURCE,
            ("standby: It waits.",),
        ),
        Rewriting(
            Change.CHANGED,
            change(DB, "data.password", MaskedValue("geheim"), MaskedValue("anders")),
            DB,
            ("Its own.",),
        ),
        Rewriting(Change.ADDED, Difference(WEB, Presence.MODIFIED, "t.j2"), None, (), "t.j2"),
    ),
    12,
    idle=("patches[0]: is about no object",),
)


def test_the_table_has_each_field_with_its_reason() -> None:
    text = render.as_table(CONTRAST)
    assert text.splitlines()[0] == (
        "prod at target standby: 2 changed, 1 added, 12 objects as at the source; "
        "commit aaaaaaaaaaaa"
    )
    assert "(at the source Deployment.apps/shop/web)" in text
    assert "~ spec.replicas: 3 → 0  (standby: It waits.)" in text
    assert "added      Deployment.apps/shop-b/web  (t.j2)" in text
    assert "patches[0]: is about no object" in text


def test_the_document_says_the_same() -> None:
    document = json.loads(render.as_json(CONTRAST))
    first, second, third = document["objects"]
    assert first["source"]["namespace"] == "shop"
    assert first["fields"] == [
        {
            "path": "spec.replicas",
            "op": "replace",
            "old": 3,
            "new": 0,
            "masked": False,
            "because": "standby: It waits.",
        }
    ]
    assert second["fields"][0]["masked"]
    assert (third["state"], third["source"], third["because"]) == ("added", None, "t.j2")
    assert document["idle"] == ["patches[0]: is about no object"]


@pytest.mark.parametrize("written", [render.as_table(CONTRAST), render.as_json(CONTRAST)])
def test_no_value_of_a_secret_is_shown(written: str) -> None:
    assert "geheim" not in written
    assert "anders" not in written
    assert "***" in written


def test_what_a_person_may_have_written_cannot_move_the_cursor() -> None:
    odd = Rewriting(
        Change.ADDED, Difference(WEB, Presence.MODIFIED, ""), None, (), "\x1b[2Jgone\u202e"
    )
    text = render.as_table(Contrast("p", "a", "t", (odd,), 0, ("\x1b[1m",), ("\x1b[1m",)))
    assert "\x1b" not in text
    assert "\u202e" not in text


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "db",
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "geheim",
            "kept": "yes",
        },
    },
    "data": {"password": "geheim", "user": "geheim"},
    "stringData": {"more": "geheim"},
}


def test_a_secret_is_printed_with_the_names_of_its_values() -> None:
    text = render.manifest(SECRET).decode()
    assert "geheim" not in text
    for name in ("password", "user", "more", "kept"):
        assert f"{name}: " in text
    assert SECRET["data"] == {"password": "geheim", "user": "geheim"}


@pytest.mark.parametrize("held", ["geheim", ["geheim"]])
def test_odd_values_of_a_secret_are_masked_whole(held: object) -> None:
    assert "geheim" not in render.manifest({**SECRET, "data": held}).decode()


def test_other_objects_are_printed_as_they_are() -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}
    assert render.without_values(body) is body


@pytest.mark.parametrize(
    ("contrast", "code"),
    [
        (CONTRAST, ExitCode.DIFFERENCES),
        (Contrast("p", "a", "t", (), 3), ExitCode.DONE),
        (Contrast("p", "a", "t", (), 3, unreadable=("x",)), ExitCode.PARTIAL),
    ],
)
def test_exit_codes(contrast: Contrast, code: ExitCode) -> None:
    assert render.exit_code(contrast) is code


def test_a_plan_names_the_target_before_its_cluster() -> None:
    identity = Identity("uid", "v1.37.2", "1")
    goal = Goal("prod", "a" * 40, "admin", "https://api", identity, name="standby")
    first, *_ = announcement(goal)
    assert first == "Target   standby: context admin, https://api"
    assert announcement(replace(goal, name=""))[0] == "Target   context admin, https://api"
