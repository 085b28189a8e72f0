"""One random leaf of a restored object is changed: drift names it, or a rule covers it.

In memory for two thousand, through all that drift does between the API server's answer and the
report; and for a hundred in a real cluster, as far as the API lets anybody change them.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from campaigns.independent import Api, key_of
from campaigns.mutations import Mutation, mutate, names
from campaigns.rebuilding import CLUSTER, Figures, Rebuilt
from command import gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.listing import collection_path, object_path
from gitops_dr.drift.compare import compare, differences
from gitops_dr.engine.observe import Observation, observe
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Body, Identity, Ref, Resource
from gitops_dr.rules import clean
from gitops_dr.rules.clean import KindRules, rules_for
from gitops_dr.rules.rows import Row, object_rows, relation_rows

SEED = int(os.environ.get("GITOPS_DR_CAMPAIGN_SEED", "20261124"))
IN_MEMORY = 2_000
FOR_REAL = 100

_IDENTITY = Identity("campaign", "v1.37", "1")
_AUTOSCALER = ("autoscaling", "HorizontalPodAutoscaler")


@dataclass(frozen=True)
class Restored:
    """One object that came back, as the API server has it and as Git has it."""

    ref: Ref
    resource: Resource
    live: Body
    path: str
    recorded: bytes


@dataclass
class OneObject:
    """An API server that serves one object, its owners and the autoscalers beside it."""

    resources: Mapping[tuple[str, str], Resource]
    objects: list[Body]
    server: str = "memory"

    def json(self, _method: str, path: str, **_options: Any) -> Any:
        if path in ("/api", "/apis"):
            return self._discovery(core=path == "/api")
        found = [
            json.loads(json.dumps(body))
            for body in self.objects
            if collection_path(self._resource(body)) == path
            or collection_path(self._resource(body), body["metadata"].get("namespace", "")) == path
        ]
        return {"metadata": {"resourceVersion": "1"}, "items": found}

    def request(self, method: str, path: str, **options: Any) -> bytes:
        return json.dumps(self.json(method, path, **options)).encode()

    def _resource(self, body: Body) -> Resource:
        group, kind, _, _ = key_of(body)
        return self.resources[group, kind]

    def _discovery(self, *, core: bool) -> Any:
        groups: dict[str, dict[str, list[Any]]] = {}
        for resource in {self._resource(body) for body in self.objects}:
            if (resource.group == "") is core:
                versions = groups.setdefault(resource.group, {})
                versions.setdefault(resource.version, []).append(
                    {
                        "resource": resource.plural,
                        "responseKind": {"kind": resource.kind},
                        "scope": "Namespaced" if resource.namespaced else "Cluster",
                        "verbs": ["create", "list"],
                    }
                )
        items = [
            {
                "metadata": {"name": name},
                "versions": [{"version": v, "resources": r} for v, r in versions.items()],
            }
            for name, versions in groups.items()
        ]
        return {"kind": "APIGroupDiscoveryList", "items": items}


class World:
    """The restored objects, and what drift would say if one of them were another."""

    def __init__(self, rebuilt: Rebuilt) -> None:
        self.folder = rebuilt.repo / "clusters" / CLUSTER
        coverage = yaml.safe_load((self.folder / "recovery" / "coverage.yaml").read_text())
        self.resources = {
            (each["group"], each["kind"]): Resource(
                each["group"], each["version"], each["kind"], each["resource"], each["namespaced"]
            )
            for each in coverage["kinds"]
        }
        self._live = rebuilt.cluster.objects
        self._autoscalers: dict[str, list[Body]] = {}
        for key, body in self._live.items():
            if key[:2] == _AUTOSCALER:
                self._autoscalers.setdefault(key[2], []).append(body)

    def restored(self) -> Iterator[Restored]:
        """Every object that is in Git and in the rebuilt cluster."""
        for file in sorted(self.folder.rglob("*.yaml")):
            path = str(file.relative_to(self.folder))
            if path.startswith("recovery/"):
                continue
            recorded = file.read_bytes()
            body = parse(recorded, path)
            key = key_of(body)
            live = self._live.get(key)
            if live is not None:
                resource = self.resources[key[:2]]
                live = {**live, "apiVersion": resource.api_version}
                yield Restored(Ref(*key), resource, live, path, recorded)

    def observed(self, restored: Restored, body: Body) -> Observation:
        """What the product sees of the object, if it is as ``body`` says."""
        around = self._around(restored)
        fake: Any = OneObject(self.resources, [body, *around])
        return observe(fake, _IDENTITY, _fingerprint)

    def _around(self, restored: Restored) -> list[Body]:
        """What relation rules look at: autoscalers in the namespace, and owners."""
        key = (restored.ref.group, restored.ref.kind, restored.ref.namespace, restored.ref.name)
        found = {key_of(body): body for body in self._autoscalers.get(restored.ref.namespace, ())}
        for owner in restored.live["metadata"].get("ownerReferences") or ():
            group = owner["apiVersion"].rpartition("/")[0]
            for namespace in (restored.ref.namespace, ""):
                place = (group, owner["kind"], namespace, owner["name"])
                if place in self._live and place[:2] in self.resources:
                    version = self.resources[place[:2]].api_version
                    found[place] = {**self._live[place], "apiVersion": version}
        found.pop(key, None)
        return list(found.values())


def _fingerprint(data: bytes) -> str:
    return data.decode()


@pytest.fixture(scope="module")
def world(rebuilt: Rebuilt) -> World:
    return World(rebuilt)


@pytest.fixture(scope="module")
def unchanged(world: World) -> list[Restored]:
    """The restored objects that are as Git has them: of the others drift speaks anyway."""
    found = [
        each
        for each in world.restored()
        if (entry := world.observed(each, each.live).state.entries.get(each.ref))
        and entry.fingerprint == _fingerprint(each.recorded)
    ]
    assert found
    return found


class Coverage:
    """Says which rules cover a change, by applying each of them alone."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._compiled: dict[tuple[str, str], list[tuple[Row, KindRules]]] = {}

    def covering(self, restored: Restored, mutation: Mutation) -> list[str]:
        kind = restored.ref.group_kind
        if kind not in self._compiled:
            self._compiled[kind] = list(self._alone(*kind))
        return [
            row.id
            for row, rules in self._compiled[kind]
            if _cleaned(rules, restored.live) == _cleaned(rules, mutation.body)
        ]

    def _alone(self, group: str, kind: str) -> Iterator[tuple[Row, KindRules]]:
        for row in object_rows():
            if row.applies_to(group, kind) and row.omit is None:
                with self._patch.context() as patch:
                    patch.setattr(clean, "object_rows", lambda row=row: (row,))
                    yield row, rules_for.__wrapped__(group, kind)


def _cleaned(rules: KindRules, body: Body) -> Body:
    copied = json.loads(json.dumps(body))
    rules.clean(copied)
    return copied


def _choose(restored: list[Restored], chance: random.Random) -> Restored:
    """Half by object and half by kind, so that no kind has it all to itself."""
    if chance.random() < 0.5:
        return chance.choice(restored)
    kind = chance.choice(sorted({each.ref.group_kind for each in restored}))
    return chance.choice([each for each in restored if each.ref.group_kind == kind])


def judge(world: World, restored: Restored, mutation: Mutation, rules: Coverage) -> tuple[str, str]:
    """What drift makes of a mutation: it is named, covered by a rule, or unseen; with a detail."""
    before = world.observed(restored, restored.live)
    after = world.observed(restored, mutation.body)
    comparison = compare(before.state, after.state)
    entry = after.state.entries.get(restored.ref)
    changes: Any = ()
    if restored.ref in comparison.modified and entry is not None:
        bodies = {
            ref: (
                parse(before.state.entries[ref].fingerprint.encode(), str(ref)),
                parse(after.state.entries[ref].fingerprint.encode(), str(ref)),
            )
            for ref in comparison.modified
        }
        paths = dict.fromkeys((*comparison.modified, *comparison.missing), restored.path)
        found = differences(comparison, paths, bodies)
        changes = [c for d in found if d.ref == restored.ref for c in d.changes]
    named = {names(change.path, mutation.path) for change in changes} - {""}
    if named:
        return f"named {min(named, key=len)}", ""
    if restored.ref in comparison.missing:
        row = rules_for(*restored.ref.group_kind).omission(mutation.body)
        return "left out by", row.id if row else _relation("controller-owner")
    if any(ref == restored.ref for ref, _ in comparison.unknown):
        return "gap", after.state.gap_for(restored.ref).reason  # type: ignore[union-attr]
    covering = rules.covering(restored, mutation)
    if covering:
        aside = " (and drift at another field)" if changes else ""
        return "covered by", " or ".join(covering) + aside
    if mutation.path == ("spec", "replicas") and not changes:
        return "covered by", _relation("autoscaler-target")
    return "unseen", f"drift says {[change.path for change in changes]}"


def _relation(name: str) -> str:
    return next(row.id for row in relation_rows() if row.relation == name)


def test_every_changed_leaf_is_named_or_covered(
    world: World,
    unchanged: list[Restored],
    figures: Figures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(SEED)
    rules = Coverage(monkeypatch)
    tally: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    unseen = []
    for _ in range(IN_MEMORY):
        restored = _choose(unchanged, chance)
        mutation = mutate(restored.live, chance)
        verdict, detail = judge(world, restored, mutation, rules)
        tally[verdict] += 1
        parts[mutation.part] += 1
        if verdict == "unseen":
            unseen.append(f"{restored.ref}: {mutation.deed} {mutation.text}: {detail}")
        elif detail:
            covered[f"{verdict} {detail}"] += 1
    figures(
        f"mutations in memory, seed {SEED}: {IN_MEMORY} leaves of {len(unchanged)} objects: "
        f"{dict(tally.most_common())}; by part {dict(parts.most_common())}"
    )
    for reason, count in covered.most_common():
        figures(f"  {count:5} {reason}")
    assert not unseen, "\n".join(unseen)


# Changing these changes other objects too, so of the others nothing could be said any more.
_NOT_FOR_REAL = {
    ("", "Namespace"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
}


def test_a_changed_leaf_of_a_real_object_is_named(
    rebuilt: Rebuilt,
    lab_home: Path,
    unchanged: list[Restored],
    figures: Figures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(SEED)
    chance.shuffle(unchanged)
    with (
        labs.running("mutated", saved=rebuilt.saved) as lab,
        Api(lab.server, lab.pki) as api,
    ):
        changed: dict[Ref, tuple[Restored, Mutation]] = {}
        refused = 0
        for restored in unchanged:
            if len(changed) == FOR_REAL:
                break
            if restored.ref.group_kind in _NOT_FOR_REAL:
                continue
            mutation = _write(api, restored, chance)
            if mutation is None:
                refused += 1
            else:
                changed[restored.ref] = restored, mutation
        # Read before drift is: what is as it was by then is no change that it could tell.
        put_back = {
            ref
            for ref, (restored, mutation) in changed.items()
            if _is_put_back(api, restored, mutation)
        }
        said = gitops_dr(
            *("drift", "--repo", str(rebuilt.repo), "-o", "json"),
            kubeconfig=labs.service_account_kubeconfig(lab),
        )
    assert said.code == 1, said.err
    assert len(changed) == FOR_REAL
    fields = {
        Ref(**each["ref"]): (each["state"], [field["path"] for field in each["fields"]])
        for each in said.json["differences"]
    }
    rules = Coverage(monkeypatch)
    tally: Counter[str] = Counter()
    unseen = []
    for ref, (restored, mutation) in changed.items():
        state, paths = fields.get(ref, ("equal", []))
        if any(names(path, mutation.path) for path in paths):
            tally["named"] += 1
        elif state == "missing" and mutation.is_controller:
            tally[f"left out by {_relation('controller-owner')}"] += 1
        elif covering := rules.covering(restored, mutation):
            tally[f"covered by {' or '.join(covering)}"] += 1
        elif ref in put_back and state == "equal":
            tally[f"put back by a controller: {mutation.text}"] += 1
        else:
            unseen.append(f"{ref}: {mutation.deed} {mutation.text}: {state} {paths}")
    figures(
        f"mutations in a real cluster, seed {SEED}: {len(changed)} written, {refused} objects "
        f"whose mutations the API refused: {dict(tally.most_common())}"
    )
    assert not unseen, "\n".join(unseen)


_TRIES = 12


def _write(api: Api, restored: Restored, chance: random.Random) -> Mutation | None:
    """Write one mutation that the API server takes; nothing if it takes none of a few."""
    ref = restored.ref
    path = object_path(restored.resource, ref.namespace, ref.name)
    status, live = api.call("GET", path)
    if status != 200:
        return None
    owner = _owner(api, ref.namespace)
    for _ in range(_TRIES):
        mutation = mutate(live, chance, owner)
        status, stored = api.call("PUT", path, mutation.body)
        if status == 200 and _at(stored, mutation.path) == _at(mutation.body, mutation.path):
            if mutation.part in ("metadata", "metadata.managedFields", "status"):
                continue
            if mutation.deed == "retype" and _is_either(api, restored, mutation.path):
                # A number where a text of it says the same.
                live = stored
                continue
            return mutation
        if status == 200:
            # Taken, and not kept as written: the object may be another in other places by now.
            live = stored
    return None


def _is_put_back(api: Api, restored: Restored, mutation: Mutation) -> bool:
    """Whether the leaf is as it was before again: volumes' controller marks bound claims anew."""
    ref = restored.ref
    status, live = api.call("GET", object_path(restored.resource, ref.namespace, ref.name))
    before = _at(restored.live, mutation.path)
    return status == 200 and before is not None and _at(live, mutation.path) == before


def _is_either(api: Api, restored: Restored, path: tuple[str | int, ...]) -> bool:
    """Whether the API server's schema says that the field is a number or a text of one."""
    group, version, kind = restored.ref.group, restored.resource.version, restored.ref.kind
    document = api.get(f"/openapi/v3/{f'apis/{group}' if group else 'api'}/{version}")
    schemas = document["components"]["schemas"]
    named = {"group": group, "version": version, "kind": kind}
    schema = next(
        schema
        for schema in schemas.values()
        if named in schema.get("x-kubernetes-group-version-kind", ())
    )

    def resolved(schema: Any) -> Any:
        while reference := schema.get("$ref") or (schema.get("allOf") or [{}])[0].get("$ref"):
            schema = schemas[reference.rpartition("/")[2]]
        return schema

    for key in path:
        if isinstance(key, int):
            schema = resolved(schema).get("items")
        else:
            schema = resolved(schema).get("properties", {}).get(key)
        if not isinstance(schema, dict):
            return False
    marks = resolved(schema)
    return bool(marks.get("x-kubernetes-int-or-string")) or marks.get("format") == "int-or-string"


def _owner(api: Api, namespace: str) -> Body:
    """Something that may own objects of the namespace and stays: without it they are collected."""
    place = f"namespaces/{namespace}/configmaps/kube-root-ca.crt"
    body = api.get(f"/api/v1/{place if namespace else 'namespaces/default'}")
    kind = "ConfigMap" if namespace else "Namespace"
    metadata = body["metadata"]
    return {"apiVersion": "v1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}


def _at(body: Any, path: Any) -> Any:
    for key in path:
        try:
            body = body[key]
        except (KeyError, IndexError, TypeError):
            return None
    return body
