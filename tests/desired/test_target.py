"""The identity target: everything is wanted as it stands in Git."""

from gitops_dr.desired.target import IDENTITY, Target
from gitops_dr.desired.target_state import rewriter_of_source, rewritten
from gitops_dr.model import Entry, Ref, State

STATE = State({Ref("", "Namespace", "", "shop"): Entry("f1", "cluster/namespaces/shop.yaml", "v1")})


def test_the_identity_target_wants_what_was_recorded() -> None:
    found = rewritten(STATE, rewriter_of_source(), None, None)  # type: ignore[arg-type]
    assert found.state is STATE
    assert not found.sources
    assert Target() == IDENTITY
