"""What users install: the wheel, and an empty environment that holds nothing else.

Builds into tmp folders. The environments are filled from the package index (marker ``lab``).
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHIPPED = ("gitops_dr", "templates", "cluster-repos")
LAB = "wheel-test"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    run(build, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, what it asks for, and nothing else: without the lab extra."""
    place = tmp_path_factory.mktemp("empty") / "an environment"
    uv(place.parent, "venv", "--python", sys.executable, place)
    install(place, str(wheel))
    return place


def test_it_holds_all_that_the_code_looks_for(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    tracked = run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *SHIPPED],
        cwd=ROOT,
    ).splitlines()
    shipped = [path for path in tracked if (ROOT / path).is_file()]
    assert any(path.startswith("templates/") for path in shipped)
    for path in shipped:
        assert (path if path.startswith("gitops_dr/") else f"gitops_dr/{path}") in inside


def test_it_holds_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"gitops_dr"}
    assert not [name for name in names if name.endswith(".pyc")]
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


@pytest.mark.lab
def test_help_and_init_run_without_extras(environment: Path, tmp_path: Path) -> None:
    help_text = run([command(environment), "--help"], cwd=tmp_path)
    assert "init" in help_text
    identity = {
        f"GIT_{who}_{what}": "a@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    run(
        [command(environment), "init", "here", "--cluster", "shop"],
        cwd=tmp_path,
        variables=identity,
    )
    made = run(["git", "-C", tmp_path / "here", "ls-files"], cwd=tmp_path).splitlines()
    assert made == [
        ".gitattributes",
        ".githooks/pre-commit",
        ".gitignore",
        "README.md",
        "gitops-dr.yaml",
    ]


@pytest.fixture
def lab(
    environment: Path, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The command, with the lab extra installed and a lab up, apart from the user's own labs."""
    install(environment, f"gitops-dr[lab] @ {wheel.as_uri()}")
    gitops_dr = command(environment)
    # Not in tmp_path: the path of a socket has room for a hundred characters.
    with tempfile.TemporaryDirectory(prefix="labs-") as home:
        monkeypatch.setenv("GITOPS_DR_LAB_HOME", home)
        run([gitops_dr, "lab", "up", LAB], cwd=tmp_path)
        try:
            yield gitops_dr
        finally:
            run([gitops_dr, "lab", "down", LAB], cwd=tmp_path)
        assert LAB not in run([gitops_dr, "lab", "list"], cwd=tmp_path)


@pytest.mark.lab
def test_a_lab_runs_from_it(lab: Path, tmp_path: Path) -> None:
    assert LAB in run([lab, "lab", "list"], cwd=tmp_path)
    kubeconfig = run([lab, "lab", "kubeconfig", LAB], cwd=tmp_path).strip()
    script = (
        "import sys, kubernetes.config, kubernetes.client as client\n"
        "api = kubernetes.config.new_client_from_config(sys.argv[1], context=sys.argv[2])\n"
        "names = [item.metadata.name for item in client.CoreV1Api(api).list_namespace().items]\n"
        "import json; print(json.dumps(names))\n"
    )
    python = lab.parent / "python"
    namespaces = json.loads(run([python, "-c", script, kubeconfig, LAB], cwd=tmp_path))
    assert "kube-system" in namespaces


def command(environment: Path) -> Path:
    return environment / "bin" / "gitops-dr"


def install(environment: Path, requirement: str) -> None:
    """Install into the environment, in the versions that the development environment pins."""
    constraint = ROOT / "requirements" / "dev.txt"
    uv(
        environment.parent,
        "pip", "install", "--python", environment / "bin" / "python",
        "--constraint", constraint, requirement,
    )  # fmt: skip


def uv(cwd: Path, *args: str | Path) -> None:
    run([sys.executable, "-m", "uv", "--quiet", *args], cwd=cwd)


def run(args: list[str | Path], *, cwd: Path, variables: dict[str, str] | None = None) -> str:
    """Run a program that must succeed, away from this environment; its standard output."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV", "PIP_FIND_LINKS")
    }
    done = subprocess.run(
        args,
        cwd=cwd,
        env=inherited | (variables or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{args}\n{done.stdout}\n{done.stderr}"
    return done.stdout
