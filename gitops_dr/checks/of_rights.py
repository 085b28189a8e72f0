"""Checks of a plan about what our user may do, and what it may give to others. Pure.

Who makes a role must hold what that gives, or be allowed to ``escalate``; who binds one must hold
what it gives, or be allowed to ``bind`` it. RBAC alone settles the first half of both, whatever
else lets the user do things:
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from gitops_dr.checks.demand import RBAC, RoleRules
from gitops_dr.checks.findings import Finding, PlanRow, warning
from gitops_dr.checks.needs import EVERYTHING, Need, Rule, allows
from gitops_dr.checks.of_pods import NAMED
from gitops_dr.checks.plan_facts import PlanFacts, Rights
from gitops_dr.model import Ref

_PLURALS = {"Role": "roles", "ClusterRole": "clusterroles"}
_FULL: tuple[Rule, ...] = (
    {"apiGroups": [EVERYTHING], "resources": [EVERYTHING], "verbs": [EVERYTHING]},
    {"nonResourceURLs": [EVERYTHING], "verbs": [EVERYTHING]},
)
"""What a role that gathers others may come to give: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles"""
_MOST = 5_000
"""Rights of one role that are looked at one by one; no role of people's has as many."""


@dataclass(frozen=True, slots=True)
class Giving:
    """One object that gives rights, as a plan writes it."""

    ref: Ref
    by: Need
    """What lets our user do it without holding them."""
    rules: tuple[Rule, ...] | None
    """What it gives; None: not known."""
    lacks: Ref | None = None
    """The role that it gives and that is nowhere."""


def bound_elsewhere(facts: PlanFacts) -> frozenset[Ref]:
    """The roles that bindings of the plan give and that it does not write itself."""
    writes = facts.writes
    bound = {role for ref, role in facts.demand.bindings.items() if ref in writes}
    return frozenset(bound - _written(facts).keys())


def _written(facts: PlanFacts) -> dict[Ref, RoleRules]:
    writes = facts.writes
    return {ref: role for ref, role in facts.demand.roles.items() if ref in writes}


def givings(facts: PlanFacts, roles: Mapping[Ref, RoleRules | None]) -> Iterator[Giving]:
    """What of the plan gives rights; ``roles``: those of the target, None where nobody may look.

    What our user may not write at all is told as that.
    """
    missing = frozenset(facts.seen.missing or ())
    known = {**roles, **_written(facts)}
    for ref, plural in sorted(facts.writes.items()):
        verb = "create" if ref in facts.creates else "patch"
        if ref.group != RBAC or Need(ref.group, plural, verb, ref.namespace) in missing:
            continue
        if ref in facts.demand.roles:
            # One that is new has no name yet when the API server asks who may do it.
            name = "" if ref in facts.creates else ref.name
            by = Need(RBAC, plural, "escalate", ref.namespace, name)
            yield Giving(ref, by, _given(facts.demand.roles[ref]))
        elif role := facts.demand.bindings.get(ref):
            by = Need(RBAC, _PLURALS[role.kind], "bind", ref.namespace, role.name)
            rules = known.get(role)
            # What a new role that gathers others gives, its controller will say.
            given = None if rules is None or rules.gathers else rules.rules
            yield Giving(ref, by, given, None if role in known else role)


def _given(role: RoleRules) -> tuple[Rule, ...]:
    return (*role.rules, *(_FULL if role.gathers else ()))


def lacking(held: Collection[Rule], given: Iterable[Rule]) -> str:
    """The first right that ``given`` has and ``held`` has not, in words; empty if there is none.

    As RBAC covers rules: each right by one rule. Of a role with more rights than anybody writes
    the first ones are looked at.
    """
    for what in itertools.islice(itertools.chain.from_iterable(map(_rights, given)), _MOST):
        if not (allows(held, what) if isinstance(what, Need) else _reaches(held, *what)):
            return str(what) if isinstance(what, Need) else " ".join(what)
    return ""


def _rights(rule: Rule) -> Iterator[Need | tuple[str, str]]:
    """Each right of a rule by itself: a need, or verb and URL."""
    verbs = _texts(rule, "verbs")
    for group, resource, name, verb in itertools.product(
        _texts(rule, "apiGroups"),
        _texts(rule, "resources"),
        _texts(rule, "resourceNames") or ("",),
        verbs,
    ):
        yield Need(group, resource, verb, name=name)
    yield from itertools.product(verbs, _texts(rule, "nonResourceURLs"))


def _texts(rule: Rule, key: str) -> tuple[str, ...]:
    found = rule.get(key)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def _reaches(held: Iterable[Rule], verb: str, url: str) -> bool:
    return any(
        not {EVERYTHING, verb}.isdisjoint(_texts(rule, "verbs"))
        and any(
            each == url or (each.endswith("*") and url.startswith(each.rstrip("*")))
            for each in _texts(rule, "nonResourceURLs")
        )
        for rule in held
    )


def not_held(facts: PlanFacts, rights: Rights) -> Iterator[tuple[Giving, str]]:
    """What of the plan gives rights that our user does not hold, with one of them."""
    for giving in givings(facts, rights.roles):
        held = rights.held.get(giving.ref.namespace, ())
        if giving.lacks is not None:
            yield giving, ""
        elif giving.rules is not None and (right := lacking(held, giving.rules)):
            yield giving, right


# -- rows --------------------------------------------------------------------------------------


def _permissions(facts: PlanFacts) -> Iterator[Finding]:
    missing = facts.seen.missing or ()
    who = _who(facts)
    # Who looks at a plan need not be who carries it out, and the API server refuses by itself.
    for need in missing[:NAMED]:
        yield warning(who, f"may not {need}", "gitops-dr doctor --for rebuild -o yaml prints roles")
    if len(missing) > NAMED:
        more = f"may not do {len(missing) - NAMED} more things that the plan needs"
        yield warning(who, more, "gitops-dr doctor --for rebuild -o yaml prints roles")


def _escalation(facts: PlanFacts) -> Iterator[Finding]:
    rights, who = facts.seen.rights or Rights(), _who(facts)
    if rights.everything:
        return
    refused = [one for one in not_held(facts, rights) if one[0].by not in rights.granted]
    for giving, right in refused[:NAMED]:
        why = (
            f"gives {giving.lacks}, which is neither in Git nor in the target, so it is refused"
            if giving.lacks
            else f"gives rights that {who} does not hold ({right}), so it is refused"
        )
        yield warning(giving.ref, why, f"use somebody who holds them, or who may {giving.by}")
    if len(refused) > NAMED:
        more = f"may not make {len(refused) - NAMED} more roles and bindings, of the same reason"
        yield warning(who, more, "use somebody who holds what they give")


def _who(facts: PlanFacts) -> str:
    return facts.seen.user or "the user of this context"


RIGHTS_ROWS: tuple[PlanRow[PlanFacts], ...] = (
    PlanRow(
        "permissions",
        "its user may do it",
        "The API server refuses the rest, object by object.",
        "https://kubernetes.io/docs/reference/access-authn-authz/authorization/",
        _permissions,
        known=lambda facts: facts.seen.missing is not None,
    ),
    PlanRow(
        "escalation",
        "its user may give the rights that roles and bindings give",
        "Who gives rights must hold them, or be allowed to escalate or to bind.",
        "https://kubernetes.io/docs/reference/access-authn-authz/rbac/"
        "#privilege-escalation-prevention-and-bootstrapping",
        _escalation,
        known=lambda facts: facts.seen.rights is not None,
    ),
)
