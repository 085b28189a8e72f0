"""What a lab is made of agrees with itself, and its versions decide where it is kept."""

import re

import pytest

from gitops_dr.lab import binaries, parts
from gitops_dr.resources import shipped


def version(module, package):
    text = shipped(f"lab/go/{module}/go.mod").read_text()
    return re.search(rf"^\s*{re.escape(package)} (v\S+)", text, re.MULTILINE)[1]


def test_versions_agree_with_the_module():
    kubernetes = version("control-plane", "k8s.io/kubernetes")
    assert f"gitVersion={kubernetes} " in parts.CONTROL_PLANE.ldflags
    named = re.findall(
        r"(?:kubeletVersion|kubernetesVersion|kube-proxy): ?(v[\d.]+)",
        shipped("lab/fixtures.yaml").read_text(),
    )
    assert len(named) == 5
    assert set(named) == {kubernetes}


@pytest.mark.parametrize("part", [parts.CONTROL_PLANE, parts.CSI_PROVISIONER])
def test_every_tool_of_a_module_is_a_file_of_its_part(part):
    text = shipped(f"lab/go/{part.module}/go.mod").read_text()
    tools = re.findall(r"^(?:tool |\t)([^\s(]+)$", text.split("require (")[0], re.MULTILINE)
    names = {re.sub(r"/v\d+$", "", tool).rsplit("/", 1)[-1] for tool in tools}
    assert {part.renamed.get(name, name) for name in names} == set(part.files)


def test_another_version_is_another_folder(monkeypatch, tmp_path):
    before = parts.fingerprint(parts.CSI_PROVISIONER)
    assert before == parts.fingerprint(parts.CSI_PROVISIONER)
    assert before != parts.fingerprint(parts.CSI_PROVISIONER, "2")

    def changed(name):
        path = tmp_path / name.replace("/", "-")
        path.write_bytes(shipped(name).read_bytes() + b"\n")
        return path

    monkeypatch.setattr(parts, "shipped", changed)
    assert before != parts.fingerprint(parts.CSI_PROVISIONER)


def fill(folder, *names):
    folder.mkdir()
    for name in names:
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def nothing_found(monkeypatch, tmp_path):
    for name in binaries.FOLDERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_files_are_found_in_order_and_may_be_scattered(nothing_found, monkeypatch, tmp_path):
    (*most, last) = (name for part in parts.PARTS for name in part.files)
    ours = fill(tmp_path / "ours", "etcd", last)
    kubebuilder = fill(tmp_path / "kubebuilder", "etcd", "kube-apiserver")
    on_path = fill(tmp_path / "bin", *most)
    monkeypatch.setenv("GITOPS_DR_LAB_ASSETS", str(ours))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(kubebuilder))
    monkeypatch.setenv("PATH", str(on_path))
    for part in (parts.CSI_PROVISIONER, parts.INTERFACES):
        fill_cached = binaries.cached(part)
        fill_cached.mkdir(parents=True)
        for name in part.files:
            (fill_cached / name).write_text("")

    def no_build(*_):
        raise AssertionError("nothing is missing")

    monkeypatch.setattr(binaries, "build", no_build)
    found = binaries.assets()
    assert found.path("etcd") == ours / "etcd"
    assert found.path("kube-apiserver") == kubebuilder / "kube-apiserver"
    assert found.path("kwok") == on_path / "kwok"
    assert found.path("csi_pb2.py") == binaries.cached(parts.INTERFACES) / "csi_pb2.py"


def test_only_parts_that_are_not_whole_are_built(nothing_found, monkeypatch, tmp_path):
    (*most, _) = parts.CONTROL_PLANE.files
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(fill(tmp_path / "some", *most)))
    ours = fill(tmp_path / "ours", *parts.CSI_PROVISIONER.files)
    monkeypatch.setenv("GITOPS_DR_LAB_ASSETS", str(ours))
    built = []

    def build(part, place, _emit):
        built.append(part)
        place.mkdir(parents=True)
        for name in part.files:
            (place / name).write_text("")

    monkeypatch.setattr(binaries, "build", build)
    binaries.assets()
    assert built == [parts.CONTROL_PLANE, parts.INTERFACES]
    binaries.assets()
    assert len(built) == 2
