"""Paths of manifests: safe on every disk, and different objects never share one."""

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gitops_dr.manifests.path import MAX_SEGMENT_BYTES, manifest_path
from gitops_dr.model import Ref

LONG = "a" * 253

EXAMPLES = {
    ("apps", "shop", "web", "deployments"): "namespaces/shop/deployments.apps/web.yaml",
    ("", "shop", "kube-root-ca.crt", "configmaps"): (
        "namespaces/shop/configmaps/kube-root-ca.crt.yaml"
    ),
    ("", "", "shop", "namespaces"): "cluster/namespaces/shop.yaml",
    ("rbac.authorization.k8s.io", "", "system:node", "clusterroles"): (
        "cluster/clusterroles.rbac.authorization.k8s.io/system%3Anode.yaml"
    ),
    # Case, and the characters that mean something to a file system, a shell or this encoding.
    ("", "a", "Foo_bar", "roles"): "namespaces/a/roles/%46oo_bar.yaml",
    ("", "a", "a/b\\c", "roles"): "namespaces/a/roles/a%2Fb%5Cc.yaml",
    ("", "a", "50%~", "roles"): "namespaces/a/roles/50%25%7E.yaml",
    ("", "a", "a b\n", "roles"): "namespaces/a/roles/a%20b%0A.yaml",
    ("", "a", "é", "roles"): "namespaces/a/roles/%C3%A9.yaml",
    ("", "a", "\ud800", "roles"): "namespaces/a/roles/%ED%A0%80.yaml",
    # Names that would leave the folder, hide, or lose their end.
    ("", "a", "..", "roles"): "namespaces/a/roles/%2E%2E.yaml",
    ("", "..", "x", "roles"): "namespaces/%2E%2E/roles/x.yaml",
    ("", "a", ".git", "roles"): "namespaces/a/roles/%2Egit.yaml",
    ("", "a.", "x", "roles"): "namespaces/a%2E/roles/x.yaml",
    ("", "a", "", "roles"): "namespaces/a/roles/%.yaml",
    # Devices on Windows.
    ("", "a", "con", "roles"): "namespaces/a/roles/%63on.yaml",
    ("", "a", "nul.txt", "roles"): "namespaces/a/roles/%6Eul.txt.yaml",
    ("", "com1", "x", "roles"): "namespaces/%63om1/roles/x.yaml",
    ("", "a", "console", "roles"): "namespaces/a/roles/console.yaml",
    # A plural has no dot, a group may have several.
    ("c", "a", "x", "a.b"): "namespaces/a/a%2Eb.c/x.yaml",
    ("b.c", "a", "x", "a"): "namespaces/a/a.b.c/x.yaml",
    # Longer than 200 bytes.
    (
        "",
        "a",
        LONG,
        "roles",
    ): f"namespaces/a/roles/{'a' * 167}~32859a3ab65ac52932e16fad60606536.yaml",
}


@pytest.mark.parametrize(("ref", "path"), EXAMPLES.items(), ids=[p[:60] for p in EXAMPLES.values()])
def test_examples(ref: tuple[str, str, str, str], path: str) -> None:
    group, namespace, name, plural = ref
    assert manifest_path(Ref(group, "Any", namespace, name), plural) == path


ODD_CHARACTERS = st.sampled_from("aAbZ09._-~%/\\: \n\x00éÉß\u017f\u212aİ\u2028\ud800😀")
TEXT = st.one_of(
    st.text(ODD_CHARACTERS, max_size=8),
    st.text(st.characters(), max_size=6),
    st.sampled_from(["", ".", "..", "con", "CON", "nul.x", "%63on", "~", ".git", "cluster"]),
    st.sampled_from([LONG, LONG[:-1], "A" * 70, "é" * 200, "a" * 165 + "é", "a" * 166 + ":" * 9]),
)
OBJECTS = st.tuples(TEXT, TEXT, TEXT, TEXT).map(
    lambda parts: (Ref(parts[0], "Any", parts[1], parts[2]), parts[3])
)


@given(OBJECTS, OBJECTS)
@example((Ref("", "Any", "", "k"), "x"), (Ref("", "Any", "", "\u212a"), "x"))
@example((Ref("b", "Any", "a", "x"), "a.b"), (Ref("b.b", "Any", "a", "x"), "a"))
@example((Ref("", "Any", "a", LONG), "x"), (Ref("", "Any", "a", LONG + "a"), "x"))
@example((Ref("", "Any", "a", "A" * 70), "x"), (Ref("", "Any", "a", "%41" * 70), "x"))
def test_no_two_objects_share_a_path_even_where_case_is_ignored(
    one: tuple[Ref, str], other: tuple[Ref, str]
) -> None:
    assume(one != other)
    assert manifest_path(*one).casefold() != manifest_path(*other).casefold()


SEGMENT = re.compile(r"[a-z0-9._%~A-F-]+", re.ASCII)
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


@given(OBJECTS)
def test_every_segment_is_safe_on_every_file_system(subject: tuple[Ref, str]) -> None:
    path = manifest_path(*subject)
    scope, *segments = path.split("/")
    assert scope in {"cluster", "namespaces"}
    assert len(segments) == (3 if scope == "namespaces" else 2)
    assert path.endswith(".yaml")
    for segment in segments:
        assert SEGMENT.fullmatch(segment)
        assert not segment.startswith(".")
        assert not segment.endswith(".")
        assert not DEVICE.match(segment)
        assert len(segment) <= MAX_SEGMENT_BYTES + len(".yaml")
        assert not re.search(r"%([0-9A-F]?~|[0-9A-F]$)", segment), "an escape was cut in two"


@given(st.text(ODD_CHARACTERS, min_size=MAX_SEGMENT_BYTES + 1, max_size=400))
def test_a_long_name_is_its_beginning_and_a_hash(name: str) -> None:
    segment = manifest_path(Ref("", "Any", "a", name), "x").split("/")[-1].removesuffix(".yaml")
    beginning, _, digest = segment.rpartition("~")
    assert re.fullmatch(r"[0-9a-f]{32}", digest)
    assert MAX_SEGMENT_BYTES - 2 <= len(segment) <= MAX_SEGMENT_BYTES
    assert name.encode("utf-8", "surrogatepass").startswith(unquote_to_bytes(beginning))


@given(st.text(ODD_CHARACTERS, min_size=1, max_size=16))
def test_a_short_name_can_be_decoded(name: str) -> None:
    segment = manifest_path(Ref("", "Any", "a", name), "x").split("/")[-1].removesuffix(".yaml")
    assert unquote_to_bytes(segment) == name.encode("utf-8", "surrogatepass")


def test_a_name_that_just_fits_is_not_cut() -> None:
    name = "a" * MAX_SEGMENT_BYTES
    assert manifest_path(Ref("", "Any", "", name), "x") == f"cluster/x/{name}.yaml"
