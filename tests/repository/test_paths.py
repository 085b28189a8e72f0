"""Which paths may be in a tree of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.repository.paths import shown, unsafe


@pytest.mark.parametrize(
    "path",
    [
        "gitops-dr.yaml",
        ".gitignore",
        ".gitattributes",
        ".github/workflows/check.yaml",
        "clusters/x/cluster/nodes/..node.yaml",
        "clusters/x/namespaces/a/configmaps/kube-root-ca.crt.yaml",
        "clusters/x/cluster/clusterroles.rbac.authorization.k8s.io/system%3Anode.yaml",
        "-rf",
        "a b/ü.yaml",
        "grüße/日本/😀.yaml",
        "n" * 255,
        "with:colon",
        "line\nbreak",
        "legit~1",
        "git~x",
        ".gitx/a",
    ],
)
def test_may_be_written(path):
    assert unsafe(path) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "plain relative"),
        (".", "plain relative"),
        ("..", "plain relative"),
        ("/etc/passwd", "plain relative"),
        ("a/../../b", "plain relative"),
        ("a/./b", "plain relative"),
        ("a//b", "plain relative"),
        ("a/", "plain relative"),
        ("a\0b", "NUL"),
        ("a\\..\\b", "backslash"),
        (".git", ".git"),
        (".git/config", ".git"),
        ("a/.git/hooks/x", ".git"),
        ("a/.GiT/config", ".git"),
        (".git./config", ".git"),
        (".git . /config", ".git"),
        (".git::$INDEX_ALLOCATION/config", ".git"),
        (".git:x\n", ".git"),
        ("GIT~1/config", ".git"),
        ("git~2", ".git"),
        (".g\u200cit/config", ".git"),
        (".gi\u202et", ".git"),
        ("\ufeff.git", ".git"),
        ("n" * 256, "255 bytes"),
        ("ü" * 128, "255 bytes"),
        ("bad\udcff", "UTF-8"),
    ],
)
def test_is_refused(path, reason):
    assert reason in (unsafe(path) or "")


@given(st.lists(st.sampled_from([".", "..", "/", "a", ".git", "git~1", "~", "GIT", "b.c", "-"])))
def test_the_short_way_and_the_long_way_agree(parts):
    path = "".join(parts)
    # A component of 65 letters makes every path take the long way.
    assert bool(unsafe(path)) == bool(unsafe(f"{'l' * 65}/{path}"))


def test_a_message_never_carries_control_characters():
    assert shown("a/ü.yaml") == "a/ü.yaml"
    assert shown("a\x1b[31m\n").isprintable()
