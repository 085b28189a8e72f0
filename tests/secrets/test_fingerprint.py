"""The HMAC by which a Secret is known again."""

import hashlib
import hmac

from gitops_dr.model import Ref
from gitops_dr.secrets.fingerprint import hmac_of, key_id

KEY = bytes(range(32))
REF = Ref("", "Secret", "shop", "db")


def test_it_is_what_its_specification_says() -> None:
    expected = hmac.new(KEY, b"shop/db\0kind: Secret\n", hashlib.sha256).hexdigest()
    assert hmac_of(KEY, REF, b"kind: Secret\n") == expected


def test_key_name_and_bytes_all_count() -> None:
    one = hmac_of(KEY, REF, b"a")
    assert one == hmac_of(KEY, REF, b"a")
    others = {
        hmac_of(KEY[::-1], REF, b"a"),
        hmac_of(KEY, Ref("", "Secret", "shop", "web"), b"a"),
        hmac_of(KEY, Ref("", "Secret", "web", "db"), b"a"),
        hmac_of(KEY, REF, b"b"),
    }
    assert len(others | {one}) == 5


def test_a_key_has_a_name_that_is_not_the_key() -> None:
    assert len(key_id(KEY)) == 16
    assert key_id(KEY) != key_id(KEY[::-1])
    assert key_id(KEY) not in KEY.hex()
