"""Renames what is called otherwise at a target, field by field. Pure.

Which field holds what says ``mappings.yaml``, and people say it of their own kinds. Every value is
looked up once, as the source has it: what a mapping gives no other one takes up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final

import yamlrocks

from gitops_dr.desired.pod_specs import GroupKind
from gitops_dr.desired.target import DeclaredField, Holds, Mappings
from gitops_dr.manifests.fieldpath import FieldPath, Wildcard, parse_fieldpath, selected_by
from gitops_dr.model import Body, parse_kind
from gitops_dr.resources import shipped

Change = Callable[[Any], Any]
"""Gives the value that the target has; the very same object where it is no other."""

Row = tuple[FieldPath, Holds, Mapping[str, Any]]

NAME_LABEL: Final = "kubernetes.io/metadata.name"
_ACCOUNT: Final = re.compile(
    r"system:serviceaccount(?:s:(?P<of>[^:]+)|:(?P<ns>[^:]+):(?P<name>.+))"
)
_DNS: Final = re.compile(
    r"(?<![\w.-])(?P<service>(?:[a-z0-9*][a-z0-9-]*\.)+?)(?P<ns>[a-z0-9][a-z0-9-]*)"
    r"(?=\.svc(?![\w-]))"
)
_HOST: Final = re.compile(r"(?<![\w.*-])[\w*](?:[\w.-]*\w)?(?![\w-])", re.ASCII)
_WORDS: Final = {
    Holds.IMAGE: "images",
    Holds.HOST: "hosts",
    Holds.STORAGE_CLASS: "storageClasses",
    Holds.SNAPSHOT_CLASS: "snapshotClasses",
    Holds.HANDLE: "handles",
    Holds.INGRESS_CLASS: "ingressClasses",
    Holds.SERVICE_TYPE: "serviceTypes",
    Holds.NODE_LABELS: "nodeSelectors",
    Holds.NODE_REQUIREMENTS: "nodeSelectors",
}


def name_of(holds: Holds) -> str:
    """What ``target.yaml`` calls the mapping that is about such values."""
    return _WORDS.get(holds, "namespaces")


def image(name: str, prefixes: Mapping[str, str]) -> str:
    """The image at the target: the longest prefix that fits gives way.

    A prefix ends where a part of the name does. A name without a registry is one of ``docker.io``,
    as container runtimes take it:
    https://github.com/distribution/reference/blob/main/normalize.go
    """
    whole = _normalized(name)
    fitting = [
        (len(prefix), prefix, text)
        for prefix in prefixes
        for text in dict.fromkeys((name, whole))
        if text.startswith(prefix) and _ends_a_part(text, len(prefix))
    ]
    if not fitting:
        return name
    length, prefix, text = max(fitting)
    return prefixes[prefix] + text[length:]


def _normalized(name: str) -> str:
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _ends_a_part(text: str, length: int) -> bool:
    return text[length - 1] == "/" or length == len(text) or text[length] in "/:@"


def host(name: str, hosts: Mapping[str, str]) -> str:
    """The host name at the target: that very name's, or else that of the longest ending."""
    if name in hosts:
        return hosts[name]
    endings = [key for key in hosts if key.startswith(".") and name.endswith(key)]
    if not endings:
        return name
    longest = max(endings, key=len)
    return name.removesuffix(longest) + hosts[longest]


def handle(text: str, handles: Mapping[str, str]) -> str:
    """The handle of the copy: that of this very one, or else with another beginning.

    A beginning is written with a ``*`` at its end, on both sides.
    """
    if text in handles:
        return handles[text]
    fitting = [key for key in handles if key.endswith("*") and text.startswith(key[:-1])]
    if not fitting:
        return text
    longest = max(fitting, key=len)
    return handles[longest].removesuffix("*") + text[len(longest) - 1 :]


class Renaming:
    """What a target's mappings make of the fields of each kind."""

    def __init__(self, mappings: Mappings, declared: Iterable[DeclaredField] = ()) -> None:
        self._mappings = mappings
        self._changes = _changes(mappings)
        self._declared: dict[GroupKind, list[Row]] = {}
        for each in declared:
            rows = self._declared.setdefault((each.group, each.kind), [])
            rows.append((each.path, each.holds, {}))
        self._fields: dict[GroupKind, tuple[tuple[str, Change], ...]] = {}

    def touches(self, group_kind: GroupKind) -> bool:
        """Whether an object of this kind may have a field that is renamed."""
        return bool(self._of(group_kind))

    def steps(self, group_kind: GroupKind, body: Body) -> Iterator[tuple[str, Body]]:
        """The body after each mapping that changes it, with the mapping's name.

        No mapping takes up what another has given: of several that are about one field only the
        first one that changes its value counts.
        """
        for name, change in self._of(group_kind):
            changed = change(body)
            if changed is not body:
                yield name, changed
                body = changed

    def replaces(self, group_kind: GroupKind, name: str) -> str:
        """What the object itself is renamed to, so that it is not made; empty if it is made."""
        key = _replaced().get(group_kind)
        if key is None:
            return ""
        by_key = {
            "storageClasses": self._mappings.storage_classes,
            "snapshotClasses": self._mappings.snapshot_classes,
            "ingressClasses": self._mappings.ingress_classes,
        }
        renamed = by_key[key].get(name, "")
        return renamed if renamed != name else ""

    def _of(self, group_kind: GroupKind) -> tuple[tuple[str, Change], ...]:
        if group_kind not in self._fields:
            places: dict[FieldPath, list[tuple[Holds, Mapping[str, Any]]]] = {}
            for path, holds, when in (
                *_rows().get(group_kind, ()),
                *self._declared.get(group_kind, ()),
            ):
                if holds in self._changes:
                    places.setdefault(path, []).append((holds, when))
            self._fields[group_kind] = tuple(
                (
                    " or ".join(dict.fromkeys(name_of(holds) for holds, _ in found)),
                    _compiled(path, _first([self._changes[h] for h, _ in found]), found[0][1]),
                )
                for path, found in places.items()
            )
        return self._fields[group_kind]


def _first(changes: Sequence[Change]) -> Change:
    def changed(value: Any) -> Any:
        return next((new for one in changes if (new := one(value)) is not value), value)

    return changes[0] if len(changes) == 1 else changed


def _changes(mappings: Mappings) -> dict[Holds, Change]:
    """What becomes of each sort of value; only of those that something is mapped of."""
    spaces = mappings.namespaces
    plain = {
        Holds.STORAGE_CLASS: mappings.storage_classes,
        Holds.SNAPSHOT_CLASS: mappings.snapshot_classes,
        Holds.INGRESS_CLASS: mappings.ingress_classes,
        Holds.SERVICE_TYPE: mappings.service_types,
        Holds.NAMESPACE: spaces,
    }
    found: dict[Holds, Change] = {
        holds: _text(partial(_renamed, names)) for holds, names in plain.items() if names
    }
    if mappings.images:
        found[Holds.IMAGE] = _text(lambda value: image(value, mappings.images))
    if mappings.handles:
        found[Holds.HANDLE] = _text(lambda value: handle(value, mappings.handles))
    if mappings.hosts:
        found[Holds.HOST] = _text(
            lambda value: _HOST.sub(lambda match: host(match[0], mappings.hosts), value)
        )
    if spaces:
        found[Holds.ACCOUNT] = _text(lambda value: _account(value, spaces))
        found[Holds.DNS] = _text(lambda value: _dns(value, spaces))
        found[Holds.OBJECT] = _text(lambda value: _object(value, spaces))
        names = {f"{NAME_LABEL}={old}": f"{NAME_LABEL}={new}" for old, new in spaces.items()}
        found[Holds.NAMESPACE_REQUIREMENTS] = lambda value: _selector(value, names)
    if mappings.node_labels:
        found[Holds.NODE_LABELS] = lambda value: labels(value, mappings.node_labels)
        found[Holds.NODE_REQUIREMENTS] = lambda value: requirements(value, mappings.node_labels)
    return found


def _text(change: Callable[[str], str]) -> Change:
    def changed(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        other = change(value)
        return value if other == value else other

    return changed


def _renamed(names: Mapping[str, str], value: str) -> str:
    return names.get(value, value)


def _account(value: str, spaces: Mapping[str, str]) -> str:
    match = _ACCOUNT.fullmatch(value)
    if match is None:
        return value
    if match["of"]:
        return f"system:serviceaccounts:{spaces.get(match['of'], match['of'])}"
    return f"system:serviceaccount:{spaces.get(match['ns'], match['ns'])}:{match['name']}"


def _dns(value: str, spaces: Mapping[str, str]) -> str:
    return _DNS.sub(lambda m: f"{m['service']}{spaces.get(m['ns'], m['ns'])}", value)


def _object(value: str, spaces: Mapping[str, str]) -> str:
    namespace, slash, name = value.partition("/")
    return f"{spaces.get(namespace, namespace)}/{name}" if slash else value


def labels(value: Any, renamed: Mapping[str, str]) -> Any:
    """A map of labels at the target; one that is renamed to nothing is left out."""
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, text in value.items():
        pair = f"{key}={text}"
        other = renamed.get(pair, pair)
        if other:
            new_key, _, new_text = other.partition("=")
            found[new_key] = text if other == pair else new_text
    return value if found == value else found


def requirements(value: Any, renamed: Mapping[str, str]) -> Any:
    """A list of requirements at the target.

    One changes where each of its values is renamed below one key; values that are renamed to
    nothing are left out, and with the last one the requirement.
    """
    if not isinstance(value, list):
        return value
    found = [kept for one in value if (kept := _requirement(one, renamed)) is not None]
    return value if found == value else found


def _requirement(one: Any, renamed: Mapping[str, str]) -> Any:
    # A StorageClass's topology has no operator and means In.
    if not isinstance(one, dict) or one.get("operator", "In") not in ("In", "NotIn"):
        return one
    key, values = one.get("key"), one.get("values")
    if not isinstance(values, list):
        return one
    pairs = [renamed.get(f"{key}={text}", f"{key}={text}") for text in values]
    keys = {pair.partition("=")[0] for pair in pairs if pair}
    if len(keys) > 1:
        return one
    if not keys:
        return None
    new = list(dict.fromkeys(pair.partition("=")[2] for pair in pairs if pair))
    return {**one, "key": keys.pop(), "values": new}


def _selector(value: Any, renamed: Mapping[str, str]) -> Any:
    if not isinstance(value, dict):
        return value
    found = dict(value)
    if "matchLabels" in found:
        found["matchLabels"] = labels(found["matchLabels"], renamed)
    if "matchExpressions" in found:
        found["matchExpressions"] = requirements(found["matchExpressions"], renamed)
    return value if found == value else found


def _compiled(path: FieldPath, change: Change, when: Mapping[str, Any]) -> Change:
    """Change what is at a path, in a copy of what is above it."""
    if not path:
        return change
    step, rest = path[0], path[1:]
    inner = _compiled(rest, change, when)

    def in_map(value: Any) -> Any:
        if not isinstance(value, dict) or step not in value:
            return value
        if not rest and not all(value.get(k, "") in allowed for k, allowed in when.items()):
            return value
        changed = inner(value[step])
        return value if changed is value[step] else {**value, step: changed}

    def in_list(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        found = [inner(item) if _is_meant(i, item, step) else item for i, item in enumerate(value)]
        return value if all(a is b for a, b in zip(found, value, strict=True)) else found

    return in_map if isinstance(step, str) else in_list


def _is_meant(index: int, item: Any, step: int | tuple[str, ...] | Wildcard | str) -> bool:
    if isinstance(step, tuple):
        return isinstance(item, dict) and selected_by(item, step[::2]) == step[1::2]
    return isinstance(step, Wildcard) or step == index


@cache
def _rows() -> Mapping[GroupKind, tuple[Row, ...]]:
    document = _document()
    pods = [(parse_kind(row["kind"]), row["at"]) for row in document["podSpecs"]]
    found: dict[GroupKind, list[Row]] = {}
    for row in document["rows"]:
        paths = row["path"] if isinstance(row["path"], list) else [row["path"]]
        kinds = pods if row["in"] == "pod specs" else [(parse_kind(kind), "") for kind in row["in"]]
        for kind, at in kinds:
            for path in paths:
                where = parse_fieldpath(f"{at}.{path}" if at else path)
                one = (where, Holds(row["holds"]), row.get("when") or {})
                found.setdefault(kind, []).append(one)
    return {kind: tuple(rows) for kind, rows in found.items()}


@cache
def _replaced() -> Mapping[GroupKind, str]:
    return {parse_kind(row["kind"]): row["mapping"] for row in _document()["replaced"]}


@cache
def _document() -> Any:
    return yamlrocks.loads(shipped("desired/mappings.yaml").read_bytes())
