"""Reads what mutating admission is asked about, by the rows of ``admission.yaml``. Pure.

The API server matches requests, so that is what is compared here: those that create an object, and
those by which controllers then make others of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yamlrocks

from gitops_dr.manifests.fieldpath import EVERY, FieldPath, get, parse_fieldpath
from gitops_dr.manifests.selector import Labels, selector_labels
from gitops_dr.model import ANY, Body, Ref, parse_kind
from gitops_dr.resources import shipped

_CREATE = frozenset({"CREATE", ANY})
_SCOPES = {"Namespaced": True, "Cluster": False}


@dataclass(frozen=True, slots=True)
class Kind:
    """What requests of one kind have in common."""

    group: str
    version: str
    resource: str
    """The plural."""
    namespaced: bool


@dataclass(frozen=True, slots=True)
class Made:
    """A request by which a controller makes something of an object, in its namespace."""

    kind: Kind
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests that create something; of each set one member must fit."""

    groups: frozenset[str]
    versions: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    """Empty: any name."""
    namespaced: bool | None
    """``None``: both."""

    def takes(self, kind: Kind, *, exact: bool) -> bool:
        """Whether requests of that kind fit, if they are about the right name.

        Not ``exact``: whatever version they are made in. The API server then asks about all
        versions of a resource, and about the same resource in other groups, of which none is left.
        """
        return (
            (ANY in self.groups or kind.group in self.groups)
            and (not exact or ANY in self.versions or kind.version in self.versions)
            and (ANY in self.resources or kind.resource in self.resources)
            and self.namespaced in (None, kind.namespaced)
        )


@dataclass(frozen=True, slots=True)
class Match:
    """The requests that one webhook, policy or binding is about."""

    rules: tuple[Rule, ...]
    excluded: tuple[Rule, ...]
    without_rules: bool
    """What no rules at all mean."""
    exact: bool
    namespaces: Labels
    objects: Labels

    def takes(self, kind: Kind, name: str) -> bool:
        """Whether such a request fits, but for labels. ``name`` is empty where it is made up."""
        if self.rules and not any(self._fits(rule, kind, name) for rule in self.rules):
            return False
        excluded = any(self._fits(rule, kind, name) for rule in self.excluded)
        return (bool(self.rules) or self.without_rules) and not excluded

    @property
    def by_name(self) -> bool:
        """Whether names count."""
        return any(rule.names for rule in (*self.rules, *self.excluded))

    def _fits(self, rule: Rule, kind: Kind, name: str) -> bool:
        return rule.takes(kind, exact=self.exact) and (not rule.names or name in rule.names)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an object of admission is asked about: all that one of ``matches`` takes."""

    matches: tuple[Match, ...]
    alone: bool = True
    """False of a policy: it is asked about nothing but through its bindings."""
    policy: Ref | None = None
    """Of a binding: what it puts into force."""
    parameters: tuple[str, str] | None = None
    """Of a policy: group and kind of its parameters."""
    given: tuple[str, str] | None = None
    """Of a binding: namespace and name of its parameters; an empty one stands for any."""


def asked(ref: Ref, body: Body) -> Asked | None:
    """Read what an object is asked about; ``None`` if it is none of mutating admission.

    Never fails on odd bodies: a rule or a requirement that is not as the API has it is none.
    """
    row = _rows().get(ref.group_kind)
    if row is None:
        return None
    named = get(body, row.policy) if row.policy else None
    parameters = get(body, row.takes) if row.takes else None
    given = get(body, row.given) if row.given else None
    return Asked(
        matches=tuple(_match(each, row) for each in _each(body, row.at)),
        alone=row.alone,
        policy=Ref(row.of[0], row.of[1], "", named) if isinstance(named, str) else None,
        parameters=_kind_of(parameters) if isinstance(parameters, dict) else None,
        given=(
            (_text(given.get("namespace")), _text(given.get("name")))
            if isinstance(given, dict)
            else None
        ),
    )


def asks(group_kind: tuple[str, str]) -> bool:
    """Tell whether objects of this kind are mutating admission."""
    return group_kind in _rows()


def background(refs: Iterable[Ref], held: Iterable[Ref]) -> frozenset[Ref]:
    """Those of ``held`` without which nobody can tell what the admission among ``refs`` matches.

    Namespaces have the labels, and bindings are about what their policies are, too.
    """
    if not any(asks(ref.group_kind) for ref in refs):
        return frozenset()
    return frozenset(
        ref for ref in held if ref.group_kind == ("", "Namespace") or asks(ref.group_kind)
    )


def is_exempt(ref: Ref) -> bool:
    """Tell whether nobody is asked about this object."""
    return ref.group in _exempt()


def made_of(ref: Ref, body: Body) -> tuple[Made, ...]:
    """Tell what controllers make of an object, as far as that is known beforehand."""
    return tuple(
        Made(kind, labels_of(get(body, path))) for kind, path in _makes().get(ref.group_kind, ())
    )


def goes_first(group_kind: tuple[str, str], priority_class: Any) -> bool:
    """Tell whether an object waits for no admission; ``priority_class`` is that of its pods."""
    kinds, classes = _unheld()
    return group_kind in kinds or (isinstance(priority_class, str) and priority_class in classes)


def labels_of(value: Any) -> Mapping[str, str]:
    """Read labels; what is no text is none. The very same mapping where all is as it should be."""
    if not isinstance(value, dict):
        return {}
    if all(isinstance(text, str) for text in value.values()):
        return value
    return {key: text for key, text in value.items() if isinstance(text, str)}


@dataclass(frozen=True, slots=True)
class _Row:
    at: FieldPath
    rules: str
    excluded: str
    without_rules: bool
    alone: bool
    policy: FieldPath
    of: tuple[str, str]
    takes: FieldPath
    given: FieldPath


def _match(value: Any, row: _Row) -> Match:
    holder = value if isinstance(value, dict) else {}
    return Match(
        rules=tuple(_rules(holder.get(row.rules))),
        excluded=tuple(_rules(holder.get(row.excluded))),
        # Rules that are about something else are rules.
        without_rules=row.without_rules and not _list(holder.get(row.rules)),
        exact=holder.get("matchPolicy") == "Exact",
        namespaces=_selector(holder.get("namespaceSelector")),
        objects=_selector(holder.get("objectSelector")),
    )


def _selector(value: Any) -> Labels:
    return selector_labels(value) if isinstance(value, dict) else ()


def _rules(value: Any) -> Iterator[Rule]:
    """Read the rules that are about creating something; subresources come later."""
    for rule in _list(value):
        if isinstance(rule, dict) and not _CREATE.isdisjoint(_texts(rule.get("operations"))):
            split = [text.partition("/") for text in _texts(rule.get("resources"))]
            yield Rule(
                groups=_texts(rule.get("apiGroups")),
                versions=_texts(rule.get("apiVersions")),
                # "pods/*" takes in the pods themselves.
                resources=frozenset(name for name, _, below in split if below in ("", ANY)),
                names=_texts(rule.get("resourceNames")),
                namespaced=_SCOPES.get(_text(rule.get("scope"))),
            )


def _each(body: Body, path: FieldPath) -> list[Any]:
    """The values at a path that may go over one list."""
    if EVERY not in path:
        return [get(body, path)]
    at = path.index(EVERY)
    return [get(item, path[at + 1 :]) for item in _list(get(body, path[:at]))]


def _kind_of(value: Mapping[str, Any]) -> tuple[str, str]:
    return _text(value.get("apiVersion")).rpartition("/")[0], _text(value.get("kind"))


def _texts(value: Any) -> frozenset[str]:
    return frozenset(each for each in _list(value) if isinstance(each, str))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


@cache
def _data() -> dict[str, Any]:
    loaded: dict[str, Any] = yamlrocks.loads(shipped("planning/admission.yaml").read_bytes())
    return loaded


@cache
def _rows() -> dict[tuple[str, str], _Row]:
    policies = [parse_kind(raw["kind"]) for raw in _data()["asks"] if "only" in raw]
    return {
        parse_kind(raw["kind"]): _Row(
            at=parse_fieldpath(raw["at"]),
            rules=raw["rules"],
            excluded=raw.get("except", ""),
            without_rules=raw.get("without") == "everything",
            alone="only" not in raw,
            policy=parse_fieldpath(raw["policy"]) if "policy" in raw else (),
            of=policies[0],
            takes=parse_fieldpath(raw["takes"]) if "takes" in raw else (),
            given=parse_fieldpath(raw["given"]) if "given" in raw else (),
        )
        for raw in _data()["asks"]
    }


@cache
def _exempt() -> frozenset[str]:
    return frozenset(row["group"] for row in _data()["exempt"])


@cache
def _makes() -> dict[tuple[str, str], tuple[tuple[Kind, FieldPath], ...]]:
    made: dict[tuple[str, str], tuple[tuple[Kind, FieldPath], ...]] = {}
    for row in _data()["makes"]:
        api_version, _, resource = row["resource"].rpartition("/")
        group, _, version = api_version.rpartition("/")
        kind = Kind(group, version, resource, namespaced=True)
        one = (kind, parse_fieldpath(row["labels"]))
        key = parse_kind(row["kind"])
        made[key] = (*made.get(key, ()), one)
    return made


@cache
def _unheld() -> tuple[frozenset[tuple[str, str]], frozenset[str]]:
    rows = _data()["unheld"]
    kinds = frozenset(parse_kind(kind) for row in rows for kind in row.get("kinds", ()))
    return kinds, frozenset(name for row in rows for name in row.get("priorityClasses", ()))
