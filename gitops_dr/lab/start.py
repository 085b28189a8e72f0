"""Starts a lab's processes in order, each as early as what it needs is there. Runs programs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from gitops_dr.errors import LabError
from gitops_dr.lab import bundle, certificates, components, fixtures
from gitops_dr.lab.access import write_kubeconfig
from gitops_dr.lab.client import Client
from gitops_dr.lab.components import Ports
from gitops_dr.lab.handle import Lab
from gitops_dr.lab.places import SOCKET
from gitops_dr.lab.processes import Children, free_ports
from gitops_dr.lab.settings import SERVICE_IP, Settings

_SECONDS = 60.0
_DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
"""Once it is there, Pods can be made in its namespace."""


def start(settings: Settings, children: Children, started: Callable[[str], None]) -> Lab:
    """Start everything and wait until the cluster can be used; report ``STARTED`` in order.

    Raises ``LabError`` with the name of the process that failed and the end of its log. What was
    started by then is the caller's to stop.
    """
    ports = Ports(*free_ports(3))
    lab = Lab(
        name=settings.name,
        directory=Path(settings.directory),
        storage=settings.storage_path,
        server=f"https://127.0.0.1:{ports.api_server}",
        etcd=f"https://127.0.0.1:{ports.etcd}",
    )
    if settings.saved:
        bundle.unpack(Path(settings.saved), lab)
    certificates.write(lab.pki, SERVICE_IP)
    for user, file in (
        ("admin", lab.kubeconfig.name),
        ("controller-manager", "controller-manager.kubeconfig"),
        ("scheduler", "scheduler.kubeconfig"),
    ):
        path = settings.path(file)
        write_kubeconfig(path, name=lab.name, server=lab.server, pki=lab.pki, client=user)
    if settings.saved:
        _restore_etcd(settings, ports, lab)
    with Client(lab.server, lab.pki) as client:
        # The API server tries again until etcd answers, and takes longer to get there.
        children.start("etcd", components.etcd(settings, ports))
        children.start("kube-apiserver", components.kube_apiserver(settings, ports))
        children.start("csi-driver", components.csi_driver(settings))
        if not settings.saved:
            # While the API server still prepares its own objects, others can be made already.
            for make in fixtures.requests(client, _crds(settings)):
                children.wait_until(make, name="kube-apiserver", seconds=_SECONDS)
        started("fixtures")
        _await(children, client, "/readyz", "kube-apiserver")
        started("kube-apiserver")
        _start_controllers(settings, children)
        started("controllers")
        _await(children, client, _DEFAULT_ACCOUNT, "kube-controller-manager")
        children.wait_until(lambda: _nodes_ready(client), name="kwok", seconds=_SECONDS)
        started("nodes")
    return lab


def _start_controllers(settings: Settings, children: Children) -> None:
    children.start("kube-controller-manager", components.kube_controller_manager(settings))
    children.start("kwok", components.kwok(settings))
    children.start("kube-scheduler", components.kube_scheduler(settings))
    children.start("snapshot-controller", components.snapshot_controller(settings))
    socket = settings.path(SOCKET)
    children.wait_until(socket.exists, name="csi-driver", seconds=_SECONDS)
    children.start("csi-provisioner", components.csi_provisioner(settings))
    children.start("csi-snapshotter", components.csi_snapshotter(settings))


def _crds(settings: Settings) -> list[Path]:
    return [Path(path) for name, path in settings.assets.items() if name.endswith(".yaml")]


def _await(children: Children, client: Client, path: str, name: str) -> None:
    children.wait_until(lambda: client.call("GET", path)[0] == 200, name=name, seconds=_SECONDS)


def _nodes_ready(client: Client) -> bool:
    return all(
        any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in node.get("status", {}).get("conditions", ())
        )
        for node in client.get("/api/v1/nodes")["items"]
    )


def _restore_etcd(settings: Settings, ports: Ports, lab: Lab) -> None:
    snapshot = bundle.unpacked_snapshot(lab)
    command = components.restore_etcd(settings, ports, snapshot)
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=lab.directory)
    if done.returncode != 0:
        raise LabError(
            f"{settings.saved}: etcd cannot be restored from it", hint=done.stderr.strip()
        )
    snapshot.unlink()
