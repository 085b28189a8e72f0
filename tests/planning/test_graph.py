"""The order keeps every need, depends on the steps alone, and breaks cycles at the weakest edge."""

import gzip
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from corpus import corpus
from counting import steps
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.model import Action, Need, Ref, Step, parse_ref
from gitops_dr.planning.facts import ObjectFacts, collect
from gitops_dr.planning.graph import Ordering, order
from gitops_dr.planning.references import References, provided
from gitops_dr.planning.tiers import stage

KINDS = [
    "ConfigMap",
    "Secret",
    "Service",
    "Deployment.apps",
    "ResourceQuota",
    "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
]
ADMISSION = "ValidatingWebhookConfiguration.admissionregistration.k8s.io"


def step(ref: Ref, action: Action = Action.CREATE) -> Step:
    return Step(ref, action, "fingerprint", "path", "v1")


def related(
    *needs: Need, optional: Iterable[Ref] = (), completes: Iterable[Ref] = ()
) -> ObjectFacts:
    return ObjectFacts(
        References(tuple(sorted(needs)), frozenset(optional), tuple(completes)),
    )


def arrange(facts: Mapping[Ref, ObjectFacts], present: Iterable[Ref] = ()) -> Ordering:
    return order([step(ref) for ref in facts], facts, set(present).__contains__)


def names(ordering: Ordering) -> list[str]:
    return [each.ref.name for each in ordering.steps]


def config(name: str) -> Ref:
    return Ref("", "ConfigMap", "ns", name)


@st.composite
def graphs(draw: st.DrawFn) -> dict[Ref, ObjectFacts]:
    """Up to ten objects with any needs among them, cycles and later stages included."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=10))
    refs = [parse_ref(f"{kind}/ns/n{at}") for at, kind in enumerate(kinds)]
    any_ref = st.sampled_from(refs)
    edges = draw(st.lists(st.tuples(any_ref, any_ref, st.booleans(), st.booleans()), max_size=25))
    needs: dict[Ref, dict[Ref, Need]] = {ref: {} for ref in refs}
    for ref, target, ready, hard in edges:
        needs[ref][target] = Need(target, ready, hard, "why")
    return {ref: related(*each.values()) for ref, each in needs.items()}


@given(graphs())
def test_each_step_comes_after_what_it_needs(facts: dict[Ref, ObjectFacts]) -> None:
    ordering = arrange(facts)
    assert {each.ref for each in ordering.steps} == set(facts)
    assert len(ordering.steps) == len(facts)
    done: set[Ref] = set()
    for each in ordering.steps:
        assert {need.ref for need in each.needs} <= done
        done.add(each.ref)


@given(graphs())
def test_no_need_is_lost_without_a_word(facts: dict[Ref, ObjectFacts]) -> None:
    ordering = arrange(facts)
    kept = {(each.ref, need.ref) for each in ordering.steps for need in each.needs}
    asked = {
        (ref, need.ref)
        for ref, each in facts.items()
        for need in each.references.needs
        if need.ref != ref
    }
    assert kept <= asked
    assert len(asked - kept) == len(ordering.notes)


@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    facts: dict[Ref, ObjectFacts], shuffler: random.Random
) -> None:
    shuffled = list(facts.items())
    shuffler.shuffle(shuffled)
    assert arrange(dict(shuffled)) == arrange(facts)


@given(graphs())
def test_later_stages_come_later(facts: dict[Ref, ObjectFacts]) -> None:
    stages = [stage(each.ref.group_kind) for each in arrange(facts).steps]
    assert stages == sorted(stages)


def test_ties_are_broken_by_tier_and_then_by_name() -> None:
    refs = ["Deployment.apps/a/x", "ConfigMap/b/y", "ConfigMap/b/x", "ConfigMap/a/z", "Namespace/q"]
    ordering = arrange({parse_ref(ref): related() for ref in refs})
    assert [str(each.ref) for each in ordering.steps] == [
        "Namespace/q",
        "ConfigMap/a/z",
        "ConfigMap/b/x",
        "ConfigMap/b/y",
        "Deployment.apps/a/x",
    ]


def test_a_need_on_what_is_present_is_satisfied() -> None:
    ordering = arrange({config("a"): related(Need(config("b")))}, present=[config("b")])
    assert ordering.steps[0].needs == ()
    assert ordering.unmet == ()


def test_a_need_on_what_is_nowhere_is_unmet_unless_it_is_optional() -> None:
    need, perhaps = Need(config("b"), why="field"), Need(config("c"))
    ordering = arrange({config("a"): related(need, perhaps, optional=[config("c")])})
    assert [(each.ref, each.need) for each in ordering.unmet] == [(config("a"), need)]
    assert ordering.steps[0].needs == ()


def test_a_skipped_step_neither_needs_nor_is_needed() -> None:
    facts = {config("a"): related(Need(config("b"))), config("b"): related(Need(config("a")))}
    steps = [step(config("a")), step(config("b"), Action.SKIP)]
    ordering = order(steps, facts, {config("b")}.__contains__)
    assert [each.needs for each in ordering.steps] == [(), ()]


def test_a_pattern_stands_for_every_object_whose_name_begins_so() -> None:
    claims = [Ref("", "PersistentVolumeClaim", "ns", f"data-db-{at}") for at in (0, 1, 7)]
    other = Ref("", "PersistentVolumeClaim", "ns", "data-web-0")
    far = Ref("", "PersistentVolumeClaim", "other", "data-db-0")
    db = parse_ref("StatefulSet.apps/ns/db")
    pattern = Ref("", "PersistentVolumeClaim", "ns", "data-db-*")
    facts = {ref: related() for ref in (*claims, other, far)}
    facts[db] = related(Need(pattern, why="template"), optional=[pattern])
    ordering = arrange(facts)
    assert ordering.steps[-1].needs == tuple(Need(ref, why="template") for ref in claims)
    assert ordering.unmet == ()


def test_who_needs_an_account_ready_needs_its_bindings() -> None:
    account = parse_ref("ServiceAccount/ns/a")
    binding = parse_ref("RoleBinding.rbac.authorization.k8s.io/ns/b")
    web, token = parse_ref("Deployment.apps/ns/web"), parse_ref("Secret/ns/token")
    facts = {
        account: related(),
        binding: related(Need(account), completes=[account]),
        web: related(Need(account, ready=True)),
        token: related(Need(account)),
    }
    by_ref = {each.ref: {need.ref for need in each.needs} for each in arrange(facts).steps}
    assert by_ref[web] == {account, binding}
    assert by_ref[token] == {account}


def test_a_webhook_waits_until_the_workloads_behind_its_service_are_ready() -> None:
    service, web = parse_ref("Service/ns/hook"), parse_ref("Deployment.apps/ns/hook")
    hook = parse_ref(f"{ADMISSION}/hook")
    facts = {
        service: ObjectFacts(selector={"app": "hook"}),
        web: ObjectFacts(serves={"app": "hook"}),
        hook: related(Need(service, ready=True, why="clientConfig")),
    }
    last = arrange(facts).steps[-1]
    assert last.ref == hook
    assert {(need.ref, need.ready) for need in last.needs} == {(service, True), (web, True)}


def test_a_webhook_waits_for_the_workloads_even_when_its_service_is_there() -> None:
    service, web = parse_ref("Service/ns/hook"), parse_ref("Deployment.apps/ns/hook")
    hook = parse_ref(f"{ADMISSION}/hook")
    facts = {
        service: ObjectFacts(selector={"app": "hook"}),
        web: ObjectFacts(serves={"app": "hook"}),
        hook: related(Need(service, ready=True)),
    }
    ordering = order([step(web), step(hook)], facts, {service}.__contains__)
    assert [need.ref for need in ordering.steps[-1].needs] == [web]


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        (Need(config("b"), hard=True), Need(config("a"), ready=True)),
        (Need(config("b"), ready=True), Need(config("a"))),
    ],
)
def test_a_cycle_is_broken_at_its_weakest_edge(strong: Need, weak: Need) -> None:
    ordering = arrange({config("a"): related(strong), config("b"): related(weak)})
    assert names(ordering) == ["b", "a"]
    assert ordering.steps[1].needs == (strong,)
    assert len(ordering.notes) == 1
    assert "ConfigMap/ns/b does not wait for ConfigMap/ns/a" in ordering.notes[0]


def test_equal_edges_of_a_cycle_give_way_to_the_tiers() -> None:
    account, token = parse_ref("ServiceAccount/ns/a"), parse_ref("Secret/ns/token")
    ordering = arrange({account: related(Need(token)), token: related(Need(account))})
    assert [each.ref for each in ordering.steps] == [account, token]


def test_an_edge_that_yields_is_the_weakest_of_all() -> None:
    strong, weak = Need(config("b")), Need(config("a"), ready=True, hard=True)
    yielding = replace(
        related(weak), references=References((weak,), yielding=frozenset({weak.ref}))
    )
    ordering = arrange({config("a"): related(strong), config("b"): yielding})
    assert names(ordering) == ["b", "a"]
    assert ordering.steps[1].needs == (strong,)
    (note,) = ordering.notes
    assert note.startswith("ConfigMap/ns/b does not wait for ConfigMap/ns/a")


def facts_of(text: str, body: dict[str, Any]) -> tuple[Ref, ObjectFacts]:
    ref = parse_ref(text)
    return ref, collect(ref, {"metadata": {"name": ref.name}, **body}, "things")


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [
        # A token is deleted without its account, which only lists it.
        (
            ("ServiceAccount/ns/a", {"secrets": [{"name": "t"}]}),
            (
                "Secret/ns/t",
                {"metadata": {"annotations": {"kubernetes.io/service-account.name": "a"}}},
            ),
            ("Secret/ns/t", "ServiceAccount/ns/a"),
        ),
        # What is owned is linked later; what its owner refers to it has to find.
        (
            ("Certificate.cert-manager.io/ns/c", {"spec": {"issuerRef": {"name": "i"}}}),
            (
                "Issuer.cert-manager.io/ns/i",
                {
                    "metadata": {
                        "ownerReferences": [
                            {
                                "apiVersion": "cert-manager.io/v1",
                                "kind": "Certificate",
                                "name": "c",
                            }
                        ]
                    }
                },
            ),
            ("Certificate.cert-manager.io/ns/c", "Issuer.cert-manager.io/ns/i"),
        ),
        (
            (
                "ConfigMap/ns/c",
                {
                    "metadata": {
                        "ownerReferences": [
                            {"apiVersion": "batch/v1", "kind": "CronJob", "name": "j"}
                        ]
                    }
                },
            ),
            (
                "CronJob.batch/ns/j",
                {
                    "spec": {
                        "jobTemplate": {
                            "spec": {
                                "template": {"spec": {"volumes": [{"configMap": {"name": "c"}}]}}
                            }
                        }
                    }
                },
            ),
            ("CronJob.batch/ns/j", "ConfigMap/ns/c"),
        ),
    ],
)
def test_a_circle_is_broken_where_the_rows_say_so(
    one: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]], kept: tuple[str, str]
) -> None:
    ordering = arrange(dict([facts_of(*one), facts_of(*other)]))
    edges = [(str(step.ref), str(need.ref)) for step in ordering.steps for need in step.needs]
    assert edges == [kept]
    (note,) = ordering.notes
    assert note.startswith(f"{kept[1]} does not wait for {kept[0]}")


def test_a_budget_comes_after_the_workloads_whose_pods_it_counts() -> None:
    def workload(name: str, app: str) -> tuple[Ref, ObjectFacts]:
        template = {"metadata": {"labels": {"app": app}}}
        return facts_of(f"Deployment.apps/{name}", {"spec": {"template": template}})

    def needs_of(selector: Any) -> set[str]:
        name = "PodDisruptionBudget.policy/ns/a"
        facts = dict(
            [
                facts_of(name, {"spec": {"selector": selector}}),
                workload("ns/web", "web"),
                workload("ns/db", "db"),
                workload("far/web", "web"),
            ]
        )
        steps = {str(each.ref): each for each in arrange(facts).steps}
        return {str(need.ref) for need in steps[name].needs}

    assert needs_of({"matchLabels": {"app": "web"}}) == {"Deployment.apps/ns/web"}
    unlike = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}
    assert needs_of(unlike) == {"Deployment.apps/ns/db"}
    assert needs_of({}) == {"Deployment.apps/ns/web", "Deployment.apps/ns/db"}
    assert needs_of(None) == set()


def test_who_needs_what_is_nowhere_needs_who_makes_it() -> None:
    certificate = facts_of("Certificate.cert-manager.io/ns/c", {"spec": {"secretName": "tls"}})
    volumes = [{"secret": {"secretName": "tls"}}]
    web = facts_of("Pod/ns/web", {"spec": {"volumes": volumes}})
    secret = facts_of("Secret/ns/tls", {})

    def needs_of(ordering: Ordering) -> set[str]:
        (found,) = [each for each in ordering.steps if each.ref == web[0]]
        return {str(need.ref) for need in found.needs}

    assert needs_of(arrange(dict([certificate, web]))) == {str(certificate[0])}
    assert needs_of(arrange(dict([certificate, web]), present=[secret[0]])) == set()
    assert needs_of(arrange(dict([certificate, web, secret]))) == {str(secret[0])}


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("Endpoints/ns/hook", {"name": "hook"}),
        (
            "EndpointSlice.discovery.k8s.io/ns/hook-1",
            {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
        ),
    ],
)
def test_who_needs_a_service_ready_needs_what_it_leads_to(
    name: str, metadata: dict[str, Any]
) -> None:
    service, hook = parse_ref("Service/ns/hook"), parse_ref(f"{ADMISSION}/hook")
    ref, facts = facts_of(name, {"metadata": metadata})
    ordering = arrange(
        {hook: related(Need(service, ready=True)), service: ObjectFacts(), ref: facts}
    )
    assert [each.ref for each in ordering.steps] == [service, ref, hook]
    assert {need.ref for need in ordering.steps[-1].needs} == {service, ref}


def test_a_long_cycle_is_named_in_one_bearable_line() -> None:
    ring = {config(f"{at:03}"): related(Need(config(f"{(at + 1) % 100:03}"))) for at in range(100)}
    (note,) = arrange(ring).notes
    assert "more" in note
    assert len(note) < 300


def test_a_need_on_a_later_stage_is_dropped_and_told() -> None:
    hook = parse_ref(f"{ADMISSION}/hook")
    ordering = arrange({config("a"): related(Need(hook, why="field")), hook: related()})
    assert ordering.steps[0].needs == ()
    assert "later stage" in ordering.notes[0]


def test_what_is_hopelessly_entangled_still_gets_an_order() -> None:
    refs = [config(f"{at:04}") for at in range(400)]
    chance = random.Random(1)
    facts = {ref: related(*(Need(each) for each in chance.sample(refs, 5))) for ref in refs}
    ordering = arrange(facts)
    assert len(ordering.steps) == len(refs)
    assert any("in many ways" in note for note in ordering.notes)


def test_twice_the_steps_are_twice_the_work() -> None:
    """How long 15,000 of them take, `make bench` measures."""

    def work(count: int) -> int:
        refs = [config(f"{at:05}") for at in range(count)]
        chance = random.Random(1)
        facts = {
            ref: related(*{Need(refs[chance.randrange(at)]) for _ in range(4)} if at else ())
            for at, ref in enumerate(refs)
        }
        return steps(lambda: arrange(facts))

    # And a little more: log n of it. A quadratic one would be four times the work.
    assert work(2_000) < 2.3 * work(1_000)


def test_the_corpus_is_ordered_and_no_body_breaks_it() -> None:
    facts: dict[Ref, ObjectFacts] = {}
    with gzip.open(corpus() / "objects.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            body, parts = entry["object"], entry["path"].split("/")
            namespace = parts[-2] if "namespaces" in parts[:-1] else ""
            group = body["apiVersion"].rpartition("/")[0]
            ref = Ref(group, body["kind"], namespace, body["metadata"]["name"])
            facts[ref] = collect(ref, body, parts[-1])
    assert len(facts) > 1_700
    ordering = order([step(ref) for ref in facts], facts, provided)
    done: set[Ref] = set()
    for each in ordering.steps:
        assert {need.ref for need in each.needs} <= done
        done.add(each.ref)
    assert done == set(facts)
    assert ordering.notes == ()
    crds = {ref.name for ref in facts if ref.kind == "CustomResourceDefinition"}
    custom = [each for each in ordering.steps if each.ref.group.endswith("tekton.dev")]
    assert custom
    assert all(any(need.ref.name in crds and need.ready for need in each.needs) for each in custom)
