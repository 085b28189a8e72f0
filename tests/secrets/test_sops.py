"""Sealed files: stable, masked, and closed to whatever was changed in them. No ``sops`` is run."""

import base64
import re
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyrage
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from real_sops import Key

from gitops_dr.errors import GitOpsDRError, ManifestError, SecretError, UsageError
from gitops_dr.manifests.emit import canonical
from gitops_dr.secrets.guard import objection
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.sops import (
    is_sealed,
    open_sealed,
    read_sealed,
    rewrap,
    rotate,
    seal,
)
from gitops_dr.secrets.sops_leaves import in_canonical_order, leaves
from gitops_dr.secrets.sops_metadata import FIELDS

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
KEY, OTHER, THIRD = Key(), Key(), Key()

CANARY = "hunter2-canary"
ENCODED = base64.b64encode(CANARY.encode()).decode()


def secret(**fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop"},
        "type": "Opaque",
        **fields,
    }


BODY = secret(data={"password": ENCODED, "user": "eA==", "z": ""})
FILE = seal(BODY, [KEY.recipient], now=NOW)


def opened(data: bytes, key: Key = KEY) -> Any:
    return open_sealed(read_sealed(data, "db.yaml"), key.identities)


def outcome(act: Callable[[], Any]) -> Any:
    """What came of it, or our own error; any other is a fault."""
    try:
        came = act()
    except GitOpsDRError as error:
        came = error
    assert "\n" not in getattr(came, "message", "")
    return came


def again(previous: bytes, body: Any, *keys: Key) -> bytes:
    return seal(
        body,
        [key.recipient for key in keys or (KEY,)],
        previous=previous,
        identities=KEY.identities,
        now=LATER,
    )


# -- the form -----------------------------------------------------------------------------------


def test_a_file_is_the_canonical_object_and_then_the_sops_block() -> None:
    sealed = read_sealed(FILE, "db.yaml")
    assert sealed.is_ours
    assert canonical(sealed.body) + canonical({"sops": sealed.metadata.raw}) == FILE
    assert sealed.last_modified == "2026-01-02T03:04:05Z"
    block = sealed.metadata.raw
    assert block["encrypted_regex"] == "^(data|stringData)$"
    assert block["mac_only_encrypted"] is True
    assert sealed.body["type"] == "Opaque"


def test_the_guard_lets_a_sealed_file_pass() -> None:
    assert objection("secrets/db.yaml", FILE) is None
    assert (
        objection("secrets/db.yaml", seal(secret(stringData={"a": "b"}), [KEY.recipient], now=NOW))
        is None
    )


def test_nothing_plain_is_in_a_sealed_file() -> None:
    for needle in (CANARY, ENCODED):
        assert needle.encode() not in FILE


def test_equal_values_do_not_look_equal() -> None:
    data = seal(secret(data={"a": "eA==", "b": "eA=="}), [KEY.recipient], now=NOW)
    sealed = [value for _, value in leaves(read_sealed(data, "x").body["data"])]
    assert len(set(sealed)) == 2


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (FILE, True),
        (b"\xef\xbb\xbfsops:\n  a: b\n", True),
        (b'{"kind": "Secret", "sops": {}}', True),
        (b"'sops': {}\n", True),
        (b"kind: ConfigMap\ndata:\n  x: |\n    sops:\n      a: b\n", False),
        (b'{"kind": "ConfigMap", "data": {"x": "{\\"sops\\": {}}"}}', False),
        (b'{"kind": "ConfigMap", "data": {"sops": "x"}}', False),
        (b"kind: ConfigMap\nmetadata:\n  name: sops\n", False),
        (b"{sops: [", False),
        (b"", False),
    ],
)
def test_is_sealed(data: bytes, expected: bool) -> None:
    assert is_sealed(data) is expected


# -- unchanged means unchanged ------------------------------------------------------------------


def test_an_unchanged_body_gives_the_same_bytes_in_whatever_order() -> None:
    assert again(FILE, dict(reversed(BODY.items()))) == FILE


def test_an_unchanged_body_gives_the_same_bytes_for_other_recipients_too() -> None:
    assert again(FILE, BODY, OTHER) == FILE


def test_only_changed_values_are_encrypted_anew() -> None:
    body = secret(data={**BODY["data"], "password": "bmV3", "token": "bmV3"})
    new = again(FILE, body)
    before, after = FILE.decode().splitlines(), new.decode().splitlines()
    changed = [line.split(":")[0].strip() for line in after if line not in before]
    assert changed == ["password", "token", "lastmodified", "mac"]
    assert opened(new) == body


def test_a_change_of_metadata_alone_is_written() -> None:
    body = {**BODY, "metadata": {**BODY["metadata"], "labels": {"a": "b"}}}
    new = again(FILE, body)
    assert opened(new) == body
    assert read_sealed(new, "x").body["data"] == read_sealed(FILE, "x").body["data"]


def test_a_missing_recipient_is_added_with_the_change() -> None:
    body = secret(data={"password": "bmV3"})
    new = again(FILE, body, KEY, OTHER)
    assert read_sealed(new, "x").metadata.age[0] == read_sealed(FILE, "x").metadata.age[0]
    assert opened(new) == opened(new, OTHER) == body


def test_a_stale_recipient_takes_the_data_key_with_it() -> None:
    both = seal(BODY, [KEY.recipient, OTHER.recipient], now=NOW)
    data_key = pyrage.decrypt(
        read_sealed(both, "x").metadata.age[1].enc.encode(),
        [pyrage.x25519.Identity.from_str(OTHER.text)],
    )
    new = again(both, secret(data={**BODY["data"], "token": "bmV3"}), KEY)
    sealed = read_sealed(new, "x")
    assert sealed.recipients == (KEY.recipient,)
    assert sealed.body["data"]["password"] != read_sealed(both, "x").body["data"]["password"]
    now = pyrage.decrypt(
        sealed.metadata.age[0].enc.encode(), [pyrage.x25519.Identity.from_str(KEY.text)]
    )
    assert now != data_key


def test_without_identities_everything_is_encrypted_anew() -> None:
    new = seal(BODY, [KEY.recipient], previous=FILE, now=NOW)
    assert (
        read_sealed(new, "x").body["data"]["password"]
        != read_sealed(FILE, "x").body["data"]["password"]
    )
    assert opened(new) == BODY


def test_string_data_stays_where_a_person_put_it() -> None:
    typed = secret(stringData={"password": CANARY, "user": "x"}, data={"z": "eA=="})
    file = seal(typed, [KEY.recipient], now=NOW)
    live = secret(data={"password": ENCODED, "user": "eA==", "z": "eA=="})
    assert again(file, live) == file
    changed = secret(data={"password": "bmV3", "user": "eA==", "z": "eA==", "binary": "/w=="})
    assert opened(again(file, changed)) == secret(
        stringData={"password": "new", "user": "x"}, data={"z": "eA==", "binary": "/w=="}
    )
    binary = secret(data={"password": "/w==", "user": "eA==", "z": "eA=="})
    assert opened(again(file, binary)) == secret(
        stringData={"user": "x"}, data={"password": "/w==", "z": "eA=="}
    )
    only = seal(secret(stringData={"a": "b"}), [KEY.recipient], now=NOW)
    assert again(only, secret(data={"a": "Yg=="})) == only
    assert opened(again(only, secret(data={"a": "Yw=="}))) == secret(stringData={"a": "c"})


def test_a_value_of_another_type_is_another_value() -> None:
    file = seal(secret(data={"n": 1}), [KEY.recipient], now=NOW)
    for value in (True, "1"):
        changed = opened(again(file, secret(data={"n": value})))
        assert changed["data"]["n"] == value
        assert type(changed["data"]["n"]) is type(value)


def test_what_a_person_wrote_into_our_file_stays() -> None:
    file = FILE.replace(b"kind: Secret\n", b"# mine\nkind:   Secret\n")
    assert not read_sealed(file, "x").is_ours
    body = secret(data={**BODY["data"], "token": "bmV3"})
    new = again(file, body)
    assert b"# mine\nkind:   Secret\n" in new
    assert opened(new) == body


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
BASE64 = st.binary(max_size=30).map(lambda data: base64.b64encode(data).decode())
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
BODIES = st.builds(
    lambda data, texts, labels: {
        **secret(data=data, stringData=texts),
        "metadata": {"name": "db", "labels": labels},
    },
    st.dictionaries(KEYS, BASE64, max_size=5),
    st.dictionaries(KEYS, TEXTS, max_size=3),
    st.dictionaries(KEYS, TEXTS, max_size=2),
)


@given(BODIES)
@example(secret(data={"a10": "eA==", "a2": "eA==", "A": "eA==", "é": "eA==", "": ""}))
def test_whatever_a_secret_holds_comes_back(body: dict[str, Any]) -> None:
    data = seal(body, [KEY.recipient], now=NOW)
    sealed = read_sealed(data, "x")
    assert sealed.is_ours
    assert open_sealed(sealed, KEY.identities) == body
    assert again(data, body) == data
    assert [where for where, _ in in_canonical_order(body)] == [w for w, _ in leaves(sealed.body)]


@given(BODIES, BODIES)
def test_whatever_a_secret_becomes_comes_back(one: dict[str, Any], other: dict[str, Any]) -> None:
    wanted = other if other["stringData"] else {**other, "data": {"k": "eA==", **other["data"]}}
    assert opened(again(seal(one, [KEY.recipient], now=NOW), wanted)) == wanted


# -- no key -------------------------------------------------------------------------------------


def test_no_identity_at_all() -> None:
    with pytest.raises(SecretError) as caught:
        open_sealed(read_sealed(FILE, "db.yaml"), Identities())
    assert caught.value.message == "db.yaml: encrypted, and no age identity was found"
    assert KEY.recipient in caught.value.hint
    assert caught.value.exit_code == 6


def test_the_wrong_identity_names_those_that_would_open_it() -> None:
    both = seal(BODY, [KEY.recipient, OTHER.recipient], now=NOW)
    with pytest.raises(SecretError) as caught:
        opened(both, THIRD)
    assert THIRD.recipient in caught.value.message
    assert f"{KEY.recipient} or {OTHER.recipient}" in caught.value.hint
    assert THIRD.text not in caught.value.message + caught.value.hint


def test_one_of_several_identities_is_enough() -> None:
    both = seal(BODY, [KEY.recipient, OTHER.recipient], now=NOW)
    assert opened(both, OTHER) == BODY
    assert open_sealed(read_sealed(both, "x"), THIRD.identities + KEY.identities) == BODY
    with pytest.raises(SecretError, match="none of the 2 age identities"):
        open_sealed(read_sealed(FILE, "x"), THIRD.identities + OTHER.identities)


def test_one_of_several_recipients_lost() -> None:
    both = seal(BODY, [OTHER.recipient, KEY.recipient], now=NOW)
    broken = both.replace(
        read_sealed(both, "x").metadata.age[0].enc.split("\n")[2].encode(), b"A" * 64
    )
    assert opened(broken) == BODY
    with pytest.raises(SecretError):
        opened(broken, OTHER)


def test_a_wrong_label_of_a_recipient_does_not_keep_its_key_out() -> None:
    assert opened(FILE.replace(KEY.recipient.encode(), OTHER.recipient.encode())) == BODY


def test_why_a_place_gave_no_key_is_said_when_nothing_opens() -> None:
    identities = Identities(searched=("X",), problems=("SOPS_AGE_KEY_FILE /k: No such file",))
    with pytest.raises(SecretError, match="SOPS_AGE_KEY_FILE /k: No such file"):
        open_sealed(read_sealed(FILE, "x"), identities)


def test_a_data_key_of_another_length_is_none() -> None:
    enc = pyrage.encrypt(b"x" * 16, [pyrage.x25519.Recipient.from_str(KEY.recipient)], armored=True)
    old = read_sealed(FILE, "x").metadata.age[0].enc
    lines = [f"      {line}" for line in old.splitlines()]
    other = [f"      {line}" for line in enc.decode().splitlines()]
    with pytest.raises(SecretError, match="does not open it"):
        opened(FILE.replace("\n".join(lines).encode(), "\n".join(other).encode()))


@pytest.mark.parametrize(
    "write",
    [
        lambda: seal(BODY, [], now=NOW),
        lambda: rewrap(read_sealed(FILE, "x"), [], KEY.identities),
        lambda: rotate(read_sealed(FILE, "x"), [], KEY.identities, NOW),
    ],
    ids=["seal", "rewrap", "rotate"],
)
def test_nobody_to_encrypt_to(write: Callable[[], bytes]) -> None:
    with pytest.raises(SecretError, match="nobody is named who could open it"):
        write()


def test_what_is_no_recipient() -> None:
    with pytest.raises(UsageError, match="Secret/shop/db: age1x"):
        seal(BODY, ["age1x"], now=NOW)


def test_a_field_called_sops_is_refused() -> None:
    with pytest.raises(SecretError, match="a field named sops"):
        seal({**BODY, "sops": {}}, [KEY.recipient], now=NOW)


def test_what_no_yaml_can_hold_is_refused() -> None:
    with pytest.raises(ManifestError, match="cannot be written as YAML"):
        seal({**BODY, "metadata": {"name": "\ud800"}}, [KEY.recipient], now=NOW)


def test_keys_of_other_kinds_stay_and_cannot_be_made_anew() -> None:
    pgp = b"  pgp:\n  - created_at: x\n    enc: y\n    fp: z\n  version:"
    data = FILE.replace(b"  version:", pgp)
    sealed = read_sealed(data, "x")
    assert sealed.other_keys == ("pgp",)
    changed = again(data, secret(data={"password": "bmV3"}))
    assert read_sealed(changed, "x").metadata.raw["pgp"] == sealed.metadata.raw["pgp"]
    for attempt in (
        lambda: rotate(sealed, [KEY.recipient], KEY.identities, NOW),
        lambda: again(data, secret(data={"password": "bmV3"}), OTHER),
    ):
        with pytest.raises(SecretError, match="encrypted to pgp too"):
            attempt()


def test_only_keys_of_other_kinds() -> None:
    data = re.sub(
        rb"  age:\n.*?  encrypted_regex",
        b"  kms:\n  - arn: x\n  encrypted_regex",
        FILE,
        flags=re.DOTALL,
    )
    sealed = read_sealed(data, "db.yaml")
    assert sealed.recipients == ()
    with pytest.raises(SecretError, match=r"db\.yaml: encrypted to kms, which only sops opens"):
        open_sealed(sealed, KEY.identities)


# -- what is no sealed file ---------------------------------------------------------------------


def _without(data: bytes, key: bytes) -> bytes:
    return re.sub(rb"\n  %s: [^\n]*" % key, b"", data)


BAD: dict[str, tuple[bytes, str]] = {
    "not encrypted": (canonical(BODY), "no sops block"),
    "no sum": (_without(FILE, b"mac"), "no sops.mac"),
    "a sum in plain text": (
        re.sub(rb"mac: ENC[^\n]*", b"mac: abc", FILE),
        "sops.mac is no encrypted",
    ),
    "no time": (_without(FILE, b"lastmodified"), "sops.lastmodified is no time"),
    "no such time": (FILE.replace(b"2026-01-02T", b"2026-13-02T"), "sops.lastmodified is no time"),
    "no version": (_without(FILE, b"version"), "no sops.version"),
    "sops is a list": (canonical(BODY) + b"sops: []\n", "sops is no mapping"),
    "sops is null": (canonical(BODY) + b"sops:\n", "sops is no mapping"),
    "nobody": (re.sub(rb"  age:\n.*?(?=  encrypted_regex)", b"", FILE, flags=re.DOTALL), "nobody"),
    "age is a map": (
        re.sub(rb"  age:\n.*?(?=  encrypted_regex)", b"  age: {a: b}\n", FILE, flags=re.DOTALL),
        "sops.age is no list",
    ),
    "an entry of age is text": (
        re.sub(rb"  age:\n.*?(?=  encrypted_regex)", b"  age: [a]\n", FILE, flags=re.DOTALL),
        "an entry of sops.age",
    ),
    "enc is no age file": (re.sub(rb"-----BEGIN AGE[^\n]*\n", b"x\n", FILE), "no age file"),
    "two rules": (FILE.replace(b"  lastmod", b"  encrypted_suffix: x\n  lastmod"), "at once"),
    "no regular expression": (
        FILE.replace(b"^(data|stringData)$", b"'^(data'"),
        "is no regular expression",
    ),
    "a regular expression that is none": (
        FILE.replace(b"^(data|stringData)$", b"[a]"),
        "is no string",
    ),
    "mac_only_encrypted is text": (
        FILE.replace(b"encrypted: true", b"encrypted: 'true'"),
        "is no boolean",
    ),
    "a second document": (FILE + b"---\nkind: x\n", "a second manifest"),
    "sops twice": (FILE + b"sops: {}\n", "uplicate"),
    "nothing": (b"", "no manifest"),
    "binary": (b"\xff\xfe\x00", "UTF-8"),
}


@pytest.mark.parametrize(("data", "problem"), BAD.values(), ids=BAD)
def test_what_is_no_sealed_file_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_sealed(data, "db.yaml")
    assert caught.value.message.startswith("db.yaml")
    assert problem in caught.value.message
    assert "\n" not in caught.value.message


def test_the_line_is_named() -> None:
    data = FILE.replace(b"2026-01-02T", b"2026-13-02T")
    with pytest.raises(ManifestError) as caught:
        read_sealed(data, "db.yaml")
    assert caught.value.line == data[: data.index(b"lastmodified")].count(b"\n") + 1


def test_aliases_that_stand_for_very_much_are_refused() -> None:
    levels = ["  a0: &a0 x"]
    levels += [f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 20)}]" for i in range(1, 8)]
    bomb = FILE + ("\n".join(levels) + "\n").encode()
    with pytest.raises(ManifestError, match="more than"):
        read_sealed(bomb, "x")


@pytest.mark.parametrize("part", range(40))
def test_a_truncated_file_is_refused(part: int) -> None:
    size = len(FILE) * part // 40
    came = outcome(lambda: opened(FILE[:size]))
    # Without the end of the version's number it says all that it did.
    assert isinstance(came, GitOpsDRError) or (came == BODY and size > FILE.index(b"  version: "))


def test_a_regular_expression_that_never_ends_does_not_hold_us_up() -> None:
    data = FILE.replace(b"^(data|stringData)$", b"^(a+)+(a+)+$|^data$")
    body = {**read_sealed(data, "x").body, "a" * 900 + "b": "x"}
    plain = opened(canonical(body) + data[data.index(b"sops:") :])
    assert plain["data"] == BODY["data"]


# -- tampering ----------------------------------------------------------------------------------


def _meaning(data: bytes) -> Any:
    """What must not change unnoticed: every value that is not empty; SOPS leaves those alone."""
    body = opened(data)
    return {where: value for where, value in leaves(body) if where[0] in FIELDS and value != ""}


TAMPER = seal(
    secret(data={"password": ENCODED, "user": "eA==", "z": ""}, stringData={"t": "x"}),
    [KEY.recipient],
    now=NOW,
)


@given(
    st.integers(0, len(TAMPER) - 1),
    st.sampled_from(["replace", "delete", "insert", "repeat"]),
    st.binary(min_size=1, max_size=3),
)
def test_a_changed_byte_is_refused_or_changes_no_value(place: int, how: str, other: bytes) -> None:
    changed = {
        "replace": TAMPER[:place] + other + TAMPER[place + len(other) :],
        "delete": TAMPER[:place] + TAMPER[place + 1 :],
        "insert": TAMPER[:place] + other + TAMPER[place:],
        "repeat": TAMPER[: place + 1] + TAMPER[place:],
    }[how]
    came = outcome(lambda: _meaning(changed))
    if isinstance(came, GitOpsDRError):
        assert CANARY not in f"{came.message}{came.hint}"
    else:
        assert came == _meaning(TAMPER)


@given(st.data())
def test_lines_in_another_order_are_refused_or_change_no_value(data: st.DataObject) -> None:
    lines = TAMPER.splitlines(keepends=True)
    one, other = data.draw(st.tuples(*[st.integers(0, len(lines) - 1)] * 2))
    lines[one], lines[other] = lines[other], lines[one]
    came = outcome(lambda: _meaning(b"".join(lines)))
    assert isinstance(came, GitOpsDRError) or came == _meaning(TAMPER)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=5)
    | st.sampled_from(
        ["ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]", "2026-01-02T03:04:05Z", "^a$", "("]
    )
)
THINGS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["enc", "recipient", "a", "data", "sops"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)
BLOCK_KEYS = [
    *sorted(read_sealed(FILE, "x").metadata.raw),
    *("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_comment_regex"),
    *("kms", "pgp", "key_groups", "shamir_threshold"),
]


@given(st.dictionaries(st.sampled_from(BLOCK_KEYS), THINGS, max_size=3), THINGS, THINGS)
def test_any_block_gives_a_result_or_our_own_error(block: Any, data: Any, texts: Any) -> None:
    sealed = read_sealed(FILE, "x")
    body = {**sealed.body, "data": data, "stringData": texts}
    for one in (sealed.body, body):
        raw = canonical(one) + canonical({"sops": {**sealed.metadata.raw, **block}})
        came = outcome(lambda raw=raw: opened(raw))
        if not isinstance(came, GitOpsDRError):
            assert again(raw, came) == raw
            outcome(lambda raw=raw, plain=came: again(raw, {**plain, "kind": "Other"}))
            outcome(
                lambda raw=raw: rotate(read_sealed(raw, ""), [OTHER.recipient], KEY.identities, NOW)
            )


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_give_a_result_or_our_own_error(data: bytes) -> None:
    is_sealed(data)
    for one in (data, FILE + data, data + FILE):
        outcome(lambda one=one: opened(one))


# -- masking ------------------------------------------------------------------------------------


def test_no_value_and_no_key_in_what_is_shown() -> None:
    sealed = read_sealed(FILE, "db.yaml")
    shown = f"{sealed!r} {KEY.identities!r} {KEY.identities} {KEY.identities.found[0]!r}"
    for needle in (CANARY, ENCODED, KEY.text):
        assert needle not in shown
    from gitops_dr.secrets import sops

    inner = sops._opened(sealed, KEY.identities)
    draft = sops._Draft(BODY, {}, inner.cipher, sops._under_fields, only_encrypted=True)
    assert CANARY not in f"{inner!r}{draft!r}"
    assert ENCODED not in f"{inner!r}{draft!r}"
    assert repr(inner.data_key) not in repr(inner)


def test_no_value_in_a_traceback() -> None:
    bad = FILE.replace(b"user: ENC", b"usr: ENC")
    mixed = re.sub(rb"user: ENC\[[^]]+\]", f"user: {ENCODED}".encode(), FILE)
    for data in (bad, mixed):
        try:
            opened(data)
        except GitOpsDRError:
            text = traceback.format_exc()
            assert "db.yaml" in text
            assert CANARY not in text
            assert ENCODED not in text
        else:
            pytest.fail("it was opened")
