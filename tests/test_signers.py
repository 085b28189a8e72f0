"""Lines that name whose signatures count: what is understood, and that nothing else gets by."""

import base64
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.errors import UsageError
from gitops_dr.signers import read_signer, signers_in, signers_of, signers_of_file

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIGXp9cHdHiTr9Bu2aUkTe8VLqMXFJLpRAnVpV+oWs5Hu"
ED = f"ssh-ed25519 {KEY}"
FINGERPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
OTHER_TYPE = base64.b64encode(b"\0\0\0\x07ssh-rsa" + bytes(40)).decode()


@pytest.mark.parametrize(
    ("line", "times"),
    [
        (ED, ()),
        (f"{ED} alice@laptop", ()),
        (f"alice@example.com {ED} with a comment", ()),
        (f'"a b",c@d namespaces="git" {ED}', ()),
        (f'a NAMESPACES="file,git",valid-before="20270101" {ED}', ('valid-before="20270101"',)),
        (f'a valid-after="202601011200Z" {ED}', ('valid-after="202601011200Z"',)),
    ],
)
def test_ssh_lines(line: str, times: tuple[str, ...]) -> None:
    signer = read_signer(line)
    assert (signer.is_ssh, signer.key, signer.times) == (True, ED, times)
    assert signer.fingerprint.startswith("SHA256:")
    assert signer.line == line
    options = ",".join(['namespaces="git"', *times])
    assert signer.allowed("signer-0") == f"signer-0 {options} {ED}\n"


@pytest.mark.parametrize(
    "line",
    [
        FINGERPRINT,
        FINGERPRINT.lower(),
        f"0x{FINGERPRINT}",
        "0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567",
    ],
)
def test_gpg_lines(line: str) -> None:
    signer = read_signer(line)
    assert (signer.is_ssh, signer.fingerprint) == (False, FINGERPRINT)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "neither"),
        ("alice@example.com", "neither"),
        ("ssh-ed25519", "neither"),
        (f"ssh-dss {KEY}", "neither"),
        (f"a b c {ED}", "neither"),
        (f'a "b {ED}', "neither"),
        (f"alice\n* {ED}", "neither"),
        (f"alice {ED}\x1b[2J", "neither"),
        ("ssh-ed25519 !!!!", "no base64"),
        (f"ssh-ed25519 {OTHER_TYPE}", "another type"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "damaged"),
        (f"a cert-authority {ED}", "certificates"),
        (f'a namespaces="file" {ED}', "not for Git"),
        (f"a namespaces {ED}", "no option"),
        (f'a valid-before="soon" {ED}', "no option"),
        (f'a valid-before="20270101"x {ED}', "no options"),
        (f"a no-such-option {ED}", "no option"),
        ("89ABCDEF01234567", "whole fingerprint"),
        (FINGERPRINT + "0", "whole fingerprint"),
    ],
)
def test_what_names_no_key_is_refused(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_signer(line)


@given(st.text() | st.text(alphabet='ab "=,0').map(lambda text: f"x {text} {ED}"))
def test_any_line_is_a_signer_or_a_plain_error_and_never_two(line: str) -> None:
    try:
        signer = read_signer(line)
    except ValueError:
        return
    if signer.is_ssh:
        assert signer.allowed("signer-0").count("\n") == 1
        assert signer.allowed("signer-0").startswith('signer-0 namespaces="git"')


def test_a_file_has_one_a_line() -> None:
    signers = signers_of_file(f"# ours\n\n  {ED} alice\n{FINGERPRINT}\n", "signers")
    assert [signer.is_ssh for signer in signers] == [True, False]
    with pytest.raises(UsageError, match=r"^signers\[1\]: neither"):
        signers_of_file(f"{ED}\nnonsense\n", "signers")
    with pytest.raises(UsageError, match=r"^signers: names nobody"):
        signers_of_file("# nobody\n", "signers")


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (None, "not the one key signers"),
        ([ED], "not the one key signers"),
        ({"signers": [ED], "signer": []}, "not the one key signers"),
        ({"signers": ED}, "not a list"),
        ({"signers": []}, "names nobody"),
        ({"signers": [int("1" * 40)]}, r"signers\[0\]: no text"),
        ({"signers": [ED] * 1001}, "more than 1000"),
    ],
)
def test_a_section_that_is_none_is_refused(section: object, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        signers_in({"trust": section}, "gitops-dr.yaml")


def test_a_section_is_read() -> None:
    assert signers_in({}, "gitops-dr.yaml") == ()
    assert signers_in({"trust": {"signers": [ED]}}, "gitops-dr.yaml") == signers_of([ED], "")


def test_the_example_of_the_documentation_can_be_read() -> None:
    page = Path(__file__).parent.parent / "docs" / "security.md"
    example = page.read_text().split("```yaml\ntrust:\n")[1].split("```")[0]
    assert len(signers_in(yaml.safe_load(f"trust:\n{example}"), "gitops-dr.yaml")) == 2
