"""Asks registries for the images of a plan. Reads Secrets from Git, and talks to registries.

What the Secrets hold goes to the registry that they are for, and nowhere else.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

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
    names = _pull_secrets(demand)
    opened: dict[str, tuple[Credentials, ...]] = {}
    images: dict[str, dict[Credentials, None]] = {}
    for ref, pods in demand.pods.items():
        if ref not in creates:
            continue
        if ref.namespace not in opened:
            opened[ref.namespace] = _opened(recorded, ref.namespace, names[ref.namespace])
        for image in pods.images:
            images.setdefault(image, {}).update(dict.fromkeys(opened[ref.namespace]))
    registries = Registries(time.monotonic() + _TIME, environment)
    return registries.lacking({image: [*known, *owned] for image, known in images.items()})


def _pull_secrets(demand: Demand) -> Mapping[str, set[str]]:
    """The names of the Secrets that pods of each namespace pull with."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for ref, pods in demand.pods.items():
        names[ref.namespace].update(pods.pull_secrets)
    for ref, secrets in demand.accounts.items():
        names[ref.namespace].update(secrets)
    return names


def _opened(recorded: Recorded, namespace: str, names: Iterable[str]) -> tuple[Credentials, ...]:
    """The credentials that these Secrets of a namespace hold, as far as Git has and opens them."""
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
