"""Counts what Python does in a call: what grows too fast is seen in it, on any machine alike."""

import sys
from collections.abc import Callable
from typing import Any

_EVENTS = sys.monitoring.events.PY_START | sys.monitoring.events.JUMP | sys.monitoring.events.CALL


def steps(call: Callable[[], Any]) -> int:
    """How often functions are called, and loops gone round (jumps), until ``call`` returns."""
    counted = 0

    def count(*_: object) -> None:
        nonlocal counted
        counted += 1

    tool = sys.monitoring.PROFILER_ID
    sys.monitoring.use_tool_id(tool, "counting")
    try:
        for event in (
            sys.monitoring.events.PY_START,
            sys.monitoring.events.JUMP,
            sys.monitoring.events.CALL,
        ):
            sys.monitoring.register_callback(tool, event, count)
        sys.monitoring.set_events(tool, _EVENTS)
        call()
        sys.monitoring.set_events(tool, sys.monitoring.events.NO_EVENTS)
    finally:
        sys.monitoring.free_tool_id(tool)
    return counted
