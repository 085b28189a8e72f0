"""What others say of a Secret, without its values."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.secrets.masking import without_values_of


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(**values):
    return {"kind": "Secret", "data": {key: coded(value) for key, value in values.items()}}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("denied: password hunter22 is weak", "denied: password *** is weak"),
        (f"Invalid value: {coded('hunter22')!r}", "Invalid value: '***'"),
        ("pin ab is short, about nothing else", "pin *** is short, about nothing else"),
        ("line-one-of-it is bad", "*** is bad"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_values_are_masked_encoded_or_not(said, shown):
    body = secret(password="hunter22", pin="ab", text="line-one-of-it\nline-two-of-it\n", none="")
    assert without_values_of(body, said) == shown


def test_values_that_are_written_plain_are_masked_too():
    body = {"stringData": {"a": "hunter22"}, "data": {"b": "not base64!", "n": 12345}}
    said = "hunter22, not base64! and 12345"
    assert without_values_of(body, said) == "***, *** and ***"


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": ["x"]}, {"data": {"a": None}}])
def test_whatever_a_file_has_in_their_place(body):
    assert "said" in without_values_of(body, "said")


@given(st.text(min_size=4), st.text())
def test_no_value_of_some_length_is_left(value, around):
    said = f"{around}{value}{around}{coded(value)}"
    shown = without_values_of(secret(v=value), said)
    assert value not in shown or value in "***"
