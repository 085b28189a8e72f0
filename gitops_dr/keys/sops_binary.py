"""Opens files that are encrypted to other keys than age's, by a ``sops`` on PATH. Runs that.

The file goes in by standard input and comes back by standard output: nothing plain is ever on disk
or in an argument.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Final

import orjson

from gitops_dr.errors import SecretError
from gitops_dr.keys.running import run
from gitops_dr.model import Body
from gitops_dr.secrets.identities import Identities
from gitops_dr.secrets.sops import Sealed, open_sealed

_SECONDS: Final = 120.0
"""A key service on the network may be slow, and PGP may ask a person for a password."""

_CODES: Final = {
    25: "a value was changed, or moved from another place",
    51: "something in it was changed, moved or put in another order (MAC mismatch)",
    128: "no key at hand opens it",
}
"""What exit codes of ``sops`` mean. Its messages are not shown: they may quote the file.
https://github.com/getsops/sops/blob/v3.11.0/cmd/sops/codes/codes.go"""


def open_with_any(
    sealed: Sealed,
    identities: Identities,
    environment: Mapping[str, str],
    *,
    seconds: float = _SECONDS,
) -> Body:
    """Decrypt a file by an age identity, or else by ``sops`` if it has keys of other kinds.

    ``environment`` is that of ``sops``, and its PATH is searched for it. Raises ``SecretError`` as
    ``open_sealed`` does, and where ``sops`` is missing, fails or gives no answer in ``seconds``.
    """
    if not sealed.other_keys:
        return open_sealed(sealed, identities)
    if sealed.recipients and identities.found and "key_groups" not in sealed.other_keys:
        try:
            return open_sealed(sealed, identities)
        except SecretError:
            if not _program(environment):
                raise
    return _opened(sealed, environment, seconds)


def _program(environment: Mapping[str, str]) -> str | None:
    return shutil.which("sops", path=environment.get("PATH", ""))


def _opened(sealed: Sealed, environment: Mapping[str, str], seconds: float) -> Body:
    kinds = " and ".join(sealed.other_keys)
    program = _program(environment)
    if program is None:
        raise SecretError(
            f"{sealed.place}: encrypted to {kinds}, and there is no sops on PATH to open it",
            hint="install sops 3 and what it needs to reach those keys",
        )
    hint = f"try it: sops --decrypt {sealed.place}"
    try:
        done = run(
            [program, "--decrypt", "--input-type", "yaml", "--output-type", "json", "/dev/stdin"],
            {**environment, "SOPS_DISABLE_VERSION_CHECK": "1"},
            seconds,
            data=sealed.data,
            silent=True,
        )
    except TimeoutError as error:
        raise SecretError(f"{sealed.place}: sops: {error} ({kinds})", hint=hint) from None
    except OSError as error:
        raise SecretError(f"{sealed.place}: sops: {error.strerror}", hint=hint) from None
    if done.code:
        reason = _CODES.get(done.code, f"sops ended with {done.code}")
        raise SecretError(f"{sealed.place}: {reason} ({kinds})", hint=hint)
    try:
        body = orjson.loads(done.output)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise SecretError(f"{sealed.place}: sops printed no manifest", hint=hint)
    return body
