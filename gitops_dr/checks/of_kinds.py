"""Checks of a plan about kinds: what the target serves, and what it has stored. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gitops_dr.checks.findings import Finding, PlanRow, warning
from gitops_dr.checks.of_pods import some
from gitops_dr.checks.plan_facts import PlanFacts
from gitops_dr.model import Ref


def _api_versions(facts: PlanFacts) -> Iterator[Finding]:
    by_reason: dict[str, list[Ref]] = {}
    for ref, why in sorted(facts.refused.items()):
        by_reason.setdefault(why, []).append(ref)
    for why, refs in by_reason.items():
        yield warning(
            some(refs), f"{why}; it is a gap", "upgrade the target, or say what is other in a patch"
        )
    by_version: dict[str, list[Ref]] = {}
    for ref, version in sorted(facts.rewritten.items()):
        by_version.setdefault(version, []).append(ref)
    for version, refs in by_version.items():
        yield warning(
            some(refs),
            f"the target does not serve Git's version any more; it is made as {version}",
            "bring Git up to date: export once it is there",
        )


def _stored(facts: PlanFacts) -> Iterator[Finding]:
    for ref, stored in sorted((facts.seen.stored or {}).items()):
        versions = facts.demand.definitions.get(ref, ())
        gone = [version for version in stored if version not in versions]
        if gone and ref in facts.changes:
            yield warning(
                ref,
                f"Git no longer has version {', '.join(gone)}, in which the target may still have "
                "objects stored: the API server refuses it, and it stays as it is",
                f"have every object written anew, take {', '.join(gone)} out of its "
                "status.storedVersions, and run this again",
            )


KIND_ROWS: tuple[PlanRow[PlanFacts], ...] = (
    PlanRow(
        "api-versions",
        "the target knows every kind, version and field",
        "What it does not serve cannot come back; what moved is written in the new place.",
        "https://kubernetes.io/docs/reference/using-api/deprecation-guide/",
        _api_versions,
    ),
    PlanRow(
        "stored-versions",
        "definitions keep the versions in which objects are stored",
        "A definition that drops a version of its status.storedVersions is refused: objects that "
        "are stored in it could not be read any more.",
        "https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/"
        "custom-resource-definition-versioning/#upgrade-existing-objects-to-a-new-stored-version",
        _stored,
        known=lambda facts: facts.seen.stored is not None,
    ),
)
