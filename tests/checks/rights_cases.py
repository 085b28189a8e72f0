"""Rights that a plan gives, definitions and webhooks that refuse it, each with a near miss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from checks.plan_samples import Case, config_map, facts, hook, seen

from gitops_dr.checks.demand import RoleRules
from gitops_dr.checks.needs import Need
from gitops_dr.checks.plan_facts import PlanFacts, Rights
from gitops_dr.model import Ref

RBAC = "rbac.authorization.k8s.io"
ROLE = Ref(RBAC, "Role", "shop", "r")
CLUSTER_ROLE = Ref(RBAC, "ClusterRole", "", "r")
BINDING = Ref(RBAC, "RoleBinding", "shop", "b")
DEFINITION = Ref("apiextensions.k8s.io", "CustomResourceDefinition", "", "shops.example.com")
READ_SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}
GET_SECRETS = {**READ_SECRETS, "verbs": ["get"]}
LIST_SECRETS = {**READ_SECRETS, "verbs": ["list"]}
ONE_SECRET = {**GET_SECRETS, "resourceNames": ["one"]}
HEALTH = {"nonResourceURLs": ["/healthz/etcd"], "verbs": ["get"]}
ALL = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
ESCALATE = Need(RBAC, "roles", "escalate", "shop")
BIND = Need(RBAC, "roles", "bind", "shop", "r")


def role(*rules: Mapping[str, Any], ref: Ref = ROLE, **more: Any) -> Any:
    return ref, {"rules": list(rules), **more}


def binding(to: Ref = ROLE) -> Any:
    return BINDING, {"roleRef": {"apiGroup": RBAC, "kind": to.kind, "name": to.name}}


def holding(*rules: Mapping[str, Any], roles: Any = None, granted: Any = ()) -> Any:
    """A target whose user holds these rules everywhere."""
    held = {"": rules, "shop": rules}
    return seen(user="bob", rights=Rights(held=held, roles=roles or {}, granted=frozenset(granted)))


def definition(*versions: str, stored: tuple[str, ...] | None, created: bool = False) -> PlanFacts:
    body = {"spec": {"versions": [{"name": name} for name in versions]}}
    return facts(
        (DEFINITION, body),
        changed=() if created else (DEFINITION,),
        seen=seen(stored={DEFINITION: stored}),
    )


NOT_HELD = "gives rights that bob does not hold "
BY_URL = replace(hook(), service=None, host="hooks.example.com:8443")
OF_URL = f"webhook-urls|warning: {BY_URL.configuration}: its webhook w.example.com must answer, "

CASES: dict[str, Callable[[], Case]] = {
    "a role that gives what its maker lacks": lambda: (
        facts(role(READ_SECRETS), seen=holding(GET_SECRETS)),
        f"escalation|warning: {ROLE}: {NOT_HELD}(list secrets), so it is refused",
        # Each right by some rule, not all by one.
        facts(role(READ_SECRETS), seen=holding(GET_SECRETS, LIST_SECRETS)),
    ),
    "a role that its maker may escalate": lambda: (
        facts(role(READ_SECRETS), seen=holding()),
        f"escalation|warning: {ROLE}: {NOT_HELD}(get secrets)",
        facts(role(READ_SECRETS), seen=holding(granted=[ESCALATE])),
    ),
    "a role that is changed": lambda: (
        # Whoever may escalate that one may not make another.
        facts(role(READ_SECRETS), seen=holding(granted=[replace(ESCALATE, name="r")])),
        f"escalation|warning: {ROLE}: {NOT_HELD}",
        facts(
            role(READ_SECRETS),
            changed=(ROLE,),
            seen=holding(granted=[replace(ESCALATE, name="r")]),
        ),
    ),
    "a role about all of what its maker has by name": lambda: (
        facts(role(GET_SECRETS), seen=holding(ONE_SECRET)),
        f"escalation|warning: {ROLE}: {NOT_HELD}(get secrets)",
        facts(role(ONE_SECRET), seen=holding(ONE_SECRET)),
    ),
    "a role about all groups": lambda: (
        facts(role(ALL), seen=holding({**ALL, "apiGroups": ["", "apps"]})),
        f"escalation|warning: {ROLE}: {NOT_HELD}(* *.*)",
        facts(role(ALL), seen=holding(ALL)),
    ),
    "a role about URLs": lambda: (
        facts(role(HEALTH, ref=CLUSTER_ROLE), seen=holding(ALL)),
        f"escalation|warning: {CLUSTER_ROLE}: {NOT_HELD}(get /healthz/etcd)",
        facts(
            role(HEALTH, ref=CLUSTER_ROLE),
            seen=holding({**HEALTH, "nonResourceURLs": ["/healthz/*"]}),
        ),
    ),
    "a role that gathers others": lambda: (
        facts(role(ref=CLUSTER_ROLE, aggregationRule={"a": 1}), seen=holding(READ_SECRETS)),
        f"escalation|warning: {CLUSTER_ROLE}: {NOT_HELD}(* *.*)",
        facts(
            role(ref=CLUSTER_ROLE, aggregationRule={"a": 1}),
            seen=holding(ALL, {"nonResourceURLs": ["*"], "verbs": ["*"]}),
        ),
    ),
    "a binding of a role of the plan": lambda: (
        facts(
            role(READ_SECRETS),
            binding(),
            seen=holding(granted=[ESCALATE]),
        ),
        f"escalation|warning: {BINDING}: {NOT_HELD}(get secrets)",
        facts(role(READ_SECRETS), binding(), seen=holding(granted=[ESCALATE, BIND])),
    ),
    "a binding of a role that is there": lambda: (
        facts(binding(), seen=holding(roles={ROLE: RoleRules((READ_SECRETS,))})),
        f"escalation|warning: {BINDING}: {NOT_HELD}(get secrets)",
        # What it gives, nobody may look at.
        facts(binding(), seen=holding(roles={ROLE: None})),
    ),
    "a binding of a role of the plan that gathers others": lambda: (
        facts(
            role(READ_SECRETS, ref=CLUSTER_ROLE),
            binding(CLUSTER_ROLE),
            seen=holding(granted=[replace(ESCALATE, resource="clusterroles", namespace="")]),
        ),
        f"escalation|warning: {BINDING}: {NOT_HELD}(get secrets)",
        # What it will give, nobody knows yet.
        facts(
            role(ref=CLUSTER_ROLE, aggregationRule={"a": 1}),
            binding(CLUSTER_ROLE),
            seen=holding(granted=[replace(ESCALATE, resource="clusterroles", namespace="")]),
        ),
    ),
    "a binding of a role that is nowhere": lambda: (
        facts(binding(), seen=holding(READ_SECRETS)),
        f"escalation|warning: {BINDING}: gives {ROLE}, which is neither in Git nor in the target",
        facts(binding(), seen=holding(granted=[BIND])),
    ),
    "a role that may not be made at all": lambda: (
        facts(role(READ_SECRETS), seen=holding()),
        f"escalation|warning: {ROLE}: {NOT_HELD}",
        facts(role(READ_SECRETS), seen=seen(rights=Rights(everything=True))),
    ),
    "a version in which objects are stored": lambda: (
        definition("v2", stored=("v1", "v2")),
        (
            f"stored-versions|warning: {DEFINITION}: Git no longer has version v1, in which the "
            "target may still have objects stored"
        ),
        definition("v1", "v2", stored=("v1", "v2")),
    ),
    "a version of what is not changed": lambda: (
        definition("v2", stored=("v1",)),
        f"stored-versions|warning: {DEFINITION}: Git no longer has version v1",
        definition("v2", stored=("v1",), created=True),
    ),
    "a webhook by URL": lambda: (
        facts(config_map(), seen=seen(hooks=(BY_URL,))),
        (
            f"{OF_URL}and is asked at hooks.example.com:8443, outside the cluster: nobody here "
            "knows whether the API server reaches it; it is asked about ConfigMap/shop/a"
        ),
        facts(config_map(), seen=seen(hooks=(replace(BY_URL, rules=()),))),
    ),
    "a webhook about changes": lambda: (
        facts(
            config_map(),
            changed=(config_map()[0],),
            seen=seen(
                hooks=(replace(BY_URL, rules=({**BY_URL.rules[0], "operations": ["UPDATE"]},)),)
            ),
        ),
        f"{OF_URL}",
        facts(config_map(), changed=(config_map()[0],), seen=seen(hooks=(BY_URL,))),
    ),
}
