"""Stages: who may start, who is kept, and who comes later after all."""

from gitops_dr.engine.staging import Stages
from gitops_dr.model import Action, Outcome, Result, parse_ref

CONFIG = parse_ref("ConfigMap/shop/a")
QUOTA = parse_ref("ResourceQuota/shop/q")
MUTATING = parse_ref("MutatingWebhookConfiguration.admissionregistration.k8s.io/m")
VALIDATING = parse_ref("ValidatingWebhookConfiguration.admissionregistration.k8s.io/v")


def test_a_stage_begins_when_those_before_it_have_ended() -> None:
    stages = Stages.of([CONFIG, QUOTA, VALIDATING])
    assert stages.may_start(CONFIG)
    assert not stages.may_start(VALIDATING)
    assert not stages.may_start(QUOTA)
    assert set(stages.ended(CONFIG)) == {QUOTA, VALIDATING}
    assert stages.may_start(QUOTA)
    assert not stages.may_start(VALIDATING)
    assert stages.ended(QUOTA) == [VALIDATING]
    assert stages.may_start(VALIDATING)


def test_what_comes_later_holds_nobody_before_its_new_stage() -> None:
    stages = Stages.of([MUTATING, QUOTA])
    assert not stages.may_start(QUOTA)
    assert stages.come_later(MUTATING, "nobody answers for it") == [QUOTA]
    assert stages.may_start(QUOTA)
    assert not stages.may_start(MUTATING)
    assert stages.ended(QUOTA) == [MUTATING]
    assert stages.may_start(MUTATING)


def test_only_what_has_a_later_stage_can_come_later_and_only_once() -> None:
    stages = Stages.of([MUTATING, VALIDATING, CONFIG])
    assert stages.can_come_later(MUTATING)
    assert not stages.can_come_later(VALIDATING)
    assert not stages.can_come_later(CONFIG)
    stages.come_later(MUTATING, "why")
    assert not stages.can_come_later(MUTATING)


def test_the_outcome_says_why_and_keeps_what_it_had_to_say() -> None:
    stages = Stages.of([MUTATING, CONFIG])
    stages.come_later(MUTATING, "why")
    done = Outcome(MUTATING, Action.CREATE, Result.DONE, "what")
    assert stages.told(done).reason == "what; why"
    other = Outcome(CONFIG, Action.CREATE, Result.DONE)
    assert stages.told(other) is other
