"""Commit messages with trailers, written and read. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gitops_dr.errors import RepositoryError

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_TRAILER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*): *(.*)")


def compose(message: str, trailers: Mapping[str, str]) -> str:
    """Join the message and, as its last paragraph, one ``Key: value`` line for each trailer.

    Raises ``RepositoryError`` for an empty message, for a NUL, for a key that is not letters,
    digits and dashes, and for a value that is empty or more than one line.
    """
    text = message.strip()
    if not text or "\0" in text:
        raise RepositoryError("commit message: it is empty or has a NUL in it")
    lines = []
    for key, value in trailers.items():
        if not _KEY.fullmatch(key):
            raise RepositoryError(f"commit message: {key!r} cannot be a trailer")
        if len(value.splitlines()) != 1 or value != value.strip() or "\0" in value:
            raise RepositoryError(f"commit message: trailer {key} must be one line of text")
        lines.append(f"{key}: {value}")
    return "\n\n".join([text, "\n".join(lines)] if lines else [text]) + "\n"


def parse(message: str) -> tuple[str, dict[str, str]]:
    """Split a commit message into its subject and its trailers.

    Trailers are the last paragraph, if it is not the first and each of its lines is one or
    continues one. Of a key that is there twice the last value counts.
    """
    paragraphs = [part for part in re.split(r"\n[ \t]*\n", message.strip("\n")) if part.strip()]
    subject = paragraphs[0].split("\n")[0].strip() if paragraphs else ""
    return subject, _trailers(paragraphs[-1]) if len(paragraphs) > 1 else {}


def _trailers(paragraph: str) -> dict[str, str]:
    trailers: dict[str, str] = {}
    key = ""
    for line in paragraph.strip("\n").split("\n"):
        if key and line[:1] in (" ", "\t"):
            trailers[key] = f"{trailers[key]} {line.strip()}".strip()
            continue
        found = _TRAILER.fullmatch(line)
        if not found:
            return {}
        key = found[1]
        trailers[key] = found[2].strip()
    return trailers
