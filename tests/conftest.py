"""The lab as fixtures: a real control plane, one for the session, more where a test needs its own.

Every test that uses one carries the marker ``lab``. Labs live in a folder of this session's own,
apart from the user's, and end with this process however it ends.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from named import COLLECTED

from gitops_dr import lab as labs
from gitops_dr.lab import Lab

# `make check` is run before every commit; `make campaign` looks harder (and CI runs the default).
settings.register_profile("quick", max_examples=20, deadline=None)
settings.register_profile("default", deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile("default")

LAB_FIXTURES = {"lab", "kubeconfig", "new_lab", "lab_home"}

LONG = {"forge", "lab", "security", "workflows"}

NewLab = Callable[..., Lab]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[COLLECTED] = frozenset(item.nodeid for item in items)
    for item in items:
        if LAB_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.lab)
    # The longest files come first, so that no worker is left with one of them in the end.
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="session")
def lab_home() -> Iterator[Path]:
    # Not in pytest's own folders: the path of a socket has room for a hundred characters.
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="labs-") as home:
        patch.setenv("GITOPS_DR_LAB_HOME", home)
        yield Path(home)


@pytest.fixture(scope="session")
def lab(lab_home: Path) -> Iterator[Lab]:
    """The session's lab. Other tests use it too: make a namespace, and take it away."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with labs.running(f"session-{worker}") as running:
        yield running


@pytest.fixture(scope="session")
def kubeconfig(lab: Lab) -> Path:
    """An ordinary ServiceAccount of the session's lab, bound to cluster-admin."""
    return labs.service_account_kubeconfig(lab)


@pytest.fixture
def new_lab(lab_home: Path) -> Iterator[NewLab]:
    """Start labs of the test's own: ``new_lab("primary", storage=...)``. They end with the test."""
    with ExitStack() as stack:

        def start(name: str = "own", **options: Any) -> Lab:
            return stack.enter_context(labs.running(name, **options))

        yield start
