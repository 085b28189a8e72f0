"""What admission changes waits for it, but not what its backend is made of; nothing circles."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.model import Action, Body, Need, Ref, Step, parse_ref
from gitops_dr.planning.facts import ObjectFacts, collect
from gitops_dr.planning.graph import Ordering, order

GROUP = "admissionregistration.k8s.io"
HOOK = f"MutatingWebhookConfiguration.{GROUP}/hook"
POLICY = f"MutatingAdmissionPolicy.{GROUP}/policy"
BINDING = f"MutatingAdmissionPolicyBinding.{GROUP}/binding"
CERTIFICATE = "Certificate.cert-manager.io/hook/cert"

Bodies = dict[str, Body]


def labels(**found: str) -> Body:
    return {"metadata": {"labels": found}}


def workload(spec: Body | None = None, **found: str) -> Body:
    """A Deployment whose pods have these labels, and which has none itself."""
    return {"spec": {"template": {**labels(**found), "spec": spec or {}}}}


def webhook(service: str = "hook", rules: Any = None, **others: Any) -> Body:
    """One that is asked about pods, and whose Service is in the namespace of its own name."""
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    one = {
        "name": "w.example",
        "clientConfig": {"service": {"namespace": service, "name": service}},
        "rules": [{**pods, "resources": ["pods"], **(rules or {})}],
    }
    return {"webhooks": [{**one, **others}]}


EVERYTHING = {"apiGroups": ["*"], "resources": ["*"]}

BACKEND: Bodies = {
    "Namespace/hook": {},
    "Service/hook/hook": {"spec": {"selector": {"app": "hook"}}},
    "ServiceAccount/hook/hook": {},
    "ConfigMap/hook/settings": {},
    "RoleBinding.rbac.authorization.k8s.io/hook/hook": {
        "subjects": [{"kind": "ServiceAccount", "name": "hook", "namespace": "hook"}],
    },
    "Deployment.apps/hook/hook": workload(
        {
            "serviceAccountName": "hook",
            "volumes": [
                {"configMap": {"name": "settings"}},
                {"secret": {"secretName": "cert"}},
            ],
        },
        app="hook",
    ),
    CERTIFICATE: {"spec": {"secretName": "cert", "issuerRef": {"name": "own"}}},
    "Issuer.cert-manager.io/hook/own": {},
    "CustomResourceDefinition.apiextensions.k8s.io/certificates.cert-manager.io": {},
    "CustomResourceDefinition.apiextensions.k8s.io/issuers.cert-manager.io": {},
}


def plural(ref: Ref) -> str:
    return ref.kind.lower() + "s"


def facts_of(bodies: Mapping[str, Body]) -> dict[Ref, ObjectFacts]:
    found = {}
    for text, body in bodies.items():
        ref = parse_ref(text)
        whole = {**body, "metadata": {"name": ref.name, **body.get("metadata", {})}}
        found[ref] = collect(ref, whole, plural(ref))
    return found


def arrange(
    bodies: Mapping[str, Body],
    skipped: Iterable[str] = (),
    background: Mapping[str, Body] | None = None,
    **actions: Action,
) -> Ordering:
    steps = []
    for text in bodies:
        ref = parse_ref(text)
        action = Action.SKIP if text in skipped else actions.get(ref.name, Action.CREATE)
        steps.append(Step(ref, action, "fingerprint", "path", "v1"))
    there = {parse_ref(text) for text in skipped}
    return order(steps, facts_of({**bodies, **(background or {})}), there.__contains__)


def waiting(ordering: Ordering, hook: str = HOOK) -> set[str]:
    """Who waits for an object of admission to be ready."""
    ref = parse_ref(hook)
    return {
        str(step.ref)
        for step in ordering.steps
        for need in step.needs
        if need.ref == ref and need.ready
    }


WEB = "Deployment.apps/shop/web"


def test_what_makes_pods_that_a_webhook_changes_waits_for_it() -> None:
    ordering = arrange({**BACKEND, HOOK: webhook(), "Namespace/shop": {}, WEB: workload()})
    assert waiting(ordering) == {WEB}
    assert ordering.notes == ()


def test_its_backend_with_all_that_it_needs_does_not() -> None:
    bodies = {
        **BACKEND,
        HOOK: webhook(rules=EVERYTHING),
        "Namespace/shop": {},
        "ConfigMap/shop/x": {},
        "ConfigMap/hook/unrelated": {},
        f"ValidatingWebhookConfiguration.{GROUP}/other": {},
    }
    ordering = arrange(bodies)
    assert waiting(ordering) == {"Namespace/shop", "ConfigMap/shop/x", "ConfigMap/hook/unrelated"}
    assert ordering.notes == ()


def test_a_certificate_that_is_injected_is_of_its_backend() -> None:
    hook = webhook(rules=EVERYTHING)
    hook["metadata"] = {"annotations": {"cert-manager.io/inject-ca-from": "certs/ca"}}
    ca = "Certificate.cert-manager.io/certs/ca"
    ordering = arrange({**BACKEND, HOOK: hook, ca: {}, "Namespace/certs": {}})
    assert waiting(ordering) == set()
    needs = {str(need.ref): need.ready for need in ordering.steps[-1].needs}
    assert str(ordering.steps[-1].ref) == HOOK
    assert needs[ca]


@pytest.mark.parametrize(
    ("hook", "namespace", "web", "expected"),
    [
        ({}, {}, {}, True),
        ({"namespaceSelector": {"matchLabels": {"inject": "yes"}}}, {"inject": "yes"}, {}, True),
        ({"namespaceSelector": {"matchLabels": {"inject": "yes"}}}, {"inject": "no"}, {}, False),
        ({"namespaceSelector": {"matchLabels": {"inject": "yes"}}}, {}, {"inject": "yes"}, False),
        (
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}},
            {},
            {},
            True,
        ),
        (
            {
                "namespaceSelector": {
                    "matchExpressions": [
                        {
                            "key": "kubernetes.io/metadata.name",
                            "operator": "NotIn",
                            "values": ["kube-system", "shop"],
                        }
                    ]
                }
            },
            {},
            {},
            False,
        ),
        ({"objectSelector": {"matchLabels": {"app": "web"}}}, {}, {"app": "web"}, True),
        ({"objectSelector": {"matchLabels": {"app": "web"}}}, {"app": "web"}, {}, False),
        (
            {"objectSelector": {"matchExpressions": [{"key": "no", "operator": "DoesNotExist"}]}},
            {},
            {"no": "x"},
            False,
        ),
        ({"matchConditions": [{"name": "x", "expression": "false"}]}, {}, {}, True),
    ],
)
def test_selectors_are_about_namespaces_and_about_the_pods_themselves(
    hook: Body, namespace: dict[str, str], web: dict[str, str], expected: bool
) -> None:
    bodies = {
        **BACKEND,
        HOOK: webhook(**hook),
        "Namespace/shop": labels(**namespace),
        WEB: {**workload(**web), **labels(app="none", inject="none", no="none")},
    }
    assert (WEB in waiting(arrange(bodies))) is expected


def test_the_labels_of_a_namespace_that_is_there_count_too() -> None:
    selector = {"matchLabels": {"inject": "yes"}}
    bodies = {**BACKEND, HOOK: webhook(namespaceSelector=selector), WEB: workload()}
    ordering = arrange(bodies, background={"Namespace/shop": labels(inject="yes")})
    assert waiting(ordering) == {WEB}


@pytest.mark.parametrize(
    ("action", "rules", "expected"),
    [
        (Action.CREATE, {}, True),
        # Changed, a workload makes new pods; but it is not made itself.
        (Action.CONFIGURE, {}, True),
        (Action.CONFIGURE, {"apiGroups": ["apps"], "resources": ["deployments"]}, False),
        (Action.REPLACE, {"apiGroups": ["apps"], "resources": ["deployments"]}, True),
        (Action.SKIP, {}, False),
    ],
)
def test_it_is_asked_about_what_a_step_makes(action: Action, rules: Any, expected: bool) -> None:
    bodies = {**BACKEND, HOOK: webhook(rules=rules), "Namespace/shop": {}, WEB: workload()}
    assert (WEB in waiting(arrange(bodies, web=action))) is expected


def test_one_that_is_there_is_not_waited_for() -> None:
    bodies = {**BACKEND, HOOK: webhook(), "Namespace/shop": {}, WEB: workload()}
    ordering = arrange(bodies, skipped=[HOOK])
    assert waiting(ordering) == set()


def test_definitions_and_what_all_pods_need_wait_for_nothing() -> None:
    critical = {"priorityClassName": "system-node-critical", "serviceAccountName": "net"}
    definition = "CustomResourceDefinition.apiextensions.k8s.io/books.shop.example"
    bodies = {
        **BACKEND,
        HOOK: webhook(rules=EVERYTHING),
        "Namespace/net": {},
        "ServiceAccount/net/net": {},
        "DaemonSet.apps/net/net": workload(critical),
        definition: {},
        "Book.shop.example/net/b": {},
    }
    assert waiting(arrange(bodies)) == {"Book.shop.example/net/b"}


def second(name: str = "other") -> Bodies:
    return {
        f"Namespace/{name}": {},
        f"Service/{name}/{name}": {"spec": {"selector": {"app": name}}},
        f"Deployment.apps/{name}/{name}": workload(app=name),
        f"MutatingWebhookConfiguration.{GROUP}/{name}": webhook(name, rules=EVERYTHING),
    }


def test_the_backend_of_one_waits_for_another_that_does_not_wait_for_it() -> None:
    ordering = arrange({**BACKEND, HOOK: webhook(rules={"resources": ["secrets"]}), **second()})
    other = f"MutatingWebhookConfiguration.{GROUP}/other"
    assert waiting(ordering, HOOK) == set()
    assert "Deployment.apps/hook/hook" in waiting(ordering, other)
    assert ordering.notes == ()


def test_backends_that_would_wait_for_each_other_wait_for_neither_and_it_is_said() -> None:
    ordering = arrange(
        {**BACKEND, HOOK: webhook(rules=EVERYTHING), **second(), "ConfigMap/hook/free": {}}
    )
    other = f"MutatingWebhookConfiguration.{GROUP}/other"
    assert waiting(ordering, HOOK) == waiting(ordering, other) == {"ConfigMap/hook/free"}
    (note,) = ordering.notes
    assert HOOK in note
    assert other in note


def test_one_that_nobody_can_answer_for_comes_after_what_it_matches() -> None:
    web_needs_nothing = {HOOK: webhook(), "Namespace/shop": {}, WEB: workload()}
    ordering = arrange(web_needs_nothing)
    assert "Service/hook/hook" in [str(each.need.ref) for each in ordering.unmet]
    assert waiting(ordering) == set()
    (hook,) = [step for step in ordering.steps if str(step.ref) == HOOK]
    assert [(str(need.ref), need.ready, need.hard) for need in hook.needs] == [(WEB, False, False)]
    assert ordering.notes == ()


def test_a_later_stage_waits_anyway() -> None:
    quota = {"apiGroups": [""], "resources": ["resourcequotas"]}
    ordering = arrange({HOOK: webhook(rules=quota), "ResourceQuota/shop/q": {}})
    assert ordering.notes == ()
    assert [str(step.ref) for step in ordering.steps] == [HOOK, "ResourceQuota/shop/q"]


# -- policies --------------------------------------------------------------------------------------

PODS = {"apiGroups": [""], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["pods"]}


def policy(**constraints: Any) -> Body:
    return {"spec": {"matchConstraints": {"resourceRules": [PODS], **constraints}}}


def binding(**resources: Any) -> Body:
    spec: Body = {"policyName": "policy"}
    return {"spec": {**spec, **({"matchResources": resources} if resources else {})}}


def test_what_a_policy_changes_waits_for_its_binding() -> None:
    bodies = {POLICY: policy(), BINDING: binding(), "Namespace/shop": {}, WEB: workload()}
    ordering = arrange(bodies)
    assert waiting(ordering, BINDING) == {WEB}
    assert waiting(ordering, POLICY) == set()


def test_the_policy_may_be_there_already() -> None:
    bodies = {BINDING: binding(), "Namespace/shop": {}, WEB: workload()}
    assert waiting(arrange(bodies, background={POLICY: policy()}), BINDING) == {WEB}
    assert waiting(arrange(bodies), BINDING) == set()


@pytest.mark.parametrize(
    ("constraints", "resources", "expected"),
    [
        ({}, {"namespaceSelector": {"matchLabels": {"a": "b"}}}, False),
        ({"namespaceSelector": {"matchLabels": {"a": "b"}}}, {}, False),
        ({"objectSelector": {"matchLabels": {"app": "web"}}}, {}, True),
        ({}, {"objectSelector": {"matchLabels": {"app": "web"}}}, True),
        ({"objectSelector": {"matchLabels": {"app": "web"}}}, {"resourceRules": [PODS]}, True),
        ({}, {"resourceRules": [{**PODS, "resources": ["secrets"]}]}, False),
        ({"excludeResourceRules": [PODS]}, {}, False),
    ],
)
def test_both_must_match(constraints: Body, resources: Body, expected: bool) -> None:
    bodies = {
        POLICY: policy(**constraints),
        BINDING: binding(**resources),
        "Namespace/shop": {},
        WEB: workload(app="web"),
    }
    assert (WEB in waiting(arrange(bodies), BINDING)) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "a", "namespace": "shop"}, {"ConfigMap/shop/a"}),
        ({"name": "a"}, {"ConfigMap/shop/a", "ConfigMap/far/a"}),
        ({"selector": {}, "namespace": "shop"}, {"ConfigMap/shop/a", "ConfigMap/shop/b"}),
    ],
)
def test_a_binding_comes_after_its_parameters_which_do_not_wait_for_it(
    given: Body, expected: set[str]
) -> None:
    everything = {**PODS, "resources": ["*"]}
    spec: Body = {
        "matchConstraints": {"resourceRules": [everything]},
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
    }
    bodies: Bodies = {
        POLICY: {"spec": spec},
        BINDING: {"spec": {"policyName": "policy", "paramRef": given}},
        "ConfigMap/shop/a": {},
        "ConfigMap/shop/b": {},
        "ConfigMap/far/a": {},
    }
    ordering = arrange(bodies)
    (found,) = [step for step in ordering.steps if str(step.ref) == BINDING]
    assert {str(need.ref) for need in found.needs} == expected | {POLICY}
    assert not waiting(ordering, BINDING) & expected


# -- in general ------------------------------------------------------------------------------------

RESOURCES = ["*", "pods", "configmaps", "deployments", "services", "namespaces"]


@st.composite
def clusters(draw: st.DrawFn) -> Bodies:
    """Some webhooks, each with a backend, that match one another's and their own as it comes."""
    names = [f"n{at}" for at in range(draw(st.integers(1, 4)))]
    bodies: Bodies = {"ConfigMap/free/free": {}, "Deployment.apps/free/free": workload()}
    for name in names:
        chosen = draw(st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=2))
        others = draw(st.lists(st.sampled_from(names), max_size=2))
        space = draw(st.none() | st.sampled_from([*names, "free"]))
        selector = {"matchLabels": {"kubernetes.io/metadata.name": space}}
        volumes = [{"configMap": {"name": "settings"}}]
        owners = [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": other, "uid": "u"}
            for other in others
        ]
        bodies |= {
            f"Namespace/{name}": {},
            f"ConfigMap/{name}/settings": {"metadata": {"ownerReferences": owners}},
            f"Service/{name}/{name}": {"spec": {"selector": {"app": name}}},
            f"Deployment.apps/{name}/{name}": workload({"volumes": volumes}, app=name),
            f"MutatingWebhookConfiguration.{GROUP}/{name}": webhook(
                name,
                rules={"apiGroups": ["*"], "resources": chosen},
                **({"namespaceSelector": selector} if space else {}),
            ),
        }
    return bodies


def reach(ordering: Ordering, start: Ref) -> set[Ref]:
    """All that an object needs, directly or through others."""
    needs: dict[Ref, Sequence[Need]] = {step.ref: step.needs for step in ordering.steps}
    found, todo = set(), [start]
    while todo:
        for need in needs[todo.pop()]:
            if need.ref not in found:
                found.add(need.ref)
                todo.append(need.ref)
    return found


@given(clusters())
def test_no_backend_waits_for_its_own_webhook_in_however_many_steps(bodies: Bodies) -> None:
    ordering = arrange(bodies)
    assert len(ordering.steps) == len(bodies)
    done: set[Ref] = set()
    for step in ordering.steps:
        assert {need.ref for need in step.needs} <= done
        done.add(step.ref)
    for step in ordering.steps:
        assert step.ref not in reach(ordering, step.ref)


@given(clusters())
def test_admission_never_costs_another_need(bodies: Bodies) -> None:
    with_it = arrange(bodies)
    facts = {ref: replace(found, asked=None) for ref, found in facts_of(bodies).items()}
    steps = [Step(parse_ref(text), Action.CREATE, "fingerprint", "path", "v1") for text in bodies]
    without = order(steps, facts, lambda _: False)
    kept = {step.ref: set(step.needs) for step in with_it.steps}
    assert all(set(step.needs) <= kept[step.ref] for step in without.steps)


def test_each_of_fifteen_thousand_objects_waits_for_ten_webhooks() -> None:
    selector = {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]}
    hook = {**webhook(rules=EVERYTHING, objectSelector=selector)["webhooks"][0]}
    hook["clientConfig"] = {"url": "https://hooks.example"}
    bodies: Bodies = {
        f"MutatingWebhookConfiguration.{GROUP}/w{at}": {"webhooks": [hook]} for at in range(10)
    }
    for at in range(15_000):
        bodies[f"ConfigMap/n{at % 100}/c{at}"] = labels(app="web")
    facts = facts_of(bodies)
    steps = [Step(ref, Action.CREATE, "fingerprint", "path", "v1") for ref in facts]
    ordering = order(steps, facts, lambda _: True)
    assert sum(len(step.needs) for step in ordering.steps) == 150_000
