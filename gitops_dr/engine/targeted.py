"""Turns what a commit records of the source into what a target should be. Reads from Git only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitops_dr.desired.authored import Authored, Rendering, rendered
from gitops_dr.desired.outward import NO_HOLD, OMITTED
from gitops_dr.desired.target import IDENTITY, Target
from gitops_dr.desired.target_file import TARGETS
from gitops_dr.desired.target_state import OF_EACH, Rewriter, rewritten
from gitops_dr.engine.recorded import Recorded, Tree
from gitops_dr.engine.sealing import has_values
from gitops_dr.errors import UsageError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse
from gitops_dr.manifests.path import manifest_path
from gitops_dr.model import SECRET, Body, Entry, Omission, Ref, Resource
from gitops_dr.repository.tree import read
from gitops_dr.secrets.policy import Policy


def targeted(
    recorded: Recorded, target: Target, resources: Mapping[tuple[str, str], Resource]
) -> tuple[Recorded, tuple[Omission, ...]]:
    """What ``target`` should be, and what of the source it does not have.

    ``resources``: how the target's cluster serves each kind; what it does not, the commit tells.
    The identity target gets the very same. Raises ``UsageError`` as the target's parts do, and for
    a manifest of its own that is an object of the source, too.
    """
    if target == IDENTITY:
        return recorded, ()
    tree = recorded.tree
    another = bool(target.name) and target.uid != _uid(recorded)
    if target.name and not another:
        # In the source itself nothing is done a second time.
        target = replace(target, hold=NO_HOLD)
    rewriter = Rewriter(target)

    def fingerprint(ref: Ref, body: Body) -> str:
        data = canonical(body)
        if ref.group_kind == SECRET and has_values(body):
            return tree.sealing.fingerprint(tree.sealing.hmac(ref, data))
        return tree.repo.blob_id(data)

    of_each = _of_each_cluster(recorded) if another else frozenset()
    taken = {ref: one for ref, one in recorded.state.entries.items() if ref not in of_each}
    state = replace(recorded.state, entries=taken)
    found = rewritten(state, rewriter, recorded.bodies, fingerprint)
    moved = {new: ref for ref in recorded.state.entries if (new := rewriter.ref(ref))}
    entries = dict(found.state.entries)
    authored = _moved(moved, recorded.rendered)
    unopened = _moved(moved, recorded.unopened)
    sources = dict(found.sources)
    not_yet = [omission for omission in found.omissions if omission.rule == OMITTED]
    for ref, (made, entry) in own_objects(target, tree, resources).items():
        own = made
        if ref in entries and ref.group_kind != SECRET:
            raise UsageError(
                f"{own.path}: {ref} is an object of the source, too",
                hint="say in a patch what is other there",
            )
        row = rewriter.hold(ref, own.body)
        if row is not None:
            held = row.held(own.body)
            rewriter.note_held(ref, row, (ref, own.body), held)
            if row.omit:
                not_yet.append(Omission(ref, OMITTED, row.because))
                continue
            own = replace(own, body=held)
        entries[ref] = entry
        authored[ref] = own
        sources.pop(ref, None)
        unopened.pop(ref, None)
        if ref in target.closed:
            unopened[ref] = target.closed[ref]
    wanted = replace(
        recorded,
        state=replace(found.state, entries=entries, omissions=(*found.state.omissions, *not_yet)),
        blob_of=_moved(moved, recorded.blob_of),
        rendered={ref: one for ref, one in authored.items() if ref in entries},
        unopened={ref: why for ref, why in unopened.items() if ref in entries},
        rewriter=rewriter,
        sources=sources,
    )
    renamed = {new for source in of_each if (new := rewriter.ref(source))}
    lacking = renamed - entries.keys()
    because = f"Each cluster has one of its own; {TARGETS}/{target.name}/secrets/ has none."
    omissions = [Omission(ref, OF_EACH, because) for ref in lacking]
    return wanted, tuple(sorted({*found.omissions, *omissions, *not_yet}))


def own_objects(
    target: Target, tree: Tree, resources: Mapping[tuple[str, str], Resource]
) -> dict[Ref, tuple[Authored, Entry]]:
    """What only the target has, its own Secrets among it.

    Raises ``UsageError`` for a manifest that lacks its namespace, and ``RepositoryError`` where two
    of them are the same object.
    """
    known = tree.coverage.resources if tree.coverage else ()
    served = {**{resource.group_kind: resource for resource in known}, **resources}
    scopes = {kind: resource.namespaced for kind, resource in served.items()}
    found: dict[Ref, tuple[Authored, Entry]] = {}
    for ref, own in rendered(Rendering(target.manifests), namespaced=scopes).objects.items():
        resource = served.get(ref.group_kind)
        plural = resource.plural if resource else f"{ref.kind.lower()}s"
        # Nothing that is live has an empty fingerprint, so the bodies of all of these are compared.
        found[ref] = own, Entry("", manifest_path(ref, plural), own.version)
    return found


def _uid(recorded: Recorded) -> str:
    """The source's; of an export that does not say it no target is the source."""
    coverage = recorded.tree.coverage
    return coverage.uid if coverage else "unknown"


def _of_each_cluster(recorded: Recorded) -> frozenset[Ref]:
    """The Secrets that are the source's own by policy, and are not to be in another cluster."""
    tree = recorded.tree
    if not tree.sealing.may_be_per_cluster:
        return frozenset()
    refs = [ref for ref in recorded.state.entries if ref.group_kind == SECRET]
    files = [ref for ref in refs if ref in recorded.blob_of and ref not in recorded.rendered]
    contents = read(tree.repo, [recorded.blob_of[ref] for ref in files])
    # What decides is plain in a sealed file, so none is opened.
    return frozenset(
        ref
        for ref, (_, data) in zip(files, contents, strict=True)
        if tree.sealing.decide(ref, parse(data, str(ref))).policy is Policy.PER_CLUSTER
    )


def _moved[T](moved: Mapping[Ref, Ref], known: Mapping[Ref, T]) -> dict[Ref, T]:
    """What is known of the source's objects, by what they are at the target."""
    return {new: known[ref] for new, ref in moved.items() if ref in known}
