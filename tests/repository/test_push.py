"""Pushing: never forced, replayed where nothing touches, and told plainly where it is refused."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gitops_dr.repository import push as pushing
from gitops_dr.repository.checkout import dirty
from gitops_dr.repository.push import ATTEMPTS, push
from gitops_dr.repository.repository import head, open_repository
from gitops_dr.repository.signatures import SIGNING_KEY
from gitops_dr.repository.trust import Trust

CLUSTER = {"Cluster": "prod"}


@pytest.fixture(autouse=True)
def _no_signing(monkeypatch):
    monkeypatch.delenv(SIGNING_KEY, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bare(tmp_path, plain) -> Path:
    path = tmp_path / "remote.git"
    plain(tmp_path, "init", "-q", "--bare", "-b", "main", str(path))
    return path


@pytest.fixture
def clone(tmp_path, plain, bare):
    """Makes clones of the remote; the first one has the first commit pushed."""

    def make(name: str):
        plain(tmp_path, "clone", "-q", str(bare), name)
        return open_repository(tmp_path / name)

    return make


@pytest.fixture
def one(clone, save, plain):
    repo = clone("one")
    plain(repo, "symbolic-ref", "HEAD", "refs/heads/main")
    save(repo, {"clusters/prod/a.yaml": b"a: 1\n", "README.md": b"# hi\n"}, trailers=CLUSTER)
    plain(repo, "push", "-q", "-u", "origin", "main")
    return repo


@pytest.fixture
def two(one, clone):
    return clone("two")


@pytest.fixture
def export(save):
    """What an export does to a repository."""

    def run(repo, changes, cluster: str = "prod"):
        return save(repo, changes, trailers={"Cluster": cluster}).id

    return run


@pytest.fixture
def to(monkeypatch):
    """Push, without waiting; the pauses are kept."""
    pauses: list[float] = []

    def run(repo, remote: str | None = None, trust: Trust | None = None):
        return push(repo, trust or Trust(repo), remote=remote, pause=pauses.append)

    run.pauses = pauses
    return run


def tip(plain, bare) -> str:
    return plain(bare, "rev-parse", "refs/heads/main")


def log(plain, where) -> list[str]:
    return plain(where, "log", "--format=%s", "--reverse", "main").split("\n")


def hook(bare: Path, name: str, text: str) -> Path:
    file = bare / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


# -- what goes well -----------------------------------------------------------------------------


def test_the_first_push_makes_the_branch(clone, export, plain, bare, to):
    repo = clone("first")
    plain(repo, "symbolic-ref", "HEAD", "refs/heads/main")
    commit = export(repo, {"a": b"a\n"})
    done = to(repo)
    assert (done.commit, done.reason, done.replayed) == (commit, "", False)
    assert tip(plain, bare) == commit


def test_nothing_new_is_no_failure(one, plain, bare, to):
    before = tip(plain, bare)
    assert to(one).reason == ""
    assert tip(plain, bare) == before


def test_what_an_earlier_run_did_not_push_goes_too(one, export, plain, bare, to):
    export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    commit = export(one, {"clusters/prod/a.yaml": b"a: 3\n"})
    assert to(one).commit == commit == tip(plain, bare)


@pytest.mark.parametrize("spell", [str, lambda path: f"file://{path}"], ids=["path", "url"])
def test_to_a_remote_that_is_named(one, export, plain, tmp_path, bare, to, spell):
    other = tmp_path / "other.git"
    plain(tmp_path, "init", "-q", "--bare", str(other))
    commit = export(one, {"b": b"b\n"})
    assert to(one, spell(other)).reason == ""
    assert plain(other, "rev-parse", "main") == commit
    assert tip(plain, bare) != commit


def test_the_branch_goes_where_its_upstream_is(one, export, plain, bare, to):
    plain(one, "switch", "-q", "-c", "local")
    plain(one, "config", "branch.local.remote", "origin")
    plain(one, "config", "branch.local.merge", "refs/heads/main")
    commit = export(one, {"b": b"b\n"})
    assert to(one).place == "origin (main)"
    assert tip(plain, bare) == commit


def test_from_a_bare_repository(one, tmp_path, plain, export, bare, two, to):
    plain(tmp_path, "clone", "-q", "--bare", str(bare), "mine.git")
    mine = open_repository(tmp_path / "mine.git")
    export(two, {"clusters/b/b.yaml": b"b\n"}, "b")
    plain(two, "push", "-q")
    export(mine, {"clusters/prod/c.yaml": b"c\n"})
    done = to(mine)
    assert (done.reason, done.replayed) == ("", True)
    assert tip(plain, bare) == done.commit == head(mine)


# -- others were quicker ------------------------------------------------------------------------


def test_other_paths_come_below_ours(one, two, export, plain, bare, to, files):
    theirs = export(two, {"clusters/standby/b.yaml": b"b: 1\n", "README.md": b"# ho\n"}, "standby")
    plain(two, "push", "-q")
    (one.root / "mine.txt").write_bytes(b"not committed\n")
    ours = export(one, {"clusters/prod/a.yaml": b"a: 2\n", "clusters/prod/c.yaml": b"c: 1\n"})
    message = plain(one, "show", "-s", "--format=%B%an%ae%ad", ours)

    done = to(one)

    assert (done.reason, done.replayed, done.left) == ("", True, ())
    assert done.commit == head(one) == tip(plain, bare) != ours
    assert plain(one, "rev-list", "--parents", "-1", "HEAD").split()[1:] == [theirs]
    assert plain(one, "show", "-s", "--format=%B%an%ae%ad", "HEAD") == message
    assert files(one) == {
        "README.md": b"# ho\n",
        "clusters/prod/a.yaml": b"a: 2\n",
        "clusters/prod/c.yaml": b"c: 1\n",
        "clusters/standby/b.yaml": b"b: 1\n",
        "mine.txt": b"not committed\n",
    }
    assert dirty(one) == ["mine.txt"]
    assert plain(one, "rev-parse", "origin/main") == done.commit
    assert plain(one, "for-each-ref", "refs/gitops-dr") == ""
    assert to.pauses == []


def test_deleted_files_stay_deleted(one, two, export, plain, to, files):
    export(two, {"README.md": None, "b": b"b\n"}, "standby")
    plain(two, "push", "-q")
    export(one, {"clusters/prod/a.yaml": None})
    assert to(one).reason == ""
    assert files(one) == {"b": b"b\n"}


def test_several_commits_keep_their_order(one, two, export, plain, bare, to):
    export(two, {"b": b"b\n"}, "standby")
    plain(two, "push", "-q")
    for number in (2, 3, 4):
        export(one, {"clusters/prod/a.yaml": f"a: {number}\n".encode()})
    assert to(one).reason == ""
    assert (
        plain(bare, "log", "-p", "--format=", "main", "--", "clusters/prod/a.yaml").count("\n+a: ")
        == 4
    )
    assert len(log(plain, bare)) == 5


def test_two_exporters_take_turns_and_history_is_linear(one, two, export, plain, bare, to):
    for turn in range(4):
        for repo, cluster in ((one, "prod"), (two, "standby")):
            export(repo, {f"clusters/{cluster}/a.yaml": f"turn: {turn}\n".encode()}, cluster)
        assert to(one).reason == ""
        assert to(two).reason == ""
        assert to(one).reason == ""
        assert head(one) == head(two) == tip(plain, bare)
    assert len(log(plain, bare)) == 9
    assert plain(bare, "rev-list", "--merges", "main") == ""


def test_without_anything_of_ours_the_branch_is_brought_forward(one, two, export, plain, to, files):
    theirs = export(two, {"b": b"b\n"}, "standby")
    plain(two, "push", "-q")
    done = to(one)
    assert (done.commit, done.replayed, done.reason) == (theirs, False, "")
    assert files(one)["b"] == b"b\n"
    assert dirty(one) == []


def test_the_same_change_is_not_committed_twice(one, two, export, plain, to):
    theirs = export(two, {"clusters/prod/a.yaml": b"a: 2\n", "b": b"b\n"})
    plain(two, "push", "-q")
    export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    done = to(one)
    assert (done.commit, done.reason) == (theirs, "")
    assert dirty(one) == []


@pytest.mark.parametrize(
    ("here", "there", "named"),
    [
        ({"clusters/prod/a.yaml": b"a: 2\n"}, {"clusters/prod/a.yaml": b"a: 3\n"}, "a.yaml"),
        ({"clusters/prod/a.yaml": None}, {"clusters/prod/a.yaml": b"a: 3\n"}, "a.yaml"),
        ({"clusters/prod/a.yaml": b"a: 2\n"}, {"clusters/prod/a.yaml": None}, "a.yaml"),
        ({"new": b"1\n"}, {"new": b"2\n"}, "new"),
        ({"new/below": b"1\n"}, {"new": b"2\n"}, "new/below"),
        ({"new": b"1\n"}, {"new/below": b"2\n"}, "new"),
    ],
    ids=["both", "deleted here", "deleted there", "both new", "folder here", "folder there"],
)
def test_what_touches_is_refused_by_name(
    one, two, export, plain, bare, to, files, here, there, named
):
    theirs = export(two, there)
    plain(two, "push", "-q")
    ours = export(one, here)
    before = files(one)
    done = to(one)
    assert done.refused
    assert f"what our commit changes: {'clusters/prod/' if named == 'a.yaml' else ''}{named}" in (
        done.reason
    )
    assert "git pull --rebase" in done.hint
    assert head(one) == done.commit == ours
    assert tip(plain, bare) == theirs
    assert files(one) == before


def test_a_persons_commit_is_not_made_anew(one, two, export, save, plain, bare, to):
    theirs = export(two, {"b": b"b\n"}, "standby")
    plain(two, "push", "-q")
    mine = save(one, {"notes.md": b"mine\n"}).id
    ours = export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    done = to(one)
    assert done.refused
    assert mine[:12] in done.reason
    assert (head(one), tip(plain, bare)) == (ours, theirs)


def test_a_merge_is_not_made_anew(one, two, export, save, plain, bare, to):
    plain(one, "switch", "-q", "-c", "side")
    save(one, {"side": b"s\n"}, trailers=CLUSTER)
    plain(one, "switch", "-q", "main")
    export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    plain(one, "merge", "-q", "-m", "Merge\n\nCluster: prod", "side")
    export(two, {"b": b"b\n"}, "standby")
    plain(two, "push", "-q")
    done = to(one)
    assert done.refused
    assert "was not made by gitops-dr" in done.reason


def test_a_rewritten_history_is_not_built_upon(one, two, export, plain, bare, to):
    """What somebody took out of the remote's history does not come back by us."""
    export(one, {"clusters/prod/leaked.yaml": b"secret\n"})
    assert to(one).reason == ""
    plain(two, "commit", "-q", "--allow-empty", "-m", "other")
    plain(two, "push", "-q", "--force")
    theirs = tip(plain, bare)
    export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    for _ in range(2):  # Asking does not make it right.
        done = to(one)
        assert done.refused
        assert "its history was rewritten" in done.reason
    assert tip(plain, bare) == theirs


def test_a_stranger_history_is_not_built_upon(one, export, plain, tmp_path, to):
    other = tmp_path / "other.git"
    plain(tmp_path, "init", "-q", "--bare", "-b", "main", str(other))
    plain(tmp_path, "init", "-q", "-b", "main", "strange")
    plain(tmp_path / "strange", "commit", "-q", "--allow-empty", "-m", "other")
    plain(tmp_path / "strange", "push", "-q", str(other), "main")
    done = to(one, str(other))
    assert done.refused
    assert "no commit in common" in done.reason


def test_uncommitted_work_on_what_others_changed_is_not_touched(one, two, export, plain, to):
    export(two, {"README.md": b"# theirs\n"}, "standby")
    plain(two, "push", "-q")
    ours = export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    (one.root / "README.md").write_bytes(b"# mine\n")
    done = to(one)
    assert done.refused
    assert done.reason.startswith("README.md: ")
    assert (one.root / "README.md").read_bytes() == b"# mine\n"
    assert head(one) == ours


def test_what_nobody_trusted_has_signed_is_not_built_upon(one, two, export, plain, to):
    """Else our own signature would vouch for it."""

    class Strict(Trust):
        def require(self, commit, what):
            from gitops_dr.errors import RefusedError

            raise RefusedError(f"commit {commit[:12]} ({what}): it is not signed")

    theirs = export(two, {"b": b"b\n"}, "standby")
    plain(two, "push", "-q")
    ours = export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    done = to(one, trust=Strict(one))
    assert done.refused
    assert done.reason == f"commit {theirs[:12]} (what others have pushed): it is not signed"
    assert head(one) == ours


def test_an_old_signature_does_not_go_along(one, two, export, plain, to):
    ours = export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    raw = plain(one, "cat-file", "commit", ours)
    header, _, message = raw.partition("\n\n")
    signed = f"{header}\ngpgsig -----BEGIN SSH SIGNATURE-----\n abc\n -----END\n\n{message}\n"
    (one.root / "raw").write_text(signed)
    forged = plain(one, "hash-object", "-t", "commit", "-w", "raw")
    (one.root / "raw").unlink()
    plain(one, "update-ref", "refs/heads/main", forged)
    export(two, {"b": b"b\n"}, "standby")
    plain(two, "push", "-q")
    assert to(one).reason == ""
    made = plain(one, "cat-file", "commit", "HEAD")
    assert "SIGNATURE" not in made
    assert made.partition("\n\n")[2] == message


def test_somebody_who_is_always_quicker_is_given_up_on(one, two, export, plain, bare, to):
    """A few times, with pauses, and never in a storm."""
    count = bare / "count"
    hook(bare, "update", f"echo x >>'{count}'\nexit 0")
    theirs = export(two, {"b": b"b\n"}, "standby")
    export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    original = pushing.replay
    asked = []

    def slow(*args):
        found = original(*args)
        asked.append(found)
        # Between our fetch and our push, somebody else pushes.
        export(two, {"b": f"{len(asked)}\n".encode()}, "standby")
        plain(two, "push", "-q")
        return found

    plain(two, "push", "-q")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pushing, "replay", slow)
        done = to(one)
    assert f"quicker {ATTEMPTS} times in a row" in done.reason
    assert not done.refused
    assert len(asked) == len(to.pauses) + 1 == ATTEMPTS - 1
    assert all(0 < pause < 10 for pause in to.pauses)
    assert theirs
    # Nothing is lost: once it is quiet, the next one goes.
    assert to(one).reason == ""
    assert tip(plain, bare) == head(one)


# -- the remote says no -------------------------------------------------------------------------


def test_a_hook_that_declines_is_heard_and_asked_once(one, export, plain, bare, to):
    count = bare / "count"
    hook(
        bare, "pre-receive", f"echo x >>'{count}'\necho 'policy: no exports on Friday' >&2\nexit 1"
    )
    before = tip(plain, bare)
    ours = export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    done = to(one)
    assert not done.refused
    assert "pre-receive hook declined" in done.reason
    assert "policy: no exports on Friday" in done.reason
    assert "kept" in done.hint
    assert count.read_text() == "x\n"
    assert to.pauses == []
    assert (head(one), tip(plain, bare)) == (ours, before)


def test_a_hooks_words_cannot_mislead(one, export, bare, to):
    words = r"printf '\033[2Jsee https://bob:hunter2@evil.example/ now\n' >&2"
    hook(bare, "pre-receive", f"{words}\nexit 1")
    export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    done = to(one)
    assert "\x1b" not in done.reason
    assert "hunter2" not in done.reason
    assert "evil.example" in done.reason


def test_a_disk_that_is_full_there(one, export, plain, bare, to):
    hook(bare, "update", "echo 'fatal: quota exceeded' >&2\nexit 1")
    export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    assert "hook declined" in to(one).reason


@pytest.mark.parametrize("moment", ["pre-receive", "post-receive"], ids=["before", "after"])
def test_a_remote_that_goes_away_in_mid_push(one, export, plain, bare, to, moment):
    """It may have taken the commit or not: the next push settles it, and there is one commit."""
    killer = hook(bare, moment, "kill -9 $PPID")
    before = tip(plain, bare)
    ours = export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    done = to(one)
    assert done.reason
    assert "next export --push" in done.hint
    assert tip(plain, bare) == (before if moment == "pre-receive" else ours)
    killer.unlink()
    assert to(one).reason == ""
    assert tip(plain, bare) == head(one) == ours
    assert len(log(plain, bare)) == 2


def test_a_remote_that_is_not_there(one, export, tmp_path, to):
    ours = export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    done = to(one, str(tmp_path / "nowhere.git"))
    assert "nowhere.git" in done.reason
    assert not done.refused
    assert head(one) == ours


def test_no_remote_at_all(repo, save, to):
    save(repo, {"a": b"a\n"})
    done = to(repo)
    assert "nothing says where main is to be pushed" in done.reason
    assert "--push-to" in done.hint


@pytest.mark.parametrize("remote", ["-oProxyCommand=x", "--receive-pack=x", "a\nb", "\x1b[2J"])
def test_what_is_no_remote(one, to, remote):
    assert "neither the name of a remote nor a URL" in to(one, remote).reason


# -- nothing foreign runs, nothing leaks --------------------------------------------------------


@pytest.mark.parametrize("url", ["ext::{script} %S", "fd::17", "git://localhost:1/x"])
def test_transports_that_run_programs_are_shut(one, export, tmp_path, plain, to, url):
    marker = tmp_path / "sprung"
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    script.chmod(0o755)
    plain(one, "config", "protocol.allow", "always")
    export(one, {"b": b"b\n"})
    done = to(one, url.format(script=script))
    assert "not allowed" in done.reason
    assert not marker.exists()


def test_programs_that_the_repository_names_do_not_run(
    one, two, trap, export, plain, bare, tmp_path, to
):
    export(two, {"b": b"b\n"}, "standby")
    plain(two, "push", "-q")
    export(one, {"clusters/prod/a.yaml": b"a: 2\n"})
    url = plain(one, "config", "remote.origin.url")
    marker = trap(one)
    script = str(tmp_path / "trap.sh")
    for key, value in {
        "remote.origin.url": url,
        "remote.origin.promisor": "false",
        "remote.origin.receivepack": script,
        "remote.origin.uploadpack": script,
        "core.alternateRefsCommand": script,
        "core.gitProxy": script,
        "push.gpgSign": "if-asked",
        "credential.http://localhost.helper": script,
    }.items():
        plain(one, "config", "--replace-all", key, value)
    (one.git_dir / "hooks" / "pre-push").symlink_to(script)
    alternates = one.git_dir / "objects" / "info" / "alternates"
    alternates.write_text(f"{bare / 'objects'}\n")

    done = to(one)
    assert (done.reason, done.replayed) == ("", True)
    with answering(401) as server:
        assert "does not let us in" in to(one, f"{server}/x.git").reason
    assert "ssh://" in to(one, "ssh://127.0.0.1:1/x.git").place
    assert not marker.exists(), marker.read_text()

    # The trap works: plain git springs it.
    plain(one, "push", "ssh://127.0.0.1:1/x.git", "main", check=False)
    plain(one, "push", "origin", "main", check=False)
    sprung = marker.read_text()
    assert "git-receive-pack" in sprung


class answering:  # noqa: N801 - read as a verb
    """A web server that says the same to everything; remembers the credentials it was given."""

    def __init__(self, status: int) -> None:
        self.given: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.given.append(self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.port = self._server.server_address[1]

    def __enter__(self):
        return f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_credentials_of_a_url_are_in_no_message(one, to):
    server = answering(403)
    with server:
        done = to(one, f"http://bob:hunter2@127.0.0.1:{server.port}/x.git")
    assert "does not let us in" in done.reason
    assert f"127.0.0.1:{server.port}" in done.reason
    assert "hunter2" not in f"{done}"
    assert base64.b64encode(b"bob:hunter2").decode() not in f"{done}"


def test_the_users_own_helper_gives_the_credentials(one, to, plain, tmp_path, monkeypatch):
    helper = tmp_path / "helper.sh"
    helper.write_text("#!/bin/sh\necho username=bob\necho password=hunter2\n")
    helper.chmod(0o755)
    plain(one, "config", "--global", "credential.helper", str(helper))
    server = answering(401)
    with server as url:
        done = to(one, f"{url}/x.git")
    assert f"Basic {base64.b64encode(b'bob:hunter2').decode()}" in server.given
    assert "hunter2" not in f"{done}"


@pytest.fixture
def fake_ssh(tmp_path, monkeypatch) -> Iterator[Path]:
    """An ``ssh`` that runs the command here."""
    script = tmp_path / "fake-ssh"
    script.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    script.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(script))
    monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
    return script


def test_by_ssh_as_the_user_has_it(one, export, plain, bare, fake_ssh, to):
    commit = export(one, {"b": b"b\n"})
    assert to(one, f"ssh://git@somewhere.example{bare}").reason == ""
    assert tip(plain, bare) == commit


def test_a_connection_that_breaks_off_half_way(one, export, plain, bare, fake_ssh, to):
    good = fake_ssh.read_text()
    fake_ssh.write_text('#!/bin/sh\nfor last; do :; done\nhead -c 40 | sh -c "$last"\n')
    before = tip(plain, bare)
    ours = export(one, {"b": b"b\n" * 1000})
    done = to(one, f"ssh://git@somewhere.example{bare}")
    assert "cannot be pushed to" in done.reason
    assert (head(one), tip(plain, bare)) == (ours, before)
    fake_ssh.write_text(good)
    assert to(one, f"ssh://git@somewhere.example{bare}").reason == ""
    assert tip(plain, bare) == ours
