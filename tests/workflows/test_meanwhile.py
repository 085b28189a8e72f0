"""What somebody else changes while a command writes is told at its end, though most is compared
by the bytes of whole pages.

On one lab; whoever is asked to confirm is just between the two looks.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from command import commit_all, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster import listing
from gitops_dr.cluster.connect import ApiError, Connection, connect
from gitops_dr.engine.opening import Where
from gitops_dr.model import Presence
from gitops_dr.planning.selection import Intent
from gitops_dr.workflows.rebuild import rebuild
from gitops_dr.workflows.sync import sync

pytestmark = pytest.mark.lab

SHOP = "/api/v1/namespaces/shop"
MAPS = f"{SHOP}/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGET = "/apis/example.com/v1/namespaces/shop/widgets/w"
MANY = 60
PAGE = 10


def definition(**properties: Any) -> dict[str, Any]:
    spec = {"type": "object", "properties": {"size": {"type": "integer"}, **properties}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def create(connection: Connection, path: str, body: dict[str, Any]) -> None:
    connection.request("POST", path, body=orjson.dumps(body))


def patch(connection: Connection, path: str, body: dict[str, Any]) -> None:
    merge = "application/merge-patch+json"
    connection.request("PATCH", path, body=orjson.dumps(body), content_type=merge)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_served(connection: Connection) -> bool:
    try:
        connection.json("GET", WIDGET.rpartition("/")[0])
    except ApiError:
        return False
    return True


class World:
    def __init__(self, repo: Path, kubeconfig: Path) -> None:
        self.repo, self.kubeconfig = repo, kubeconfig
        self.connection = connect(kubeconfig)
        self.where = Where(repo, kubeconfig=kubeconfig)

    def edit(self, name: str, value: str) -> None:
        """Commit another value of one ConfigMap."""
        file = self.repo / f"clusters/prod/namespaces/shop/configmaps/{name}.yaml"
        head, _, _ = file.read_text().partition("  number: ")
        _, _, rest = file.read_text().partition("\nkind:")
        file.write_text(f'{head}  number: "{value}"\nkind:{rest}')
        commit_all(self.repo, "Another number")

    def number(self, name: str) -> str:
        return str(self.connection.json("GET", f"{MAPS}/{name}")["data"]["number"])


@pytest.fixture(scope="module")
def world(lab_home, tmp_path_factory):
    with labs.running("meanwhile") as lab:
        admin = connect(lab.kubeconfig, lab.name)
        create(admin, "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        for number in range(MANY):
            body = {"metadata": {"name": f"c{number:02}"}, "data": {"number": "0"}}
            create(admin, MAPS, body)
        create(admin, CRDS, definition())
        wait_until(lambda: is_served(admin))
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
        create(admin, WIDGET.rpartition("/")[0], body | {"spec": {"size": 1}})
        repo = tmp_path_factory.mktemp("meanwhile") / "repository"
        made = World(repo, labs.service_account_kubeconfig(lab))
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        said = gitops_dr("export", "--repo", str(repo), kubeconfig=made.kubeconfig)
        assert said.code == 0, said.err
        yield made


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(listing, "PAGE", PAGE)


@pytest.fixture
def decoded(monkeypatch):
    """The resources of the pages whose items are decoded."""
    found: list[str] = []
    real = listing._parts

    def counting(data, resource):
        found.append(resource.plural)
        return real(data, resource)

    monkeypatch.setattr(listing, "_parts", counting)
    return found


def nothing(_planned: Any) -> None:
    """Confirm."""


def told(differences: Any) -> dict[str, Presence]:
    return {each.ref.name: each.presence for each in differences}


def disturb(world: World, *names: str) -> Callable[[Any], None]:
    """Confirm, and let somebody else modify an object, delete one and make one."""
    modified, deleted, made = names

    def confirm(_planned: Any) -> None:
        patch(world.connection, f"{MAPS}/{modified}", {"data": {"number": "theirs"}})
        world.connection.request("DELETE", f"{MAPS}/{deleted}")
        create(world.connection, MAPS, {"metadata": {"name": made}, "data": {}})

    return confirm


def test_nearly_nothing_is_decoded_a_second_time(world, decoded):
    world.edit("c01", "1")

    def confirm(_planned: Any) -> None:
        assert decoded.count("configmaps") >= MANY / PAGE
        decoded.clear()

    found = sync(world.where, confirm)
    assert [outcome.ref.name for outcome in found.rebuilt.outcomes] == ["c01"]
    assert found.rebuilt.complete
    assert found.rebuilt.differences == ()
    # The page with the object that was written; another one if a lease of ours moved them all.
    assert 1 <= decoded.count("configmaps") <= 2
    assert "clusterroles" not in decoded


def test_a_sync_tells_what_changed_meanwhile(world):
    world.edit("c02", "2")
    found = sync(world.where, disturb(world, "c31", "c32", "new-1")).rebuilt
    assert [outcome.ref.name for outcome in found.outcomes] == ["c02"]
    assert told(found.differences) == {
        "c31": Presence.MODIFIED,
        "c32": Presence.MISSING,
        "new-1": Presence.UNMANAGED,
    }
    assert not found.complete
    again = sync(world.where, nothing).rebuilt
    assert told(again.differences) == {"new-1": Presence.UNMANAGED}
    assert world.number("c31") == "0"


def test_a_rebuild_tells_what_changed_meanwhile(world):
    world.edit("c03", "3")
    intent = Intent(overwrite=True)
    found = rebuild(world.where, disturb(world, "c41", "c42", "new-2"), intent=intent)
    assert [outcome.ref.name for outcome in found.outcomes] == ["c03"]
    assert told(found.open_differences) == {"c41": Presence.MODIFIED, "c42": Presence.MISSING}
    assert "new-2" in told(found.differences)
    assert rebuild(world.where, nothing, intent=intent).complete


def test_a_default_that_a_definition_has_got_meanwhile_is_read(world, decoded):
    """The object has the resourceVersion that it had, and is another one all the same."""
    world.edit("c05", "5")
    before = world.connection.json("GET", WIDGET)

    def confirm(_planned: Any) -> None:
        versions = definition(colour={"type": "string", "default": "red"})["spec"]["versions"]
        patch(world.connection, f"{CRDS}/widgets.example.com", {"spec": {"versions": versions}})
        wait_until(lambda: "colour" in world.connection.json("GET", WIDGET)["spec"])
        decoded.clear()

    found = sync(world.where, confirm).rebuilt
    after = world.connection.json("GET", WIDGET)["metadata"]
    assert after["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert "widgets" in decoded
    assert told(found.open_differences) == {"widgets.example.com": Presence.MODIFIED}
