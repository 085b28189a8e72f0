"""What a comparison has to say, one file a format. Pure: results become text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gitops_dr.errors import ExitCode
from gitops_dr.model import Presence
from gitops_dr.reports.drift.annotations import as_annotations
from gitops_dr.reports.drift.document import as_json, as_yaml
from gitops_dr.reports.drift.html import as_html
from gitops_dr.reports.drift.junit import as_junit
from gitops_dr.reports.drift.markdown import as_markdown
from gitops_dr.reports.drift.table import as_table
from gitops_dr.results.drift import Drifted

FORMATS: Mapping[str, Callable[[Drifted], str]] = {
    "table": as_table,
    "json": as_json,
    "yaml": as_yaml,
    "markdown": as_markdown,
    "html": as_html,
    "junit": as_junit,
    "annotations": as_annotations,
}
"""By the name that ``--output`` takes. No text ends with a line break."""


def exit_code(result: Drifted) -> ExitCode:
    """0 equal, 1 different; 3 if something could not be read, which outranks a difference."""
    if result.gaps or any(d.presence is Presence.UNKNOWN for d in result.differences):
        return ExitCode.PARTIAL
    return ExitCode.DIFFERENCES if result.differences else ExitCode.DONE
