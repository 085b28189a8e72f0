"""What became of the recipients and keys of Secrets. Pure; no value is ever in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gitops_dr.errors import ExitCode
from gitops_dr.reports import documents
from gitops_dr.reports.tables import gap_lines
from gitops_dr.reports.text import count, listing, shown
from gitops_dr.secrets.standing import Rotated, SecretsReady, called

_LISTED = 200
"""Secrets whose values are to be changed that are named on a terminal."""


def ready_as_table(made: SecretsReady) -> str:
    """What was made, and what a person has to do now."""
    opened_by = _called(made.recipients, made.names)
    lines = [f"{made.cluster}: Secrets are encrypted for {opened_by}"]
    if made.key_file:
        lines.append(f"the cluster's private key is in {shown(made.key_file)}, for its owner only")
    if made.commit:
        rewrapped = f", {count(made.rewrapped, 'file')} opened to them" if made.rewrapped else ""
        lines.append(f"commit {made.commit[:12]}{rewrapped}")
    else:
        lines.append("nothing to commit: all was so already")
    lines += listing("Could not be opened, so that they are as they were:", _gaps(made))
    lines += listing("Edited meanwhile, and left as they are:", made.left)
    lines += listing("Notes:", made.notes)
    return "\n".join([*lines, *listing("Now:", list(_next(made)))])


def ready_as_json(made: SecretsReady) -> str:
    """For a program."""
    return documents.dump(
        {
            "cluster": made.cluster,
            "keyFile": made.key_file or None,
            "recipients": _recipients(made.recipients, made.names),
            "commit": made.commit,
            "written": list(made.written),
            "rewrapped": made.rewrapped,
            "gaps": documents.gaps(made.gaps),
            "left": list(made.left),
            "notes": list(made.notes),
        }
    )


def ready_exit_code(made: SecretsReady) -> ExitCode:
    """0, or 3 if a file could not be opened to its new recipients."""
    return ExitCode.PARTIAL if made.gaps else ExitCode.DONE


def rotated_as_table(result: Rotated) -> str:
    """What was encrypted anew, and which values have to be changed."""
    if not (result.files or result.gaps):
        return f"{result.cluster}: no encrypted Secret is meant"
    deed = "would be encrypted anew" if result.dry_run else "encrypted anew"
    opened_by = _called(result.recipients, result.names)
    head = f"{result.cluster}: {count(len(result.files), 'Secret')} {deed} for {opened_by}"
    lines = [f"{head}, commit {result.commit[:12]}" if result.commit else head]
    lines += gap_lines(result.gaps)
    lines += listing("Edited meanwhile, and left as they are:", result.left)
    title = (
        "Values to change, where they are used and in the cluster; whoever had a key before can "
        "still open the old files in the history:"
    )
    named = [f"{one.ref}: {', '.join(one.keys)}" for one in result.files if one.keys]
    return "\n".join([*lines, *listing(title, named, _LISTED)])


def rotated_as_json(result: Rotated) -> str:
    """For a program."""
    return documents.dump(
        {
            "cluster": result.cluster,
            "dryRun": result.dry_run,
            "commit": result.commit,
            "recipients": _recipients(result.recipients, result.names),
            "rotated": [
                {"ref": documents.ref(one.ref), "path": one.path, "valuesToChange": list(one.keys)}
                for one in result.files
            ],
            "gaps": documents.gaps(result.gaps),
            "left": list(result.left),
        }
    )


def rotated_exit_code(result: Rotated) -> ExitCode:
    """0, or 3 if a file could not be opened."""
    return ExitCode.PARTIAL if result.gaps else ExitCode.DONE


def _next(made: SecretsReady) -> Iterable[str]:
    if made.key_file:
        yield f"let sops and gitops-dr find the key: export SOPS_AGE_KEY_FILE={made.key_file}"
        yield "keep a copy of it where neither this machine nor the cluster can take it along"
    if len(made.recipients) == 1:
        yield (
            "name one more recipient, or whoever loses this key loses every Secret: on another "
            "machine age-keygen -o FILE, here "
            "gitops-dr secrets init --recipient standby=age1..."
        )
    if made.gaps:
        yield "give a key that opens the files named, and run the same command without --key-file"
    if made.commit:
        yield "git push; gitops-dr export encrypts Secrets from now on"


def _called(recipients: Iterable[str], names: Mapping[str, str]) -> str:
    return shown(", ".join(called(one, names) for one in recipients))


def _gaps(made: SecretsReady) -> list[str]:
    return [f"{gap.ref}: {gap.reason}" for gap in made.gaps]


def _recipients(found: Iterable[str], names: Mapping[str, str]) -> list[dict[str, str | None]]:
    return [{"name": names.get(one), "key": one} for one in found]


READY_FORMATS = {"table": ready_as_table, "json": ready_as_json}
ROTATED_FORMATS = {"table": rotated_as_table, "json": rotated_as_json}
