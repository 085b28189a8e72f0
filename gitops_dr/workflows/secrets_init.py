"""``gitops-dr secrets init``: says who can open a cluster's Secrets. Makes a key, commits to Git.

gather: what the repository says of recipients. compute: ``.sops.yaml``, ``gitops-dr.yaml`` and the
encrypted files with the new recipients. act: one commit. The new key is in its file before anything
can be encrypted for it, and goes again if the commit does not come about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from gitops_dr.config import FILE, cluster_settings
from gitops_dr.engine.holding import holding
from gitops_dr.engine.keyed import find_keys
from gitops_dr.engine.opening import Opened, Where, open_repo
from gitops_dr.engine.resealed import record_file, trailers
from gitops_dr.engine.secret_files import Found, Secrets, open_secrets
from gitops_dr.errors import RefusedError, SecretError, UsageError
from gitops_dr.events import Emit, silent
from gitops_dr.keys.new_key import forget_key, place_for_key, write_new_key
from gitops_dr.model import Gap
from gitops_dr.repository.checkout import finish_interrupted_checkout
from gitops_dr.repository.commit import commit
from gitops_dr.repository.repository import current_branch, head
from gitops_dr.repository.tree import read_file
from gitops_dr.resources import shipped
from gitops_dr.secrets import sops_config
from gitops_dr.secrets.creation_rules import read_creation_rules
from gitops_dr.secrets.guard import objection
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.named_recipients import with_names
from gitops_dr.secrets.recipients import checked_recipients
from gitops_dr.secrets.sops import rewrap
from gitops_dr.secrets.standing import SecretsReady


def init_secrets(
    where: Where,
    *,
    key_file: Path | None = None,
    recipients: Mapping[str, str] | None = None,
    emit: Emit = silent,
) -> SecretsReady:
    """Name who can open the Secrets of a cluster, and let them open those that are there.

    ``key_file``: make an identity for the cluster and put it there; it gets the cluster's name.
    ``recipients``: name to public key of others, such as the standby's and one that is kept
    offline. All who could open Secrets before still can. An encrypted file that cannot be opened
    here is a gap of the result and stays as it is.

    Raises, with nothing written, ``UsageError`` for what is no recipient; ``RefusedError`` for a
    key file that is there or inside the repository, and for a name that belongs to another key.
    """
    others = {
        name: checked_recipients([key], f"--recipient {name}")[0]
        for name, key in (recipients or {}).items()
    }
    if key_file is None and not others:
        raise UsageError(
            "secrets init: nobody to name",
            hint="say --key-file FILE to make a key, --recipient NAME=age1... to name others",
        )
    opened = open_repo(where, emit)
    repo, settings = opened.repo, opened.settings
    text = read_file(repo, opened.head, FILE) if opened.head else None
    if opened.head is None or text is None:
        raise RefusedError(
            f"{FILE}: is not committed yet", hint="git add and git commit it; or gitops-dr init"
        )
    opened.trust.require_own_key()
    current_branch(repo)
    if key_file is not None and settings.name in {*settings.secrets.names.values(), *others}:
        raise RefusedError(
            f"cluster {settings.name}: has a key of this name already",
            hint="leave --key-file out to add recipients; to replace the key, see docs/secrets.md",
        )
    with holding("secrets init", repo=repo), _new_key(opened, key_file) as own:
        finish_interrupted_checkout(repo)
        before = open_secrets(opened)
        added = {settings.name: own, **others} if own else others
        changed = _changed(before, text, added)
        files, gaps = _rewrapped(changed.secrets, cache(lambda: find_keys(where.environment, emit)))
        changes = {**changed.files, **files, **record_file(changed.secrets, files)}
        made = commit(
            repo,
            changes=changes,
            message=f"Secrets of {settings.name}: {', '.join(added)} can open them",
            trailers=trailers(before, changes),
            guard=objection,
            expected=opened.head,
        )
    return SecretsReady(
        cluster=settings.name,
        key_file=str(key_file) if key_file is not None else "",
        recipients=changed.recipients,
        names=changed.secrets.names,
        written=tuple(sorted(changes)),
        rewrapped=len(files),
        commit=made.id if made.created else None,
        gaps=gaps,
        notes=changed.notes,
        left=made.left,
    )


@dataclass(frozen=True, slots=True)
class _Changed:
    """What the repository is to say of recipients."""

    secrets: Secrets
    """As it is once the files are written."""
    files: dict[str, bytes]
    recipients: tuple[str, ...]
    notes: tuple[str, ...]


def _changed(before: Secrets, text: bytes, added: Mapping[str, str]) -> _Changed:
    opened, prefix = before.opened, before.tree.prefix
    name = opened.settings.name
    config = with_names(text, added, name, FILE)
    settings = cluster_settings(config, cluster=name, context=None, environment={})
    wanted = tuple(dict.fromkeys([*settings.secrets.recipients, *added.values()]))
    old = read_file(opened.repo, opened.head or "", sops_config.FILE)
    rules = (
        sops_config.Extended(_fresh(prefix, wanted), wanted)
        if old is None
        else sops_config.extended(old, prefix, wanted)
    )
    secrets = Secrets(
        replace(opened, settings=replace(opened.settings, secrets=settings.secrets)),
        before.tree,
        read_creation_rules(rules.data, sops_config.FILE),
    )
    texts = {FILE: (text, config), sops_config.FILE: (old, rules.data)}
    files = {path: new for path, (was, new) in texts.items() if new != was}
    return _Changed(secrets, files, rules.recipients, rules.notes)


def _fresh(prefix: str, recipients: tuple[str, ...]) -> bytes:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(shipped("templates/repository")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - our own template, and no HTML
    )
    template = environment.get_template("sops.yaml.j2")
    return template.render(prefix=prefix, recipients=recipients).encode()


def _rewrapped(
    secrets: Secrets, keys: Callable[[], Identities]
) -> tuple[dict[str, bytes], tuple[Gap, ...]]:
    """The encrypted files that a recipient cannot open yet, so that it can; and the others.

    No private key is looked for where there is none.
    """
    files: dict[str, bytes] = {}
    gaps: list[Gap] = []
    for one in secrets.found():
        # What cannot be read is what `secrets check` is for.
        if not isinstance(one, Found) or one.sealed is None:
            continue
        path = one.file.path
        if missing := one.file.missing:
            try:
                files[path] = rewrap(one.sealed, (*one.sealed.recipients, *missing), keys())
            except SecretError as error:
                gaps.append(Gap(one.file.ref, error.message))
    return files, tuple(sorted(gaps))


@contextmanager
def _new_key(opened: Opened, key_file: Path | None) -> Iterator[str]:
    """Make a key for as long as the block goes well, or its commit was made; its recipient.

    Empty if none is asked for.
    """
    if key_file is None:
        yield ""
        return
    place = place_for_key(key_file, outside=opened.repo.root)
    now = datetime.now(UTC)
    title = f"Opens the Secrets of cluster {opened.settings.name} (gitops-dr)"
    own = write_new_key(place, title=title, now=now)
    try:
        yield own
    except BaseException:
        # Once the commit is there, the key belongs to it, whatever else went wrong.
        if head(opened.repo) == opened.head:
            forget_key(place)
        raise
