"""Which requests were refused, by kind: a table of the control file that receive writes and `doctor` reads.

Beside it stands what was answered in all, in slots of five minutes, so that a share of the last hour can be told.
Words of closed sets and numbers only: nothing that a sender wrote is kept.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from collector.versions import untouched

Where = Literal["otlp", "like_otlp", "grpc", "other", "none"]
"""The path: OTLP's own, one that resembles it, a gRPC method of OpenTelemetry, another, or no request at all."""
Look = Literal["exporter", "sender", "visitor"]
"""What it looks like: an exporter; something else that had data to give; something that only looked, or a scanner."""
Reason = Literal[
    "no_such_path",
    "wrong_method",
    "preflight",
    "bad_input",
    "other_signal",
    "not_http",
    "wrong_host",
    "http2",
    "tls",
    "unsupported_type",
    "unsupported_encoding",
    "too_large",
    "head_too_large",
    "too_slow",
    "no_key",
    "wrong_scope",
    "no_such_grpc_method",
    "unavailable",
    "defect",
    "nothing_read",
    "all_rejected",
    "not_stored",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
UNKEPT: frozenset[Reason] = frozenset({"nothing_read", "all_rejected", "not_stored"})
"""Reasons of requests that were answered with a success, though nothing that they held was kept."""
AGAIN: frozenset[Reason] = frozenset({"unavailable"})
"""Reasons by which a client may send the same again; with any other what it had to send is lost."""
MOST = 256
"""Kinds kept; visitors make room first, then the one not seen for longest."""
SLOT_NS = 300 * 10**9
SLOTS = 288
"""A day of slots."""


@dataclass(slots=True)
class Refusal:
    """One kind of refused request. *signal* is empty where the path names none, *agent* as in `Sender`."""

    transport: str
    where: Where
    signal: str
    look: Look
    reason: Reason
    agent: str
    agent_version: str
    count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    taken_ns: int = 0
    """When a request of the same agent, version and signal was first taken after the last refusal; 0 if none was."""
    mixed: int = 0
    """1 where such requests were taken between refusals too: not everything of it is refused."""

    @property
    def key(self) -> tuple[str, ...]:
        """Return what makes it this kind."""
        return astuple(self)[:7]


@dataclass(slots=True)
class Traffic:
    """Requests answered in the five minutes from *slot_ns* on, and how many of them were refused, by look."""

    slot_ns: int
    answered: int = 0
    exporter: int = 0
    sender: int = 0
    visitor: int = 0


_TABLES = {"refusal": (Refusal, 7), "traffic": (Traffic, 1)}


def create(db: sqlite3.Connection) -> None:
    """Create the tables."""
    for table, (kind, keys) in _TABLES.items():
        names = [f.name for f in fields(kind)]
        types = ["INTEGER NOT NULL" if i >= keys or keys == 1 else "TEXT NOT NULL" for i in range(len(names))]
        columns = ", ".join(f'"{name}" {type_}' for name, type_ in zip(names, types, strict=True))
        primary = ", ".join(f'"{name}"' for name in names[:keys])
        db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY ({primary}))")


def save(db: sqlite3.Connection, changed: list[Refusal], gone: list[tuple[str, ...]], traffic: list[Traffic]) -> None:
    """Write *changed* and *traffic* in place of what stood there, and drop what is *gone* and slots beyond a day."""
    where = " AND ".join(f'"{f.name}" = ?' for f in fields(Refusal)[:7])
    db.executemany(f"DELETE FROM refusal WHERE {where}", gone)  # noqa: S608 -- our own names
    db.executemany(_insert("refusal"), [astuple(r) for r in changed])
    db.executemany(_insert("traffic"), [astuple(t) for t in traffic])
    db.execute(
        "DELETE FROM traffic WHERE slot_ns NOT IN (SELECT slot_ns FROM traffic ORDER BY slot_ns DESC LIMIT ?)",
        (SLOTS,),
    )


def _columns(table: str) -> list[str]:
    return [f'"{f.name}"' for f in fields(_TABLES[table][0])]


def _insert(table: str) -> str:
    names = _columns(table)
    return f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608


def load(db: sqlite3.Connection) -> tuple[list[Refusal], list[Traffic]]:
    """Return what was refused and what was answered, the latest first."""
    return (
        [Refusal(*row) for row in db.execute(_select("refusal", "last_ns"))],
        [Traffic(*row) for row in db.execute(_select("traffic", "slot_ns"))],
    )


def _select(table: str, latest: str) -> str:
    return f"SELECT {', '.join(_columns(table))} FROM {table} ORDER BY {latest} DESC"  # noqa: S608 -- our own names


def read(path: Path) -> tuple[list[Refusal], list[Traffic]]:
    """Return both of the control file *path* without opening it for writing; nothing when there is none."""
    if not path.exists():
        return [], []
    try:
        with untouched(path) as db:
            return load(db)
    except sqlite3.OperationalError:  # a control file without the tables yet
        return [], []
