"""Names of differences: what they mean, and the error where they mean none."""

import pytest

from gitops_dr.errors import GitOpsDRError, RefusedError, UsageError
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.model import (
    ANY,
    Difference,
    Entry,
    FieldChange,
    Omission,
    Presence,
    Ref,
    State,
    parse_ref,
)
from gitops_dr.planning.chosen import ALL, Choice, chosen
from gitops_dr.planning.selection import Selection

CHANGES = (
    FieldChange("data.a", "replace", old=1, new=2),
    FieldChange("data.b.c", "add", new=1),
    FieldChange("spec.containers[name=web].image", "replace", old="x", new="y"),
)
FOUND = (
    Difference(parse_ref("ConfigMap/shop/settings"), Presence.MODIFIED, "a", CHANGES),
    Difference(parse_ref("ConfigMap/shop/new"), Presence.UNMANAGED, "b"),
    Difference(parse_ref("ConfigMap/other/old"), Presence.MISSING, "c"),
    Difference(parse_ref("Namespace/shop"), Presence.MODIFIED, "d", CHANGES[:1]),
)


def state(*refs: str, **options: object) -> State:
    return State({parse_ref(ref): Entry("", "", "v1") for ref in refs}, **options)


DESIRED = state("ConfigMap/shop/settings", "ConfigMap/other/old", "Namespace/shop", "Role/shop/r")
OBSERVED = state(
    "ConfigMap/shop/settings",
    "ConfigMap/shop/new",
    "Namespace/shop",
    "Role/shop/r",
    omissions=(
        Omission(parse_ref("ConfigMap/shop/made"), "generated", "A controller makes it."),
        Omission(Ref("", "ConfigMap", "", ANY), "owned", "Owners make them."),
    ),
    unlisted=frozenset({parse_ref("ConfigMap/shop/owned")}),
)


def choose(*refs: str, namespaces: tuple[str, ...] = (), fields: tuple[str, ...] = ()):
    selection = Selection(frozenset(namespaces), refs=frozenset(map(parse_ref, refs)))
    return Choice(selection, tuple(map(parse_fieldpath, fields)))


def found(choice: Choice, hidden: tuple[str, ...] = ()) -> tuple[Difference, ...]:
    return chosen(
        FOUND, choice, hidden=set(map(parse_ref, hidden)), desired=DESIRED, observed=OBSERVED
    )


def names(choice: Choice) -> list[str]:
    return [str(difference.ref) for difference in found(choice)]


def test_nothing_named_means_all_that_differs():
    assert found(ALL) == FOUND


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (choose("ConfigMap/shop/new"), ["ConfigMap/shop/new"]),
        (
            choose(namespaces=("shop",)),
            ["ConfigMap/shop/settings", "ConfigMap/shop/new", "Namespace/shop"],
        ),
        (
            choose("Namespace/shop", namespaces=("other",)),
            ["ConfigMap/other/old", "Namespace/shop"],
        ),
    ],
)
def test_only_what_is_named_is_meant(choice, expected):
    assert names(choice) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (("data",), ["data.a", "data.b.c"]),
        (("data.b", "spec.containers[name=web]"), ["data.b.c", CHANGES[2].path]),
        (("data.b.c",), ["data.b.c"]),
    ],
)
def test_fields_of_one_object(fields, expected):
    (difference,) = found(choose("ConfigMap/shop/settings", fields=fields))
    assert [change.path for change in difference.changes] == expected


@pytest.mark.parametrize(
    ("choice", "error", "message", "hint"),
    [
        (
            choose("Role/shop/r"),
            UsageError,
            "Role/shop/r: does not differ from Git",
            "",
        ),
        (
            choose("ConfigMap/shop/setings"),
            UsageError,
            "ConfigMap/shop/setings: neither in Git nor in the cluster",
            "did you mean ConfigMap/shop/settings?",
        ),
        (
            choose("Widget/q"),
            UsageError,
            "Widget/q: neither in Git nor in the cluster",
            "name it as drift does",
        ),
        (
            choose("ConfigMap/shop/made"),
            RefusedError,
            "ConfigMap/shop/made: is left out of Git",
            "A controller makes it.",
        ),
        (
            choose("ConfigMap/shop/owned"),
            RefusedError,
            "ConfigMap/shop/owned: is left out of Git",
            "by a rule",
        ),
        (
            choose(namespaces=("shoop",)),
            UsageError,
            "namespace shoop: neither in Git nor in the cluster",
            "did you mean shop?",
        ),
        (
            choose(namespaces=("", "other")),
            UsageError,
            "namespace : neither in Git nor in the cluster",
            "",
        ),
        (
            choose(fields=("data",)),
            UsageError,
            "--field: of which object?",
            "name one object with it",
        ),
        (
            choose("Namespace/shop", "ConfigMap/shop/settings", fields=("data",)),
            UsageError,
            "--field: of which object?",
            "name one object with it",
        ),
        (
            choose("Namespace/shop", namespaces=("shop",), fields=("data",)),
            UsageError,
            "--field: of which object?",
            "name one object with it",
        ),
        (
            choose("ConfigMap/shop/new", fields=("data",)),
            UsageError,
            "ConfigMap/shop/new: is unmanaged, so it differs as a whole",
            "leave --field out",
        ),
        (
            choose("ConfigMap/shop/settings", fields=("data.a", "data.bb.c")),
            UsageError,
            "ConfigMap/shop/settings: data.bb.c does not differ",
            "did you mean data.b.c?",
        ),
        (
            choose("ConfigMap/shop/settings", fields=("data.b.c.d",)),
            UsageError,
            "ConfigMap/shop/settings: data.b.c.d does not differ",
            "did you mean data.b.c?",
        ),
    ],
)
def test_a_name_of_nothing_is_an_error(choice, error, message, hint):
    with pytest.raises(GitOpsDRError) as caught:
        found(choice)
    assert type(caught.value) is error
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_what_an_ignore_rule_hides_says_so():
    with pytest.raises(UsageError, match="Role/shop/r: an ignore rule hides how it differs"):
        found(choose("Role/shop/r"), hidden=("Role/shop/r",))
