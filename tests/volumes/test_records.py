"""Snapshot records: what is written is read back; anything else is refused in one line."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volumes_samples import RECORD

from gitops_dr.errors import RepositoryError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse_document
from gitops_dr.model import Ref
from gitops_dr.volumes.records import (
    Hooks,
    SnapshotRecord,
    read_record,
    record_path,
    write_record,
)


def test_a_record_is_read_back() -> None:
    assert read_record(write_record(RECORD), "r.yaml") == RECORD
    plain = replace(RECORD, owner=None, ordinal=None, topology=(), hooks=Hooks())
    assert read_record(write_record(plain), "r.yaml") == plain


_TEXTS = [f.name for f in fields(SnapshotRecord) if f.type == "str"]


@given(st.sampled_from(_TEXTS), st.text(min_size=1).filter(lambda t: t.isprintable()))
def test_any_text_comes_back(name: str, text: str) -> None:
    record = replace(RECORD, **{name: text})
    assert read_record(write_record(record), "r.yaml") == record


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("snapshot", "handle"), ""),
        (("snapshot", "handle"), 7),
        (("snapshot", "driver"), None),
        (("snapshot", "restoreSize"), -1),
        (("snapshot", "restoreSize"), True),
        (("snapshot", "survives"), "everything"),
        (("claim", "accessModes"), None),
        (("claim", "topology"), [["zone"]]),
        (("hooks", "frozenSeconds"), "long"),
        (("owner", "ref"), "no-ref"),
        (("owner", "ordinal"), "0"),
    ],
)
def test_nonsense_is_refused(path: tuple[str, str], value: object) -> None:
    document = parse_document(write_record(RECORD), "r.yaml")
    document[path[0]][path[1]] = value
    with pytest.raises(RepositoryError, match=r"^r\.yaml: not a snapshot record"):
        read_record(canonical(document), "r.yaml")


def test_a_newer_format_is_refused() -> None:
    data = write_record(RECORD).replace(b"format: 1", b"format: 2")
    with pytest.raises(RepositoryError, match="format 2"):
        read_record(data, "r.yaml")


def test_the_place_follows_from_the_claim() -> None:
    assert record_path(RECORD.ref) == "recovery/volumes/shop/data-db-0.yaml"
    assert record_path(Ref("", "PersistentVolumeClaim", "a", "..")).count("/") == 3


@pytest.mark.parametrize(
    ("created", "moment"),
    [
        ("2026-11-26T10:45:00Z", datetime(2026, 11, 26, 10, 45, tzinfo=UTC)),
        ("2026-11-26T10:45:00", None),
        ("yesterday", None),
    ],
)
def test_when_the_data_was_cut(created, moment) -> None:
    assert replace(RECORD, created=created).moment == moment
