"""Identities are found where ``sops`` finds them; what goes wrong is told, not thrown."""

import shlex
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from real_sops import Key, RealSops

from gitops_dr.errors import SecretError
from gitops_dr.keys.find import find_identities
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.sops import open_sealed, read_sealed, seal

A, B = Key(), Key()
BODY = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"a": "eA=="}}
FILE = seal(BODY, [A.recipient], now=datetime(2026, 1, 1, tzinfo=UTC))


def key_file(path: Path, key: Key = A, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# public key: {key.recipient}\n{key.text}\n")
    path.chmod(mode)
    return path


def command(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


def recipients(found: Identities) -> list[str]:
    return [identity.recipient for identity in found.found]


def opened(found: Identities) -> None:
    open_sealed(read_sealed(FILE, "db.yaml"), found)


# -- where --------------------------------------------------------------------------------------


def test_nothing_anywhere(tmp_path: Path) -> None:
    found = find_identities({}, tmp_path)
    assert found.found == found.problems == found.warnings == ()
    assert str(tmp_path / ".ssh/id_ed25519") in found.searched


def test_every_place(tmp_path: Path) -> None:
    keys = {name: Key() for name in ("variable", "file", "command", "config")}
    key_file(tmp_path / ".config/sops/age/keys.txt", keys["config"])
    environment = {
        "SOPS_AGE_KEY": keys["variable"].text,
        "SOPS_AGE_KEY_FILE": str(key_file(tmp_path / "k", keys["file"])),
        "SOPS_AGE_KEY_CMD": command(f"print({keys['command'].text!r})"),
    }
    found = find_identities(environment, tmp_path)
    assert set(recipients(found)) == {key.recipient for key in keys.values()}
    assert found.problems == ()
    assert not any(key.text in f"{found.searched}{found!r}" for key in keys.values())


def test_several_keys_in_the_variable(tmp_path: Path) -> None:
    found = find_identities({"SOPS_AGE_KEY": f"{A.text}\n{B.text}"}, tmp_path)
    assert recipients(found) == [A.recipient, B.recipient]


def test_the_folder_of_the_configuration(tmp_path: Path) -> None:
    key_file(tmp_path / "xdg/sops/age/keys.txt")
    found = find_identities({"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, tmp_path / "home")
    assert recipients(found) == [A.recipient]


def test_a_key_in_two_places_is_there_once(tmp_path: Path) -> None:
    environment = {"SOPS_AGE_KEY": A.text, "SOPS_AGE_KEY_FILE": str(key_file(tmp_path / "k"))}
    assert recipients(find_identities(environment, tmp_path)) == [A.recipient]


@pytest.mark.parametrize("place", ["variable", "id_ed25519", "id_rsa"])
def test_ssh_keys(tmp_path: Path, place: str) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not there")
    file = tmp_path / ("key" if place == "variable" else f".ssh/{place}")
    file.parent.mkdir(exist_ok=True)
    kind = "rsa" if place == "id_rsa" else "ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file], check=True)
    environment = {"SOPS_AGE_SSH_PRIVATE_KEY_FILE": str(file)} if place == "variable" else {}
    found = find_identities(environment, tmp_path)
    assert recipients(found) == [""]
    public = file.with_name(f"{file.name}.pub").read_text()
    sealed = seal(BODY, [public], now=datetime(2026, 1, 1, tzinfo=UTC))
    assert open_sealed(read_sealed(sealed, "x"), found) == BODY


def test_sops_finds_the_same(tmp_path: Path) -> None:
    sops = RealSops(tmp_path, Key())
    home = Path(sops.environment["HOME"])
    key_file(home / ".config/sops/age/keys.txt")
    file = key_file(tmp_path / "other")
    for environment in (
        {},
        {"SOPS_AGE_KEY_FILE": str(file), "HOME": "/nonexistent"},
        {"SOPS_AGE_KEY_CMD": f"cat '{file}'", "HOME": "/nonexistent"},
    ):
        assert sops.decrypt(FILE, **environment) == BODY
        opened(
            find_identities(
                {"PATH": "/usr/bin:/bin", **environment}, Path(environment.get("HOME", home))
            )
        )


# -- what is wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_file_that_others_can_read_is_warned_of(tmp_path: Path, mode: int) -> None:
    file = key_file(tmp_path / "k", mode=mode)
    found = find_identities({"SOPS_AGE_KEY_FILE": str(file)}, tmp_path)
    assert found.warnings == (
        f"{file}: others can read this key file; repair it by: chmod 600 {file}",
    )
    assert recipients(found) == [A.recipient]


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_key_file_of_its_owner_alone_is_not(tmp_path: Path, mode: int) -> None:
    file = key_file(tmp_path / "k", mode=mode)
    assert find_identities({"SOPS_AGE_KEY_FILE": str(file)}, tmp_path).warnings == ()


BAD = {
    "no file": (
        {"SOPS_AGE_KEY_FILE": "/nonexistent/k"},
        "SOPS_AGE_KEY_FILE /nonexistent/k: No such",
    ),
    "a folder": ({"SOPS_AGE_KEY_FILE": "/"}, "SOPS_AGE_KEY_FILE /: Is a directory"),
    "a null byte": ({"SOPS_AGE_KEY_FILE": "a\0b"}, "no path"),
    "no ssh file": (
        {"SOPS_AGE_SSH_PRIVATE_KEY_FILE": "/nonexistent/k"},
        "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
    ),
    "no key": ({"SOPS_AGE_KEY": "nonsense"}, "SOPS_AGE_KEY:1: no age identity"),
    "no command line": ({"SOPS_AGE_KEY_CMD": "cat 'x"}, "no command line"),
    "an empty command": ({"SOPS_AGE_KEY_CMD": " "}, "no command line"),
    "no such program": (
        {"SOPS_AGE_KEY_CMD": "/nonexistent/p s3cret"},
        "/nonexistent/p: No such file",
    ),
    "a command that fails": ({"SOPS_AGE_KEY_CMD": command("raise SystemExit(3)")}, "ended with 3"),
    "one that prints nonsense": (
        {"SOPS_AGE_KEY_CMD": command("print('s3cret')")},
        "SOPS_AGE_KEY_CMD:1: no",
    ),
    "one that prints nothing": ({"SOPS_AGE_KEY_CMD": command("")}, "no key"),
    "one that prints bytes": (
        {"SOPS_AGE_KEY_CMD": command("import os; os.write(1, bytes([255]))")},
        "printed no text",
    ),
}


@pytest.mark.parametrize(("environment", "problem"), BAD.values(), ids=BAD)
def test_what_gives_no_key_is_told_with_the_recipients_that_open_the_file(
    tmp_path: Path, environment: dict[str, str], problem: str
) -> None:
    found = find_identities(environment, tmp_path)
    assert found.found == ()
    with pytest.raises(SecretError) as caught:
        opened(found)
    assert problem in caught.value.message
    assert "\n" not in caught.value.message
    assert "s3cret" not in caught.value.message
    assert A.recipient in caught.value.hint
    assert recipients(find_identities({**environment, **ELSEWHERE}, tmp_path)) in (
        [],
        [A.recipient],
    )


ELSEWHERE = {"SOPS_AGE_KEY": A.text}


def test_a_place_that_fails_does_not_matter_where_another_has_the_key(tmp_path: Path) -> None:
    environment = {"SOPS_AGE_KEY": A.text, "SOPS_AGE_KEY_FILE": "/nonexistent"}
    opened(find_identities(environment, tmp_path))


def test_a_file_of_bytes(tmp_path: Path) -> None:
    file = tmp_path / "k"
    file.write_bytes(b"\xff\xfe")
    assert "no text" in find_identities({"SOPS_AGE_KEY_FILE": str(file)}, tmp_path).problems[0]


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    started = time.monotonic()
    found = find_identities({"SOPS_AGE_KEY_CMD": command(code)}, tmp_path, seconds=1)
    assert time.monotonic() - started < 20
    assert found.problems == (f"SOPS_AGE_KEY_CMD: {sys.executable}: no answer in 1 seconds",)
    if pid.exists():
        assert not Path(f"/proc/{pid.read_text()}").exists()


def test_what_a_command_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    started = time.monotonic()
    found = find_identities(
        {"SOPS_AGE_KEY_CMD": "sh -c 'sleep 20 & wait'", "PATH": "/usr/bin:/bin"},
        tmp_path,
        seconds=0.5,
    )
    assert time.monotonic() - started < 10
    assert "no answer" in found.problems[0]


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    find_identities({"SOPS_AGE_KEY_CMD": f"echo $(touch {proof}) ; touch {proof}"}, tmp_path)
    assert not proof.exists()
