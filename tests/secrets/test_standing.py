"""Who must be able to open a file, and how recipients are told apart and called."""

import pytest

from gitops_dr.secrets.policy import SecretSettings
from gitops_dr.secrets.standing import called, lacking, wanted

SETTINGS = SecretSettings(recipients=("a", "b"), required_recipients={"first": "a"})


@pytest.mark.parametrize(
    ("rule", "settings", "expected"),
    [
        ((), SecretSettings(), ()),
        ((), SETTINGS, ("a", "b")),
        (("c",), SETTINGS, ("c", "a")),
        (("a", "c"), SETTINGS, ("a", "c")),
        (("c",), SecretSettings(), ("c",)),
    ],
)
def test_who_must_be_able_to_open_a_file(rule, settings, expected):
    assert wanted(rule, settings) == expected


def test_comments_of_ssh_keys_do_not_count():
    key, other = "ssh-ed25519 AAAAC3Nza me@here", "ssh-ed25519 AAAAC3Nzb me@here"
    assert lacking([key], ["ssh-ed25519 AAAAC3Nza"]) == ()
    assert lacking(["ssh-ed25519  AAAAC3Nza"], [key]) == ()
    assert lacking([key], [other]) == (key,)
    assert lacking(["a", "b", "c"], ["b"]) == ("a", "c")


def test_a_recipient_is_called_by_its_name_or_its_beginning():
    assert called("age1abc", {"age1abc": "standby"}) == "standby"
    assert called("age1abc", {}) == "age1abc"
    assert called("age1" + "q" * 58, {}) == "age1qqqqqqqqqq…"
