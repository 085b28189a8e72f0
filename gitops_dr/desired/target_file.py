"""Reads ``targets/<name>/target.yaml``: what is other at a target, and why. Pure.

``target.schema.json`` is its JSON Schema, for editors; ``docs/targets.md`` explains it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from gitops_dr.desired.target import (
    DeclaredField,
    Form,
    Holds,
    Kept,
    Mappings,
    Namespaces,
    Patch,
    Standby,
    Strategy,
    Target,
)
from gitops_dr.errors import UsageError
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.manifests.parse import parse_document
from gitops_dr.manifests.selector import Labels, ObjectSelector, equal_labels, parse_labels
from gitops_dr.model import Body

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

TARGETS: Final = "targets"
FILE: Final = "target.yaml"
FORMAT: Final = 1

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_VALUE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SEE: Final = "see docs/targets.md for what it may hold"


def check_target_name(name: str) -> None:
    """Raise ``UsageError`` unless ``name`` is a DNS label: it is a folder."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"target {name!r}: not a name for a target",
            hint="lower-case letters, digits and dashes, at most 63",
        )


def read_target(data: bytes, name: str) -> Target:
    """Read the file of the target ``name``.

    Raises ``ManifestError`` for what is no YAML mapping, and ``UsageError``, which names the key,
    for one that does not fit; of an unknown key it says which one is near.
    """
    place = f"{TARGETS}/{name}/{FILE}"
    document = parse_document(data, place)
    found = document.get("format", FORMAT)
    if found != FORMAT:
        raise UsageError(
            f"{place}: format {found!r}, and this version of gitops-dr reads format {FORMAT}",
            hint="use a newer version of gitops-dr",
        )
    from pydantic import ValidationError

    model, known = _shape()
    try:
        written = model.model_validate(document).model_dump(by_alias=True, exclude_none=True)
    except ValidationError as error:
        raise _misfit(error, known, place) from error
    return _Reader(place).target(name, written)


def schema_text() -> str:
    """The JSON Schema of the file, as it is shipped."""
    model, _ = _shape()
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(by_alias=True),
        "title": "gitops-dr target.yaml",
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _shape() -> tuple[type[BaseModel], dict[str, list[str]]]:
    """The model of the file, and the keys that are known at each place of it."""
    from pydantic import BaseModel, ConfigDict, Field

    class Model(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)

    class Selected(Model):
        group: str | None = Field(None, description="API group; empty is the core group.")
        kind: str | None = Field(None, min_length=1)
        namespace: str | None = Field(None, description="The source's; empty: cluster-scoped.")
        name: str | None = Field(None, min_length=1)
        labels: str | dict[str, str] | None = Field(None, description="The source's, as for -l.")
        because: str = Field(description="Why it is other there, for whoever reads it later.")

    class PatchShape(Selected):
        """What is other at the target in the objects chosen; exactly one form."""

        strategic: dict[str, Any] | None = Field(
            None, description="A strategic merge patch, as kubectl patch takes it."
        )
        json6902: list[dict[str, Any]] | None = Field(None, description="A JSON Patch.")

    class StandbyShape(Model):
        """How a warm target is at rest."""

        runs: list[Selected] | None = Field(
            None, alias="except", description="Workloads that run all the same."
        )

    class FieldShape(Model):
        """A field of which nobody else knows what it holds, as of custom resources."""

        group: str = Field("", description="API group; empty is the core group.")
        kind: str = Field(min_length=1)
        path: str = Field(description="Such as spec.image, or spec.hosts[*].name.")
        holds: Literal[
            "image",
            "host",
            "namespace",
            "account",
            "dns",
            "object",
            "storageClass",
            "snapshotClass",
            "handle",
            "ingressClass",
            "serviceType",
            "nodeLabels",
            "nodeRequirements",
            "namespaceRequirements",
        ]

    class NamespacesShape(Model):
        """Which of the source's namespaces the target has; patterns."""

        include: list[str] | None = None
        exclude: list[str] | None = None

    class MappingsShape(Model):
        """What is called otherwise at the target: the source's name, then the target's."""

        images: dict[str, str] | None = Field(None, description="Beginnings; the longest counts.")
        namespaces: dict[str, str] | None = None
        hosts: dict[str, str] | None = Field(
            None, description="One that begins with a dot stands for all that end so."
        )
        storageClasses: dict[str, str] | None = None  # noqa: N815 - as people write it
        snapshotClasses: dict[str, str] | None = None  # noqa: N815
        handles: dict[str, str] | None = Field(
            None, description="Of snapshots and volumes; with a * at the end, of all that begin so."
        )
        ingressClasses: dict[str, str] | None = None  # noqa: N815
        serviceTypes: dict[str, str] | None = None  # noqa: N815
        nodeSelectors: dict[str, str] | None = Field(  # noqa: N815
            None, description="key=value to key=value; to nothing: not asked for there."
        )

    class File(Model):
        """What is other at a target than at the source, and why."""

        format: Literal[1] = 1
        cluster: str | None = Field(None, min_length=1, description="Whose target it is.")
        context: str | None = Field(None, min_length=1, description="Kubeconfig context.")
        uid: str | None = Field(
            None, min_length=1, description="UID of its kube-system namespace; no other is written."
        )
        strategy: Literal["cold", "warm", "hot"] | None = Field(
            None,
            description="What is there before a failover. cold: nothing; warm: everything, at "
            "rest; hot: everything, and it runs, but for what acts outward (the default).",
        )
        active: bool | None = Field(
            None, description="It has been failed over to; gitops-dr failover writes this."
        )
        namespaces: NamespacesShape | None = None
        mappings: MappingsShape | None = None
        fields_: list[FieldShape] | None = Field(None, alias="fields")
        standby: StandbyShape | None = None
        values: dict[str, Any] | None = Field(
            None, description="For ${values.NAME} in patches, and templates."
        )
        patches: list[PatchShape] | None = None

    shapes: dict[str, type[BaseModel]] = {
        "": File,
        "namespaces": NamespacesShape,
        "mappings": MappingsShape,
        "fields": FieldShape,
        "standby": StandbyShape,
        "standby.except": Selected,
        "patches": PatchShape,
    }
    known = {
        place: [each.alias or name for name, each in shape.model_fields.items()]
        for place, shape in shapes.items()
    }
    return File, known


def _misfit(error: ValidationError, known: Mapping[str, list[str]], place: str) -> UsageError:
    """Say the first thing that does not fit; ``known`` has the keys that may stand at each path."""
    errors = error.errors(include_input=False, include_url=False)
    # A misspelt key is unknown, and mostly another is missing for it.
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    path = ".".join(part for part in first["loc"][:-1] if isinstance(part, str))
    unknown = first["type"] == "extra_forbidden"
    near = _near(str(first["loc"][-1]), known.get(path, [])) if unknown else ""
    what = "unknown key" if unknown else first["msg"]
    return UsageError(f"{place}: {where.removeprefix('.')}: {what}", hint=near or _SEE)


def _near(word: str, known: list[str]) -> str:
    match = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {match[0]!r}?" if match else ""


class _Reader:
    """Makes a target of a file that has the shape."""

    def __init__(self, place: str) -> None:
        self._place = place

    def target(self, name: str, written: Mapping[str, Any]) -> Target:
        values = written.get("values") or {}
        for key in values:
            if not _VALUE_NAME.fullmatch(key):
                raise self._refuse(f"values.{key}", "is no name", "letters, digits and _")
        spaces = written.get("namespaces") or {}
        return Target(
            name=name,
            cluster=written.get("cluster", ""),
            context=written.get("context", ""),
            uid=written.get("uid", ""),
            mappings=self._mappings(written.get("mappings") or {}),
            fields=tuple(
                self._field(f"fields[{i}]", one) for i, one in enumerate(written.get("fields", ()))
            ),
            namespaces=Namespaces(
                tuple(spaces.get("include", ("*",))), tuple(spaces.get("exclude", ()))
            ),
            strategy=Strategy(written.get("strategy", Strategy.HOT)),
            active=written.get("active", False),
            standby=self._standby(written.get("standby") or {}),
            patches=tuple(
                self._patch(f"patches[{i}]", one)
                for i, one in enumerate(written.get("patches", ()))
            ),
            values=values,
        )

    def _mappings(self, written: Mapping[str, Mapping[str, str]]) -> Mappings:
        for key, pairs in written.items():
            for old, new in pairs.items():
                for problem in _problems(key, old, new):
                    raise self._refuse(f"mappings.{key}", f"{old!r} to {new!r}: {problem}")
        return Mappings(
            storage_classes=written.get("storageClasses", {}),
            snapshot_classes=written.get("snapshotClasses", {}),
            handles=written.get("handles", {}),
            images=written.get("images", {}),
            namespaces=written.get("namespaces", {}),
            hosts=written.get("hosts", {}),
            node_labels=written.get("nodeSelectors", {}),
            ingress_classes=written.get("ingressClasses", {}),
            service_types=written.get("serviceTypes", {}),
        )

    def _field(self, where: str, written: Mapping[str, Any]) -> DeclaredField:
        path = self._read(f"{where}.path", written["path"], parse_fieldpath)
        return DeclaredField(written["group"], written["kind"], path, Holds(written["holds"]))

    def _standby(self, written: Mapping[str, Any]) -> Standby:
        kept = tuple(
            Kept(self._selector(where, one), self._because(where, one))
            for i, one in enumerate(written.get("except", ()))
            for where in [f"standby.except[{i}]"]
        )
        return Standby(kept)

    def _patch(self, where: str, written: Mapping[str, Any]) -> Patch:
        forms = [form for form in Form if form.value in written]
        if len(forms) != 1:
            raise self._refuse(where, "takes exactly one of strategic and json6902")
        return Patch(
            place=f"{self._place}: {where}",
            selector=self._selector(where, written),
            form=forms[0],
            content=written[forms[0].value],
            because=self._because(where, written),
        )

    def _because(self, where: str, written: Mapping[str, Any]) -> str:
        because: str = written["because"].strip()
        if not because:
            hint = "say why it is other there, for whoever reads it later"
            raise self._refuse(f"{where}.because", "says nothing", hint)
        return because

    def _selector(self, where: str, written: Mapping[str, Any]) -> ObjectSelector:
        if not {"group", "kind", "namespace", "name", "labels"} & written.keys():
            raise self._refuse(where, "names no objects", "say kind, name, namespace or labels")
        labels: Labels = ()
        if "labels" in written:
            labels = self._read(f"{where}.labels", written["labels"], _labels)
        return ObjectSelector(
            group=written.get("group"),
            kind=written.get("kind"),
            namespace=written.get("namespace"),
            name=written.get("name"),
            labels=labels,
        )

    def _read[T](self, where: str, written: Any, reader: Callable[[Any], T]) -> T:
        try:
            return reader(written)
        except ValueError as error:
            raise self._refuse(where, str(error)) from error

    def _refuse(self, where: str, problem: str, hint: str = "") -> UsageError:
        return UsageError(f"{self._place}: {where}: {problem}", hint=hint or _SEE)


def _labels(written: str | Body) -> Labels:
    return parse_labels(written) if isinstance(written, str) else equal_labels(written)


def _problems(key: str, old: str, new: str) -> Iterator[str]:
    """Why a pair of a mapping makes no sense."""
    if not old or (not new and key not in ("nodeSelectors", "images")):
        yield "one of them is empty"
    if key == "namespaces" and not _NAME.fullmatch(new):
        yield "no name for a namespace"
    if key == "hosts" and old.startswith(".") != new.startswith("."):
        yield "both begin with a dot, or neither does"
    if key == "handles" and old.endswith("*") != new.endswith("*"):
        yield "both end with *, or neither does"
    if key == "nodeSelectors" and ("=" not in old or (new and "=" not in new)):
        yield "no label such as key=value"
