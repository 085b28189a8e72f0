"""The recovery files: read back as written, the same for the same, refused when unsound."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitops_dr.desired.recovery import (
    Coverage,
    has_images,
    images_of,
    read_coverage,
    read_images,
    write_coverage,
    write_images,
)
from gitops_dr.errors import RepositoryError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse_document
from gitops_dr.model import ANY, Gap, Omission, Ref, Resource

PODS = Resource("", "v1", "Pod", "pods", namespaced=True)
SHOPS = Resource("example.com", "v1beta1", "Shop", "shops", namespaced=False)
COVERAGE = Coverage(
    uid="7ce79e00-1520-4841-9803-d7e8096a6c6a",
    version="v1.37.2",
    kinds=((PODS, 12), (SHOPS, 0)),
    omissions=(
        Omission(Ref("", "Secret", "shop", "db"), "secrets-policy", "Left out."),
        Omission(Ref("", "Event", "", ANY), "events", "Tells what happened: not what is."),
    ),
    gaps=(Gap(Ref("example.com", "Shop", "", ANY), "403 Forbidden"),),
    generated={Ref("example.com", "Shop", "", "main"): (("", "Pod"), ("apps", "Deployment"))},
)
PATH = "clusters/prod/recovery/coverage.yaml"


# -- coverage.yaml ----------------------------------------------------------------------------


def test_coverage_is_read_back_as_it_was_written() -> None:
    data = write_coverage(COVERAGE)
    assert read_coverage(data, PATH) == COVERAGE
    assert write_coverage(read_coverage(data, PATH)) == data
    assert COVERAGE.versions == {("", "Pod"): "v1", ("example.com", "Shop"): "v1beta1"}


def test_what_coverage_looks_like() -> None:
    coverage = Coverage(
        "u", "v1.37.2", ((PODS, 1),), gaps=COVERAGE.gaps, generated=COVERAGE.generated
    )
    assert write_coverage(coverage).decode() == (
        "format: 1\n"
        "gaps:\n"
        "- reason: 403 Forbidden\n"
        "  ref: Shop.example.com/*\n"
        "generated:\n"
        "- kinds:\n"
        "  - Pod\n"
        "  - Deployment.apps\n"
        "  owner: Shop.example.com/main\n"
        "kinds:\n"
        '- group: ""\n'
        "  kind: Pod\n"
        "  namespaced: true\n"
        "  objects: 1\n"
        "  resource: pods\n"
        "  version: v1\n"
        "omissions: []\n"
        "source:\n"
        "  uid: u\n"
        "  version: v1.37.2\n"
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WORD = st.from_regex(r"[A-Za-z][a-z]{0,6}", fullmatch=True)
REFS = st.builds(Ref, st.sampled_from(["", "apps", "a.b"]), WORD, st.just("") | WORD, WORD)


@given(
    st.builds(
        Coverage,
        TEXT,
        TEXT,
        st.lists(
            st.tuples(st.builds(Resource, TEXT, TEXT, TEXT, TEXT, st.booleans()), st.integers(0, 9))
        ).map(tuple),
        st.lists(st.builds(Omission, REFS, TEXT, TEXT)).map(tuple),
        st.lists(st.builds(Gap, REFS, TEXT)).map(tuple),
        st.dictionaries(
            REFS, st.lists(st.tuples(st.sampled_from(["", "a.b"]), WORD), min_size=1).map(tuple)
        ),
    )
)
def test_any_coverage_is_read_back(coverage: Coverage) -> None:
    assert read_coverage(write_coverage(coverage), PATH) == coverage


@pytest.mark.parametrize("found", [2, 0, "1", None])
def test_another_format_is_refused_with_what_to_do(found: Any) -> None:
    for read, written in ((read_coverage, write_coverage(COVERAGE)), (read_images, IMAGES)):
        document = parse_document(written, PATH)
        with pytest.raises(RepositoryError, match=f"^{PATH}: format ") as caught:
            read(canonical(document | {"format": found}), PATH)
        assert "newer" in caught.value.hint


IMAGES = write_images(["a"], {}, {})
BROKEN: list[Any] = [
    {"source": None},
    {"source": {"uid": "u"}},
    {"source": {"uid": 5, "version": "v1"}},
    {"source": ["uid"]},
    {"kinds": None},
    {"kinds": "Pod"},
    {"kinds": [{}]},
    {"kinds": ["Pod"]},
    {"kinds": {"Pod": 1}},
    {"omissions": [{"ref": "Secret", "rule": "r", "reason": "x"}]},
    {"omissions": [{"ref": None, "rule": "r", "reason": "x"}]},
    {"omissions": [{"ref": "Secret/*", "rule": {}, "reason": "x"}]},
    {"gaps": [{"ref": "Secret/*"}]},
    {"gaps": [{"ref": "Secret/*", "reason": [1]}]},
    {"gaps": 3},
    {"generated": 3},
    {"generated": [{"owner": "Shop", "kinds": ["Pod"]}]},
    {"generated": [{"owner": "Shop/a"}]},
    {"generated": [{"owner": "Shop/a", "kinds": [1]}]},
]


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_what_is_no_coverage_is_refused_with_its_path(broken: Any) -> None:
    document = parse_document(write_coverage(COVERAGE), PATH)
    with pytest.raises(RepositoryError, match=f"^{PATH}: not a coverage file: ") as caught:
        read_coverage(canonical(document | broken), PATH)
    assert caught.value.hint


def test_coverage_from_before_operators_were_noted_is_read() -> None:
    document = parse_document(write_coverage(COVERAGE), PATH)
    del document["generated"]
    assert read_coverage(canonical(document), PATH).generated == {}


@pytest.mark.parametrize("missing", ["source", "kinds", "omissions", "gaps"])
def test_coverage_that_lacks_a_part_is_refused(missing: str) -> None:
    document = parse_document(write_coverage(COVERAGE), PATH)
    del document[missing]
    with pytest.raises(RepositoryError, match=f"{PATH}.*{missing}"):
        read_coverage(canonical(document), PATH)


@given(st.binary(max_size=60) | st.sampled_from(BROKEN).map(canonical))
@example(b"format: 1\nsource: {uid: a, version: b}\nkinds: []\nomissions: [x]\ngaps: []\n")
@settings(deadline=None)
def test_garbage_is_refused_with_its_path(data: bytes) -> None:
    for read in (read_coverage, read_images):
        with pytest.raises(RepositoryError) as caught:
            read(data, PATH)
        assert caught.value.message.startswith(PATH)


# -- images.yaml ------------------------------------------------------------------------------

DIGEST = "sha256:765f875080a9220ec3186dfc31b67b030c07e570665ba0e000bb9d17d5481cd5"
OLD = "sha256:0000"


def test_images_are_read_back_and_sorted() -> None:
    data = write_images(["b:1", "a:1", "b:1"], {"b:1": (DIGEST,), "gone:1": (OLD,)}, {})
    assert read_images(data, PATH) == {"a:1": (), "b:1": (DIGEST,)}
    assert data == write_images({"a:1", "b:1"}, {"b:1": [DIGEST]}, {})
    assert data.index(b"a:1") < data.index(b"b:1")


def test_a_digest_stays_while_its_pods_do_not_run() -> None:
    before = {"a:1": (OLD,), "b:1": (OLD,), "gone:1": (OLD,)}
    data = write_images(["a:1", "b:1"], {"b:1": (DIGEST,), "a:1": ()}, before)
    assert read_images(data, PATH) == {"a:1": (OLD,), "b:1": (DIGEST,)}


@pytest.mark.parametrize("images", [None, [], "a", {"a": "sha256:1"}, {"a": None}], ids=str)
def test_what_is_no_images_file_is_refused_with_its_path(images: Any) -> None:
    with pytest.raises(RepositoryError, match=f"^{PATH}: not an images file"):
        read_images(canonical({"format": 1, "images": images}), PATH)


POD_SPEC = {
    "containers": [{"name": "c", "image": "app:1"}, {"name": "d", "image": "side:1"}],
    "initContainers": [{"name": "i", "image": "init:1"}],
    "volumes": [{"name": "m", "image": {"reference": "model:1"}}, {"name": "t", "emptyDir": {}}],
}
TEMPLATE = {"template": {"spec": POD_SPEC}}


@pytest.mark.parametrize(
    ("group", "kind", "spec"),
    [
        ("", "Pod", POD_SPEC),
        ("", "ReplicationController", TEMPLATE),
        ("apps", "Deployment", TEMPLATE),
        ("apps", "ReplicaSet", TEMPLATE),
        ("apps", "StatefulSet", TEMPLATE),
        ("apps", "DaemonSet", TEMPLATE),
        ("batch", "Job", TEMPLATE),
        ("batch", "CronJob", {"jobTemplate": {"spec": TEMPLATE}}),
    ],
)
def test_the_images_of_each_kind_that_runs_containers(group: str, kind: str, spec: Any) -> None:
    assert has_images((group, kind))
    found = images_of(Ref(group, kind, "shop", "a"), {"spec": spec})
    assert found == {"app:1", "side:1", "init:1", "model:1"}


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {},
        {"containers": None},
        {"containers": [{"name": "c"}]},
        {"containers": [{"image": None}]},
        {"volumes": [{"image": "no"}, {"image": {}}, {"image": {"reference": None}}, None]},
    ],
    ids=str,
)
def test_a_pod_without_images_has_none(spec: Any) -> None:
    assert images_of(Ref("", "Pod", "shop", "a"), {"spec": spec}) == set()


def test_other_kinds_are_not_searched() -> None:
    assert not has_images(("", "ConfigMap"))
    assert not has_images(("example.com", "Deployment"))
