"""`gitops-dr init`: flags to the workflow, its result to the terminal."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def init(
    directory: Annotated[
        Path, typer.Argument(help="Folder of the repository; created if it is not there.")
    ] = Path(),
    *,
    cluster: Annotated[
        str, typer.Option("--cluster", metavar="NAME", help="Name of the cluster to keep in it.")
    ],
    context: Annotated[
        str,
        typer.Option(
            "--context", metavar="NAME", help="The kubeconfig context that reaches it, if known."
        ),
    ] = "",
) -> None:
    """Make a Git repository that will hold a cluster.

    Refuses to overwrite anything. An empty repository gets its first commit; in any other the new
    files are left for you to commit. A pre-commit hook that refuses Secrets in plain text is
    installed in this clone, unless it has one already.
    """
    from gitops_dr.workflows.init import init as run

    result = run(directory, cluster=cluster, context=context)
    print(f"{result.directory} is ready to hold cluster {result.cluster}:")
    for path in result.written:
        print(f"  {path}")
    if result.no_hook:
        print(f"The pre-commit hook is not installed in this clone: {result.no_hook}.")
    if result.commit is None:
        print("Look at them and commit them. Then:")
    else:
        print(f"They are in commit {result.commit[:12]}. Now:")
    print(f"  gitops-dr export --repo {shlex.quote(str(result.directory))} --cluster {cluster}")
