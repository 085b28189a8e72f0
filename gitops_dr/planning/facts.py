"""What a plan needs to know of each object, kept without its body. Pure.

Bodies are read one at a time, :func:`collect` is called on each, and the body is let go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from sys import intern

from gitops_dr.manifests.fieldpath import get
from gitops_dr.manifests.selector import Labels, selector_labels
from gitops_dr.model import Body, Ref
from gitops_dr.planning.admission import (
    Asked,
    Made,
    asked,
    goes_first,
    labels_of,
    made_of,
)
from gitops_dr.planning.references import References, pod_selector, pod_spec, references


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """The relations of one object."""

    references: References = field(default_factory=References)
    serves: Mapping[str, str] | None = None
    """Labels of the pods that it keeps running; ``None`` if it keeps none."""
    selector: Mapping[str, str] = field(default_factory=dict)
    """Of a Service: the labels of the pods behind it; empty if something else fills it."""
    selects: Labels | None = None
    """Of what comes after the workloads whose pods it selects: how; ``None`` of all else."""
    plural: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    made: tuple[Made, ...] = ()
    """What controllers make of it."""
    first: bool = False
    """Whether it waits for no admission."""
    asked: Asked | None = None
    """Of mutating admission: what it is asked about."""


NO_FACTS = ObjectFacts()


def collect(ref: Ref, body: Body, plural: str) -> ObjectFacts:
    """Read the facts of one object; ``plural`` is its resource's name in the API.

    Never fails on odd bodies: what is not as the API has it says nothing.
    """
    group_kind = ref.group_kind
    pods = pod_spec(group_kind)
    selector: Mapping[str, str] = {}
    if group_kind == ("", "Service"):
        selector = labels_of(get(body, ("spec", "selector")))
    selecting = pod_selector(group_kind)
    selected = get(body, selecting) if selecting is not None else None
    priority_class = get(body, (*pods.spec, "priorityClassName")) if pods is not None else None
    return ObjectFacts(
        references=references(ref, body, plural),
        serves=labels_of(get(body, pods.labels)) if pods is not None and pods.serves else None,
        selector=selector,
        # An empty selector takes all pods, none at all takes none.
        selects=selector_labels(selected) if isinstance(selected, dict) else None,
        plural=intern(plural),
        labels=labels_of(get(body, ("metadata", "labels"))),
        made=made_of(ref, body),
        first=goes_first(group_kind, priority_class),
        asked=asked(ref, body),
    )


class Backends:
    """Answers which workloads stand behind a Service: what makes it ready; or are selected."""

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

    def selected(self, ref: Ref) -> tuple[Ref, ...]:
        """Find the workloads in its namespace whose pods an object selects, sorted."""
        wanted = self._facts.get(ref, NO_FACTS).selects
        if wanted is None:
            return ()
        return tuple(
            sorted(
                workload
                for workload in self._workloads.get(ref.namespace, ())
                if all(one.holds(self._facts[workload].serves or {}) for one in wanted)
            )
        )
