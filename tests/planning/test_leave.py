"""What is neither written nor a failure, each with its rule."""

import pytest

from gitops_dr.model import Difference, FieldChange, Need, Presence, Ref, parse_ref
from gitops_dr.planning.facts import ObjectFacts
from gitops_dr.planning.leave import left_alone
from gitops_dr.planning.references import References
from gitops_dr.planning.selection import EVERYTHING, Intent, Selection

ELSEWHERE = Intent(elsewhere=True)
DNS = parse_ref("ConfigMap/kube-system/coredns")
SYSTEM = parse_ref("Namespace/kube-system")
METRICS = parse_ref("Service/kube-system/metrics-server")
METRICS_API = parse_ref("APIService.apiregistration.k8s.io/v1beta1.metrics.k8s.io")
JOB = parse_ref("Job.batch/shop/migrate")
WEB = parse_ref("Deployment.apps/shop/web")

SUSPENDED = FieldChange("spec.suspend", "replace", old=False, new=True)
LABELLED = FieldChange("metadata.labels", "add", new={"by": "hand"})


def missing(ref: Ref) -> Difference:
    return Difference(ref, Presence.MISSING, "path")


def modified(ref: Ref, *changes: FieldChange) -> Difference:
    return Difference(ref, Presence.MODIFIED, "path", changes or (LABELLED,))


def left(*differences: Difference, intent: Intent = ELSEWHERE, facts=None) -> dict[Ref, str]:
    """The rule for each that is left alone."""
    found = left_alone(differences, facts or {}, intent)
    assert all(ref == omission.ref and omission.reason for ref, omission in found.items())
    return {ref: omission.rule for ref, omission in found.items()}


def needing(ref: Ref, *needs: Need) -> dict[Ref, ObjectFacts]:
    return {ref: ObjectFacts(References(needs))}


# -- the platform ----------------------------------------------------------------------------------


def test_in_another_cluster_the_platform_is_left_to_it() -> None:
    changed, unknown = modified(METRICS), Difference(SYSTEM, Presence.UNKNOWN, "path")
    assert left(missing(DNS), changed, unknown, missing(WEB)) == {
        DNS: "platform",
        METRICS: "platform",
        SYSTEM: "platform",
    }


def test_in_its_own_cluster_it_is_put_back_like_everything_else() -> None:
    assert left(missing(DNS), intent=EVERYTHING) == {}


def test_what_only_the_cluster_has_is_nobodys_business() -> None:
    assert left(Difference(DNS, Presence.UNMANAGED, "path")) == {}


@pytest.mark.parametrize(
    ("selection", "rules"),
    [
        (Selection(refs=frozenset({DNS})), {}),
        (Selection(namespaces=frozenset({"kube-system"})), {}),
        (Selection(namespaces=frozenset({"shop"})), {DNS: "platform"}),
        (Selection(labels=(("app", "dns"),)), {DNS: "platform"}),
    ],
    ids=str,
)
def test_whoever_names_it_gets_it(selection: Selection, rules: dict[Ref, str]) -> None:
    assert left(missing(DNS), intent=Intent(selection, elsewhere=True)) == rules


def test_the_reason_says_how_to_get_it() -> None:
    omission = left_alone([missing(DNS)], {}, ELSEWHERE)[DNS]
    assert "--ref" in omission.reason
    assert "--namespace" in omission.reason


# -- what only works with it -----------------------------------------------------------------------


def test_what_only_works_with_an_absent_part_of_the_platform_is_left_with_it() -> None:
    facts = needing(METRICS_API, Need(METRICS, ready=True))
    both = [missing(METRICS_API), missing(METRICS)]
    assert left(*both, facts=facts) == {METRICS: "platform", METRICS_API: "platform-backend"}
    omission = left_alone(both, facts, ELSEWHERE)[METRICS_API]
    assert str(METRICS) in omission.reason


@pytest.mark.parametrize(
    ("backend", "need"),
    [
        pytest.param(None, Need(METRICS, ready=True), id="the target has that part"),
        pytest.param(modified(METRICS), Need(METRICS, ready=True), id="it has it, and it differs"),
        pytest.param(missing(METRICS), Need(METRICS), id="a need that is met without its working"),
    ],
)
def test_otherwise_it_comes_back(backend: Difference | None, need: Need) -> None:
    given = [missing(METRICS_API), *([backend] if backend else [])]
    assert METRICS_API not in left(*given, facts=needing(METRICS_API, need))


def test_it_comes_back_where_it_is_named_or_there_already() -> None:
    facts = needing(METRICS_API, Need(METRICS, ready=True))
    named = Intent(Selection(refs=frozenset({METRICS_API})), elsewhere=True)
    assert left(missing(METRICS_API), missing(METRICS), intent=named, facts=facts) == {
        METRICS: "platform"
    }
    assert METRICS_API not in left(modified(METRICS_API), missing(METRICS), facts=facts)


# -- what came back held ---------------------------------------------------------------------------


@pytest.mark.parametrize("intent", [EVERYTHING, Intent(overwrite=True), ELSEWHERE], ids=str)
def test_what_came_back_held_stays_held(intent: Intent) -> None:
    assert left(modified(JOB, SUSPENDED), intent=intent) == {JOB: "held-back"}
    omission = left_alone([modified(JOB, SUSPENDED)], {}, intent)[JOB]
    assert "spec.suspend" in omission.reason


def test_a_held_object_that_differs_otherwise_is_a_difference() -> None:
    assert left(modified(JOB, SUSPENDED, LABELLED)) == {}
    assert left(missing(JOB)) == {}
    assert left(modified(WEB, SUSPENDED)) == {}
