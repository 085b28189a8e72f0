"""Says where the kinds of Kubernetes have their pod spec: rows of ``mappings.yaml``. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.manifests.fieldpath import FieldPath, get, parse_fieldpath
from gitops_dr.model import Body, Ref, parse_kind
from gitops_dr.resources import shipped

GroupKind = tuple[str, str]


@cache
def pod_spec_paths() -> Mapping[GroupKind, FieldPath]:
    """Where each of these kinds keeps its pod spec."""
    rows = yamlrocks.loads(shipped("desired/mappings.yaml").read_bytes())["podSpecs"]
    return {parse_kind(row["kind"]): parse_fieldpath(row["at"]) for row in rows}


def image_names(ref: Ref, body: Body) -> Iterator[str]:
    """The images of an object's containers, as it names them but without tag and digest."""
    path = pod_spec_paths().get(ref.group_kind)
    containers: Iterable[Any] = get(body, (*path, "containers")) or () if path else ()
    for each in containers:
        if isinstance(each, dict):
            image = str(each.get("image", ""))
            above, slash, last = image.partition("@")[0].rpartition("/")
            yield above + slash + last.partition(":")[0]
