"""Reads the OpenAPI v3 documents of an API server. Reads from the cluster only."""

from __future__ import annotations

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.manifests.schema import Schemas


def schemas(connection: Connection, group: str, version: str) -> Schemas:
    """``components.schemas`` of one group and version; empty if the server describes none.

    Raises ``ApiError`` if it cannot be asked.
    """
    path = f"/openapi/v3/apis/{group}/{version}" if group else f"/openapi/v3/api/{version}"
    try:
        document = connection.json("GET", path)
    except ApiError as error:
        if error.status == 404:
            return {}
        raise
    found: Schemas = (document.get("components") or {}).get("schemas") or {}
    return found
