"""Renders a manifest that exists only at a target, in a sandbox. Pure.

A template is content of a repository, which need not be trusted: it sees the values that it is
given, Python's and Jinja's insides not, and no file. It is bounded in what it may write; whoever
calls bounds its time and memory (``engine/templating.py``), for no code in a process can.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER: Final = "templates"
SUFFIX: Final = ".j2"
MASK: Final = "***"
_GLOBALS: Final = ("range", "dict", "namespace")


class TemplateError(ValueError):
    """A template cannot be rendered. ``line`` is where, 0 if nobody knows."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(problem)
        self.line = line


def render(
    source: str, variables: Mapping[str, Any], *, limit: int, secret: Collection[str] = ()
) -> str:
    """Render a template to at most ``limit`` characters.

    ``secret``: values that no message may hold. Raises ``TemplateError``, whatever went wrong.
    """
    from jinja2 import TemplateSyntaxError, UndefinedError
    from jinja2.exceptions import SecurityError

    def masked(text: object) -> str:
        said = str(text)
        for value in sorted(filter(None, secret), key=len, reverse=True):
            said = said.replace(value, MASK)
        return said[:300]

    environment = _environment()
    try:
        parts = environment.from_string(source).generate(dict(variables))
        text = "".join(_bounded(parts, limit))
    except TemplateError:
        raise
    except TemplateSyntaxError as error:
        raise TemplateError(masked(error.message), error.lineno) from None
    except UndefinedError as error:
        raise TemplateError(masked(error.message), _line(error)) from None
    except SecurityError as error:
        raise TemplateError(f"not allowed: {masked(error)}", _line(error)) from None
    except MemoryError:
        raise TemplateError("takes too much memory") from None
    except RecursionError:
        raise TemplateError("calls itself without end") from None
    except Exception as error:  # noqa: BLE001 - what a template may raise is anything
        if "no loader" in str(error):
            raise TemplateError("reads another file, which a template cannot", 0) from None
        # What such an error says may quote a value.
        raise TemplateError(f"fails with {type(error).__name__}", _line(error)) from None
    return text


def _bounded(parts: Iterable[str], limit: int) -> Iterator[str]:
    size = 0
    for part in parts:
        size += len(part)
        if size > limit:
            raise TemplateError(f"makes more than {limit} characters")
        yield part


def _line(error: BaseException) -> int:
    """The line of the template that an error comes from."""
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, cache_size=0
    )
    for name in environment.globals.keys() - set(_GLOBALS):
        del environment.globals[name]
    environment.filters["b64encode"] = lambda value: base64.b64encode(str(value).encode()).decode()
    # A JSON string is a YAML string, whatever is in it.
    environment.filters["quote"] = lambda value: json.dumps(str(value))
    return environment
