"""Reads a cluster's State out of a commit. Reads from the repository only.

Which object a file holds is read from its content. Files whose blob the running cluster is known to
produce need not be opened for that, which is nearly all of them when nothing has drifted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gitops_dr.desired.authored import Authored, read_authored
from gitops_dr.desired.endpoints import ENDPOINTS, Endpoints, read_endpoints
from gitops_dr.desired.managers import MANAGERS, Holder, read_managers
from gitops_dr.desired.recovery import COVERAGE, IMAGES, Coverage, read_coverage, read_images
from gitops_dr.desired.target_state import Rewriter, rewriter_of_source
from gitops_dr.desired.versions import Conversion
from gitops_dr.engine.sealing import SOPS, Sealing
from gitops_dr.errors import GitOpsDRError, ManifestError, RepositoryError
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse_again, parse_canonical, parse_carefully
from gitops_dr.model import SECRET, Body, Entry, Gap, Ref, State
from gitops_dr.repository.repository import Repository
from gitops_dr.repository.tree import blobs, read

_RECOVERY = "recovery/"


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one cluster at one commit, not opened yet."""

    repo: Repository
    commit: str
    prefix: str
    files: Mapping[str, str]
    """Path below ``prefix`` to blob id."""
    coverage: Coverage | None
    """None where the commit has no export of this cluster."""
    is_authored: Callable[[str], bool] = field(default=lambda _path: False, compare=False)
    """Whether people keep the file at a path for themselves, so that it need not be a manifest and
    lacks what an API server fills in."""
    sealing: Sealing = field(default_factory=Sealing, compare=False)
    """By what its Secrets are known, and opened."""
    proved: set[str] = field(default_factory=set, compare=False, repr=False)
    """Blobs that were read so far and are in canonical form. A blob's bytes never change, so that
    need not be proved of it again."""

    @property
    def manifests(self) -> dict[str, str]:
        """The files that hold objects."""
        return {p: blob for p, blob in self.files.items() if not p.startswith(_RECOVERY)}

    def blob(self, blob: str) -> bytes:
        """The bytes of one of its files, by blob id."""
        return next(data for _, data in read(self.repo, [blob]))

    def manifest(self, path: str, blob: str) -> Body | None:
        """The manifest in a file, plain if it can be opened; None if it holds something else."""
        return _manifest(self, path, blob, self.blob(blob))[0]

    def images(self) -> dict[str, tuple[str, ...]]:
        """Image to digests, as ``images.yaml`` records them; empty where there is none."""
        blob = self.files.get(IMAGES)
        if blob is None:
            return {}
        return read_images(self.blob(blob), f"{self.prefix}/{IMAGES}")

    def managers(self) -> dict[Ref, Holder]:
        """Who applied each object at the source, as ``managers.yaml`` says; empty without it.

        Raises ``RepositoryError`` if that file cannot be read.
        """
        blob = self.files.get(MANAGERS)
        return read_managers(self.blob(blob), f"{self.prefix}/{MANAGERS}") if blob else {}

    def endpoints(self) -> Endpoints | None:
        """By what the cluster was known outside, as ``endpoints.yaml`` says; None without it.

        Raises ``RepositoryError`` if that file cannot be read.
        """
        blob = self.files.get(ENDPOINTS)
        return read_endpoints(self.blob(blob), f"{self.prefix}/{ENDPOINTS}") if blob else None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a commit says of a cluster."""

    tree: Tree
    state: State
    blob_of: Mapping[Ref, str]
    """The blob that holds each object: the fingerprint, unless a person has edited the file."""
    rendered: Mapping[Ref, Authored] = field(default_factory=dict)
    """Objects that Helm or Kustomize rendered; they stand in no file of the commit."""
    unopened: dict[Ref, str] = field(default_factory=dict)
    """Objects whose sealed file could not be opened when it had to be, and why; so far."""
    rewriter: Rewriter = field(default_factory=rewriter_of_source, compare=False)
    """What the target makes of the source's objects; nothing, where the target is the source."""
    sources: Mapping[Ref, Ref] = field(default_factory=dict)
    """Of each object that is another at the target: which of the source's it is made from."""
    conversions: Mapping[Ref, Conversion] = field(default_factory=dict)
    """Of each object whose version in Git is not served any more: how it is written instead."""

    def is_authored(self, ref: Ref) -> bool:
        """Whether the manifest of an object lacks what an API server fills in."""
        return ref in self.rendered or self.tree.is_authored(self.state.entries[ref].path)

    def bodies(self, refs: Iterable[Ref]) -> Iterator[tuple[Ref, Body]]:
        """Decoded manifests, one at a time, in the order asked.

        Those that are sealed are plain, but for those that ``unopened`` then names.
        """
        wanted = list(refs)
        in_files = [ref for ref in wanted if ref not in self.rendered]
        contents = read(self.tree.repo, [self.blob_of[ref] for ref in in_files])
        files = zip(in_files, contents, strict=True)
        for ref in wanted:
            if ref in self.rendered:
                yield ref, self._at_target(ref, self.rendered[ref].body)
            else:
                _, (blob, data) = next(files)
                body, closed = _manifest(self.tree, self.state.entries[ref].path, blob, data)
                if closed:
                    self.unopened[ref] = closed
                yield ref, self._at_target(ref, body or {})
        next(files, None)

    def _at_target(self, ref: Ref, body: Body) -> Body:
        source = self.sources.get(ref)
        made = body if source is None else self.rewriter.rewrite(source, body)
        conversion = self.conversions.get(ref)
        return made if conversion is None else conversion.converted(made)


def _manifest(tree: Tree, path: str, blob: str, data: bytes) -> tuple[Body | None, str]:
    """The manifest in a file, plain if it can be opened; and the reason if it cannot.

    Such a manifest is as it stands in Git, but for what belongs to SOPS.
    """
    return _opened(tree, path, data, _parsed(tree, path, blob, data))


def _opened(tree: Tree, path: str, data: bytes, body: Body | None) -> tuple[Body | None, str]:
    if body is None or SOPS not in body:
        return body, ""
    try:
        return tree.sealing.opened(data, f"{tree.prefix}/{path}"), ""
    except GitOpsDRError as error:
        reason = f"{error} ({error.hint})" if error.hint else str(error)
    return {key: value for key, value in body.items() if key != SOPS}, reason


def _parsed(tree: Tree, path: str, blob: str, data: bytes) -> Body | None:
    """The manifest in a file; None if people keep something else there."""
    where = f"{tree.prefix}/{path}"
    if not tree.is_authored(path):
        if blob in tree.proved:
            return parse_again(data)
        if (body := parse_canonical(data)) is None:
            return parse_carefully(data, where)
        tree.proved.add(blob)
        return body
    resources = tree.coverage.resources if tree.coverage else ()
    scopes = {resource.group_kind: resource.namespaced for resource in resources}
    return read_authored(data, where, namespaced=scopes, place=path)


def read_tree(
    repo: Repository,
    commit: str | None,
    prefix: str,
    *,
    is_authored: Callable[[str], bool] = lambda _path: False,
    sealing: Sealing | None = None,
) -> Tree:
    """List a cluster's files at a commit; ``None`` stands for a repository without commits.

    ``is_authored`` says of a path below ``prefix`` whether people keep that file for themselves,
    ``sealing`` opens its Secrets.
    Raises ``RepositoryError`` if something that is not a plain file is among them, or if the
    account of the export cannot be read.
    """
    files = blobs(repo, commit, prefix) if commit else {}
    tree = Tree(repo, commit or "", prefix, files, None, is_authored, sealing or Sealing())
    if COVERAGE not in tree.files:
        return tree
    coverage = read_coverage(tree.blob(tree.files[COVERAGE]), f"{prefix}/{COVERAGE}")
    return replace(tree, coverage=coverage)


def read_state(tree: Tree, seen: State | None = None) -> Recorded:
    """The State that a tree records.

    ``seen``: a State whose Refs spare opening the files that it agrees with by path and blob.
    A file that is no manifest becomes a gap that names file and line. Raises ``RepositoryError`` if
    two files hold the same object.
    """
    by_path = {entry.path: (ref, entry) for ref, entry in seen.entries.items()} if seen else {}
    entries: dict[Ref, Entry] = {}
    blob_of: dict[Ref, str] = {}
    gaps: list[Gap] = []
    unread: list[tuple[str, str]] = []
    unopened: dict[Ref, str] = {}

    def add(ref: Ref, entry: Entry, blob: str) -> None:
        if ref in entries:
            raise RepositoryError(
                f"{ref}: in two files, {entries[ref].path} and {entry.path} of {tree.prefix}",
                hint="remove one of them and commit",
            )
        entries[ref] = entry
        blob_of[ref] = blob

    for path, blob in tree.manifests.items():
        known = by_path.get(path)
        if known is not None and known[1].fingerprint == blob:
            add(*known, blob)
        else:
            unread.append((path, blob))
    contents = read(tree.repo, [blob for _, blob in unread])
    for (path, blob), (_, data) in zip(unread, contents, strict=True):
        told = tree.sealing.told(blob)
        try:
            found = _parsed(tree, path, blob, data)
            body, closed = (found, "") if told else _opened(tree, path, data, found)
        except ManifestError as error:
            reason = f"{error} ({error.hint})" if error.hint else str(error)
            gaps.append(Gap(Ref("", "File", "", f"{tree.prefix}/{path}"), reason))
            continue
        if body is None:
            continue
        group, _, version = body["apiVersion"].rpartition("/")
        metadata = body["metadata"]
        ref = Ref(group, body["kind"], metadata.get("namespace", ""), metadata["name"])
        if closed:
            unopened[ref] = closed
        if told or closed:
            fingerprint = told or blob
        elif ref.group_kind == SECRET:
            fingerprint = tree.sealing.fingerprint_of_file(ref, blob, body)
        elif body is found and blob in tree.proved and not tree.is_authored(path):
            fingerprint = blob
        else:
            fingerprint = tree.repo.blob_id(canonical(body))
        add(ref, Entry(fingerprint, path, version), blob)
    coverage = tree.coverage
    state = State(
        entries=entries,
        omissions=coverage.omissions if coverage else (),
        gaps=tuple(sorted([*(coverage.gaps if coverage else ()), *gaps])),
    )
    return Recorded(tree, state, blob_of, unopened=unopened)
