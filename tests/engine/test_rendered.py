"""The folder that Helm or Kustomize wrote into: what is read of it, and what is refused."""

import os

import pytest

from gitops_dr.engine import rendered
from gitops_dr.engine.rendered import read_rendered
from gitops_dr.errors import ManifestError, UsageError


def text(*names: str) -> str:
    return "---\n".join(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n" for name in names
    )


def found(place) -> list[tuple[str, str]]:
    return [
        (os.path.relpath(each.path, place), each.body["metadata"]["name"])
        for each in read_rendered(place)
    ]


def test_every_manifest_below_the_folder_is_read_in_order(tmp_path):
    below = tmp_path / "chart" / "templates"
    below.mkdir(parents=True)
    (below / "b.yaml").write_text(text("c", "d"))
    (below / "a.yml").write_text(text("b"))
    (tmp_path / "z.json").write_text('{"apiVersion":"v1","kind":"A","metadata":{"name":"z"}}')
    (below / "NOTES.txt").write_text("{{ not yaml")
    (below / ".hidden.yaml").write_text("{{ not yaml")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config.yaml").write_text("{{ not yaml")
    assert found(tmp_path) == [
        ("z.json", "z"),
        ("chart/templates/a.yml", "b"),
        ("chart/templates/b.yaml", "c"),
        ("chart/templates/b.yaml", "d"),
    ]


def test_a_single_file_will_do(tmp_path):
    (tmp_path / "all").write_text(text("a", "b"))
    assert [name for _, name in found(tmp_path / "all")] == ["a", "b"]


def test_what_is_no_manifest_is_named(tmp_path):
    (tmp_path / "a.yaml").write_text(text("a") + "---\nreplicas: 3\n")
    with pytest.raises(ManifestError, match=r"a\.yaml:5: no apiVersion"):
        read_rendered(tmp_path)


@pytest.mark.parametrize("content", [None, "", "# only a comment\n---\n"])
def test_no_manifest_at_all_is_a_mistake(tmp_path, content):
    if content is not None:
        (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(UsageError, match="no manifest in it"):
        read_rendered(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        read_rendered(tmp_path / "nowhere")


def test_links_that_lead_out_are_refused(tmp_path):
    place = tmp_path / "out"
    place.mkdir()
    outside = tmp_path / "secret.yaml"
    outside.write_text(text("secret"))
    (place / "a.yaml").symlink_to(outside)
    with pytest.raises(UsageError, match=r"a\.yaml: a link that leads out"):
        read_rendered(place)
    (place / "a.yaml").unlink()
    (place / "below").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="below: a link that leads out"):
        read_rendered(place)


def test_links_within_are_followed_as_a_mounted_volume_has_them(tmp_path):
    hidden = tmp_path / "..data"
    hidden.mkdir()
    (hidden / "a.yaml").write_text(text("a"))
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert found(tmp_path) == [("a.yaml", "a")]


def test_a_loop_of_links_ends(tmp_path):
    (tmp_path / "a.yaml").write_text(text("a"))
    (tmp_path / "again").symlink_to(tmp_path)
    assert found(tmp_path) == [("a.yaml", "a")]
    (tmp_path / "b.yaml").symlink_to(tmp_path / "b.yaml")
    with pytest.raises((ManifestError, UsageError)):
        read_rendered(tmp_path)


def test_what_is_no_file_and_what_is_too_large_is_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(ManifestError, match=r"a\.yaml: not a file"):
        read_rendered(tmp_path)
    (tmp_path / "a.yaml").unlink()
    (tmp_path / "b.yaml").write_text(text("b"))
    monkeypatch.setattr(rendered, "MAX_FILE_BYTES", 10)
    with pytest.raises(ManifestError, match="at most 10 are read"):
        read_rendered(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "shut").mkdir(mode=0)
    with pytest.raises(UsageError, match="shut"):
        read_rendered(tmp_path)
