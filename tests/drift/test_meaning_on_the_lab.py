"""The rows of what means the same, against a real API server: its objects and its own schemas."""

import base64
import copy
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import ApiServer, group_kind
from meaning_cases import CASES, DEFINITIONS, comparisons, ref_of, without

from gitops_dr.cluster.connect import connect
from gitops_dr.cluster.openapi import Documents
from gitops_dr.drift.judge import judged
from gitops_dr.drift.meaning import Meaning
from gitops_dr.rules.clean import rules_for
from gitops_dr.rules.conditions import compile_when
from gitops_dr.rules.relations import RelationFacts, note_autoscaler

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> Iterator[ApiServer]:
    api = ApiServer(connect(kubeconfig))
    for definition in DEFINITIONS:
        api.define(definition)
    yield api
    for definition in DEFINITIONS:
        api.delete(definition, wait=True)


@pytest.fixture(scope="module")
def documents(api: ApiServer) -> Documents:
    """Once they hold the definitions of the cases, which is a moment after these are served."""
    names = [definition["spec"]["names"]["kind"] for definition in DEFINITIONS]
    while True:
        documents = Documents(api.connection)
        if all(documents.shape("meaning.example.com", "v1", name) for name in names):
            return documents
        time.sleep(0.1)


class Scene:
    """What one case needs, in a namespace of its own; taken away at the end."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self.namespace = f"meaning-{next(_NUMBERS)}"
        self.made: list[Any] = []
        self._seen: list[tuple[Any, Any]] = []
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self.create(space)

    def here(self, body: Any) -> Any:
        """The same object, in the namespace, and with a real CA bundle."""
        body = copy.deepcopy(body)
        if self.api.resource(body).namespaced:
            body["metadata"]["namespace"] = self.namespace
        return _with_certificate(self.api, body)

    def create(self, body: Any) -> None:
        self.made.append(body)
        self.api.create(body)

    def seen(self, case: Any, made: Any) -> Any:
        """What an export sees of the object, once made."""
        for known, seen in self._seen:
            if known == made:
                return seen
        body = self.here(made)
        self.create(body)
        for change in case.get("then", ()):
            self.api.patch(body, change)
        ready = (
            compile_when(case.get("until", ())) if made == case.get("made", case["git"]) else None
        )
        raw = self.api.until(body, ready or (lambda _: True))
        rules_for(*group_kind(raw)).clean(raw)
        self._seen.append((made, raw))
        return raw

    def autoscaled(self) -> RelationFacts:
        facts = RelationFacts()
        for body in self.made:
            if body["kind"] == "HorizontalPodAutoscaler":
                note_autoscaler(self.api.listed(body), facts)
        return facts

    def end(self) -> None:
        for body in reversed(self.made):
            if self.api.listed(body) is not None:
                self.api.delete(body)


@pytest.fixture
def scene(api: ApiServer) -> Iterator[Callable[[Any], Scene]]:
    made: list[Scene] = []

    def start(case: Any) -> Scene:
        made.append(Scene(api))
        for other in case.get("with", ()):
            made[-1].create(made[-1].here(other))
        return made[-1]

    yield start
    for one in made:
        one.end()


def _with_certificate(api: ApiServer, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_certificate(api, child) for key, child in value.items()}
    if isinstance(value, list):
        return [_with_certificate(api, item) for item in value]
    if value != "CERTIFICATE":
        return value
    root = {"apiVersion": "v1", "kind": "ConfigMap"}
    root |= {"metadata": {"name": "kube-root-ca.crt", "namespace": "default"}}
    return base64.b64encode(api.listed(root)["data"]["ca.crt"].encode()).decode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["row"])
def test_the_case_is_as_an_api_server_has_it(
    api: ApiServer, documents: Documents, scene: Callable[[Any], Scene], case: Any
) -> None:
    here = scene(case)
    group, _, version = case["git"]["apiVersion"].rpartition("/")
    first = True
    for one in comparisons(case):
        seen = here.seen(case, one["made"])
        git = here.here(one["git"])
        assert seen == here.here(one["live"])
        facts = here.autoscaled()

        def differing(git: Any = git, seen: Any = seen, facts: Any = facts) -> list[str]:
            # Anew each time: what rows say of a field is worked out once.
            meaning = Meaning(documents.shape(group, version, git["kind"]))
            autoscaled = facts.autoscaled.__contains__
            found = judged(ref_of(git), git, seen, meaning, is_autoscaled=autoscaled)
            return [change.path for change in found.changes]

        assert differing() == one["differs"], git
        if first:
            with without(case["row"]):
                assert differing() != one["differs"]
        first = False
