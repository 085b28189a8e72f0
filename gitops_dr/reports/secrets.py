"""Who can open the Secrets in Git, and what is wrong with them. Pure; no value is ever in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitops_dr.errors import ExitCode
from gitops_dr.model import Ref
from gitops_dr.reports import documents
from gitops_dr.reports.text import count, listing, table
from gitops_dr.secrets.exposed import Exposed
from gitops_dr.secrets.standing import (
    NotInGit,
    SecretFile,
    SecretsChecked,
    SecretsListed,
    Unread,
    called,
)

NO_VALUES = "has no values"
PLAIN = "in plain text"


def list_as_table(found: SecretsListed) -> str:
    """One line a Secret, for a person."""
    lines: list[str] = []
    if found.files:
        rows = [
            (
                _name(one.ref),
                one.policy,
                _openers(one, found.names) if one.sealed else "",
                state(one, found.names),
            )
            for one in found.files
        ]
        lines += table(("SECRET", "POLICY", "OPENED BY", "STATE"), rows).splitlines()
    elif not found.unread:
        lines.append(f"{found.cluster}: no Secret in Git")
    lines += listing("Could not be read:", _unread(found.unread))
    lines += listing("Not in Git:", [_left_out(one) for one in found.elsewhere])
    return "\n".join([*lines, *listing("Notes:", found.notes)])


def list_as_json(found: SecretsListed) -> str:
    """For a program."""
    return documents.dump(document(found))


def list_exit_code(found: SecretsListed) -> ExitCode:
    """0, or 3 if a file could not be read."""
    return ExitCode.PARTIAL if found.unread else ExitCode.DONE


def document(found: SecretsListed) -> dict[str, Any]:
    """What the files are, and what is not in Git."""
    return {
        "cluster": found.cluster,
        "commit": found.commit or None,
        "files": [_file(one, found.names) for one in found.files],
        "notInGit": [
            {
                "ref": documents.ref(one.ref),
                "policy": one.policy,
                "because": one.because,
                "keys": list(one.keys),
            }
            for one in found.elsewhere
        ],
        "unread": _unread_documents(found.unread),
        "notes": list(found.notes),
    }


def check_as_table(found: SecretsChecked) -> str:
    """For a person."""
    listed, history = found.listed, found.history
    sealed = sum(one.sealed for one in listed.files)
    lines = [
        f"{listed.cluster}: {count(sealed, 'encrypted file')}, {_opened(found, sealed)}",
        f"history: {count(history.blobs, 'blob')}, {_history(found)}",
    ]
    lines += listing(
        "Wrong recipients:",
        [f"{one.path}: {state(one, listed.names)}" for one in found.wrong],
    )
    lines += listing("Do not open:", _unread(found.failed))
    lines += listing("Could not be read:", _unread(listed.unread))
    lines += listing(
        "In plain text:",
        [
            f"{one.path}: {one.reason} ({_since(one.commit, one.in_tree)})"
            for one in history.exposures
        ],
    )
    lines += listing("Credentials in the open:", [_credential(one) for one in found.credentials])
    lines += listing("Not looked at:", [f"{gap.ref.name}: {gap.reason}" for gap in history.unread])
    return "\n".join([*lines, *listing("What to do:", list(_advice(found)))])


def check_as_json(found: SecretsChecked) -> str:
    """For a program."""
    return documents.dump(
        {
            **document(found.listed),
            "clean": found.clean and found.complete,
            "opened": found.opened,
            "untried": found.untried,
            "identities": found.identities,
            "failed": _unread_documents(found.failed),
            "credentials": [
                {
                    "ref": documents.ref(one.ref),
                    "field": one.field,
                    "name": one.name or None,
                    "row": one.row,
                    "because": one.because,
                }
                for one in found.credentials
            ],
            "history": {
                "blobs": found.history.blobs,
                "exposures": [
                    {
                        "path": one.path,
                        "reason": one.reason,
                        "blob": one.blob,
                        "commit": one.commit or None,
                        "inTree": one.in_tree,
                    }
                    for one in found.history.exposures
                ],
                "unread": [
                    {"path": gap.ref.name, "problem": gap.reason} for gap in found.history.unread
                ],
            },
        }
    )


def _credential(one: Exposed) -> str:
    called = f" ({one.name})" if one.name else ""
    return f"{one.ref}: {one.field}{called}: {one.because}"


def check_exit_code(found: SecretsChecked) -> ExitCode:
    """0 all is well, 1 something is wrong; 3 not all could be looked at, which outranks it."""
    if not found.complete:
        return ExitCode.PARTIAL
    return ExitCode.DONE if found.clean else ExitCode.DIFFERENCES


def state(file: SecretFile, names: Mapping[str, str]) -> str:
    """Whether a file has the recipients that it should have, in a few words."""
    if not file.sealed:
        return PLAIN if file.plain else NO_VALUES
    words = []
    if file.missing:
        words.append(f"missing {_called(file.missing, names)}")
    if file.stale:
        words.append(f"stale {_called(file.stale, names)}")
    return "; ".join(words) or file.no_rule or "ok"


def _name(ref: Ref) -> str:
    """A Secret is mostly known by namespace and name; anything else says what it is."""
    return f"{ref.namespace}/{ref.name}" if ref.kind == "Secret" and ref.namespace else str(ref)


def _openers(file: SecretFile, names: Mapping[str, str]) -> str:
    return ", ".join([*(called(one, names) for one in file.recipients), *file.other_keys])


def _called(recipients: Iterable[str], names: Mapping[str, str]) -> str:
    return ", ".join(called(one, names) for one in recipients)


def _left_out(one: NotInGit) -> str:
    keys = f" (keys {', '.join(one.keys)})" if one.keys else ""
    because = f": {one.because}" if one.because else ""
    return f"{one.ref}: {one.policy}{keys}{because}"


def _unread(found: Sequence[Unread]) -> list[str]:
    return [
        f"{one.path}: {one.problem} ({one.hint})" if one.hint else f"{one.path}: {one.problem}"
        for one in found
    ]


def _opened(found: SecretsChecked, sealed: int) -> str:
    if not sealed:
        return "so nothing to open"
    words = []
    if found.opened or found.failed:
        words.append(f"{found.opened} opened")
    if found.failed:
        words.append(f"{len(found.failed)} did not open")
    if found.untried:
        why = "no key for them here" if found.identities else "no private key here"
        words.append(f"{found.untried} not tried ({why})")
    return ", ".join(words)


def _history(found: SecretsChecked) -> str:
    exposures = found.history.exposures
    if not exposures:
        return "none of them in plain text that must not be"
    now = sum(one.in_tree for one in exposures)
    return f"{len(exposures)} in plain text that must not be, {now} of them still in the tree"


def _since(commit: str, in_tree: bool) -> str:  # noqa: FBT001 - two facts of one thing
    where = "still in the tree" if in_tree else "no longer in the tree"
    return f"since {commit[:12]}, {where}" if commit else where


def _advice(found: SecretsChecked) -> Iterable[str]:
    files, exposures = found.listed.files, found.history.exposures
    if found.failed:
        yield "does not open: give the right key; if none is left, see docs/secrets.md"
    if any(one.missing for one in files):
        yield "missing recipients: gitops-dr secrets rotate, with a key that opens the files"
    if any(one.stale for one in files):
        yield "stale recipients: gitops-dr secrets rotate, and change the values that it names"
    if exposures:
        yield "plain text: take it for known to all who could ever fetch the repository: change it"
    if any(one.in_tree for one in exposures):
        yield "still in the tree: delete the file, or encrypt it, and commit"
    if found.untried and not found.identities:
        places = ", ".join(found.searched) or "SOPS_AGE_KEY_FILE"
        yield f"to try whether the files open, give a private key; looked at: {places}"
    yield from found.listed.notes


def _file(one: SecretFile, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "ref": documents.ref(one.ref),
        "path": one.path,
        "policy": one.policy,
        "because": one.because,
        "encrypted": one.sealed,
        "plainText": one.plain,
        "recipients": _recipients(one.recipients, names),
        "otherKeys": list(one.other_keys),
        "missing": _recipients(one.missing, names),
        "stale": _recipients(one.stale, names),
        "problem": one.no_rule,
    }


def _recipients(found: Iterable[str], names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": names.get(one), "key": one} for one in found]


def _unread_documents(found: Iterable[Unread]) -> list[dict[str, Any]]:
    return [{"path": one.path, "problem": one.problem, "hint": one.hint} for one in found]


LIST_FORMATS = {"table": list_as_table, "json": list_as_json}
CHECK_FORMATS = {"table": check_as_table, "json": check_as_json}
