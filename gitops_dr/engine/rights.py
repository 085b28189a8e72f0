"""Asks a target what its user may do of a plan, and which rights it may give. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from gitops_dr.checks.demand import RoleRules
from gitops_dr.checks.needs import EVERYTHING, Need, Rule
from gitops_dr.checks.of_rights import bound_elsewhere, not_held
from gitops_dr.checks.plan_facts import PlanFacts, Rights
from gitops_dr.cluster import access
from gitops_dr.cluster.connect import ApiError, Connection, or_none
from gitops_dr.cluster.listing import object_path
from gitops_dr.model import Ref, Resource

_AT_ONCE = 8


def rights(
    connection: Connection, facts: PlanFacts
) -> tuple[tuple[Need, ...] | None, Rights | None]:
    """What of the plan is not allowed, and what its user may give to others.

    Of who may do everything nothing else is asked. Each is None if the API server does not say.
    """
    everything = Need(EVERYTHING, EVERYTHING, EVERYTHING)
    missing = or_none(lambda: access.missing(connection, [everything]))
    if missing is None:
        return None, None
    if not missing:
        return (), Rights(everything=True)
    needs = {
        Need(ref.group, plural, verb, ref.namespace)
        for verb, refs in (("create", facts.creates), ("patch", facts.changes))
        for ref, plural in refs.items()
    }
    namespaces = {need.namespace for need in needs}
    held = or_none(lambda: access.rules_of(connection, namespaces))
    if held is None:
        return None, None
    missing = or_none(lambda: access.missing(connection, sorted(needs), held))
    if missing is None:
        return None, None
    told = replace(facts, seen=replace(facts.seen, missing=missing))
    return missing, or_none(lambda: _given(connection, told, held))


def _given(
    connection: Connection, facts: PlanFacts, held: Mapping[str, tuple[Rule, ...]]
) -> Rights:
    """Raises ``ApiError`` if the API server does not say."""
    found = Rights(held=held, roles=_roles(connection, bound_elsewhere(facts)))
    # Whoever holds what a role gives need not be allowed to escalate, so few are asked for.
    asked = sorted({giving.by for giving, _ in not_held(facts, found)})
    refused = access.missing(connection, asked, held)
    return replace(found, granted=frozenset(asked) - frozenset(refused))


def _roles(connection: Connection, refs: Collection[Ref]) -> dict[Ref, RoleRules | None]:
    """The roles that are there; None of those that nobody may look at."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="role") as pool:
        found = zip(refs, pool.map(lambda ref: _role(connection, ref), refs), strict=True)
        return {ref: role for ref, (there, role) in found if there}


def _role(connection: Connection, ref: Ref) -> tuple[bool, RoleRules | None]:
    plural = f"{ref.kind.lower()}s"
    resource = Resource(ref.group, "v1", ref.kind, plural, namespaced=bool(ref.namespace))
    try:
        body = connection.json("GET", object_path(resource, ref.namespace, ref.name))
    except ApiError as error:
        return error.status != 404, None
    return True, RoleRules(tuple(body.get("rules") or ()))
