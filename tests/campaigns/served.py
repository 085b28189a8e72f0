"""Runs the process of ``backend.py``, as the Service behind it would. Starts a process.

Everything stays on loopback, which no EndpointSlice may name; so its Service is an ExternalName for
localhost, and the API server resolves Services without the help of endpoints (``FLAGS``).
"""

from __future__ import annotations

import datetime
import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from campaigns import backend
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERVICE, NAMESPACE = "backend", "edge"
FLAGS = ("--enable-aggregator-routing=false",)
"""For the API server."""


@dataclass(frozen=True)
class Backend:
    """The process behind webhook and aggregated API."""

    port: int
    certificate: bytes

    def calls(self) -> dict[str, int]:
        """How often each was asked."""
        context = ssl.create_default_context(cadata=self.certificate.decode())
        with urllib.request.urlopen(
            f"https://localhost:{self.port}/calls", context=context
        ) as answer:
            calls: dict[str, int] = json.load(answer)
        return calls


@contextmanager
def serving(folder: Path) -> Iterator[Backend]:
    """Run the process for the length of the block."""
    certificate = _certificate(folder)
    process = subprocess.Popen(
        [sys.executable, backend.__file__, folder / "tls.crt", folder / "tls.key"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        yield Backend(int(process.stdout.readline()), certificate)
        process.stdin.close()
        process.wait(timeout=30)


def _certificate(folder: Path) -> bytes:
    """A certificate for the Service, signed by itself; written to the folder with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "backend")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = [x509.DNSName("localhost"), x509.DNSName(f"{SERVICE}.{NAMESPACE}.svc")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "tls.crt").write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "tls.key").write_bytes(private)
    return pem
