"""Keys to sign commits with, made for the tests: two of SSH, one of GPG in a keyring of its own."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Key:
    """An SSH key; ``line`` trusts it."""

    file: Path
    line: str

    @property
    def settings(self) -> tuple[str, ...]:
        """What makes plain git sign with it."""
        return "-c", "gpg.format=ssh", "-c", f"user.signingKey={self.file}"


@dataclass(frozen=True)
class GpgKey:
    """A GPG key; ``line`` trusts it."""

    home: Path
    line: str

    @property
    def settings(self) -> tuple[str, ...]:
        """What makes plain git sign with it."""
        return "-c", "gpg.format=openpgp", "-c", f"user.signingKey={self.line}"


def ssh_key(folder: Path, name: str) -> Key:
    """Make one, without a passphrase."""
    file = folder / name
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@example.com", "-f", file]
    subprocess.run(made, check=True, stdin=subprocess.DEVNULL)
    return Key(file, file.with_suffix(".pub").read_text().strip())


@contextmanager
def gpg_key() -> Iterator[GpgKey]:
    """Make one in a keyring of its own, which ``GNUPGHOME`` must name; its agent ends with it."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        environment = os.environ | {"GNUPGHOME": home}

        def gpg(*arguments: str, program: str = "gpg") -> str:
            done = subprocess.run(
                [program, *arguments], env=environment, capture_output=True, text=True, check=True
            )
            return done.stdout

        quick = ["--batch", "--passphrase", "", "--quick-generate-key"]
        try:
            gpg(*quick, "carol <carol@example.com>", "ed25519", "sign", "never")
            listed = gpg("--with-colons", "--list-keys").splitlines()
            fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr:"))
            yield GpgKey(Path(home), fingerprint)
        finally:
            gpg("--kill", "all", program="gpgconf")
