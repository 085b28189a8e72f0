"""A long history is searched for plain text in seconds, and memory does not follow it."""

import subprocess
import sys
from pathlib import Path

import pytest
from command import git

pytestmark = pytest.mark.campaign

BLOBS, COMMITS = 100_000, 100
CHECK = """
import re, sys, time
from pathlib import Path
from gitops_dr.engine.opening import Where
from gitops_dr.workflows.secrets_check import check

started = time.monotonic()
found = check(Where(Path(sys.argv[1]), environment={}))
print(found.history.blobs, time.monotonic() - started)
# Unlike getrusage it says nothing of the process that this one came from.
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
for one in found.history.exposures:
    print(one.path, one.commit)
"""


def _history(repo: Path) -> str:
    """Make a repository of many blobs, one of which is open; returns the commit that brought it."""
    git(repo.parent, "init", "-q", "--initial-branch=main", str(repo))
    text = b"".join(b"  key-%d: a value that is not so short\n" % number for number in range(25))
    lines = []
    each = BLOBS // COMMITS
    for number in range(COMMITS):
        message = b"commit refs/heads/main\ncommitter T <t@x> %d +0000\ndata 1\nx\n" % number
        lines.append(message)
        settings = b"format: 1\nclusters:\n  prod:\n"
        files = {b"gitops-dr.yaml": settings} if number == 0 else {}
        for file in range(each):
            path = b"clusters/prod/namespaces/n/configmaps/c-%d.yaml" % file
            head = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c-%d\n" % file
            files[path] = head + b"  annotations:\n    at: a%d\ndata:\n" % number + text
        if number == COMMITS // 2:
            files[b"leak.yaml"] = b"kind: Secret\napiVersion: v1\ndata:\n  a: cGxhaW4=\n"
        for path, data in files.items():
            lines.append(b"M 100644 inline %b\ndata %d\n%b\n" % (path, len(data), data))
        if number == COMMITS // 2 + 1:
            lines.append(b"D leak.yaml\n")
    subprocess.run(["git", "-C", repo, "fast-import", "--quiet"], input=b"".join(lines), check=True)
    git(repo, "reset", "-q", "--hard")
    return git(repo, "rev-parse", f"main~{COMMITS - COMMITS // 2 - 1}").strip()


def test_a_hundred_thousand_blobs(tmp_path: Path) -> None:
    bad = _history(tmp_path / "repo")
    done = subprocess.run(
        [sys.executable, "-c", CHECK, tmp_path / "repo"], capture_output=True, text=True, check=True
    )
    first, memory, *exposures = done.stdout.splitlines()
    blobs, seconds = first.split()
    print(f"{blobs} blobs in {float(seconds):.1f} s, {float(memory):.0f} MB")
    assert int(blobs) == BLOBS + 2
    assert float(seconds) < 60
    assert float(memory) < 150
    assert exposures == [f"leak.yaml {bad}"]
