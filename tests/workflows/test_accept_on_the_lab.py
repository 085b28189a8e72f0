"""Drift is accepted into Git, and the next export has nothing to say: on a real cluster."""

from pathlib import Path

import orjson
import pytest
import yaml
from command import Said, git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import ApiError, Connection, connect

pytestmark = pytest.mark.lab

STRATEGIC = "application/strategic-merge-patch+json"
WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
MAPS = "/api/v1/namespaces/shop/configmaps"
FILE = "clusters/prod/namespaces/shop/deployments.apps/web.yaml"


def config_map(name: str, **data: str) -> bytes:
    return orjson.dumps({"metadata": {"name": name}, "data": data})


DEPLOYMENT = {
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "registry.example.com/web:1",
                        "env": [{"name": "LEVEL", "value": "info"}],
                        "resources": {"limits": {"cpu": "1", "memory": "64Mi"}},
                    },
                    {"name": "ship", "image": "registry.example.com/ship:1"},
                ]
            },
        },
    },
}

LAID_OUT = """\
# The shop's front end. Ask the web team.
apiVersion: apps/v1
kind: Deployment
metadata:
    name: web
    namespace: shop
    labels: {app: web}
spec:
    replicas: 1  # one is enough
    selector:
        matchLabels: &labels
            app: web
    # what the API server fills in
    progressDeadlineSeconds: 600
    revisionHistoryLimit: 10
    strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
    template:
        metadata:
            labels: *labels
        spec:
            containers:
                # the main one
                - name: web
                  image: "registry.example.com/web:1"  # pinned
                  imagePullPolicy: IfNotPresent
                  env:
                    - {name: LEVEL, value: info}
                  resources: {limits: {cpu: '1', memory: 64Mi}}
                  terminationMessagePath: /dev/termination-log
                  terminationMessagePolicy: File
                # ships the logs
                - name: ship
                  image: "registry.example.com/ship:1"
                  imagePullPolicy: IfNotPresent
                  resources: {}
                  terminationMessagePath: /dev/termination-log
                  terminationMessagePolicy: File
            dnsPolicy: ClusterFirst
            restartPolicy: Always
            schedulerName: default-scheduler
            securityContext: {}
            terminationGracePeriodSeconds: 30
"""


@pytest.fixture(scope="module")
def place(lab_home, tmp_path_factory):
    """A repository and the cluster that it was exported from."""
    repo = tmp_path_factory.mktemp("accept") / "repository"
    with labs.running("accepting") as lab:
        reach = labs.service_account_kubeconfig(lab)
        connection = connect(reach)
        connection.request(
            "POST", "/api/v1/namespaces", body=orjson.dumps({"metadata": {"name": "shop"}})
        )
        for name in ("settings", "old"):
            connection.request("POST", MAPS, body=config_map(name, v="1"))
        connection.request("POST", WEB.rpartition("/")[0], body=orjson.dumps(DEPLOYMENT))
        assert gitops_dr("init", str(repo), "--cluster", "prod").code == 0
        assert run((repo, reach), "export").code == 0
        yield repo, reach


def run(place: tuple[Path, Path], *words: str) -> Said:
    repo, reach = place
    return gitops_dr(*words, "--repo", str(repo), kubeconfig=reach)


def differing(place: tuple[Path, Path]) -> dict[str, str]:
    said = run(place, "drift", "-o", "json")
    assert said.code in (0, 1), said.err
    return {each["ref"]["name"]: each["state"] for each in said.json["differences"]}


def commits(repo: Path) -> int:
    return int(git(repo, "rev-list", "--count", "HEAD"))


def change_web(connection: Connection, *, image: str, replicas: int, env: dict[str, str]) -> None:
    container = {
        "name": "web",
        "image": image,
        "env": [{"name": name, "value": value} for name, value in env.items()],
    }
    patch = {"spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}}}
    connection.request("PATCH", WEB, body=orjson.dumps(patch), content_type=STRATEGIC)


def test_drift_is_accepted_and_comments_stay(place):
    repo, reach = place
    connection = connect(reach)
    file = repo / FILE
    file.write_text(LAID_OUT)
    git(repo, "commit", "--quiet", "--all", "--message", "Lay out")
    assert differing(place) == {}
    assert not run(place, "export", "-o", "json").json["created"]

    # Several hands change the cluster.
    change_web(
        connection,
        image="registry.example.com/web:2",
        replicas=3,
        env={"LEVEL": "debug", "VERSION": "08"},
    )
    connection.request("DELETE", f"{MAPS}/old")
    connection.request("POST", MAPS, body=config_map("new", v="yes"))
    assert differing(place) == {"web": "modified", "old": "missing", "new": "unmanaged"}

    # Nobody is here to say yes to all of it, and a dry run writes nothing.
    before = commits(repo)
    said = run(place, "accept")
    assert said.code == 6
    assert "nobody is here to confirm it" in said.err
    said = run(place, "accept", "--dry-run", "-o", "json")
    assert said.code == 0
    assert len(said.json["accepted"]) == 3
    assert (git(repo, "status", "--porcelain"), commits(repo)) == ("", before)

    # One object: its fields change, and nothing else in its file.
    said = run(place, "accept", "Deployment.apps/shop/web", "--commit")
    assert said.code == 0, said.err
    expected = (
        LAID_OUT.replace("replicas: 1 ", "replicas: 3 ")
        .replace("web:1", "web:2")
        .replace("{name: LEVEL, value: info}", "{name: LEVEL, value: debug}")
        .replace(
            "value: debug}\n", 'value: debug}\n                    - {name: VERSION, value: "08"}\n'
        )
    )
    assert file.read_text() == expected
    assert differing(place) == {"old": "missing", "new": "unmanaged"}

    # Then the rest; an export has nothing to add.
    said = run(place, "accept", "--yes", "--commit", "-o", "json")
    assert said.code == 0, said.err
    assert differing(place) == {}
    assert commits(repo) == before + 2
    said = run(place, "export", "-o", "json")
    assert (said.code, said.json["created"]) == (0, False)
    assert file.read_text() == expected

    # The export edits the file too.
    change_web(connection, image="registry.example.com/web:3", replicas=3, env={})
    said = run(place, "export", "-o", "json")
    assert (said.code, said.json["created"], said.json["conflicts"]) == (0, True, [])
    assert file.read_text() == expected.replace("web:2", "web:3")
    assert git(repo, "status", "--porcelain") == ""


def test_what_only_looks_different_does_not_come_back_with_the_next_export(place):
    repo, reach = place
    file = repo / FILE
    before = file.read_text()
    spelt = before.replace("cpu: '1'", "cpu: 1000m").replace("    revisionHistoryLimit: 10\n", "")
    assert spelt.count("\n") == before.count("\n") - 1
    file.write_text(spelt)
    git(repo, "commit", "--quiet", "--all", "--message", "Spell")
    assert differing(place) == {}
    change_web(connect(reach), image="registry.example.com/web:4", replicas=3, env={})
    said = run(place, "accept", "Deployment.apps/shop/web", "--commit", "-o", "json")
    assert said.code == 0, said.err
    (accepted,) = said.json["accepted"]
    image = "spec.template.spec.containers[name=web].image"
    assert [field["path"] for field in accepted["fields"]] == [image]
    (note,) = said.json["notes"]
    assert "spelt in another way" in note
    text = file.read_text()
    assert "    revisionHistoryLimit: 10\n" in text
    assert 'cpu: "1"' in text.replace("'", '"')
    assert [line for line in before.splitlines() if "#" in line] == [
        line.replace("web:4", "web:3") for line in text.splitlines() if "#" in line
    ]
    assert differing(place) == {}
    said = run(place, "export", "-o", "json")
    assert (said.code, said.json["created"]) == (0, False)


def test_what_cannot_be_accepted_is_said(place):
    repo, reach = place
    connection = connect(reach)
    secret = {"metadata": {"name": "key"}, "stringData": {"k": "secret-value"}}
    connection.request("POST", "/api/v1/namespaces/shop/secrets", body=orjson.dumps(secret))
    said = run(place, "accept", "Secret/shop/key")
    assert said.code == 6
    assert "Secret/shop/key: is left out of Git" in said.err
    assert "secret-value" not in said.out + said.err
    for ref, hint in (
        ("ConfigMap/shop/setings", "did you mean ConfigMap/shop/settings?"),
        ("ConfigMap/shop/settings", "does not differ from Git"),
        ("settings", "is not Kind[.group]/[namespace/]name"),
    ):
        said = run(place, "accept", ref)
        assert said.code == 2
        assert hint in said.err
    assert git(repo, "status", "--porcelain") == ""


def test_a_field_alone_and_a_file_for_a_person_to_commit(place):
    repo, reach = place
    connection = connect(reach)
    patch = {"metadata": {"labels": {"team": "web"}}, "data": {"v": "2", "w": "3"}}
    connection.request(
        "PATCH", f"{MAPS}/settings", body=orjson.dumps(patch), content_type=STRATEGIC
    )
    before = commits(repo)
    said = run(place, "accept", "ConfigMap/shop/settings", "--field", "data.v")
    assert said.code == 0, said.err
    changed = git(repo, "diff", "--unified=0", "--no-color").splitlines()
    assert [line for line in changed if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        '-  v: "1"',
        '+  v: "2"',
    ]
    said = run(place, "accept", "ConfigMap/shop/settings")
    assert said.code == 6, "somebody has not committed yet"
    assert "uncommitted changes" in said.err
    assert commits(repo) == before
    git(repo, "commit", "--quiet", "--all", "--message", "By hand")
    assert run(place, "accept", "ConfigMap/shop/settings").code == 0
    git(repo, "commit", "--quiet", "--all", "--message", "By hand")
    assert differing(place) == {}


AUTHORED = """\
# Kept by hand: what the API server fills in is none of our business.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 3  # three are enough
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example.com/web:5
        resources: {limits: {cpu: 1000m, memory: 64Mi}}
      - name: ship
        image: registry.example.com/ship:1
"""


def test_an_authored_file_gets_what_differs_and_no_defaults(place):
    repo, reach = place
    settings = repo / "gitops-dr.yaml"
    document = yaml.safe_load(settings.read_text())
    path = FILE.removeprefix("clusters/prod/")
    document["clusters"]["prod"] = {"authored": [path]}
    settings.write_text(yaml.safe_dump(document))
    (repo / FILE).write_text(AUTHORED)
    git(repo, "commit", "--quiet", "--all", "--message", "Author")
    container = {"name": "web", "image": "registry.example.com/web:5", "env": None}
    patch = {"spec": {"replicas": 4, "template": {"spec": {"containers": [container]}}}}
    connect(reach).request("PATCH", WEB, body=orjson.dumps(patch), content_type=STRATEGIC)
    said = run(place, "accept", "Deployment.apps/shop/web", "--commit", "-o", "json")
    assert said.code == 0, said.err
    (accepted,) = said.json["accepted"]
    assert [field["path"] for field in accepted["fields"]] == ["spec.replicas"]
    assert (said.json["written"], said.json["notes"]) == ([path, "recovery/images.yaml"], [])
    assert (repo / FILE).read_text() == AUTHORED.replace("replicas: 3 ", "replicas: 4 ")
    assert differing(place) == {}
    said = run(place, "export", "-o", "json")
    assert (said.code, said.json["conflicts"], path in said.json["written"]) == (0, [], False)
    assert (repo / FILE).read_text() == AUTHORED.replace("replicas: 3 ", "replicas: 4 ")


def test_another_cluster_is_refused(place, new_lab):
    repo, _ = place
    other = labs.service_account_kubeconfig(new_lab("other"))
    said = run((repo, other), "accept", "--yes")
    assert said.code == 6
    assert "this is not the cluster that was exported" in said.err
    with pytest.raises(ApiError):
        connect(other).json("GET", WEB)
