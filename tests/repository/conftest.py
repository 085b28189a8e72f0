"""Fixtures over the real git: fresh repositories, and a plain git beside our door."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gitops_dr.repository.commit import commit
from gitops_dr.repository.repository import create_repository, head


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("GIT_") or name == "EMAIL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))


@pytest.fixture
def repo(tmp_path):
    return create_repository(tmp_path / "repo")


@pytest.fixture
def plain():
    """Runs git as a user would: with the repository's hooks, filters and programs."""

    def run(where, *args: str, check: bool = True) -> str:
        root = where if isinstance(where, Path) else where.root
        me = ["-c", "user.name=Someone", "-c", "user.email=someone@example.com"]
        done = subprocess.run(
            ["git", *me, *args],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.rstrip("\n")

    return run


@pytest.fixture
def save():
    """Commits changes on top of HEAD through our own function."""

    def run(repo, changes, **overrides):
        options = {
            "message": "Export",
            "trailers": {},
            "guard": lambda path, data: None,
            "expected": head(repo),
        }
        return commit(repo, changes=changes, **(options | overrides))

    return run


@pytest.fixture
def files():
    """What is in the worktree: path → bytes, links as their targets."""

    def read(repo) -> dict[str, bytes]:
        found = {}
        for path in sorted(repo.root.rglob("*")):
            name = path.relative_to(repo.root).as_posix()
            if name == ".git" or name.startswith(".git/"):
                continue
            if path.is_symlink():
                found[name] = os.fsencode(path.readlink())
            elif path.is_file():
                found[name] = path.read_bytes()
        return found

    return read


@pytest.fixture
def trap(tmp_path):
    """Sets every program that a repository can name to a script; gives the file that it makes."""
    marker = tmp_path / "sprung"
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\necho \"$0 $@\" >>'{marker}'\n[ $# -gt 0 ] || cat\n")
    script.chmod(0o755)

    def arm(repo) -> Path:
        hooks = repo.git_dir / "hooks"
        hooks.mkdir(exist_ok=True)
        for name in (
            *("reference-transaction", "pre-commit", "commit-msg", "post-commit"),
            *("post-checkout", "post-index-change", "pre-auto-gc", "prepare-commit-msg"),
        ):
            (hooks / name).symlink_to(script)
        settings = {
            "core.fsmonitor": script,
            "core.hooksPath": hooks,
            "core.pager": script,
            "core.editor": script,
            "core.askPass": script,
            "core.sshCommand": script,
            "credential.helper": script,
            "gpg.program": script,
            "commit.gpgSign": "true",
            "tag.gpgSign": "true",
            "log.showSignature": "true",
            "diff.external": script,
            "diff.trap.textconv": script,
            "diff.trap.command": script,
            "filter.trap.clean": script,
            "filter.trap.smudge": script,
            "filter.trap.required": "true",
            "merge.trap.driver": script,
            "trailer.trap.command": script,
            "core.autocrlf": "true",
            "core.eol": "crlf",
            "core.repositoryFormatVersion": "1",
            "extensions.partialClone": "origin",
            "remote.origin.promisor": "true",
            "remote.origin.url": f"ext::{script} %S",
            "protocol.ext.allow": "always",
            "submodule.recurse": "true",
        }
        with (repo.git_dir / "config").open("a") as config:
            for name, value in settings.items():
                section, _, key = name.rpartition(".")
                section, _, subsection = section.partition(".")
                shown = f'{section} "{subsection}"' if subsection else section
                config.write(f'[{shown}]\n\t{key} = "{value}"\n')
        attributes = "* text eol=crlf filter=trap diff=trap merge=trap ident\n"
        (repo.git_dir / "info").mkdir(exist_ok=True)
        (repo.git_dir / "info" / "attributes").write_text(attributes)
        (repo.root / ".gitattributes").write_text(attributes)
        return marker

    return arm
