"""Who is waited for, for how long, and what is said of it in the end; the clock is the test's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.engine.awaiting import DOUBT, SILENCE, Awaiting
from gitops_dr.model import Action, Outcome, Ref, Result
from gitops_dr.readiness import READY, Readiness

BOOK = Ref("shop.example", "Book", "shop", "b")
OTHER = Ref("shop.example", "Shelf", "shop", "s")
STRANGER = Ref("bank.example", "Account", "bank", "a")
WEB = Ref("apps", "Deployment", "shop", "web")

SILENT = Readiness(ready=True, reason="reports nothing", observable=False)
BUSY = Readiness(ready=False, reason="0 of 1")
LOST = Readiness(ready=False, reason="is Lost", failed=True)

TIMEOUT = 300.0
SOON = 0.01


def done(ref: Ref, result: Result = Result.DONE, reason: str = "") -> Outcome:
    return Outcome(ref, Action.CREATE, result, reason, 1.0)


def verdict(awaiting: Awaiting, ref: Ref) -> tuple[Result, str]:
    found = awaiting.verdict(done(ref))
    assert (found.ref, found.action, found.seconds) == (ref, Action.CREATE, 1.0)
    return found.result, found.reason


@pytest.fixture
def awaiting() -> Awaiting:
    return Awaiting(TIMEOUT)


HOPELESS = Readiness(ready=False, reason="nobody has taken it up", patience=15.0)
SNAPSHOT = Ref("snapshot.storage.k8s.io", "VolumeSnapshot", "shop", "s")
NEXT = Ref("snapshot.storage.k8s.io", "VolumeSnapshot", "shop", "t")


def test_what_seems_hopeless_is_given_up_sooner_with_the_reason(awaiting):
    awaiting.written(SNAPSHOT, HOPELESS, 100.0)
    assert awaiting.give_up(115.0) == []
    assert awaiting.lacks(SNAPSHOT) == ""
    assert awaiting.give_up(115.1) == [SNAPSHOT]
    assert awaiting.lacks(SNAPSHOT) == "nobody has taken it up"
    assert verdict(awaiting, SNAPSHOT) == (Result.UNREADY, "nobody has taken it up")


def test_while_others_of_its_kind_come_on_its_turn_is_still_to_come(awaiting):
    awaiting.written(SNAPSHOT, HOPELESS, 100.0)
    awaiting.written(NEXT, HOPELESS, 100.0)
    awaiting.seen(NEXT, HOPELESS, 105.0)
    assert awaiting.seen(NEXT, READY, 110.0)
    awaiting.seen(NEXT, READY, 120.0)
    assert awaiting.give_up(125.0) == []
    assert awaiting.give_up(125.1) == [SNAPSHOT], "nothing has changed since 110"
    assert not awaiting.seen(SNAPSHOT, READY, 130.0)
    assert awaiting.lacks(SNAPSHOT) == ""


HOOK = Ref("admissionregistration.k8s.io", "MutatingWebhookConfiguration", "", "w")
SETTLES = Readiness(ready=True, settles=2.0)


@pytest.mark.parametrize("seen", [False, True])
def test_what_has_to_settle_is_waited_for_a_little_longer(awaiting, seen):
    awaiting.written(HOOK, BUSY if seen else SETTLES, 99.0 if seen else 100.0)
    if seen:
        assert not awaiting.seen(HOOK, SETTLES, 100.0)
    assert awaiting.waits(HOOK)
    assert awaiting.settled(101.9) == []
    awaiting.seen(HOOK, SETTLES, 101.9)
    assert awaiting.settled(102.0) == [HOOK]
    assert not awaiting.waits(HOOK)
    assert awaiting.settled(200.0) == []
    assert verdict(awaiting, HOOK) == (Result.DONE, "")


def test_the_end_does_not_wait_until_it_has_settled(awaiting):
    awaiting.written(HOOK, SETTLES, 100.0)
    assert not awaiting.holds_the_end(100.0)


USABLE = Readiness(ready=False, reason="nobody has injected it", usable=True)


def test_who_needs_what_is_usable_goes_on_and_the_end_waits(awaiting):
    awaiting.written(BOOK, BUSY, 100.0)
    assert awaiting.waits(BOOK)
    assert awaiting.seen(BOOK, USABLE, 101.0)
    assert not awaiting.waits(BOOK)
    assert not awaiting.seen(BOOK, USABLE, 102.0), "told once"
    assert awaiting.holds_the_end(103.0)
    assert awaiting.give_up(100.0 + TIMEOUT + SOON) == [BOOK]
    assert verdict(awaiting, BOOK) == (Result.UNREADY, "nobody has injected it")


def test_a_kind_with_a_time_of_its_own_is_given_up_after_that(awaiting):
    awaiting.written(HOOK, BUSY, 100.0)
    assert awaiting.give_up(160.0) == []
    assert awaiting.give_up(160.0 + SOON) == [HOOK]


def test_it_tells_of_what_nobody_knows_to_be_ready(awaiting):
    assert awaiting.unsure(WEB) == ""
    awaiting.written(WEB, BUSY, 100.0)
    awaiting.written(BOOK, SILENT, 100.0)
    assert awaiting.unsure(WEB) == "0 of 1"
    assert awaiting.unsure(BOOK) == "reports nothing"
    awaiting.seen(WEB, READY, 101.0)
    assert awaiting.unsure(WEB) == ""


def test_no_patience_outlasts_the_timeout(awaiting):
    awaiting.written(SNAPSHOT, HOPELESS, 0.0)
    for second in range(1, 40):
        awaiting.seen(NEXT, Readiness(ready=False, reason=str(second)), second * 10.0)
    assert awaiting.give_up(TIMEOUT + SOON) == [SNAPSHOT]


def test_what_lacks_something_it_cannot_do_without_is_given_up_sooner(awaiting):
    awaiting.doubt(WEB, "its claim did not come")
    awaiting.written(WEB, BUSY, 100.0)
    awaiting.written(OTHER, BUSY, 100.0)
    assert awaiting.give_up(100.0 + DOUBT) == []
    assert awaiting.give_up(100.0 + DOUBT + SOON) == [WEB]
    assert verdict(awaiting, WEB) == (Result.UNREADY, "0 of 1; its claim did not come")


def test_somebody_else_may_bring_it(awaiting):
    awaiting.doubt(WEB, "its claim did not come")
    awaiting.written(WEB, BUSY, 100.0)
    assert awaiting.seen(WEB, READY, 100.0 + DOUBT)
    assert verdict(awaiting, WEB) == (Result.DONE, "")


# -- what says whether it is ready -----------------------------------------------------------------


def test_what_is_ready_is_not_waited_for(awaiting):
    awaiting.written(WEB, READY, 0.0)
    assert not awaiting.waits(WEB)
    assert not awaiting.holds_the_end(0.0)
    assert awaiting.first(0.0) is None
    assert verdict(awaiting, WEB) == (Result.DONE, "")


def test_what_is_not_ready_is_waited_for_until_it_is(awaiting):
    awaiting.written(WEB, BUSY, 0.0)
    assert awaiting.waits(WEB)
    assert awaiting.holds_the_end(0.0)
    assert awaiting.first(0.0) == (WEB, "0 of 1")
    assert not awaiting.seen(WEB, BUSY, 1.0)
    assert awaiting.seen(WEB, READY, 2.0)
    assert not awaiting.seen(WEB, READY, 3.0), "nobody waited for it any more"
    assert not awaiting.waits(WEB)
    assert not awaiting.holds_the_end(2.0)
    assert verdict(awaiting, WEB) == (Result.DONE, "")


def test_what_the_watch_saw_first_is_newer(awaiting):
    awaiting.seen(WEB, READY, 0.0)
    awaiting.written(WEB, BUSY, 1.0)
    assert not awaiting.waits(WEB)


def test_each_has_its_own_time(awaiting):
    awaiting.written(WEB, BUSY, 0.0)
    awaiting.written(BOOK, BUSY, 100.0)
    assert awaiting.give_up(TIMEOUT) == []
    assert awaiting.give_up(TIMEOUT + SOON) == [WEB]
    assert (awaiting.waits(WEB), awaiting.waits(BOOK)) == (False, True)
    assert verdict(awaiting, WEB) == (Result.UNREADY, "0 of 1")
    assert verdict(awaiting, BOOK) == (Result.DONE, "")


def test_what_will_never_be_ready_gets_no_time(awaiting):
    awaiting.written(WEB, LOST, 0.0)
    assert awaiting.give_up(SOON) == [WEB]
    assert not awaiting.holds_the_end(SOON)
    assert verdict(awaiting, WEB) == (Result.UNREADY, "is Lost")


def test_what_is_ready_after_all_is_done(awaiting):
    awaiting.written(WEB, LOST, 0.0)
    awaiting.give_up(SOON)
    awaiting.seen(WEB, READY, 1.0)
    assert verdict(awaiting, WEB) == (Result.DONE, "")


def test_the_end_does_not_wait_for_what_is_not_ours_but_steps_do(awaiting):
    awaiting.written(WEB, BUSY, 0.0, ours=False)
    awaiting.written(BOOK, SILENT, 0.0, ours=False)
    awaiting.seen(OTHER, READY, 0.0)
    assert awaiting.waits(WEB)
    assert awaiting.waits(BOOK)
    assert not awaiting.holds_the_end(0.0)
    assert awaiting.seen(WEB, READY, 1.0)


@pytest.mark.parametrize("result", [Result.FAILED, Result.BLOCKED])
def test_a_failure_stays_one(awaiting, result):
    awaiting.written(WEB, LOST, 0.0, ours=False)
    awaiting.give_up(SOON)
    assert awaiting.verdict(done(WEB, result, "refused")) == done(WEB, result, "refused")


def test_what_the_request_had_to_say_is_kept(awaiting):
    awaiting.written(WEB, LOST, 0.0)
    awaiting.give_up(SOON)
    found = awaiting.verdict(done(WEB, Result.PRESENT, "its volume may still be held"))
    assert (found.result, found.reason) == (
        Result.UNREADY,
        "is Lost; its volume may still be held",
    )


# -- what says nothing -----------------------------------------------------------------------------


def test_steps_wait_some_seconds_for_a_first_word_and_the_end_does_not(awaiting):
    awaiting.written(BOOK, SILENT, 0.0)
    assert awaiting.waits(BOOK)
    assert not awaiting.holds_the_end(0.0), "nobody is known to report on its group"
    assert awaiting.give_up(SILENCE) == []
    assert awaiting.give_up(SILENCE + SOON) == [BOOK]
    assert not awaiting.waits(BOOK)
    assert verdict(awaiting, BOOK) == (Result.UNOBSERVABLE, "reports nothing")


def test_it_is_never_called_ready_not_even_before_its_time_is_over(awaiting):
    awaiting.written(BOOK, SILENT, 0.0)
    assert verdict(awaiting, BOOK)[0] is Result.UNOBSERVABLE
    assert awaiting.verdict(done(BOOK, Result.PRESENT)).result is Result.UNOBSERVABLE


def test_all_of_them_wait_at_the_same_time(awaiting):
    books = [Ref("shop.example", "Book", "shop", str(n)) for n in range(1000)]
    for book in books:
        awaiting.written(book, SILENT, 0.0)
    assert awaiting.give_up(SILENCE + SOON) == books


def test_the_time_allowed_limits_the_wait_for_a_word(awaiting):
    hasty = Awaiting(2.0)
    hasty.written(BOOK, SILENT, 0.0)
    assert hasty.give_up(2.0 + SOON) == [BOOK]


@pytest.mark.parametrize("witness", [OTHER, BOOK], ids=["another", "itself before"])
def test_the_end_waits_where_somebody_reports_on_the_group(awaiting, witness):
    awaiting.seen(witness, READY, 0.0)
    awaiting.seen(BOOK, SILENT, 5.0)
    awaiting.written(BOOK, SILENT, 20.0)
    awaiting.written(STRANGER, SILENT, 20.0)
    assert awaiting.holds_the_end(20.0 + SILENCE)
    assert awaiting.first(20.0 + SILENCE) == (BOOK, "reports nothing")
    assert not awaiting.holds_the_end(20.0 + SILENCE + SOON)
    assert verdict(awaiting, BOOK)[0] is Result.UNOBSERVABLE


def test_a_controller_that_came_late_gets_its_seconds_too(awaiting):
    """As in a rebuild: the operator's Deployment needs longer than its objects."""
    awaiting.written(BOOK, SILENT, 0.0)
    awaiting.written(OTHER, SILENT, 0.0)
    assert awaiting.give_up(60.0) == [BOOK, OTHER]
    awaiting.seen(OTHER, BUSY, 60.0)
    awaiting.seen(OTHER, READY, 61.0)
    assert awaiting.holds_the_end(69.0)
    awaiting.seen(BOOK, READY, 69.0)
    assert not awaiting.holds_the_end(69.0)
    assert verdict(awaiting, BOOK) == (Result.DONE, "")
    assert verdict(awaiting, OTHER) == (Result.DONE, "")


def test_a_first_word_that_is_bad_is_waited_for_like_any_other(awaiting):
    awaiting.written(BOOK, SILENT, 0.0)
    awaiting.give_up(SILENCE + SOON)
    assert not awaiting.seen(BOOK, BUSY, 20.0)
    assert awaiting.holds_the_end(20.0)
    assert awaiting.give_up(TIMEOUT + SOON) == [BOOK]
    assert verdict(awaiting, BOOK) == (Result.UNREADY, "0 of 1")


def test_a_word_within_its_time_is_a_word(awaiting):
    awaiting.written(BOOK, SILENT, 0.0)
    assert not awaiting.seen(BOOK, SILENT, 1.0)
    assert awaiting.seen(BOOK, READY, 2.0)
    assert verdict(awaiting, BOOK) == (Result.DONE, "")


# -- whatever happens ------------------------------------------------------------------------------

WORDS = st.sampled_from([READY, BUSY, LOST, SILENT])
EVENTS = st.lists(
    st.tuples(st.sampled_from(["written", "seen", "give up"]), st.sampled_from([BOOK, WEB]), WORDS)
)


@given(EVENTS)
def test_the_end_comes_and_nothing_is_called_what_it_is_not(events):
    awaiting = Awaiting(TIMEOUT)
    last: dict[Ref, Readiness] = {}
    written: set[Ref] = set()
    now = 0.0
    for what, ref, word in events:
        now += 1.0
        if what == "written" and ref not in written:
            awaiting.written(ref, word, now)
            last.setdefault(ref, word)
            written.add(ref)
        elif what == "seen":
            awaiting.seen(ref, word, now)
            last[ref] = word
        elif what == "give up":
            awaiting.give_up(now)
    awaiting.give_up(now + TIMEOUT + SOON)
    assert not awaiting.holds_the_end(now + TIMEOUT + SOON)
    for ref in written:
        result = awaiting.verdict(done(ref)).result
        if not last[ref].observable:
            assert result is Result.UNOBSERVABLE
        elif last[ref].ready:
            assert result is Result.DONE
        assert not awaiting.waits(ref)
