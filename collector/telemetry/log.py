"""Our own log: one JSON object a line on stderr."""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from collector.model.errors import UsageError

CORRELATION = "RUNWELL_CORRELATION_ID"
"""Environment variable by which a supervisor tells its children the id they share."""
_QUIET_S = 10.0

Event = MutableMapping[str, Any]
Sink = Callable[[Event], None]

log = structlog.get_logger()


class _State:
    """What lines of this process have in common, and who else wants them."""

    ids: dict[str, str] = {}  # noqa: RUF012 -- replaced whole, once
    sink: Sink | None = None


class _Stderr:
    """stderr, except that nothing ends because a line cannot be written: its disk may be full, its reader gone."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def configure(process: str) -> None:
    """Log as *process* from now on: ours and the libraries' lines, and exceptions that nobody caught."""
    correlation = os.environ.setdefault(CORRELATION, f"runwell-{secrets.token_hex(4)}")
    _State.ids = {"correlation_id": correlation, "run_id": f"{process}-{secrets.token_hex(4)}", "process": process}
    structlog.configure(
        processors=[
            _with_ids,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.EventRenamer("message"),
            _forward,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # A line at once: other processes write to the same file.
        logger_factory=structlog.WriteLoggerFactory(_Stderr()),  # type: ignore[arg-type]
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Libraries()], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def vital(work: Callable[[], None]) -> None:
    """Do *work*, and end the process if it fails: for a thread that the others wait for. The next start recovers."""
    try:
        work()
    except BaseException as e:
        try:
            _uncaught(type(e), e, e.__traceback__)
        finally:
            os._exit(70)


def ids() -> dict[str, str]:
    """Return what every line of this process carries."""
    return _State.ids


def forward_to(sink: Sink | None) -> None:
    """Give every line but the libraries' to *sink* as well."""
    _State.sink = sink


def cause(error: BaseException) -> dict[str, str]:
    """Return the fields of an error. Its text is only given where it cannot quote what a sender wrote."""
    match error:
        case OSError():
            text = error.strerror or type(error).__name__
        case sqlite3.Error() | UsageError():
            text = str(error)[:200]
        case _:
            text = "left out, because it may quote telemetry; error_at says where it was raised"
    return {"error_type": type(error).__name__, "error_message": text, "error_at": _where(error.__traceback__)}


class started:
    """Tell that operation *name* started; `completed` and `failed` tell how it went and how long it took.

    *fields* are told with every line.
    """

    def __init__(self, name: str, **fields: object) -> None:
        self._name, self._fields, self._began = name, fields, time.monotonic()
        log.info(f"{name}_started", **fields)

    def completed(self, **more: object) -> None:
        """Tell that it went well."""
        log.info(f"{self._name}_completed", processing_time_ms=self._ms(), **self._fields, **more)

    def failed(self, error: BaseException) -> None:
        """Tell that it did not."""
        log.error(f"{self._name}_failed", processing_time_ms=self._ms(), **self._fields, **cause(error))

    def _ms(self) -> int:
        return round(1000 * (time.monotonic() - self._began))


@contextmanager
def operation(name: str, **fields: object) -> Iterator[None]:
    """Tell of what happens inside as operation *name*."""
    going = started(name, **fields)
    try:
        yield
    except BaseException as e:
        going.failed(e)
        raise
    going.completed()


def _where(trace: TracebackType | None) -> str:
    """Return the innermost lines of a traceback, without what they held."""
    frames = traceback.extract_tb(trace)[-4:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames)) or "unknown"


def _with_ids(logger: Any, method: str, event: Event) -> Event:
    for name, value in _State.ids.items():
        event.setdefault(name, value)
    return event


def _forward(logger: Any, method: str, event: Event) -> Event:
    if _State.sink is not None and "library" not in event:
        _State.sink(event)
    return event


class _Libraries(logging.Handler):
    """Lines of libraries in our form: which and where, not what, and the same line not more often than useful."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[tuple[str, int], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        line, now = (record.filename, record.lineno), time.monotonic()
        if now - self._said.get(line, -_QUIET_S) < _QUIET_S:
            return
        self._said[line] = now
        error = record.exc_info[1] if record.exc_info else None
        fields = (
            cause(error) if error else {"error_type": record.levelname.capitalize(), "error_message": _template(record)}
        )
        log.error("library_call_failed", library=record.name, line=f"{record.filename}:{record.lineno}", **fields)


def _template(record: logging.LogRecord) -> str:
    """Return the constant part of a library's line; one that was formatted before may hold anything."""
    return str(record.msg)[:200] if record.args else "left out, because it may quote telemetry"


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is None or isinstance(error, KeyboardInterrupt | SystemExit):
        return
    log.error("process_run_failed", **cause(error.with_traceback(trace)))
