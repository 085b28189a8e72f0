"""Checks of a plan about the webhooks of its target. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from gitops_dr.checks.facts import Hook
from gitops_dr.checks.findings import Finding, PlanRow, blocker, warning
from gitops_dr.checks.of_pods import some
from gitops_dr.checks.plan_facts import PlanFacts
from gitops_dr.manifests.selector import selector_labels
from gitops_dr.model import Ref

_NAMESPACE = ("", "Namespace")


def _webhooks(facts: PlanFacts) -> Iterator[Finding]:
    for hook in facts.seen.hooks or ():
        if hook.service is None:
            continue
        if any(ref.namespace == hook.service.namespace for ref in facts.demand.pods):
            continue  # What should answer may be what the plan brings.
        stopped = _stopped(hook, facts)
        if not stopped:
            continue
        everything = len(stopped) == len(facts.writes) and not hook.selects_objects
        yield (blocker if everything else warning)(
            hook.configuration,
            f"its webhook {hook.name} must answer, and nothing is behind {hook.service}; it would "
            f"stop {'everything: ' if everything else ''}{some(stopped)}",
            "bring its backend up, or delete the configuration until it is",
        )


def _urls(facts: PlanFacts) -> Iterator[Finding]:
    for hook in facts.seen.hooks or ():
        if hook.service is None and (asked := _stopped(hook, facts)):
            yield warning(
                hook.configuration,
                f"its webhook {hook.name} must answer, and is asked at {hook.host or 'a URL'}, "
                "outside the cluster: nobody here knows whether the API server reaches it; it is "
                f"asked about {some(asked)}",
                "see that it answers, or delete the configuration until it does",
            )


def _stopped(hook: Hook, facts: PlanFacts) -> list[Ref]:
    """What it would stop, as far as it can be told without bodies: its own selector matches all.

    https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-rules
    """
    selector = selector_labels(hook.namespaces)

    @cache
    def asked(operation: str, group: str, plural: str, scope: str) -> bool:
        return any(
            {"*", operation} & set(rule.get("operations") or ())
            and {"*", group} & set(rule.get("apiGroups") or ())
            and {"*", "*/*", plural} & set(rule.get("resources") or ())
            and rule.get("scope", "*") in ("*", scope)
            for rule in hook.rules
        )

    @cache
    def selected(namespace: str) -> bool:
        # One that the plan makes has at least the label that every namespace has.
        given = facts.seen.namespaces.get(namespace, {})
        labels = {"kubernetes.io/metadata.name": namespace, **given}
        return all(one.holds(labels) for one in selector)

    def is_stopped(operation: str, ref: Ref, plural: str) -> bool:
        if ref.group == "admissionregistration.k8s.io":
            return False  # Webhooks are never asked about themselves.
        if not asked(operation, ref.group, plural, "Namespaced" if ref.namespace else "Cluster"):
            return False
        if ref.namespace or ref.group_kind == _NAMESPACE:
            return selected(ref.namespace or ref.name)
        return True

    written = {"CREATE": facts.creates, "UPDATE": facts.changes}
    return sorted(
        ref
        for operation, refs in written.items()
        for ref, plural in refs.items()
        if is_stopped(operation, ref, plural)
    )


ADMISSION_ROWS: tuple[PlanRow[PlanFacts], ...] = (
    PlanRow(
        "webhooks",
        "webhooks of the target answer",
        "With failurePolicy Fail and nobody behind it, whatever it is about is refused.",
        "https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
        _webhooks,
        blocks="it would stop every object of the plan",
        known=lambda facts: facts.seen.hooks is not None,
    ),
    PlanRow(
        "webhook-urls",
        "webhooks outside the cluster are known to answer",
        "What is asked by URL is reached by the API server alone; we do not ask it ourselves.",
        "https://kubernetes.io/docs/reference/access-authn-authz/"
        "extensible-admission-controllers/#url",
        _urls,
        known=lambda facts: facts.seen.hooks is not None,
    ),
)
