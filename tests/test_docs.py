"""The documentation tells the truth where a machine can know it: help, rules, links, names.

Reads the files of the project only.
"""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops_dr.config import cluster_settings
from gitops_dr.errors import ExitCode

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("cluster-repos/*/*.md")])
COMMANDS = ROOT / "docs" / "commands.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def load_script():
    spec = importlib.util.spec_from_file_location("scripts_docs", ROOT / "scripts" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


docs = load_script()
commands = docs.commands()


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named(pages: list[Path]) -> list:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages]


@pytest.mark.parametrize("page", named([docs.COMMANDS, docs.RULES, docs.POLICIES]))
def test_what_repeats_the_code_is_current(page):
    assert page.read_text(encoding="utf-8") == docs.pages()[page], "run `make docs`"


@pytest.mark.parametrize("command", commands)
def test_every_command_has_a_section_with_its_help(command):
    section = re.search(
        rf"^#+ {command}$\n(.*?)(?=^#+ |\Z)",
        COMMANDS.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert section, f"{command}: no section"
    assert f"<!-- help: {command} -->\n```text\nUsage: {command} " in section[1]


@pytest.mark.parametrize("verb", [line for line in commands if line.count(" ") == 1])
def test_every_verb_says_how_it_ends(verb):
    text = COMMANDS.read_text(encoding="utf-8").split(f"\n## {verb}\n")[1].split("\n## ")[0]
    # A paragraph, with its list if it has one.
    found = re.search(r"xit codes\s?(?:of all lab commands)?: (.*?)\n\n(?!- )", text, re.DOTALL)
    assert found, f"{verb}: no line of exit codes"
    codes = {int(code) for code in re.findall(r"(?<![\w-])\d+(?![\w-])", found[1])}
    assert 0 in codes
    assert codes <= set(ExitCode)


def test_every_exit_code_is_explained_and_no_other():
    table = COMMANDS.read_text(encoding="utf-8").split("## Exit codes")[1].split("\n## ")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == sorted(
        ExitCode
    )


@pytest.mark.parametrize("page", named(PAGES))
def test_links_lead_somewhere(page):
    dead = []
    for target in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            dead.append(target)
    assert not dead


def test_pages_that_the_code_names_are_there():
    named_pages = {
        name
        for file in [*ROOT.glob("gitops_dr/**/*.py"), *ROOT.glob("templates/**/*.j2")]
        for name in re.findall(r"docs/[\w/.-]+\.md", file.read_text(encoding="utf-8"))
    }
    assert "docs/configuration.md" in named_pages
    assert not [name for name in named_pages if not (ROOT / name).exists()]


def examples() -> Iterator[tuple[str, str]]:
    """The command lines of gitops-dr in fenced blocks, each with the page that it stands on."""
    for page in [*PAGES, ROOT / "templates" / "repository" / "README.md.j2"]:
        text = page.read_text(encoding="utf-8")
        blocks = [found["text"] for found in _FENCE.finditer(text)]
        blocks += re.findall(r"^ {4,}gitops-dr .*$", text, re.MULTILINE)
        for line in "\n".join(blocks).splitlines():
            found = re.match(r"\s*(?:\$ )?(?P<line>gitops-dr [a-z].*)", line)
            if found:
                yield str(page.relative_to(ROOT)), found["line"]


@pytest.mark.parametrize(("page", "line"), sorted(set(examples())))
def test_examples_use_commands_and_options_that_exist(page, line):
    words = shlex.split(re.sub(r"\{\{.*?\}\}", "X", line), comments=True)
    group = " ".join(words[:3])
    name = group if group in commands else " ".join(words[:2])
    assert name in commands, page
    known = {option for parameter in commands[name].params for option in parameter.opts} | {
        "--help"
    }
    used = {word.partition("=")[0] for word in words if re.match(r"--?[A-Za-z]", word)}
    assert used <= known, page


def test_every_variable_of_the_code_is_documented():
    used = {
        name
        for file in ROOT.glob("gitops_dr/**/*.py")
        for name in re.findall(
            r"GITOPS_DR_[A-Z_]+[A-Z]|KUBECONFIG|KUBEBUILDER_ASSETS", file.read_text()
        )
    }
    table = CONFIGURATION.read_text(encoding="utf-8").split("## Environment variables")[1]
    listed = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert listed == used


def test_the_example_of_the_configuration_is_one():
    text = CONFIGURATION.read_text(encoding="utf-8")
    example = next(found["text"] for found in _FENCE.finditer(text) if found["language"] == "yaml")
    settings = cluster_settings(example.encode(), cluster="shop", context=None, environment={})
    assert settings.context.value == "shop-admin"


@pytest.mark.parametrize("page", named(PAGES))
def test_targets_of_make_exist(page):
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    text = page.read_text(encoding="utf-8")
    used = re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", text, re.MULTILINE)
    assert {one or other for one, other in used} <= set(targets.split())


def test_every_decision_is_in_the_index():
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    pages = [page.name for page in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))]
    rows = re.findall(r"^\| \[(\d+)\]\(([\w.-]+)\) \|", index, re.MULTILINE)
    assert rows == [(f"{number:04}", page) for number, page in enumerate(pages, start=1)]
    assert all(page.startswith(f"{number}-") for number, page in rows)
