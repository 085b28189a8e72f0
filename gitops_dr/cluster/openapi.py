"""Reads the OpenAPI v3 documents of an API server. Reads from the cluster only."""

from __future__ import annotations

from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.manifests.schema import Schemas
from gitops_dr.manifests.shape import Shape, kind_shape


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


class Documents:
    """The documents of an API server, each of them read once, when it is first asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: dict[tuple[str, str], Schemas | ApiError] = {}

    def shape(self, group: str, version: str, kind: str) -> Shape | None:
        """What the server says of a kind's fields; None if it describes no such kind.

        Raises ``ApiError``, each time, if it cannot be asked.
        """
        key = (group, version)
        if key not in self._read:
            try:
                self._read[key] = schemas(self._connection, group, version)
            except ApiError as error:
                self._read[key] = error
        found = self._read[key]
        if isinstance(found, ApiError):
            raise found
        return kind_shape(found, group, version, kind)
