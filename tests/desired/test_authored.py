"""What people write and what tools render: which object each manifest is, and where it belongs."""

import pytest

from gitops_dr.desired.authored import Authored, Rendering, read_authored
from gitops_dr.desired.authored import rendered as placed
from gitops_dr.errors import ManifestError, RepositoryError, UsageError
from gitops_dr.model import Ref

SCOPES = {("", "ConfigMap"): True, ("", "Namespace"): False, ("apps", "Deployment"): True}


def manifest(kind="ConfigMap", name="a", version="v1", path="out.yaml", **metadata):
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}}
    return Authored(body, path)


def read(text, place="namespaces/shop/x/a.yaml", scopes=SCOPES):
    return read_authored(text.encode(), f"clusters/prod/{place}", namespaced=scopes, place=place)


def rendered(manifests, namespaced, namespace=None):
    return placed(Rendering(tuple(manifests), namespace), namespaced=namespaced)


HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def test_a_manifest_without_a_namespace_is_in_the_one_of_its_folder():
    assert read(HEAD)["metadata"] == {"name": "a", "namespace": "shop"}
    assert read(HEAD, "namespaces/shop/deeply/within/a.yaml")["metadata"]["namespace"] == "shop"
    own = read("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: own}\n")
    assert own["metadata"]["namespace"] == "own"
    # Nothing says where these belong.
    for place in ("apps/a.yaml", "namespaces/a.yaml", "cluster/x/a.yaml"):
        assert "namespace" not in read(HEAD, place)["metadata"]


def test_a_cluster_scoped_object_stays_so_wherever_its_file_is():
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
    assert "namespace" not in read(text)["metadata"]
    # Of a kind that nobody knows the folder says most.
    unknown = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n"
    assert read(unknown)["metadata"]["namespace"] == "shop"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("# Notes\n", "namespaces/shop/README.md"),
        ("\x00", "namespaces/shop/logo.png"),
        ("replicas: 3\n", "namespaces/shop/values.yaml"),
        ("# nothing\n", "namespaces/shop/empty.yaml"),
        ("apiVersion: v2\nname: chart\n", "namespaces/shop/Chart.yaml"),
        (
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n",
            "namespaces/shop/kustomization.yaml",
        ),
        (
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nmetadata: {name: a}\n",
            "namespaces/shop/component.yaml",
        ),
        ("a: 1\n---\nb: 2\n", "namespaces/shop/two.yaml"),
    ],
)
def test_what_people_keep_need_not_be_a_manifest(text, place):
    assert read(text, place) is None


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ConfigMap\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n",
        f"{HEAD}---\n{HEAD}",
        f"{HEAD}---\na: 1\n",
        "a: [\n",
        "- a\n",
        "data: {{ .Values.x }}\n",
    ],
)
def test_a_manifest_that_is_none_is_not_passed_over(text):
    with pytest.raises(ManifestError):
        read(text)


def test_rendered_objects_are_placed():
    made = rendered(
        [
            manifest(namespace="own", name="b"),
            manifest(),
            manifest("Namespace", "shop", namespace="nonsense"),
            manifest("Deployment", "web", "apps/v1"),
        ],
        namespaced=SCOPES,
        namespace="shop",
    )
    assert set(made.objects) == {
        Ref("", "ConfigMap", "own", "b"),
        Ref("", "ConfigMap", "shop", "a"),
        Ref("", "Namespace", "", "shop"),
        Ref("apps", "Deployment", "shop", "web"),
    }
    web = made.objects[Ref("apps", "Deployment", "shop", "web")]
    assert (web.body["metadata"]["namespace"], web.version) == ("shop", "v1")
    assert "namespace" not in made.objects[Ref("", "Namespace", "", "shop")].body["metadata"]


def test_without_a_namespace_nobody_knows_which_object_is_meant():
    with pytest.raises(UsageError, match=r"ConfigMap/a in out\.yaml: has no namespace") as raised:
        rendered([manifest()], namespaced=SCOPES)
    assert "--rendered-namespace" in raised.value.hint


def test_kinds_are_also_told_by_definitions_among_the_manifests():
    def definition(kind, scope):
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{kind.lower()}s.example.com"},
            "spec": {"group": "example.com", "names": {"kind": kind}, "scope": scope},
        }
        return Authored(body, "crds.yaml")

    crds = {("apiextensions.k8s.io", "CustomResourceDefinition"): False}
    made = rendered(
        [
            manifest("Widget", "a", "example.com/v1"),
            manifest("Fleet", "all", "example.com/v1"),
            manifest("Other", "any", "example.com/v1"),
            definition("Widget", "Namespaced"),
            definition("Fleet", "Cluster"),
        ],
        namespaced=crds,
        namespace="shop",
    )
    assert {ref.namespace for ref in made.objects if ref.kind == "Widget"} == {"shop"}
    assert {ref.namespace for ref in made.objects if ref.kind in ("Fleet", "Other")} == {""}


def test_hooks_are_left_out_and_named():
    hook = manifest(name="test", annotations={"helm.sh/hook": "test"}, namespace="shop")
    made = rendered([hook, hook, manifest(namespace="shop")], namespaced=SCOPES)
    assert list(made.objects) == [Ref("", "ConfigMap", "shop", "a")]
    assert {(o.ref.name, o.rule) for o in made.omissions} == {("test", "helm-hook")}
    assert "test" in made.omissions[0].reason


def test_the_same_object_twice_is_refused():
    twice = [manifest(namespace="shop"), manifest(namespace="shop", path="other.yaml")]
    with pytest.raises(RepositoryError, match=r"ConfigMap/shop/a: .*out\.yaml and other\.yaml"):
        rendered(twice, namespaced=SCOPES)


@pytest.mark.parametrize("spec", [None, [], {"names": []}, {"names": {}}, {"group": 3}])
def test_a_broken_definition_defines_nothing(spec):
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "x"},
        "spec": spec,
    }
    assert len(rendered([Authored(body, "x.yaml")], namespaced={}).objects) == 1


def test_before_it_is_known_where_they_belong_objects_are_told_by_name():
    made = Rendering((manifest(), manifest("Deployment", "web", "apps/v1")))
    assert made.versions == {("", "ConfigMap"): "v1", ("apps", "Deployment"): "v1"}
    may_be = made.names()
    assert may_be(Ref("", "ConfigMap", "anywhere", "a"))
    assert may_be(Ref("apps", "Deployment", "shop", "web"))
    assert not may_be(Ref("", "ConfigMap", "shop", "web"))
    assert not may_be(Ref("", "Deployment", "shop", "web"))
