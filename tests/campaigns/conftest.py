"""What the campaigns share: the corpus as a saved lab, its rebuild, and figures for the record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaigns import loader
from campaigns.history import POLICY
from campaigns.independent import Api, read_cluster
from campaigns.rebuilding import CLUSTER, Figures, Rebuilt, await_rest, rebuild
from command import gitops_dr
from corpus import corpus

from gitops_dr import lab as labs

_FIGURES = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.campaign)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = []


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = config.stash.get(_FIGURES, [])
    if lines:
        terminalreporter.section("campaign figures")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Figures:
    """Takes a line for the end of the run."""
    return request.config.stash.setdefault(_FIGURES, []).append


@pytest.fixture(scope="session")
def saved_corpus(lab_home: Path, request: pytest.FixtureRequest, figures: Figures) -> Path:
    """A saved lab that the whole corpus was loaded into; made once for each corpus and lab."""
    lines = corpus() / "objects.jsonl.gz"
    made_of = [lines, Path(loader.__file__), *sorted(Path(labs.__file__).parent.glob("*.*"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in made_of)).hexdigest()
    file = request.config.cache.mkdir("campaign") / f"corpus-{digest[:16]}.tar"
    if not file.exists():
        for outdated in file.parent.iterdir():
            outdated.unlink()
        with labs.running("loading") as lab, Api(lab.server, lab.pki) as api:
            loaded = loader.load(api, loader.read_lines(lines))
            partial = file.with_suffix(".partial")
            labs.save(lab.name, partial)
        partial.rename(file)
        figures(
            f"corpus loaded: {loaded.created.total()} created, {len(loaded.refused)} refused: "
            + ", ".join(f"{each.name} ({each.status})" for each in loaded.refused)
        )
    return file


@pytest.fixture(scope="session")
def rebuilt(
    saved_corpus: Path, tmp_path_factory: pytest.TempPathFactory, figures: Figures
) -> Iterator[Rebuilt]:
    """The corpus, exported from one lab and rebuilt into another."""
    repo = tmp_path_factory.mktemp("corpus") / "repository"
    assert gitops_dr("init", str(repo), "--cluster", CLUSTER).code == 0
    with (
        labs.running("source", saved=saved_corpus) as lab,
        Api(lab.server, lab.pki) as api,
    ):
        await_rest(api)
        said = gitops_dr(
            *("export", "--repo", str(repo), "-o", "json"),
            kubeconfig=labs.service_account_kubeconfig(lab),
        )
        assert said.code in (0, 3), said.err
        source = read_cluster(api)
    exported = said.json
    figures(
        f"export: {exported['objects']} objects of {len(source.objects)} listed, "
        f"exit {said.code}, {len(exported['omissions'])} omissions, {len(exported['gaps'])} gaps"
    )
    audit = tmp_path_factory.mktemp("audit") / "audit.log"
    policy = (f"--audit-policy-file={POLICY}",)
    with (
        labs.running("target", audit_log=audit, api_server_flags=policy) as lab,
        Api(lab.server, lab.pki) as api,
    ):
        said = rebuild(repo, labs.service_account_kubeconfig(lab))
        cluster = read_cluster(api)
        saved = tmp_path_factory.mktemp("rebuilt") / "lab.tar"
        labs.save(lab.name, saved)
    yield Rebuilt(repo, source, exported, cluster, said.json, said.code, saved, audit)
    saved.unlink()
    audit.unlink()
