"""Finds out how the Secrets and the recovery point of a repository stand. Reads Git only.

Private keys are looked for where ``sops`` looks for them, and no value leaves this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from gitops_dr.checks.facts import PointFacts, Problem, SecretFacts
from gitops_dr.engine.keyed import find_keys, read_rules
from gitops_dr.engine.last_point import newest_export
from gitops_dr.engine.opening import Opened, Where
from gitops_dr.engine.recorded import Tree, read_tree
from gitops_dr.engine.restoring import read_pruned_handles, read_records
from gitops_dr.engine.secret_files import open_secrets
from gitops_dr.errors import GitOpsDRError
from gitops_dr.events import Emit, silent
from gitops_dr.keys.sops_binary import open_with_any
from gitops_dr.model import Body, Ref
from gitops_dr.secrets.sops import Sealed
from gitops_dr.secrets.standing import Unread
from gitops_dr.volumes.policy import WithoutData, policy_for
from gitops_dr.volumes.retention import handle_of

_CLAIM = ("", "PersistentVolumeClaim")
_KEY_HINT = "name the file of an age identity in SOPS_AGE_KEY_FILE, or say --without-secrets"


def rule_problems(opened: Opened) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """What is wrong with the rule of ``.sops.yaml`` at HEAD that is about the cluster, and others.

    A rule that has no age keys at all is the affair of ``sops``.
    """
    try:
        rules = read_rules(opened)
    except GitOpsDRError as error:
        return (Problem(error.message, error.hint),), ()
    own = rules.rule(f"{opened.settings.prefix}/namespaces/any/secrets/any.yaml")
    found: tuple[list[Problem], list[Problem]] = ([], [])
    for rule in rules.rules:
        for trouble in _raised(rule.recipients) if rule.age else ():
            found[rule is not own].append(Problem(trouble.message, trouble.hint))
    return tuple(found[0]), tuple(found[1])


def secret_facts(opened: Opened, where: Where, emit: Emit = silent) -> SecretFacts:
    """Whether the private keys that are here open the encrypted files of a cluster.

    Of files with the same recipients one is opened.
    """
    try:
        found = open_secrets(opened).found(emit)
        number, sealed = 0, dict[tuple[str, ...], Sealed]()
        closed: list[Problem] = []
        for one in found:
            if isinstance(one, Unread):
                closed.append(Problem(f"{one.path}: {one.problem}", one.hint))
            elif one.sealed is not None:
                number += 1
                sealed.setdefault((*one.file.recipients, *one.file.other_keys), one.sealed)
        if not sealed:
            return SecretFacts(number, tuple(closed))
        environment = where.environment or {}
        keys = find_keys(where.environment, emit)
    except GitOpsDRError as error:
        return SecretFacts(problem=Problem(error.message, error.hint))
    closed += [
        Problem(trouble.message, trouble.hint or _KEY_HINT)
        for each in sealed.values()
        for trouble in _raised(partial(open_with_any, each, keys, environment))
    ]
    return SecretFacts(number, tuple(closed))


def _raised(look: Callable[[], object]) -> Iterator[GitOpsDRError]:
    try:
        look()
    except GitOpsDRError as error:
        yield error


def point_facts(opened: Opened) -> PointFacts | None:
    """How new the newest recovery point is, and which of its claims have no data; None for none.

    What ``gitops-dr.yaml`` says is not to be captured, or may start empty, is as it is meant to be.
    Raises ``RepositoryError`` for records that cannot be read.
    """
    newest = newest_export(opened, opened.head) if opened.head else None
    if newest is None:
        return None
    commit, time = newest
    now = datetime.now(UTC)
    settings = opened.settings.volumes
    tree = read_tree(opened.repo, opened.head, opened.settings.prefix)
    gone = read_pruned_handles(tree)
    records = read_records(tree)
    unprotected = tree.coverage.unprotected if tree.coverage else {}
    stale: list[Ref] = []
    without: dict[Ref, str] = {}
    for ref, body in _claims(tree):
        policy = policy_for(ref, body["metadata"].get("labels") or {}, settings.policies)
        meant = policy.without_data in (WithoutData.EMPTY, WithoutData.SKIP)
        if not policy.capture or meant or (body.get("spec") or {}).get("volumeName"):
            continue
        record = records.get(ref)
        if record is None:
            without[ref] = unprotected.get(ref) or "no snapshot of it was taken"
        elif handle_of(record) in gone:
            without[ref] = f"its snapshot of {record.created} was pruned"
        elif settings.max_age is not None and (
            record.moment is None or now - record.moment > settings.max_age
        ):
            stale.append(ref)
    return PointFacts(commit, now - time, settings.max_age, tuple(stale), without)


def _claims(tree: Tree) -> Iterator[tuple[Ref, Body]]:
    for path, blob in sorted(tree.manifests.items()):
        if "/persistentvolumeclaims/" in path and (body := tree.manifest(path, blob)) is not None:
            metadata = body["metadata"]
            if (body["apiVersion"], body["kind"]) == ("v1", _CLAIM[1]):
                yield Ref(*_CLAIM, metadata.get("namespace", ""), metadata["name"]), body
