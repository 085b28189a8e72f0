"""A lab comes up, behaves as a cluster does, and goes away without a trace."""

import base64
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3

from gitops_dr import lab as labs
from gitops_dr.errors import LabError, RefusedError, UsageError
from gitops_dr.events import Advanced, PhaseEnded, PhaseStarted
from gitops_dr.lab.client import Client

PROGRAMS = {
    "csi-provisioner",
    "csi-snapshotter",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "snapshot-controller",
}


def processes(directory):
    """Command lines of living processes that belong to the lab in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # A process without a command line is a zombie: dead, and for its parent to reap.
        if any(str(directory) in word for word in line):
            found.append(line)
    return found


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(lab, kubeconfig, path):
    """The status that the user of a token in a kubeconfig gets, who knows its authority only."""
    config = json.loads(kubeconfig.read_text())
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    context = ssl.create_default_context(cadata=authority.decode())
    with urllib3.PoolManager(ssl_context=context) as pool:
        return pool.request("GET", lab.server + path, headers=headers).status


def pods(image="registry.example.org/shop/web:1.2", **spec):
    template = {"metadata": {"labels": {"app": "web"}}}
    template["spec"] = {"containers": [{"name": "web", "image": image}], **spec}
    return template


def test_its_nodes_are_ready(cluster):
    nodes = cluster.get("/api/v1/nodes")["items"]
    assert [node["metadata"]["name"] for node in nodes] == [
        "lab-control-plane",
        "lab-worker-1",
        "lab-worker-2",
    ]
    for node in nodes:
        conditions = {item["type"]: item["status"] for item in node["status"]["conditions"]}
        assert conditions["Ready"] == "True"


def test_it_says_which_kubernetes_it_is(cluster):
    assert cluster.get("/version")["gitVersion"] == "v1.37.2"


def test_it_holds_what_a_real_cluster_holds(cluster):
    system = "/api/v1/namespaces/kube-system"
    assert cluster.get(f"{system}/services/kube-dns")["spec"]["clusterIP"] == "10.96.0.10"
    for name in ("coredns", "kube-proxy", "kubeadm-config", "kubelet-config"):
        assert cluster.get(f"{system}/configmaps/{name}")
    apps = "/apis/apps/v1/namespaces/kube-system"
    cluster.wait(
        f"{apps}/deployments/coredns", lambda found: found["status"].get("readyReplicas") == 2
    )
    cluster.wait(
        f"{apps}/daemonsets/kube-proxy", lambda found: found["status"].get("numberReady") == 3
    )
    classes = cluster.get("/apis/storage.k8s.io/v1/storageclasses")["items"]
    assert {item["volumeBindingMode"] for item in classes} == {"Immediate", "WaitForFirstConsumer"}


def test_workloads_run(cluster, namespace):
    apps, batch = (f"/apis/{group}/v1/namespaces/{namespace}" for group in ("apps", "batch"))
    selector = {"matchLabels": {"app": "web"}}
    sidecar = {"name": "side", "image": "side:1", "restartPolicy": "Always"}
    init = [{"name": "init", "image": "127.0.0.1:5000/init:2@sha256:abc"}, sidecar]
    for kind, spec in (
        ("Deployment", {"replicas": 2, "template": pods(initContainers=init)}),
        ("StatefulSet", {"replicas": 2, "serviceName": "web", "template": pods()}),
        ("DaemonSet", {"template": pods()}),
    ):
        body = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}}
        cluster.create(f"{apps}/{kind.lower()}s", body | {"spec": {"selector": selector} | spec})
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}}
    cluster.create(f"{batch}/jobs", job | {"spec": {"template": pods(restartPolicy="Never")}})

    for path, field, count in (
        (f"{apps}/deployments/web", "readyReplicas", 2),
        (f"{apps}/statefulsets/web", "readyReplicas", 2),
        (f"{apps}/daemonsets/web", "numberReady", 2),
        (f"{batch}/jobs/once", "succeeded", 1),
    ):
        cluster.wait(path, lambda found, field=field, n=count: found["status"].get(field) == n)

    running = cluster.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    images = {
        status["imageID"]
        for pod in running
        for status in pod["status"]["containerStatuses"]
        if status["name"] == "web"
    }
    assert len(images) == 1
    assert images.pop().startswith("registry.example.org/shop/web@sha256:")
    (with_init, _) = [pod for pod in running if "initContainers" in pod["spec"]]
    first, side = with_init["status"]["initContainerStatuses"]
    assert "terminated" in first["state"]
    assert first["imageID"] == "127.0.0.1:5000/init@sha256:abc"
    assert "running" in side["state"]
    assert with_init["status"]["podIP"] != with_init["status"]["hostIP"]


def test_a_volume_comes_back_from_its_snapshot(lab, cluster, namespace):
    cluster.claim(namespace, "data")
    folder = labs.volume(lab.name, namespace, "data")
    (folder / "orders").mkdir()
    (folder / "orders" / "1").write_text("three books")
    cluster.snapshot(namespace, "before", persistentVolumeClaimName="data")
    (folder / "orders" / "1").write_text("lost")

    source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "before"}
    cluster.claim(namespace, "again", dataSource=source)
    again = labs.volume(lab.name, namespace, "again")
    assert (again / "orders" / "1").read_text() == "three books"

    cluster.delete(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/data")
    wait_until(lambda: not folder.exists())


def test_a_volume_waits_for_its_first_consumer(lab, cluster, namespace):
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    cluster.create(
        claims,
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "late"},
            "spec": {
                "storageClassName": "directory-wait",
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Mi"}},
            },
        },
    )
    with pytest.raises(LabError, match=f"PersistentVolumeClaim/{namespace}/late: has no volume"):
        labs.volume(lab.name, namespace, "late")
    user = pods(volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "late"}}])
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user"}, "spec": user["spec"]}
    cluster.create(f"/api/v1/namespaces/{namespace}/pods", pod)
    cluster.wait(f"{claims}/late", lambda found: found["status"]["phase"] == "Bound")
    assert labs.volume(lab.name, namespace, "late").is_dir()


def test_two_labs_share_a_storage_that_outlives_them(new_lab, open_cluster, tmp_path):
    storage = tmp_path / "backend"
    with labs.running("primary", storage=storage) as primary:
        first = open_cluster(primary)
        first.claim("default", "data")
        (labs.volume("primary", "default", "data") / "file").write_text("kept")
        content = first.snapshot("default", "snap", persistentVolumeClaimName="data")
        standby = open_cluster(new_lab("standby", storage=storage))
    handle = content["status"]["snapshotHandle"]
    standby.create(
        "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents",
        {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshotContent",
            "metadata": {"name": "imported"},
            "spec": {
                "driver": content["spec"]["driver"],
                "deletionPolicy": "Retain",
                "source": {"snapshotHandle": handle},
                "volumeSnapshotRef": {"namespace": "default", "name": "snap"},
            },
        },
    )
    standby.snapshot("default", "snap", volumeSnapshotContentName="imported")
    source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "snap"}
    standby.claim("default", "data", dataSource=source)
    assert (labs.volume("standby", "default", "data") / "file").read_text() == "kept"


def test_a_saved_lab_starts_again_with_all_it_had(lab_home, open_cluster, tmp_path):
    file = tmp_path / "saved" / "lab.tar"
    with labs.running("first") as first:
        account = tmp_path / "account"
        account.write_text(labs.service_account_kubeconfig(first).read_text())
        cluster = open_cluster(first)
        cluster.claim("default", "data")
        (labs.volume("first", "default", "data") / "file").write_text("kept")
        uid = cluster.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
        labs.save("first", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    with labs.running("second", saved=file) as second:
        cluster = open_cluster(second)
        assert cluster.get("/api/v1/namespaces/kube-system")["metadata"]["uid"] == uid
        assert (labs.volume("second", "default", "data") / "file").read_text() == "kept"
        cluster.claim("default", "more")
        # A token and an authority of before are still good.
        assert ask(second, account, "/api/v1/nodes") == 200


def test_what_is_no_saved_lab_is_refused(lab_home, tmp_path):
    with pytest.raises(UsageError, match="there is no such file"):
        labs.up("refused", saved=tmp_path / "missing")
    (tmp_path / "text").write_text("not an archive")
    with pytest.raises(LabError, match="cannot be read as a saved lab"):
        labs.up("refused", saved=tmp_path / "text")
    assert not (lab_home / "refused").exists()


def test_it_stays_until_it_is_taken_down(lab_home):
    events = []
    started = labs.up("stays", emit=events.append)
    assert isinstance(events[0], PhaseStarted)
    assert isinstance(events[-1], PhaseEnded)
    assert sum(isinstance(event, Advanced) for event in events) == events[0].total
    assert [lab for lab in labs.labs() if lab.name == "stays"] == [started]
    assert labs.find("stays") == started
    with pytest.raises(RefusedError, match="lab stays: is running already"):
        labs.up("stays")

    running = {Path(line[0]).name for line in processes(started.directory)}
    assert running >= PROGRAMS
    labs.down("stays")
    assert processes(started.directory) == []
    assert not started.directory.exists()
    assert "stays" not in {lab.name for lab in labs.labs()}
    with pytest.raises(LabError, match="lab stays: there is none"):
        labs.down("stays")


def test_it_listens_on_loopback_only(lab):
    inodes = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(lab.directory) not in (process / "cmdline").read_text():
                continue
            links = [str(link.readlink()) for link in (process / "fd").iterdir()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if inode in inodes and state == "0A":
                listening.add(local.split(":")[0])
    assert listening == {"0100007F"}


STARTER = """
import sys
from gitops_dr import lab
with lab.running("killed") as running:
    print(running.directory, flush=True)
    sys.stdin.read()
"""


def test_nothing_is_left_when_its_parent_is_killed(lab_home):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with starter:
        directory = Path(starter.stdout.readline().decode().strip())
        assert processes(directory)
        starter.kill()
    wait_until(lambda: not processes(directory) and not directory.exists())


IMPATIENT = """
from gitops_dr import lab
lab.up("early", emit=lambda event: print(event, flush=True))
"""


def test_nothing_is_left_when_its_parent_is_killed_while_it_starts(lab_home):
    starter = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with starter:
        starter.stdout.readline()
        wait_until(lambda: any("kube-apiserver" in line[0] for line in processes(lab_home)))
        starter.kill()
    wait_until(lambda: not processes(lab_home / "early") and not (lab_home / "early").exists())


def test_children_die_with_a_killed_supervisor_and_the_next_start_cleans_up(lab_home):
    started = labs.up("stale")
    os.kill(int((started.directory / "supervisor.pid").read_text()), signal.SIGKILL)
    wait_until(lambda: not processes(started.directory))
    assert started.directory.exists()
    assert "stale" not in {lab.name for lab in labs.labs()}
    with labs.running("stale") as again:
        assert again.server != started.server
    assert not started.directory.exists()


def test_a_start_that_fails_names_the_process_and_leaves_nothing(lab_home):
    with pytest.raises(LabError, match="lab broken: kube-apiserver: ended with exit code") as error:
        labs.up("broken", api_server_flags=["--no-such-flag"])
    assert "unknown flag: --no-such-flag" in error.value.hint
    assert not (lab_home / "broken").exists()
    assert processes(lab_home / "broken") == []


def test_a_process_that_dies_later_ends_the_lab(lab_home):
    with labs.running("short") as running:
        (kwok,) = [
            path.parent.name
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if f"{running.directory}/kubeconfig" in path.read_text() and "kwok" in path.read_text()
        ]
        os.kill(int(kwok), signal.SIGKILL)
        wait_until(lambda: not processes(running.directory))


def test_requests_are_audited_and_flags_reach_the_api_server(new_lab, tmp_path):
    log = tmp_path / "audit.log"
    flags = ["--emulated-version=1.36"]
    lab = new_lab("audited", audit_log=log, api_server_flags=flags)
    with Client(lab.server, lab.pki) as client:
        assert client.get("/version")["emulationMinor"] == "36"
        client.get("/api/v1/namespaces/default")
    wait_until(lambda: '"requestURI":"/api/v1/namespaces/default"' in log.read_text())


def test_an_account_is_no_master(lab, kubeconfig):
    assert json.loads(kubeconfig.read_text())["current-context"] == lab.name
    assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
    assert ask(lab, kubeconfig, "/api/v1/namespaces/default/secrets") == 200
    viewer = labs.service_account_kubeconfig(lab, "view")
    assert ask(lab, viewer, "/api/v1/namespaces/default/configmaps") == 200
    assert ask(lab, viewer, "/api/v1/namespaces/default/secrets") == 403


@pytest.mark.parametrize(
    "name", ["", "Upper", "dot.ted", "../up", "-start", "a" * 64, "a b", "a/b"]
)
def test_names_that_are_no_dns_label_are_refused(name, lab_home):
    with pytest.raises(UsageError, match="not a valid name"):
        labs.up(name)
    assert list(lab_home.glob("**/up")) == []


def test_a_folder_too_deep_for_a_socket_is_refused(monkeypatch):
    monkeypatch.setenv("GITOPS_DR_LAB_HOME", "/tmp/" + "d" * 100)
    with pytest.raises(UsageError, match="too long a path for a Unix socket"):
        labs.up("any")
