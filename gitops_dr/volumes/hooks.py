"""Which commands run in which pods around the snapshots of which claims. Pure.

They come from a claim's policy in ``gitops-dr.yaml``, else from annotations of the pods that use it
(``hooks.yaml`` has their names). Pods that share claims are held still together, each of them once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import orjson
import yamlrocks

from gitops_dr.model import Body, Ref
from gitops_dr.resources import shipped
from gitops_dr.volumes.policy import Hook, OnError, VolumePolicy

LONGEST = 3600.0
"""Seconds that a hook may be given."""

_KEYS = ("command", "container", "timeout", "on-error")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+", re.ASCII)
_PART = re.compile(r"([\d.]+)(ms|h|m|s)", re.ASCII)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class PodHooks:
    """What is run in one pod; each hook names its container."""

    pod: Ref
    pre: tuple[Hook, ...] = ()
    post: tuple[Hook, ...] = ()


@dataclass(frozen=True, slots=True)
class Freeze:
    """Claims that are captured while the pods that use them are held still."""

    claims: tuple[Ref, ...]
    pods: tuple[PodHooks, ...]
    problems: tuple[str, ...] = ()
    """Hooks that cannot be run and need not: the claims are captured all the same."""


@dataclass(frozen=True, slots=True)
class HookPlan:
    """All that has to be done around the snapshots."""

    freezes: tuple[Freeze, ...] = ()
    refused: Mapping[Ref, str] = field(default_factory=dict)
    """Claims that must not be captured, because a hook of theirs makes no sense; with why."""
    notes: tuple[str, ...] = ()
    """Hooks that are not run because nothing is there to be held still, one line each."""


@dataclass(slots=True)
class _Use:
    """One claim as one pod uses it, with the hooks that then apply."""

    claim: Ref
    pod: Ref
    pre: tuple[Hook, ...] = ()
    post: tuple[Hook, ...] = ()
    problems: list[tuple[str, OnError]] = field(default_factory=list)


def plan_hooks(claims: Mapping[Ref, VolumePolicy], pods: Iterable[Body]) -> HookPlan:
    """Say what is run where.

    ``claims`` are those that are captured, ``pods`` all pods of their namespaces, as the API server
    has them. Only in pods that are running and ready anything is run. A reason names no pod, since
    their names come and go and reasons are kept.
    """
    uses: list[_Use] = []
    notes: set[str] = set()
    met: set[Ref] = set()
    for body in pods:
        found = [claim for claim in claims_of(body) if claim in claims]
        if not found or (body.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        lacking = _lacking(body)
        for claim in found:
            use = _use(claim, claims[claim], body)
            if use is None:
                continue
            met.add(claim)
            if lacking:
                notes.add(f"{claim}: no hook is run in {use.pod}, which {lacking}")
            else:
                uses.append(use)
    notes |= {
        f"{claim}: its hooks are not run, because no pod uses it"
        for claim, policy in claims.items()
        if (policy.pre or policy.post) and claim not in met
    }
    refused = _refused(uses) | _without_container(claims, uses)
    left = [use for use in uses if use.claim not in refused]
    return HookPlan(_freezes(left), refused, tuple(sorted(notes)))


def claims_of(pod: Body) -> list[Ref]:
    """The claims that a pod names, sorted. Its generic ephemeral volumes live and die with it."""
    namespace = pod["metadata"]["namespace"]
    names = {
        (volume.get("persistentVolumeClaim") or {}).get("claimName")
        for volume in (pod.get("spec") or {}).get("volumes") or ()
    }
    return [
        Ref("", "PersistentVolumeClaim", namespace, name) for name in sorted(filter(None, names))
    ]


def parse_timeout(text: str) -> float:
    """Read a duration such as ``30s`` or ``1m30s`` as seconds.

    Raises ``ValueError`` for anything else, for nothing, and for more than an hour.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration such as 30s or 2m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text!r} is not more than nothing and at most an hour")
    return seconds


def parse_command(written: object) -> tuple[str, ...]:
    """Read a command: a list of words, or one word. Raises ``ValueError`` for anything else."""
    if isinstance(written, str):
        if re.search(r"\s", written):
            raise ValueError("is more than one word; write a list of words, no shell reads it")
        written = [written]
    if not isinstance(written, list) or not all(isinstance(word, str) for word in written):
        raise ValueError("is neither a list of words nor one word")
    if not written or not written[0]:
        raise ValueError("is empty")
    if any("\0" in word for word in written):
        raise ValueError("has a word that no command can have")
    return tuple(written)


def _use(claim: Ref, policy: VolumePolicy, pod: Body) -> _Use | None:
    """What applies to a claim in a pod; None if nothing does."""
    metadata = pod["metadata"]
    use = _Use(claim, Ref("", "Pod", metadata["namespace"], metadata["name"]))
    if policy.pre or policy.post:
        use.pre, use.post = _placed(policy.pre, pod), _placed(policy.post, pod)
        return use
    annotations = metadata.get("annotations") or {}
    for row in _rows():
        pre, post = (_prefix(row[phase], annotations) for phase in ("pre", "post"))
        if pre or post:
            use.pre = _annotated(pre, annotations, pod, use) if pre else ()
            use.post = _annotated(post, annotations, pod, use) if post else ()
            return use
    return None


def _placed(hook: Hook | None, pod: Body) -> tuple[Hook, ...]:
    """A policy's hook as it runs in this pod; nothing if the pod has no such container."""
    if hook is None:
        return ()
    names = _containers(pod)
    if not hook.container:
        return (replace(hook, container=names[0]),)
    return (hook,) if hook.container in names else ()


def _prefix(prefixes: Iterable[str], annotations: Collection[str]) -> str:
    """The first prefix that an annotation begins with; empty if there is none."""
    return next((one for one in prefixes if any(key.startswith(one) for key in annotations)), "")


def _annotated(
    prefix: str, annotations: Mapping[str, str], pod: Body, use: _Use
) -> tuple[Hook, ...]:
    """The hook of one phase. What makes no sense is put into the problems of the use."""
    given = {k.removeprefix(prefix): v for k, v in annotations.items() if k.startswith(prefix)}
    try:
        return (_hook(given, _containers(pod)),)
    except ValueError as error:
        tolerant = given.get("on-error", "").lower() == OnError.CONTINUE
        on_error = OnError.CONTINUE if tolerant else OnError.FAIL
        use.problems.append((f"annotation {prefix}{error}", on_error))
        return ()


def _hook(given: Mapping[str, str], containers: Sequence[str]) -> Hook:
    """Make a hook of annotations without their prefix.

    Raises ``ValueError`` that begins with the one that makes no sense.
    """

    def read[T](key: str, reader: Callable[[str], T], default: T) -> T:
        try:
            return reader(given[key]) if key in given else default
        except ValueError as error:
            raise ValueError(f"{key} {error}") from error

    def known(container: str) -> str:
        if container not in containers:
            near = _near(container, containers)
            raise ValueError(f"{container!r} is none of the pod's containers{near}")
        return container

    for key in sorted(given):
        if key not in _KEYS:
            raise ValueError(f"{key} is not known{_near(key, _KEYS)}")
    if "command" not in given:
        raise ValueError("command is missing")
    hook = Hook(
        command=read("command", _command, ()),
        container=read("container", known, containers[0]),
        on_error=read("on-error", _on_error, OnError.FAIL),
    )
    return replace(hook, timeout=read("timeout", parse_timeout, hook.timeout))


def _on_error(text: str) -> OnError:
    try:
        return OnError(text.lower())
    except ValueError as error:
        raise ValueError(f"{text!r} is neither Fail nor Continue") from error


def _command(text: str) -> tuple[str, ...]:
    """Read an annotation's command: a JSON list of words, or one word. Raises ``ValueError``."""
    if not text.lstrip().startswith("["):
        return parse_command(text)
    try:
        return parse_command(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error}") from error


def _containers(pod: Body) -> list[str]:
    """The containers of a pod in which a command can be run, in their order.

    Of the init containers those run on that are restarted always (sidecars):
    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    spec = pod["spec"]
    sidecars = (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
    return [container["name"] for container in (*spec["containers"], *sidecars)]


def _lacking(pod: Body) -> str:
    """Why nothing can be run in a pod; empty if something can."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "is being deleted"
    if status.get("phase") != "Running":
        return f"is {status.get('phase') or 'not started'}"
    ready = {each.get("type"): each.get("status") for each in status.get("conditions") or ()}
    return "" if ready.get("Ready") == "True" else "is not ready"


def _refused(uses: Iterable[_Use]) -> dict[Ref, str]:
    """Claims with a hook that makes no sense and must not fail; the first reason of each counts."""
    found: dict[Ref, str] = {}
    for use in uses:
        for problem, on_error in use.problems:
            if on_error is OnError.FAIL:
                found.setdefault(use.claim, problem)
    return found


def _without_container(claims: Mapping[Ref, VolumePolicy], uses: Iterable[_Use]) -> dict[Ref, str]:
    """Claims whose policy names a container that no pod has in which hooks can be run."""
    by_claim: dict[Ref, list[_Use]] = {}
    for use in uses:
        by_claim.setdefault(use.claim, []).append(use)
    refused = {}
    for claim, found in by_claim.items():
        policy = claims[claim]
        for hook, runs in (
            (policy.pre, any(use.pre for use in found)),
            (policy.post, any(use.post for use in found)),
        ):
            if hook is None or runs:
                continue
            problem = (
                f"no pod that uses it has a container {hook.container!r}, which its policy names"
            )
            if hook.on_error is OnError.FAIL:
                refused[claim] = problem
            else:
                found[0].problems.append((problem, hook.on_error))
    return refused


def _freezes(uses: Iterable[_Use]) -> tuple[Freeze, ...]:
    """Put together what shares a pod or a claim."""
    root: dict[Ref, Ref] = {}

    def find(ref: Ref) -> Ref:
        while root.setdefault(ref, ref) != ref:
            root[ref] = root[root[ref]]
            ref = root[ref]
        return ref

    ordered = sorted(uses, key=lambda use: (use.pod, use.claim))
    for use in ordered:
        root[find(use.claim)] = find(use.pod)
    groups: dict[Ref, list[_Use]] = {}
    for use in ordered:
        groups.setdefault(find(use.pod), []).append(use)
    return tuple(map(_freeze, groups.values()))


def _freeze(uses: Iterable[_Use]) -> Freeze:
    pods: dict[Ref, PodHooks] = {}
    problems: dict[str, None] = {}
    claims = set()
    for use in uses:
        claims.add(use.claim)
        hooks = pods.setdefault(use.pod, PodHooks(use.pod))
        pods[use.pod] = replace(
            hooks,
            # Two claims of a pod mostly have the same hooks, which are run once.
            pre=tuple(dict.fromkeys((*hooks.pre, *use.pre))),
            post=tuple(dict.fromkeys((*hooks.post, *use.post))),
        )
        problems |= dict.fromkeys(problem for problem, _ in use.problems)
    return Freeze(tuple(sorted(claims)), tuple(pods.values()), tuple(problems))


def _near(word: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {match[0]!r}?" if match else ""


@cache
def _rows() -> tuple[dict[str, Any], ...]:
    return tuple(yamlrocks.loads(shipped("volumes/hooks.yaml").read_bytes()))
