"""`gitops-dr init`: scaffolds a repository that holds clusters. Writes files; runs git.

The files come from ``templates/repository``. In a repository without commits, such as one that it
has just created, they become the first commit, so that an export can follow at once; in any other
they are left for its people to look at and commit. The pre-commit hook is copied into
``.git/hooks``, unless the repository has one of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gitops_dr.config import check_cluster_name
from gitops_dr.errors import RefusedError, RepositoryError
from gitops_dr.repository.commit import commit
from gitops_dr.repository.hooks import install_hook
from gitops_dr.repository.repository import create_repository, head
from gitops_dr.resources import shipped
from gitops_dr.secrets.guard import objection

HOOK = ".githooks/pre-commit"
# Git would obey files with their real names in our own checkout, hence other ones.
TEMPLATES = {
    ".gitattributes": "gitattributes.j2",
    HOOK: "pre-commit.j2",
    ".gitignore": "gitignore.j2",
    "README.md": "README.md.j2",
    "gitops-dr.yaml": "gitops-dr.yaml.j2",
}


@dataclass(frozen=True, slots=True)
class InitResult:
    """What ``init`` made."""

    directory: Path
    """The repository's top folder, absolute."""
    cluster: str
    written: tuple[str, ...]
    """Paths of the new files, relative to ``directory``."""
    commit: str | None
    """The commit they are in; None if they are left to be committed."""
    no_hook: str = ""
    """Why the pre-commit hook is not installed in this clone; empty if it is."""


def init(directory: Path, *, cluster: str, context: str = "") -> InitResult:
    """Scaffold a repository for ``cluster`` in ``directory``, creating both as needed.

    ``context`` is the kubeconfig context that reaches the cluster; it is only written down.
    Raises ``UsageError`` for a cluster name that is not a DNS label, ``RefusedError`` if a file is
    in the way (it names them all) or if ``directory`` lies inside another repository, and
    ``RepositoryError`` if git or the disk refuses. When it raises, none of the files was written.
    """
    check_cluster_name(cluster)
    directory = directory.expanduser().resolve()
    _refuse_what_is_in_the_way(directory)
    files = _render(cluster, context)
    repository = create_repository(directory)
    if head(repository):
        _write(directory, files)
        no_hook = install_hook(repository, "pre-commit", files[HOOK])
        return InitResult(directory, cluster, tuple(files), None, no_hook)
    made = commit(
        repository,
        changes=files,
        message=f"Keep cluster {cluster} in Git",
        trailers={},
        guard=objection,
        expected=None,
    )
    no_hook = install_hook(repository, "pre-commit", files[HOOK])
    return InitResult(directory, cluster, tuple(files), made.id, no_hook)


def _refuse_what_is_in_the_way(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise RefusedError(f"{directory}: is not a folder", hint="name another one")
    present = [name for name in TEMPLATES if os.path.lexists(directory / name)]
    if present:
        raise RefusedError(
            f"{directory}: already has {', '.join(present)}",
            hint="nothing was written; move them away, or name an empty folder",
        )
    around = next((place for place in directory.parents if (place / ".git").exists()), None)
    if around and not (directory / ".git").exists():
        # The outer repository would never hold what is exported into the inner one.
        raise RefusedError(
            f"{directory}: lies inside the Git repository {around}",
            hint="name its top folder, or a folder outside of it",
        )


def _render(cluster: str, context: str) -> dict[str, bytes]:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(shipped("templates/repository")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - our own templates, and no HTML
    )
    return {
        name: environment.get_template(template).render(cluster=cluster, context=context).encode()
        for name, template in TEMPLATES.items()
    }


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    made: list[Path] = []
    for name, content in files.items():
        path = directory / name
        try:
            if not path.parent.exists():
                path.parent.mkdir()
                made.append(path.parent)
            with path.open("xb") as file:
                made.append(path)
                file.write(content)
        except OSError as error:
            for unfinished in reversed(made):
                with suppress(OSError):
                    unfinished.rmdir() if unfinished.is_dir() else unfinished.unlink()
            raise RepositoryError(f"{path}: {error.strerror}") from error
