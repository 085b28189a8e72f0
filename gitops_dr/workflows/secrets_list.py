"""``gitops-dr secrets list``: the Secrets of a cluster and who can open them. Reads Git only.

No private key is looked for.
"""

from __future__ import annotations

from gitops_dr.engine.opening import Where, open_repo
from gitops_dr.engine.secret_files import Found, open_secrets
from gitops_dr.events import Emit, silent
from gitops_dr.secrets.standing import SecretFile, SecretsListed, Unread


def list_secrets(where: Where, *, emit: Emit = silent) -> SecretsListed:
    """The Secrets of a cluster at HEAD: their files, and those that are not in Git.

    A file that cannot be read is said in the result. Raises ``RepositoryError`` for a
    ``.sops.yaml`` that cannot be.
    """
    secrets = open_secrets(open_repo(where, emit))
    files: list[SecretFile] = []
    unread: list[Unread] = []
    for one in secrets.found(emit):
        if isinstance(one, Found):
            files.append(one.file)
        else:
            unread.append(one)
    return secrets.listed(files, unread)
