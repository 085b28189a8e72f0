"""Each limit of text by itself, and names that would meet in one file. No other test tells apart
which of several defences stopped something.
"""

from __future__ import annotations

import pytest

from gitops_dr.errors import ManifestError
from gitops_dr.manifests.limits import (
    MAX_ALIASES,
    MAX_BYTES,
    MAX_DOCUMENTS,
    MAX_FILE_BYTES,
    MAX_NODES,
)
from gitops_dr.manifests.parse import parse_document, parse_documents
from gitops_dr.manifests.path import manifest_path
from gitops_dr.model import Ref


def laughs(first: str) -> str:
    """Each line stands for nine of the one before."""
    lines = (f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    return f"a0: &a0 {first}\n" + "".join(lines)


LIMITS = {
    "aliases": (
        "a: &a 1\nb: [" + "*a, " * (MAX_ALIASES + 1) + "]\n",
        f"more than {MAX_ALIASES} aliases",
    ),
    "values behind aliases": (laughs("[x]"), f"more than {MAX_NODES} values"),
    "bytes behind aliases": (
        laughs("x" * 20_000),
        f"more than {MAX_BYTES} bytes with its aliases replaced",
    ),
    "documents": ("---\nk: 1\n" * (MAX_DOCUMENTS + 2), f"more than {MAX_DOCUMENTS} documents"),
}


@pytest.mark.parametrize(("text", "limit"), LIMITS.values(), ids=LIMITS)
def test_each_limit_is_kept(text: str, limit: str) -> None:
    with pytest.raises(ManifestError, match=limit):
        parse_document(text.encode(), "file.yaml")


def test_a_document_is_measured_by_itself() -> None:
    bundle = "# nothing\n---\nk: " + "x" * MAX_BYTES
    with pytest.raises(ManifestError, match=f"a manifest has at most {MAX_BYTES}"):
        parse_documents(bundle.encode(), "bundle.yaml")


def test_a_file_is_measured_before_it_is_read() -> None:
    with pytest.raises(ManifestError, match=f"at most {MAX_FILE_BYTES}"):
        parse_documents(b"#" * (MAX_FILE_BYTES + 1), "bundle.yaml")


@pytest.mark.parametrize(
    ("one", "other"), [("a", "A"), ("web", "wEb"), ("k", "\u212a"), ("ss", "ß"), ("a.", "A.")]
)
@pytest.mark.parametrize("part", ["namespace", "name", "plural"])
def test_names_that_differ_in_case_have_a_file_each(part: str, one: str, other: str) -> None:
    paths = set()
    for text in (one, other):
        words = {"namespace": "n", "name": "x", "plural": "things"} | {part: text}
        ref = Ref("", "Thing", words["namespace"], words["name"])
        paths.add(manifest_path(ref, words["plural"]).casefold())
    assert len(paths) == 2
