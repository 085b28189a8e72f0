"""Finds the lab's programs, or has them built, with progress on stderr. Writes the user's cache.

`make test` runs it first, so that no test seems to hang for a quarter of an hour.
"""

from __future__ import annotations

import sys

from gitops_dr.cli.progress import Progress
from gitops_dr.errors import GitOpsDRError
from gitops_dr.lab import assets


def main() -> int:
    """Return the exit code."""
    progress = Progress(quiet=False)
    try:
        with progress.showing():
            assets(progress)
    except GitOpsDRError as error:
        print(error.message, error.hint, sep="\n  ", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
