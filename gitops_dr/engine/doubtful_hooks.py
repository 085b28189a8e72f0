"""Finds the webhooks of a cluster that must answer and may not. Reads from the cluster.

None of them is asked: what is asked by URL lies outside, where the API server may reach what we do
not and the other way round, and what an answer would set off there is not for us to know.
"""

from __future__ import annotations

from gitops_dr.checks.facts import Hook
from gitops_dr.checks.reading import is_served, read_hooks
from gitops_dr.cluster.connect import Connection
from gitops_dr.engine.snapshots import listed
from gitops_dr.model import Ref

_ADMISSION = "admissionregistration.k8s.io"


def doubtful_hooks(connection: Connection) -> tuple[Hook, ...]:
    """The webhooks that must answer, with nothing ready behind their Service, or asked by URL.

    Raises ``ApiError``.
    """
    found = [
        hook
        for kind, plural in (
            ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
            ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
        )
        for hook in read_hooks(kind, listed(connection, f"/apis/{_ADMISSION}/v1/{plural}"))
    ]
    services = {hook.service for hook in found if hook.service is not None}
    dead = {service for service in services if _is_dead(connection, service)}
    return tuple(hook for hook in found if hook.service is None or hook.service in dead)


def _is_dead(connection: Connection, service: Ref) -> bool:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{service.namespace}/endpointslices"
    query = {"labelSelector": f"kubernetes.io/service-name={service.name}"}
    return not is_served(listed(connection, path, query))
