"""Fills a new lab with what a real cluster has. Talks to the API server as an ordinary client.

``fixtures.yaml`` holds the objects. They are made while the API server is still starting, so what
it refuses for now (the namespace is not there, the kind is not served yet) is tried again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from gitops_dr.errors import LabError
from gitops_dr.lab.client import MANAGER, Client, message
from gitops_dr.model import Body
from gitops_dr.resources import shipped

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_DONE = (201, 409)
# Nobody answers; not yet authorized; not yet there; being initialized.
_LATER = (0, 403, 404, 429, 500, 503)


def requests(client: Client, crds: Iterable[Path]) -> Iterator[Callable[[], bool]]:
    """One function for each object to make, in order; call it until it says that it is made.

    ``crds`` are YAML files of one CustomResourceDefinition each. The functions raise ``LabError``
    if the API server refuses an object for good.
    """
    from yamlrocks import loads_all

    for file in crds:
        yield partial(_create, client, _CRDS, file.read_bytes(), file.name)
    for body in loads_all(shipped("lab/fixtures.yaml").read_bytes()):
        subject = f"{body['kind']}/{body['metadata']['name']}"
        yield partial(_create, client, _path(body), json.dumps(body).encode(), subject)


def _path(body: Body) -> str:
    version, kind, metadata = body["apiVersion"], body["kind"], body["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    plural = f"{kind.lower()}es" if kind.endswith("s") else f"{kind.lower()}s"
    return f"{root}{namespace}/{plural}"


def _create(client: Client, path: str, content: bytes, subject: str) -> bool:
    """Try once; false if it is to be tried again."""
    target = f"{path}?fieldManager={MANAGER}&fieldValidation=Strict"
    headers = {"Content-Type": "application/yaml"}
    status, answer = client.call("POST", target, content, headers)
    if status not in _DONE and status not in _LATER:
        raise LabError(f"{subject}: the API server answered {status}", hint=message(answer))
    return status in _DONE
