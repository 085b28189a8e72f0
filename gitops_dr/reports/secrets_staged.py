"""What of the staged files must not be committed. Pure; nothing of their content is in here."""

from __future__ import annotations

from gitops_dr.errors import ExitCode
from gitops_dr.reports import documents
from gitops_dr.reports.text import count, listing
from gitops_dr.secrets.standing import History


def staged_as_table(found: History) -> str:
    """For a person, who has just tried to commit."""
    if not (found.exposures or found.unread):
        return (
            f"{count(found.blobs, 'staged file')}: none has anything in plain text that must not be"
        )
    lines = listing(
        "Must not be committed:", [f"{one.path}: {one.reason}" for one in found.exposures]
    )
    lines += listing("Not looked at:", [f"{gap.ref.name}: {gap.reason}" for gap in found.unread])
    advice = []
    if found.exposures:
        advice += [
            "take it out of the commit: git restore --staged FILE",
            "a Secret can be committed encrypted: sops encrypt --in-place FILE",
        ]
    advice.append("to commit all the same: git commit --no-verify")
    return "\n".join([*lines, *listing("What to do:", advice)]).lstrip("\n")


def staged_as_json(found: History) -> str:
    """For a program."""
    return documents.dump(
        {
            "clean": not (found.exposures or found.unread),
            "blobs": found.blobs,
            "exposures": [
                {"path": one.path, "reason": one.reason, "blob": one.blob}
                for one in found.exposures
            ],
            "unread": [{"path": gap.ref.name, "problem": gap.reason} for gap in found.unread],
        }
    )


def staged_exit_code(found: History) -> ExitCode:
    """0; 1 if something must not be committed, 3 if something could not be looked at."""
    if found.exposures:
        return ExitCode.DIFFERENCES
    return ExitCode.PARTIAL if found.unread else ExitCode.DONE


STAGED_FORMATS = {"table": staged_as_table, "json": staged_as_json}
