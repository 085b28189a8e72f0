"""`secrets init`, `list` and `rotate` on real git; the real sops opens what they write."""

import os
import stat
from pathlib import Path

import pytest
import yaml
from command import git
from secret_samples import NOW, Key, Repo, new_key, place, secret

from gitops_dr.desired.recovery import COVERAGE, Coverage, write_coverage
from gitops_dr.desired.secret_records import (
    SECRETS,
    ExternalSecret,
    SecretRecord,
    SecretRecords,
    read_secret_records,
    write_secret_records,
)
from gitops_dr.errors import ManifestError, RefusedError, RepositoryError, SecretError, UsageError
from gitops_dr.model import Ref
from gitops_dr.repository.commit import commit
from gitops_dr.repository.history import commit_info, files_digest, newest_export
from gitops_dr.repository.replay import OURS
from gitops_dr.repository.repository import head, open_repository
from gitops_dr.repository.tree import blobs
from gitops_dr.secrets.sops import seal
from gitops_dr.workflows import secrets_init, secrets_rotate
from gitops_dr.workflows.secrets_init import init_secrets
from gitops_dr.workflows.secrets_list import list_secrets
from gitops_dr.workflows.secrets_rotate import rotate

DB = Ref("", "Secret", "shop", "db")


@pytest.fixture(autouse=True)
def _people(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Someone")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "someone@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


@pytest.fixture
def one(tmp_path: Path) -> Key:
    return new_key(tmp_path, "one")


@pytest.fixture
def two(tmp_path: Path) -> Key:
    return new_key(tmp_path, "two")


def keys_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".txt")


# -- init --------------------------------------------------------------------------------------


def test_a_key_is_made_and_everybody_is_named_in_one_commit(repo, two, tmp_path):
    file = tmp_path / "prod.txt"
    before = repo.commits
    made = init_secrets(repo.where(), key_file=file, recipients={"standby": two.recipient})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    own = file.read_text().split("# public key: ")[1].splitlines()[0]
    assert made.recipients == (own, two.recipient)
    assert made.names == {own: "prod", two.recipient: "standby"}
    assert made.written == (".sops.yaml", "gitops-dr.yaml")
    assert (repo.commits, repo.head, repo.clean) == (before + 1, made.commit, True)
    (rule,) = yaml.safe_load(repo.read(".sops.yaml"))["creation_rules"]
    assert rule["path_regex"] == "^clusters/prod/"
    assert rule["age"].replace(" ", "").split(",") == [own, two.recipient]
    listed = yaml.safe_load(repo.read("gitops-dr.yaml"))["secrets"]["recipients"]
    assert listed == [
        {"name": "prod", "age": own, "cluster": "prod"},
        {"name": "standby", "age": two.recipient, "cluster": "prod"},
    ]
    assert b"AGE-SECRET-KEY" not in git(repo.path, "log", "-p", "--all").encode()


def test_what_sops_encrypts_by_our_rules_both_keys_open(repo, two, tmp_path):
    file = tmp_path / "prod.txt"
    init_secrets(repo.where(), key_file=file, recipients={"standby": two.recipient})
    plain = tmp_path / "plain.yaml"
    plain.write_text(yaml.safe_dump(secret(password="hunter2")))
    made = repo.sops("-e", "--filename-override", place(), str(plain)).stdout
    assert "hunter2" not in made
    assert "name: db" in made, "only the values are encrypted"
    repo.put(place(), made)
    for key in (Key(file, ""), two):
        assert "hunter2" in repo.sops("-d", place(), key=key).stdout
    (listed,) = list_secrets(repo.where()).files
    assert (listed.missing, listed.stale, listed.sealed) == ((), (), True)


def test_another_recipient_is_added_and_the_files_are_opened_to_it(repo, one, two):
    init_secrets(repo.where(), recipients={"prod": one.recipient})
    path = repo.seal(one)
    ciphertext = yaml.safe_load(repo.read(path))["stringData"]
    with_two = init_secrets(repo.where(one), recipients={"standby": two.recipient})
    assert (with_two.rewrapped, with_two.gaps) == (1, ())
    assert set(with_two.written) == {".sops.yaml", "gitops-dr.yaml", path}
    after = yaml.safe_load(repo.read(path))
    assert after["stringData"] == ciphertext, "the data key is the same"
    for key in (one, two):
        assert "tr0ub4dor" in repo.sops("-d", path, key=key).stdout
    said = repo.sops("updatekeys", "--yes", path, key=one)
    assert "already up to date" in said.stderr
    again = init_secrets(repo.where(one), recipients={"standby": two.recipient})
    assert (again.commit, again.written) == (None, ())


def test_a_file_that_cannot_be_opened_is_a_gap_and_the_rest_is_done(repo, one, two, tmp_path):
    lost = new_key(tmp_path, "lost")
    init_secrets(repo.where(), recipients={"prod": one.recipient})
    repo.seal(lost, name="old")
    untouched = repo.read(place("old"))
    repo.seal(one)
    made = init_secrets(repo.where(one), recipients={"standby": two.recipient})
    assert [gap.ref.name for gap in made.gaps] == ["old"]
    assert (made.rewrapped, repo.read(place("old"))) == (1, untouched)
    none = init_secrets(repo.where(), recipients={"escrow": lost.recipient})
    assert {gap.ref.name for gap in none.gaps} == {"db", "old"}
    assert none.commit, "who can open what comes later is settled all the same"
    late = init_secrets(repo.where(one), recipients={"escrow": lost.recipient})
    assert (late.rewrapped, [gap.ref.name for gap in late.gaps]) == (1, ["old"])


def test_peoples_rules_and_comments_stay(repo, one, two):
    theirs = (
        "# ours\ncreation_rules:\n  - path_regex: ^docs/ # no Secrets\n"
        f"    age: {one.recipient}\n  - age: {one.recipient}\n"
    )
    repo.put(".sops.yaml", theirs)
    repo.put("gitops-dr.yaml", "format: 1\n# only one\nclusters:\n  prod:  # in Berlin\n")
    made = init_secrets(repo.where(), recipients={"standby": two.recipient})
    assert made.recipients == (one.recipient, two.recipient)
    text = repo.read(".sops.yaml").decode()
    for line in theirs.splitlines():
        assert line in text
    assert repo.read("gitops-dr.yaml").startswith(
        b"format: 1\n# only one\nclusters:\n  prod:  # in Berlin\nsecrets:\n"
    )


def test_a_key_is_never_overwritten_nor_put_into_the_repository(repo, tmp_path):
    before = repo.head
    there = tmp_path / "there.txt"
    there.write_text("precious")
    (tmp_path / "link").symlink_to(repo.path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for place_of_key, why in (
        (there, "is there, and a key is never overwritten"),
        (tmp_path / "dangling", "is there, and a key is never overwritten"),
        (repo.path / "key.txt", "is inside the repository"),
        (repo.path / ".git" / "key.txt", "is inside the repository"),
        (tmp_path / "link" / "key.txt", "is inside the repository"),
    ):
        with pytest.raises(RefusedError, match=why):
            init_secrets(repo.where(), key_file=place_of_key)
    with pytest.raises(UsageError, match="No such file or directory") as caught:
        init_secrets(repo.where(), key_file=tmp_path / "deep" / "key.txt")
    assert "mkdir" in caught.value.hint
    assert there.read_text() == "precious"
    assert (repo.head, repo.clean) == (before, True)


def test_a_key_whose_commit_fails_goes_again(repo, tmp_path, monkeypatch):
    (repo.path / ".sops.yaml").write_text("not committed")
    file = tmp_path / "prod.txt"
    with pytest.raises(RefusedError, match="uncommitted changes"):
        init_secrets(repo.where(), key_file=file)
    assert not file.exists()

    (repo.path / ".sops.yaml").unlink()

    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(secrets_init, "commit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        init_secrets(repo.where(), key_file=file)
    assert not file.exists()


def test_a_key_that_a_commit_names_stays_whatever_goes_wrong_then(repo, tmp_path, monkeypatch):
    real, file = secrets_init.commit, tmp_path / "prod.txt"

    def breaks_afterwards(*args, **options):
        real(*args, **options)
        raise RepositoryError("disk full")

    monkeypatch.setattr(secrets_init, "commit", breaks_afterwards)
    with pytest.raises(RepositoryError):
        init_secrets(repo.where(), key_file=file)
    assert "AGE-SECRET-KEY-1" in file.read_text()


def test_a_name_belongs_to_one_key(repo, one, two, tmp_path):
    init_secrets(repo.where(), recipients={"standby": one.recipient})
    before = repo.head
    with pytest.raises(RefusedError, match="another key for 'standby' of cluster prod"):
        init_secrets(repo.where(), recipients={"standby": two.recipient})
    init_secrets(repo.where(), key_file=tmp_path / "prod.txt")
    with pytest.raises(RefusedError, match="cluster prod: has a key of this name already"):
        init_secrets(repo.where(), key_file=tmp_path / "again.txt")
    assert not (tmp_path / "again.txt").exists()
    assert git(repo.path, "rev-list", "--count", f"{before}..HEAD").strip() == "1"


def test_what_is_no_recipient_is_not_quoted_if_it_is_a_private_key(repo, one):
    private = one.file.read_text().strip()
    with pytest.raises(UsageError) as caught:
        init_secrets(repo.where(), recipients={"standby": private})
    assert private[:30] not in caught.value.message + caught.value.hint
    with pytest.raises(UsageError, match="--recipient standby"):
        init_secrets(repo.where(), recipients={"standby": "age1misspelt"})
    with pytest.raises(UsageError, match="nobody to name"):
        init_secrets(repo.where())


def test_another_cluster_of_the_repository_is_left_alone(tmp_path, one, two):
    repo = Repo(tmp_path / "repo")
    repo.put("gitops-dr.yaml", "format: 1\nclusters:\n  prod:\n  other:\n")
    other = repo.where(one).__class__(repo.path, cluster="other", environment={})
    init_secrets(other, recipients={"other": one.recipient})
    prod = repo.where().__class__(repo.path, cluster="prod", environment={})
    made = init_secrets(prod, recipients={"prod": two.recipient})
    assert made.recipients == (two.recipient,)
    rules = yaml.safe_load(repo.read(".sops.yaml"))["creation_rules"]
    assert [rule["path_regex"] for rule in rules] == ["^clusters/other/", "^clusters/prod/"]
    again = init_secrets(other, recipients={"standby": two.recipient})
    assert again.recipients == (one.recipient, two.recipient)


@pytest.mark.parametrize("text", ["creation_rules: 7\n", "a: [\n", "creation_rules: [{age: 3}]\n"])
def test_a_damaged_sops_yaml_is_named(repo, one, text):
    repo.put(".sops.yaml", text)
    before = repo.head
    for run in (
        lambda: init_secrets(repo.where(), recipients={"x": one.recipient}),
        lambda: list_secrets(repo.where()),
        lambda: rotate(repo.where(one)),
    ):
        with pytest.raises(ManifestError, match=r"^\.sops\.yaml"):
            run()
    assert repo.head == before


# -- list --------------------------------------------------------------------------------------


def test_list_says_who_opens_what_without_any_key(repo, one, two, tmp_path):
    old = new_key(tmp_path, "old")
    init_secrets(repo.where(), recipients={"prod": one.recipient, "standby": two.recipient})
    repo.seal(one, two)
    repo.seal(one, old, name="stale")
    empty = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "e", "namespace": "shop"}}
    repo.put(place("e"), yaml.safe_dump(empty))
    repo.put(place("plain"), yaml.safe_dump(secret("plain")))
    repo.put("clusters/prod/namespaces/shop/configmaps/c.yaml", yaml.safe_dump({
        **empty, "kind": "ConfigMap", "data": {"text": "kind: Secret\n"},
    }))  # fmt: skip
    found = list_secrets(repo.where())
    by_name = {file.ref.name: file for file in found.files}
    assert by_name.keys() == {"db", "stale", "e", "plain"}
    assert [name for name, file in by_name.items() if file.plain] == ["plain"]
    assert (by_name["db"].missing, by_name["db"].stale) == ((), ())
    assert by_name["stale"].missing == (two.recipient,)
    assert by_name["stale"].stale == (old.recipient,)
    assert not by_name["e"].sealed
    assert by_name["db"].policy == "encrypt"
    assert found.names == {one.recipient: "prod", two.recipient: "standby"}
    assert found.notes == ()


def test_list_names_files_that_cannot_be_read(repo, one):
    repo.rules(one)
    path = repo.seal(one)
    whole = repo.read(path)
    repo.put(place("cut"), whole[: len(whole) // 2])
    found = list_secrets(repo.where())
    assert [file.path for file in found.files] == [path]
    (unread,) = found.unread
    assert unread.path == place("cut")
    assert place("cut") not in unread.problem, "said once"
    repo.put(place("cut"), "kind: Secret\nmetadata: [\n")
    (unread,) = list_secrets(repo.where()).unread
    assert unread.problem.startswith("line 3: ")


def test_a_file_whose_name_is_encrypted_too_is_said(repo, one, tmp_path):
    repo.rules(one)
    plain = tmp_path / "plain.yaml"
    plain.write_text(yaml.safe_dump(secret()))
    repo.put(place(), repo.sops("-e", "--filename-override", place(), str(plain)).stdout)
    (unread,) = list_secrets(repo.where()).unread
    assert unread.problem == "its kind and name are encrypted as well as its values"
    assert "encrypted_regex" in unread.hint


def test_whatever_else_is_encrypted_is_listed_too(repo, one):
    repo.rules(one)
    other = {**secret(), "kind": "Vault", "apiVersion": "example.org/v1"}
    repo.put("clusters/prod/vault.yaml", seal(other, [one.recipient], now=NOW))
    (file,) = list_secrets(repo.where()).files
    assert (file.ref, file.policy) == (Ref("example.org", "Vault", "shop", "db"), "")
    assert [file.ref.kind for file in rotate(repo.where(one)).files] == ["Vault"]


@pytest.mark.parametrize(
    ("rules", "note"),
    [
        (None, "nobody is named who could open Secrets: gitops-dr secrets init names somebody"),
        ("- path_regex: ^docs/\n  age: RECIPIENT\n", "no rule of .sops.yaml takes it in"),
        ("- kms: arn:aws:kms:x\n", "names no age recipient but kms"),
        ("- key_groups: [{age: [RECIPIENT]}, {age: [RECIPIENT]}]\n", "2 key groups"),
    ],
)
def test_rules_that_cannot_be_followed_are_said(repo, one, rules, note):
    repo.seal(one)
    if rules:
        repo.put(".sops.yaml", "creation_rules:\n" + rules.replace("RECIPIENT", one.recipient))
    found = list_secrets(repo.where())
    (said,) = found.notes
    assert note in said
    assert (found.files[0].missing, found.files[0].stale) == ((), ())
    with pytest.raises((RefusedError, UsageError)) as caught:
        rotate(repo.where(one))
    assert caught.value.hint
    assert repo.clean


# -- rotate ------------------------------------------------------------------------------------


def test_rotate_shuts_out_who_is_no_longer_a_recipient(repo, one, two):
    repo.rules(one, two)
    path = repo.seal(one, two, password="hunter2", user="me")
    before, count = yaml.safe_load(repo.read(path)), repo.commits
    repo.rules(one)
    done = rotate(repo.where(one))
    after = yaml.safe_load(repo.read(path))
    assert [(file.ref, file.keys) for file in done.files] == [(DB, ("password", "user"))]
    assert done.recipients == (one.recipient,)
    assert not set(after["stringData"].values()) & set(before["stringData"].values())
    assert [entry["recipient"] for entry in after["sops"]["age"]] == [one.recipient]
    assert "hunter2" in repo.sops("-d", path, key=one).stdout
    assert repo.sops("-d", path, key=two, check=False).returncode == 128
    assert "already up to date" in repo.sops("updatekeys", "--yes", path, key=one).stderr
    assert (repo.commits, repo.head, repo.clean) == (count + 2, done.commit, True)


def test_rotate_brings_in_who_was_missing(repo, one, two):
    repo.rules(one, two)
    path = repo.seal(one)
    rotate(repo.where(one))
    assert "tr0ub4dor" in repo.sops("-d", path, key=two).stdout


def test_a_dry_run_writes_nothing(repo, one):
    repo.rules(one)
    path = repo.seal(one)
    before, head = repo.read(path), repo.head
    done = rotate(repo.where(one), dry_run=True)
    assert [file.ref for file in done.files] == [DB]
    assert done.commit is None
    assert (repo.read(path), repo.head) == (before, head)


def test_only_those_that_are_meant(repo, one):
    repo.rules(one)
    for name in ("a", "b", "c"):
        repo.seal(one, name=name)
    before = {name: repo.read(place(name)) for name in "abc"}
    done = rotate(repo.where(one), lambda _ref, labels: labels["name"] in "ab")
    assert {file.ref.name for file in done.files} == {"a", "b"}
    assert repo.read(place("c")) == before["c"]
    assert repo.read(place("a")) != before["a"]
    gone = Ref("", "Secret", "shop", "gone")
    with pytest.raises(UsageError, match=r"^Secret/shop/gone: no encrypted file"):
        rotate(repo.where(one), refs=[gone])


@pytest.mark.parametrize("key", ["wrong", "none", "no such file"])
def test_without_the_right_key_nothing_is_written(repo, one, tmp_path, key):
    repo.rules(one)
    path = repo.seal(one)
    before, head = repo.read(path), repo.head
    given = {"wrong": new_key(tmp_path, "wrong"), "none": None, "no such file": tmp_path / "no"}
    with pytest.raises(SecretError, match=f"^{path}: ") as caught:
        rotate(repo.where(given[key]))
    assert caught.value.hint
    assert (repo.read(path), repo.head, repo.clean) == (before, head, True)


def test_a_file_that_was_tampered_with_is_a_gap(repo, one):
    repo.rules(one)
    repo.seal(one, name="good")
    path = repo.seal(one, name="bad", a="1", b="2")
    body = yaml.safe_load(repo.read(path))
    values = body["stringData"]
    values["a"], values["b"] = values["b"], values["a"]
    repo.put(path, yaml.safe_dump(body))
    before = repo.read(path)
    done = rotate(repo.where(one))
    assert [file.ref.name for file in done.files] == ["good"]
    (gap,) = done.gaps
    assert gap.ref.name == "bad"
    assert repo.read(path) == before
    assert done.commit == repo.head


def test_whatever_interrupts_a_rotation_leaves_all_as_it_was(repo, one, monkeypatch):
    repo.rules(one)
    paths = [repo.seal(one, name=name) for name in "abc"]
    before, head = [repo.read(path) for path in paths], repo.head
    done = []

    def interrupted(*args):
        if done:
            raise KeyboardInterrupt
        done.append(real(*args))
        return done[0]

    real = secrets_rotate.new_data_key
    monkeypatch.setattr(secrets_rotate, "new_data_key", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rotate(repo.where(one))
    assert ([repo.read(path) for path in paths], repo.head, repo.clean) == (before, head, True)


def test_work_that_is_not_committed_is_not_overwritten(repo, one):
    repo.rules(one)
    path = repo.seal(one)
    (repo.path / path).write_text("mine")
    with pytest.raises(RefusedError, match="uncommitted changes"):
        rotate(repo.where(one))
    assert repo.read(path) == b"mine"


def test_a_file_that_sops_wrote_is_rotated_in_its_layout(repo, one, two, tmp_path):
    repo.rules(one)
    rules = repo.read(".sops.yaml") + b"  encrypted_regex: ^(data|stringData)$\n"
    repo.put(".sops.yaml", rules)
    plain = tmp_path / "plain.yaml"
    plain.write_text("# why\nkind: Secret\napiVersion: v1\nmetadata:\n  namespace: shop\n"
                     "  name: db\nstringData:\n  z: '1' # last\n  a: '2'\n")  # fmt: skip
    repo.put(place(), repo.sops("-e", "--filename-override", place(), str(plain)).stdout)
    repo.rules(one, two)
    rotate(repo.where(one))
    opened = repo.sops("-d", place(), key=two).stdout
    assert yaml.safe_load(opened)["stringData"] == {"z": "1", "a": "2"}
    assert "# why" in opened
    assert opened.index("z: ") < opened.rindex("a: ")


# -- what the next export has to know ----------------------------------------------------------


def export_like(repo: Repo, *keys: Key) -> None:
    """A commit as an export makes it, with one sealed Secret and one that is external."""
    path = repo.seal(*keys)
    opened = open_repository(repo.path)
    record = SecretRecord("ab" * 32, opened.blob_id(repo.read(path)))
    external = {Ref("", "Secret", "shop", "ext"): ExternalSecret("external", ("k",))}
    records = SecretRecords("0123456789abcdef", {DB: record}, external)
    coverage = Coverage(uid="uid", version="v1", kinds=(), omissions=(), gaps=())
    changes = {
        f"clusters/prod/{SECRETS}": write_secret_records(records),
        f"clusters/prod/{COVERAGE}": write_coverage(coverage),
    }
    commit_export(opened, changes)


def commit_export(opened, changes):
    files = blobs(opened, "HEAD", "clusters/prod")
    files |= {
        path.removeprefix("clusters/prod/"): opened.blob_id(data) for path, data in changes.items()
    }
    commit(
        opened,
        changes=changes,
        message="Export prod",
        trailers={"Cluster": "prod", "Cluster-Files": files_digest(files)},
        guard=lambda _path, _data: None,
        expected=head(opened),
    )


def records(repo: Repo) -> SecretRecords:
    return read_secret_records(repo.read(f"clusters/prod/{SECRETS}"), SECRETS)


def agreed(repo: Repo) -> str | None:
    opened = open_repository(repo.path)
    return newest_export(opened, repo.head, cluster="prod", prefix="clusters/prod")


@pytest.mark.parametrize("verb", ["rotate", "init"])
def test_a_secret_is_known_again_by_what_it_was_known_by(repo, one, two, verb):
    repo.rules(one)
    export_like(repo, one)
    before = records(repo)
    assert agreed(repo) == repo.head
    if verb == "rotate":
        rotate(repo.where(one))
    else:
        init_secrets(repo.where(one), recipients={"standby": two.recipient})
    after = records(repo)
    assert after.sealed[DB].hmac == before.sealed[DB].hmac
    assert after.sealed[DB].blob == open_repository(repo.path).blob_id(repo.read(place()))
    assert after.sealed[DB].blob != before.sealed[DB].blob
    assert (after.external, after.key_id) == (before.external, before.key_id)
    assert agreed(repo) == repo.head, "Git and the cluster agree on the new file as on the old"


def test_a_commit_of_ours_says_so(repo, one, two):
    """By that `export --push` knows that it may put it on top of what others have pushed."""
    repo.rules(one)
    repo.seal(one)
    init_secrets(repo.where(one), recipients={"standby": two.recipient})
    opened = open_repository(repo.path)
    assert commit_info(opened, repo.head).trailers == {"Resealed": "prod"}
    rotate(repo.where(one))
    assert commit_info(opened, repo.head).trailers == {"Resealed": "prod"}
    assert "Resealed" in OURS


def test_what_only_git_changed_since_the_export_stays_to_be_found(repo, one):
    repo.rules(one)
    export_like(repo, one)
    exported = repo.head
    repo.put("clusters/prod/cluster/namespaces/new.yaml", "kind: Namespace\n")
    rotate(repo.where(one))
    assert agreed(repo) == exported
