"""A Secret that differs is told by names alone, and nothing of it is sent anywhere."""

from typing import Any

import pytest
from fake_api import reply
from meaning_cases import COMMON

from gitops_dr.drift.compare import Comparison
from gitops_dr.engine.explain import Explainer
from gitops_dr.engine.observe import Observation
from gitops_dr.engine.recorded import read_state, read_tree
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import Entry, Identity, MaskedValue, Ref, Resource, State

SECRETS = Resource("", "v1", "Secret", "secrets", namespaced=True)
NAMED = {"group": "", "version": "v1", "kind": "Secret"}
REF = Ref("", "Secret", "shop", "s")


@pytest.mark.parametrize("data", [{"a": "YQ=="}, {}], ids=["changed", "left out"])
def test_of_a_secret_nobody_is_asked(
    repo: Any, save: Any, api: Any, connection: Any, data: dict[str, str]
) -> None:
    schema = {"type": "object", "x-kubernetes-group-version-kind": [NAMED]}
    schemas = {**COMMON, "io.k8s.api.core.v1.Secret": schema}
    api.on("/openapi/v3/api/v1", reply({"components": {"schemas": schemas}}))
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"}}
    tree = read_tree(
        repo, save({"clusters/prod/s.yaml": canonical(body | {"data": data})}), "clusters/prod"
    )
    recorded = read_state(tree)
    observation = Observation(
        state=State({REF: Entry("other", "s.yaml", "v1")}),
        bodies={},
        identity=Identity("u", "v1.37.2", "1"),
        kinds=(),
        torn=(),
        images=frozenset(),
        digests={},
        resources={("", "Secret"): SECRETS},
        generated={},
    )
    explainer = Explainer(connection, recorded, recorded.state, observation, server=True)
    live = body | {"data": {"a": "Yg=="}}
    (found,) = explainer.modified(Comparison((), (REF,), (), (), 0), lambda _ref: live)
    (change,) = found.changes
    assert change.path == "data.a"
    assert isinstance(change.new, MaskedValue)
    assert [request.path for request in api.requests] == ["/openapi/v3/api/v1"]
