"""The recovery file that says who applied each object at the source: ``managers.yaml``. Pure.

``docs/format.md`` specifies it. Whoever applies manifests takes away what left them only as far as
the API server knows that it was theirs; a rebuild gives it back to them. It holds no times, so
that an unchanged cluster gives the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.versioned import as_text, misread, parse_versioned
from gitops_dr.model import Ref, parse_kind, parse_ref

FORMAT = 1
MANAGERS = "recovery/managers.yaml"
APPLY: Final = "Apply"
UPDATE: Final = "Update"

Fields = Mapping[str, Any]
"""A set of fields as ``managedFields`` has it (FieldsV1)."""


@dataclass(frozen=True, slots=True)
class Share:
    """Fields of an object that were somebody else's than those of who applied it."""

    manager: str
    operation: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Holder:
    """Who applied an object at the source."""

    manager: str
    operation: str
    """``Apply``, or ``Update`` for one that applies on the client's side."""
    last_applied: bool = False
    """The manifest stood in the annotation of ``kubectl apply``."""
    shares: tuple[Share, ...] = ()


def write_managers(holders: Mapping[Ref, Holder]) -> bytes | None:
    """Write the bytes of ``managers.yaml``; None if nobody applied anything."""
    if not holders:
        return None
    grouped: dict[tuple[str, str, bool], dict[str, dict[str, list[str]]]] = {}
    shared = []
    for ref in sorted(holders, key=lambda ref: (ref.group, ref.kind, ref.namespace, ref.name)):
        holder = holders[ref]
        key = (holder.manager, holder.operation, holder.last_applied)
        kind = f"{ref.kind}.{ref.group}" if ref.group else ref.kind
        place = grouped.setdefault(key, {}).setdefault(kind, {})
        place.setdefault(ref.namespace, []).append(ref.name)
        shared += [
            {
                "fields": orjson.dumps(share.fields, option=orjson.OPT_SORT_KEYS).decode(),
                "manager": share.manager,
                "operation": share.operation,
                "ref": str(ref),
            }
            for share in holder.shares
        ]
    return canonical(
        {
            "format": FORMAT,
            "managers": [
                {
                    "lastApplied": last_applied,
                    "manager": manager,
                    "objects": {
                        kind: [
                            {"names": names, "namespace": namespace}
                            for namespace, names in sorted(places.items())
                        ]
                        for kind, places in sorted(kinds.items())
                    },
                    "operation": operation,
                }
                for (manager, operation, last_applied), kinds in sorted(grouped.items())
            ],
            "shared": shared,
        }
    )


def read_managers(data: bytes, path: str) -> dict[Ref, Holder]:
    """Read ``managers.yaml``. Raises ``RepositoryError`` if it is not one, or of a newer format."""
    document = parse_versioned(data, path, FORMAT)
    with misread(path, "a file of field managers"):
        shares: dict[Ref, list[Share]] = {}
        for entry in document["shared"]:
            share = Share(
                as_text(entry["manager"]), _operation(entry["operation"]), _fields(entry["fields"])
            )
            shares.setdefault(parse_ref(entry["ref"]), []).append(share)
        return {
            ref: Holder(
                as_text(entry["manager"]),
                _operation(entry["operation"]),
                bool(entry["lastApplied"]),
                tuple(shares.get(ref, ())),
            )
            for entry in document["managers"]
            for kind, places in entry["objects"].items()
            for place in places
            for name in place["names"]
            for ref in [_ref(kind, place["namespace"], name)]
        }


def _ref(kind: str, namespace: str, name: str) -> Ref:
    return Ref(*parse_kind(kind), as_text(namespace), as_text(name))


def _operation(value: object) -> str:
    if value not in (APPLY, UPDATE):
        raise ValueError(f"{value!r} is neither {APPLY} nor {UPDATE}")
    return str(value)


def _fields(value: object) -> Fields:
    fields = orjson.loads(as_text(value))
    if not isinstance(fields, dict):
        raise TypeError("a set of fields is not a map")
    return fields
