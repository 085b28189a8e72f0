"""A person at kubectl, and the objects of a repository as kubectl names them. Runs kubectl."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from campaigns.independent import Api, Body, Key, key_of

NAMES = ("dana", "robot", "fleet/agent", "release-bot", "Ünal")
"""What is given as ``--field-manager``."""

_SECONDS = 120

# Plays the editor of a person: `kubectl edit` starts it with the name of a file.
_EDITOR = """
import json, os, sys
with open(sys.argv[1]) as file:
    body = json.load(file)
*way, last = json.loads(os.environ["EDIT_PATH"])
holder = body
for step in way:
    holder = holder[step]
holder[last] = json.loads(os.environ["EDIT_VALUE"])
with open(sys.argv[1], "w") as file:
    json.dump(body, file)
"""


class Refused(Exception):  # noqa: N818 - that the API server says no is no error here
    """An edit that cannot be made of this object."""


@dataclass(frozen=True)
class Recorded:
    """One object as it is in Git."""

    key: Key
    body: Body
    version: str
    plural: str

    @property
    def kind(self) -> str:
        """As kubectl takes it: plural, version and group."""
        return f"{self.plural}.{self.version}.{self.key[0]}"

    @property
    def path(self) -> str:
        """Where the API server has the object."""
        group, _, namespace, name = self.key
        root = f"/apis/{group}/{self.version}" if group else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{place}/{self.plural}/{name}"


def read_recorded(folder: Path) -> dict[Key, Recorded]:
    """Every object in a cluster's folder. Its files are canonical: any reader reads them alike."""
    kinds = yaml.safe_load((folder / "recovery" / "coverage.yaml").read_text())["kinds"]
    kind_of = {(each["group"], each["kind"]): each for each in kinds}
    found = {}
    for file in sorted(folder.rglob("*.yaml")):
        if "recovery" not in file.relative_to(folder).parts:
            body = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
            key = key_of(body)
            kind = kind_of[key[:2]]
            found[key] = Recorded(key, body, kind["version"], kind["resource"])
    return found


class Hand:
    """Makes edits of single objects, and random choices."""

    def __init__(
        self,
        api: Api,
        kubectl: Path,
        kubeconfig: Path,
        folder: Path,
        objects: Mapping[Key, Recorded],
        chance: random.Random,
    ) -> None:
        """``folder`` is a home for kubectl; ``objects`` is everything that is in Git."""
        self.api = api
        self.objects = objects
        self.chance = chance
        self.autoscaled = {
            (key[2], each.body["spec"]["scaleTargetRef"]["name"])
            for key, each in objects.items()
            if key[1] == "HorizontalPodAutoscaler"
        }
        """Namespace and name of what an autoscaler targets."""
        editor = folder / "editor.py"
        editor.write_text(_EDITOR)
        self._command = [str(kubectl), "--kubeconfig", str(kubeconfig)]
        self._environment = {
            "HOME": str(folder),
            "KUBE_EDITOR": f"{sys.executable} {editor}",
            "PATH": os.environ["PATH"],
        }

    def run(self, one: Recorded, *arguments: str, given: object = None, **environment: str) -> None:
        """Run kubectl where the object is. Raises ``Refused`` with its words if it fails."""
        place = ("-n", one.key[2]) if one.key[2] else ()
        done = subprocess.run(
            [*self._command, *place, *arguments],
            env=self._environment | environment,
            input="" if given is None else json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        if done.returncode:
            raise Refused(done.stderr)

    def patch(self, one: Recorded, change: object, *flags: str) -> None:
        """``kubectl patch``, strategic unless the flags say otherwise."""
        self.run(one, "patch", one.kind, one.key[3], *flags, "-p", json.dumps(change))

    def live(self, one: Recorded) -> Body:
        """The object as it is. Raises ``Refused`` if it is not there."""
        status, body = self.api.call("GET", one.path)
        if status != 200:
            raise Refused(body)
        return body  # type: ignore[no-any-return]

    def dry_run(self, one: Recorded, operation: Body) -> Body:
        """What one operation of a JSON Patch would make of it. Raises ``Refused`` if nothing."""
        path = f"{one.path}?dryRun=All&fieldValidation=Strict"
        status, body = self.api.call("PATCH", path, [operation], "application/json-patch+json")
        if status != 200:
            raise Refused(body)
        return body  # type: ignore[no-any-return]

    def name(self) -> str:
        """A field manager that somebody chose."""
        return self.chance.choice(NAMES)

    def word(self) -> str:
        """Good as a name, a key or a value, and new."""
        return f"n{self.chance.randrange(10**9)}"

    def any(self, choices: Any) -> Any:
        """One of them. Raises ``Refused`` if there are none."""
        if not choices:
            raise Refused("nothing to choose from")
        return self.chance.choice(list(choices))
