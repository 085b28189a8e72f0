"""Real manifests as their authors wrote them, against the objects that were made of them.

The controllers run, and whoever made the objects owns their defaults: nothing may seem to differ.
"""

import json
import time
from pathlib import Path
from typing import Any

from campaigns.independent import Api
from campaigns.loader import read_lines
from campaigns.rebuilding import Figures
from command import gitops_dr
from corpus import corpus

from gitops_dr import lab as labs


def render(lines: list[dict[str, Any]], folder: Path) -> int:
    """Write each manifest into a file of its own."""
    for number, line in enumerate(lines):
        file = folder / f"{number:04}-{line['object']['kind'].lower()}.yaml"
        file.write_text(json.dumps(line["object"], ensure_ascii=False, indent=1))
    return len(lines)


def test_nothing_seems_to_differ(
    saved_corpus: Path, lab_home: Path, tmp_path: Path, figures: Figures
) -> None:
    repo, folder = tmp_path / "repository", tmp_path / "rendered"
    folder.mkdir()
    lines = read_lines(corpus() / "objects.jsonl.gz")
    written = render(lines, folder)
    with labs.running("written", saved=saved_corpus) as lab:
        reach = labs.service_account_kubeconfig(lab)
        assert gitops_dr("init", str(repo), "--cluster", "corpus").code == 0
        said = gitops_dr("export", "--repo", str(repo), kubeconfig=reach)
        assert said.code in (0, 3), said.err
        started = time.monotonic()
        said = gitops_dr(
            *("drift", "--repo", str(repo), "--rendered", str(folder), "-o", "json"),
            kubeconfig=reach,
        )
        took = time.monotonic() - started
        found = said.json
        with Api(lab.server, lab.pki) as api:
            # The controllers took away what nothing uses any more.
            gone = {
                line["object"]["metadata"]["name"]
                for line in lines
                if api.call("GET", f"{line['path']}/{line['object']['metadata']['name']}")[0] == 404
            }
    assert {d["ref"]["name"] for d in found["differences"] if d["state"] == "missing"} <= gone
    differing = [
        (d["ref"]["kind"], d["ref"]["name"], d["state"], [f["path"] for f in d["fields"]])
        for d in found["differences"]
        if d["state"] != "missing"
    ]
    assert differing == []
    assert found["equal"] > written / 2
    figures(f"{written} manifests as written, against their objects: {took:.1f} s")
