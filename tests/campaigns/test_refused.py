"""A repository that also holds what no API server takes: each is named with the server's reason.

The good objects are the bookstore and the corpus' definitions; all of them come back all the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from campaigns.independent import Api
from campaigns.loader import load, read_lines
from campaigns.rebuilding import Figures, rebuild
from command import git, gitops_dr
from corpus import corpus
from shop import create_shop

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect
from gitops_dr.cluster.listing import collection_path
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse
from gitops_dr.manifests.path import manifest_path
from gitops_dr.model import Body, Ref, Resource

CLUSTER = "bookstore"

# The circumstances are others than when these were refused.
ACCEPTED: Mapping[str, str] = {
    "Namespace/default": "409 before: every cluster has one, and it is as Git wants it",
    "Service/refused/my-service-disallowed": "another object had its node port, which is free here",
}


@dataclass(frozen=True)
class Bad:
    """One object that was refused once, and how it is addressed here."""

    ref: Ref
    resource: Resource
    body: Body
    source: str
    message: str


@dataclass(frozen=True)
class Scene:
    """A repository, the bad objects in it, and the paths of all others."""

    repo: Path
    bad: list[Bad]
    good: dict[Ref, str]


@pytest.fixture(scope="module")
def scene(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    repo = tmp_path_factory.mktemp("refused") / "repository"
    assert gitops_dr("init", str(repo), "--cluster", CLUSTER).code == 0
    folder = repo / "clusters" / CLUSTER
    definitions = [
        line for line in read_lines(corpus() / "objects.jsonl.gz") if line["phase"] == "00-crd"
    ]
    with labs.running("good") as lab, Api(lab.server, lab.pki) as api:
        reach = labs.service_account_kubeconfig(lab)
        bad = _addressed(
            read_lines(corpus() / "refused.jsonl.gz"),
            _served(api),
            [line["object"] for line in definitions],
        )
        taken = {each.ref for each in bad}
        namespaces = {each.ref.namespace for each in bad} - {"", "default"}
        loaded = load(
            api,
            [
                *(line for line in definitions if _ref(line["object"]) not in taken),
                *({"phase": "namespace", **_namespace(name)} for name in sorted(namespaces)),
            ],
        )
        assert {each.status for each in loaded.refused} <= {409}
        create_shop(connect(reach, lab.name))
        said = gitops_dr("export", "--repo", str(repo), kubeconfig=reach)
        assert said.code == 0, said.err
    good = {
        _ref(parse(file.read_bytes(), str(file))): str(file.relative_to(folder))
        for file in sorted(folder.rglob("*.yaml"))
        if "recovery" not in file.parts
    }
    for each in bad:
        _write(folder / manifest_path(each.ref, each.resource.plural), each.body)
    git(repo, "add", "--all")
    git(repo, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", "Add all")
    return Scene(repo, bad, good)


def _namespace(name: str) -> Body:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return {"path": "/api/v1/namespaces", "object": body}


def _served(api: Api) -> dict[tuple[str, str], Resource]:
    """The built-in kinds of the API server, in any version."""
    found = {}
    places = ["/api/v1"]
    for group in api.get("/apis")["groups"]:
        places += [f"/apis/{version['groupVersion']}" for version in group["versions"]]
    for place in places:
        group_version = place.removeprefix("/apis/").removeprefix("/api/")
        group, _, version = group_version.rpartition("/")
        for each in api.get(place)["resources"]:
            if "/" not in each["name"]:
                resource = Resource(group, version, each["kind"], each["name"], each["namespaced"])
                found.setdefault((group, each["kind"]), resource)
    return found


def _addressed(
    lines: list[Any], served: Mapping[tuple[str, str], Resource], definitions: list[Body]
) -> list[Bad]:
    """Give each a namespace where its kind has them, and a name of its own where it is taken."""
    known = dict(served)
    for body in definitions:
        spec = body["spec"]
        kind, plural = spec["names"]["kind"], spec["names"]["plural"]
        namespaced = spec["scope"] == "Namespaced"
        known[spec["group"], kind] = Resource(spec["group"], "", kind, plural, namespaced)
    taken: set[Ref] = set()
    bad = []
    for line in lines:
        body = line["object"]
        group, _, version = body["apiVersion"].rpartition("/")
        metadata = body["metadata"]
        kind = body["kind"]
        found = known.get((group, kind))
        if found is None:
            namespaced, plural = bool(metadata.get("namespace")), f"{kind.lower()}s"
        else:
            namespaced, plural = found.namespaced, found.plural
        if namespaced:
            metadata.setdefault("namespace", "refused")
        else:
            metadata.pop("namespace", None)
        name = metadata["name"]
        number = 1
        while _ref(body) in taken:
            number += 1
            metadata["name"] = f"{name}-{number}"
        taken.add(_ref(body))
        resource = Resource(group, version, kind, plural, namespaced)
        bad.append(Bad(_ref(body), resource, body, line["source"], line["message"]))
    return bad


def _ref(body: Body) -> Ref:
    group = body["apiVersion"].rpartition("/")[0]
    metadata = body["metadata"]
    return Ref(group, body["kind"], metadata.get("namespace", ""), metadata["name"])


def _write(file: Path, body: Body) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(canonical(body))


_REPLACED = frozenset(
    {
        "admissionregistration.k8s.io/v1beta1",
        "batch/v1beta1",
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "flowcontrol.apiserver.k8s.io/v1beta3",
        "policy/v1beta1",
        "scheduling.k8s.io/v1beta1",
        "storage.k8s.io/v1beta1",
    }
)
"""Versions that a later one says the same as.
https://kubernetes.io/docs/reference/using-api/deprecation-guide/"""


def _was_replaced(message: str) -> bool:
    """Whether an object was refused before only because its version is gone."""
    kind_is_gone = message.partition("kind not served: ")[2]
    return kind_is_gone.partition(" ")[0] in _REPLACED


def test_each_refused_object_is_named_with_the_servers_reason(
    scene: Scene, figures: Figures
) -> None:
    with labs.running("refusing") as lab, Api(lab.server, lab.pki) as api:
        said = rebuild(scene.repo, labs.service_account_kubeconfig(lab))
        answers = {each.ref: _ask(api, each) for each in scene.bad}
    report = said.json
    outcomes = {Ref(**each["ref"]): each for each in report["outcomes"]}
    gaps = {Ref(**each["ref"]): each["reason"] for each in report["gaps"]}
    tally: Counter[str] = Counter()
    wrong = []
    for each in scene.bad:
        status, message = answers[each.ref]
        how, reason = _named(each, outcomes, gaps)
        who = f"{each.ref} ({each.source})"
        if str(each.ref) in ACCEPTED and how in ("", "came back"):
            tally["accepted, and explained"] += 1
        elif how == "came back" and _was_replaced(each.message):
            tally["came back in the version that is served"] += 1
        elif how == "came back":
            wrong.append(f"{who}: was taken; refused before: {each.message}")
        elif not how:
            wrong.append(f"{who}: is not named; the server says {status} {message}")
        elif how == "not tried" and status != 404:
            wrong.append(f"{who}: not tried: {reason!r}; the server says {status} {message!r}")
        elif how == "failed" and not _parts(message) <= _parts(reason):
            wrong.append(f"{who}: named with {reason!r}; the server says {status} {message!r}")
        else:
            tally[how] += 1
    lost = [
        f"{ref}: {outcomes[ref]['result']}: {outcomes[ref]['reason']}"
        for ref in scene.good
        if ref in outcomes and outcomes[ref]["result"] in ("failed", "blocked")
    ]
    refs = {each.ref for each in scene.bad}
    lost += [
        f"{each['ref']}: {each['state']}"
        for each in report["differences"]
        if each["state"] != "unmanaged" and Ref(**each["ref"]) not in refs
    ]
    figures(
        f"refused: {len(scene.bad)} bad objects beside {len(scene.good)} good ones: "
        f"{dict(tally)}; {len(lost)} good ones lost; exit {said.code}"
    )
    assert not wrong + lost, "\n".join(wrong + lost)
    assert said.code == 3


def _parts(message: str) -> set[str]:
    """A message without the order of its parts, which the server leaves to chance."""
    return set(re.split(r", |\[|\]|: ", message))


def _named(each: Bad, outcomes: Mapping[Ref, Any], gaps: Mapping[Ref, str]) -> tuple[str, str]:
    """How the report names an object, and the reason that it gives."""
    outcome = outcomes.get(each.ref)
    if outcome and outcome["result"] in ("failed", "blocked"):
        return outcome["result"], outcome["reason"]
    if each.ref in gaps:
        return "not tried", gaps[each.ref]
    path = f"clusters/{CLUSTER}/{manifest_path(each.ref, each.resource.plural)}"
    if Ref("", "File", "", path) in gaps:
        return "unreadable", gaps[Ref("", "File", "", path)]
    return ("came back", "") if outcome else ("", "")


def _ask(api: Api, each: Bad) -> tuple[int, str]:
    """What the API server says itself of creating the object."""
    path = collection_path(each.resource, each.ref.namespace)
    status, answer = api.call("POST", f"{path}?dryRun=All&fieldValidation=Strict", each.body)
    return status, str(answer.get("message"))
