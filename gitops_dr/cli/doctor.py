"""``gitops-dr doctor``: flags to the workflow, its result to a report."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gitops_dr.cli import options


class For(StrEnum):
    """The jobs of ``checks/needs.py``, here so that help imports nothing heavy."""

    DRIFT = "drift"
    EXPORT = "export"
    SECRETS = "secrets"
    VOLUMES = "volumes"
    REBUILD = "rebuild"
    SYNC = "sync"
    REVERT = "revert"
    VOLUMES_RESTORE = "volumes-restore"
    FAILOVER = "failover"


class DoctorFormat(StrEnum):
    """What stdout carries."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def doctor(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
    trusted_signers: options.TrustedSigners = None,
    target: options.Target = None,
    job: Annotated[
        For, typer.Option("--for", help="What is to be done; secrets: export encrypted ones.")
    ] = For.EXPORT,
    output: Annotated[
        DoctorFormat,
        typer.Option("--output", "-o", help="What stdout carries; yaml: only what is not allowed."),
    ] = DoctorFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Say what would stop a job, and the remedy; write nothing.

    Looks at git, the repository, the API server, clocks, and asks the cluster what its user may do;
    for a failover at the target and at the cluster that it is from. What is not allowed is printed
    as roles that an administrator can apply. Exits 0 if nothing is in the way, also with warnings,
    and 3 if something is or could not be looked at.
    """
    from gitops_dr.checks.needs import Job
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports import doctor as report
    from gitops_dr.workflows.doctor import doctor as run

    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, context, kubeconfig, trusted_signers=trusted_signers),
            Job(job.value),
            target=target,
            emit=progress,
        )
    print(report.FORMATS[output](result))
    return report.exit_code(result)
