"""The scripts of the actions, run by bash with real Git; gitops-dr only notes how it is called."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ACTIONS = ROOT / ".github" / "actions"
KUBECONFIG = "apiVersion: v1\nkind: Config\ntoken: s3cret-of-the-cluster"

PLAYED = """#!/usr/bin/env bash
printf '%s\\n' "$@" > "$NOTES/arguments"
env | cut -d= -f1 | sort > "$NOTES/variables"
if [ -n "${KUBECONFIG:-}" ]; then
  cp "$KUBECONFIG" "$NOTES/kubeconfig"
  ls -ld "$KUBECONFIG" "$(dirname "$KUBECONFIG")" | cut -c1-10 > "$NOTES/modes"
  printf '%s' "$KUBECONFIG" > "$NOTES/place"
fi
if [ -n "${REPORT:-}" ]; then printf '%s\\n' "$REPORT"; fi
if [ -n "${COMMITS:-}" ]; then eval "$COMMITS"; fi
exit "${EXIT_CODE:-0}"
"""

IDENTITY = {
    f"GIT_{who}_{what}": "a@example.org"
    for who in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}


def git(*arguments: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env=os.environ | IDENTITY | {"GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@dataclass
class Runner:
    """One step of a job."""

    temp: Path
    variables: dict[str, str]
    notes: Path = field(init=False)

    def __post_init__(self) -> None:
        self.notes = self.temp / "notes"
        self.notes.mkdir()
        command = self.temp / "gitops-dr-environment" / "bin" / "gitops-dr"
        command.parent.mkdir(parents=True)
        command.write_text(PLAYED)
        command.chmod(0o755)

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        (self.temp / "output").write_text("")
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run(
            ["bash", ACTIONS / script],
            env=inherited
            | IDENTITY
            | {
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GITHUB_OUTPUT": str(self.temp / "output"),
                "GITHUB_SERVER_URL": "https://github.com",
                "NOTES": str(self.notes),
                "RUNNER_TEMP": str(self.temp),
            }
            | self.variables
            | more,
            cwd=self.temp,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def outputs(self) -> dict[str, str]:
        lines = (self.temp / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def arguments(self) -> list[str]:
        return (self.notes / "arguments").read_text().splitlines()

    @property
    def called(self) -> bool:
        return (self.notes / "arguments").exists()


@pytest.fixture
def temp(tmp_path: Path) -> Path:
    place = tmp_path / "a runner's temp"
    place.mkdir()
    return place


@pytest.fixture
def drift(temp: Path) -> Runner:
    names = (
        *("AGAINST", "AT", "CLUSTER", "CONTEXT", "GITHUB_TOKEN", "HEAD_COMMIT"),
        *("KUBECONFIG_CONTENT", "REQUEST"),
    )
    return Runner(
        temp,
        dict.fromkeys(names, "")
        | {
            "DETAIL": "full",
            "FAIL_ON_DRIFT": "false",
            "FORMAT": "html",
            "POST": "true",
            "REPOSITORY": ".",
        },
    )


DRIFT = "drift/drift.sh"

# -- drift --------------------------------------------------------------------------------------


def test_it_compares_and_posts(drift: Runner) -> None:
    done = drift.run(DRIFT, CLUSTER="shop", AGAINST="HEAD^1", REPORT="<html>")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert drift.arguments == [
        "drift",
        "--repo=.",
        "--output=html",
        "--cluster=shop",
        "--against=HEAD^1",
        "--post=github",
        "--post-detail=full",
    ]
    report = drift.temp / "gitops-dr-reports" / "drift-shop.html"
    assert drift.outputs == {"exit-code": "0", "report": str(report), "name": "drift-shop"}
    assert report.read_text() == "<html>\n"


def test_without_a_pull_request_nothing_is_posted(drift: Runner) -> None:
    summary = drift.temp / "summary"
    drift.run(
        DRIFT, POST="false", FORMAT="markdown", REPORT="## x", GITHUB_STEP_SUMMARY=str(summary)
    )
    assert drift.arguments == ["drift", "--repo=.", "--output=markdown"]
    assert summary.read_text() == "## x\n"


@pytest.mark.parametrize(
    ("code", "fail_on_drift", "ends"),
    [(0, "true", 0), (1, "false", 0), (1, "true", 1), (3, "false", 3), (4, "false", 4)],
)
def test_drift_alone_fails_only_if_wanted(
    drift: Runner, code: int, fail_on_drift: str, ends: int
) -> None:
    done = drift.run(DRIFT, EXIT_CODE=str(code), FAIL_ON_DRIFT=fail_on_drift)
    assert done.returncode == ends
    assert drift.outputs == {"exit-code": str(code)}


@pytest.mark.parametrize("value", ["--yes", "$(touch owned)", "; touch owned", "a b", "`id`", "*"])
def test_a_value_stays_a_value(drift: Runner, value: str) -> None:
    drift.run(DRIFT, CONTEXT=value, AT=value, AGAINST=value)
    assert drift.arguments[3:6] == [f"--context={value}", f"--at={value}", f"--against={value}"]
    assert not (drift.temp / "owned").exists()


def test_the_kubeconfig_is_a_file_for_us_alone_and_goes(drift: Runner) -> None:
    done = drift.run(DRIFT, KUBECONFIG_CONTENT=KUBECONFIG, EXIT_CODE="4")
    assert (drift.notes / "kubeconfig").read_text() == f"{KUBECONFIG}\n"
    assert sorted((drift.notes / "modes").read_text().split()) == ["-rw-------", "drwx------"]
    assert not Path((drift.notes / "place").read_text()).parent.exists()
    assert "KUBECONFIG_CONTENT" not in (drift.notes / "variables").read_text().split()
    assert "s3cret" not in done.stdout + done.stderr
    assert not list(drift.temp.glob("kubeconfig*"))


def test_a_kubeconfig_of_an_earlier_step_is_used(drift: Runner) -> None:
    earlier = drift.temp / "earlier"
    earlier.write_text("from OIDC")
    drift.run(DRIFT, KUBECONFIG=str(earlier))
    assert (drift.notes / "kubeconfig").read_text() == "from OIDC"
    assert earlier.exists()


# -- the pull request of a fork -----------------------------------------------------------------


@dataclass
class Fork:
    """A clone of the base's default branch, and a pull request 7 that it has not fetched."""

    clone: Path
    base: str
    head: str
    merge: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Fork:
    place = tmp_path_factory.mktemp("forks")
    origin, work, clone = place / "origin.git", place / "work", place / "clone"
    git("init", "--quiet", "--bare", "--initial-branch=main", origin, cwd=place)
    git("init", "--quiet", "--initial-branch=main", work, cwd=place)
    git("commit", "--quiet", "--allow-empty", "--message=base", cwd=work)
    base = git("rev-parse", "HEAD", cwd=work)
    git("checkout", "--quiet", "-b", "fork", cwd=work)
    (work / "owned").write_text("code of a fork\n")
    git("add", ".", cwd=work)
    git("commit", "--quiet", "--message=fork", cwd=work)
    head = git("rev-parse", "HEAD", cwd=work)
    git("checkout", "--quiet", "main", cwd=work)
    git("merge", "--quiet", "--no-ff", "--message=merge", "fork", cwd=work)
    merge = git("rev-parse", "HEAD", cwd=work)
    git("push", "--quiet", origin, f"{base}:refs/heads/main", cwd=work)
    git("push", "--quiet", origin, f"{merge}:refs/pull/7/merge", cwd=work)
    git("push", "--quiet", origin, f"{base}:refs/pull/8/merge", cwd=work)
    git("clone", "--quiet", origin, clone, cwd=place)
    git("remote", "set-url", "origin", "../origin.git", cwd=clone)
    return Fork(clone, base, head, merge)


@pytest.fixture
def fork(temp: Path, made: Fork) -> Fork:
    for name in ("origin.git", "clone"):
        shutil.copytree(made.clone.parent / name, temp / name)
    return replace(made, clone=temp / "clone")


def requested(drift: Runner, fork: Fork, content: str, **more: str):
    request = drift.temp / "request"
    request.write_text(content)
    variables = {"REPOSITORY": str(fork.clone), "HEAD_COMMIT": fork.head, "DETAIL": "names"}
    return drift.run(DRIFT, REQUEST=str(request), **(variables | more))


def test_a_fork_s_pull_request_is_fetched_and_not_checked_out(drift: Runner, fork: Fork) -> None:
    done = requested(drift, fork, "7\n", GITHUB_TOKEN="t0ken")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert drift.arguments[3:] == [
        "--pull-request=7",
        f"--at={fork.merge}",
        f"--against={fork.merge}^1",
        "--post=github",
        "--post-detail=names",
    ]
    assert git("rev-parse", "HEAD", cwd=fork.clone) == fork.base
    assert not (fork.clone / "owned").exists()
    assert git("rev-parse", f"{fork.merge}^1", cwd=fork.clone) == fork.base
    assert "t0ken" not in (fork.clone / ".git" / "config").read_text()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "0",
        "-7",
        "7 8",
        "7\n8",
        "7; touch owned",
        "../7",
        "$(id)",
        "7" * 30,
        "seven",
        "\uff10",
    ],
)
def test_what_is_no_number_is_refused(drift: Runner, fork: Fork, content: str) -> None:
    done = requested(drift, fork, content)
    assert (done.returncode, done.stderr) == (2, "::error::request: the file holds no number\n")
    assert not drift.called


def test_the_number_of_another_pull_request_is_refused(drift: Runner, fork: Fork) -> None:
    for other in ("8", "7"):
        done = requested(drift, fork, other, HEAD_COMMIT="d" * 40)
        assert done.returncode == 2
        assert f"request: pull request {other} is not the one that the run was for" in done.stderr
    assert not drift.called


def test_a_pull_request_that_cannot_be_merged_is_said(drift: Runner, fork: Fork) -> None:
    done = requested(drift, fork, "9")
    assert done.returncode == 2
    assert "::error::request: pull request 9 has no merge commit" in done.stderr
    assert not drift.called


def test_a_request_belongs_to_a_workflow_run(drift: Runner, fork: Fork) -> None:
    done = requested(drift, fork, "7", HEAD_COMMIT="")
    assert (done.returncode, drift.called) == (2, False)


# -- export -------------------------------------------------------------------------------------

EXPORT = "export/export.sh"
COMMIT = "git commit --quiet --allow-empty --message=export"


@pytest.fixture
def export(temp: Path, fork: Fork) -> Runner:
    return Runner(
        temp,
        {
            "BRANCH": "main",
            "CLUSTER": "shop",
            "CONTEXT": "",
            "FAIL_ON_GAPS": "true",
            "KUBECONFIG_CONTENT": KUBECONFIG,
            "REPOSITORY": str(fork.clone),
        },
    )


def pushed(temp: Path) -> list[str]:
    return git("log", "--format=%s", "main", cwd=temp / "origin.git").splitlines()


def test_an_export_is_pushed(export: Runner, fork: Fork) -> None:
    done = export.run(EXPORT, COMMITS=COMMIT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert export.arguments == ["export", "--repo=.", "--cluster=shop"]
    assert pushed(export.temp) == ["export", "base"]
    assert export.outputs == {
        "exit-code": "0",
        "commit": git("rev-parse", "main", cwd=export.temp / "origin.git"),
    }
    assert not list(export.temp.glob("kubeconfig*"))


def test_nothing_new_is_not_pushed(export: Runner, fork: Fork) -> None:
    assert export.run(EXPORT).returncode == 0
    assert export.outputs == {"exit-code": "0", "commit": fork.base}


@pytest.mark.parametrize(("fails", "ends"), [("true", 3), ("false", 0)])
def test_gaps_are_pushed_and_then_said(export: Runner, fails: str, ends: int) -> None:
    done = export.run(EXPORT, COMMITS=COMMIT, EXIT_CODE="3", FAIL_ON_GAPS=fails)
    assert done.returncode == ends
    assert pushed(export.temp) == ["export", "base"]
    assert export.outputs["exit-code"] == "3"


@pytest.mark.parametrize("code", [2, 4, 5, 6, 70])
def test_what_failed_is_not_pushed(export: Runner, code: int) -> None:
    assert export.run(EXPORT, EXIT_CODE=str(code), FAIL_ON_GAPS="false").returncode == code
    assert pushed(export.temp) == ["base"]


def test_who_pushed_meanwhile_is_not_overwritten(export: Runner, fork: Fork) -> None:
    """The first time, somebody else is quicker; the export is made again on top of that."""
    git("clone", "--quiet", export.temp / "origin.git", export.temp / "other", cwd=export.temp)
    other = (
        f'{COMMIT}; if [ ! -e "$NOTES/once" ]; then touch "$NOTES/once"; cd ../other;'
        " git commit --quiet --allow-empty --message=other; git push --quiet origin main; fi"
    )
    assert export.run(EXPORT, COMMITS=other).returncode == 0
    assert pushed(export.temp) == ["export", "other", "base"]


def test_who_is_never_first_says_so(export: Runner, fork: Fork) -> None:
    git("clone", "--quiet", export.temp / "origin.git", export.temp / "other", cwd=export.temp)
    other = (
        f"{COMMIT}; cd ../other; git commit --quiet --allow-empty --message=other;"
        " git push --quiet origin main"
    )
    done = export.run(EXPORT, COMMITS=other)
    assert done.returncode == 5
    assert "::error::main: others pushed each time" in done.stderr
    assert pushed(export.temp) == ["other"] * 3 + ["base"]


def test_a_protected_branch_is_said_at_once(export: Runner, fork: Fork) -> None:
    hook = export.temp / "origin.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    done = export.run(EXPORT, COMMITS=f'{COMMIT}; echo x >> "$NOTES/exports"')
    assert done.returncode == 5
    assert "::error::main: the push was refused; is the branch protected" in done.stderr
    assert (export.notes / "exports").read_text() == "x\n"


# -- installation -------------------------------------------------------------------------------


def copied(tmp_path: Path) -> Path:
    """What GitHub gives an action: the files of its repository, and nothing else."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def install(root: Path, temp: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", root / ".github" / "actions" / "install.sh"],
        env=os.environ | {"PYTHON": sys.executable, "RUNNER_TEMP": str(temp)},
        cwd=temp,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.lab
def test_it_installs_what_is_pinned_and_nothing_else(temp: Path, tmp_path: Path) -> None:
    """Marked as the tests that need the package index are; it starts no lab."""
    root = copied(tmp_path / "action")
    done = install(root, temp)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("gitops-dr ")

    pins = root / "requirements" / "dev.txt"
    text = pins.read_text()
    start = text.index("\norjson==")
    end = text.index("\n    # via", start)
    version = text[start:end].partition(" \\")[0]
    wrong = f" \\\n    --hash=sha256:{'0' * 64}"
    pins.write_text(text[:start] + version + wrong + text[end:])
    done = install(root, temp)
    assert done.returncode != 0
    assert "orjson" in done.stderr


# -- sync ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replace_claims", "drop", "flags"),
    [
        ("false", "false", []),
        ("true", "false", ["--replace-claims"]),
        ("true", "true", ["--replace-claims", "--drop-replaced"]),
        ("$(touch owned)", "yes", []),
    ],
)
def test_claims_are_replaced_only_if_that_is_said(
    temp: Path, replace_claims: str, drop: str, flags: list[str]
) -> None:
    names = ("AGE_KEY", "CLUSTER", "CONTEXT", "KUBECONFIG_CONTENT", "SIGNERS")
    said = {"REPLACE_CLAIMS": replace_claims, "DROP_REPLACED": drop}
    sync = Runner(temp, dict.fromkeys(names, "") | {"REPOSITORY": "."} | said)
    done = sync.run("sync/sync.sh", TARGET="standby", EXIT_CODE="3")
    assert sync.arguments == ["sync", "--repo=.", "--yes", "--target=standby", *flags]
    assert (done.returncode, sync.outputs) == (3, {"exit-code": "3"})
    assert not (temp / "owned").exists()
