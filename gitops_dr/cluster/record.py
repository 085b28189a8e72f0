"""Keeps what we keep in a cluster: all of it in one namespace, which is never exported.

Reads and writes that namespace only. Whoever may not write there goes without.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from typing import Any

from gitops_dr.cluster.apply import create, find, get, merge
from gitops_dr.cluster.connect import ApiError, Connection
from gitops_dr.model import Resource
from gitops_dr.secrets.fingerprint import KEY_BYTES

NAMESPACE = "gitops-dr"
"""Its objects are about this very cluster: no rule lets them into Git."""

NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
_CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
_SECRETS = Resource("", "v1", "Secret", "secrets", namespaced=True)
_KEY = "fingerprint-key"


def read_fingerprint_key(connection: Connection) -> bytes | None:
    """The key by which this cluster's Secrets are known again; None if there is none to be had."""
    try:
        found = get(connection, _SECRETS, NAMESPACE, _KEY)
    except ApiError as error:
        if error.status in (403, 404):
            return None
        raise
    try:
        key = base64.b64decode((found.get("data") or {}).get("key") or "", validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def make_fingerprint_key(connection: Connection) -> bytes | None:
    """Make that key, once; None if nobody lets us. Another's, made meanwhile, is as good."""
    key = os.urandom(KEY_BYTES)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": NAMESPACE, "name": _KEY},
        "type": "Opaque",
        "data": {"key": base64.b64encode(key).decode()},
    }
    try:
        ensure_namespace(connection)
        create(connection, _SECRETS, body)
    except ApiError as error:
        if error.status == 409:
            return read_fingerprint_key(connection)
        if error.status == 403:
            return None
        raise
    return key


def keep(
    connection: Connection, name: str, data: Mapping[str, str], *, make_namespace: bool = False
) -> None:
    """Put this into a ConfigMap of our namespace, over what is there. Raises ``ApiError``.

    ``make_namespace``: make our namespace if it is not there.
    """
    metadata = {"namespace": NAMESPACE, "name": name}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
    try:
        merge(connection, _CONFIG_MAPS, body)
    except ApiError as error:
        if error.status != 404:
            raise
        if make_namespace:
            ensure_namespace(connection)
        create(connection, _CONFIG_MAPS, body)


def kept(connection: Connection, name: str) -> dict[str, Any] | None:
    """What a ConfigMap of our namespace has; None if there is none. Raises ``ApiError``."""
    found = find(connection, _CONFIG_MAPS, NAMESPACE, name)
    return None if found is None else found.get("data") or {}


def ensure_namespace(connection: Connection) -> None:
    """Make our namespace if it is not there. Raises ``ApiError``."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    try:
        get(connection, NAMESPACES, "", NAMESPACE)
    except ApiError as error:
        if error.status != 404:
            raise
        try:
            create(connection, NAMESPACES, body)
        except ApiError as made:
            if made.status != 409:
                raise
