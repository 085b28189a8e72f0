"""The corpus through a connection that fails by a seed: as much comes back as without faults."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from campaigns.independent import Api, Key, key_of, read_cluster
from campaigns.loader import read_lines
from campaigns.rebuilding import Figures, Rebuilt, rebuild
from campaigns.test_corpus import judge
from campaigns.test_faulty_rebuilds import created, of
from corpus import corpus
from fault_proxy import between, by_seed

from gitops_dr import lab as labs

pytestmark = [pytest.mark.campaign, pytest.mark.lab]

SEED = int(os.environ.get("GITOPS_DR_FIRST_SEED", "1"))


def test_faults_that_pass_cost_nothing(
    rebuilt: Rebuilt, lab_home: Path, tmp_path: Path, figures: Figures
) -> None:
    audit = tmp_path / "audit.log"
    with (
        labs.running("faulty-corpus", audit_log=audit) as lab,
        Api(lab.server, lab.pki) as api,
    ):
        reach = labs.service_account_kubeconfig(lab)
        with between(lab, by_seed(SEED)) as proxy:
            said = rebuild(rebuilt.repo, proxy.kubeconfig(reach, tmp_path / "kubeconfig"))
        cluster = read_cluster(api)
    through = replace(rebuilt, cluster=cluster, report=said.json, code=said.code)
    declared = {
        key_of(line["object"]): line["object"] for line in read_lines(corpus() / "objects.jsonl.gz")
    }
    judged = judge(through, declared)
    figures(
        f"corpus through faults, seed {SEED}: exit {said.code}, {proxy.asked.total()} requests, "
        f"{proxy.injected.total()} faults; {judged.equal} equal, {judged.explained.total()} "
        f"explained, {len(judged.unexplained)} unexplained"
    )
    assert not judged.unexplained, "\n".join(judged.unexplained)
    assert set(_failed(through)) == set(_failed(rebuilt))
    assert [name for name, times in created(audit).items() if times > 1] == []


def _failed(rebuilt: Rebuilt) -> Iterator[Key]:
    for outcome in rebuilt.report["outcomes"]:
        if outcome["result"] in ("failed", "blocked"):
            yield of(outcome["ref"])
