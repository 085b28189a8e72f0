"""``make example``: writes ``cluster-repos/bookstore`` anew, as an export of a cluster made of it.

Run it after changing a manifest of the shop by hand, or a rule: a test compares the two.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from shop import create_shop, wait_until_open

from gitops_dr import lab
from gitops_dr.cluster.connect import connect
from gitops_dr.engine.opening import Where
from gitops_dr.resources import shipped
from gitops_dr.workflows.export import export
from gitops_dr.workflows.init import init


def main() -> int:
    """Export the shop and put the result in its place."""
    example = shipped("cluster-repos/bookstore")
    with tempfile.TemporaryDirectory() as folder, lab.running("bookstore-example") as source:
        repository = Path(folder) / "bookstore"
        init(repository, cluster="bookstore")
        connection = connect(source.kubeconfig, source.name)
        create_shop(connection)
        wait_until_open(connection)
        reach = lab.service_account_kubeconfig(source)
        result = export(Where(repository, kubeconfig=reach))
        shutil.rmtree(example / "clusters")
        shutil.copytree(repository / "clusters", example / "clusters")
        shutil.copy(repository / "gitops-dr.yaml", example)
    print(f"{result.objects} objects in {example}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
