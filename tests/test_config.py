"""Settings: which source wins, and what a person who mistypes is told."""

import json
import re
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitops_dr.config import (
    FILE,
    ClusterSettings,
    Setting,
    check_cluster_name,
    cluster_settings,
)
from gitops_dr.drift.ignore import IgnoreRule
from gitops_dr.errors import ManifestError, UsageError
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.manifests.selector import ObjectSelector, equal_labels, parse_labels
from gitops_dr.model import Presence

ONE = b"format: 1\nclusters:\n  prod:\n    context: prod-admin\n"
TWO = b"format: 1\nclusters:\n  prod:\n    context: prod-admin\n  staging:\n"
NONE = b"format: 1\nclusters: {}\n"


def settle(
    text: bytes | None,
    cluster: str | None = None,
    context: str | None = None,
    **environment: str,
) -> ClusterSettings:
    return cluster_settings(text, cluster=cluster, context=context, environment=environment)


def refusal(text: bytes | None, cluster: str | None = None, **environment: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        settle(text, cluster, **environment)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


FLAG, ENV = "flag", "env"


@pytest.mark.parametrize(
    ("flag", "env", "text", "expected"),
    [
        (FLAG, ENV, ONE, Setting(FLAG, "--context")),
        (None, ENV, ONE, Setting(ENV, "GITOPS_DR_CONTEXT")),
        (None, None, ONE, Setting("prod-admin", FILE)),
        (None, "", ONE, Setting("prod-admin", FILE)),
        ("", ENV, ONE, Setting(ENV, "GITOPS_DR_CONTEXT")),
        (None, None, b"format: 1\nclusters: {prod: }\n", None),
        (None, None, b"format: 1\nclusters: {prod: {}}\n", None),
        (FLAG, None, None, Setting(FLAG, "--context")),
    ],
)
def test_flags_win_over_the_environment_and_that_over_the_file(
    flag: str | None, env: str | None, text: bytes | None, expected: Setting | None
) -> None:
    environment = {} if env is None else {"GITOPS_DR_CONTEXT": env}
    found = settle(text, "prod", flag, **environment)
    assert found == ClusterSettings("prod", expected)
    assert found.prefix == "clusters/prod"


@pytest.mark.parametrize(
    ("flag", "env", "text", "name"),
    [
        ("staging", "prod", TWO, "staging"),
        (None, "staging", TWO, "staging"),
        (None, None, ONE, "prod"),
        ("", "", ONE, "prod"),
        ("any", None, NONE, "any"),
        ("any", None, None, "any"),
        (None, "any", None, "any"),
    ],
)
def test_which_cluster_is_meant(
    flag: str | None, env: str | None, text: bytes | None, name: str
) -> None:
    environment = {} if env is None else {"GITOPS_DR_CLUSTER": env}
    assert settle(text, flag, **environment).name == name


def test_each_of_several_clusters_has_its_own_context() -> None:
    assert settle(TWO, "prod").context == Setting("prod-admin", FILE)
    assert settle(TWO, "staging").context is None


@pytest.mark.parametrize(
    ("text", "known"), [(TWO, "prod, staging"), (NONE, "none"), (None, "none")]
)
def test_it_is_asked_which_cluster_if_that_is_not_clear(text: bytes | None, known: str) -> None:
    error = refusal(text)
    assert error.message == f"{FILE}: which cluster is meant? It names {known}"
    assert error.hint == "say --cluster NAME"


def test_a_cluster_that_is_not_there_is_refused_with_its_source_and_the_nearest() -> None:
    error = refusal(TWO, "stagging")
    assert error.message == f"cluster 'stagging' (from --cluster): not in {FILE}"
    assert error.hint == "did you mean 'staging'?"
    error = refusal(TWO, GITOPS_DR_CLUSTER="x")
    assert "from GITOPS_DR_CLUSTER" in error.message
    assert error.hint == "it names prod, staging"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("format: 2\nclusters: {}", "format 2, and this", "newer"),
        ("format: 1\nclusters: {a: {contxt: x}}", "clusters.a.contxt: unknown key", "'context'?"),
        ("format: 1\nclustres: {}", "", ""),
        ("format: 1\nclusters: {}\nclustre: {}", "clustre: unknown key", "'clusters'?"),
        ("format: 1\nclusters: {}\nzzz: 1", "zzz: unknown key", "docs/configuration.md"),
        ("format: 1", "clusters: Field required", "docs/configuration.md"),
        ("clusters: {}", "format: Field required", "docs/configuration.md"),
        ("format: 1\nclusters: [a]", "clusters: Input should be a valid dictionary", "docs"),
        ("format: 1\nclusters: {a: 5}", "clusters.a: ", "docs"),
        ("format: 1\nclusters: {a: {context: 5}}", "clusters.a.context: ", "docs"),
        ("format: true\nclusters: {a: {}}", "format", "docs"),
        ('format: "1"\nclusters: {a: {}}', "format '1', and this", "newer"),
        ("format: 1\nclusters: {UPPER: {}}", "cluster 'UPPER': not a name", "lower-case"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_place(
    text: str, message: str, hint: str
) -> None:
    error = refusal(text.encode())
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "line"), [(b"", 1), (b"a: b\n- c\n", 2), (b"format: 1\nformat: 1\n", 2), (b"x", 1)]
)
def test_a_file_that_is_no_yaml_is_refused_with_the_line(text: bytes, line: int) -> None:
    with pytest.raises(ManifestError) as caught:
        settle(text, "prod")
    assert caught.value.message.startswith(f"{FILE}:{line}: ")


@pytest.mark.parametrize("name", ["a", "prod", "eu-1", "1a", "a" * 63])
def test_a_cluster_is_named_like_a_host(name: str) -> None:
    check_cluster_name(name)
    assert settle(NONE, name).name == name


@pytest.mark.parametrize(
    "name",
    ["A", "-a", "a-", "a/b", "..", ".", "a.b", "a b", "a\n", "a\x00", "é", "a" * 64, "a_b", "--x"],
)
def test_a_name_that_could_be_another_folder_is_refused(name: str) -> None:
    for text in (NONE, None, f"format: 1\nclusters: {{{name!a}: }}".replace("'", '"').encode()):
        error = refusal(text, name)
        assert "not a name for a cluster" in error.message


# -- ignore rules and trusted managers -------------------------------------------------------------

WITH = (
    TWO
    + b"""ignore:
- group: apps
  kind: Deployment
  namespace: "team-*"
  name: web-*
  labels: {app: web}
  cluster: prod
  field: spec.template.spec.containers[name=x].env[*].value
  manager: keda-operator
  because: The operator rotates it.
  until: 2027-01-31
- labels: app in (a,b),!old
  group: ""
  state: unmanaged
  because: |
    Made by hand.
- {kind: Secret, name: token, because: x}
- {cluster: staging, field: data, because: z}
trustedManagers: [keda-operator, external-secrets]
"""
)


def test_ignore_rules_and_trusted_managers_are_read() -> None:
    found = settle(WITH, "prod")
    first, second, third = found.ignore
    assert first == IgnoreRule(
        place="ignore[0]",
        because="The operator rotates it.",
        objects=ObjectSelector(
            "apps", "Deployment", "team-*", "web-*", equal_labels({"app": "web"})
        ),
        field=parse_fieldpath("spec.template.spec.containers[name=x].env[*].value"),
        manager="keda-operator",
        until=date(2027, 1, 31),
    )
    assert second == IgnoreRule(
        place="ignore[1]",
        because="Made by hand.",
        objects=ObjectSelector(group="", labels=parse_labels("app in (a,b),!old")),
        state=Presence.UNMANAGED,
    )
    assert third.place == "ignore[2]"
    assert found.trusted_managers == {"keda-operator", "external-secrets"}


def test_a_rule_of_another_cluster_is_none_of_this_one() -> None:
    assert [rule.place for rule in settle(WITH, "staging").ignore] == [
        "ignore[1]",
        "ignore[2]",
        "ignore[3]",
    ]


def test_what_the_documentation_shows_can_be_read() -> None:
    text = Path(__file__).parents[1].joinpath("docs/configuration.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    whole = [block for block in blocks if "format: 1" in block]
    rules = [block for block in blocks if block.startswith("ignore:")]
    assert whole
    assert rules
    for block in [*whole, *("format: 1\nclusters: {shop: }\n" + block for block in rules)]:
        settle(block.encode(), "shop")


@pytest.mark.parametrize("text", [None, ONE, ONE + b"ignore:\ntrustedManagers:\n"])
def test_without_rules_there_are_none(text: bytes | None) -> None:
    found = settle(text, "prod")
    assert (found.ignore, found.trusted_managers) == ((), frozenset())


SEE = "docs/configuration.md"


@pytest.mark.parametrize(
    ("rule", "message", "hint"),
    [
        ("{becuase: x, state: missing}", "ignore[1].becuase: unknown key", "'because'?"),
        ("{because: x, lables: a, state: missing}", "ignore[1].lables: unknown key", "'labels'?"),
        ("{because: x, context: a}", "ignore[1].context: unknown key", SEE),
        ("{state: missing}", "ignore[1].because: Field required", SEE),
        ("{state: missing, because: ' '}", "ignore[1].because: says nothing", "why"),
        ("{state: missing, because: 5}", "ignore[1].because: Input should be a valid string", SEE),
        ("x", "ignore[1]: ", SEE),
        ("{because: x, kind: Pod}", "ignore[1]: names neither a field, a manager", SEE),
        ("{because: x, kind: Pod, name: a*}", "ignore[1]: names neither", SEE),
        ("{because: x, state: missing, field: a}", "ignore[1]: an object that is missing", SEE),
        ("{because: x, state: missing, manager: a}", "ignore[1]: of what is missing nobody", SEE),
        ("{because: x, state: unmanged}", "ignore[1].state: 'unmanged' is none", "'unmanaged'?"),
        ("{because: x, state: unknown}", "ignore[1].state: 'unknown' is none of missing,", ""),
        ("{because: x, field: a..b}", "ignore[1].field: 'a..b' is not a field path", SEE),
        ("{because: x, field: ''}", "ignore[1].field: '' is not a field path", SEE),
        ("{because: x, field: 5}", "ignore[1].field: Input should be a valid string", SEE),
        ("{because: x, field: a, kind: ''}", "ignore[1].kind: ", SEE),
        ("{because: x, field: a, name: ''}", "ignore[1].name: ", SEE),
        ("{because: x, manager: ''}", "ignore[1].manager: ", SEE),
        ("{because: x, field: a, labels: a=b=c}", "ignore[1].labels: 'a=b=c' is no label", SEE),
        ("{because: x, field: a, labels: {a: 5}}", "ignore[1].labels: neither", SEE),
        ("{because: x, field: a, labels: [a]}", "ignore[1].labels: neither", SEE),
        ("{because: x, field: a, until: soon}", "ignore[1].until: 'soon' is no day", SEE),
        ("{because: x, field: a, until: 20270131}", "ignore[1].until: ", SEE),
        ("{because: x, field: a, until: '20270131'}", "ignore[1].until: '20270131' is no day", SEE),
        ("{because: x, field: a, until: 2027-02-30}", "ignore[1].until: day is out of range", SEE),
        ("{because: x, field: a, cluster: prdo}", "ignore[1].cluster: no cluster 'prdo'", "'prod'"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused_with_the_place(
    rule: str, message: str, hint: str
) -> None:
    text = f"format: 1\nclusters: {{prod: }}\nignore:\n- {{because: x, field: a}}\n- {rule}\n"
    error = refusal(text.encode())
    assert error.message.startswith(f"{FILE}: {message}")
    assert hint in error.hint


@pytest.mark.parametrize(
    ("tail", "message", "hint"),
    [
        ("ignore: {}", "ignore: Input should be a valid list", SEE),
        ("ignor: []", "ignor: unknown key", "'ignore'?"),
        ("trustedManager: [a]", "trustedManager: unknown key", "'trustedManagers'?"),
        ("trustedManagers: a", "trustedManagers: Input should be a valid list", SEE),
        ("trustedManagers: [5]", "trustedManagers[0]: Input should be a valid string", SEE),
    ],
)
def test_lists_that_are_none_are_refused(tail: str, message: str, hint: str) -> None:
    error = refusal(ONE + tail.encode())
    assert error.message == f"{FILE}: {message}"
    assert hint in error.hint


KEYS = st.sampled_from(["ignore", "because", "field", "labels", "until", "trustedManagers"]) | (
    st.sampled_from(["format", "clusters", "prod", "context", "a\nb", "é", "\x1b"])
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "1", "prod", "a\nb"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def either_settings_or_an_error_for_a_person(text: bytes) -> None:
    with suppress(UsageError, ManifestError):
        assert isinstance(settle(text), ClusterSettings)


@given(st.binary(max_size=80) | st.binary(max_size=20).map(lambda tail: ONE + tail))
@example(b'format: 1\nclusters: {"\\ud800": {context: "\\ud800"}}')
@example(b"format: 1e400\nclusters: {}")
@settings(deadline=None)
def test_any_bytes_are_settings_or_a_plain_error(text: bytes) -> None:
    either_settings_or_an_error_for_a_person(text)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.sampled_from([{"format": 1}, {}]))
@settings(deadline=None)
def test_any_document_is_settings_or_a_plain_error(document: Any, known: Any) -> None:
    either_settings_or_an_error_for_a_person(json.dumps(document | known).encode())
