"""Throwaway control planes: a real Kubernetes as local processes, on loopback only.

Only tests, the demo and drills import this room. ``lab.py`` holds its verbs and reads top to
bottom; ``supervisor.py`` is the process that owns a lab's children; ``binaries.py`` and
``build.py`` find or make the programs. Linux only: its processes die with their parent through
``PR_SET_PDEATHSIG``.
"""

from gitops_dr.lab.access import service_account_kubeconfig
from gitops_dr.lab.binaries import Assets, assets
from gitops_dr.lab.handle import Lab
from gitops_dr.lab.lab import down, find, kubeconfig, labs, running, save, up, volume

__all__ = [
    "Assets",
    "Lab",
    "assets",
    "down",
    "find",
    "kubeconfig",
    "labs",
    "running",
    "save",
    "service_account_kubeconfig",
    "up",
    "volume",
]
