"""Objects as people write them, or as Helm and Kustomize render them. Pure.

Unlike an exported file such a manifest lacks what an API server fills in, and perhaps its
namespace; what a cluster has besides is judged in ``drift/contained.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gitops_dr.errors import ManifestError, RepositoryError, UsageError
from gitops_dr.manifests.document import Document, read_documents
from gitops_dr.manifests.limits import MAX_BYTES
from gitops_dr.manifests.parse import parse
from gitops_dr.model import Body, Omission, Ref

GroupKind = tuple[str, str]

SUFFIXES = (".yaml", ".yml", ".json")
"""How the names of files end that hold manifests."""

_TOOLS = frozenset({"kustomize.config.k8s.io"})
"""Groups of files that look like manifests and are settings of a tool:
https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/"""

_HOOK = "helm.sh/hook"
"""https://helm.sh/docs/topics/charts_hooks/"""

_DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")


@dataclass(frozen=True, slots=True)
class Authored:
    """One object as somebody wrote it."""

    body: Body
    path: str
    """The file that it is in, as messages and reports name it."""

    @property
    def version(self) -> str:
        """The API version, without its group."""
        return str(self.body["apiVersion"].rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Named:
    """Answers whether an object is one of some, in whatever namespace; equal for equal ones."""

    known: frozenset[tuple[str, str, str]] = frozenset()
    """Group, kind and name of each."""

    def __call__(self, ref: Ref) -> bool:
        """Whether ``ref`` may be one of them."""
        return (ref.group, ref.kind, ref.name) in self.known


@dataclass(frozen=True, slots=True)
class Rendering:
    """What Helm or Kustomize wrote, before it is known which objects it is about."""

    manifests: tuple[Authored, ...] = ()
    namespace: str | None = None
    """That of manifests that lack theirs."""

    @property
    def versions(self) -> dict[GroupKind, str]:
        """The API version of each kind; of several any one."""
        return {
            (each.body["apiVersion"].rpartition("/")[0], each.body["kind"]): each.version
            for each in self.manifests
        }

    def names(self) -> Named:
        """Whether an object may be one of these, wherever they belong."""
        return Named(
            frozenset(
                (each.body["apiVersion"].rpartition("/")[0], each.body["kind"], name)
                for each in self.manifests
                for name in [each.body["metadata"]["name"]]
            )
        )


NOTHING = Rendering()
"""Nobody rendered anything."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What one run of Helm or Kustomize would apply, by object."""

    objects: Mapping[Ref, Authored]
    omissions: tuple[Omission, ...] = ()
    """Helm's hooks."""


def rendered(rendering: Rendering, *, namespaced: Mapping[GroupKind, bool]) -> Rendered:
    """Find out which objects the manifests are.

    ``namespaced``: of each kind that the cluster serves whether its objects have a namespace; what
    is not served yet is told by a definition among the manifests. Hooks of Helm are left out.
    Raises ``UsageError`` where a manifest lacks its namespace and none was given, and
    ``RepositoryError`` if two manifests are the same object.
    """
    manifests, namespace = rendering.manifests, rendering.namespace
    scopes = {**dict(_defined(manifests)), **namespaced}
    objects: dict[Ref, Authored] = {}
    omissions: list[Omission] = []
    for manifest in manifests:
        ref, each = _placed(manifest, scopes, namespace)
        hook = (each.body["metadata"].get("annotations") or {}).get(_HOOK)
        if hook is not None:
            omissions.append(Omission(ref, "helm-hook", _hook_reason(hook)))
        elif ref in objects:
            raise RepositoryError(
                f"{ref}: rendered twice, in {objects[ref].path} and {each.path}",
                hint="remove one of them; nobody can say which one counts",
            )
        else:
            objects[ref] = each
    return Rendered(objects, tuple(sorted(omissions)))


def read_authored(
    data: bytes, path: str, *, namespaced: Mapping[GroupKind, bool], place: str
) -> Body | None:
    """Read the manifest that people keep in a file of the repository; None if it is something else.

    Something else is what does not end like a manifest, a document without apiVersion and kind, and
    the settings of Kustomize. ``place`` is the path below the cluster's folder: an object that does
    not name its namespace is in that of the folder ``namespaces/<namespace>/`` that its file is in.
    Raises ``ManifestError`` with path and line for a manifest that is none.
    """
    if not place.endswith(SUFFIXES):
        return None
    try:
        body = parse(data, path)
    except ManifestError:
        if all(map(_is_something_else, read_documents(data, path, MAX_BYTES))):
            return None
        raise
    group = body["apiVersion"].rpartition("/")[0]
    if group in _TOOLS:
        return None
    root, _, rest = place.partition("/")
    namespace, below, _ = rest.partition("/")
    metadata = body["metadata"]
    inside = root == "namespaces" and below and namespaced.get((group, body["kind"]), True)
    if not inside or metadata.get("namespace"):
        return body
    return {**body, "metadata": {**metadata, "namespace": namespace}}


def _is_something_else(document: Document) -> bool:
    body = document.body
    if not isinstance(body, dict):
        return False
    version, kind = body.get("apiVersion"), body.get("kind")
    if not (isinstance(version, str) and isinstance(kind, str)):
        return True
    return version.rpartition("/")[0] in _TOOLS


def _hook_reason(hook: str) -> str:
    return (
        f"Helm runs it by itself ({hook}) and may take it away again; it is no part of a release."
    )


def _placed(
    each: Authored, scopes: Mapping[GroupKind, bool], namespace: str | None
) -> tuple[Ref, Authored]:
    """The Ref of a manifest, and the manifest with the namespace that it is in."""
    body = each.body
    metadata = body["metadata"]
    group, kind, name = body["apiVersion"].rpartition("/")[0], body["kind"], metadata["name"]
    own = metadata.get("namespace") or ""
    # Of a kind that nobody knows yet, what is written is all that can be said.
    scoped = scopes.get((group, kind), bool(own))
    if scoped and not own and namespace is None:
        raise UsageError(
            f"{Ref(group, kind, '', name)} in {each.path}: has no namespace",
            hint="say --rendered-namespace NAME: that of the release or of kubectl apply -n",
        )
    place = (own or namespace or "") if scoped else ""
    without = {key: value for key, value in metadata.items() if key != "namespace"}
    metadata = {**without, "namespace": place} if place else without
    return Ref(group, kind, place, name), Authored({**body, "metadata": metadata}, each.path)


def _defined(manifests: Iterable[Authored]) -> Iterator[tuple[GroupKind, bool]]:
    for each in manifests:
        body = each.body
        group = body["apiVersion"].rpartition("/")[0]
        if (group, body["kind"]) != _DEFINITION:
            continue
        spec = body.get("spec")
        names = spec.get("names") if isinstance(spec, dict) else None
        if isinstance(spec, dict) and isinstance(names, dict):
            kind = (str(spec.get("group", "")), str(names.get("kind", "")))
            yield kind, spec.get("scope") == "Namespaced"
