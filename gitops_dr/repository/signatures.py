"""Says who signed a commit, and signs ours. Runs git, and through it ``ssh-keygen`` or ``gpg``.

Neither the repository's configuration nor the user's says which program checks, or whose keys
count: both are set here for the one command. SSH keys come from a file of our own making, which is
gone when the command has ended; GPG keys from the user's keyring, where their fingerprint counts
and not what the keyring thinks of them.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from gitops_dr.errors import UsageError
from gitops_dr.repository.repository import Repository
from gitops_dr.signers import Signer

SIGNING_KEY = "GITOPS_DR_SIGNING_KEY"
"""The variable that names the key which signs our commits."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SIGNATURE = re.compile(rb"^gpgsig(?:-sha256)? -----BEGIN ([A-Z ]+)-----$", re.MULTILINE)
_TAG_SIGNATURE = re.compile(rb"^-----BEGIN ([A-Z ]+)-----$", re.MULTILINE)
_SSH, _GPG = b"SSH SIGNATURE", (b"PGP SIGNATURE", b"PGP MESSAGE")
_GOOD_SSH = re.compile(
    r'^Good "git" signature for signer-(\d+) with \S+ key (SHA256:[A-Za-z0-9+/]+)$', re.MULTILINE
)
_GOOD_GPG = re.compile(r"^\[GNUPG:\] GOODSIG ", re.MULTILINE)
_VALID_GPG = re.compile(r"^\[GNUPG:\] VALIDSIG ([0-9A-F]+) (?:\S+ ){8}([0-9A-F]+)$", re.MULTILINE)
_MOST_TAGS = 50
"""Tags of one commit that are looked at."""
_KEY_ID = re.compile(r"(?:0x)?[0-9A-Fa-f]{16,64}!?")


def objection(repo: Repository, commit: str, signers: Collection[Signer]) -> str | None:
    """Why ``commit`` (a full id) does not count as signed by one of ``signers``; None if it does.

    Raises ``RepositoryError`` if the commit cannot be read.
    """
    if not _COMMIT.fullmatch(commit):
        return "this is not the full id of a commit"
    header = repo.git.run(["cat-file", "commit", commit]).partition(b"\n\n")[0]
    return _judge(repo, ["verify-commit", "--raw", commit], _SIGNATURE.search(header), signers)


def is_vouched_for(repo: Repository, commit: str, signers: Collection[Signer]) -> bool:
    """Whether a tag on ``commit`` (a full id) is signed by one of ``signers``.

    What the tag is called does not matter: whoever signed it has meant this very commit. Raises
    ``RepositoryError`` if tags cannot be read.
    """
    form = "--format=%(objecttype) %(objectname)"
    listed = repo.git.run(["for-each-ref", f"--count={_MOST_TAGS}", "--points-at", commit, form])
    for kind, tag in (line.split() for line in listed.decode().splitlines()):
        if kind != "tag":
            continue
        header, _, body = repo.git.run(["cat-file", "tag", tag]).partition(b"\n\n")
        # A tag of a tag points there as well, and says of this commit nothing.
        if not header.startswith(b"object %b\ntype commit\n" % commit.encode()):
            continue
        found = _TAG_SIGNATURE.search(body)
        if _judge(repo, ["verify-tag", "--raw", tag], found, signers) is None:
            return True
    return False


def _judge(
    repo: Repository,
    verify: Sequence[str],
    signature: re.Match[bytes] | None,
    signers: Collection[Signer],
) -> str | None:
    if signature is None:
        return "it is not signed"
    if signature[1] == _SSH:
        return _ssh_objection(repo, verify, [one for one in signers if one.is_ssh])
    if signature[1] in _GPG:
        return _gpg_objection(repo, verify, [one for one in signers if not one.is_ssh])
    return "its signature is neither SSH's nor GPG's"


def signing_key(environment: Mapping[str, str] = os.environ) -> str | None:
    """Which key is to sign our commits; None if none is.

    Raises ``UsageError`` for what is neither a file, nor a key, nor the id of a GPG key.
    """
    key = environment.get(SIGNING_KEY)
    if not key:
        return None
    literal = key.startswith(("key::", "ssh-"))
    if not key.isprintable() or not (
        literal or _KEY_ID.fullmatch(key) or Path(key).expanduser().is_file()
    ):
        raise UsageError(
            f"{SIGNING_KEY}: neither a file, nor an SSH public key, nor the id of a GPG key",
            hint="name the file of an SSH key, or give the fingerprint of a GPG key",
        )
    return key


def sign(repo: Repository, commit: str, key: str) -> str:
    """Make the same commit again, signed with ``key``; returns its id. No ref leads to it yet.

    Raises ``RepositoryError`` if it cannot be signed.
    """
    raw = repo.git.run(["cat-file", "commit", commit])
    header, _, message = raw.partition(b"\n\n")
    fields = [line.partition(b" ") for line in header.split(b"\n")]
    tree = next(value for name, _, value in fields if name == b"tree").decode()
    parents = [value.decode() for name, _, value in fields if name == b"parent"]
    people: dict[str, str] = {}
    for name, _, value in fields:
        if name in (b"author", b"committer"):
            people |= _person(name.decode().upper(), os.fsdecode(value))
    openpgp = _KEY_ID.fullmatch(key)
    settings = [
        *("-c", f"gpg.format={'openpgp' if openpgp else 'ssh'}"),
        *("-c", f"user.signingKey={key if openpgp else _path(key)}"),
    ]
    made = ["commit-tree", "-S", "-F", "-", *(f"-p{parent}" for parent in parents), tree]
    return repo.git.run([*settings, *made], stdin=message, env=people).decode().strip()


def _ssh_objection(
    repo: Repository, verify: Sequence[str], signers: Sequence[Signer]
) -> str | None:
    if not signers:
        return "it is signed with an SSH key, and only GPG keys are trusted"
    with tempfile.TemporaryDirectory(prefix="gitops-dr-") as folder:
        allowed = Path(folder) / "allowed_signers"
        allowed.write_text("".join(one.allowed(f"signer-{i}") for i, one in enumerate(signers)))
        good, said = repo.git.verdict(
            [
                *("-c", f"gpg.ssh.allowedSignersFile={allowed}"),
                *("-c", f"gpg.ssh.revocationFile={os.devnull}"),
                *("-c", "gpg.minTrustLevel=undefined"),
                *verify,
            ]
        )
    found = _GOOD_SSH.findall(said)
    if good and len(found) == 1:
        number, fingerprint = found[0]
        if int(number) < len(signers) and signers[int(number)].fingerprint == fingerprint:
            return None
    return "its SSH signature is by nobody who is trusted here, or does not fit it"


def _gpg_objection(
    repo: Repository, verify: Sequence[str], signers: Sequence[Signer]
) -> str | None:
    if not signers:
        return "it is signed with a GPG key, and only SSH keys are trusted"
    good, said = repo.git.verdict(["-c", "gpg.minTrustLevel=undefined", *verify])
    found = _VALID_GPG.findall(said)
    trusted = {one.fingerprint for one in signers}
    if good and len(found) == 1 and len(_GOOD_GPG.findall(said)) == 1:
        return None if trusted.intersection(found[0]) else "it is signed by nobody who is trusted"
    if "[GNUPG:] NO_PUBKEY" in said:
        return "the key that signed it is not in the keyring of gpg"
    return "its GPG signature is not good: expired, revoked or not of this commit"


def _person(who: str, written: str) -> dict[str, str]:
    """What makes git write the same name, address and time once more."""
    found = re.fullmatch(r"(.*) ?<(.*)> (\d+ [+-]\d{4})", written, re.DOTALL)
    if found is None:
        return {}
    name, email, when = found.groups()
    return {
        f"GIT_{who}_NAME": name.removesuffix(" "),
        f"GIT_{who}_EMAIL": email,
        f"GIT_{who}_DATE": f"@{when}",
    }


def _path(key: str) -> str:
    return key if key.startswith(("key::", "ssh-")) else str(Path(key).expanduser().absolute())
