"""Shipped files are found in a checkout and where a wheel puts them. Touches only tmp_path."""

from pathlib import Path

import pytest

from gitops_dr import resources
from gitops_dr.errors import ExitCode, GitOpsDRError
from gitops_dr.resources import shipped

ROOT = Path(__file__).parent.parent


def test_a_checkout_has_templates_at_its_root() -> None:
    assert shipped("templates/repository") == ROOT / "templates" / "repository"
    assert (shipped("templates/repository") / "gitops-dr.yaml.j2").is_file()


@pytest.mark.parametrize("name", ["rules/objects.yaml", "lab/go/control-plane/go.mod"])
def test_files_of_a_room_are_beside_its_code(name: str) -> None:
    assert shipped(name) == ROOT / "gitops_dr" / name


def test_a_wheel_has_templates_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "gitops_dr"
    inside = package / "templates" / "repository"
    inside.mkdir(parents=True)
    stranger = tmp_path / "site-packages" / "templates" / "repository"
    stranger.mkdir(parents=True)
    monkeypatch.setattr(resources, "_PACKAGE", package)
    assert shipped("templates/repository") == inside


def test_what_is_not_shipped_is_a_broken_installation() -> None:
    with pytest.raises(GitOpsDRError, match=r"^templates/nothing: ") as caught:
        shipped("templates/nothing")
    assert caught.value.hint == "reinstall gitops-dr"
    assert caught.value.exit_code == ExitCode.BUG
