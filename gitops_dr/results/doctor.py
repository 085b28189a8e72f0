"""What ``doctor`` found. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops_dr.model import Body

if TYPE_CHECKING:
    from gitops_dr.checks.findings import Checked
    from gitops_dr.checks.needs import Job


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What would stop a job, or should be known before it."""

    job: Job
    cluster: str
    """Whose State in Git; empty if nobody knows which is meant."""
    context: str
    server: str
    """Where it was asked; empty if it could not be reached."""
    checks: tuple[Checked, ...]
    missing: tuple[Body, ...]
    """The manifests that allow what is not allowed; none if nothing is lacking."""
