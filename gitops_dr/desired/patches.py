"""Applies what people write of a target's objects: strategic merge, or JSON Patch. Pure.

A strategic patch does what ``kubectl patch`` and the API server make of it:
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
Kinds that are not Kubernetes' own have no merge keys; there it is a JSON Merge Patch (RFC 7386).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any, Final

import yamlrocks

from gitops_dr.desired.pod_specs import GroupKind, pod_spec_paths
from gitops_dr.manifests.fieldpath import EVERY, FieldPath, format_fieldpath, parse_fieldpath
from gitops_dr.model import Body, parse_kind
from gitops_dr.resources import shipped

_PATCH: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder/"
_DELETE: Final = "$deleteFromPrimitiveList/"

Operation = Mapping[str, Any]


class PatchError(ValueError):
    """A patch cannot be applied to an object; the text says why."""


def strategic(body: Body, patch: Mapping[str, Any], kind: GroupKind) -> Body:
    """Give a copy of ``body`` with a strategic merge patch applied. Raises ``PatchError``."""
    keys = _merge_keys(kind)
    if keys is None:
        merged: Body = merge(body, patch)
        return merged
    result: Body = _merged(body, patch, (), keys)
    return result


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON Merge Patch (RFC 7386) to a copy."""
    if not isinstance(patch, Mapping):
        return deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def _merged(ours: Mapping[str, Any], patch: Mapping[str, Any], at: FieldPath, keys: Keys) -> Any:
    directive = patch.get(_PATCH)
    if directive == "replace":
        return {key: deepcopy(value) for key, value in patch.items() if key != _PATCH}
    if directive not in (None, "merge"):
        raise PatchError(f"{_where(at)}: {_PATCH}: {directive!r} is no directive")
    result = dict(ours)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            field = key.removeprefix(_DELETE)
            if field in result:
                before = _list(result[field], (*at, field))
                result[field] = [item for item in before if item not in value]
        elif not key.startswith("$"):
            _merge_field(result, key, patch, (*at, key), keys)
        elif key not in (_PATCH, _RETAIN) and not key.startswith(_ORDER):
            raise PatchError(f"{_where(at)}: {key} is no directive")
    if _RETAIN in patch:
        kept = set(patch[_RETAIN])
        result = {key: value for key, value in result.items() if key in kept}
    return result


def _merge_field(
    result: dict[str, Any], key: str, patch: Mapping[str, Any], at: FieldPath, keys: Keys
) -> None:
    value, before = patch[key], result.get(key)
    if value is None or (isinstance(value, Mapping) and value.get(_PATCH) == "delete"):
        result.pop(key, None)
    elif isinstance(value, Mapping):
        result[key] = _merged(before if isinstance(before, dict) else {}, value, at, keys)
    elif isinstance(value, list):
        order = patch.get(f"{_ORDER}{key}")
        result[key] = _merged_list(_list(before, at), value, order, at, keys)
    else:
        result[key] = value


def _merged_list(
    ours: list[Any], patch: list[Any], order: list[Any] | None, at: FieldPath, keys: Keys
) -> list[Any]:
    """A list merged by the key of its items; whole where it has none."""
    if at not in keys:
        return deepcopy(patch)
    merge_key = keys[at]
    if not merge_key:
        merged = list(dict.fromkeys([*ours, *patch]))
        return _ordered(
            [one for one in merged if one in patch],
            [one for one in merged if one not in patch],
            order or patch,
            ours,
            "",
        )
    items: list[Mapping[str, Any]] = []
    for item in patch:
        if not isinstance(item, Mapping):
            raise PatchError(f"{_where(at)}: an item of this list is no map")
        items.append(item)
    if any(item.get(_PATCH) == "replace" for item in items):
        return [deepcopy(dict(item)) for item in items if item.get(_PATCH) != "replace"]
    merged = list(ours)
    named: list[Mapping[str, Any]] = []
    for item in items:
        if merge_key not in item:
            raise PatchError(f"{_where(at)}: an item of the patch lacks its {merge_key}")
        place = _found(merged, item, merge_key)
        if item.get(_PATCH) == "delete":
            merged = [o for o in merged if _found([item], o, merge_key) is None]
            continue
        named.append(item)
        old = merged[place] if place is not None else {}
        new = _merged(old, item, (*at, EVERY), keys)
        if place is None:
            merged.append(new)
        else:
            merged[place] = new
    inside = order or named
    patched = [one for one in merged if _found(inside, one, merge_key) is not None]
    others = [one for one in merged if _found(inside, one, merge_key) is None]
    return _ordered(patched, others, inside, ours, merge_key)


def _ordered(
    patched: list[Any],
    others: list[Any],
    order: Sequence[Any],
    before: list[Any],
    merge_key: str | None,
) -> list[Any]:
    """The patch's items in its order, and the others where they were before among them.

    An item that only the patch has comes before those that it does not name.
    """

    def rank(item: Any) -> int:
        found = _found(order, item, merge_key)
        return len(order) if found is None else found

    right = sorted(patched, key=rank)
    result: list[Any] = []
    left = list(others)
    while left and right:
        mine, theirs = _found(before, left[0], merge_key), _found(before, right[0], merge_key)
        is_before = mine is not None and theirs is not None and mine < theirs
        result.append((left if is_before else right).pop(0))
    return [*result, *left, *right]


def _found(items: Sequence[Any], item: Any, merge_key: str | None) -> int | None:
    """Where an item stands, told by its key or, without one, by itself."""
    for index, other in enumerate(items):
        if not merge_key:
            if other == item:
                return index
        elif (
            isinstance(other, Mapping)
            and isinstance(item, Mapping)
            and merge_key in other
            and other[merge_key] == item.get(merge_key)
        ):
            return index
    return None


def _list(value: Any, at: FieldPath) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise PatchError(f"{_where(at)}: is no list in the object")
    return value


def _where(at: FieldPath) -> str:
    return format_fieldpath(at) or "the object"


Keys = Mapping[FieldPath, str]


@cache
def _merge_keys(kind: GroupKind) -> Keys | None:
    """Merge keys of a kind's lists by their paths; None for a kind that is not Kubernetes' own."""
    document = yamlrocks.loads(shipped("desired/patches.yaml").read_bytes())
    if kind[0] not in document["groups"]:
        return None
    pods = pod_spec_paths()
    found: dict[FieldPath, str] = {}
    for row in document["rows"]:
        path = parse_fieldpath(row["path"])
        match row["in"]:
            case "every object":
                found[path] = row["key"]
            case "pod specs":
                if kind in pods:
                    found[(*pods[kind], *path)] = row["key"]
            case kinds:
                if kind in map(parse_kind, kinds):
                    found[path] = row["key"]
    return found


# -- JSON Patch (RFC 6902) -------------------------------------------------------------------------

_MISSING: Final = object()


def json6902(body: Body, operations: Sequence[Operation]) -> Body:
    """Give a copy of ``body`` with the operations applied, one after the other.

    Raises ``PatchError`` for an operation that is none, and for one whose place is not there.
    """
    result: Any = deepcopy(body)
    for number, operation in enumerate(operations, 1):
        try:
            result = _operated(result, operation)
        except PatchError as error:
            raise PatchError(f"operation {number} of the patch: {error}") from error
    if not isinstance(result, dict):
        raise PatchError("the patch leaves no object")
    return result


def _operated(root: Any, operation: Operation) -> Any:
    op, path = operation.get("op"), operation.get("path")
    needed = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from"}
    if op not in ("remove", *needed):
        raise PatchError(f"op {op!r} is none of add, remove, replace, move, copy, test")
    if needed.get(op, "path") not in operation:
        raise PatchError(f"{op} lacks its {needed[op]}")
    tokens = _tokens(path)
    match op:
        case "test":
            if not _same(_get(root, tokens), operation["value"]):
                raise PatchError(f"test: {path} has another value")
            return root
        case "remove":
            return _removed(root, tokens)
        case "replace":
            _get(root, tokens)
            return _put(root, tokens, deepcopy(operation["value"]), replacing=True)
        case "add":
            return _put(root, tokens, deepcopy(operation["value"]))
        case _:
            source = _tokens(operation["from"])
            value = deepcopy(_get(root, source))
            if op == "move":
                if tokens[: len(source)] == source and tokens != source:
                    raise PatchError(f"move: {path} is inside of {operation['from']}")
                root = _removed(root, source)
            return _put(root, tokens, value)


def _same(one: Any, other: Any) -> bool:
    """Equal in JSON's sense, in which true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _tokens(path: Any) -> list[str]:
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise PatchError(f"{path!r} is no JSON pointer such as /spec/replicas")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(token: str, size: int) -> int:
    if not (token.isascii() and token.isdigit()) or (len(token) > 1 and token.startswith("0")):
        raise PatchError(f"{token!r} is no index of a list")
    if len(token) > 9 or int(token) >= size:
        raise PatchError(f"the list has no item {token}")
    return int(token)


def _get(root: Any, tokens: Sequence[str]) -> Any:
    node = root
    for token in tokens:
        if isinstance(node, dict):
            node = node.get(token, _MISSING)
        elif isinstance(node, list):
            node = node[_index(token, len(node))]
        else:
            node = _MISSING
        if node is _MISSING:
            raise PatchError(f"{_pointer(tokens)} is not there")
    return node


def _put(root: Any, tokens: Sequence[str], value: Any, *, replacing: bool = False) -> Any:
    if not tokens:
        return value
    parent, last = _get(root, tokens[:-1]), tokens[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        if replacing:
            parent[_index(last, len(parent))] = value
        else:
            parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1), value)
    else:
        raise PatchError(f"{_pointer(tokens[:-1])} is neither a map nor a list")
    return root


def _removed(root: Any, tokens: Sequence[str]) -> Any:
    if not tokens:
        raise PatchError("remove: would remove the object itself")
    _get(root, tokens)
    parent = _get(root, tokens[:-1])
    if isinstance(parent, dict):
        del parent[tokens[-1]]
    else:
        del parent[_index(tokens[-1], len(parent))]
    return root


def _pointer(tokens: Sequence[str]) -> str:
    return "".join(f"/{token.replace('~', '~0').replace('/', '~1')}" for token in tokens)
