"""The actions and the example workflows, as data: what may run with which rights, and from where.

Reads .github/ and templates/github/. What the scripts of the actions do is tested beside this.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from gitops_dr.cli import app
from gitops_dr.resources import shipped

ROOT = Path(__file__).parent.parent.parent
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yaml"))
OWN_WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
TEMPLATES = sorted(shipped("templates/github").glob("*.yaml"))
WORKFLOWS = OWN_WORKFLOWS + TEMPLATES
OURS = re.compile(r"OWNER/gitops-dr/\.github/actions/([a-z]+)@COMMIT")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"


def named(paths: list[Path]) -> list:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def load(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    # YAML 1.1 takes the key `on` for a truth value.
    return {"on" if key is True else key: value for key, value in content.items()}


def triggers(workflow: dict[str, Any]) -> set[str]:
    on = workflow["on"]
    return {on} if isinstance(on, str) else set(on)


def jobs(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from workflow["jobs"].values()


def steps(path: Path) -> Iterator[dict[str, Any]]:
    content = load(path)
    if "runs" in content:
        yield from content["runs"]["steps"]
    for job in content.get("jobs", {}).values():
        yield from job["steps"]


def uses(path: Path, action: str) -> list[dict[str, Any]]:
    return [step for step in steps(path) if step.get("uses", "").startswith(f"{action}@")]


def test_there_are_some() -> None:
    assert [path.parent.name for path in ACTIONS] == ["drift", "export", "sync"]
    assert {path.stem for path in TEMPLATES} == {
        *("drift", "drift-of-forks", "drift-request", "export", "scheduled-drift", "sync")
    }


# -- what runs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", named(WORKFLOWS + ACTIONS))
def test_nothing_that_somebody_wrote_is_put_into_a_script(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", "")
        assert "script" not in step.get("with", {})


@pytest.mark.parametrize("path", named(WORKFLOWS))
def test_no_code_of_a_fork_runs_with_rights(path: Path) -> None:
    workflow = load(path)
    checkouts = uses(path, "actions/checkout")
    if "pull_request_target" in triggers(workflow):
        assert not checkouts
    if "workflow_run" in triggers(workflow):
        # Only the default branch, which is what a checkout takes there by itself.
        for step in checkouts:
            assert not {"ref", "repository", "allow-unsafe-pr-checkout"} & set(step["with"])
        for job in jobs(workflow):
            assert "github.event.workflow_run.event == 'pull_request'" in job["if"]
            assert not [step for step in job["steps"] if "run" in step]
            assert all(
                step["with"]["detail"] == "names"
                for step in job["steps"]
                if OURS.fullmatch(step["uses"])
            )


@pytest.mark.parametrize("path", named(WORKFLOWS))
def test_a_fork_s_own_run_gets_no_secret(path: Path) -> None:
    workflow = load(path)
    if "pull_request" not in triggers(workflow):
        return
    for job in jobs(workflow):
        if "secrets." in yaml.safe_dump(job) or "write" in yaml.safe_dump(job.get("permissions")):
            assert job["if"] == SAME_REPOSITORY


@pytest.mark.parametrize("path", named(WORKFLOWS))
def test_rights_are_named_and_few(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for job in jobs(workflow):
        written = {right for right, how in job.get("permissions", {}).items() if how != "read"}
        assert written <= {"contents"} if path.stem == "export" else written <= {"pull-requests"}
        assert 0 < job["timeout-minutes"] <= 120


@pytest.mark.parametrize("path", named(WORKFLOWS))
def test_only_the_export_may_push(path: Path) -> None:
    for step in uses(path, "actions/checkout"):
        assert step["with"]["persist-credentials"] is (path.stem == "export")


@pytest.mark.parametrize("path", named(TEMPLATES + ACTIONS))
def test_what_others_wrote_is_pinned_by_commit(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for step in steps(path):
        if "uses" in step and not OURS.fullmatch(step["uses"]):
            assert PINNED.fullmatch(step["uses"])
            # The name beside it is what people and update bots read.
            assert re.search(rf"uses: {re.escape(step['uses'])} # v\d+\.\d+\.\d+\n", text)


def test_one_action_has_one_pin() -> None:
    used = {step["uses"] for path in TEMPLATES + ACTIONS for step in steps(path) if "uses" in step}
    assert len({action.partition("@")[0] for action in used}) == len(used)


def test_both_halves_for_forks_belong_together() -> None:
    request, answer = (
        load(shipped(f"templates/github/{name}.yaml"))
        for name in ("drift-request", "drift-of-forks")
    )
    assert answer["on"]["workflow_run"]["workflows"] == [request["name"]]
    [upload] = uses(shipped("templates/github/drift-request.yaml"), "actions/upload-artifact")
    path = shipped("templates/github/drift-of-forks.yaml")
    [download] = uses(path, "actions/download-artifact")
    assert download["with"]["name"] == upload["with"]["name"]
    [ours] = [step for step in steps(path) if OURS.fullmatch(step["uses"])]
    assert ours["with"]["request"] == f"{download['with']['path']}/{upload['with']['path']}"


def test_two_exports_never_run_at_once() -> None:
    workflow = load(shipped("templates/github/export.yaml"))
    assert workflow["concurrency"] == {"group": "export", "cancel-in-progress": False}
    assert workflow["jobs"]["export"]["strategy"]["max-parallel"] == 1


# -- what fits together -------------------------------------------------------------------------


@pytest.mark.parametrize("path", named(TEMPLATES))
def test_the_templates_use_inputs_that_the_actions_have(path: Path) -> None:
    for step in steps(path):
        if found := OURS.fullmatch(step.get("uses", "")):
            inputs = load(ROOT / ".github" / "actions" / found[1] / "action.yaml")["inputs"]
            assert set(step["with"]) <= set(inputs)


@pytest.mark.parametrize("path", named(ACTIONS))
def test_every_input_is_used_and_every_output_comes_from_somewhere(path: Path) -> None:
    action = load(path)
    text = yaml.safe_dump(action["runs"])
    assert set(action["inputs"]) == set(re.findall(r"inputs\.([a-z-]+)", text))
    script = (path.parent / f"{path.parent.name}.sh").read_text(encoding="utf-8")
    for output in action["outputs"].values():
        name = re.fullmatch(r"\$\{\{ steps\.[a-z]+\.outputs\.([a-z-]+) \}\}", output["value"])[1]
        assert f"{name}=%s" in script


@pytest.mark.parametrize("path", named(ACTIONS))
def test_a_script_reads_what_its_action_gives_it(path: Path) -> None:
    verb = path.parent.name
    [step] = [step for step in steps(path) if f"{verb}.sh" in step.get("run", "")]
    script = (path.parent / f"{verb}.sh").read_text(encoding="utf-8")
    shared = (path.parent.parent / "kubeconfig.sh").read_text(encoding="utf-8")
    read = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", script + shared))
    of_the_runner = {"RUNNER_TEMP", *re.findall(r"GITHUB_(?!TOKEN)[A-Z_]+", script)}
    assert read - of_the_runner - {"BASH_SOURCE"} == set(step["env"])


@pytest.mark.parametrize("path", named(ACTIONS))
def test_a_script_uses_options_that_the_command_has(path: Path) -> None:
    verb = path.parent.name
    script = (path.parent / f"{verb}.sh").read_text(encoding="utf-8")
    lines = "\n".join(line for line in script.splitlines() if "arguments" in line)
    used = set(re.findall(r"(?<=[\"( ])(--[a-z-]+)=", lines))
    assert "--repo" in used
    command = typer.main.get_command(app).commands[verb]
    assert used <= {option for parameter in command.params for option in parameter.opts}
