"""A lab's keys and certificates. Writes into the lab's own folder, keys for their owner only.

One authority signs everything: the serving certificate, the clients of the API server and the
connections to etcd. A lab that starts from a saved one keeps its authority and its
service-account key, so that tokens and published CA bundles in the saved content stay true.
Only the supervisor imports this, so ``cryptography`` is no cost to the command line.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gitops_dr.errors import LabError

CLIENTS = {
    "admin": ("kubernetes-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
}
"""Common name and organisation of each client certificate, by the name of its files."""

_DNS_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
# A saved lab may be started years later; nobody rotates a throwaway's certificates.
_LIFETIME = datetime.timedelta(days=3650)
_BACKDATED = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Authority:
    name: x509.Name
    key: ec.EllipticCurvePrivateKey


def write(folder: Path, service_ip: str) -> None:
    """Write ``ca``, ``server`` and one pair for each of ``CLIENTS`` (.crt, .key), and ``sa.key``.

    An authority and a service-account key that are in the folder already are used as they are.
    ``service_ip`` is the address of the ``kubernetes`` Service.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "sa.key").exists():
        _save_key(folder / "sa.key", _new_key())
    authority = _authority(folder)
    addresses = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address(service_ip))
    names = [
        *(x509.DNSName(name) for name in _DNS_NAMES),
        *(x509.IPAddress(address) for address in addresses),
    ]
    client, server = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
    # etcd uses its serving certificate towards its peers as well, so it is both.
    _issue(folder / "server", _subject("kube-apiserver"), authority, (server, client), names)
    for file, (common_name, organisation) in CLIENTS.items():
        _issue(folder / file, _subject(common_name, organisation), authority, (client,))


def _authority(folder: Path) -> _Authority:
    certificate_file, key_file = folder / "ca.crt", folder / "ca.key"
    if certificate_file.exists():
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        kept = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(kept, ec.EllipticCurvePrivateKey):
            raise LabError("ca.key: the saved lab's key is not one that a lab makes")
        return _Authority(certificate.subject, kept)
    authority = _Authority(_subject("kubernetes"), _new_key())
    builder = _builder(authority.name, authority.key, authority)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    _save(certificate_file, builder, authority)
    _save_key(key_file, authority.key)
    return authority


def _issue(
    stem: Path,
    subject: x509.Name,
    authority: _Authority,
    purposes: Iterable[x509.ObjectIdentifier],
    names: Iterable[x509.GeneralName] = (),
) -> None:
    key = _new_key()
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = _builder(subject, key, authority)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    builder = builder.add_extension(issuer, critical=False)
    if alternatives := list(names):
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    _save(stem.with_suffix(".crt"), builder, authority)
    _save_key(stem.with_suffix(".key"), key)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, authority: _Authority
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
        .add_extension(identifier, critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(common_name: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _save(path: Path, builder: x509.CertificateBuilder, authority: _Authority) -> None:
    certificate = builder.sign(authority.key, hashes.SHA256())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _save_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
