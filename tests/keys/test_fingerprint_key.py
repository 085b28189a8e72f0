"""The key by which Secrets are known again, as a person gives it."""

import base64

import pytest

from gitops_dr.errors import UsageError
from gitops_dr.keys.fingerprint_key import KEY_FILE, given_fingerprint_key

KEY = bytes(range(32))


@pytest.mark.parametrize("data", [KEY, base64.b64encode(KEY), base64.b64encode(KEY) + b"\n"])
def test_bytes_or_base64(tmp_path, data):
    file = tmp_path / "key"
    file.write_bytes(data)
    assert given_fingerprint_key({KEY_FILE: str(file)}) == KEY


@pytest.mark.parametrize("environment", [{}, {KEY_FILE: ""}])
def test_none_need_be_given(environment):
    assert given_fingerprint_key(environment) is None


@pytest.mark.parametrize(
    "data", [b"", KEY[:-1], base64.b64encode(KEY[:-1]), b"hunter22", b"x" * 2000]
)
def test_what_is_no_key_is_refused_and_not_quoted(tmp_path, data):
    file = tmp_path / "key"
    file.write_bytes(data)
    with pytest.raises(UsageError, match="no key of 32 bytes") as caught:
        given_fingerprint_key({KEY_FILE: str(file)})
    assert "hunter22" not in str(caught.value)
    assert caught.value.hint


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        given_fingerprint_key({KEY_FILE: str(tmp_path / "none")})
