"""`runwell keys`: make, list and revoke the access keys of a data directory, whether or not a collector runs on it."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from collector.cli import exits
from collector.cli.options import DEFAULT, CommonOptions
from collector.control.keys import Scope
from collector.model.errors import UsageError
from collector.model.shown import visible
from collector.model.units import DAY_NS, HOUR_NS

if TYPE_CHECKING:
    from collector.control import Control

app = App(
    name="keys",
    help="Make, list and revoke access keys, which requests need where the setting keys is required.",
    help_epilogue=exits.epilogue("keys"),
)
_UNITS = {"h": HOUR_NS, "d": DAY_NS}
_LONGEST_NAME = 100


@app.command
def create(
    *,
    scope: Annotated[Scope, Parameter(help="What it may do: ingest sends, read asks, admin asks and changes.")],
    sender: Annotated[str, Parameter(name="--for", help="Who will use it, such as trigger-dev.")],
    expires: Annotated[
        str | None, Parameter(help="How long it is good for, such as 90d or 12h [default: ever].")
    ] = None,
    place: CommonOptions = DEFAULT,
) -> int:
    """Make a key and show it, once."""
    from collector.control import keys

    if not sender.strip() or len(sender) > _LONGEST_NAME or visible(sender) != sender:
        raise UsageError(f"--for: expected a name of up to {_LONGEST_NAME} characters on one line.")
    now_ns = time.time_ns()
    expires_ns = None if expires is None else now_ns + _lasting(expires)
    with _Opened(place) as control:
        text = control.writing(keys.add, scope, sender, now_ns, expires_ns)
    sys.stdout.write(_shown(text, scope))
    return exits.DONE


@app.command(name="list")
def list_(*, place: CommonOptions = DEFAULT) -> int:
    """List all keys, never their texts: which are active, and on which day each was last used."""
    from collector.control import FILE, keys, refuse_newer

    data = place.settings().data
    refuse_newer(data)
    now_ns = time.time_ns()
    head = ("id", "begins", "scope", "for", "created", "expires", "last used", "status")
    rows = [
        (
            key.id,
            key.prefix,
            key.scope,
            key.sender,
            _day(key.created_ns),
            _day(key.expires_ns),
            _day(None if key.used_day is None else key.used_day * DAY_NS),
            key.state(now_ns),
        )
        for key in keys.read(data / FILE)
    ]
    if not rows:
        sys.stdout.write("No keys yet; `runwell keys create` makes one.\n")
        return exits.DONE
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        sys.stdout.write("  ".join(map(str.ljust, row, widths)).rstrip() + "\n")
    return exits.DONE


@app.command
def revoke(key_id: str, *, place: CommonOptions = DEFAULT) -> int:
    """Revoke a key: within five seconds nothing that runs takes it any more.

    Parameters
    ----------
    key_id
        The id that `runwell keys list` shows.
    """
    from collector.control import keys

    with _Opened(place) as control:
        control.writing(keys.revoke, key_id, time.time_ns())
    sys.stdout.write(f"{key_id} is revoked.\n")
    return exits.DONE


class _Opened:
    """The control file of a data directory, open beside whatever runs on it; what is made is for its owner only."""

    def __init__(self, place: CommonOptions) -> None:
        self._data = place.settings().data

    def __enter__(self) -> Control:
        from collector.control import Control

        before = os.umask(0o077)
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            self._control = Control.open(self._data)
        finally:
            os.umask(before)
        return self._control

    def __exit__(self, *_: object) -> None:
        self._control.close()


def _lasting(text: str) -> int:
    """Return a duration such as 90d in ns."""
    found = re.fullmatch(r"([1-9]\d{0,4})([hd])", text)
    if not found:
        raise UsageError(f"--expires {text}: expected hours or days, such as 12h or 90d.")
    return int(found[1]) * _UNITS[found[2]]


def _day(ns: int | None) -> str:
    return "never" if ns is None else dt.datetime.fromtimestamp(ns / 1e9, dt.UTC).date().isoformat()


def _shown(text: str, scope: Scope) -> str:
    """Return a new key with the lines in which it is used."""
    lines = ["This is shown once, and kept nowhere:", "", f"  {text}", ""]
    if scope == "ingest":
        lines += [
            "Any exporter, in its environment (a header's value is percent-encoded there):",
            "",
            f"  OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20{text}",
            "",
            "trigger.config.ts, with the key in the environment of the task as RUNWELL_KEY:",
            "",
            "  const headers = { authorization: `Bearer ${process.env.RUNWELL_KEY}` };",
            "  telemetry: {",
            '    exporters: [new OTLPTraceExporter({ url: "http://127.0.0.1:4318/v1/traces", headers })],',
            '    logExporters: [new OTLPLogExporter({ url: "http://127.0.0.1:4318/v1/logs", headers })],',
            "  },",
        ]
    else:
        lines += [
            "Clients, over HTTP:",
            "",
            f"  Authorization: Bearer {text}",
        ]
    lines += ["", "Keys are asked for where runwell runs with RUNWELL_KEYS=required."]
    return "\n".join(lines) + "\n"
