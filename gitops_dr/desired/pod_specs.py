"""Says where the kinds of Kubernetes have their pod spec: rows of ``mappings.yaml``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import yamlrocks

from gitops_dr.manifests.fieldpath import FieldPath, parse_fieldpath
from gitops_dr.resources import shipped

GroupKind = tuple[str, str]


@cache
def pod_spec_paths() -> Mapping[GroupKind, FieldPath]:
    """Where each of these kinds keeps its pod spec."""
    rows = yamlrocks.loads(shipped("desired/mappings.yaml").read_bytes())["podSpecs"]
    return {group_kind(row["kind"]): parse_fieldpath(row["at"]) for row in rows}


def group_kind(text: str) -> GroupKind:
    """Read ``Kind[.group]``."""
    kind, _, group = text.partition(".")
    return group, kind
