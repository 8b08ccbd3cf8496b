"""Spans of our own operations; nothing at all while no endpoint is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _State:
    tracer: Any = None


def trace_with(tracer: Any) -> None:
    """Record spans with an OpenTelemetry tracer from now on; None stops."""
    _State.tracer = tracer


@contextmanager
def span(name: str, *, when: bool = True, **attributes: int | str) -> Iterator[None]:
    """Record what happens inside as a span, if there is somewhere to send it and *when* holds."""
    if _State.tracer is None or not when:
        yield
        return
    with _State.tracer.start_as_current_span(name, attributes=attributes):
        yield
