"""The corpus goes into Git: drift says nothing, until somebody edits, and then it says just that.

The edits are made by kubectl, at random, under many field managers, while controllers run. What
must be reported of them is worked out by a view that shares no code with the product.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from campaigns.editing import WAYS, Editor
from campaigns.independent import Api, read_cluster
from campaigns.kubectl import Hand, read_recorded
from campaigns.rebuilding import CLUSTER, Figures, await_rest
from campaigns.told import expected, reported, unlike
from command import Said, gitops_dr

from gitops_dr import lab as labs

SEED = int(os.environ.get("GITOPS_DR_CAMPAIGN_SEED", "20261125"))
EDITS = 200
TIMES = 3


@dataclass(frozen=True)
class Exported:
    """A repository that holds the corpus' cluster, and that cluster."""

    repo: Path
    saved: Path
    """The lab, as it was when it was compared."""
    gaps: list[Any]
    """What the export could not read."""
    compared: list[Said]


@pytest.fixture(scope="module")
def exported(
    saved_corpus: Path, lab_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp("edited")
    repo = folder / "repository"
    assert gitops_dr("init", str(repo), "--cluster", CLUSTER).code == 0
    with labs.running("compared", saved=saved_corpus) as lab, Api(lab.server, lab.pki) as api:
        await_rest(api)
        reach = labs.service_account_kubeconfig(lab)
        said = gitops_dr("export", "--repo", str(repo), "-o", "json", kubeconfig=reach)
        assert said.code in (0, 3), said.err
        compared = [_drift(repo, reach) for _ in range(TIMES)]
        saved = folder / "lab.tar"
        labs.save(lab.name, saved)
    yield Exported(repo, saved, said.json["gaps"], compared)
    saved.unlink()


def _drift(repo: Path, reach: Path, *flags: str) -> Said:
    said = gitops_dr("drift", "--repo", str(repo), "-o", "json", *flags, kubeconfig=reach)
    assert said.code in (0, 1, 3), said.err
    return said


def _assert_nothing_differs(exported: Exported, said: Said) -> None:
    document = said.json
    assert document["differences"] == []
    assert document["gaps"] == exported.gaps
    assert document["coverage"]["compared"] == document["equal"] > 1_000
    assert said.code == (3 if exported.gaps else 0)


def test_directly_after_an_export_nothing_differs(exported: Exported, figures: Figures) -> None:
    assert len(exported.compared) == TIMES
    for said in exported.compared:
        _assert_nothing_differs(exported, said)
    coverage = exported.compared[0].json["coverage"]
    figures(f"drift after an export: empty {TIMES} times, {coverage}, {len(exported.gaps)} gaps")


def test_after_a_restart_every_edit_is_reported_and_nothing_else(
    exported: Exported, figures: Figures, tmp_path: Path
) -> None:
    objects = read_recorded(exported.repo / "clusters" / CLUSTER)
    chance = random.Random(SEED)
    # Saved and started again, the API server reads all that it has from its storage anew.
    with labs.running("edited", saved=exported.saved) as lab, Api(lab.server, lab.pki) as api:
        reach = labs.service_account_kubeconfig(lab)
        for _ in range(TIMES):
            _assert_nothing_differs(exported, _drift(exported.repo, reach))

        kubectl = labs.assets().path("kubectl")
        editor = Editor(Hand(api, kubectl, reach, tmp_path, objects, chance))
        began = time.monotonic()
        _edit(editor, chance)
        seconds = time.monotonic() - began
        await_rest(api)
        began = time.monotonic()
        said = _drift(exported.repo, reach)
        drift_seconds = time.monotonic() - began
        asked = _drift(exported.repo, reach, "--server")
        live = read_cluster(api).objects

    git = {key: each.body for key, each in objects.items()}
    must_be = expected(editor.edits, git, live)
    told = reported(said.json, git, live)
    fields = [field for each in told.values() for field in each.fields.items()]
    figures(
        f"edits, seed {SEED}: {editor.done.total()} in {seconds:.0f} s by {len(editor.done)} ways, "
        f"{editor.refused.total()} tries that the API refused; "
        f"by deed {dict(Counter(edit.deed for edit in editor.edits).most_common())}"
    )
    figures(
        f"  told of {len(told)} objects: {dict(Counter(t.state for t in told.values()))}; "
        f"{len(fields)} fields: {dict(Counter(op for (_, op), _ in fields))}, "
        f"{sum(bool(authors) for _, authors in fields)} with their author, of "
        f"{len({name for t in told.values() for name, _, _ in _everybody(t)})} managers; "
        f"drift took {drift_seconds:.1f} s"
    )
    wrong = unlike(must_be, told)
    assert not wrong, "\n".join(wrong)
    assert said.code == (3 if exported.gaps else 1)
    assert said.json["gaps"] == exported.gaps
    # What was exported leaves no doubt, so nobody had to be asked; who is asked says the same.
    assert not [each for each in said.json["differences"] if each["compared_locally"]]
    wrong = unlike(must_be, reported(asked.json, git, live))
    assert not wrong, "\n".join(wrong)


def _everybody(told: Any) -> set[Any]:
    return set(told.managers).union(*told.fields.values())


def _edit(editor: Editor, chance: random.Random) -> None:
    """Edit in every way as often as in any other, in random order; delete more often."""
    ways = [*WAYS, *(["delete"] * 4)]
    turn: list[str] = []
    while editor.done.total() < EDITS:
        turn = turn or chance.sample(ways, len(ways))
        editor.edit(turn.pop())
    assert set(editor.done) == set(WAYS)
