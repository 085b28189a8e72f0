"""``recovery/secrets.yaml``: written as it is specified, read back, and refused where it is odd."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.desired.secret_records import (
    NO_RECORDS,
    ExternalSecret,
    SecretRecord,
    SecretRecords,
    read_secret_records,
    write_secret_records,
)
from gitops_dr.errors import GitOpsDRError, RepositoryError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Ref

DB = Ref("", "Secret", "shop", "db")
WEB = Ref("", "Secret", "shop", "web")
RECORDS = SecretRecords(
    "0123456789abcdef",
    {WEB: SecretRecord("b" * 64, "2" * 40), DB: SecretRecord("a" * 64, "1" * 40)},
    {Ref("", "Secret", "shop", "vault"): ExternalSecret("external", ("password", "user"))},
)

TEXT = f"""\
external:
- keys:
  - password
  - user
  name: vault
  namespace: shop
  policy: external
format: 1
keyId: 0123456789abcdef
sealed:
- blob: "{"1" * 40}"
  hmac: {"a" * 64}
  name: db
  namespace: shop
- blob: "{"2" * 40}"
  hmac: {"b" * 64}
  name: web
  namespace: shop
"""


def test_the_form() -> None:
    text = write_secret_records(RECORDS).decode()
    assert text.replace('"', "") == TEXT.replace('"', "")


def test_it_is_read_back() -> None:
    data = write_secret_records(RECORDS)
    assert read_secret_records(data, "x") == RECORDS
    assert RECORDS.blobs == {"a" * 64: "1" * 40, "b" * 64: "2" * 40}


def test_nothing_to_say_is_no_file() -> None:
    assert write_secret_records(NO_RECORDS) is None
    assert write_secret_records(SecretRecords("0123456789abcdef")) is None


def test_ids_of_sha256_repositories() -> None:
    records = SecretRecords("0123456789abcdef", {DB: SecretRecord("a" * 64, "1" * 64)})
    assert read_secret_records(write_secret_records(records), "x") == records


def document(**changes: Any) -> dict[str, Any]:
    return {"format": 1, "keyId": "", "sealed": [], "external": [], **changes}


ENTRY = {"name": "db", "namespace": "shop", "hmac": "a" * 64, "blob": "1" * 40}


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"format": 1},
        document(format=2),
        document(format="1"),
        document(keyId="x"),
        document(keyId="0123456789ABCDEF"),
        document(sealed={}, external=None),
        document(sealed=["a"]),
        document(sealed=[{**ENTRY, "hmac": "a" * 63}]),
        document(sealed=[{**ENTRY, "hmac": "plain"}]),
        document(sealed=[{**ENTRY, "blob": "1" * 41}]),
        document(sealed=[{**ENTRY, "blob": 1}]),
        document(sealed=[{**ENTRY, "name": 1}]),
        document(external=[{"name": "a", "namespace": "b", "keys": ["k"]}]),
        document(external=[{"name": "a", "namespace": "b", "policy": "external", "keys": [1]}]),
    ],
)
def test_what_is_no_such_file_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(RepositoryError) as caught:
        read_secret_records(canonical(bad), "clusters/a/recovery/secrets.yaml")
    assert caught.value.message.startswith("clusters/a/recovery/secrets.yaml")
    assert caught.value.hint


THINGS = st.recursive(
    st.none() | st.integers(0, 2) | st.text(max_size=5) | st.sampled_from([*ENTRY.values()]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ENTRY, "policy", "keys"]), inner, max_size=5)
    ),
    max_leaves=10,
)


@given(st.fixed_dictionaries({"keyId": THINGS, "sealed": THINGS, "external": THINGS}))
def test_any_document_gives_records_or_our_own_error(parts: dict[str, Any]) -> None:
    try:
        read_secret_records(canonical({"format": 1, **parts}), "x")
    except GitOpsDRError:
        return
