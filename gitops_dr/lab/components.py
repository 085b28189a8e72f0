"""The command line of each process of a lab. Pure.

Everything listens on 127.0.0.1 or a Unix socket only; what need not listen does not.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from gitops_dr.lab.places import SOCKET
from gitops_dr.lab.settings import POD_RANGE, SERVICE_RANGE, Settings
from gitops_dr.resources import shipped

Command = tuple[str, ...]

ISSUER = "https://kubernetes.default.svc.cluster.local"
# Without it both wait half a minute for kinds that the lab does not have.
_NO_GROUPS = "--feature-gates=CSIVolumeGroupSnapshot=false"
_CLIENT_LIMITS = ("--kube-api-qps=500", "--kube-api-burst=1000")


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of one lab."""

    etcd: int
    etcd_peer: int
    api_server: int


def etcd(settings: Settings, ports: Ports) -> Command:
    """The store. Without fsync: the cluster is a throwaway."""
    pki = settings.path("pki")
    client, peer = f"https://127.0.0.1:{ports.etcd}", f"https://127.0.0.1:{ports.etcd_peer}"
    return (
        settings.assets["etcd"],
        f"--data-dir={settings.path('etcd')}",
        "--name=lab",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=lab={peer}",
        f"--trusted-ca-file={pki / 'ca.crt'}",
        f"--cert-file={pki / 'server.crt'}",
        f"--key-file={pki / 'server.key'}",
        "--client-cert-auth",
        f"--peer-trusted-ca-file={pki / 'ca.crt'}",
        f"--peer-cert-file={pki / 'server.crt'}",
        f"--peer-key-file={pki / 'server.key'}",
        "--peer-client-cert-auth",
        "--unsafe-no-fsync",
        "--log-level=error",
    )


def restore_etcd(settings: Settings, ports: Ports, snapshot: Path) -> Command:
    """Make etcd's data folder from a snapshot of another lab's."""
    peer = f"https://127.0.0.1:{ports.etcd_peer}"
    return (
        settings.assets["etcdutl"],
        "snapshot",
        "restore",
        str(snapshot),
        f"--data-dir={settings.path('etcd')}",
        "--name=lab",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=lab={peer}",
    )


def kube_apiserver(settings: Settings, ports: Ports) -> Command:
    """The API server; ready when ``/readyz`` says so."""
    pki = settings.path("pki")
    return (
        settings.assets["kube-apiserver"],
        f"--etcd-servers=https://127.0.0.1:{ports.etcd}",
        f"--etcd-cafile={pki / 'ca.crt'}",
        f"--etcd-certfile={pki / 'admin.crt'}",
        f"--etcd-keyfile={pki / 'admin.key'}",
        f"--tls-cert-file={pki / 'server.crt'}",
        f"--tls-private-key-file={pki / 'server.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-account-key-file={pki / 'sa.key'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        f"--service-account-issuer={ISSUER}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=RBAC,Node",
        "--allow-privileged=true",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={ports.api_server}",
        "--endpoint-reconciler-type=none",
        "--enable-aggregator-routing=true",
        *settings.api_server_flags,
    )


def _emulation(settings: Settings) -> Command:
    """The flag by which the API server plays an older version, so that the others do too.

    Otherwise they wait for ever for kinds that only their own version has.
    """
    flags = settings.api_server_flags
    return tuple(flag for flag in flags if flag.startswith("--emulated-version="))


def kube_controller_manager(settings: Settings) -> Command:
    """The controllers, each as its own ServiceAccount, as kubeadm sets them up."""
    pki = settings.path("pki")
    return (
        settings.assets["kube-controller-manager"],
        f"--kubeconfig={settings.path('controller-manager.kubeconfig')}",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        *_emulation(settings),
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        *_CLIENT_LIMITS,
    )


def kube_scheduler(settings: Settings) -> Command:
    """The scheduler."""
    return (
        settings.assets["kube-scheduler"],
        *_emulation(settings),
        f"--kubeconfig={settings.path('scheduler.kubeconfig')}",
        "--secure-port=0",
        "--leader-elect=false",
        *_CLIENT_LIMITS,
    )


def kwok(settings: Settings) -> Command:
    """Nodes and kubelets, played as ``stages.yaml`` says."""
    return (
        settings.assets["kwok"],
        f"--kubeconfig={settings.path('kubeconfig')}",
        f"--config={shipped('lab/stages.yaml')}",
        "--manage-all-nodes=true",
        "--node-lease-duration-seconds=40",
        f"--cidr={POD_RANGE}",
    )


# By themselves the sidecars take five requests a second, which is what clouds can bear.
_UNTHROTTLED = ("--kube-api-qps=500", "--kube-api-burst=1000")


def snapshot_controller(settings: Settings) -> Command:
    """Binds VolumeSnapshots to their contents."""
    return (
        settings.assets["snapshot-controller"],
        f"--kubeconfig={settings.path('kubeconfig')}",
        "--leader-election=false",
        "--http-endpoint=",
        *_UNTHROTTLED,
        _NO_GROUPS,
    )


def csi_driver(settings: Settings) -> Command:
    """Our own driver: directories as volumes."""
    stubs = Path(settings.assets["csi_pb2.py"]).parent
    return (
        sys.executable,
        "-P",
        "-m",
        "gitops_dr.lab.csi_driver",
        str(settings.path(SOCKET)),
        str(settings.storage_path),
        str(stubs),
    )


def csi_provisioner(settings: Settings) -> Command:
    """Asks the driver for the volumes of claims."""
    return (
        settings.assets["csi-provisioner"],
        f"--kubeconfig={settings.path('kubeconfig')}",
        f"--csi-address=unix://{settings.path(SOCKET)}",
        "--leader-election=false",
        "--feature-gates=Topology=false",
        *_UNTHROTTLED,
    )


def csi_snapshotter(settings: Settings) -> Command:
    """Asks the driver for the snapshots of contents."""
    return (
        settings.assets["csi-snapshotter"],
        f"--kubeconfig={settings.path('kubeconfig')}",
        f"--csi-address={settings.path(SOCKET)}",
        "--leader-election=false",
        *_UNTHROTTLED,
        _NO_GROUPS,
    )
