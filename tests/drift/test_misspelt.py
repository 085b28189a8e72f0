"""Rules that hid nothing are told why: expired, misspelt with what was meant, or not needed."""

from datetime import date

import pytest
from counting import steps

from gitops_dr.drift.ignore import IgnoreRule, RuleUse
from gitops_dr.drift.misspelt import Seen, rule_uses
from gitops_dr.manifests.fieldpath import parse_fieldpath
from gitops_dr.manifests.selector import ObjectSelector, parse_labels
from gitops_dr.model import Presence, Ref

TODAY = date(2026, 11, 22)
WEB = Ref("apps", "Deployment", "shop", "web")
REFS = (
    WEB,
    Ref("apps", "StatefulSet", "data", "postgres"),
    Ref("", "ConfigMap", "shop", "web-settings"),
    Ref("", "Namespace", "", "shop"),
    Ref("networking.k8s.io", "Ingress", "data", "front"),
)
BODY = {
    "apiVersion": "apps/v1",
    "metadata": {
        "annotations": {"example.com/rotated": "1"},
        "finalizers": ["example.com/hold"],
    },
    "spec": {
        "replicas": 1,
        "empty": {},
        "template": {
            "spec": {
                "containers": [
                    {"name": "web", "image": "a", "ports": [{"containerPort": 80}]},
                    {"name": "sidecar", "env": [{"name": "MODE", "value": "x"}]},
                ]
            }
        },
    },
}
POD = "spec.template.spec"


def use(hidden=0, whole=True, refs=REFS, bodies=(BODY,), until=None, **written) -> RuleUse:
    one = IgnoreRule(
        place="ignore[3]",
        because="It is so.",
        objects=ObjectSelector(
            **{k: v for k, v in written.items() if k in ("group", "kind", "namespace", "name")},
            labels=parse_labels(written["labels"]) if "labels" in written else (),
        ),
        field=parse_fieldpath(written["field"]) if "field" in written else (),
        manager=written.get("manager", ""),
        state=Presence(written["state"]) if "state" in written else None,
        until=until,
    )
    asked = []

    def bodies_of(refs):
        asked.append(refs)
        return iter(bodies)

    seen = Seen(refs, {"keda-operator", "kubelet"}, bodies_of, whole)
    (found,) = rule_uses([one], [hidden], seen, today=TODAY)
    assert (found.rule, found.because, found.hidden) == (str(one), "It is so.", hidden)
    if hidden:
        assert not asked
    return found


def test_a_rule_that_works_has_no_problem():
    for written in ({"field": "spec"}, {"kind": "Gone", "field": "gone"}):
        found = use(hidden=2, **written)
        assert (found.problem, found.hint) == ("", "")


def test_a_rule_of_the_past_has_expired_whatever_else_it_is():
    for whole in (True, False):
        found = use(kind="Deploymnt", state="missing", until=date(2026, 11, 21), whole=whole)
        assert found.problem == "expired: its last day was 2026-11-21"
        assert found.hint


@pytest.mark.parametrize(
    ("written", "problem", "meant"),
    [
        ({"group": "app"}, "no object has the group 'app'", "apps"),
        ({"kind": "Deploymnt"}, "no object has the kind 'Deploymnt'", "Deployment"),
        ({"kind": "deployment"}, "no object has the kind 'deployment'", "Deployment"),
        ({"kind": "DEPLOYMENT"}, "no object has the kind 'DEPLOYMENT'", "Deployment"),
        ({"kind": "Deployments"}, "no object has the kind 'Deployments'", "Deployment"),
        ({"namespace": "shpo"}, "no object has the namespace 'shpo'", "shop"),
        ({"name": "postgers"}, "no object has the name 'postgers'", "postgres"),
        (
            {"kind": "StatefulSet", "name": "postgers"},
            "no such object has the name 'postgers'",
            "postgres",
        ),
        # fields
        ({"field": "spec.replicaz"}, "the field 'spec.replicaz'", "spec.replicas"),
        ({"field": "sepc.replicas"}, "the field 'sepc'", "spec.replicas"),
        (
            {"field": f"{POD}.container[name=web].image"},
            f"the field '{POD}.container'",
            f"{POD}.containers[name=web].image",
        ),
        (
            {"field": f"{POD}.containers[name=wbe].image"},
            f"the field '{POD}.containers[name=wbe]'",
            f"{POD}.containers[name=web].image",
        ),
        (
            {"field": f"{POD}.containers[nmae=web].image"},
            f"the field '{POD}.containers[nmae=web]'",
            f"{POD}.containers[name=web].image",
        ),
        (
            {"field": f"{POD}.containers[name=web,iamge=a]"},
            f"the field '{POD}.containers[name=web,iamge=a]'",
            f"{POD}.containers[name=web,image=a]",
        ),
        (
            {"field": f"{POD}.containers[image=a,name=wbe].ports"},
            f"the field '{POD}.containers[image=a,name=wbe]'",
            f"{POD}.containers[image=a,name=web].ports",
        ),
        (
            {"field": f"{POD}.containers[*].imag"},
            f"the field '{POD}.containers[*].imag'",
            f"{POD}.containers[*].image",
        ),
        (
            {"field": f"{POD}.containers.image"},
            f"the field '{POD}.containers.image'",
            f"{POD}.containers[*].image",
        ),
        (
            {"field": f"{POD}.containers[*].ports[*].containerport"},
            "[*].containerport'",
            f"{POD}.containers[*].ports[*].containerPort",
        ),
        (
            {"field": 'metadata.annotations["example.com/rotate"]'},
            '[\\"example.com/rotate\\"]',
            'metadata.annotations["example.com/rotated"]',
        ),
        (
            {"field": 'metadata.finalizers["example.com/hodl"]'},
            '[\\"example.com/hodl\\"]',
            'metadata.finalizers["example.com/hold"]',
        ),
        # managers
        ({"manager": "keda-operatr"}, "no manager 'keda-operatr' wrote", "keda-operator"),
    ],
)
def test_what_is_nearly_there_is_misspelt(written, problem, meant):
    for whole in (True, False):
        found = use(**({"state": "modified"} | written), whole=whole)
        assert found.problem.startswith("misspelt: no ")
        assert problem.replace("\\", "") in found.problem.replace("\\", "")
        assert found.hint == f"did you mean {meant!r}?"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"kind": "ScaledObject"}, "no object has the kind 'ScaledObject'"),
        ({"group": "", "kind": "Deployment"}, "no such object has the kind 'Deployment'"),
        ({"kind": "Deployment", "namespace": "data"}, "no such object has the namespace 'data'"),
        ({"name": "team-*"}, "no object has the name 'team-*'"),
        ({"field": "spec.strategy"}, "has the field 'spec.strategy'"),
        ({"field": "spec.empty.deeper.still"}, "has the field 'spec.empty.deeper'"),
        ({"field": f"{POD}.containers[7].image"}, f"has the field '{POD}.containers[7]'"),
        ({"field": f"{POD}.containers[name=web].ports[containerPort=81]"}, "containerPort=81]'"),
        ({"field": "spec.replicas[*]"}, "has the field 'spec.replicas[*]'"),
        ({"manager": "argocd"}, "no manager 'argocd' wrote anything that differs"),
        ({"manager": "argocd-*"}, "no manager 'argocd-*' wrote anything that differs"),
        ({"kind": "Deployment"}, "nothing that it names differs"),
        ({"field": "spec.replicas"}, "nothing that it names differs"),
        ({"field": f"{POD}.containers[*].env[name=MODE].value"}, "nothing that it names differs"),
        ({"field": f"{POD}.containers[1].env[*].value"}, "nothing that it names differs"),
        ({"field": "spec[*]"}, "nothing that it names differs"),
        ({"field": 'metadata.finalizers["example.com/hold"]'}, "nothing that it names differs"),
        ({"manager": "ke*"}, "nothing that it names differs"),
        ({"labels": "app=web"}, "nothing that it names differs"),
        ({"group": "", "namespace": ""}, "nothing that it names differs"),
    ],
)
def test_what_is_there_or_is_nothing_like_it_is_unused(written, problem):
    found = use(**({"state": "modified"} | written))
    assert found.problem.startswith("unused: ")
    assert problem in found.problem
    assert found.hint
    # Of what was not compared nobody knows whether a rule would be needed.
    assert not use(**({"state": "modified"} | written), whole=False).problem


def test_a_field_is_there_if_one_object_has_it():
    bodies = ({"spec": {}}, {}, {"spec": {"replicaz": 1}}, {"spec": {"replicas": 1}})
    assert "nothing that it names" in use(field="spec.replicas", bodies=bodies).problem
    assert use(field="spec.replica", bodies=bodies).problem.startswith("misspelt")


def test_what_is_near_elsewhere_is_not_meant():
    found = use(field="spec.replicas", bodies=({"replicas": 1}, {"spec": {}}, {"replicas": 1}))
    assert found.problem == "unused: no object looked at has the field 'spec.replicas'"


def test_of_a_field_nothing_is_said_where_there_is_no_body():
    assert use(field="spec.replicaz", bodies=()).problem == "unused: nothing that it names differs"


def test_fields_are_looked_for_in_the_objects_that_the_rule_names():
    asked = []
    one = IgnoreRule("ignore[0]", "x", ObjectSelector(kind="Deploy*"), field=("spec",))
    seen = Seen(REFS, (), lambda refs: asked.append(refs) or (), whole=True)
    rule_uses([one], [0], seen, today=TODAY)
    assert asked == [[WEB]]


def test_rules_are_accounted_for_in_their_order():
    rules = [IgnoreRule(f"ignore[{n}]", "x", field=("spec",)) for n in range(3)]
    seen = Seen(REFS, (), lambda _refs: (), whole=True)
    found = rule_uses(rules, [1, 0, 2], seen, today=TODAY)
    assert [(use.rule[:9], use.hidden, bool(use.problem)) for use in found] == [
        ("ignore[0]", 1, False),
        ("ignore[1]", 0, True),
        ("ignore[2]", 2, False),
    ]


def test_ten_times_the_objects_are_ten_times_the_work():
    def work(count):
        refs = [Ref("", "ConfigMap", f"team-{n % 50}", f"settings-{n}") for n in range(count)]
        assert "misspelt" in use(name="setings-77", state="missing", refs=refs).problem
        return steps(lambda: use(name="setings-77", state="missing", refs=refs))

    assert work(10_000) < 12 * work(1_000)
