"""Puts a target's values into its patches: ``${values.NAME}`` and ``${secrets.NAME}``. Pure."""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

from gitops_dr.desired.target import Target
from gitops_dr.errors import UsageError
from gitops_dr.model import Body

_USE: Final = re.compile(
    r"\$?\$\{(?P<of>values|secrets)\.(?P<name>[A-Za-z]\w*)(?P<path>(?:\.[\w-]+)*)\}", re.ASCII
)


def filled(content: Any, target: Target, place: str, *, of_secret: bool) -> Any:
    """A copy of a patch with the target's values in it.

    A text that is one use and nothing else becomes the value, of whatever type; ``$${`` stands for
    itself. Encrypted values are for Secrets alone (``of_secret``). Raises ``UsageError``, which
    begins with ``place``, for a value that is not there, or not to be put there.
    """
    if isinstance(content, Mapping):
        return {
            key: filled(value, target, place, of_secret=of_secret) for key, value in content.items()
        }
    if isinstance(content, list):
        return [filled(item, target, place, of_secret=of_secret) for item in content]
    if not isinstance(content, str) or "${" not in content:
        return content
    values = _Values(target, place, of_secret=of_secret)
    whole = _USE.fullmatch(content)
    if whole is not None and not content.startswith("$$"):
        return values.of(whole)
    return _USE.sub(values.text, content)


class _Values:
    def __init__(self, target: Target, place: str, *, of_secret: bool) -> None:
        self._target = target
        self._place = place
        self._of_secret = of_secret

    def of(self, use: re.Match[str]) -> Any:
        known: Mapping[str, Any] = self._target.values
        if use["of"] == "secrets":
            if not self._of_secret:
                raise self._refuse(use, "is for Secrets only: any reader sees other objects")
            known = self._target.secret_values
        if use["name"] not in known:
            near = difflib.get_close_matches(use["name"], list(known), n=1)
            raise self._refuse(use, "there is no such value", *near)
        value = known[use["name"]]
        if use["of"] == "secrets":
            return value.reveal()
        for step in use["path"].split(".")[1:]:
            if not isinstance(value, Mapping) or step not in value:
                raise self._refuse(use, f"there is no {step} in it")
            value = value[step]
        return value

    def text(self, use: re.Match[str]) -> str:
        if use[0].startswith("$$"):
            return use[0][1:]
        value = self.of(use)
        if isinstance(value, bool):
            return "true" if value else "false"
        if value is None or isinstance(value, Mapping | list):
            raise self._refuse(use, "is no text, and stands within one")
        return str(value)

    def _refuse(self, use: re.Match[str], problem: str, near: str = "") -> UsageError:
        hint = f"did you mean {near!r}?" if near else "docs/targets.md tells about values"
        return UsageError(f"{self._place}: {use[0]}: {problem}", hint=hint)


def with_encoded(secret: Body) -> Body:
    """A Secret whose ``stringData`` is in its ``data``, as an API server keeps it."""
    written = secret.get("stringData")
    if not isinstance(written, Mapping):
        return secret
    encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in written.items()}
    rest = {key: value for key, value in secret.items() if key != "stringData"}
    return {**rest, "data": {**(secret.get("data") or {}), **encoded}}
