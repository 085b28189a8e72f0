"""Identities and recipients: read from text, masked, and refused without being quoted."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_sops import Key

from gitops_dr.errors import SecretError, UsageError
from gitops_dr.secrets.identities import Identities, parse_identities
from gitops_dr.secrets.recipients import checked_recipients

KEY, OTHER = Key(), Key()
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFBnPhaQZt7BNuzf0X0aOnnTC5X/Sh0RLvTqU2o7S6rG me@example"


def misspelt(text: str) -> str:
    """Another last letter, so that the sum at the end is not the text's."""
    last, other = text[-1], "q" if text.islower() else "Q"
    return text[:-1] + (other if last != other else chr(ord(other) - 1))


def test_a_key_file() -> None:
    text = f"# created: 2026\n# public key: x\n\n  {KEY.text}  \r\n{OTHER.text}"
    identities = parse_identities(text, "keys.txt")
    assert [one.recipient for one in identities.found] == [KEY.recipient, OTHER.recipient]
    assert identities.searched == ("keys.txt",)


def test_no_key_is_no_error() -> None:
    assert parse_identities("# nothing\n\n", "keys.txt").found == ()


def test_the_keys_of_two_places() -> None:
    both = parse_identities(KEY.text, "a") + Identities(
        searched=("b",), problems=("p",), warnings=("w",)
    )
    assert (len(both.found), both.searched, both.problems, both.warnings) == (
        *(1, ("a", "b")),
        *(("p",), ("w",)),
    )


def test_nothing_private_is_shown() -> None:
    identities = parse_identities(KEY.text, "keys.txt")
    for shown in (
        repr(identities),
        str(identities),
        f"{identities.found}",
        repr(identities.found[0].key),
    ):
        assert KEY.text not in shown
    assert KEY.recipient in repr(identities)


BAD = {
    "misspelt": misspelt(KEY.text),
    "a public key": KEY.recipient,
    "words": "no key at all",
    "a plugin": "AGE-PLUGIN-YUBIKEY-1QQQQQQQ",
    "post-quantum": "AGE-SECRET-KEY-PQ-1QQQQQQQ",
    "encrypted": "age-encryption.org/v1\n-> scrypt x\n",
    "encrypted and armored": "-----BEGIN AGE ENCRYPTED FILE-----\nx\n",
    "a PEM of another kind": "-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\n",
    "a broken SSH key": "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_identity_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(SecretError) as caught:
        parse_identities(text, "keys.txt")
    assert caught.value.message.startswith("keys.txt")
    assert caught.value.hint
    assert text.strip() not in caught.value.message + caught.value.hint


def test_the_line_is_named() -> None:
    with pytest.raises(SecretError, match=r"keys\.txt:3: no age identity"):
        parse_identities(f"# a\n{KEY.text}\nnonsense\n", "keys.txt")


@given(st.text(max_size=300))
def test_any_text_gives_identities_or_our_own_error(text: str) -> None:
    for one in (text, f"AGE-SECRET-KEY-1{text}", f"-----BEGIN OPENSSH PRIVATE KEY-----{text}"):
        try:
            parse_identities(one, "x")
        except SecretError:
            continue


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_an_ssh_key_with_a_passphrase(tmp_path: Path, kind: str) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not there")
    file = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-b", "2048", "-N", "secret", "-f", file], check=True
    )
    with pytest.raises(SecretError, match="no SSH key that age can use") as caught:
        parse_identities(file.read_text(), "id")
    assert "passphrase" in caught.value.hint


def test_recipients_are_trimmed_and_none_is_there_twice() -> None:
    texts = [f" {KEY.recipient}\n", OTHER.recipient, KEY.recipient, SSH]
    assert checked_recipients(texts, "x") == (KEY.recipient, OTHER.recipient, SSH)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1x",
        pytest.param(misspelt(KEY.recipient), id="another sum"),
        "ssh-ed25519 x",
        "ssh-dss AAAA",
        "age1yubikey1qqqq",
        "x" * 500,
    ],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_recipients([KEY.recipient, text], ".sops.yaml")
    assert caught.value.message.startswith(".sops.yaml: ")
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    "text",
    [KEY.text, KEY.text.lower(), "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA"],
    ids=["age", "age in small letters", "ssh"],
)
def test_a_private_key_in_the_place_of_a_recipient_is_not_quoted(text: str) -> None:
    with pytest.raises(UsageError, match="a private key where a public one belongs") as caught:
        checked_recipients([text], "x")
    assert text not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text(max_size=100))
def test_any_text_is_a_recipient_or_our_own_error(text: str) -> None:
    for one in (text, f"age1{text}", f"ssh-ed25519 {text}", f"ssh-rsa {text}"):
        try:
            checked_recipients([one], "x")
        except UsageError:
            continue
