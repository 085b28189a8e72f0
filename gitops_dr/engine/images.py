"""Asks registries for the images of a plan. Reads Secrets from Git, and talks to registries.

What the Secrets hold goes to the registry that they are for, and nowhere else.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Collection, Mapping

from gitops_dr.checks.demand import Demand
from gitops_dr.engine.recorded import Recorded
from gitops_dr.model import SECRET, Body, Ref
from gitops_dr.registry.ask import Registries
from gitops_dr.registry.credentials import Credentials, dockers_own, read_credentials

_KEY = ".dockerconfigjson"
_TIME = 30.0
"""Seconds for all of them; what was not asked by then is not known."""


def lacking_images(
    recorded: Recorded, demand: Demand, creates: Collection[Ref], environment: Mapping[str, str]
) -> dict[str, str]:
    """Why each image of what the plan creates cannot be had, where it cannot.

    Asked with the Secrets that its pods, or the service accounts of their namespace, pull with, as
    far as Git has them and they can be opened; then as Docker's own settings say, then as anybody.
    """
    owned = dockers_own(environment)
    opened: dict[str, tuple[Credentials, ...]] = {}
    images: dict[str, dict[Credentials, None]] = {}
    for ref, pods in demand.pods.items():
        if ref not in creates:
            continue
        if ref.namespace not in opened:
            opened[ref.namespace] = _of_namespace(recorded, demand, ref.namespace)
        for image in pods.images:
            images.setdefault(image, {}).update(dict.fromkeys(opened[ref.namespace]))
    registries = Registries(time.monotonic() + _TIME, environment)
    return registries.lacking({image: [*known, *owned] for image, known in images.items()})


def _of_namespace(recorded: Recorded, demand: Demand, namespace: str) -> tuple[Credentials, ...]:
    """The credentials that pods of a namespace pull with."""
    names = {
        name
        for ref, pods in demand.pods.items()
        if ref.namespace == namespace
        for name in pods.pull_secrets
    } | {
        name
        for ref, secrets in demand.accounts.items()
        if ref.namespace == namespace
        for name in secrets
    }
    wanted = [Ref(*SECRET, namespace, name) for name in sorted(names)]
    held = [ref for ref in wanted if ref in recorded.state.entries]
    return tuple(
        one
        for ref, body in recorded.bodies(held)
        if ref not in recorded.unopened
        for one in read_credentials(_data(body))
    )


def _data(secret: Body) -> bytes:
    try:
        return base64.b64decode((secret.get("data") or {}).get(_KEY) or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return b""
