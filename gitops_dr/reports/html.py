"""A report as one HTML page that needs nothing else: no network, no script to be read. Pure.

Pages come from ``reports/templates``. Everything in them is escaped by Jinja, after control
characters are made visible; a page's policy lets only its own script and style run, by their
hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gitops_dr.reports.text import count, shown_line
from gitops_dr.resources import shipped

if TYPE_CHECKING:
    from jinja2 import Environment


def render(
    template: str, values: Mapping[str, Any], *, styles: Sequence[str], script: str = ""
) -> str:
    """Fill a template; ``styles`` and ``script`` are the files that it has inside of it."""
    from markupsafe import Markup

    folder = shipped("reports/templates")
    style = "".join((folder / name).read_text("utf-8") for name in styles)
    running = (folder / script).read_text("utf-8") if script else ""
    policy = (
        f"default-src 'none'; script-src {_hash(running) if script else "'none'"}; "
        f"style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    # The only text that is not escaped, and our own.
    own = {"script": Markup(running), "style": Markup(style), "policy": Markup(policy)}  # noqa: S704
    return _environment().get_template(template).render(dict(values) | own).rstrip("\n")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(shipped("reports/templates")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = count
    return environment


def _visible(value: Any) -> Any:
    """Show the control characters of whatever is put on the page; lines stay lines."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return "\n".join(map(shown_line, value.split("\n")))
    return value


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
