"""A rebuild that is killed or interrupted at any moment is completed by running it again."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command import COMMAND, git, gitops_dr

from gitops_dr import lab as labs
from gitops_dr.resources import shipped

pytestmark = [pytest.mark.campaign, pytest.mark.lab]

TIMES = 10
LONGEST = 6.0
"""Seconds; a rebuild of the shop takes about four."""


@pytest.fixture(scope="module")
def repo(tmp_path_factory) -> Path:
    """The shipped example as a repository: what a person has who cloned it."""
    path = tmp_path_factory.mktemp("killed") / "repository"
    assert gitops_dr("init", str(path), "--cluster", "bookstore").code == 0
    clusters = shipped("cluster-repos/bookstore/clusters")
    subprocess.run(["cp", "-r", clusters, path], check=True)
    git(path, "add", "-A")
    git(path, "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "The shop")
    return path


@pytest.mark.parametrize("number", range(TIMES))
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_running_it_again_completes_it(repo, lab_home, how, number):
    seed = random.Random(f"{how}{number}{os.environ.get('GITOPS_DR_SEED', '')}")
    delay = seed.uniform(0.2, LONGEST)
    print(f"\n{how.name} after {delay:.2f} s", end=" ")
    with labs.running(f"killed-{number}") as lab:
        reach = labs.service_account_kubeconfig(lab)
        command = [COMMAND, "rebuild", "--repo", str(repo), "--yes", "--accept-empty-volumes"]
        process = subprocess.Popen(
            command,
            env={**os.environ, "KUBECONFIG": str(reach)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.send_signal(how)
        code = process.wait(timeout=30)
        assert code in (0, -how, 130), code

        again = gitops_dr(*map(str, command[1:]), "-o", "json", kubeconfig=reach)
        assert again.code == 0, again.out + again.err
        assert again.json["complete"] is True
        assert gitops_dr("drift", "--repo", str(repo), kubeconfig=reach).code in (0, 1)
        left = gitops_dr("drift", "--repo", str(repo), "-o", "json", kubeconfig=reach).json
        assert [d for d in left["differences"] if d["state"] != "unmanaged"] == []
