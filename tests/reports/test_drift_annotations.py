"""Drift as workflow commands, read back by the rules that GitHub's runner reads them by."""

import re
from dataclasses import replace

import pytest
from reports.samples import (
    CLEAN,
    CONTROLLER,
    FULL,
    GAP,
    HOSTILE,
    MERGING,
    MISSING,
    MODIFIED,
    UNKNOWN,
    UNMANAGED,
    hostile,
    many,
)

from gitops_dr.model import FieldChange, Presence
from gitops_dr.reports.drift.annotations import as_annotations
from gitops_dr.results.drift import Drifted

COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")


def unescaped(text: str) -> str:
    for code, char in (("%0A", "\n"), ("%0D", "\r"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


def read(result: Drifted) -> list[tuple[str, dict[str, str], str]]:
    found = []
    for line in as_annotations(result).split("\n"):
        command = COMMAND.fullmatch(line)
        assert command, line
        level, properties, message = command.groups()
        pairs = [pair.split("=", 1) for pair in properties.split(",")]
        found.append(
            (level, {key: unescaped(value) for key, value in pairs}, unescaped(message)),
        )
    return found


def test_nothing_differs_and_one_line_says_so() -> None:
    assert as_annotations(CLEAN) == (
        "::notice title=gitops-dr drift::"
        "prod: no difference, 12 objects equal; compared with commit 0123456789ab"
    )


def test_the_worst_comes_first() -> None:
    found = read(MERGING)
    assert [(level, properties["title"]) for level, properties, _ in found] == [
        ("notice", "gitops-dr drift"),
        ("error", "gap: Shop.example.com/*"),
        ("error", "unknown: Shop.example.com/*"),
        ("warning", "missing: ConfigMap/shop/a"),
        ("warning", "modified: Secret/books/db"),
        ("warning", "modified: Deployment.apps/books/api"),
        ("warning", "modified: Deployment.apps/shop/web"),
        ("warning", "modified: ClusterRole.rbac.authorization.k8s.io/operators"),
        ("notice", "unmanaged: ConfigMap/shop/old"),
    ]
    assert found[0][2].endswith("; merging will configure 1, create 1, skip 1")
    assert found[1][2] == found[2][2] == "403 Forbidden"
    assert found[3][2] == "by unknown"
    assert found[8][2] == "by kubectl-edit, Update, 2026-11-24T10:00:00Z"


def test_a_file_is_named_where_git_has_one() -> None:
    files = {
        properties["title"].split(":")[0]: properties.get("file") for _, properties, _ in read(FULL)
    }
    assert files["missing"] == "clusters/prod/namespaces/shop/configmaps/a.yaml"
    assert files["modified"].startswith("clusters/prod/cluster/clusterroles")
    assert files["unmanaged"] is files["unknown"] is files["gap"] is None
    _, properties, message = read(FULL)[6]
    assert properties == {
        "file": "clusters/prod/namespaces/shop/deployments.apps/web.yaml",
        "line": "1",
        "title": "modified: Deployment.apps/shop/web",
    }
    assert message.splitlines()[0] == (
        "~ spec.replicas: 2 → 3  by kubectl, Update of scale, 2026-11-24T10:05:00Z"
    )
    assert message.splitlines()[-1] == "2 fields by kube-controller-manager (trusted)"
    nowhere = replace(MODIFIED, path="")
    assert "file" not in read(replace(CLEAN, differences=(nowhere,)))[1][1]


def test_ten_of_a_level_are_all_that_github_shows() -> None:
    found = replace(
        CLEAN,
        differences=(UNMANAGED,) * 30 + (MODIFIED,) * 30 + (MISSING,) * 4,
        gaps=(GAP,) * 30,
    )
    commands = read(found)
    levels = [level for level, _, _ in commands]
    assert [levels.count(level) for level in ("error", "warning", "notice")] == [10, 10, 10]
    titles = [properties["title"].split(":")[0] for _, properties, _ in commands]
    assert titles[11:21] == ["missing"] * 4 + ["modified"] * 6
    assert commands[0][2].endswith("; 65 more in the full report")
    assert read(many(10))[0][2].endswith("ab")
    assert read(many(11))[0][2].endswith("; 1 more in the full report")


def test_what_only_trusted_managers_changed_comes_last() -> None:
    trusted = replace(
        MODIFIED, changes=(FieldChange("a", "add", new=1, managers=(CONTROLLER,)),), path="t"
    )
    titles = [
        properties["file"]
        for _, properties, _ in read(replace(CLEAN, differences=(trusted, MODIFIED)))[1:]
    ]
    assert titles == ["clusters/prod/namespaces/shop/deployments.apps/web.yaml", "clusters/prod/t"]


@pytest.mark.parametrize(
    "text", [HOSTILE, "::error::x", "a\n::error::x", "%0A::error::x", "a,title=b:c", "100%", "%2C"]
)
def test_no_text_becomes_a_command_or_a_property(text: str) -> None:
    plain, found = read(hostile("a")), read(hostile(text))
    assert [(level, list(properties)) for level, properties, _ in found] == [
        (level, list(properties)) for level, properties, _ in plain
    ]
    if "\n" not in text and text.isprintable():
        assert any(text in message for _, _, message in found)
        assert any(text in properties["title"] for _, properties, _ in found)


def test_a_message_is_cut() -> None:
    for _, properties, message in read(hostile("x" * 100_000)):
        assert len(message) <= 2000
        assert len(properties["title"]) <= 400
    assert read(replace(CLEAN, differences=(UNKNOWN,)))[1][0] == "error"
    assert UNKNOWN.presence is Presence.UNKNOWN
