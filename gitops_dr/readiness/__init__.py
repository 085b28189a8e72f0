"""Says whether an object is ready, kind by kind. Pure.

The rules are those of kstatus, without its traps: a Job is ready when it is complete, a claim that
waits for its first consumer is no obstacle, a Service needs no load balancer, and a custom resource
that reports nothing is not taken for one that reports success.
"""

from gitops_dr.readiness.judge import awaited, readiness
from gitops_dr.readiness.rows import is_built_in, timeout_of
from gitops_dr.readiness.status import READY, Readiness

__all__ = ["READY", "Readiness", "awaited", "is_built_in", "readiness", "timeout_of"]
