"""Reads the user's kubeconfig, or a pod's service account. Touches files, runs exec plugins.

The official client does the reading; this chooses the files and the context, and says in one line
what is wrong with them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gitops_dr.errors import UsageError

if TYPE_CHECKING:
    from kubernetes.client import Configuration


def configuration(files: str, context: str | None, connections: int) -> tuple[str, Configuration]:
    """The context's name and what it says, with credentials; empty inside a cluster.

    ``files`` are joined as in ``KUBECONFIG``; ``connections`` are kept alive at most. Raises
    ``UsageError``.
    """
    from kubernetes import client

    made = client.Configuration()
    made.connection_pool_maxsize = connections
    # The pool manager must not retry on its own; each request says what is safe to repeat.
    made.retries = False
    if files:
        return _load_kubeconfig(files, context, made), made
    _load_in_cluster(context, made)
    return "", made


def kubeconfig_files(named: Path | None) -> str:
    """The files to read, joined as in ``KUBECONFIG``; empty if there are none."""
    if named is not None:
        if not named.exists():
            raise UsageError(f"kubeconfig {named}: no such file", hint="see --kubeconfig")
        return str(named)
    places = os.environ.get("KUBECONFIG") or "~/.kube/config"
    paths = [Path(place).expanduser() for place in places.split(os.pathsep) if place]
    return os.pathsep.join(str(path) for path in paths if path.exists())


def _load_kubeconfig(files: str, context: str | None, into: Configuration) -> str:
    """Read the context, the current one if none is named; returns its name."""
    from kubernetes.config import load_kube_config
    from kubernetes.config.kube_config import KubeConfigMerger

    try:
        merged = KubeConfigMerger(files).config
        known = sorted(str(entry["name"]) for entry in merged.safe_get("contexts") or ())
        name = context or str(merged.safe_get("current-context") or "")
    except Exception as error:  # the client raises whatever a malformed file leads it to
        raise unusable(files, error) from error
    hint = f"known contexts: {', '.join(known) or 'none'}"
    if not name:
        raise UsageError(f"kubeconfig {files}: has no current context; choose one", hint=hint)
    if name not in known:
        raise UsageError(f"context {name!r}: not in the kubeconfig {files}", hint=hint)
    try:
        load_kube_config(config_file=files, context=name, client_configuration=into)
    except Exception as error:  # as above
        raise unusable(files, error) from error
    return name


def _load_in_cluster(context: str | None, into: Configuration) -> None:
    """Use the service account of the pod that we run in, if we do."""
    from kubernetes.config import ConfigException, load_incluster_config

    problem = "no kubeconfig was found"
    hint = "name one with --kubeconfig or KUBECONFIG"
    if context is not None:
        raise UsageError(f"context {context!r}: {problem}", hint=hint)
    if not os.environ.get("KUBERNETES_SERVICE_HOST"):
        raise UsageError(f"cluster: {problem}, and we are not inside a cluster", hint=hint)
    try:
        load_incluster_config(client_configuration=into)
    except (ConfigException, OSError) as error:
        raise UsageError(
            f"cluster: {problem}, and this pod's service account is of no use: {one_line(error)}",
            hint=hint,
        ) from error


def unusable(files: str, error: Exception) -> UsageError:
    """The error for a kubeconfig that leads to no connection."""
    return UsageError(
        f"kubeconfig {files or 'of this pod'}: {one_line(error) or type(error).__name__}",
        hint="kubectl config view says whether kubectl can read it",
    )


def one_line(error: BaseException) -> str:
    """What an exception says, on one line."""
    return " ".join(str(error).split())
