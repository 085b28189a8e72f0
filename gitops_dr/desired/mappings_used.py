"""Knows by which names of a target's mappings something is called, and tells the others. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from gitops_dr.desired.target import Mappings


class _Noted(dict[str, str]):
    """Names and what they become, which notes the ones that were looked up."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__(names)
        self.used: set[str] = set()

    def __getitem__(self, key: str) -> str:
        self.used.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        found = super().get(key, default)
        if key in self:
            self.used.add(key)
        return found


_OF_OBJECTS: Final = {
    "images": "images",
    "namespaces": "namespaces",
    "hosts": "hosts",
    "storageClasses": "storage_classes",
    "ingressClasses": "ingress_classes",
    "serviceTypes": "service_types",
    "nodeSelectors": "node_labels",
}
"""The mappings that are about objects, by the names that people write. Those about snapshots are
looked up only where data comes back."""


def noted(mappings: Mappings) -> Mappings:
    """The same mappings, of which :func:`unused` tells those that nothing was called by."""
    return replace(
        mappings, **{key: _Noted(getattr(mappings, key)) for key in _OF_OBJECTS.values()}
    )


def unused(mappings: Mappings) -> Iterator[tuple[str, str]]:
    """Each name that nothing was called by so far, with what ``target.yaml`` calls its mapping."""
    for name, key in _OF_OBJECTS.items():
        names = getattr(mappings, key)
        yield from ((name, old) for old in names if old not in names.used)
