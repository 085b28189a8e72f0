"""What a plan needs to know of each object, kept without its body. Pure.

Bodies are read one at a time, :func:`collect` is called on each, and the body is let go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitops_dr.manifests.fieldpath import get
from gitops_dr.model import Body, Ref
from gitops_dr.planning.references import References, pod_spec, references


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """The relations of one object."""

    references: References = field(default_factory=References)
    serves: Mapping[str, str] | None = None
    """Labels of the pods that it keeps running; ``None`` if it keeps none."""
    selector: Mapping[str, str] = field(default_factory=dict)
    """Of a Service: the labels of the pods behind it; empty if something else fills it."""


NO_FACTS = ObjectFacts()


def collect(ref: Ref, body: Body, plural: str) -> ObjectFacts:
    """Read the facts of one object; ``plural`` is its resource's name in the API.

    Never fails on odd bodies: what is not as the API has it says nothing.
    """
    pods = pod_spec(ref.group_kind)
    selector: Mapping[str, str] = {}
    if ref.group_kind == ("", "Service"):
        selector = _labels(get(body, ("spec", "selector")))
    return ObjectFacts(
        references=references(ref, body, plural),
        serves=_labels(get(body, pods.labels)) if pods is not None and pods.serves else None,
        selector=selector,
    )


class Backends:
    """Answers which workloads stand behind a Service: what makes it ready."""

    def __init__(self, facts: Mapping[Ref, ObjectFacts], among: Iterable[Ref]) -> None:
        self._facts = facts
        self._workloads: dict[str, list[Ref]] = {}
        for ref in among:
            if facts.get(ref, NO_FACTS).serves is not None:
                self._workloads.setdefault(ref.namespace, []).append(ref)

    def of(self, service: Ref) -> tuple[Ref, ...]:
        """Find the workloads in its namespace whose pods its selector matches, sorted."""
        wanted = self._facts.get(service, NO_FACTS).selector.items()
        if not wanted:
            return ()
        return tuple(
            sorted(
                ref
                for ref in self._workloads.get(service.namespace, ())
                if wanted <= (self._facts[ref].serves or {}).items()
            )
        )


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}
