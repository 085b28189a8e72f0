"""Keys, and a repository with encrypted Secrets, for tests over real git and the real sops."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyrage
from command import commit_all, git
from small_cluster import new_repo

from gitops_dr.engine.opening import Where
from gitops_dr.secrets.sops import seal

SOPS = Path(sys.executable).with_name("sops")
NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Key:
    """One age identity, in a file as people keep it."""

    file: Path
    recipient: str


def new_key(folder: Path, name: str) -> Key:
    identity = pyrage.x25519.Identity.generate()
    file = folder / f"{name}.txt"
    file.write_text(f"{identity}\n")
    file.chmod(0o600)
    return Key(file, str(identity.to_public()))


def secret(name: str = "db", namespace: str = "shop", **values: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {"name": name}},
        "stringData": values or {"password": "tr0ub4dor"},
    }


def place(name: str = "db", namespace: str = "shop") -> str:
    return f"clusters/prod/namespaces/{namespace}/secrets/{name}.yaml"


class Repo:
    """A repository with cluster ``prod``, and who works in it."""

    def __init__(self, path: Path) -> None:
        self.path = new_repo(path)
        self.home = path.parent / "home"
        self.home.mkdir()

    def where(self, key: Key | Path | None = None) -> Where:
        environment = {"HOME": str(self.home)}
        if key:
            environment["SOPS_AGE_KEY_FILE"] = str(key.file if isinstance(key, Key) else key)
        return Where(self.path, environment=environment)

    def put(self, path: str, data: bytes | str) -> str:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        return commit_all(self.path, f"Put {path}")

    def seal(self, *keys: Key, name: str = "db", namespace: str = "shop", **values: str) -> str:
        body = secret(name, namespace, **values)
        data = seal(body, [key.recipient for key in keys], now=NOW)
        self.put(place(name, namespace), data)
        return place(name, namespace)

    def rules(self, *keys: Key, regex: str = "^clusters/prod/") -> None:
        age = ",".join(key.recipient for key in keys)
        self.put(".sops.yaml", f"creation_rules:\n- path_regex: {regex}\n  age: {age}\n")

    def read(self, path: str) -> bytes:
        return (self.path / path).read_bytes()

    @property
    def head(self) -> str:
        return git(self.path, "rev-parse", "HEAD").strip()

    @property
    def commits(self) -> int:
        return int(git(self.path, "rev-list", "--count", "HEAD"))

    @property
    def clean(self) -> bool:
        return not git(self.path, "status", "--porcelain").strip()

    def sops(self, *arguments: str, key: Key | None = None, check: bool = True):
        """The real thing, which sees nothing of whoever runs the tests."""
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        if key:
            environment["SOPS_AGE_KEY_FILE"] = str(key.file)
        return subprocess.run(
            [SOPS, *arguments],
            cwd=self.path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=check,
        )
