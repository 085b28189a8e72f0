"""What a commit says of a cluster: identity from content, edited files, broken files."""

import pytest

from gitops_dr.desired.recovery import COVERAGE, IMAGES, Coverage, write_coverage, write_images
from gitops_dr.engine import recorded
from gitops_dr.engine.recorded import read_state, read_tree
from gitops_dr.engine.sealing import Sealing
from gitops_dr.errors import RepositoryError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import ANY, Entry, Gap, Omission, Ref, Resource, State

PREFIX = "clusters/prod"
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)


def config_map(name, **data):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop"},
        "data": data,
    }


def ref(name):
    return Ref("", "ConfigMap", "shop", name)


def path(name):
    return f"namespaces/shop/configmaps/{name}.yaml"


@pytest.fixture
def tree(repo, save):
    def run(files):
        commit = save({f"{PREFIX}/{where}": data for where, data in files.items()})
        return read_tree(repo, commit, PREFIX)

    return run


def test_a_repository_without_commits_holds_nothing(repo):
    found = read_tree(repo, None, PREFIX)
    assert (found.files, found.coverage) == ({}, None)
    assert read_state(found).state == State({})
    assert found.images() == {}


def test_an_object_is_what_its_file_says(repo, tree):
    data = canonical(config_map("a", k="v"))
    found = read_state(tree({path("a"): data}))
    assert found.state.entries == {ref("a"): Entry(repo.blob_id(data), path("a"), "v1")}
    assert found.blob_of == {ref("a"): repo.blob_id(data)}
    assert found.state.gaps == ()


def test_group_and_version_are_told_apart(tree):
    body = {"apiVersion": "example.com/v1beta1", "kind": "Fleet", "metadata": {"name": "all"}}
    found = read_state(tree({"cluster/fleets.example.com/all.yaml": canonical(body)}))
    assert found.state.entries[Ref("example.com", "Fleet", "", "all")].version == "v1beta1"


def test_other_clusters_and_the_account_are_no_objects(repo, save):
    save({"clusters/prod-2/x.yaml": "not: a manifest", f"{PREFIX}/recovery/note.yaml": "a: b"})
    commit = save({f"{PREFIX}/{path('a')}": canonical(config_map("a"))})
    assert list(read_state(read_tree(repo, commit, PREFIX)).state.entries) == [ref("a")]


def test_a_file_that_was_moved_and_reformatted_is_the_same_object(repo, tree):
    body = config_map("a", k="v")
    text = (
        "# ours\ndata: {k: 'v'}\nkind: ConfigMap\napiVersion: v1\n"
        "metadata: {namespace: shop, name: a}\n"
    )
    found = read_state(tree({"apps/ours.yaml": text}))
    entry = found.state.entries[ref("a")]
    assert entry == Entry(repo.blob_id(canonical(body)), "apps/ours.yaml", "v1")
    assert found.blob_of[ref("a")] == repo.blob_id(text.encode())
    assert list(found.bodies([ref("a")])) == [(ref("a"), body)]


def test_the_same_object_in_two_files_is_an_error_that_names_both(tree):
    files = {
        path("a"): canonical(config_map("a")),
        "apps/a.yaml": canonical(config_map("a", k="v")),
    }
    with pytest.raises(RepositoryError) as caught:
        read_state(tree(files))
    assert str(ref("a")) in caught.value.message
    assert path("a") in caught.value.message
    assert "apps/a.yaml" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [\n", ":"),
        ("apiVersion: v1\nkind: ConfigMap\n", f"{PREFIX}/broken.yaml:1"),
        ("just text\n", f"{PREFIX}/broken.yaml:1"),
        ("", f"{PREFIX}/broken.yaml"),
    ],
)
def test_a_file_that_is_no_manifest_is_a_gap_that_names_it(tree, text, where):
    found = read_state(tree({"broken.yaml": text, path("a"): canonical(config_map("a"))}))
    assert list(found.state.entries) == [ref("a")]
    (gap,) = found.state.gaps
    assert gap.ref == Ref("", "File", "", f"{PREFIX}/broken.yaml")
    assert gap.reason.startswith(f"{PREFIX}/broken.yaml")
    assert where in gap.reason


def test_a_link_among_the_files_is_refused(repo, save, tree):
    made = tree({path("a"): canonical(config_map("a"))})
    link = repo.root / PREFIX / "link.yaml"
    link.symlink_to("/etc/passwd")
    repo.git.run(["add", "--", f"{PREFIX}/link.yaml"])
    repo.git.run(["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-m", "link"])
    with pytest.raises(RepositoryError, match=r"link\.yaml is a symbolic link"):
        read_tree(repo, "HEAD", PREFIX)
    assert made.files


# -- what need not be opened -----------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch):
    """The blobs that are opened."""
    ids = []
    real = recorded.read

    def counting(repo, wanted):
        wanted = list(wanted)
        ids.extend(wanted)
        return real(repo, wanted)

    monkeypatch.setattr(recorded, "read", counting)
    return ids


def test_files_that_the_cluster_agrees_with_are_not_opened(repo, tree, opened):
    files = {path(name): canonical(config_map(name, k=name)) for name in ("a", "b")}
    made = tree(files)
    blobs = {name: repo.blob_id(files[path(name)]) for name in ("a", "b")}
    seen = State(
        {
            ref("a"): Entry(blobs["a"], path("a"), "v1"),
            ref("b"): Entry("another", path("b"), "v1"),
        }
    )
    found = read_state(made, seen)
    assert opened == [blobs["b"]]
    assert found.state.entries == read_state(made).state.entries


def test_the_same_blob_at_another_path_is_opened(repo, tree, opened):
    """The path is believed only as far as the cluster confirms it."""
    data = canonical(config_map("a"))
    made = tree({"moved.yaml": data})
    seen = State({ref("a"): Entry(repo.blob_id(data), path("a"), "v1")})
    assert list(read_state(made, seen).state.entries) == [ref("a")]
    assert opened == [repo.blob_id(data)]


# -- the account -----------------------------------------------------------------------------------


def coverage(**parts):
    return Coverage(uid="uid", version="v1.37.2", kinds=((CONFIG_MAPS, 1),), **parts)


def test_omissions_and_gaps_of_the_export_are_the_states(tree):
    omission = Omission(Ref("", "Secret", "shop", "s"), "secrets-policy", "left out")
    gap = Gap(Ref("example.com", "Widget", "", ANY), "could not be listed")
    account = write_coverage(coverage(omissions=(omission,), gaps=(gap,)))
    made = tree({COVERAGE: account, "broken.yaml": "text"})
    assert made.coverage == coverage(omissions=(omission,), gaps=(gap,))
    assert made.manifests.keys() == {"broken.yaml"}
    found = read_state(made).state
    assert found.omissions == (omission,)
    assert [each.ref.kind for each in found.gaps] == ["File", "Widget"]


def test_an_account_that_cannot_be_read_is_an_error(tree):
    with pytest.raises(RepositoryError, match="coverage"):
        tree({COVERAGE: "format: 1\n"})


def test_images_are_read_where_there_are_any(tree):
    made = tree({IMAGES: write_images(["nginx:1"], {"nginx:1": ("sha256:a",)}, {})})
    assert made.images() == {"nginx:1": ("sha256:a",)}


def test_bodies_come_in_the_order_asked(tree):
    made = read_state(tree({path(n): canonical(config_map(n, k=n)) for n in ("a", "b", "c")}))
    wanted = [ref(name) for name in ("c", "a", "c")]
    assert [(r, body["data"]["k"]) for r, body in made.bodies(wanted)] == [
        (ref("c"), "c"),
        (ref("a"), "a"),
        (ref("c"), "c"),
    ]


# -- what is proved once ---------------------------------------------------------------------------


@pytest.fixture
def proofs(monkeypatch):
    """The bytes of which it is proved that they are in canonical form."""
    proved = []
    real = recorded.parse_canonical

    def counting(data):
        proved.append(data)
        return real(data)

    monkeypatch.setattr(recorded, "parse_canonical", counting)
    return proved


def test_that_a_file_is_canonical_is_proved_once(tree, proofs):
    data = canonical(config_map("a", k="v"))
    found = read_state(tree({path("a"): data}))
    assert proofs == [data]
    assert list(found.bodies([ref("a")])) == [(ref("a"), config_map("a", k="v"))]
    assert found.tree.manifest(path("a"), found.blob_of[ref("a")]) == config_map("a", k="v")
    assert proofs == [data]


HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: shop\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("apiVersion: v1\ndata: {k: 'v'}\n" + HEAD[15:], {"k": "v"}),
        # In canonical form, but not one to one with JSON.
        ("apiVersion: v1\ndata:\n  k: 3.0\n" + HEAD[15:], {"k": 3}),
        ("apiVersion: v1\ndata:\n  k: 1e+22\n" + HEAD[15:], {"k": 1e22}),
        # Aliases are copies to kubectl.
        ("apiVersion: v1\ndata: &x\n  k: v\n" + HEAD[15:] + "other: *x\n", {"k": "v"}),
        # Octal to a reader of YAML 1.1.
        ("apiVersion: v1\ndata:\n  k: 010\n" + HEAD[15:], {"k": 8}),
    ],
    ids=["edited", "a whole number", "a large number", "an alias", "an octal number"],
)
def test_what_is_not_canonical_is_read_with_care_each_time(repo, tree, text, value):
    found = read_state(tree({path("a"): text}))
    (body,) = (body for _, body in found.bodies([ref("a")]))
    again = found.tree.manifest(path("a"), found.blob_of[ref("a")])
    assert body["data"] == again["data"] == value
    assert type(body["data"]["k"]) is type(value["k"])
    fingerprint = found.state.entries[ref("a")].fingerprint
    assert fingerprint == repo.blob_id(canonical(body)) != found.blob_of[ref("a")]
    assert not found.tree.proved


def test_the_same_bytes_as_a_file_that_people_keep_are_read_as_such(repo, save):
    """There they may lack what an export has, and may even be no manifest at all."""
    lacking = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    data = canonical(lacking)
    account = write_coverage(coverage())
    commit = save(
        {
            f"{PREFIX}/cluster/a.yaml": data,
            f"{PREFIX}/namespaces/own/configmaps/a.yaml": data,
            f"{PREFIX}/{COVERAGE}": account,
        }
    )
    made = read_tree(repo, commit, PREFIX, is_authored=lambda where: where.startswith("namesp"))
    found = read_state(made)
    own = Ref("", "ConfigMap", "own", "a")
    assert found.tree.proved == {repo.blob_id(data)}
    placed = {**lacking, "metadata": {"name": "a", "namespace": "own"}}
    assert dict(found.bodies([own])) == {own: placed}
    assert found.state.entries[own].fingerprint == repo.blob_id(canonical(placed))


def test_a_sealed_file_is_known_by_what_it_holds_though_it_is_canonical(repo, save):
    sealed = config_map("a", k="ENC[...]") | {"sops": {"mac": "ENC[...]"}}
    plain = config_map("a", k="v")

    class Opening(Sealing):
        def opened(self, data, place):
            assert (data, place) == (canonical(sealed), f"{PREFIX}/{path('a')}")
            return plain

    commit = save({f"{PREFIX}/{path('a')}": canonical(sealed)})
    found = read_state(read_tree(repo, commit, PREFIX, sealing=Opening()))
    assert found.state.entries[ref("a")].fingerprint == repo.blob_id(canonical(plain))
    assert [body for _, body in found.bodies([ref("a")])] == [plain]
