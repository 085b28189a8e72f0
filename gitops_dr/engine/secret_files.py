"""Finds the files of a cluster that hold Secrets and says how they stand. Reads Git only.

Every file of the cluster is looked at, wherever people have put it, and none is opened with a key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from gitops_dr.desired.secret_records import SecretRecords
from gitops_dr.engine.keyed import read_records, read_rules
from gitops_dr.engine.opening import Opened
from gitops_dr.engine.recorded import Tree, read_tree
from gitops_dr.errors import GitOpsDRError, ManifestError
from gitops_dr.events import Advanced, Emit, silent
from gitops_dr.manifests.parse import parse
from gitops_dr.model import SECRET, Body, Ref
from gitops_dr.repository.tree import read
from gitops_dr.secrets.creation_rules import CreationRules
from gitops_dr.secrets.guard import objection
from gitops_dr.secrets.policy import SecretSettings, policy_of, rows
from gitops_dr.secrets.sops import Sealed, is_sealed, read_sealed
from gitops_dr.secrets.sops_leaves import is_sealed_value
from gitops_dr.secrets.standing import NotInGit, SecretFile, SecretsListed, Unread, lacking, wanted

_MAY_BE_SECRET = re.compile(rb"\bkind[\"']?:[ \t]*[\"']?Secret\b")
_TELL_EVERY = 500
_ONLY_VALUES = "encrypt it anew with encrypted_regex: ^(data|stringData)$ in .sops.yaml"

NO_RULE = "no rule of .sops.yaml takes it in, and gitops-dr.yaml names nobody who could open it"


@dataclass(frozen=True, slots=True)
class Found:
    """One file that holds a Secret, or is encrypted, read as far as it goes without a key."""

    file: SecretFile
    body: Body
    """Values as they stand in the file."""
    sealed: Sealed | None
    """None for a Secret that has no values to encrypt."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The Secrets of one cluster at HEAD, to be gone through."""

    opened: Opened
    tree: Tree
    rules: CreationRules

    @property
    def settings(self) -> SecretSettings:
        """What ``gitops-dr.yaml`` says of them."""
        return self.opened.settings.secrets

    def wanted(self, path: str) -> tuple[str, ...]:
        """Who must be able to open the file at ``path`` (from the top of the repository).

        Raises ``UsageError`` or ``RefusedError`` for a rule that cannot be followed.
        """
        return wanted(self.rules.recipients(path), self.settings)

    @property
    def names(self) -> Mapping[str, str]:
        """Recipient to its name."""
        return self.settings.names

    @property
    def records(self) -> SecretRecords:
        """By what the Secrets are known again."""
        return read_records(self.tree)

    def found(self, emit: Emit = silent) -> Iterator[Found | Unread]:
        """Each file that holds a Secret, in the order of paths, and those that cannot be read."""
        return _found(self, emit)

    def elsewhere(self) -> tuple[NotInGit, ...]:
        """Those that the export left out, with why."""
        return tuple(_elsewhere(self.tree, self.records, self.settings))

    def listed(self, files: Collection[SecretFile], unread: Collection[Unread]) -> SecretsListed:
        """Put together what was found."""
        return SecretsListed(
            cluster=self.opened.settings.name,
            commit=self.opened.head or "",
            files=tuple(files),
            elsewhere=self.elsewhere(),
            unread=tuple(unread),
            names=self.names,
            notes=tuple(_notes(self, files)),
        )


def problem_of(error: GitOpsDRError, path: str) -> str:
    """What an error says of the file at ``path``, without its name."""
    said = error.message.removeprefix(path)
    return (
        f"line {said[1:]}" if said[:1] == ":" and said[1:2].isdigit() else said.removeprefix(": ")
    )


def open_secrets(opened: Opened) -> Secrets:
    """Make ready to go through the Secrets of a cluster at HEAD.

    Raises ``RepositoryError`` for a ``.sops.yaml`` that cannot be read.
    """
    tree = read_tree(opened.repo, opened.head, opened.settings.prefix)
    return Secrets(opened, tree, read_rules(opened))


def _found(secrets: Secrets, emit: Emit) -> Iterator[Found | Unread]:
    tree = secrets.tree
    files = sorted(tree.manifests.items())
    contents = read(tree.repo, [blob for _, blob in files])
    for number, ((below, _), (_, data)) in enumerate(zip(files, contents, strict=True), 1):
        if number % _TELL_EVERY == 0:
            emit(Advanced("files", number))
        if not (_MAY_BE_SECRET.search(data) or is_sealed(data)):
            continue
        path = f"{tree.prefix}/{below}"
        try:
            found = _opened(secrets, path, data)
        except GitOpsDRError as error:
            yield Unread(path, problem_of(error, path), error.hint)
        else:
            if found:
                yield found


def _opened(secrets: Secrets, path: str, data: bytes) -> Found | None:
    """The Secret in a file, or whatever else is encrypted; None if it holds something else."""
    sealed = read_sealed(data, path) if is_sealed(data) else None
    body = sealed.body if sealed else parse(data, path)
    ref = _ref(body, path)
    if sealed is None and ref.group_kind != SECRET:
        return None
    policy, because = "", ""
    if ref.group_kind == SECRET:
        decision = policy_of(ref, body, secrets.settings)
        policy, because = decision.policy.value, decision.because
    file = SecretFile(path, ref, policy, because, sealed=sealed is not None)
    if sealed is None:
        return Found(replace(file, plain=objection(path, data) is not None), body, None)
    file = replace(file, recipients=sealed.recipients, other_keys=sealed.other_keys)
    try:
        required = secrets.wanted(path)
    except GitOpsDRError as error:
        return Found(replace(file, no_rule=error.message), body, sealed)
    if not required:
        return Found(replace(file, no_rule=NO_RULE), body, sealed)
    allowed = (*required, *secrets.settings.recipients)
    file = replace(
        file,
        missing=lacking(required, sealed.recipients),
        stale=lacking(sealed.recipients, allowed),
    )
    return Found(file, body, sealed)


def _ref(body: Body, path: str) -> Ref:
    """Which object it is. Raises ``ManifestError`` where that is encrypted as well."""
    metadata = body["metadata"]
    names = (body["apiVersion"], body["kind"], metadata.get("namespace", ""), metadata["name"])
    if any(is_sealed_value(name) for name in names):
        raise ManifestError(
            path, 0, "its kind and name are encrypted as well as its values", hint=_ONLY_VALUES
        )
    version, kind, namespace, name = names
    return Ref(version.rpartition("/")[0], kind, namespace, name)


def _elsewhere(tree: Tree, records: SecretRecords, settings: SecretSettings) -> Iterator[NotInGit]:
    policies: Mapping[str, str] = {row.id: row.policy.value for row in rows()} | {
        one.place: one.policy.value for one in settings.policies
    }
    omitted = tree.coverage.omissions if tree.coverage else ()
    because = {one.ref: one for one in omitted if one.ref.group_kind == SECRET}
    for ref, omission in sorted(because.items()):
        known = records.external.get(ref)
        policy = known.policy if known else policies.get(omission.rule, "omit")
        yield NotInGit(ref, policy, omission.reason, known.keys if known else ())
    for ref, external in sorted(records.external.items()):
        if ref not in because:
            yield NotInGit(ref, external.policy, "", external.keys)


def _notes(secrets: Secrets, files: Collection[SecretFile]) -> Iterator[str]:
    """What keeps Secrets from being encrypted."""
    if not secrets.rules and not secrets.settings.recipients:
        yield "nobody is named who could open Secrets: gitops-dr secrets init names somebody"
        return
    without: dict[str, list[str]] = {}
    for file in files:
        if file.no_rule:
            without.setdefault(file.no_rule, []).append(file.path)
    for why, paths in without.items():
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        yield f"{paths[0]}{more}: {why}"
