"""Building a part with a toolchain that only pretends: whole or absent, one at a time."""

import fcntl
import os
import sys
import threading

import pytest

from gitops_dr.errors import LabError
from gitops_dr.events import Advanced, Notice, PhaseEnded, PhaseStarted, silent
from gitops_dr.lab import toolchain
from gitops_dr.lab.build import build
from gitops_dr.lab.parts import CSI_PROVISIONER

GO = """#!{python}
import os, sys
arguments = sys.argv[1:]
if arguments == ["version"]:
    print("go version go{version} linux/amd64")
elif arguments[0] == "list":
    assert os.path.exists("go.mod") and os.path.exists("go.sum")
    print("one/package\\ntwo/package")
else:
    assert os.environ["CGO_ENABLED"] == "0" and os.environ["GOWORK"] == "off"
    assert os.environ["GOFLAGS"] == "-mod=readonly" and "GOROOT" not in os.environ
    print("one/package", file=sys.stderr)
    print("two/package", file=sys.stderr)
    {act}
"""
MAKES = 'open(arguments[arguments.index("-o") + 1] + "csi-provisioner", "w").close()'
FAILS = 'print("disk full", file=sys.stderr); sys.exit(2)'


@pytest.fixture
def fake_go(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("GOROOT", "/of/another/toolchain")
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")

    def make(act, version="1.26.8"):
        go = folder / "go"
        go.write_text(GO.format(python=sys.executable, act=act, version=version))
        go.chmod(0o755)
        return go

    return make


@pytest.fixture
def place(tmp_path):
    return tmp_path / "cache" / "lab" / "csi-provisioner-0"


def test_a_part_is_built_with_progress(fake_go, place):
    fake_go(MAKES)
    events = []
    build(CSI_PROVISIONER, place, events.append)
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert [path.name for path in place.iterdir()] == ["csi-provisioner"]
    assert isinstance(events[0], Notice)
    assert "about 3 minutes" in events[0].text
    assert PhaseStarted("build csi-provisioner", 2) in events
    assert Advanced("build csi-provisioner", 2, "two/package") in events
    ended = [event for event in events if isinstance(event, PhaseEnded)]
    assert [(event.phase, event.count) for event in ended] == [
        ("download csi-provisioner", 0),
        ("build csi-provisioner", 2),
    ]


@pytest.mark.parametrize(
    ("act", "message"),
    [(FAILS, "go build: ended with exit code 2"), ("pass", "the build made no csi-provisioner")],
)
def test_a_build_that_fails_leaves_nothing(fake_go, place, act, message):
    fake_go(act)
    with pytest.raises(LabError, match=message) as error:
        build(CSI_PROVISIONER, place, silent)
    assert "disk full" in error.value.hint or act != FAILS
    assert list(place.parent.iterdir()) == []


def test_what_a_killed_build_left_is_taken_away(fake_go, place):
    fake_go(MAKES)
    (place.parent / "abc.partial").mkdir(parents=True)
    (place.parent / "abc.partial" / "csi-provisioner").write_text("half")
    build(CSI_PROVISIONER, place, silent)
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_the_second_of_two_builds_waits_for_the_first(fake_go, place):
    fake_go(FAILS)
    place.parent.mkdir(parents=True)
    waits = threading.Event()
    events = []

    def emit(event):
        events.append(event)
        waits.set()

    first = os.open(place.parent, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    second = threading.Thread(target=build, args=(CSI_PROVISIONER, place, emit))
    second.start()
    assert waits.wait(20)
    place.mkdir()
    os.close(first)
    second.join(20)
    assert events == [Notice("lab: waiting for another build of it to end")]


def test_a_long_silence_is_reported(fake_go, tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "REPORT_SECONDS", 0.01)
    go = fake_go("import time; time.sleep(0.2)")
    (tmp_path / "module").mkdir()
    reports = []
    toolchain.run_go(go, ("build",), tmp_path / "module", lambda *report: reports.append(report))
    assert reports.count((2, "two/package")) > 2


def test_the_toolchain_on_path_is_taken_if_it_is_new_enough(fake_go):
    on_path = fake_go("pass", version="1.27.1")
    assert toolchain.find_go() == on_path


@pytest.mark.parametrize("go", ["too old", "fails", "absent"])
def test_otherwise_the_one_in_the_wheel(fake_go, go):
    if go == "too old":
        fake_go("pass", version="1.25.9")
    if go == "fails":
        fake_go("pass").write_text("#!/bin/sh\necho 'pyenv: go: command not found' >&2\nexit 127\n")
    found = toolchain.find_go()
    assert found.parts[-3:] == ("go", "bin", "go")
    assert "site-packages" in found.parts


def test_without_any_it_is_said_what_to_do(fake_go, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(LabError, match=r"no Go toolchain of version 1\.26") as error:
        toolchain.find_go()
    assert "pip install 'gitops-dr[lab]'" in error.value.hint
