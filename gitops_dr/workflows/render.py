"""``gitops-dr render``: what a target should be, and how that differs from the source.

Reads Git only: no cluster is asked, and no Secret is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gitops_dr.desired.target import IDENTITY
from gitops_dr.desired.target_rendered import Change, Contrast, Rewriting
from gitops_dr.drift.compare import field_changes
from gitops_dr.drift.judge import masked
from gitops_dr.engine.opening import Opened, Where, open_repo
from gitops_dr.engine.point import read_point
from gitops_dr.engine.recorded import Recorded, read_state
from gitops_dr.engine.sealing import Sealing
from gitops_dr.engine.targeted import targeted
from gitops_dr.engine.targets import read_target
from gitops_dr.events import Emit, Notice, silent
from gitops_dr.manifests.fieldpath import FieldPath, may_overlap, parse_fieldpath
from gitops_dr.manifests.path import manifest_path, plural_of
from gitops_dr.model import SECRET, Body, Difference, FieldChange, Omission, Presence, Ref


@dataclass(frozen=True, slots=True)
class Render:
    """What a target should be. Bodies are read one at a time, as they are asked for."""

    opened: Opened
    source: Recorded
    wanted: Recorded
    left_out: tuple[Omission, ...] = ()
    target: str = ""
    unreadable: tuple[str, ...] = ()

    def manifests(self) -> Iterator[tuple[str, Body]]:
        """Each object with its path below a cluster's folder, sorted by path."""
        entries = self.wanted.state.entries
        paths = {_path(ref, self.wanted): ref for ref in entries}
        in_order = sorted(paths.items())
        bodies = self.wanted.bodies(ref for _, ref in in_order)
        for (path, _), (_, body) in zip(in_order, bodies, strict=True):
            yield path, body


def render(
    where: Where, *, target: str | None = None, at: str | None = None, emit: Emit = silent
) -> Render:
    """Say what a target should be by the commit ``at``; without a target, what the source should.

    Raises ``UsageError`` if there is no such target, and as reading and rewriting do. A file of the
    commit that is no manifest is told.
    """
    opened = open_repo(where, emit, target=target)
    aimed = read_target(opened, where, target, masked=True, emit=emit)
    # By these settings Secrets are told apart; nothing in it could open one.
    sealing = Sealing(settings=opened.settings.secrets, recipients=lambda _path: ("nobody",))
    source = read_state(replace(read_point(opened, at), sealing=sealing))
    wanted, left_out = targeted(source, aimed, {})
    unreadable = tuple(
        f"{gap.ref.name}: {gap.reason}" for gap in source.state.gaps if gap.ref.kind == "File"
    )
    for line in (*wanted.rewriter.unmatched(), *unreadable):
        emit(Notice(line))
    return Render(opened, source, wanted, left_out, aimed.name, unreadable)


def contrast(render: Render) -> Contrast:
    """How the target differs from the source, with the reason of each field."""
    source, wanted = render.source, render.wanted
    found = [*_changed(render), *_added(render), *_left_out(render)]
    return Contrast(
        cluster=render.opened.settings.name,
        commit=source.tree.commit,
        target=render.target,
        rewritings=tuple(sorted(found, key=lambda each: each.difference.ref)),
        same=len(wanted.state.entries) - sum(each.change is not Change.LEFT_OUT for each in found),
        idle=wanted.rewriter.unmatched() if wanted.rewriter.target != IDENTITY else (),
        unreadable=render.unreadable,
    )


def _path(ref: Ref, wanted: Recorded) -> str:
    """Where its manifest is, or, for one with another name than the source's, would be."""
    path = wanted.state.entries[ref].path
    if wanted.sources.get(ref, ref) == ref:
        return path
    return manifest_path(ref, plural_of(path))


def _changed(render: Render) -> Iterator[Rewriting]:
    rewriter, entries = render.wanted.rewriter, render.wanted.state.entries
    by_source = {source: ref for ref, source in render.wanted.sources.items()}
    for source, body in render.source.bodies(sorted(by_source)):
        ref = by_source[source]
        told: list[tuple[FieldPath, str]] = []
        now = body
        for reason, after in rewriter.steps(source, body):
            told += ((parse_fieldpath(c.path), reason) for c in _fields(ref, now, after))
            now = after
        changes = tuple(_fields(ref, body, now))
        yield Rewriting(
            Change.CHANGED,
            Difference(ref, Presence.MODIFIED, entries[ref].path, changes),
            source,
            tuple(_reason(change, told) for change in changes),
        )


def _fields(ref: Ref, old: Body, new: Body) -> Iterator[FieldChange]:
    changes = field_changes(old, new, ())
    return masked(changes) if ref.group_kind == SECRET else iter(list(changes))


def _reason(change: FieldChange, told: list[tuple[FieldPath, str]]) -> str:
    """The reasons of whatever has changed the field, or a part of it."""
    path = parse_fieldpath(change.path)
    return "; ".join(dict.fromkeys(reason for at, reason in told if may_overlap(path, at)))


def _added(render: Render) -> Iterator[Rewriting]:
    entries, held = render.wanted.state.entries, render.source.state.entries
    for own in render.wanted.rewriter.target.manifests:
        metadata = own.body["metadata"]
        group = own.body["apiVersion"].rpartition("/")[0]
        names = (metadata.get("namespace", ""), metadata["name"])
        ref = Ref(group, own.body["kind"], *names)
        if ref not in entries:
            continue
        replaces = ref if ref in held else None
        because = f"{own.path}, in place of the source's" if replaces else own.path
        change = Change.CHANGED if replaces else Change.ADDED
        yield Rewriting(
            change, Difference(ref, Presence.MODIFIED, own.path), replaces, because=because
        )


def _left_out(render: Render) -> Iterator[Rewriting]:
    for omission in render.left_out:
        ref = omission.ref
        whole = ref.kind == "Namespace" and omission.rule == "target-namespaces"
        shown = Ref("", "Namespace", "", ref.name) if whole else ref
        entry = render.source.state.entries.get(shown)
        difference = Difference(shown, Presence.MISSING, entry.path if entry else "")
        yield Rewriting(Change.LEFT_OUT, difference, shown, because=omission.reason)
