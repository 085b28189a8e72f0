"""Rebuilds through a connection that fails by a seed: they end complete, once, and equal.

Twenty seeds; as many as ``GITOPS_DR_FAULTY_SEEDS`` says, from ``GITOPS_DR_FIRST_SEED`` on. None has
a fault that stays, so none may end partial, hang, or create anything twice. What stays makes a
rebuild partial, and then its list of what is lacking is whole.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import lasting_faults
import orjson
import pytest
from campaigns.independent import Api, Key, key_of, read_cluster
from campaigns.rebuilding import Figures
from command import git, gitops_dr
from fault_proxy import between, by_seed

from gitops_dr import lab as labs
from gitops_dr.manifests.parse import parse
from gitops_dr.resources import shipped

pytestmark = [pytest.mark.campaign, pytest.mark.lab]

FIRST = int(os.environ.get("GITOPS_DR_FIRST_SEED", "1"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("GITOPS_DR_FAULTY_SEEDS", "20")))

LONGEST = 400.0
"""Seconds after which a rebuild hangs; it takes about five without faults."""

OURS = "gitops-dr"
"""Our user agent, and the namespace of what we keep in a cluster."""


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped example as a repository: what a person has who cloned it."""
    path = tmp_path_factory.mktemp("faulty") / "repository"
    assert gitops_dr("init", str(path), "--cluster", "bookstore").code == 0
    clusters = shipped("cluster-repos/bookstore/clusters")
    subprocess.run(["cp", "-r", clusters, path], check=True)
    git(path, "add", "-A")
    git(path, "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "The shop")
    return path


@pytest.fixture(scope="module")
def wanted(repo: Path) -> Mapping[Key, Any]:
    """What the repository holds, by a reading of its own."""
    return read_files(repo)


@pytest.fixture(scope="module")
def total(figures: Figures) -> Iterator[Counter[str]]:
    counted: Counter[str] = Counter()
    yield counted
    figures(f"faulty rebuilds: {len(SEEDS)} seeds from {FIRST}, {counted.total()} faults")
    for kind, number in sorted(counted.items()):
        figures(f"  {kind}: {number}")


@pytest.mark.parametrize("seed", SEEDS)
def test_what_passes_leaves_nothing_behind(
    repo: Path,
    wanted: Mapping[Key, Any],
    lab_home: Path,
    tmp_path: Path,
    total: Counter[str],
    figures: Figures,
    seed: int,
) -> None:
    audit = tmp_path / "audit.log"
    with labs.running(f"faulty-{seed}", audit_log=audit) as lab:
        reach = labs.service_account_kubeconfig(lab)
        with between(lab, by_seed(seed)) as proxy:
            started = time.monotonic()
            said = gitops_dr(
                *("rebuild", "--repo", str(repo), "--yes", "--accept-empty-volumes", "-o", "json"),
                kubeconfig=proxy.kubeconfig(reach, tmp_path / "kubeconfig"),
                timeout=LONGEST,
            )
            seconds = time.monotonic() - started
        total.update(proxy.injected)
        line = f"seed {seed}: exit {said.code}, {seconds:.0f} s, {proxy.asked.total()} requests"
        figures(f"{line}, faults {dict(sorted(proxy.injected.items()))}")
        assert said.code == 0, said.err + summary(said.out)
        assert said.json["complete"] is True

        drift = gitops_dr("drift", "--repo", str(repo), "-o", "json", kubeconfig=reach)
        assert [d for d in drift.json["differences"] if d["state"] != "unmanaged"] == []
        with Api(lab.server, lab.pki) as api:
            there = read_cluster(api)
    assert not there.unlisted
    assert sorted(wanted.keys() - there.objects.keys()) == []
    made = created(audit)
    assert [name for name, times in made.items() if times > 1] == []
    names = {(namespace, name) for _, _, namespace, name in wanted} | {("", OURS)}
    assert [key for key in made if key[1] != OURS and (key[1], key[2]) not in names] == []


LASTING: Mapping[str, tuple[Callable[[Api, str], None], str]] = {
    "policy": (lasting_faults.policy_denies, "no-config-maps"),
    "webhook": (lasting_faults.webhook_is_down, "nobody-home.example.com"),
    "quota": (lasting_faults.quota_is_used_up, "exceeded quota: none-left"),
    "namespace": (lasting_faults.namespace_is_stuck, "example.com/stuck"),
    "definition": (lasting_faults.definition_clashes, "is already in use"),
    "API service": (lasting_faults.api_service_is_dead, "v1.dead.example.com"),
}
"""What does not pass, and what must be said of it."""


@pytest.mark.parametrize("fault", LASTING)
def test_what_stays_is_named_with_everything_that_it_costs(
    repo: Path,
    wanted: Mapping[Key, Any],
    lab_home: Path,
    tmp_path: Path,
    figures: Figures,
    fault: str,
) -> None:
    """The list of what did not come back is that of another look at the cluster."""
    install, says = LASTING[fault]
    with labs.running("lasting") as lab, Api(lab.server, lab.pki) as api:
        install(api, "catalog")
        reach = labs.service_account_kubeconfig(lab)
        with between(lab, by_seed(len(fault))) as proxy:
            said = gitops_dr(
                *("rebuild", "--repo", str(repo), "--yes", "--accept-empty-volumes", "-o", "json"),
                *("--timeout", "20"),
                kubeconfig=proxy.kubeconfig(reach, tmp_path / "kubeconfig"),
                timeout=LONGEST,
            )
        there = read_cluster(api)
    assert said.code == 3, said.err + said.out
    report = said.json
    assert report["complete"] is False
    going = {k for k, b in there.objects.items() if "deletionTimestamp" in b["metadata"]}
    gone = (wanted.keys() - there.objects.keys()) | (going & wanted.keys())
    failed = [o for o in report["outcomes"] if o["result"] in ("failed", "blocked")]
    assert sorted(of(o["ref"]) for o in failed) == sorted(gone), summary(said.out)
    missing = [d for d in report["differences"] if d["state"] == "missing"]
    unlisted = {of(gap["ref"])[:2] for gap in report["gaps"]}
    assert {of(d["ref"]) for d in missing} == {k for k in gone if k[:2] not in unlisted}
    assert bool(gone) == (fault != "API service")
    unready = [o for o in report["outcomes"] if o["result"] == "unready"]
    figures(f"{fault}: {len(failed)} of {len(wanted)} did not come back, {len(unready)} not ready")
    assert says in said.out, summary(said.out)


def of(ref: Mapping[str, str]) -> Key:
    return ref["group"], ref["kind"], ref["namespace"], ref["name"]


def read_files(repo: Path) -> dict[Key, Any]:
    """Every object of a repository, by its identity."""
    folder = repo / "clusters" / "bookstore"
    files = (f for f in sorted(folder.rglob("*.yaml")) if "recovery" not in f.parts)
    bodies = (parse(file.read_bytes(), str(file)) for file in files)
    return {key_of(body): body for body in bodies}


def created(audit: Path) -> Counter[tuple[str, str, str]]:
    """How often we created each object: resource, namespace and name, by the audit log."""
    found: Counter[tuple[str, str, str]] = Counter()
    for line in audit.read_bytes().splitlines():
        event = orjson.loads(line)
        if event["verb"] != "create" or event.get("userAgent") != OURS:
            continue
        if event["responseStatus"]["code"] == 201 and "dryRun=" not in event["requestURI"]:
            ref = event["objectRef"]
            if "subresource" not in ref and "name" in ref:
                place = ref.get("namespace", "") if ref["resource"] != "namespaces" else ""
                group = ref.get("apiGroup", "")
                found[f"{ref['resource']}.{group}", place, ref["name"]] += 1
    return found


def summary(out: str) -> str:
    """What a report says that is not good."""
    try:
        report = orjson.loads(out)
    except orjson.JSONDecodeError:
        return out
    bad = [o for o in report["outcomes"] if o["result"] not in ("done", "present", "unobservable")]
    return orjson.dumps(
        {"outcomes": bad, "differences": report["differences"][:5], "gaps": report["gaps"]},
        option=orjson.OPT_INDENT_2,
    ).decode()
