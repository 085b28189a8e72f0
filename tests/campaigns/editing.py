"""Chooses which objects are edited and how, at random, and keeps account of it. Runs kubectl."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from campaigns import edits, field_edits
from campaigns.edits import Way
from campaigns.kubectl import Hand, Recorded, Refused
from campaigns.told import Edit

_TRIES = 40

Fits = Callable[[Recorded], bool]

# More than a label of these decides about other objects, or about what the API server takes.
_DELICATE = {
    ("", "Namespace"),
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
}
_WORKLOADS = ("DaemonSet", "Deployment", "ReplicationController", "StatefulSet")


class Editor:
    """Edits a cluster at random, one object once, or again by another hand."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        # Not what the lab itself lives on.
        self._free = [
            one
            for key, one in sorted(hand.objects.items())
            if key[2] != "kube-system" and not key[3].startswith(("kubeadm:", "lab-", "system:"))
        ]
        self._touched = set[tuple[str, str, str, str]]()
        self.edits: list[Edit] = []
        """What is to be seen; what was taken back is not."""
        self.done: Counter[str] = Counter()
        """By way."""
        self.refused: Counter[str] = Counter()
        """Tries that the API server would not have, by way."""

    def edit(self, way: str) -> bool:
        """Make one edit of this way; False if no object of a few can be edited so."""
        try:
            if way in _AGAIN:
                _AGAIN[way](self)
            else:
                self._edit_new(way)
        except Refused:
            return False
        self.done[way] += 1
        return True

    def _edit_new(self, way: str) -> None:
        make, fits = _WAYS[way]
        for _ in range(_TRIES):
            chosen = self._choose(fits)
            try:
                edit = make(self._hand, chosen)
            except Refused:
                self.refused[way] += 1
                continue
            self.edits.append(edit)
            self._touched.add(chosen.key)
            return
        raise Refused(f"{way}: nothing of {_TRIES}")

    def _choose(self, fits: Fits) -> Recorded:
        """Half by object and half by kind, so that no kind has it all to itself."""
        chance = self._hand.chance
        fitting = [one for one in self._free if one.key not in self._touched and fits(one)]
        kinds = sorted({one.key[:2] for one in fitting})
        if kinds and chance.random() < 0.5:
            kind = chance.choice(kinds)
            fitting = [one for one in fitting if one.key[:2] == kind]
        return self._hand.any(fitting)  # type: ignore[no-any-return]

    # -- again ----------------------------------------------------------------------------

    def _second_hand(self) -> None:
        """Somebody else edits what has been edited, at another field."""
        # A server-side apply takes an earlier apply for its own: what it does not name then goes.
        of_fields = [
            e for e in self.edits if e.deed in ("added", "changed", "removed") and e.way != "apply"
        ]
        one = self._hand.objects[self._hand.any(of_fields).key]
        ways = ("add a label", "add an annotation", "apply a label")
        make, _ = _WAYS[self._hand.chance.choice(ways)]
        self.edits.append(make(self._hand, one))

    def _overwrite(self) -> None:
        """Somebody else writes the same field anew: the last one counts."""
        place = self._hand.any([i for i, e in enumerate(self.edits) if _is_updated_note(e)])
        edit = self.edits[place]
        one = self._hand.objects[edit.key]
        text = f"{edit.where[-1]}={self._hand.word()}"
        flags = ("--overwrite", "--field-manager", "the-last-one")
        self._hand.run(one, _VERBS[edit.where[1]], one.kind, one.key[3], text, *flags)
        self.edits[place] = replace(edit, author=("the-last-one", "Update", ""))

    def _take_back(self) -> None:
        """Somebody takes an addition back: nothing is to be seen of it."""
        added = [e for e in self.edits if _is_updated_note(e) and e.deed == "added"]
        edit = self._hand.any(added)
        one = self._hand.objects[edit.key]
        self._hand.run(one, _VERBS[edit.where[1]], one.kind, one.key[3], f"{edit.where[-1]}-")
        self.edits.remove(edit)


_VERBS = {"labels": "label", "annotations": "annotate"}


def _is_updated_note(edit: Edit) -> bool:
    """Whether it wrote a label or an annotation, and not by an apply, which would conflict."""
    return bool(
        edit.where[:1] == ("metadata",)
        and edit.where[1] in _VERBS
        and edit.author
        and edit.author[1] == "Update"
    )


def _all(_one: Recorded) -> bool:
    return True


def _robust(one: Recorded) -> bool:
    return one.key[:2] not in _DELICATE


def _both(one: Fits, other: Fits) -> Fits:
    return lambda recorded: one(recorded) and other(recorded)


def _of(*kinds: str) -> Fits:
    def fits(one: Recorded) -> bool:
        return one.key[1] in kinds and (
            one.key[0] in ("", "apps") or one.key[0].endswith(".k8s.io")
        )

    return fits


def _custom(one: Recorded) -> bool:
    return "." in one.key[0] and not one.key[0].endswith(".k8s.io")


def _in_a_namespace(one: Recorded) -> bool:
    return bool(one.key[2])


_workload = _of(*_WORKLOADS)
_with_entries = _both(_of("ConfigMap"), lambda one: bool(one.body.get("data")))


def _scalable(one: Recorded) -> bool:
    """Of what an autoscaler targets Git has no replicas."""
    return _workload(one) and "replicas" in one.body["spec"]


_WAYS: Mapping[str, tuple[Way, Fits]] = {
    "add a label": (edits.add_note("label", "labels"), _all),
    "add an annotation": (edits.add_note("annotate", "annotations"), _all),
    "change a label": (
        edits.change_note("label", "labels"),
        _both(_robust, edits.has_notes("labels")),
    ),
    "change an annotation": (
        edits.change_note("annotate", "annotations"),
        _both(_robust, edits.has_notes("annotations")),
    ),
    "remove a label": (
        edits.remove_note("label", "labels"),
        _both(_robust, edits.has_notes("labels")),
    ),
    "remove an annotation": (
        edits.remove_note("annotate", "annotations"),
        _both(_robust, edits.has_notes("annotations")),
    ),
    "add a finalizer": (edits.add_finalizer, _robust),
    "scale": (edits.scale, _scalable),
    "add a variable": (edits.add_variable, _workload),
    "change a variable": (edits.change_variable, _both(_workload, edits.has_variables)),
    "remove a variable": (edits.remove_variable, _both(_workload, edits.has_variables)),
    "change an image": (edits.change_image, _workload),
    "add a request": (edits.add_request, _workload),
    "restart": (edits.restart, _of("DaemonSet", "Deployment", "StatefulSet")),
    "pause": (edits.pause, _of("Deployment")),
    "add a toleration": (edits.add_toleration, _workload),
    "add a volume": (edits.add_volume, _workload),
    "add a container": (edits.add_container, _workload),
    "add a port": (edits.add_port, _both(_of("Service"), lambda one: "ports" in one.body["spec"])),
    "add a rule": (
        edits.add_rule,
        _both(_of("ClusterRole", "Role"), lambda one: "aggregationRule" not in one.body),
    ),
    "add a subject": (edits.add_subject, _of("ClusterRoleBinding", "RoleBinding")),
    "add an entry": (edits.add_entry, _of("ConfigMap")),
    "change an entry": (edits.change_entry, _with_entries),
    "remove an entry": (edits.remove_entry, _with_entries),
    "edit a field": (field_edits.change_leaf(field_edits.by_editor), _robust),
    "patch a field": (field_edits.change_leaf(field_edits.by_patch), _robust),
    "replace an object": (field_edits.change_leaf(field_edits.by_replacing), _robust),
    "apply an object": (field_edits.change_leaf(field_edits.by_applying), _robust),
    "remove a field": (field_edits.remove_field, _robust),
    "apply a label": (edits.apply_label, _robust),
    "apply an entry": (edits.apply_entry, _with_entries),
    "apply a variable": (edits.apply_variable, _workload),
    "delete": (edits.delete, _robust),
    "create": (edits.create, _in_a_namespace),
    "create a namespace": (edits.create_namespace, _of("Namespace")),
    "expose": (edits.expose, _of("Deployment", "ReplicationController")),
    "autoscale": (edits.autoscale, _both(_of("Deployment"), _scalable)),
    "create a copy": (edits.create_copy, _custom),
    "apply a copy": (edits.apply_copy, _custom),
}
_AGAIN: Mapping[str, Callable[[Editor], None]] = {
    "another hand": Editor._second_hand,
    "overwrite": Editor._overwrite,
    "take back": Editor._take_back,
}
WAYS = (*_WAYS, *_AGAIN)
