"""Places on the session's lab for objects of the rules' tests, and their taking away."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import ApiServer

from gitops_dr.cluster.connect import connect

Place = Callable[[], str]
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> ApiServer:
    return ApiServer(connect(kubeconfig))


@pytest.fixture(scope="module")
def place(api: ApiServer) -> Iterator[Place]:
    """Gives new namespaces whose default ServiceAccount is there; takes them away at the end."""
    made: list[Any] = []

    def new() -> str:
        name = f"rules-{next(_NUMBERS)}"
        made.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        api.create(made[-1])
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        api.until(account | {"metadata": {"name": "default", "namespace": name}}, lambda _: True)
        return name

    yield new
    for body in made:
        api.delete(body)


@pytest.fixture(scope="module")
def places(place: Place) -> tuple[str, str, str]:
    return place(), place(), place()


@pytest.fixture
def tidy(api: ApiServer) -> Iterator[list[Any]]:
    """What is put in there is taken away after the test, finalizers or not."""
    made: list[Any] = []
    yield made
    for body in reversed(made):
        if api.listed(body) is not None:
            api.patch(body, {"metadata": {"finalizers": None}})
            api.delete(body)
