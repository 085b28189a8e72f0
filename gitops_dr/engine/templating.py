"""Renders a target's templates in a process of its own, which may take so much and no more.

Starts that process and ends it. A loop in a template, or a number of a million digits, cannot be
stopped in any other way.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from gitops_dr.desired.templates import TemplateError, render
from gitops_dr.errors import ManifestError
from gitops_dr.manifests.limits import MAX_BYTES
from gitops_dr.model import MaskedValue

SECONDS = 5.0
"""How long all templates of a target may take together."""
_MEMORY = 1 << 30
"""Bytes; Python and Jinja alone take a tenth of it."""

_ENDED = (-9, -24)
"""How a process ends that has had all its time: SIGKILL and SIGXCPU."""

_CHILD = "from gitops_dr.engine.templating import child; child()"


def render_templates(
    templates: Mapping[str, str],
    variables: Mapping[str, Any],
    secrets: Mapping[str, MaskedValue],
    *,
    seconds: float = SECONDS,
) -> dict[str, bytes]:
    """Render each template, by its path. ``secrets`` are seen by templates as ``secrets.NAME``.

    Raises ``ManifestError`` that names path and line for the first one that cannot be rendered.
    """
    if not templates:
        return {}
    plain = {name: value.reveal() for name, value in secrets.items()}
    job = {
        "templates": list(templates.items()),
        "variables": {**variables, "secrets": plain},
        "secret": list(plain.values()),
        "seconds": seconds,
    }
    found: dict[str, bytes] = {}
    lines, problem = _answers(json.dumps(job).encode(), seconds)
    for line in lines:
        answer = json.loads(line)
        path = answer["path"]
        if "problem" in answer:
            raise ManifestError(path, answer["line"], answer["problem"], hint=_HINT)
        found[path] = answer["text"].encode()
    unfinished = [path for path in templates if path not in found]
    if unfinished:
        raise ManifestError(unfinished[0], 0, problem, hint=_HINT)
    return found


_HINT = "docs/targets.md says what a template may do"


def _answers(job: bytes, seconds: float) -> tuple[Sequence[bytes], str]:
    """What the process said, in whole lines, and why it ended before it had said all."""
    start = f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}; {_CHILD}"
    too_long = f"takes more than {seconds:g} seconds"
    problem = ""
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", start],
        env={},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        output, _ = process.communicate(job, timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        problem = too_long
    finally:
        process.kill()
        process.wait()
    code = process.returncode
    if not problem:
        problem = too_long if code in _ENDED else f"its process ended by itself (code {code})"
    whole, _, _ = output.rpartition(b"\n")
    return whole.splitlines(), problem


def child() -> None:
    """Render what stands on stdin and say it on stdout, one template a line. The process' all."""
    job = json.loads(sys.stdin.buffer.read())
    _confine(job["seconds"])
    for path, source in job["templates"]:
        try:
            text = render(source, job["variables"], limit=MAX_BYTES, secret=job["secret"])
            answer = {"path": path, "text": text}
        except TemplateError as error:
            answer = {"path": path, "problem": str(error), "line": error.line}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _confine(seconds: float) -> None:
    """Let the system end the process where it takes too much; not every system can."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        most = int(seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
