"""Lets one run at a time work on a repository and on a cluster. Writes a lock and a Lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gitops_dr.cluster import lease
from gitops_dr.cluster.connect import Connection
from gitops_dr.events import Emit, silent
from gitops_dr.repository import lock
from gitops_dr.repository.repository import Repository


@contextmanager
def holding(
    command: str,
    *,
    repo: Repository | None = None,
    connection: Connection | None = None,
    wanted: bool = True,
    emit: Emit = silent,
) -> Iterator[None]:
    """Hold a repository, a cluster or both until the block ends; nothing if it is not ``wanted``.

    ``command`` is the verb, for whoever is refused meanwhile. Raises ``RefusedError`` that names
    who holds it, ``RepositoryError`` and ``ApiError``.
    """
    with ExitStack() as stack:
        if wanted:
            me = lease.this_run(command)
            if repo is not None:
                stack.enter_context(lock.held(repo, me))
            if connection is not None:
                stack.enter_context(lease.held(connection, me, emit=emit))
        yield
