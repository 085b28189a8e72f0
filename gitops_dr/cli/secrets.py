"""``gitops-dr secrets``: flags to the workflows, their results to reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitops_dr.cli import options

app = typer.Typer(help="Secrets in Git: who can open them.", no_args_is_help=True)


@app.command(name="list")
def list_secrets(
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    trusted_signers: options.TrustedSigners = None,
    output: options.Output = options.OutputFormat.TABLE,
) -> int:
    """List the Secrets of a cluster in Git, their policies, and who can open each.

    "missing" is a recipient that should be able to open a file and is not, "stale" one that can
    and should not be able to. Needs neither a cluster nor a private key. Exits 3 if a file cannot
    be read.
    """
    from gitops_dr.reports.secrets import LIST_FORMATS, list_exit_code
    from gitops_dr.workflows.secrets_list import list_secrets as run

    found = run(options.where(repo, cluster, None, None, trusted_signers=trusted_signers))
    print(LIST_FORMATS[output](found))
    return list_exit_code(found)


@app.command(name="init")
def init(
    *,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="Make a private key for the cluster and put it into this new file.",
        ),
    ] = None,
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            "--recipient",
            metavar="NAME=age1...",
            help="Somebody else who can open its Secrets, such as the standby, or escrow that is "
            "kept offline. Repeat.",
        ),
    ] = None,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    trusted_signers: options.TrustedSigners = None,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Name who can open a cluster's Secrets, and make its key.

    Adds them to .sops.yaml and gitops-dr.yaml, and opens the encrypted files that are there to
    them, in one commit. Nobody is taken out. Run it again with --recipient to add somebody. Exits
    3 if an encrypted file cannot be opened with the keys at hand.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports.secrets_changed import READY_FORMATS, ready_exit_code
    from gitops_dr.workflows.secrets_init import init_secrets

    named = _recipients(recipient or ())
    progress = Progress(quiet=quiet)
    with progress.showing():
        made = init_secrets(
            options.where(repo, cluster, None, None, trusted_signers=trusted_signers),
            key_file=key_file,
            recipients=named,
            emit=progress,
        )
    print(READY_FORMATS[output](made))
    return ready_exit_code(made)


@app.command(name="rotate")
def rotate(
    ref: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAMESPACE/SECRET]...", help="Only these Secrets."),
    ] = None,
    *,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    trusted_signers: options.TrustedSigners = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", metavar="NAME", help="Only this namespace. Repeat."),
    ] = None,
    selector: options.Selector = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Encrypt Secrets anew, with new data keys, for today's recipients only.

    One commit, or none. Names the values that have to be changed, since Git's history keeps what
    was encrypted before. Needs a private key that opens the files. Exits 3 if one does not open.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.model import SECRET, Ref
    from gitops_dr.reports.secrets_changed import ROTATED_FORMATS, rotated_exit_code
    from gitops_dr.workflows.secrets_rotate import rotate as run

    named = set(map(_secret, ref or ()))
    in_scope = options.in_scope(named, namespace or (), selector)
    progress = Progress(quiet=quiet)
    with progress.showing():
        result = run(
            options.where(repo, cluster, None, None, trusted_signers=trusted_signers),
            in_scope,
            refs={Ref(*SECRET, *each) for each in named},
            dry_run=dry_run,
            emit=progress,
        )
    print(ROTATED_FORMATS[output](result))
    return rotated_exit_code(result)


@app.command(name="check")
def check(
    *,
    staged: Annotated[
        bool,
        typer.Option(
            "--staged",
            help="Look only at what is about to be committed, as the pre-commit hook does.",
        ),
    ] = False,
    repo: options.Repo = Path(),
    cluster: options.Cluster = None,
    trusted_signers: options.TrustedSigners = None,
    output: options.Output = options.OutputFormat.TABLE,
    quiet: options.Quiet = False,
) -> int:
    """Check that every encrypted file opens, and that nothing else is open in Git.

    Each file has all required recipients, no stale one, and its MAC is right; without a private key
    it is not tried whether it opens. No blob of the history, whichever ref leads to it, is a Secret
    in plain text or holds a private key. Exits 1 if something is wrong, 3 if something could not be
    looked at.
    """
    from gitops_dr.cli.progress import Progress
    from gitops_dr.reports.secrets import CHECK_FORMATS, check_exit_code
    from gitops_dr.workflows.secrets_check import check as run

    if staged:
        return _check_staged(repo, output, quiet=quiet)
    progress = Progress(quiet=quiet)
    with progress.showing():
        found = run(
            options.where(repo, cluster, None, None, trusted_signers=trusted_signers), emit=progress
        )
    print(CHECK_FORMATS[output](found))
    return check_exit_code(found)


def _check_staged(repo: Path, output: options.OutputFormat, *, quiet: bool) -> int:
    import os

    from gitops_dr.reports.secrets_staged import STAGED_FORMATS, staged_exit_code
    from gitops_dr.workflows.secrets_staged import check_staged

    found = check_staged(repo, os.environ)
    code = staged_exit_code(found)
    if code or not quiet:
        print(STAGED_FORMATS[output](found))
    return code


def _recipients(written: list[str] | tuple[()]) -> dict[str, str]:
    """Read ``NAME=KEY`` pairs. Raises ``UsageError`` for what is no such; it never quotes a key."""
    from gitops_dr.errors import UsageError

    named: dict[str, str] = {}
    for number, text in enumerate(written, 1):
        name, equals, key = text.partition("=")
        if not (equals and name.strip() and key.strip()) or name.strip() in named:
            problem = "named twice" if equals and name.strip() in named else "not NAME=age1..."
            raise UsageError(
                f"--recipient, number {number}: {problem}",
                hint="such as --recipient standby=age1...",
            )
        named[name.strip()] = key.strip()
    return named


def _secret(text: str) -> tuple[str, str]:
    """Read ``[Secret/]NAMESPACE/NAME``. Raises ``UsageError`` for what is no such."""
    from gitops_dr.errors import UsageError

    namespace, slash, name = text.removeprefix("Secret/").partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise UsageError(f"{text}: not NAMESPACE/SECRET", hint="gitops-dr secrets list names them")
    return namespace, name
