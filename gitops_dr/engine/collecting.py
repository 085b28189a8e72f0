"""Holds Python's garbage collector back while many small objects are made. Pure but for that."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Let nothing search for cycles: objects of a cluster hold none, and it would search them all.

    What is let go without being part of a cycle goes at once, as ever.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
