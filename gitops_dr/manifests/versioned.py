"""Reads the files with a ``format`` that gitops-dr writes beside the manifests. Pure.

``docs/format.md`` specifies them; each is read by the module that writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from gitops_dr.errors import RepositoryError
from gitops_dr.manifests.parse import parse_document
from gitops_dr.model import Body

_EXPORTED = "restore it from the last commit of gitops-dr export"


def parse_versioned(data: bytes, path: str, number: int) -> Body:
    """Read the one YAML mapping in ``data``, which must be of format ``number``.

    ``path`` is only for messages. Raises ``ManifestError`` as ``parse_document`` does, and
    ``RepositoryError`` for another format.
    """
    document = parse_document(data, path)
    found = document.get("format")
    if found != number:
        raise RepositoryError(
            f"{path}: format {found!r}, and this version of gitops-dr reads format {number}",
            hint="use the version of gitops-dr that wrote it, or a newer one",
        )
    return document


@contextmanager
def misread(path: str, what: str, hint: str = _EXPORTED) -> Iterator[None]:
    """Raise ``RepositoryError`` where what is read inside shows that the file is not ``what``.

    For the files that we write; ``what`` is such as "a file of endpoints".
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RepositoryError(
            f"{path}: not {what}: {type(error).__name__}: {error}",
            hint=hint,
        ) from error


def as_text(value: object) -> str:
    """The value, which must be a string. Raises ``TypeError``."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def as_moment(written: str) -> datetime | None:
    """The moment that a text names (RFC 3339); None if it is no time with its zone."""
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        return None
    return found if found.tzinfo else None
