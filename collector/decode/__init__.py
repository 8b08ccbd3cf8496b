"""Bytes become Arrow: OTLP requests in, tables of `model.tables.WIRE` out. Pure; knows no socket and no file.

`wire` answers the same questions for protobuf and OTLP/JSON, `rows` walks a request with it, `logs`, `spans` and
`metrics` make a row of a record, `dialects` say which vendor key is which `promoted` column, `Batch` makes columns of
the rows of one journal group. The protobuf wire is the reference: a faster decoder may stand beside it, and has to give
the same rows or decline.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from collector.decode import otlpjson, rows
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


class Batch:
    """The rows of one journal group, request after request: bytes in, columns out."""

    def __init__(self, limits: Limits, projects: Projects | None = None, most_work: int | None = None) -> None:
        """*most_work*: units of `work` that one request may cost, None for as many as it takes."""
        self.spent = 0
        """Units of work that all requests cost, those that were refused too."""
        self._most_work = most_work
        self._limits = limits
        self._projects = projects or Projects(Names())
        self._rows: dict[str, list[tuple[object, ...]]] = {name: [] for name in WIRE}
        self._seen: dict[str, set[tuple[str, str]]] = {name: set() for name in CATALOGUES}

    def add(self, signal: Signal, encoding: Encoding, body: bytes, *, project: str, received_ns: int) -> Accepted:
        """Decode *body* and keep its rows; raise `BadInput` and keep nothing when it is not decodable, and
        `Beyond` where it costs too much.

        *received_ns* is when it arrived, nanoseconds since 1970 UTC.
        """
        wire = WIRES[encoding]
        work = Work(self._most_work)
        walk = rows.Walk(wire, project, received_ns, self._limits, self._projects.of(project), work)
        try:
            if encoding == "json":
                work.numbers(body)
            walk.request(signal, wire.parse(signal, body, self._limits.parts))
            if encoding == "json" and (ignored := otlpjson.ignored_names(body)):
                walk.warnings["name_ignored"] += ignored
        except RecursionError:
            raise BadInput("nested too deeply to read; flatten the values") from None
        finally:
            self.spent += work.spent
        for name in CATALOGUES if walk.records else ():
            for key, row in walk.catalogues[name].items():
                if key not in self._seen[name]:
                    self._seen[name].add(key)
                    self._rows[name].append(row)
        if walk.records:
            self._rows[signal.table].extend(walk.records)
        return Accepted(
            len(walk.records),
            walk.rejected,
            walk.message(),
            dict(walk.rejections),
            dict(walk.warnings),
            tuple(walk.origins),
        )

    def tables(self) -> dict[str, pa.Table]:
        """Return the rows as Arrow, tables without rows left out."""
        return {name: _table(WIRE[name], records) for name, records in self._rows.items() if records}


def _table(schema: pa.Schema, records: list[tuple[object, ...]]) -> pa.Table:
    columns = zip(*records, strict=True)
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for field, values in zip(schema, columns, strict=True)], schema=schema
    )
