"""Which data a claim holds, by what it was made from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from volumes_samples import RECORD

from gitops_dr.model import Ref
from gitops_dr.volumes.held_data import has_volume, other_data
from gitops_dr.volumes.restore import restored_name

CLAIM = Ref("", "PersistentVolumeClaim", "shop", "data")
HERE = "uid-of-the-target"


def live(uid: str = "other", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": "data", "namespace": "shop"}, "spec": spec}


def source(name: str, kind: str = "VolumeSnapshot") -> dict[str, str]:
    return {"apiGroup": "snapshot.storage.k8s.io", "kind": kind, "name": name}


RIGHT = restored_name(CLAIM, RECORD, HERE)
OLDER = restored_name(CLAIM, replace(RECORD, handle="an-older-one"), HERE)

CASES = [
    pytest.param(live(dataSourceRef=source(RIGHT)), "", id="filled from it"),
    pytest.param(live(uid=RECORD.claim_uid), "", id="the claim that it is of"),
    pytest.param(live(), "holds data of its own", id="made by nobody of us"),
    pytest.param(live(dataSourceRef=source(OLDER)), f"another snapshot ({OLDER})", id="older"),
    pytest.param(
        live(dataSourceRef=source(RIGHT, "PersistentVolumeClaim")), "data of its own", id="a clone"
    ),
    pytest.param(
        live(dataSourceRef=source(restored_name(CLAIM, RECORD, "elsewhere"))),
        "another snapshot",
        id="of another cluster",
    ),
]


@pytest.mark.parametrize(("body", "why"), CASES)
def test_which_data(body: Any, why: str) -> None:
    said = other_data(CLAIM, body, RECORD, HERE)
    assert why in said
    assert bool(said) is bool(why)


def test_whether_it_has_a_volume() -> None:
    assert has_volume(live(volumeName="pv-1"))
    assert not has_volume(live())
