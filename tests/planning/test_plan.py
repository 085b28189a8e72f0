"""Differences become steps, gaps and notes."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gitops_dr.model import (
    Action,
    Difference,
    EmptyVolume,
    Entry,
    FieldChange,
    Gap,
    Omission,
    Plan,
    Presence,
    Ref,
    State,
    parse_ref,
)
from gitops_dr.planning.facts import collect
from gitops_dr.planning.plan import digest, make_plan
from gitops_dr.planning.selection import Intent

NAMESPACE: dict[str, Any] = {"Namespace/shop": {}}


def deployment(*secrets: str) -> dict[str, Any]:
    volumes = [{"secret": {"secretName": name}} for name in secrets]
    return {"spec": {"template": {"spec": {"volumes": volumes}}}}


def state(refs: Iterable[str], **parts: Any) -> State:
    entries = {parse_ref(ref): Entry(f"fingerprint of {ref}", f"{ref}.yaml", "v1") for ref in refs}
    return State(entries, **parts)


def plan(
    missing: dict[str, Any],
    *,
    desired: State | None = None,
    observed: State | None = None,
    others: Iterable[Difference] = (),
    accept_empty_volumes: bool = False,
    started_empty: Iterable[str] = (),
) -> Plan:
    facts = {parse_ref(ref): collect(parse_ref(ref), body, "x") for ref, body in missing.items()}
    differences = [Difference(ref, Presence.MISSING, "path") for ref in facts]
    return make_plan(
        desired or state(missing),
        observed or state([]),
        [*differences, *others],
        facts,
        Intent(accept_empty_volumes=accept_empty_volumes),
        started_empty=[parse_ref(ref) for ref in started_empty],
    )


def test_an_object_that_only_lacks_its_owners_is_linked_without_being_asked() -> None:
    ref = Ref("", "ConfigMap", "shop", "a")
    lost = FieldChange("metadata.ownerReferences[name=web]", "remove", old={"name": "web"})
    other = FieldChange("data.k", "replace", old="1", new="2")
    for changes, action in (((lost,), Action.CONFIGURE), ((lost, other), Action.SKIP)):
        entries = {ref: Entry("f", "a.yaml", "v1")}
        made = make_plan(
            State(entries), State(entries), [Difference(ref, Presence.MODIFIED, "p", changes)], {}
        )
        assert [step.action for step in made.steps] == [action]


def secret(name: str) -> Ref:
    return Ref("", "Secret", "shop", name)


def test_missing_objects_are_created_in_order_from_what_git_holds() -> None:
    made = plan({"ConfigMap/shop/a": {}, **NAMESPACE})
    assert [str(step.ref) for step in made.steps] == ["Namespace/shop", "ConfigMap/shop/a"]
    step = made.steps[1]
    assert step.action is Action.CREATE
    assert step.fingerprint == "fingerprint of ConfigMap/shop/a"
    assert step.path == "ConfigMap/shop/a.yaml"
    assert [str(need.ref) for need in step.needs] == ["Namespace/shop"]
    assert made.gaps == ()
    assert made.notes == ()


def test_modified_objects_are_left_untouched_and_unmanaged_ones_are_no_step() -> None:
    modified, unmanaged = parse_ref("ConfigMap/shop/m"), parse_ref("ConfigMap/shop/u")
    made = plan(
        {},
        desired=state(["ConfigMap/shop/m"]),
        observed=state(["ConfigMap/shop/m", "ConfigMap/shop/u"]),
        others=[
            Difference(modified, Presence.MODIFIED, "path"),
            Difference(unmanaged, Presence.UNMANAGED, "path"),
        ],
    )
    (step,) = made.steps
    assert step.ref == modified
    assert step.action is Action.SKIP
    assert "left untouched" in step.reason


def test_an_unknown_object_is_a_gap() -> None:
    unknown = parse_ref("Book.shop.io/shop/b")
    made = plan({}, others=[Difference(unknown, Presence.UNKNOWN, "path", reason="not listed")])
    assert made.steps == ()
    assert made.gaps == (Gap(unknown, "not listed"),)


def test_a_claim_starts_empty_unless_something_brings_its_data_or_that_is_accepted() -> None:
    claim = "PersistentVolumeClaim/shop/data"
    empty = {claim: {"spec": {}}, **NAMESPACE}
    (gap,) = plan(empty).gaps
    assert gap.ref == parse_ref(claim)
    assert "starts empty" in gap.reason
    assert plan(empty, accept_empty_volumes=True).gaps == ()
    source = {"kind": "VolumeSnapshot", "name": "s"}
    restored = {claim: {"spec": {"dataSource": source}}, **NAMESPACE}
    assert plan(restored).gaps == ()
    noted = {at: plan(body).steps[1].empty_volume for at, body in enumerate((empty, restored))}
    assert noted == {0: EmptyVolume.NOTED, 1: None}
    assert plan(empty, accept_empty_volumes=True).steps[1].empty_volume is None


CLAIM = "PersistentVolumeClaim/shop/data"


def test_a_claim_that_started_empty_stays_a_gap_until_that_is_accepted() -> None:
    started = {"desired": state([CLAIM]), "observed": state([CLAIM]), "started_empty": [CLAIM]}
    made = plan({}, **started)
    assert made.steps == ()
    (gap,) = made.gaps
    assert gap.ref == parse_ref(CLAIM)
    assert "started empty in an earlier run" in gap.reason
    assert "--accept-empty-volumes" in gap.reason
    made = plan({}, **started, accept_empty_volumes=True)
    assert made.gaps == ()
    (step,) = made.steps
    assert (step.ref, step.action) == (parse_ref(CLAIM), Action.CONFIGURE)
    assert step.empty_volume is EmptyVolume.ACCEPTED


def test_accepting_an_empty_volume_overwrites_nothing() -> None:
    """A claim that differs has a step of its own, and is accepted once it does not."""
    change = FieldChange("metadata.labels.a", "replace", old="1", new="2")
    differs = Difference(parse_ref(CLAIM), Presence.MODIFIED, "path", (change,))
    made = plan(
        {},
        desired=state([CLAIM]),
        observed=state([CLAIM]),
        others=[differs],
        started_empty=[CLAIM],
        accept_empty_volumes=True,
    )
    assert [(step.action, step.empty_volume) for step in made.steps] == [(Action.SKIP, None)]


def test_whether_an_empty_volume_is_noted_makes_another_plan() -> None:
    empty = {CLAIM: {"spec": {}}, **NAMESPACE}
    digests = {
        digest(plan(empty, accept_empty_volumes=accepted), "c", "u") for accepted in (True, False)
    }
    assert len(digests) == 2


def test_a_secret_left_out_by_policy_is_a_gap_that_names_who_needs_it() -> None:
    missing = {f"Deployment.apps/shop/w{at}": deployment("db") for at in range(5)} | NAMESPACE
    omission = Omission(secret("db"), "secrets", "Secrets are not encrypted yet")
    desired = state(missing, omissions=(omission,))
    (gap,) = plan(missing, desired=desired).gaps
    assert gap.ref == secret("db")
    assert "Secrets are not encrypted yet" in gap.reason
    assert "Deployment.apps/shop/w2 and 2 more" in gap.reason


def test_a_secret_left_out_by_policy_is_no_gap_where_the_target_has_it_or_nobody_needs_it() -> None:
    missing = {"Deployment.apps/shop/web": deployment("db")} | NAMESPACE
    omissions = (Omission(secret("db"), "secrets", "r"), Omission(secret("free"), "secrets", "r"))
    desired = state(missing, omissions=omissions)
    assert [gap.ref for gap in plan(missing, desired=desired).gaps] == [secret("db")]
    there = state([], omissions=(Omission(secret("db"), "secrets", "r"),))
    assert plan(missing, desired=desired, observed=there).gaps == ()


def test_what_runs_in_the_target_without_being_listed_is_there() -> None:
    missing = {"Deployment.apps/shop/web": deployment("db")} | NAMESPACE
    made = plan(missing, observed=state([], unlisted=frozenset({secret("db")})))
    assert made.notes == ()


def test_a_wildcard_omission_does_not_prove_that_the_target_has_a_secret() -> None:
    missing = {"Deployment.apps/shop/web": deployment("db")} | NAMESPACE
    every = (Omission(Ref("", "Secret", "", "*"), "secrets", "policy"),)
    made = plan(
        missing, desired=state(missing, omissions=every), observed=state([], omissions=every)
    )
    assert [gap.ref for gap in made.gaps] == [secret("db")]


def test_what_others_need_and_nobody_has_is_a_note() -> None:
    missing = {"Deployment.apps/shop/web": deployment("lost")} | NAMESPACE
    made = plan(missing)
    assert made.gaps == ()
    (note,) = made.notes
    assert note.startswith("Secret/shop/lost is neither in Git nor in the target")
    assert "Deployment.apps/shop/web (spec.template.spec.volumes[*].secret.secretName)" in note


def test_what_the_api_server_will_refuse_is_a_gap() -> None:
    (gap,) = plan({"ConfigMap/shop/a": {}}).gaps
    assert gap.ref == parse_ref("ConfigMap/shop/a")
    assert "needs Namespace/shop" in gap.reason


def test_what_the_target_has_or_a_rule_leaves_out_is_not_reported() -> None:
    missing = {
        "ConfigMap/shop/a": {},
        "Deployment.apps/shop/web": {
            "spec": {"template": {"spec": {"volumes": [{"configMap": {"name": "made"}}]}}}
        },
        "Pod/kube-system/p": {"spec": {"priorityClassName": "system-node-critical"}},
    }
    made_by_itself = Omission(parse_ref("ConfigMap/shop/made"), "generated", "made by an operator")
    made = plan(
        missing,
        desired=state(missing, omissions=(made_by_itself,)),
        observed=state(["Namespace/shop"]),
    )
    assert made.gaps == ()
    assert made.notes == ()


def test_what_could_not_be_read_in_the_target_is_not_called_missing() -> None:
    unread = (Gap(Ref("", "Namespace", "", "*"), "forbidden"),)
    made = plan({"ConfigMap/shop/a": {}}, observed=state([], gaps=unread))
    assert made.gaps == ()


def test_the_digest_is_of_the_acts_the_commit_the_configuration_and_the_target() -> None:
    made = plan({"ConfigMap/shop/a": {}, **NAMESPACE})
    same = digest(made, "c0ffee", "uid")
    assert len(same) == 64
    assert digest(replace(made, notes=("by the way",)), "c0ffee", "uid") == same
    changed = replace(made.steps[0], fingerprint="other")
    others = {
        digest(made, "decade", "uid"),
        digest(made, "c0ffee", "other uid"),
        digest(made, "c0ffee", "uid", "other configuration"),
        digest(replace(made, steps=made.steps[:1]), "c0ffee", "uid"),
        digest(replace(made, steps=(changed, *made.steps[1:])), "c0ffee", "uid"),
        digest(replace(made, steps=made.steps[::-1]), "c0ffee", "uid"),
    }
    assert same not in others
    assert len(others) == 6


# -- intents ---------------------------------------------------------------------------------------

MODIFIED = Difference(parse_ref("ConfigMap/shop/m"), Presence.MODIFIED, "path")
TASK = parse_ref("TaskRun.tekton.dev/ci/build")
DNS = parse_ref("ConfigMap/kube-system/coredns")


def plan_for(*differences: Difference, intent: Intent = Intent(), **options: Any) -> Plan:  # noqa: B008
    held = state([str(difference.ref) for difference in differences])
    observed = state(["Namespace/shop", "Namespace/ci", "Namespace/kube-system"])
    return make_plan(held, observed, differences, {}, intent, **options)


def test_whoever_overwrites_has_what_differs_configured() -> None:
    (step,) = plan_for(MODIFIED, intent=Intent(overwrite=True)).steps
    assert (step.ref, step.action, step.reason) == (MODIFIED.ref, Action.CONFIGURE, "")
    assert step.fingerprint == "fingerprint of ConfigMap/shop/m"


def test_what_the_target_would_refuse_is_a_gap_and_no_step() -> None:
    missing = Difference(parse_ref("ConfigMap/shop/new"), Presence.MISSING, "path")
    refused = {missing.ref: "not served", MODIFIED.ref: "does not know its spec.x"}
    made = plan_for(missing, MODIFIED, refused=refused)
    assert made.steps == ()
    assert made.gaps == (
        Gap(MODIFIED.ref, "does not know its spec.x"),
        Gap(missing.ref, "not served"),
    )


def test_what_would_run_a_second_time_and_cannot_be_held_is_a_gap() -> None:
    made = plan_for(Difference(TASK, Presence.MISSING, "path"))
    assert made.steps == ()
    (gap,) = made.gaps
    assert gap.ref == TASK
    assert "second time" in gap.reason
    # One that is there runs already.
    (step,) = plan_for(Difference(TASK, Presence.MODIFIED, "path")).steps
    assert step.action is Action.SKIP


def test_what_a_rule_leaves_alone_is_no_step_and_no_gap_even_if_it_would_be_refused() -> None:
    missing = Difference(DNS, Presence.MISSING, "path")
    made = plan_for(missing, intent=Intent(elsewhere=True), refused={DNS: "not served"})
    assert (made.steps, made.gaps) == ((), ())
    assert [omission.ref for omission in made.omissions] == [DNS]
    assert [step.ref for step in plan_for(missing).steps] == [DNS]
