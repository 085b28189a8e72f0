"""Says which paths may be in a tree of ours. Pure.

A path here is always relative to the top of the repository, with ``/`` between its components.
"""

from __future__ import annotations

import re

# Code points that HFS+ ignores in names (git's utf8.c, next_hfs_char).
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# What Windows takes for `.git`: any case, trailing dots and spaces, a stream, the short name.
_DOT_GIT = re.compile(r"(\.git|git~[0-9]+)[ .]*(:.*)?", re.IGNORECASE | re.DOTALL)
# Nothing in this alphabet can be wrong but what the second half of the pattern looks for.
_PLAIN = re.compile(r"(?:[\w%~=,+-][\w%~=,.+-]{0,63}/)*[\w%~=,+-][\w%~=,.+-]{0,63}", re.ASCII)


def unsafe(path: str) -> str | None:
    """Why ``path`` must not be written or read as a file, or None if it may.

    Refuses whatever could leave the worktree or reach into ``.git`` on any file system, and what
    no common file system can hold (a component over 255 bytes).
    """
    if _PLAIN.fullmatch(path) and "git~" not in path.lower():
        return None
    if "\0" in path or "\\" in path:
        return "the path has a NUL or a backslash in it"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "the path is not valid UTF-8"
    return next(filter(None, map(_unsafe_component, path.split("/"))), None)


def shown(path: str) -> str:
    """``path`` for a message of one line: as it is, or quoted where a terminal could be misled."""
    return path if path.isprintable() else ascii(path)


def _unsafe_component(name: str) -> str | None:
    if name in ("", ".", ".."):
        return "the path is not a plain relative one"
    if _DOT_GIT.fullmatch(_IGNORED.sub("", name)):
        return "the path reaches into .git"
    if len(name.encode()) > 255:
        return "a component of the path is longer than 255 bytes"
    return None
