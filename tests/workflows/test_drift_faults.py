"""What goes wrong with ``drift``, and what is too much or hostile: no false word, and nothing dies.

On a real cluster as far as one can be brought to it, else on an API server that plays it.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
import yaml
from api_server import ApiServer
from command import COMMAND, Said, commit_all, git, gitops_dr
from engine.conftest import FakeCluster, live
from fake_api import (
    Answer,
    FakeApi,
    Request,
    api,
    connection,
    listed,
    refusal,
    reply,
    write_kubeconfig,
)
from markdown_it import MarkdownIt
from reports.pages import read_html
from small_cluster import new_repo

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.engine.opening import Where
from gitops_dr.errors import ClusterError
from gitops_dr.reports.drift import exit_code
from gitops_dr.workflows.drift import drift
from gitops_dr.workflows.export import export

__all__ = ["api", "connection"]

FORMATS = ("table", "json", "yaml", "markdown", "html", "junit", "annotations")


# -- a commit that says something else -----------------------------------------------------------


@pytest.fixture
def kubeconfig_of_nothing(tmp_path: Path) -> Path:
    """Nobody listens there: whatever is said is said before anything is asked."""
    return write_kubeconfig(tmp_path / "nothing", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("file", "code", "says"),
    [
        ("gitops-dr.yaml", 2, "format"),
        ("clusters/prod/recovery/coverage.yaml", 5, "format 2"),
    ],
)
def test_a_newer_format_is_refused_by_its_number(
    tmp_path: Path, kubeconfig_of_nothing: Path, file: str, code: int, says: str
):
    repo = tmp_path / "repository"
    assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
    path = repo / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("format: 2\nclusters: {prod: }\n")
    commit_all(repo)
    said = gitops_dr("drift", "--repo", str(repo), kubeconfig=kubeconfig_of_nothing)
    assert (said.code, said.out) == (code, "")
    assert file in said.err
    assert says in said.err
    assert "hint: " in said.err


# -- an API server that dies meanwhile -----------------------------------------------------------


class Played:
    """A cluster of ConfigMaps and of custom resources, exported; then it changes, or dies."""

    def __init__(self, api: FakeApi, folder: Path, count: int = 4) -> None:
        self.api = api
        self.repo = folder / "repository"
        self.kubeconfig = write_kubeconfig(folder / "kubeconfig", api.url)
        cluster = FakeCluster(api)
        cluster.serve("v1", "Namespace", live("shop"), namespaced=False)
        cluster.serve("v1", "ConfigMap", *(self.map(n, "1") for n in range(count)))
        cluster.serve("example.com/v1", "Widget", *(live(f"w{n}", "shop") for n in range(4)))
        cluster.serve(
            *("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            live(
                "widgets.example.com",
                spec={
                    "group": "example.com",
                    "names": {"kind": "Widget"},
                    "versions": [{"name": "v1", "storage": True, "served": True}],
                },
            ),
            namespaced=False,
        )
        self.list("/api/v1/configmaps", [self.map(n, "1") for n in range(count)])
        new_repo(self.repo)
        assert export(self.where).created

    def map(self, number: int, value: str) -> Any:
        fields = {"f:data": {".": {}, "f:a": {}}}
        manager = {"manager": "robot", "operation": "Update", "fieldsV1": fields}
        manager |= {"apiVersion": "v1", "fieldsType": "FieldsV1", "time": "2026-11-26T10:00:00Z"}
        metadata = {"managedFields": [manager]}
        return live(f"m{number}", "shop", metadata=metadata, data={"a": value, "b": "x" * 200})

    def list(self, path: str, items: list[Any]) -> None:
        """Give them in pages, as an API server does."""

        def page(request: Request) -> Answer:
            start = int(request.query.get("continue") or 0)
            end = start + int(request.query.get("limit") or len(items))
            return reply(listed(*items[start:end], then=str(end) if end < len(items) else ""))

        self.api.on(path, page)

    @property
    def where(self) -> Where:
        return Where(self.repo, kubeconfig=self.kubeconfig, environment={})


@pytest.fixture
def played(connection: Connection, api: FakeApi, tmp_path: Path) -> Played:
    """Who connects to it repeats as often as ever, but without pauses, as ``connection`` does."""
    made = Played(api, tmp_path)
    assert drift(made.where).clean
    return made


def first_page_then(answer: Answer) -> Callable[[Request], Answer]:
    def page(request: Request) -> Answer:
        first = listed(live("w0", "shop"), then="more")
        return answer if "continue" in request.query else reply(first)

    return page


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusal(404, "NotFound", "the server could not find it"), id="it is gone"),
        pytest.param(refusal(503, "ServiceUnavailable", "no endpoints"), id="503"),
        pytest.param(Answer(pieces=(b'{"items": [',), length=999), id="cut off"),
        pytest.param(refusal(403, "Forbidden", "no longer"), id="a right is taken away"),
    ],
)
def test_an_api_that_disappears_in_the_middle_leaves_its_objects_unknown(
    played: Played, answer: Answer
):
    played.api.on("/apis/example.com/v1/widgets", first_page_then(answer))
    changed = [played.map(n, "2" if n == 1 else "1") for n in range(4)]
    played.list("/api/v1/configmaps", changed)
    result = drift(played.where)
    assert exit_code(result) == 3
    states = {each.ref.name: each.presence.value for each in result.differences}
    # What was read of it before is as good as ever; of the rest nothing is known.
    assert {name: states.pop(name) for name in ("w1", "w2", "w3")} == {
        "w1": "unknown",
        "w2": "unknown",
        "w3": "unknown",
    }
    assert states.pop("w0", "equal") in ("equal", "unknown")
    assert states == {"m1": "modified"}
    assert [gap.ref.kind for gap in result.gaps] == ["Widget"]
    assert not result.clean


def test_an_api_server_that_is_gone_is_an_error_and_no_drift(played: Played):
    played.api.stop()
    with pytest.raises(ClusterError):
        drift(played.where)


# -- much ----------------------------------------------------------------------------------------

MANY, MEGABYTES = 10_000, 200.0

# The kernel takes the memory of whoever starts a process for that process's own, so one that is
# small starts it.
_LAUNCH = """
import os, sys
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(process, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(used.ru_maxrss * 1024 / 1e6))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_ten_thousand_drifted_objects_take_little_memory(api: FakeApi, tmp_path: Path):
    many = Played(api, tmp_path, MANY)
    many.list("/api/v1/configmaps", [many.map(n, "2") for n in range(MANY)])
    peak = tmp_path / "peak"
    command = (COMMAND, "drift", "--repo", many.repo, "-q", "-o", "json")
    done = subprocess.run(
        [sys.executable, "-c", _LAUNCH, peak, *command, "--kubeconfig", many.kubeconfig],
        env=os.environ | {"GITOPS_DR_DEBUG": "1"},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr.decode()
    found = orjson.loads(done.stdout)["differences"]
    assert len(found) == MANY
    assert {each["state"] for each in found} == {"modified"}
    fields = [field for each in found for field in each["fields"]]
    assert {(f["path"], f["old"], f["new"]) for f in fields} == {("data.a", "1", "2")}
    assert {m["manager"] for field in fields for m in field["managers"]} == {"robot"}
    assert float(peak.read_text()) < MEGABYTES


# -- a real cluster ------------------------------------------------------------------------------

PLACE = "faults"
HOSTILE_ROLE = '<img src=x onerror=alert(1)>"|`@everyone`'
TRICKS = (
    '</script><script>alert(1)</script>\x1b[2J\x1b]0;owned\x07\n```\n# Heading\n"><img src=x>\n'
    "::error::owned\n%0A::set-output name=x::y\n| a | b |\n]]><x/>\u202egnp.exe\u200b @octocat #1"
)
GROUP = "faults.example.com"


def named(kind: str, name: str, **parts: Any) -> Any:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": PLACE},
        **parts,
    }


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}}
ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": HOSTILE_ROLE},
    "rules": [],
}
BIG = named("ConfigMap", "big", data={"file": "a" * 1_000_000})
SMALL = [named("ConfigMap", f"small-{n}", data={"a": "1"}) for n in range(3)]
OPEN_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"gadgets.{GROUP}"},
    "spec": {
        "group": GROUP,
        "names": {"kind": "Gadget", "plural": "gadgets"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": OPEN_SCHEMA},
            }
        ],
    },
}
GADGETS = [
    {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Gadget",
        "metadata": {"name": f"g{n}", "namespace": PLACE},
        "spec": {"a": 1},
    }
    for n in range(2)
]


class Place:
    def __init__(self, api: ApiServer, repo: Path, kubeconfig: Path) -> None:
        self.api = api
        self.repo = repo
        self.kubeconfig = kubeconfig

    def run(self, *flags: str) -> Said:
        return gitops_dr("drift", "--repo", str(self.repo), *flags, kubeconfig=self.kubeconfig)

    def here(self) -> dict[str, Any]:
        """What differs of this file's objects, by kind and name."""
        said = self.run("-o", "json", "--no-unmanaged")
        assert said.code in (0, 1), said.err
        return {
            f"{each['ref']['kind']}/{each['ref']['name']}": each
            for each in said.json["differences"]
        }


@pytest.fixture(scope="module")
def place(
    lab: labs.Lab, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    api = ApiServer(connect(kubeconfig))
    repo = tmp_path_factory.mktemp("faults") / "repository"
    api.create(NAMESPACE)
    try:
        for body in (ROLE, BIG, *SMALL, DEFINITION):
            api.create(body)
        api.until(DEFINITION, _is_served)
        for body in GADGETS:
            api.create(body)
        assert gitops_dr("init", str(repo), "--cluster", "lab").code == 0
        said = gitops_dr("export", "--repo", str(repo), kubeconfig=kubeconfig)
        assert said.code == 0, said.err
        made = Place(api, repo, kubeconfig)
        assert made.here() == {}
        yield made
    finally:
        for body in (DEFINITION, ROLE, NAMESPACE):
            api.delete(body)


@pytest.fixture
def tidy(place: Place) -> Iterator[Place]:
    """What a test edits is as it was after it."""
    yield place
    for body in (BIG, *SMALL):
        place.api.patch(body, {"data": body["data"], "metadata": {"annotations": None}})
    place.api.patch(GADGETS[0], {"spec": {TRICKS: None}})
    place.api.patch(ROLE, {"metadata": {"annotations": None}})


def _is_served(body: Any) -> bool:
    conditions = (body.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def test_a_file_may_lie_elsewhere_and_is_named_where_it_lies(tidy: Place):
    head = git(tidy.repo, "rev-parse", "HEAD").strip()
    folder = tidy.repo / "clusters" / "lab"
    moved = folder / "ours" / "deep" / "first.yaml"
    moved.parent.mkdir(parents=True)
    (folder / "namespaces" / PLACE / "configmaps" / "small-0.yaml").rename(moved)
    commit_all(tidy.repo)
    assert tidy.here() == {}
    tidy.api.patch(SMALL[0], {"data": {"a": "2"}})
    found = tidy.here()
    assert found.keys() == {"ConfigMap/small-0"}
    assert found["ConfigMap/small-0"]["path"] == "ours/deep/first.yaml"
    git(tidy.repo, "reset", "--quiet", "--hard", head)


def test_a_mebibyte_on_each_side_is_told_by_its_size(tidy: Place):
    tidy.api.patch(BIG, {"data": {"file": "b" * 1_000_000}})
    said = tidy.run("-o", "json", "--no-unmanaged")
    assert said.code == 1
    assert len(said.out) < 100_000
    (field,) = tidy.here()["ConfigMap/big"]["fields"]
    assert (field["path"], field["op"], field["cut"]) == ("data.file", "replace", True)
    for side in ("old", "new"):
        assert field[side] == "(1000002 bytes, not shown)"
    assert [manager["manager"] for manager in field["managers"]] == ["kubectl-edit"]
    for name in FORMATS:
        said = tidy.run("-o", name, "--no-unmanaged")
        assert said.code == 1
        assert "b" * 10_000 not in said.out, name


def test_hostile_names_and_values_are_text_in_every_format(tidy: Place):
    tidy.api.patch(SMALL[1], {"data": {"a": TRICKS}, "metadata": {"annotations": {"x": TRICKS}}})
    tidy.api.patch(GADGETS[0], {"spec": {TRICKS: [TRICKS]}})
    tidy.api.patch(
        ROLE,
        {"metadata": {"annotations": {"x": TRICKS}}},
        fieldManager='<b onclick="x">`|@octocat',
    )
    found = tidy.here()
    assert found.keys() == {"ConfigMap/small-1", "Gadget/g0", f"ClusterRole/{HOSTILE_ROLE}"}
    values = {field["path"]: field for field in found["ConfigMap/small-1"]["fields"]}
    assert values["data.a"]["new"] == TRICKS
    said = {name: tidy.run("-o", name, "--no-unmanaged") for name in FORMATS}
    for name, each in said.items():
        assert each.code == 1, (name, each.err)
        # A document keeps what is invisible, or it would not come back the same.
        ours = "\n\t\u202e\u200b" if name in ("json", "yaml") else "\n\t"
        hidden = {c for c in each.out + each.err if not c.isprintable()} - {*ours}
        assert not hidden, (name, hidden)
    assert yaml.safe_load(said["yaml"].out) == said["json"].json
    page = read_html(said["html"].out)
    assert page.every("img") == page.every("x") == page.every("b", onclick="x") == []
    assert len(page.every("script")) == said["html"].out.count("<script") == 1
    assert ElementTree.fromstring(said["junit"].out).findall(".//x") == []
    for line in said["annotations"].out.splitlines():
        assert line.startswith(("::error file=", "::warning ", "::error ", "::notice ")), line
        assert "owned" not in line.partition("::")[2].partition("::")[0]
    markdown = MarkdownIt("commonmark").enable("table").render(said["markdown"].out)
    tags = {each.tag for each in read_html(markdown).every()}
    assert tags.isdisjoint(("img", "script", "x", "b", "h1", "a"))


def test_a_definition_that_was_removed_took_its_objects_with_it(place: Place):
    place.api.delete(DEFINITION, wait=True)
    found = place.here()
    assert {name: each["state"] for name, each in found.items()} == {
        f"CustomResourceDefinition/gadgets.{GROUP}": "missing",
        "Gadget/g0": "missing",
        "Gadget/g1": "missing",
    }
    assert not any(each["managers"] for each in found.values())
    assert place.run("-o", "json", "--no-unmanaged").json["gaps"] == []
