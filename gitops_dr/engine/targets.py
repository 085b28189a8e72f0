"""Reads a target of the repository, finds its cluster, and sees that it is the one. Reads only.

Targets are HEAD's, whichever commit of the source is meant: today's standby needs today's mapping.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.config import FILE as CONFIGURATION
from gitops_dr.desired.authored import SUFFIXES, Authored
from gitops_dr.desired.outward import NO_HOLD, Hold
from gitops_dr.desired.target import IDENTITY, Target
from gitops_dr.desired.target_file import FILE, TARGETS, check_target_name
from gitops_dr.desired.target_file import read_target as read_file_of_target
from gitops_dr.desired.target_values import with_encoded
from gitops_dr.desired.templates import FOLDER, MASK, SUFFIX
from gitops_dr.engine.difference import Examined
from gitops_dr.engine.keyed import find_keys
from gitops_dr.engine.opening import Opened, Where
from gitops_dr.engine.recorded import Tree
from gitops_dr.engine.sealing import SOPS, has_values
from gitops_dr.engine.templating import render_templates
from gitops_dr.errors import GitOpsDRError, ManifestError, RefusedError, SecretError, UsageError
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse, parse_rendered
from gitops_dr.model import SECRET, Body, Identity, MaskedValue, Omission, Ref
from gitops_dr.repository.tree import blobs, read
from gitops_dr.rules.platform import platform_reason
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.sops import is_sealed, open_sealed, read_sealed

SECRETS = "secrets/"
VALUES = "secret-values.yaml"
_SHORT = 4
"""Shorter encrypted values are found in anything, by chance."""


def read_target(
    opened: Opened, where: Where, name: str | None, *, masked: bool = False, emit: Emit = silent
) -> Target:
    """Read the target ``name`` at HEAD, its templates rendered; None is the source itself.

    ``masked``: nothing encrypted is opened, and ``***`` stands for each value.
    Raises ``UsageError`` if there is no such target of the cluster or its file does not fit,
    ``ManifestError`` for a template or Secret that is none, ``RefusedError`` for a Secret that is
    not encrypted.
    """
    if name is None:
        return IDENTITY
    check_target_name(name)
    files = blobs(opened.repo, opened.head, TARGETS) if opened.head else {}
    own = {
        path.removeprefix(f"{name}/"): blob
        for path, blob in files.items()
        if path.startswith(f"{name}/")
    }
    if FILE not in own:
        known = sorted({path.partition("/")[0] for path in files})
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"HEAD has {', '.join(known) or 'none'}"
        raise UsageError(f"target {name}: HEAD has no {TARGETS}/{name}/{FILE}", hint=hint)
    contents = dict(zip(own, (data for _, data in read(opened.repo, own.values())), strict=True))
    folder = _Folder(f"{TARGETS}/{name}", contents, where.environment or {}, emit, masked=masked)
    written = read_file_of_target(contents[FILE], name)
    if written.cluster not in ("", opened.settings.name):
        raise UsageError(
            f"target {name}: it is one of cluster {written.cluster}, not {opened.settings.name}",
            hint=f"say --cluster {written.cluster}, or choose another target",
        )
    target = replace(
        written,
        hold=NO_HOLD if written.active else Hold(opened.settings.outward),
        secret_values=folder.values(),
        version=hashlib.sha256(repr(sorted(own.items())).encode()).hexdigest()[:40],
    )
    secrets, closed = folder.secrets()
    templates = folder.templates(target, opened.settings.name)
    return replace(target, manifests=(*templates, *secrets), closed=closed)


def open_target(where: Where, opened: Opened, target: Target) -> Connection:
    """Connect by the context that flag, environment or target name, never by the source's.

    Raises ``UsageError`` if none of them does, and ``ClusterError``.
    """
    named = opened.settings.context
    if named is not None and named.source != CONFIGURATION:
        return connect(where.kubeconfig, named.value)
    if not target.context:
        raise UsageError(
            f"target {target.name}: no context is named to reach it by",
            hint=f"write context: NAME into {TARGETS}/{target.name}/{FILE}, or say --context",
        )
    return connect(where.kubeconfig, target.context)


def refuse_another(target: Target, tree: Tree, identity: Identity, emit: Emit = silent) -> None:
    """Raise ``RefusedError`` unless the cluster is the target's.

    Where no UID is pinned it may be any but the source, and a notice says which to pin.
    """
    file = f"{TARGETS}/{target.name}/{FILE}"
    if target.uid and target.uid != identity.uid:
        raise RefusedError(
            f"target {target.name}: this is not its cluster (UID {identity.uid}, and {file} pins "
            f"{target.uid})",
            hint="choose another --context; if the cluster was built anew, pin its UID",
        )
    if target.uid or target == IDENTITY:
        return
    if tree.coverage is not None and tree.coverage.uid == identity.uid:
        raise RefusedError(
            f"target {target.name}: this is the source itself (UID {identity.uid})",
            hint=f"choose another context; if it is meant, say uid: {identity.uid} in {file}",
        )
    emit(Notice(f"{file}: pins no cluster; this one is uid: {identity.uid}"))


def without_platform(examined: Examined, target: Target) -> Examined:
    """The comparison without what belongs to the platform of a target that is not the source.

    A rebuild leaves such objects alone there, so that they differ is no drift; they are named as
    left out.
    """
    coverage = examined.recorded.tree.coverage
    source = coverage.uid if coverage else ""
    if target == IDENTITY or source == examined.observation.identity.uid:
        return examined
    found = {d.ref: why for d in examined.differences if (why := platform_reason(d.ref))}
    omissions = {Omission(ref, "platform", why) for ref, why in found.items()}
    return replace(
        examined,
        differences=tuple(d for d in examined.differences if d.ref not in found),
        omissions=tuple(sorted({*examined.omissions, *omissions})),
    )


class _Folder:
    """The files of one target."""

    def __init__(
        self,
        place: str,
        files: Mapping[str, bytes],
        environment: Mapping[str, str],
        emit: Emit,
        *,
        masked: bool,
    ) -> None:
        self._place = place
        self._files = files
        self._environment = environment
        self._emit = emit
        self._masked = masked

    @cached_property
    def _identities(self) -> Identities:
        return find_keys(self._environment, self._emit)

    def values(self) -> dict[str, MaskedValue]:
        """What is in the encrypted file of values, which is a Secret."""
        data = self._files.get(VALUES)
        if data is None:
            return {}
        body, why = self._secret(VALUES, data)
        if why and not self._masked:
            raise SecretError(why, hint="give the age identity that opens it: docs/secrets.md")
        plain = with_encoded(body).get("data") or {}
        return {
            name: MaskedValue(MASK if why else self._decoded(name, text))
            for name, text in plain.items()
        }

    def _decoded(self, name: str, text: str) -> str:
        try:
            return base64.b64decode(text, validate=True).decode()
        except (binascii.Error, ValueError):
            problem = f"data.{name} is no base64 of text"
            raise ManifestError(f"{self._place}/{VALUES}", 0, problem) from None

    def secrets(self) -> tuple[list[Authored], dict[Ref, str]]:
        """The target's own Secrets; and of those that cannot be opened, why."""
        found: list[Authored] = []
        closed: dict[Ref, str] = {}
        for path, data in self._files.items():
            if not path.startswith(SECRETS) or not path.endswith(SUFFIXES):
                continue
            body, why = self._secret(path, data)
            if why:
                metadata = body["metadata"]
                namespace = metadata.get("namespace", "")
                closed[Ref(*SECRET, namespace, metadata["name"])] = why
            whole = {"type": "Opaque", **body}
            found.append(Authored(with_encoded(whole) if not why else whole, self._named(path)))
        return found, closed

    def _secret(self, path: str, data: bytes) -> tuple[Body, str]:
        """A Secret, plain if it can be opened; and the reason if it cannot."""
        place = self._named(path)
        body = parse(data, place)
        if (body["apiVersion"], body["kind"]) != ("v1", "Secret"):
            raise ManifestError(place, 0, f"is a {body['kind']}, and only Secrets are kept here")
        if not is_sealed(data):
            if has_values(body):
                raise RefusedError(
                    f"{place}: is not encrypted",
                    hint="encrypt it with sops, and take its values for known to whoever reads Git",
                )
            return body, ""
        sealed = read_sealed(data, place)
        why = f"{place}: is not opened"
        if not self._masked:
            try:
                return open_sealed(sealed, self._identities), ""
            except SecretError as error:
                why = f"{error} ({error.hint})" if error.hint else str(error)
        return {key: value for key, value in body.items() if key != SOPS}, why

    def templates(self, target: Target, cluster: str) -> list[Authored]:
        """What the target's templates make."""
        sources: dict[str, str] = {}
        for path, data in self._files.items():
            if not path.startswith(f"{FOLDER}/"):
                continue
            name = path.removesuffix(SUFFIX)
            if not name.endswith(SUFFIXES):
                continue
            try:
                sources[self._named(path)] = data.decode()
            except UnicodeDecodeError:
                raise ManifestError(self._named(path), 0, "is not UTF-8") from None
        variables = {"values": target.values, "target": target.name, "cluster": cluster}
        made = render_templates(sources, variables, target.secret_values)
        return [
            self._guarded(Authored(body, path), target)
            for path, data in made.items()
            for body in _manifests(data, path)
        ]

    def _guarded(self, made: Authored, target: Target) -> Authored:
        """Raises ``RefusedError`` where an encrypted value would be read by anybody."""
        body = made.body
        if body["kind"] == "Secret" and body["apiVersion"] == "v1":
            return Authored(with_encoded({"type": "Opaque", **body}), made.path)
        text = canonical(body).decode()
        for name, value in target.secret_values.items():
            if len(value.reveal()) >= _SHORT and value.reveal() in text:
                raise RefusedError(
                    f"{made.path}: puts secrets.{name} into a {body['kind']}, which anybody reads",
                    hint="put it into a Secret, and let the object refer to that",
                )
        return made

    def _named(self, path: str) -> str:
        return f"{self._place}/{path}"


def _manifests(data: bytes, path: str) -> list[Body]:
    try:
        return parse_rendered(data, path)
    except ManifestError as error:
        # What was rendered may hold an encrypted value, and the message may quote its line.
        raise ManifestError(
            path, error.line, "what it makes is no manifest", hint="the line is that of the result"
        ) from None
    except GitOpsDRError:
        raise ManifestError(path, 0, "what it makes is no manifest") from None
