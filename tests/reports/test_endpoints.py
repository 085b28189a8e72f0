"""What changed outside, for a person and for a program."""

import json

import jsonschema
import pytest

from gitops_dr.desired.outside import Affects, Changed, Outside
from gitops_dr.model import Ref
from gitops_dr.reports.endpoints import document, lines
from gitops_dr.resources import shipped

SCHEMA = json.loads(shipped("reports/schemas/outside.json").read_text(encoding="utf-8"))
WEB = Ref("networking.k8s.io", "Ingress", "shop", "web")
OLD = ("203.0.113.7,", "203.0.113.8")
HOSTILE = "a\x1b[2J\nGaps:\u202e\u2066x"
DNS = Changed(
    Affects.DNS,
    "shop.example.com",
    ("203.0.113.7", "203.0.113.8"),
    ("198.51.100.7",),
    "point it there",
    host="shop.standby.example",
    refs=(WEB,),
)
PENDING = Changed(Affects.ADDRESS, "Service/shop/edge", ("203.0.113.9",), (), "wait", pending=True)
TOKENS = Changed(Affects.TOKENS, "", (), (), "give new ones")


def test_for_a_person() -> None:
    head, rule, *rows = lines(Outside((DNS, PENDING, TOKENS)))
    assert head.split() == ["CHANGED", "OUTSIDE", "OF", "OLD", "NEW", "TO", "DO"]
    assert set(rule) <= {"─", " "}
    shown = [" ".join(row.split()) for row in rows]
    assert shown == [
        f"DNS shop.example.com -> shop.standby.example {' '.join(OLD)} 198.51.100.7 point it there",
        "address Service/shop/edge 203.0.113.9 pending wait",
        "tokens unknown none give new ones",
    ]


def test_a_name_that_only_one_side_has() -> None:
    gone, new = (
        Changed(Affects.DNS, "old.example.com", (), (), "a"),
        Changed(Affects.DNS, "", (), (), "b", host="new.example.com"),
    )
    rows = lines(Outside((gone, new)))[2:]
    assert [row.split()[1] for row in rows] == ["old.example.com", "new.example.com"]


def test_nothing_to_tell() -> None:
    assert lines(None) == []
    assert lines(Outside()) == ["Nothing changed outside."]
    [line] = lines(Outside(recorded=False))
    assert "does not say by what the source was known" in line
    assert lines(Outside((DNS,), recorded=False))[0] == line


def test_for_a_program() -> None:
    found = document(Outside((DNS, PENDING, TOKENS)))
    jsonschema.validate(found, SCHEMA)
    assert found is not None
    assert found["changes"][0] == {
        "affects": "dns",
        "subject": "shop.example.com",
        "host": "shop.standby.example",
        "old": ["203.0.113.7", "203.0.113.8"],
        "new": ["198.51.100.7"],
        "pending": False,
        "refs": [
            {"group": "networking.k8s.io", "kind": "Ingress", "namespace": "shop", "name": "web"}
        ],
        "todo": "point it there",
    }
    jsonschema.validate(document(None), SCHEMA)
    jsonschema.validate(document(Outside(recorded=False)), SCHEMA)


@pytest.mark.parametrize("affects", list(Affects))
def test_the_schema_knows_every_sort(affects: Affects) -> None:
    found = document(Outside((Changed(affects, "", (), (), "x"),)))
    jsonschema.validate(found, SCHEMA)
    assert lines(Outside((Changed(affects, "", (), (), "x"),)))[2].endswith("x")


@pytest.mark.parametrize("key", ["recorded", "changes", "other"])
def test_the_schema_refuses_what_is_not_in_it(key: str) -> None:
    found = document(Outside((DNS,)))
    assert found is not None
    if key in found:
        del found[key]
    else:
        found[key] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, SCHEMA)


def test_hostile_names_are_shown() -> None:
    change = Changed(Affects.DNS, HOSTILE, (HOSTILE,), (HOSTILE,), HOSTILE, host=HOSTILE)
    text = "\n".join(lines(Outside((change,))))
    assert not {"\x1b", "\u202e", "\u2066"} & set(text)
    assert len(text.splitlines()) == 3
