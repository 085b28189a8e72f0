"""Profiles the tool without a cluster: an API server's answers, made up, and a real repository.

The world of ``world.py`` becomes the pages of lists that an API server would send, with
managedFields and all. What the commands do with them runs in this process, without network and
without an API server on the same cores, so that what is left is ours:

    python bench/replay.py 15000                    seconds of each part
    python bench/replay.py 15000 --profile observe  where the seconds of one part go

The parts are those of the commands: ``decode``, ``rules``, ``emit`` and ``hash`` are steps of
``observe``; ``first``, ``again`` and ``compare`` are what export and drift do with Git.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import world

from gitops_dr.cluster.connect import Connection
from gitops_dr.cluster.discover import identify
from gitops_dr.cluster.listing import PAGE
from gitops_dr.engine.observe import Observation, observe
from gitops_dr.engine.recorded import read_state, read_tree
from gitops_dr.manifests.emit import canonical
from gitops_dr.repository.commit import commit
from gitops_dr.repository.repository import Repository, create_repository, head
from gitops_dr.rules.clean import rules_for

PREFIX = "clusters/bench"
TIME = "2024-02-29T12:00:00Z"
VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")
_NAMESPACE = world.Kind(0, "v1", "Namespace", "namespaces", lambda *_: {}, namespaced=False)
_CRD = world.Kind(
    0,
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    lambda *_: {},
    namespaced=False,
)
KINDS = (_NAMESPACE, _CRD, *world.KINDS)


@dataclass(frozen=True)
class Replay(Connection):
    """Answers reads of the made-up cluster from memory; everything else is no use here."""

    answers: dict[str, list[bytes]] = field(default_factory=dict)
    """Path of a collection to its pages."""

    def request(self, _method: str, path: str, **options: Any) -> bytes:
        page = int((options.get("query") or {}).get("continue", 0))
        return self.answers[path][page]

    def json(self, method: str, path: str, **options: Any) -> Any:
        return orjson.loads(self.request(method, path, **options))


def replay(count: int) -> Replay:
    """A cluster of ``count`` objects."""
    objects: dict[str, list[Any]] = {kind.plural: [] for kind in KINDS}
    for number, (_, path, body) in enumerate(world.world(count)):
        objects[path.rpartition("/")[2]].append(_stored(body, number))
    answers = {
        "/version": [orjson.dumps({"gitVersion": "v1.37.2"})],
        "/api/v1/namespaces/kube-system": [orjson.dumps({"metadata": {"uid": _uid(0)}})],
    }
    for kind in KINDS:
        answers[world.collection(kind, "")] = list(_pages(kind, objects[kind.plural]))
    for root in ("api", "apis"):
        kinds = [kind for kind in KINDS if ("/" in kind.api_version) == (root == "apis")]
        answers[f"/{root}"] = [orjson.dumps(_discovery(kinds))]
    return Replay("replay", "https://replay.invalid", None, answers=answers)  # type: ignore[arg-type]


def _discovery(kinds: list[world.Kind]) -> Any:
    groups = {}
    for kind in kinds:
        group, _, version = kind.api_version.rpartition("/")
        served = groups.setdefault(group, {"version": version, "resources": []})
        scope = "Namespaced" if kind.namespaced else "Cluster"
        served["resources"].append(
            {
                "resource": kind.plural,
                "responseKind": {"kind": kind.kind},
                "scope": scope,
                "verbs": VERBS,
            }
        )
    items = [{"metadata": {"name": name}, "versions": [each]} for name, each in groups.items()]
    return {"kind": "APIGroupDiscoveryList", "items": items}


def _pages(kind: world.Kind, objects: list[Any]) -> Iterator[bytes]:
    for start in range(0, len(objects) or 1, PAGE):
        metadata = {"resourceVersion": "1"}
        if start + PAGE < len(objects):
            metadata["continue"] = str(start // PAGE + 1)
        document = {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": metadata,
            "items": objects[start : start + PAGE],
        }
        yield orjson.dumps(document)


def _stored(body: Any, number: int) -> Any:
    """The object as a list has it: its kind gone, what a server adds there."""
    kept = {key: value for key, value in body.items() if key not in ("apiVersion", "kind")}
    kept["metadata"] = metadata = dict(kept["metadata"])
    fields = _fields({key: value for key, value in kept.items() if key != "metadata"})
    given = {key: value for key, value in metadata.items() if key in ("annotations", "labels")}
    metadata["managedFields"] = [
        {
            "manager": "bench",
            "operation": "Update",
            "apiVersion": body["apiVersion"],
            "time": TIME,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": _fields(given), **fields},
        }
    ]
    metadata |= {"uid": _uid(number), "resourceVersion": str(number), "creationTimestamp": TIME}
    kept.pop("stringData", None)
    return kept


def _fields(value: Any) -> Any:
    """A field set for all of a value."""
    if isinstance(value, dict):
        return {f"f:{key}": _fields(child) for key, child in value.items()}
    if isinstance(value, list) and all(isinstance(each, dict) and "name" in each for each in value):
        return {f'k:{{"name":"{each["name"]}"}}': {".": {}, **_fields(each)} for each in value}
    return {}


def _uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


# -- the parts ---------------------------------------------------------------------------------


class Stopwatch:
    """Times the parts, and profiles one of them."""

    def __init__(self, profiled: str) -> None:
        self.profiled = profiled
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        profiler = cProfile.Profile() if name == self.profiled else None
        gc.collect()
        started = time.perf_counter()
        if profiler:
            profiler.enable()
        yield
        if profiler:
            profiler.disable()
        self.seconds[name] = time.perf_counter() - started
        if profiler:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def steps(cluster: Replay, watch: Stopwatch) -> None:
    """What happens to an object, one step for all of them after the other."""
    pages = {
        kind: cluster.answers[world.collection(kind, "")]
        for kind in KINDS
        if kind.plural != "secrets"
    }
    gc.disable()
    bodies: list[tuple[Any, Any]] = []
    with watch.part("decode"):
        for kind, answers in pages.items():
            rules = rules_for(kind.api_version.rpartition("/")[0], kind.kind)
            bodies += [(rules, each) for data in answers for each in orjson.loads(data)["items"]]
    kept = []
    with watch.part("rules"):
        for rules, body in bodies:
            if rules.omission(body) is None:
                rules.clean(body)
                kept.append(body)
    with watch.part("emit"):
        written = [canonical(body) for body in kept]
    repo = Repository(Path(), Path(), "sha1", bare=True)
    with watch.part("hash"):
        for data in written:
            repo.blob_id(data)
    gc.enable()


def exports(cluster: Replay, folder: Path, watch: Stopwatch) -> None:
    """A first export, an unchanged one, and a clean drift, each from what it reads."""
    repo = create_repository(folder / "repository")
    identity = identify(cluster)

    def look(known: frozenset[str] = frozenset()) -> Observation:
        return observe(cluster, identity, repo.blob_id, known=known, exact=False)

    with watch.part("observe, nothing known"):
        seen = look()
    changes = {
        f"{PREFIX}/{entry.path}": seen.bodies[entry.fingerprint]
        for entry in seen.state.entries.values()
    }
    with watch.part("first"):
        made = _commit(repo, changes)
    with watch.part("tree"):
        tree = read_tree(repo, made, PREFIX)
    with watch.part("observe"):
        seen = look(frozenset(tree.files.values()))
    with watch.part("compare"):
        recorded = read_state(tree, seen.state)
    assert recorded.state.entries == seen.state.entries
    with watch.part("again"):
        _commit(repo, {})


def _commit(repo: Repository, changes: dict[str, bytes | None]) -> str:
    return commit(
        repo,
        changes=changes,
        message="Bench",
        trailers={"Cluster": "bench"},
        guard=lambda _path, _data: None,
        expected=head(repo),
    ).id


def main() -> None:
    """Replay, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("objects", type=int)
    parser.add_argument("--profile", default="", metavar="PART")
    given = parser.parse_args()
    cluster, watch = replay(given.objects), Stopwatch(given.profile)
    size = sum(len(page) for pages in cluster.answers.values() for page in pages)
    steps(cluster, watch)
    with tempfile.TemporaryDirectory() as folder:
        exports(cluster, Path(folder), watch)
    print(f"{given.objects} objects, {size / 1e6:.1f} MB of JSON")
    for name, seconds in watch.seconds.items():
        print(f"{name:24}{seconds:8.3f} s")


if __name__ == "__main__":
    main()
