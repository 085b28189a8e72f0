"""The identity target wants what Git recorded; any other does not exist yet, and says so."""

import pytest

from gitops_dr.desired.target import IDENTITY, Target, desired
from gitops_dr.model import Entry, Gap, Ref, State

POD = Ref("", "Pod", "shop", "web")
STATE = State({POD: Entry("f", "p", "v1")}, gaps=(Gap(POD, "why"),))


def test_the_identity_target_wants_everything_as_it_stands() -> None:
    assert desired(STATE, IDENTITY) is STATE
    assert Target() == IDENTITY


def test_an_unknown_target_is_not_taken_for_the_source() -> None:
    with pytest.raises(ValueError, match="standby"):
        desired(STATE, Target("standby"))
