"""Files that are no manifests, each beside a good one: exactly the bad are named, file and line.

Which are bad is for others to say: kubectl, and where two readers could differ, a plain rule.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from campaigns.independent import Api
from campaigns.loader import load
from campaigns.rebuilding import Figures
from command import git, gitops_dr
from corpus import corpus

from gitops_dr import lab as labs
from gitops_dr.lab import assets

CLUSTER = "malformed"
TWINS = f"clusters/{CLUSTER}/namespaces/twins/configmaps"
NEAR = 2
"""Lines by which two readers may disagree about where it went wrong."""

# Where the line is another than a second reader's.
ELSEWHERE: Mapping[str, str] = {
    "alertmanager-config-with-template.yaml": "told where the quoted text ends, not where it begins"
}


@dataclass(frozen=True)
class File:
    """One real file that is no good, or perhaps is."""

    name: str
    """Its path in the archive; the first folder says what is wrong."""
    path: str
    """Its path in our repository."""
    data: bytes

    @property
    def lines(self) -> list[str]:
        """Its lines, whatever the encoding."""
        return self.data.decode(errors="replace").splitlines() or [""]


@pytest.fixture(scope="module")
def files() -> list[File]:
    with tarfile.open(corpus() / "malformed.tar.gz") as archive:
        members = [each for each in archive.getmembers() if each.isfile()]
        found = []
        for number, member in enumerate(members):
            content = archive.extractfile(member)
            assert content is not None
            path = f"{TWINS}/bad-{number:03}.yaml"
            found.append(File(member.name, path, content.read()))
    return found


def objection(file: File, kubectl: Path, environment: dict[str, str], folder: Path) -> str:
    """Why a file is not exactly one manifest that all read alike; empty if it is."""
    copy = folder / "file.yaml"
    copy.write_bytes(file.data)
    done = subprocess.run(
        [kubectl, "create", "--dry-run=client", "--validate=false", "-o=name", "-f", copy],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # A kind that this server does not have was read all the same.
    names = re.findall(r'resource mapping not found for name: "([^"]*)"', done.stderr)
    names += done.stdout.split()
    if done.returncode and not names:
        return "kubectl does not read it"
    if "error parsing" in done.stderr or "error converting" in done.stderr:
        return "kubectl does not read all of it"
    if len(names) > 1:
        return "several manifests"
    if not names[0]:
        return "a manifest without a name"
    try:
        file.data.decode("utf-8")
    except UnicodeDecodeError:
        return "not UTF-8"
    return "duplicate keys" if _has_duplicate_keys(file.data) else ""


class _Loader(yaml.BaseLoader):
    """Takes every scalar for a string, and the same anchor twice, as YAML 1.2 does."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(getattr(event, "anchor", None), None)
        return super().compose_node(parent, index)


def _has_duplicate_keys(data: bytes) -> bool:
    # kubectl takes the last of them, others the first, the API server's strict mode refuses.
    def check(node: yaml.Node) -> bool:
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(keys)) < len(keys):
                return True
            return any(check(child) for pair in node.value for child in pair)
        return isinstance(node, yaml.SequenceNode) and any(map(check, node.value))

    root = yaml.compose(data, Loader=_Loader)
    return root is not None and check(root)


def misplaced(file: File, line: int, message: str) -> str:
    """Why this cannot be the line that is meant; empty if it can."""
    if not 1 <= line <= len(file.lines):
        return f"the file has {len(file.lines)} lines"
    if not file.data.decode(errors="replace").strip() or file.name.startswith(
        ("empty", "not-utf8")
    ):
        return "" if line == 1 else "there is nothing in it to point at"
    around = "\n".join(file.lines[max(0, line - NEAR) : line + 1])
    named = re.search(r"key: (\S+)|tag (\S+)|key (on),", message)
    if named and next(filter(None, named.groups())) in around:
        return ""
    if re.search(r"\{\{|\}\}|\{%", around) or "manifest" in message or "no metadata" in message:
        return ""
    try:
        list(yaml.load_all(file.data, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        assert mark is not None
        if abs(mark.line + 1 - line) <= NEAR or Path(file.name).name in ELSEWHERE:
            return ""
        return f"another reader stops at line {mark.line + 1}"
    return f"nothing is wrong there: {around!r}"


def test_exactly_the_bad_files_are_named(
    files: list[File], lab_home: Path, tmp_path: Path, figures: Figures
) -> None:
    repo = tmp_path / "repository"
    assert gitops_dr("init", str(repo), "--cluster", CLUSTER).code == 0
    with labs.running("malformed") as lab, Api(lab.server, lab.pki) as api:
        reach = labs.service_account_kubeconfig(lab)
        loaded = load(api, _twins(len(files)))
        assert not loaded.refused
        assert gitops_dr("export", "--repo", str(repo), kubeconfig=reach).code == 0
        kubectl = assets().path("kubectl")
        environment = os.environ | {"KUBECONFIG": str(lab.kubeconfig), "HOME": str(tmp_path)}
        objections = {f.path: objection(f, kubectl, environment, tmp_path) for f in files}
        good = _distinct(file for file in files if not objections[file.path])
        for file in files:
            if objections[file.path] or file in good.values():
                (repo / file.path).write_bytes(file.data)
        git(repo, "add", "--all")
        git(repo, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", "Add all")

        drift = gitops_dr("drift", "--repo", str(repo), "-o", "json", kubeconfig=reach)
        api.call("DELETE", "/api/v1/namespaces/twins/configmaps?labelSelector=twin")
        plan = gitops_dr("plan", "--repo", str(repo), "-o", "json", kubeconfig=reach)
    assert (drift.code, plan.code) == (3, 3), drift.err + plan.err
    wrong = [
        problem
        for said in (drift, plan)
        for problem in _problems(files, objections, said.json["gaps"])
    ]
    wrong += [
        f"the twin {each['ref']['name']}: {each['state']}"
        for each in drift.json["differences"]
        if each["ref"]["namespace"] == "twins" and each["ref"]["name"].startswith("twin-")
    ]
    missing = {
        (each["ref"]["kind"], each["ref"]["namespace"], each["ref"]["name"])
        for each in drift.json["differences"]
        if each["state"] == "missing"
    }
    wrong += [f"{good[each].name}: is good and not seen" for each in good.keys() - missing]
    created = {
        each["ref"]["name"]
        for each in plan.json["steps"]
        if each["ref"]["namespace"] == "twins" and each["action"] == "create"
    }
    wrong += [f"twin-{n:03}: not in the plan" for n in range(len(files)) if _twin(n) not in created]
    tally = Counter(reason or "good" for reason in objections.values())
    figures(
        f"malformed: {len(files)} files, each beside a good twin: {dict(tally.most_common())} "
        f"({tally['good'] - len(good)} of the good left out: the same object twice); "
        f"{len(wrong)} told wrongly by drift and plan"
    )
    assert not wrong, "\n".join(wrong)


def _distinct(files: Iterable[File]) -> dict[tuple[str, str, str], File]:
    """By kind, namespace and name; two files with the same object are another test's matter."""
    found: dict[tuple[str, str, str], File] = {}
    for file in files:
        body = yaml.load(file.data, Loader=_Loader)
        metadata = body["metadata"]
        key = body["kind"], metadata.get("namespace", ""), metadata["name"]
        found.setdefault(key, file)
    return found


def _problems(
    files: list[File], objections: Mapping[str, str], gaps: list[dict[str, Any]]
) -> list[str]:
    said = {gap["ref"]["name"]: gap["reason"] for gap in gaps if gap["ref"]["kind"] == "File"}
    problems = [f"{path}: is none of ours" for path in said.keys() - objections.keys()]
    for file in files:
        reason = said.get(file.path, "")
        expected = objections[file.path]
        if bool(reason) != bool(expected):
            problems.append(f"{file.name}: {expected or 'good'}, but told as {reason or 'good'}")
        if not reason:
            continue
        place = re.match(rf"{re.escape(file.path)}:(\d+): (.+)", reason)
        if not place:
            problems.append(f"{file.name}: told without file and line: {reason}")
        elif why := misplaced(file, int(place[1]), place[2]):
            problems.append(f"{file.name}: told as {reason}; {why}")
    return problems


def _twin(number: int) -> str:
    return f"twin-{number:03}"


def _twins(count: int) -> list[dict[str, Any]]:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "twins"}}
    lines = [{"phase": "0", "path": "/api/v1/namespaces", "object": namespace}]
    for number in range(count):
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": _twin(number), "namespace": "twins", "labels": {"twin": "good"}},
            "data": {"number": str(number)},
        }
        path = "/api/v1/namespaces/twins/configmaps"
        lines.append({"phase": "1", "path": path, "object": body})
    return lines
