"""What each job must be allowed to do, and what of it is not allowed. Pure.

The roles in ``templates/deploy/`` are both: what an administrator applies, and the list that is
checked here. Rules are RBAC's: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gitops_dr.desired.fence import Stoppable
from gitops_dr.desired.target_standby import backend_kinds
from gitops_dr.manifests.parse import parse_documents
from gitops_dr.model import SECRET, Body, Resource
from gitops_dr.resources import shipped
from gitops_dr.rules.clean import rules_for

Rule = Mapping[str, Any]
"""One rule of a role, as RBAC writes it."""

EVERYTHING = "*"
OWN = "gitops-dr"
"""The namespace of what we keep in a cluster."""
RBAC = "rbac.authorization.k8s.io"

_READ = ("get", "list", "watch")
_ACCOUNT = re.compile(r"system:serviceaccount:([^:]+):([^:]+)")


class Job(StrEnum):
    """What somebody wants to do."""

    DRIFT = "drift"
    EXPORT = "export"
    SECRETS = "secrets"
    VOLUMES = "volumes"
    REBUILD = "rebuild"
    SYNC = "sync"
    REVERT = "revert"
    VOLUMES_RESTORE = "volumes-restore"
    FAILOVER = "failover"


_FILES: Mapping[Job, tuple[str, ...]] = {
    Job.DRIFT: ("drift",),
    Job.EXPORT: ("export",),
    Job.SECRETS: ("export", "secrets"),
    Job.VOLUMES: ("export", "volumes"),
    Job.REBUILD: ("rebuild",),
    Job.SYNC: ("rebuild",),
    Job.REVERT: ("rebuild",),
    Job.VOLUMES_RESTORE: ("rebuild",),
    Job.FAILOVER: ("rebuild",),
}
"""Which files of ``templates/deploy/`` hold a job's roles."""

WRITES = frozenset({Job.REBUILD, Job.SYNC, Job.REVERT, Job.VOLUMES_RESTORE, Job.FAILOVER})
"""Jobs that write objects of any kind to the cluster; the others read all that it serves."""


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """One thing that must be allowed."""

    group: str
    resource: str
    """Plural, with ``/subresource`` if it is about one."""
    verb: str
    namespace: str = ""
    """Empty for all namespaces, and for what is in none."""
    name: str = ""
    """Of the one object that it is about; empty for all."""

    def __str__(self) -> str:
        """``list shops.example.com in gitops-dr``."""
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        named = f" {self.name}" if self.name else ""
        return f"{self.verb} {what}{named}" + (f" in {self.namespace}" if self.namespace else "")


def needs_of(job: Job, served: Collection[Resource]) -> tuple[Need, ...]:
    """What the job must be allowed to do in a cluster that serves these resources, sorted."""
    found: set[Need] = set()
    for name in _FILES[job]:
        path = f"templates/deploy/{name}.yaml"
        for body in parse_documents(shipped(path).read_bytes(), path):
            found |= set(_needs_of_role(body, served))
    if job not in WRITES:
        found |= set(_of_every_kind(served))
    return tuple(sorted(found))


def needs_of_fence(asked: Stoppable, served: Collection[Resource]) -> tuple[Need, ...]:
    """What stopping a cluster needs that serves these resources, sorted: ``desired/fence.py``.

    It reads what writes, changes what is to rest, and notes how that was.
    """
    found = {Need("", "configmaps", verb, OWN) for verb in ("get", "create", "patch")}
    read = {("", "Pod"), ("", "Service"), *backend_kinds()}
    for resource in served:
        stops = asked.is_about(resource.group_kind) and {"list", "patch"} <= resource.verbs
        if stops or resource.group_kind in read:
            found.add(Need(resource.group, resource.plural, "list"))
        if stops:
            found.add(Need(resource.group, resource.plural, "patch"))
    return tuple(sorted(found))


def allows(rules: Iterable[Rule], need: Need) -> bool:
    """Whether one of the rules allows it."""
    base, _, subresource = need.resource.partition("/")
    names = {EVERYTHING, need.resource, *([f"*/{subresource}"] if subresource else [])}
    return any(
        not names.isdisjoint(rule.get("resources") or ())
        and not {EVERYTHING, need.group}.isdisjoint(rule.get("apiGroups") or ())
        and not {EVERYTHING, need.verb}.isdisjoint(rule.get("verbs") or ())
        and (not rule.get("resourceNames") or need.name in rule["resourceNames"])
        for rule in rules
        if base
    )


def grants(
    missing: Collection[Need], job: Job, user: str, *, namespaces: Collection[str] = ()
) -> tuple[Body, ...]:
    """The manifests that allow ``user`` what is missing, and nothing else; none if nothing is.

    ``user`` is the name that the API server knows: a service account's becomes one again.
    ``namespaces``: those that are there; another one that is needed is among the manifests. Their
    names tell them apart from those for other users and other needs, which stay as they are.
    """
    found: list[Body] = []
    for namespace in sorted({need.namespace for need in missing}):
        if namespace and namespace not in namespaces:
            found.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        here = [need for need in missing if need.namespace == namespace]
        told = "\n".join([user, *map(str, sorted(here))])
        name = f"gitops-dr-{job}-missing-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
        found += _grant(here, namespace, name, user)
    return tuple(found)


def _needs_of_role(body: Body, served: Collection[Resource]) -> Iterator[Need]:
    kind, metadata = body["kind"], body["metadata"]
    if kind == "ClusterRoleBinding" and body["roleRef"]["name"] == "cluster-admin":
        yield Need(EVERYTHING, EVERYTHING, EVERYTHING)
    if kind not in ("ClusterRole", "Role"):
        return
    namespace = metadata.get("namespace", "")
    for rule in body["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in rule.get("resourceNames") or ("",):
                    for plural in _served(group, resource, served):
                        for verb in rule["verbs"]:
                            yield Need(group, plural, verb, namespace, name)


def _served(group: str, resource: str, served: Collection[Resource]) -> Iterator[str]:
    """The resources that a rule is about, of those that the cluster serves."""
    if resource == EVERYTHING:
        yield from {r.plural for r in served if r.group == group and _is_listed(r)}
    elif any((r.group, r.plural) == (group, resource.partition("/")[0]) for r in served):
        yield resource


def _of_every_kind(served: Collection[Resource]) -> Iterator[Need]:
    """Reading all that an export lists, custom resources too."""
    for resource in served:
        if _is_listed(resource) and resource.group_kind != SECRET:
            for verb in _READ:
                yield Need(resource.group, resource.plural, verb)


def _is_listed(resource: Resource) -> bool:
    return {"list", "create"} <= resource.verbs and not rules_for(*resource.group_kind).omit_kind


def _grant(needs: Collection[Need], namespace: str, name: str, user: str) -> Iterator[Body]:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    role, binding = ("Role", "RoleBinding") if namespace else ("ClusterRole", "ClusterRoleBinding")
    referred = name
    if any(need.group == EVERYTHING for need in needs):
        referred = "cluster-admin"
    else:
        yield {
            "apiVersion": f"{RBAC}/v1",
            "kind": role,
            "metadata": metadata,
            "rules": list(_rules(needs)),
        }
    yield {
        "apiVersion": f"{RBAC}/v1",
        "kind": binding,
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": role, "name": referred},
        "subjects": [_subject(user)],
    }


def _rules(needs: Iterable[Need]) -> Iterator[dict[str, list[str]]]:
    """As few rules as say it: resources of a group that need the same verbs stand together."""
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for need in needs:
        verbs.setdefault((need.group, need.name, need.resource), set()).add(need.verb)
    together: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, name, resource), found in sorted(verbs.items()):
        together.setdefault((group, name, tuple(sorted(found))), []).append(resource)
    for (group, name, allowed), resources in together.items():
        named = {"resourceNames": [name]} if name else {}
        yield {"apiGroups": [group], "resources": resources, **named, "verbs": list(allowed)}


def _subject(user: str) -> dict[str, str]:
    account = _ACCOUNT.fullmatch(user)
    if account:
        return {"kind": "ServiceAccount", "namespace": account[1], "name": account[2]}
    return {"apiGroup": RBAC, "kind": "User", "name": user}
