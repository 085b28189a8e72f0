"""A Secret that each cluster has of its own is not taken from the source."""

from types import SimpleNamespace
from typing import Any

import pytest

from gitops_dr.desired.target import IDENTITY, Target
from gitops_dr.engine import prepare
from gitops_dr.manifests.selector import ObjectSelector
from gitops_dr.model import Entry, Ref, State
from gitops_dr.secrets.policy import Policy, SecretPolicy, SecretSettings

OWN, SHARED = Ref("", "Secret", "shop", "token"), Ref("", "Secret", "shop", "tls")
MOVED = Ref("", "Secret", "elsewhere", "token")
STANDBY = Target(name="standby")
PER_CLUSTER = SecretPolicy(
    "secrets.policies[0]",
    Policy.PER_CLUSTER,
    selector=ObjectSelector(namespace="shop", name="token"),
)


def refused(*refs: Ref, target: Target = STANDBY, policies: Any = (PER_CLUSTER,), **recorded: Any):
    made = SimpleNamespace(
        state=State({ref: Entry("f", "p", "v1") for ref in refs}),
        rendered=recorded.get("rendered", {}),
        sources=recorded.get("sources", {}),
        bodies=lambda asked: [(ref, {"kind": "Secret", "metadata": {}}) for ref in asked],
    )
    settings = SimpleNamespace(secrets=SecretSettings(policies=policies))
    return prepare._of_the_source_alone(
        SimpleNamespace(settings=settings),  # type: ignore[arg-type]
        SimpleNamespace(recorded=made),  # type: ignore[arg-type]
        frozenset(refs),
        target,
    )


def test_the_target_must_have_one_itself():
    found = refused(OWN, SHARED)
    assert list(found) == [OWN]
    assert found[OWN].endswith("targets/standby has none")


def test_its_own_one_counts():
    assert refused(OWN, rendered={OWN: "its own"}) == {}


def test_the_policy_speaks_of_the_source_s_names():
    assert list(refused(MOVED, sources={MOVED: OWN})) == [MOVED]


@pytest.mark.parametrize(("target", "policies"), [(IDENTITY, (PER_CLUSTER,)), (STANDBY, ())])
def test_at_the_source_and_without_such_a_policy_nothing_is_loaded(target, policies):
    assert refused(OWN, target=target, policies=policies) == {}
