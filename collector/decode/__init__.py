"""Bytes become Arrow: OTLP requests in, tables of `model.tables.WIRE` out. Pure; knows no socket and no file.

`wire` answers the same questions for protobuf and OTLP/JSON, `rows` walks a request with it, `logs`, `spans` and
`metrics` make a row of a record, `dialects` say which vendor key is which `promoted` column, `Batch` makes columns of
the rows of one journal group. The protobuf wire is the reference: a faster decoder may stand beside it, and has to give
the same rows or decline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa

from collector.decode import rows
from collector.decode.foreign import Again
from collector.decode.names import Projects
from collector.decode.origin import Origin
from collector.decode.wire import WIRES
from collector.decode.work import Beyond, Work
from collector.model.errors import BadInput
from collector.model.signals import Encoding, Signal
from collector.model.tables import CATALOGUES, WIRE
from collector.settings import Limits, Names

__all__ = ["Accepted", "Batch", "Beyond"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request: records kept, records rejected, and what its sender should know.

    *rejections* and *warnings* count by the names of `notes`.
    """

    records: int
    rejected: int
    message: str
    rejections: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    origins: tuple[Origin, ...] = ()
    duplicate: bool = False
    """Whether the same request was taken before, and nothing was stored again."""

    @property
    def total(self) -> int:
        """Return how many records the request held."""
        return self.records + self.rejected


Away = Callable[[str, pa.RecordBatch], None]
_TOO_DEEP = "nested too deeply to read; flatten the values"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request between its bytes and its rows."""

    signal: Signal
    encoding: Encoding
    request: Any
    noted: Counter[str]
    """What its sender is told of it, by the names of `notes`."""
    work: Work
    again: Again | None
    """The body in OTLP/JSON, for what parsing it left out."""


class Batch:
    """The rows of one journal group, request after request: bytes in, columns out."""

    def __init__(
        self, limits: Limits, projects: Projects | None = None, most_work: int | None = None, away: Away | None = None
    ) -> None:
        """*most_work*: units of `work` that one request may cost, None for as many as it takes.

        *away* takes a table's name and rows as soon as there are many, and keeps them in place of the batch, which is
        then for one request.
        """
        self._away = away
        self.spent = 0
        """Units of work that all requests cost, those that were refused too."""
        self._most_work = most_work
        self._limits = limits
        self._projects = projects or Projects(Names())
        self._rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in WIRE}
        self._chunks: dict[str, list[pa.RecordBatch]] = {name: [] for name in WIRE}
        """Rows before those in `_rows`, as columns."""
        self._seen: dict[str, set[tuple[str, str]]] = {name: set() for name in CATALOGUES}

    def add(self, signal: Signal, encoding: Encoding, body: bytes, *, project: str, received_ns: int) -> Accepted:
        """Decode *body* and keep its rows; raise `BadInput` and keep nothing when it is not decodable, and `Beyond`
        where it costs too much.

        *received_ns* is when it arrived, nanoseconds since 1970 UTC.
        """
        return self.take(self.parse(signal, encoding, body), project=project, received_ns=received_ns)

    def parse(self, signal: Signal, encoding: Encoding, body: bytes) -> Parsed:
        """Return *body* as its parser has it; nothing else of it is needed from then on."""
        work = Work(self._most_work)
        try:
            if encoding == "json":
                work.numbers(body)
            request, noted = WIRES[encoding].parse(signal, body, self._limits.parts, work)
        except RecursionError:
            raise BadInput(_TOO_DEEP) from None
        finally:
            self.spent += work.spent
        again = Again(body) if encoding == "json" else None
        return Parsed(signal, encoding, request, noted, work, again)

    def take(self, parsed: Parsed, *, project: str, received_ns: int) -> Accepted:
        """Keep the rows of what was parsed, which is used up by it; see `add`."""
        wire, work, table = WIRES[parsed.encoding], parsed.work, parsed.signal.table
        chunks: list[pa.RecordBatch] = []
        away = chunks.append if self._away is None else partial(self._away, table)
        before = work.spent
        walk = rows.Walk(wire, project, received_ns, self._limits, self._projects.of(project), work, away)
        try:
            walk.request(parsed.signal, parsed.request)
            self._doubt(parsed, walk)
        except RecursionError:
            raise BadInput(_TOO_DEEP) from None
        finally:
            self.spent += work.spent - before
        walk.warnings += parsed.noted  # what is counted as 0 is left out
        if walk.count:
            self._keep(table, chunks, walk)
        return Accepted(
            walk.count,
            walk.rejected,
            walk.message(),
            dict(walk.rejections),
            dict(walk.warnings),
            tuple(walk.origins),
        )

    def _doubt(self, parsed: Parsed, walk: rows.Walk) -> None:
        """Note what stands where nothing was read, once for each request."""
        if parsed.noted["nothing_read"]:
            for what in ("object_foreign", "field_foreign"):
                del walk.warnings[what]
        elif parsed.again is not None and (walk.doubts or walk.empty):
            walk.warnings["object_foreign"] += parsed.again.empty(parsed.request, walk.doubts, walk.empty, parsed.work)

    def _keep(self, table: str, chunks: list[pa.RecordBatch], walk: rows.Walk) -> None:
        for name in CATALOGUES:
            for key, row in walk.catalogues[name].items():
                if key not in self._seen[name]:
                    self._seen[name].add(key)
                    self._rows[name].append(row)
        if chunks:
            if self._rows[table]:
                self._chunks[table].append(rows.columns(WIRE[table], self._rows[table]))
            self._chunks[table] += chunks
            self._rows[table] = []
        self._rows[table] += walk.records

    def tables(self) -> dict[str, pa.Table]:
        """Return the rows as Arrow, tables without rows left out."""
        made: dict[str, pa.Table] = {}
        for name, left in self._rows.items():
            batches = [*self._chunks[name], *([rows.columns(WIRE[name], left)] if left else [])]
            if batches:
                made[name] = pa.Table.from_batches(batches, WIRE[name])
        return made
