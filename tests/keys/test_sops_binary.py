"""Files with keys of other kinds are opened by the ``sops`` on PATH, by nothing but pipes."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from real_sops import SOPS, Key, RealSops

from gitops_dr.errors import SecretError
from gitops_dr.keys.running import Ended, run
from gitops_dr.keys.sops_binary import open_with_any
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.sops import Sealed, read_sealed, seal

A, B = Key(), Key()
BODY = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "db"},
    "data": {"a": "aHVudGVyMg==", "0123": "eA=="},
    "immutable": True,
}
FILE = seal(BODY, [A.recipient], now=datetime(2026, 1, 1, tzinfo=UTC))
PGP = b"  pgp:\n  - created_at: '2026-01-01T00:00:00Z'\n    enc: x\n    fp: ABC\n  version:"
MIXED = FILE.replace(b"  version:", PGP)


def sealed(data: bytes) -> Sealed:
    return read_sealed(data, "db.yaml")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder of programs with the real ``sops`` in it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sops").symlink_to(SOPS)
    return programs


def fake(folder: Path, code: str) -> dict[str, str]:
    program = folder / "sops"
    program.write_text(f"#!{sys.executable}\n{code}\n")
    program.chmod(0o700)
    return {"PATH": str(folder), "HOME": str(folder)}


def test_a_file_of_age_alone_needs_no_sops(tmp_path: Path) -> None:
    assert open_with_any(sealed(FILE), A.identities, {"PATH": str(tmp_path)}) == BODY
    with pytest.raises(SecretError, match="no age identity was found"):
        open_with_any(sealed(FILE), Identities(), {"PATH": str(tmp_path)})


def test_an_age_identity_is_enough_beside_other_keys(tmp_path: Path) -> None:
    assert open_with_any(sealed(MIXED), A.identities, {"PATH": str(tmp_path)}) == BODY


@pytest.mark.parametrize("identities", [Identities(), B.identities])
def test_sops_opens_what_no_identity_at_hand_does(path: Path, identities: Identities) -> None:
    environment = {"PATH": str(path), "HOME": str(path), "SOPS_AGE_KEY": A.text}
    assert open_with_any(sealed(MIXED), identities, environment) == BODY


def test_without_sops_the_kinds_of_keys_are_named(tmp_path: Path) -> None:
    with pytest.raises(SecretError) as caught:
        open_with_any(sealed(MIXED), Identities(), {"PATH": str(tmp_path)})
    assert caught.value.message.startswith(
        "db.yaml: encrypted to pgp, and there is no sops on PATH"
    )
    with pytest.raises(SecretError, match="does not open it"):
        open_with_any(sealed(MIXED), B.identities, {"PATH": str(tmp_path)})


def test_why_sops_refuses_is_told(path: Path) -> None:
    environment = {"PATH": str(path), "HOME": str(path), "SOPS_AGE_KEY": B.text}
    with pytest.raises(SecretError, match="no key at hand opens it"):
        open_with_any(sealed(MIXED), Identities(), environment)
    environment["SOPS_AGE_KEY"] = A.text
    moved = MIXED.replace(b"  a: ENC", b"  b: ENC")
    with pytest.raises(SecretError, match="moved from another place"):
        open_with_any(sealed(moved), Identities(), environment)
    gone = re.sub(rb"\n  a: ENC[^\n]*", b"", MIXED)
    with pytest.raises(SecretError, match="MAC mismatch"):
        open_with_any(sealed(gone), Identities(), environment)


FAILURES = {
    "fails": ("import sys; print('s3cret', file=sys.stderr); sys.exit(7)", "sops ended with 7"),
    "prints no JSON": ("print('s3cret')", "sops printed no manifest"),
    "prints a list": ("print('[]')", "sops printed no manifest"),
    "hangs": ("import time; time.sleep(600)", "no answer in 1 seconds"),
    "reads nothing": ("import os; os.close(0); print('{')", "sops printed no manifest"),
}


@pytest.mark.parametrize(("code", "problem"), FAILURES.values(), ids=FAILURES)
def test_a_sops_that_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], code: str, problem: str
) -> None:
    with pytest.raises(SecretError) as caught:
        open_with_any(sealed(MIXED), Identities(), fake(tmp_path, code), seconds=1)
    assert caught.value.message.startswith("db.yaml: ")
    assert problem in caught.value.message
    assert "s3cret" not in caught.value.message + "".join(capfd.readouterr())
    assert caught.value.hint


def test_a_sops_that_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "sops").write_text("#!/nonexistent/interpreter\n")
    (tmp_path / "sops").chmod(0o700)
    with pytest.raises(SecretError, match="sops: No such file"):
        open_with_any(sealed(MIXED), Identities(), {"PATH": str(tmp_path)})


def test_nothing_is_in_an_argument_or_on_disk(tmp_path: Path) -> None:
    code = (
        "import sys, json; data = sys.stdin.read(); "
        f"open({str(tmp_path / 'seen')!r}, 'w').write(json.dumps(sys.argv[1:])); "
        "print(json.dumps({'kind': 'Secret', 'bytes': len(data)}))"
    )
    body = open_with_any(sealed(MIXED), Identities(), fake(tmp_path, code))
    assert body == {"kind": "Secret", "bytes": len(MIXED)}
    assert (tmp_path / "seen").read_text() == (
        '["--decrypt", "--input-type", "yaml", "--output-type", "json", "/dev/stdin"]'
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["seen", "sops"]


@pytest.fixture
def gnupg(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A GnuPG home with one key without a passphrase; its agent ends with the test."""
    if not shutil.which("gpg"):
        pytest.skip("gpg is not there")
    home = tmp_path / "g"
    home.mkdir(mode=0o700)
    environment = {"GNUPGHOME": str(home), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    make = [
        "gpg",
        "--batch",
        "--passphrase",
        "",
        "--quick-gen-key",
        "lab@example.com",
        "rsa2048",
        "encr",
    ]
    subprocess.run(make, env=environment, capture_output=True, check=True)
    try:
        yield environment
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)


def test_a_file_of_pgp_alone(tmp_path: Path, path: Path, gnupg: dict[str, str]) -> None:
    listed = subprocess.run(
        ["gpg", "--list-keys", "--with-colons"],
        env=gnupg,
        capture_output=True,
        check=True,
        text=True,
    )
    fingerprint = next(
        line.split(":")[9] for line in listed.stdout.splitlines() if line.startswith("fpr")
    )
    sops = RealSops(tmp_path, A)
    sops.environment |= gnupg
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {a: aHVudGVyMg==}\n"
    rule = {
        "pgp": fingerprint,
        "encrypted_regex": "^(data|stringData)$",
        "mac_only_encrypted": True,
    }
    theirs = sealed(sops.encrypt(text, "", **rule))
    assert theirs.recipients == ()
    assert theirs.other_keys == ("pgp",)
    environment = {**gnupg, "PATH": f"{path}:{gnupg['PATH']}"}
    assert open_with_any(theirs, A.identities, environment)["data"] == {"a": "aHVudGVyMg=="}


def test_a_program_that_ends_shows_nothing() -> None:
    ended = run([sys.executable, "-c", "print('s3cret')"], {}, 30)
    assert ended == Ended(0, b"s3cret\n")
    assert "s3cret" not in repr(ended)
