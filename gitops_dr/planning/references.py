"""Finds which objects an object refers to, by the rows of ``references.yaml``.

Pure; reads only that shipped file, once. The rows of a kind are compiled into one tree of field
names, so that a body is walked once and only where it has fields. A field that is missing or of an
odd type is no reference, never an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.manifests.fieldpath import EVERY, FieldPath, format_fieldpath, parse_fieldpath
from gitops_dr.model import ANY, Body, Need, Ref, parse_kind
from gitops_dr.resources import shipped

_POD_SPECS = "pod specs"
_EVERY_OBJECT = "every object"
_NAMESPACED = "namespaced objects"
_CUSTOM = "custom resources"


@dataclass(frozen=True, slots=True)
class References:
    """What one object refers to: one Need for each Ref, sorted.

    A Need whose name ends with ``ANY`` stands for every object of its kind and namespace whose
    name begins so.
    """

    needs: tuple[Need, ...] = ()
    optional: frozenset[Ref] = frozenset()
    """Those whose absence is expected, so that nobody has to be told of it."""
    completes: tuple[Ref, ...] = ()
    """Objects that are not whole without this one, as an account without its bindings."""
    makes: tuple[Ref, ...] = ()
    """Objects that this one makes where nobody else brings them, as a certificate its Secret."""
    yielding: frozenset[Ref] = frozenset()
    """Those that are the first not to be waited for where objects need each other."""
    has_data: bool = False
    """Of a claim: whether one of these brings its data (snapshot, clone, existing volume)."""


@dataclass(frozen=True, slots=True)
class PodSpec:
    """Where a kind holds the spec and the labels of its pods."""

    spec: FieldPath
    labels: FieldPath
    serves: bool
    """Whether its pods may stand behind a Service."""


@dataclass(frozen=True, slots=True)
class _Row:
    why: str
    name: str
    to: tuple[str, str] | None
    namespace: str
    """``same``, ``none``, ``field``, ``value``, or the name of one."""
    when: tuple[tuple[str, frozenset[str]], ...]
    default: str
    ready: bool
    must_be_ready: bool
    hard: bool
    optional: bool
    completes: bool
    makes: bool
    yields: bool
    data: bool


@dataclass(slots=True)
class _Node:
    """A field of the tree: its own rows, its fields, and the node of its items."""

    rows: list[_Row] = field(default_factory=list)
    fields: dict[str, _Node] = field(default_factory=dict)
    items: _Node | None = None


@dataclass(frozen=True, slots=True)
class _Rules:
    """All rows of one kind."""

    tree: _Node
    fixed: tuple[_Row, ...]
    defaults: tuple[_Row, ...]


_Hit = tuple[_Row, Mapping[str, Any], str]
"""A row that applies, the map that holds its field, and the value; the last two may be empty."""


def references(ref: Ref, body: Body, plural: str) -> References:
    """Read the references of one object.

    ``plural`` is the resource's name in the API (``configmaps``): a custom resource needs the
    definition ``<plural>.<group>``. That Need is made for every group with a dot in its name,
    because a body alone does not tell custom from built-in or aggregated groups; where no such
    definition exists, the graph drops it silently.
    """
    rules = _rules(ref.group, ref.kind, bool(ref.namespace))
    hits: list[_Hit] = []
    _walk(rules.tree, body, {}, hits)
    if not hits and not rules.defaults:
        return _fixed(ref.group, ref.kind, ref.namespace, plural)
    if rules.defaults:
        given = {id(row) for row, _, _ in hits}
        hits += [(row, {}, row.default) for row in rules.defaults if id(row) not in given]
    return _collect(ref, plural, [*_always(rules), *hits])


@cache
def _fixed(group: str, kind: str, namespace: str, plural: str) -> References:
    """What objects of a kind in one namespace all refer to, whatever they hold."""
    rules = _rules(group, kind, bool(namespace))
    return _collect(Ref(group, kind, namespace, ""), plural, _always(rules))


def _always(rules: _Rules) -> list[_Hit]:
    return [(row, {}, "") for row in rules.fixed]


def pod_spec(group_kind: tuple[str, str]) -> PodSpec | None:
    """Tell where this kind holds a pod spec; ``None`` if it holds none."""
    return _pod_specs().get(group_kind)


def pod_selector(group_kind: tuple[str, str]) -> FieldPath | None:
    """Tell where this kind selects the pods of workloads that come before it, if it does."""
    return _selectors().get(group_kind)


def provided(ref: Ref) -> bool:
    """Tell whether every cluster (or namespace) has this object by itself, as ``cluster-admin``."""
    return any(
        ref.name == name or (name.endswith(ANY) and ref.name.startswith(name[:-1]))
        for name in _provided().get(ref.group_kind, ())
    )


def _walk(
    node: _Node,
    value: Any,
    holder: Mapping[str, Any],
    hits: list[_Hit],
) -> None:
    if isinstance(value, dict):
        for key, child in node.fields.items():
            inner = value.get(key)
            if inner is not None:
                _walk(child, inner, value, hits)
    elif isinstance(value, list):
        if node.items is not None:
            for item in value:
                _walk(node.items, item, holder, hits)
    elif node.rows and isinstance(value, str) and value:
        hits.extend((row, holder, value) for row in node.rows if _applies(row, holder))


def _applies(row: _Row, holder: Mapping[str, Any]) -> bool:
    for key, allowed in row.when:
        value = holder.get(key, "")
        if not isinstance(value, str) or value not in allowed:
            return False
    return True


def _collect(ref: Ref, plural: str, hits: Iterable[_Hit]) -> References:
    needs: dict[Ref, Need] = {}
    required: set[Ref] = set()
    completes: set[Ref] = set()
    makes: set[Ref] = set()
    kept: set[Ref] = set()
    has_data = False
    for row, holder, value in hits:
        target = _target(row, ref, holder, value, plural)
        if target is None:
            continue
        need = Need(target, row.ready, row.hard, row.why, must_be_ready=row.must_be_ready)
        needs[target] = stronger(needs.get(target), need)
        if not row.optional and holder.get("optional") is not True:
            required.add(target)
        if row.completes:
            completes.add(target)
        if row.makes:
            makes.add(target)
        if not row.yields:
            kept.add(target)
        has_data = has_data or row.data
    return References(
        needs=tuple(sorted(needs.values())),
        optional=frozenset(needs.keys() - required),
        completes=tuple(sorted(completes)),
        makes=tuple(sorted(makes)),
        yielding=frozenset(needs.keys() - kept),
        has_data=has_data,
    )


def stronger(one: Need | None, other: Need) -> Need:
    """One Need that asks for all that two on the same Ref ask; the stronger one says why."""
    if one is None or _strength(one) == _strength(other):
        return other if one is None or other.why < one.why else one
    why = max(one, other, key=_strength).why
    return Need(
        other.ref,
        ready=one.ready or other.ready,
        hard=one.hard or other.hard,
        why=why,
        must_be_ready=one.must_be_ready or other.must_be_ready,
    )


def _strength(need: Need) -> tuple[bool, bool, bool]:
    return (need.must_be_ready, need.hard, need.ready)


def _target(row: _Row, ref: Ref, holder: Mapping[str, Any], value: str, plural: str) -> Ref | None:
    """Make the Ref that a row means; ``None`` where the siblings do not say it."""
    if row.to is not None:
        group, kind = row.to
    else:
        api_version, named = holder.get("apiVersion", ""), holder.get("kind")
        if not isinstance(api_version, str) or not isinstance(named, str):
            return None
        group, kind = api_version.rpartition("/")[0], named
    namespace = ""
    if row.namespace == "value":
        namespace, _, value = value.partition("/")
        if not namespace or not value:
            return None
    elif row.namespace != "none":
        own = holder.get("namespace") if row.namespace == "field" else None
        namespace = own if isinstance(own, str) and own else ref.namespace
        if row.namespace not in ("same", "field"):
            namespace = row.namespace
        if not namespace:
            return None
    name = value
    if row.name:
        name = row.name.format(
            value=value, name=ref.name, namespace=ref.namespace, plural=plural, group=ref.group
        )
    return Ref(group, kind, namespace, name)


@cache
def _data() -> dict[str, Any]:
    loaded: dict[str, Any] = yamlrocks.loads(shipped("planning/references.yaml").read_bytes())
    return loaded


@cache
def _pod_specs() -> dict[tuple[str, str], PodSpec]:
    specs = {}
    for entry in _data()["podSpecs"]:
        spec = parse_fieldpath(entry["at"])
        labels = (*spec[:-1], "metadata", "labels")
        specs[parse_kind(entry["kind"])] = PodSpec(spec, labels, entry["serves"])
    return specs


@cache
def _selectors() -> dict[tuple[str, str], FieldPath]:
    return {parse_kind(row["kind"]): parse_fieldpath(row["at"]) for row in _data()["selectors"]}


@cache
def _provided() -> dict[tuple[str, str], tuple[str, ...]]:
    return {parse_kind(entry["kind"]): tuple(entry["names"]) for entry in _data()["provided"]}


@cache
def _rules(group: str, kind: str, namespaced: bool) -> _Rules:  # noqa: FBT001 - a cache key
    """Compile the rows that apply to one kind."""
    tree = _Node()
    fixed: list[_Row] = []
    defaults: list[_Row] = []
    holds = pod_spec((group, kind))
    for raw in _data()["rows"]:
        if (group, kind) in map(parse_kind, raw.get("except", ())):
            continue
        origin = raw["from"]
        prefix = ""
        if origin == _POD_SPECS and holds is not None:
            prefix = f"{format_fieldpath(holds.spec)}."
        elif not (
            origin == _EVERY_OBJECT
            or (origin == _NAMESPACED and namespaced)
            or (origin == _CUSTOM and "." in group)
            or (isinstance(origin, list) and (group, kind) in map(parse_kind, origin))
        ):
            continue
        bare_pod = (group, kind) == ("", "Pod")
        paths = raw.get("path", [])
        for path in [paths] if isinstance(paths, str) else paths:
            row = _row(raw, prefix + path, bare_pod=bare_pod)
            _plant(tree, parse_fieldpath(prefix + path), row)
            if row.default:
                defaults.append(row)
        if not paths:
            if "{name}" in raw["name"] or "{value}" in raw["name"]:
                raise ValueError(f"a row without a path names what is in no object: {raw['name']}")
            fixed.append(_row(raw, raw["because"].rstrip("."), bare_pod=bare_pod))
    return _Rules(tree, tuple(fixed), tuple(defaults))


def _row(raw: Mapping[str, Any], why: str, *, bare_pod: bool) -> _Row:
    hard = raw.get("hard", False)
    return _Row(
        why=why,
        name=raw.get("name", ""),
        to=parse_kind(raw["to"]) if "to" in raw else None,
        namespace=raw.get("namespace", "same"),
        when=tuple((key, frozenset(allowed)) for key, allowed in raw.get("when", {}).items()),
        default=raw.get("default", ""),
        ready=bool(raw.get("ready", False)),
        must_be_ready=raw.get("ready") == "required",
        hard=bare_pod if hard == "pods" else hard,
        optional=raw.get("optional", False),
        completes=raw.get("completes", False),
        makes=raw.get("makes", False),
        yields=raw.get("yields", False),
        data=raw.get("data", False),
    )


def _plant(tree: _Node, path: FieldPath, row: _Row) -> None:
    node = tree
    for step in path:
        if step is EVERY:
            node.items = node.items or _Node()
            node = node.items
        else:
            node = node.fields.setdefault(str(step), _Node())
    node.rows.append(row)
