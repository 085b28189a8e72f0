"""Reads ``volumes:`` of ``gitops-dr.yaml``: its shape, and what is meant by it. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gitops_dr.manifests.selector import Labels, ObjectSelector
from gitops_dr.volumes.hooks import parse_command, parse_timeout
from gitops_dr.volumes.policy import (
    Hook,
    Keep,
    OnError,
    VolumePolicy,
    VolumeSettings,
    WithoutData,
)
from gitops_dr.volumes.records import Survives

if TYPE_CHECKING:
    from pydantic import BaseModel

Refuse = Callable[[str, str, str], Exception]
"""Makes the error about a key of the file: its path, the problem, and a hint or nothing."""

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_AGE = re.compile(r"(?:[0-9]{1,5}[dhm]){1,3}", re.ASCII)
_OLDEST = timedelta(days=3660)
_WISHES = ("capture", "snapshotClass", "restore", "pre", "post")


@dataclass(frozen=True, slots=True)
class VolumesSection:
    """What the file says of volumes, for all clusters."""

    settings: VolumeSettings
    only: tuple[str | None, ...] = ()
    """Of each policy, the only cluster that it is about; None: about all."""

    def of(self, cluster: str) -> VolumeSettings:
        """What counts for one cluster."""
        pairs = zip(self.settings.policies, self.only, strict=True)
        return replace(
            self.settings, policies=tuple(one for one, only in pairs if only in (None, cluster))
        )


def shape(base: type[BaseModel]) -> tuple[type[BaseModel], dict[str, Collection[str]]]:
    """The model of the section, made from ``base``; and the keys that are known at each path."""
    from pydantic import Field

    class HookModel(base):  # type: ignore[misc, valid-type]
        command: Any
        container: str | None = Field(None, min_length=1)
        timeout: str | None = None
        onError: str | None = None  # noqa: N815 - as people write it

    class Policy(base):  # type: ignore[misc, valid-type]
        namespace: str | None = Field(None, min_length=1)
        name: str | None = Field(None, min_length=1)
        labels: Any = None
        cluster: str | None = None
        capture: bool | None = None
        snapshotClass: str | None = Field(None, min_length=1)  # noqa: N815
        restore: str | None = None
        pre: HookModel | None = None
        post: HookModel | None = None

    class KeepModel(base):  # type: ignore[misc, valid-type]
        last: int = Field(0, ge=0)
        hourly: int = Field(0, ge=0)
        daily: int = Field(0, ge=0)
        weekly: int = Field(0, ge=0)
        monthly: int = Field(0, ge=0)

    class Section(base):  # type: ignore[misc, valid-type]
        snapshotClasses: dict[str, str] | None = None  # noqa: N815
        survives: dict[str, str] | None = None
        keep: KeepModel | None = None
        maxAge: str | None = None  # noqa: N815
        policies: list[Policy] | None = None

    return Section, {
        "volumes": Section.model_fields,
        "volumes.keep": KeepModel.model_fields,
        "volumes.policies": Policy.model_fields,
        "volumes.policies.pre": HookModel.model_fields,
        "volumes.policies.post": HookModel.model_fields,
    }


def read_section(
    written: Mapping[str, Any],
    clusters: Collection[str],
    read_labels: Callable[[Any], Labels],
    refuse: Refuse,
) -> VolumesSection:
    """Make settings of a section that has the shape.

    ``clusters`` are those of the file, ``read_labels`` reads a selector of labels. Raises what
    ``refuse`` makes for what makes no sense.
    """
    reader = _Reader(clusters, read_labels, refuse)
    policies = [
        reader.policy(f"volumes.policies[{i}]", one)
        for i, one in enumerate(written.get("policies") or ())
    ]
    survives = {
        driver: reader.choice(f"volumes.survives.{driver}", said, Survives).value
        for driver, said in (written.get("survives") or {}).items()
    }
    classes = written.get("snapshotClasses") or {}
    for driver, name in classes.items():
        if not name:
            raise refuse(f"volumes.snapshotClasses.{driver}", "names no VolumeSnapshotClass", "")
    keep = Keep(**(written.get("keep") or {}))
    if written.get("keep") is not None and keep == Keep():
        hint = "give one of last, hourly, daily, weekly and monthly a number"
        raise refuse("volumes.keep", "keeps nothing", hint)
    max_age = written.get("maxAge")
    if max_age is not None:
        max_age = reader.read("volumes.maxAge", max_age, parse_age)
    return VolumesSection(
        VolumeSettings(tuple(policy for policy, _ in policies), classes, survives, keep, max_age),
        tuple(cluster for _, cluster in policies),
    )


def parse_age(text: str) -> timedelta:
    """Read an age such as ``26h``, ``7d`` or ``1d12h``.

    Raises ``ValueError`` for anything else, for nothing, and for more than ten years.
    """
    if not _AGE.fullmatch(text):
        raise ValueError(f"{text!r} is no age such as 26h or 7d")
    parts = re.findall(r"([0-9]+)([dhm])", text)
    found = sum((int(number) * _UNITS[unit] for number, unit in parts), timedelta())
    if not timedelta() < found <= _OLDEST:
        raise ValueError(f"{text!r} is not more than nothing and at most ten years")
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    clusters: Collection[str]
    read_labels: Callable[[Any], Labels]
    refuse: Refuse

    def policy(self, place: str, written: Mapping[str, Any]) -> tuple[VolumePolicy, str | None]:
        cluster = written.get("cluster")
        if cluster is not None and self.clusters and cluster not in self.clusters:
            near = _near(cluster, self.clusters)
            raise self.refuse(f"{place}.cluster", f"no cluster {cluster!r}", near)
        wishes = [key for key in _WISHES if key in written]
        if not wishes:
            hint = f"it takes one of {', '.join(_WISHES)}"
            raise self.refuse(place, "says nothing of the claims that it is about", hint)
        capture = written.get("capture", True)
        idle = [key for key in wishes if key in ("snapshotClass", "pre", "post")]
        if idle and not capture:
            raise self.refuse(
                f"{place}.{idle[0]}", "is of no use, because these claims are not captured", ""
            )
        labels: Labels = ()
        if "labels" in written:
            labels = self.read(f"{place}.labels", written["labels"], self.read_labels)
        selector = ObjectSelector(
            namespace=written.get("namespace"), name=written.get("name"), labels=labels
        )
        restore = written.get("restore")
        policy = VolumePolicy(
            selector=selector,
            capture=capture,
            snapshot_class=written.get("snapshotClass", ""),
            without_data=None
            if restore is None
            else self.choice(f"{place}.restore", restore, WithoutData),
            pre=self.hook(f"{place}.pre", written.get("pre")),
            post=self.hook(f"{place}.post", written.get("post")),
        )
        return policy, cluster

    def hook(self, place: str, written: Mapping[str, Any] | None) -> Hook | None:
        if written is None:
            return None
        command = self.read(f"{place}.command", written.get("command"), parse_command)
        on_error = self.choice(f"{place}.onError", written.get("onError", "fail"), OnError)
        hook = Hook(command, written.get("container", ""), on_error=on_error)
        if "timeout" in written:
            timeout = self.read(f"{place}.timeout", written["timeout"], parse_timeout)
            hook = replace(hook, timeout=timeout)
        return hook

    def read[T](self, place: str, written: Any, reader: Callable[[Any], T]) -> T:
        try:
            return reader(written)
        except ValueError as error:
            raise self.refuse(place, str(error), "") from error

    def choice[E: StrEnum](self, place: str, said: str, choices: type[E]) -> E:
        try:
            return choices(said)
        except ValueError as error:
            values = [one.value for one in choices]
            problem = f"{said!r} is none of {', '.join(values)}"
            raise self.refuse(place, problem, _near(said, values)) from error


def _near(word: str, known: Collection[str]) -> str:
    match = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {match[0]!r}?" if match else ""
