"""Asking which rights a plan may give: few questions, whatever the API server says."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from fake_api import refusal, reply

from gitops_dr.checks.demand import Demand
from gitops_dr.checks.of_plan import check_plan
from gitops_dr.checks.plan_facts import PlanFacts, Rights, Seen
from gitops_dr.engine.rights import rights
from gitops_dr.model import Ref

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
RULES = f"{AUTHORIZATION}/selfsubjectrulesreviews"
ONE = f"{AUTHORIZATION}/selfsubjectaccessreviews"
RBAC = "rbac.authorization.k8s.io"
VIEW = f"/apis/{RBAC}/v1/clusterroles/view"
ALL = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
MAKES = {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["create"]}
READS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


def plan(*, roles: int = 3, bindings: int = 0, rule: Any = READS) -> PlanFacts:
    demand, creates = Demand(), {}
    for number in range(roles):
        ref = Ref(RBAC, "Role", "shop", f"r{number}")
        demand.look(ref, {"rules": [rule]})
        creates[ref] = "roles"
    for number in range(bindings):
        ref = Ref(RBAC, "RoleBinding", "shop", f"b{number}")
        demand.look(ref, {"roleRef": {"kind": "ClusterRole", "name": "view"}})
        creates[ref] = "rolebindings"
    return PlanFacts(demand, creates)


@pytest.fixture
def server(api, connection):
    """Rules that the user holds, and what it is allowed besides: (verb, name)."""

    def ready(*rules: Any, allowed: Collection[tuple[str, str]] = ()) -> Any:
        api.on(RULES, reply({"status": {"resourceRules": list(rules)}}, 201), method="POST")

        def answer(request: Any) -> Any:
            asked = request.json["spec"]["resourceAttributes"]
            may = (asked["verb"], asked.get("name", "")) in allowed
            return reply({"status": {"allowed": may}}, 201)

        api.on(ONE, answer, method="POST")
        return connection

    return ready


def told(facts: PlanFacts, found: tuple[Any, Rights | None]) -> list[str] | None:
    given = PlanFacts(
        facts.demand, facts.creates, seen=Seen(user="bob", missing=found[0], rights=found[1])
    )
    (row,) = (one for one in check_plan(given) if one.id == "escalation")
    return None if row.findings is None else [finding.about for finding in row.findings]


def asked(api: Any) -> list[tuple[str, str]]:
    """What was asked for by itself, but whether the user may do everything."""
    found = [each.json["spec"]["resourceAttributes"] for each in api.asked(ONE, "POST")]
    return [(each["verb"], each.get("name", "")) for each in found if each["verb"] != "*"]


def test_who_may_do_everything_is_asked_once(api, server) -> None:
    facts = plan(roles=5, bindings=5)
    found = rights(server(ALL), facts)
    assert found == ((), Rights(everything=True))
    assert len(api.requests) == 1


def test_what_the_user_holds_is_not_asked_for(api, server) -> None:
    facts = plan()
    assert told(facts, rights(server(MAKES, READS), facts)) == []
    assert asked(api) == []


def test_however_many_roles_one_lacks_it_is_one_question(api, server) -> None:
    facts = plan(roles=3)
    assert len(told(facts, rights(server(MAKES), facts)) or ()) == 3
    assert asked(api) == [("escalate", "")]


def test_a_role_that_is_bound_is_looked_at_once(api, server) -> None:
    api.on(VIEW, reply({"rules": [READS]}))
    facts = plan(roles=0, bindings=4)
    assert len(told(facts, rights(server(MAKES), facts)) or ()) == 4
    assert asked(api) == [("bind", "view")]
    assert len(api.asked(VIEW)) == 1


def test_who_may_bind_it_need_not_hold_it(api, server) -> None:
    api.on(VIEW, reply({"rules": [READS]}))
    facts = plan(roles=0, bindings=1)
    assert told(facts, rights(server(MAKES, allowed=[("bind", "view")]), facts)) == []


def test_what_may_not_be_made_at_all_is_told_as_that_alone(api, server) -> None:
    facts = plan()
    found = rights(server(), facts)
    assert [str(need) for need in found[0] or ()] == [f"create roles.{RBAC} in shop"]
    assert told(facts, found) == []
    assert asked(api) == [("create", "")]


def test_a_role_that_nobody_may_look_at_says_nothing(api, server) -> None:
    api.on(VIEW, refusal(403, "Forbidden", "no"))
    facts = plan(roles=0, bindings=1)
    assert told(facts, rights(server(MAKES), facts)) == []


def test_a_role_that_is_not_there_is_said_to_be_nowhere(api, server) -> None:
    facts = plan(roles=0, bindings=1)
    assert told(facts, rights(server(MAKES), facts)) == [
        str(Ref(RBAC, "RoleBinding", "shop", "b0"))
    ]


@pytest.mark.parametrize("path", [RULES, ONE])
def test_a_server_that_does_not_say_makes_it_not_known(api, server, path: str) -> None:
    facts = plan()
    connection = server(MAKES)
    api.on(path, refusal(403, "Forbidden", "no"), method="POST")
    assert rights(connection, facts) == (None, None)
    assert told(facts, (None, None)) is None
