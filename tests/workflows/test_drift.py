"""The command ``drift`` against the shop in a real cluster: edits, flags, formats, rights, faults.

Nothing differs at first; then people edit by kubectl, and all the rest looks at what they did. The
tests run in their order.
"""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from api_server import ApiServer
from campaigns.editing import Editor
from campaigns.independent import Api, read_cluster
from campaigns.kubectl import Hand, read_recorded
from campaigns.told import Told, expected, reported, unlike
from command import Said, commit_all, git, gitops_dr
from reports.pages import read_html
from shop import create_shop, wait_until_open

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import connect
from gitops_dr.cluster.discover import discover

pytestmark = pytest.mark.lab

FORMATS = ("table", "json", "yaml", "markdown", "html", "junit", "annotations")
SETTINGS = "format: 1\nclusters:\n  shop:\n"

WAYS = (
    *("scale", "add a variable", "change an image", "restart", "add a container", "add a volume"),
    *("change an entry", "remove an entry", "apply an entry", "edit a field", "remove a field"),
    *("add a port", "add a rule", "add a subject", "add a finalizer", "add a label"),
    *("remove a label", "create", "create a copy", "autoscale", "delete", "delete"),
    *("another hand", "overwrite", "take back"),
)
"""All of them are tried on the corpus, by tests/campaigns/test_drift_edits.py."""

READER = "drift-reader"
NEARLY = "drift-reader-without-two-kinds"


def reading(name: str, *rules: Any) -> Any:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{**rule, "verbs": ["get", "list"]} for rule in rules],
    }


class Place:
    """The shop, its repository, and who looks at them."""

    def __init__(self, repo: Path, lab: labs.Lab) -> None:
        self.repo = repo
        self.folder = repo / "clusters" / "shop"
        self.lab = lab
        self.api = ApiServer(connect(lab.kubeconfig, lab.name))
        served = discover(self.api.connection).resources
        core = {resource.plural for resource in served if not resource.group} - {
            "secrets",
            "limitranges",
        }
        groups = {resource.group for resource in served} - {""}
        self.api.create(reading(READER, {"apiGroups": ["*"], "resources": ["*"]}))
        but = {"apiGroups": [""], "resources": sorted(core)}
        self.api.create(reading(NEARLY, but, {"apiGroups": sorted(groups), "resources": ["*"]}))
        self.reach = {
            role: labs.service_account_kubeconfig(lab, role)
            for role in ("cluster-admin", READER, NEARLY)
        }

    def run(self, *flags: str, role: str = READER) -> Said:
        """Whoever compares may get and list, and nothing else, unless a test says otherwise."""
        said = gitops_dr("drift", "--repo", str(self.repo), *flags, kubeconfig=self.reach[role])
        assert "Traceback" not in said.err
        return said

    def drift(self, *flags: str, role: str = READER) -> Any:
        said = self.run("-o", "json", *flags, role=role)
        assert said.code in (0, 1, 3), said.err
        return said.json

    def commit(self, changes: dict[str, str | None]) -> None:
        for path, text in changes.items():
            file = self.repo / path
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        commit_all(self.repo)


@pytest.fixture(scope="module")
def place(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    repo = tmp_path_factory.mktemp("drift") / "repository"
    with labs.running("drift") as lab:
        connection = connect(lab.kubeconfig, lab.name)
        create_shop(connection)
        wait_until_open(connection)
        made = Place(repo, lab)
        assert gitops_dr("init", str(repo), "--cluster", "shop").code == 0
        reach = made.reach["cluster-admin"]
        said = gitops_dr("export", "--repo", str(repo), kubeconfig=reach)
        assert said.code == 0, said.err
        yield made


@pytest.fixture
def clean(place: Place) -> Iterator[Place]:
    """What a test commits is gone after it."""
    head = git(place.repo, "rev-parse", "HEAD").strip()
    yield place
    git(place.repo, "reset", "--quiet", "--hard", head)


def test_directly_after_an_export_nothing_differs_for_whoever_may_get_and_list(place: Place):
    for _ in range(3):
        document = place.drift()
        assert document["clean"] is True
        assert document["differences"] == document["gaps"] == []
        assert document["coverage"]["compared"] == document["equal"] > 100


def test_who_may_not_list_a_kind_is_told_that_and_all_the_rest(place: Place):
    said = place.run("-o", "json", role=NEARLY)
    assert said.code == 3
    assert {each["state"] for each in said.json["differences"]} == {"unknown"}
    assert {each["ref"]["kind"] for each in said.json["differences"]} == {"LimitRange"}
    (gap,) = said.json["gaps"]
    assert gap["ref"] == {"group": "", "kind": "LimitRange", "namespace": "", "name": "*"}
    assert "cannot list" in gap["reason"]


def test_who_may_not_list_secrets_lacks_nothing_while_none_are_in_git(place: Place):
    said = place.run("-o", "json", role=NEARLY)
    (omission,) = [each for each in said.json["omissions"] if each["rule"] == "secrets-policy"]
    assert omission["ref"]["name"] == "*"
    assert omission["reason"].endswith("Nor may their names be listed.")


# -- edits ---------------------------------------------------------------------------------------


class Edited:
    """What people did to the shop, and what a report must say of it."""

    def __init__(self, place: Place, folder: Path) -> None:
        objects = read_recorded(place.folder)
        self.git = {key: each.body for key, each in objects.items()}
        with Api(place.lab.server, place.lab.pki) as api:
            kubectl = labs.assets().path("kubectl")
            reach = place.reach["cluster-admin"]
            chance = random.Random(20261126)
            # With another one the shop's admission would refuse what is there.
            del objects["", "ConfigMap", "catalog", "image-policy"]
            editor = Editor(Hand(api, kubectl, reach, folder, objects, chance))
            for way in WAYS:
                assert editor.edit(way), way
            self.live = read_cluster(api).objects
        self.told = expected(editor.edits, self.git, self.live)

    def seen(self, document: Any) -> dict[Any, Told]:
        return reported(document, self.git, self.live)

    def by(self, *names: str) -> dict[Any, Told]:
        """What must be told of those managers alone."""
        found = {}
        for key, told in self.told.items():
            fields = {
                at: who for at, who in told.fields.items() if any(n in names for n, _, _ in who)
            }
            if fields or any(name in names for name, _, _ in told.managers):
                found[key] = Told(told.state, told.managers, fields)
        return found

    def names(self) -> set[str]:
        everybody = (a for t in self.told.values() for a in t.managers.union(*t.fields.values()))
        return {name for name, _, _ in everybody}


@pytest.fixture(scope="module")
def edited(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Edited:
    return Edited(place, tmp_path_factory.mktemp("kubectl"))


def test_every_edit_is_reported_at_its_field_with_its_author_and_nothing_else(
    place: Place, edited: Edited
):
    said = place.run("-o", "json")
    assert said.code == 1, said.err
    assert len(edited.told) > 15
    assert not unlike(edited.told, edited.seen(said.json))
    # What was exported leaves no doubt, so nobody was asked who might have refused.
    assert not any(each["compared_locally"] for each in said.json["differences"])


# -- flags ---------------------------------------------------------------------------------------


def test_each_format_says_it_on_stdout_and_ends_alike(place: Place, edited: Edited):
    said = {name: place.run("-o", name) for name in FORMATS}
    assert {name: each.code for name, each in said.items()} == dict.fromkeys(FORMATS, 1)
    document = said["json"].json
    differing = len(document["differences"])
    assert differing == len(edited.told)
    assert yaml.safe_load(said["yaml"].out) == document
    for name in ("table", "markdown", "html"):
        for ref in (each["ref"] for each in document["differences"]):
            # In Markdown a colon is escaped, or it would begin the name of a picture.
            assert ref["name"].rpartition(":")[2] in said[name].out, (name, ref)
    assert len(read_html(said["html"].out).every("html")) == 1
    suites = ElementTree.fromstring(said["junit"].out)
    assert len(suites.findall(".//failure")) == differing
    assert all(line.startswith("::") for line in said["annotations"].out.splitlines())
    # Words for people are not data.
    assert all("observe" in each.err and "observe done" not in each.out for each in said.values())
    assert place.run("--quiet").err == ""


@pytest.mark.parametrize("name", ["table", "json"])
def test_exit_zero_is_about_drift_and_not_about_trouble(place: Place, edited: Edited, name: str):
    assert place.run("-o", name, "--exit-zero").code == 0
    assert place.run("-o", name, "--exit-zero", role=NEARLY).code == 3


def test_what_one_manager_wrote(place: Place, edited: Edited):
    assert len(edited.names()) > 8
    for name in ("kubectl", "kubectl-create", "the-last-one"):
        said = place.run("-o", "json", "--by", name)
        assert said.code == 1
        assert not unlike(edited.by(name), edited.seen(said.json)), name
    kubectl = {name for name in edited.names() if name.startswith("kubectl")}
    assert len(kubectl) > 3
    said = place.run("-o", "json", "--by", "kubectl*")
    assert not unlike(edited.by(*kubectl), edited.seen(said.json))
    said = place.run("-o", "json", "--by", "nobody-here")
    assert (said.code, said.json["differences"]) == (0, [])
    assert " without a known author or time are left out" in said.err


def test_what_was_written_since_a_time(place: Place, edited: Edited):
    # A write through the scale has no time, so of it nobody knows when it was.
    timed = edited.by(*edited.names())
    scaled = [
        key for key, told in timed.items() if (("spec", "replicas"), "replace") in told.fields
    ]
    for key in scaled:
        del timed[key].fields[("spec", "replicas"), "replace"]
        if not timed[key].fields:
            del timed[key]
    assert scaled
    assert not unlike(timed, edited.seen(place.drift("--since", "1h")))
    said = place.run("-o", "json", "--since", "2126-01-01")
    assert (said.code, said.json["differences"]) == (0, [])
    said = place.run("--since", "lately")
    assert said.code == 2
    assert said.err.startswith("gitops-dr: --since lately: neither a time nor a duration")


def test_what_is_only_in_the_cluster_may_be_left_out(place: Place, edited: Edited):
    managed = {key: told for key, told in edited.told.items() if told.state != "unmanaged"}
    assert len(managed) < len(edited.told)
    document = place.drift("--no-unmanaged")
    assert not unlike(managed, edited.seen(document))
    assert not unlike(edited.told, edited.seen(place.drift("--unmanaged")))


def test_a_server_that_is_asked_says_the_same_and_one_that_refuses_leaves_it_as_it_is(
    place: Place, edited: Edited
):
    document = place.drift("--server", role="cluster-admin")
    assert not unlike(edited.told, edited.seen(document))
    assert not {each["compared_locally"] for each in document["differences"]} - {""}
    document = place.drift("--server")
    assert not unlike(edited.told, edited.seen(document))
    for each in document["differences"]:
        if each["state"] == "modified":
            assert "a dry run was refused" in each["compared_locally"], each["ref"]
    table = place.run("--server").out
    assert (
        "compared locally: it was to be asked for every difference; a dry run was refused" in table
    )


def test_where_only_the_server_could_tell_who_may_not_ask_it_says_so(clean: Place, edited: Edited):
    # A person takes something out of a file: it may be a default that comes back by itself.
    key, body = next(
        (key, copy.deepcopy(body))
        for key, body in sorted(edited.git.items())
        if key[1] == "NetworkPolicy" and key not in edited.told and body["metadata"].get("labels")
    )
    del body["metadata"]["labels"]
    before = clean.drift()
    path = f"namespaces/{key[2]}/networkpolicies.networking.k8s.io/{key[3]}.yaml"
    clean.commit({f"clusters/shop/{path}": yaml.safe_dump(body)})

    def told(document: Any) -> Any:
        known = [each["ref"] for each in before["differences"]]
        return [each for each in document["differences"] if each["ref"] not in known]

    (found,) = told(clean.drift())
    assert (found["ref"]["name"], found["state"]) == (key[3], "modified")
    assert [(field["path"], field["op"]) for field in found["fields"]] == [
        ("metadata.labels", "add")
    ]
    assert "Git leaves out" in found["compared_locally"]
    assert "cannot patch" in found["compared_locally"]
    (asked,) = told(clean.drift(role="cluster-admin"))
    assert asked == {**found, "compared_locally": ""}


# -- ignore rules --------------------------------------------------------------------------------


def test_rules_hide_what_they_name_and_tell_what_they_did(clean: Place, edited: Edited):
    scaled = next(
        key
        for key, told in edited.told.items()
        if [*told.fields] == [(("spec", "replicas"), "replace")]
    )
    rules = [
        {"field": "spec.replicas", "because": "Somebody scales by hand."},
        {"state": "unmanaged", "because": "They are trying something."},
        {"manager": "kubectl-set", "because": "The release job."},
        {"field": "spec.replicsa", "kind": scaled[1], "because": "A slip of the pen."},
        {"field": "metadata.labels", "because": "Long ago.", "until": "2020-01-31"},
    ]
    clean.commit({"gitops-dr.yaml": SETTINGS + yaml.safe_dump({"ignore": rules})})
    said = clean.run("-o", "json")
    left = {
        key: Told(
            told.state,
            fields={
                at: who
                for at, who in told.fields.items()
                if at[0] != ("spec", "replicas") and {name for name, _, _ in who} != {"kubectl-set"}
            },
        )
        for key, told in edited.told.items()
        if told.state != "unmanaged"
    }
    left = {k: t for k, t in left.items() if t.fields or t.state == "missing"}
    assert scaled not in left
    assert said.code == 1
    assert not unlike(left, edited.seen(said.json))
    used = said.json["ignored"]
    assert [each["because"] for each in used] == [rule["because"] for rule in rules]
    assert [each["hidden"] > 0 for each in used] == [True, True, True, False, False]
    assert [each["problem"].partition(":")[0] for each in used[3:]] == ["misspelt", "expired"]
    assert used[3]["hint"] == "did you mean 'spec.replicas'?"
    table = clean.run().out
    assert "did you mean 'spec.replicas'?" in table
    assert "expired" in table


def test_with_a_rule_for_all_of_it_there_is_no_drift(clean: Place, edited: Edited):
    states = [{"state": s, "because": "All."} for s in ("modified", "missing", "unmanaged")]
    clean.commit({"gitops-dr.yaml": SETTINGS + yaml.safe_dump({"ignore": states})})
    said = clean.run("-o", "json")
    assert (said.code, said.json["differences"]) == (0, [])
    assert sum(each["hidden"] for each in said.json["ignored"]) == len(edited.told)


def test_what_a_report_says_can_be_copied_into_a_rule(clean: Place, edited: Edited):
    rules = [
        {**each["ref"], "because": "As the report has it."} | part
        for each in clean.drift()["differences"]
        for part in [{"field": field["path"]} for field in each["fields"]] or [{}]
    ]
    clean.commit({"gitops-dr.yaml": SETTINGS + yaml.safe_dump({"ignore": rules})})
    said = clean.run("-o", "json")
    assert (said.code, said.json["differences"]) == (0, [])
    assert [(each["hidden"], each["problem"]) for each in said.json["ignored"]] == [
        (1, "") for _ in rules
    ]
    # Without the last one just that is told again.
    clean.commit({"gitops-dr.yaml": SETTINGS + yaml.safe_dump({"ignore": rules[:-1]})})
    (left,) = clean.drift()["differences"]
    assert left["ref"]["name"] == rules[-1]["name"]
    assert [field["path"] for field in left["fields"]] in ([], [rules[-1].get("field")])


def test_a_rule_that_is_none_stops_everything(clean: Place):
    rule = {"field": "spec..replicas", "because": "A slip of the pen."}
    clean.commit({"gitops-dr.yaml": SETTINGS + yaml.safe_dump({"ignore": [rule]})})
    said = clean.run()
    assert (said.code, said.out) == (2, "")
    assert "ignore[0]" in said.err
    assert "spec..replicas" in said.err
