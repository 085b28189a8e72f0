"""How one run knows Secrets again, opens and seals them."""

from datetime import UTC, datetime

import pyrage
import pytest

from gitops_dr.desired.secret_records import ExternalSecret, SecretRecord, SecretRecords
from gitops_dr.engine.sealing import NO_RECIPIENTS, Sealing, has_values
from gitops_dr.errors import RefusedError, SecretError
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Ref
from gitops_dr.secrets.fingerprint import key_id
from gitops_dr.secrets.identities import Identities, parse_identities
from gitops_dr.secrets.policy import Policy
from gitops_dr.secrets.sops import read_sealed, seal

REF = Ref("", "Secret", "shop", "db")
PATH = "namespaces/shop/secrets/db.yaml"
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
BLOB = "b" * 40


def secret(**data: str):
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop"},
        "data": data,
    }


PLAIN = secret(password="aHVudGVyMg==")


@pytest.fixture(scope="module")
def identity():
    return pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def recipient(identity) -> str:
    return str(identity.to_public())


@pytest.fixture
def found(identity) -> Identities:
    return parse_identities(str(identity), "here")


def records(key: bytes = KEY, body=PLAIN) -> SecretRecords:
    mac = Sealing(key=key).hmac(REF, canonical(body))
    return SecretRecords(key_id(key), {REF: SecretRecord(mac, BLOB)})


def test_a_known_secret_has_the_fingerprint_of_its_file():
    sealing = Sealing(key=KEY, records=records())
    assert sealing.fingerprint(sealing.hmac(REF, canonical(PLAIN))) == BLOB
    changed = sealing.hmac(REF, canonical(secret(password="YW5vdGhlcg==")))
    assert sealing.fingerprint(changed) == changed
    assert sealing.can_tell
    assert sealing.told(BLOB) == BLOB


def test_two_secrets_of_one_value_are_not_seen_to_be_so():
    sealing = Sealing(key=KEY)
    other = Ref("", "Secret", "shop", "other")
    assert sealing.hmac(REF, canonical(PLAIN)) != sealing.hmac(other, canonical(PLAIN))


@pytest.mark.parametrize("key", [None, OTHER_KEY])
def test_by_another_key_or_none_nothing_is_known_again(key, found):
    sealing = Sealing(key=key, records=records())
    assert sealing.fingerprint(sealing.hmac(REF, canonical(PLAIN))) != BLOB
    assert sealing.known == {}
    assert not sealing.can_tell
    assert Sealing(key=key, records=records(), find=lambda: found).can_tell
    assert Sealing(key=key, records=records(), anew=True).can_tell


def test_an_opened_file_that_says_the_same_is_the_same():
    sealing = Sealing(key=None, records=records())
    running = sealing.fingerprint(sealing.hmac(REF, canonical(PLAIN)))
    assert sealing.fingerprint_of_file(REF, BLOB, PLAIN) == running
    assert sealing.fingerprint_of_file(REF, "c" * 40, secret(password="eA==")) != running


def test_nobody_is_asked_for_keys_before_one_is_needed(recipient):
    def find():
        raise AssertionError

    sealing = Sealing(key=KEY, records=records(), find=find, recipients=lambda _path: [recipient])
    assert sealing.can_tell
    assert sealing.sealed(PLAIN, PATH, None)


def test_the_records_of_a_run_without_a_key_are_those_before():
    before = records()
    external = {REF: ExternalSecret("external", ("a",))}
    made = Sealing(key=None, records=before).records_of({}, external)
    assert (made.key_id, made.sealed, made.external) == (before.key_id, before.sealed, external)
    assert Sealing(key=KEY).records_of({}, {}) == SecretRecords()


def test_without_recipients_a_secret_is_left_out_and_cannot_be_sealed(recipient):
    assert Sealing().decide(REF, PLAIN) is NO_RECIPIENTS
    with pytest.raises(RefusedError, match="nobody is named who could open it"):
        Sealing().sealed(PLAIN, PATH, None)
    decided = Sealing(
        prefix="clusters/prod",
        recipients=lambda path: [recipient] * (path == f"clusters/prod/{PATH}"),
    )
    assert decided.decide(REF, PLAIN).policy is Policy.ENCRYPT


def test_an_unchanged_one_stays_the_file_that_it_was(recipient, found):
    sealing = Sealing(recipients=lambda _path: [recipient], find=lambda: found)
    first = sealing.sealed(PLAIN, PATH, None)
    assert sealing.sealed(PLAIN, PATH, first) == first
    assert sealing.opened(first, PATH) == PLAIN
    # Nobody who cannot open it can keep it.
    assert Sealing(recipients=lambda _path: [recipient]).sealed(PLAIN, PATH, first) != first


def test_a_file_that_is_none_any_more_is_written_anew(recipient, found):
    sealing = Sealing(recipients=lambda _path: [recipient], find=lambda: found)
    assert sealing.opened(sealing.sealed(PLAIN, PATH, b"kind: Secret\n"), PATH) == PLAIN


def test_keys_that_only_sops_can_encrypt_to_are_not_lost(recipient, found):
    text = seal(PLAIN, [recipient], now=datetime.now(UTC)).decode()
    kms = "  kms:\n  - arn: arn:aws:kms:x\n    created_at: '2026-01-01T00:00:00Z'\n    enc: AQ==\n"
    data = text.replace("sops:\n", f"sops:\n{kms}").encode()
    assert read_sealed(data, PATH).other_keys == ("kms",)
    sealing = Sealing(recipients=lambda _path: [recipient], find=lambda: found)
    with pytest.raises(SecretError, match=r"keys of other kinds too \(kms\)"):
        sealing.sealed(secret(password="eA=="), PATH, data)


@pytest.mark.parametrize(
    ("body", "expected"),
    [(PLAIN, True), (secret(), False), ({"stringData": {"a": "b"}}, True), ({"data": None}, False)],
)
def test_only_values_are_sealed(body, expected):
    assert has_values(body) is expected
