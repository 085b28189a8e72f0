"""gitops-dr: a cluster is a commit.

Writes what a Kubernetes cluster is into a Git repository, says how the running cluster
differs from it, and builds a fresh cluster from a commit. The folders are layers; which may
use which stands in ``pyproject.toml`` under ``tool.importlinter`` and is checked.
"""

__version__ = "0.1.0"
