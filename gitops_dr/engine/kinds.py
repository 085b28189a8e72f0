"""Says which kinds are listed, in which version, and what is left out as a whole. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from gitops_dr.cluster.discover import Discovery
from gitops_dr.model import ANY, SECRET, Omission, Ref, Resource
from gitops_dr.rules.clean import common_omissions, rules_for, standing_omissions
from gitops_dr.rules.relations import generated_omission
from gitops_dr.secrets.policy import rows

CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")
API_SERVICE = ("apiregistration.k8s.io", "APIService")
AUTOSCALER = ("autoscaling", "HorizontalPodAutoscaler")


def resources_to_list(
    discovery: Discovery,
    versions: Mapping[tuple[str, str], str],
) -> tuple[list[Resource], list[Resource]]:
    """What to list first, and the rest; one version of each kind that can be listed and made."""
    first: list[Resource] = []
    rest: list[Resource] = []
    for key, served in sorted(discovery.versions().items()):
        wanted = versions.get(key)
        resource = next((r for r in served if r.version == wanted), served[0])
        if not {"list", "create"} <= resource.verbs or rules_for(*key).omit_kind:
            continue
        (first if key in (CRD, AUTOSCALER) else rest).append(resource)
    return first, rest


def at_storage_version(
    resources: Iterable[Resource],
    discovery: Discovery,
    storage: Mapping[tuple[str, str], str],
) -> list[Resource]:
    """Custom resources in the version they are stored in, which needs no conversion webhook."""
    served = discovery.versions()
    return [
        next(
            (r for r in served[resource.group_kind] if r.version == storage.get(r.group_kind)),
            resource,
        )
        for resource in resources
    ]


def unserved(
    recorded: Iterable[Resource],
    listed: Iterable[Resource],
    discovery: Discovery,
    *,
    unread: Collection[tuple[str, str]],
    defined: Collection[tuple[str, str]],
    aggregated: Collection[str],
) -> dict[Resource, str]:
    """The recorded kinds that were not listed and yet are not known to be gone, and why.

    A kind is gone, and its objects with it, only if a complete list of CRDs does not have it and
    its group is none that an API server of its own should serve. ``unread``: kinds, or groups with
    any kind, that could not be listed; ``defined``: kinds that have a CRD; ``aggregated``: groups
    that an API server of their own serves, or should.
    """
    known = {resource.group_kind for resource in listed}
    served = {resource.group_kind for resource in discovery.resources}
    groups = {resource.group for resource in discovery.resources}
    found: dict[Resource, str] = {}
    for resource in recorded:
        key = resource.group_kind
        if key in known or rules_for(*key).omit_kind:
            continue
        if key in served:
            found[resource] = "the API server no longer lets anybody list or create one"
        elif (resource.group, ANY) in unread:
            found[resource] = "its API service does not answer"
        elif key in defined:
            found[resource] = "its CustomResourceDefinition is there, but it is not served"
        elif CRD in unread or API_SERVICE in unread:
            found[resource] = "not served, and whether it still has a definition is not known"
        elif resource.group in aggregated and resource.group not in groups:
            found[resource] = "its APIService is there, but it is not served"
    return found


def standing(
    chosen: Iterable[Resource], discovery: Discovery, *, secrets: bool
) -> Iterable[Omission]:
    """The rules that leave something out by themselves, for every kind that is served."""
    yield generated_omission()
    if secrets:
        yield from _quiet_omissions()
    yield from common_omissions()
    for resource in chosen:
        yield from standing_omissions(*resource.group_kind)
    for key, served in discovery.versions().items():
        if rules_for(*key).omit_kind:
            yield from standing_omissions(*key)
        elif "list" in served[0].verbs and "create" not in served[0].verbs:
            yield Omission(Ref(*key, "", ANY), "read-only", "Its API lets nobody create one.")


def _quiet_omissions() -> Iterable[Omission]:
    """Account for what policies leave out of Secrets without naming them, be there any or not."""
    every = Ref(*SECRET, "", ANY)
    return (Omission(every, row.id, row.because) for row in rows() if row.quietly)
