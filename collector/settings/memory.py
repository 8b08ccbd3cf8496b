"""How the one promise `memory` is divided among the processes: every budget that anything is held to comes from here.

The loaded programs take what they take, whatever is sent; the rest is shared out.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20
DEFAULT = 2_048 * MIB
"""What is promised where nobody says how much."""
LEAST = 1_280 * MIB
"""Below it the largest body that `limits.body` lets in would not fit."""


@dataclass(frozen=True, slots=True)
class Part:
    """One row of the table: who may hold how much of the rest, in hundredths, for what."""

    name: str
    process: str
    share: int
    what: str
    setting: str = ""
    """The setting that gives this part another size."""


PROGRAMS = 704 * MIB
PROGRAMS_ARE = "every process with nothing to do, and what pages that are looked at leave in the dashboard"
PARTS = (
    Part(
        "gate",
        "gate",
        16,
        "messages of gRPC callers, from before they are read until they are answered, and the largest one once more "
        "while gRPC joins its pieces",
    ),
    Part(
        "in_flight",
        "receive",
        17,
        "bodies of requests as they came, from before they are read until they are answered",
        "limits.in_flight",
    ),
    Part("decode", "decode", 19, "one large body while it becomes rows"),
    Part("duckdb", "store", 22, "tables, write-ahead log and queries in DuckDB", "store.memory"),
    Part("tick", "store", 16, "groups of the journal, and one job at work on them: runs, statistics, rules, reports"),
    Part("questions", "store", 10, "SQL statements and other questions beyond DuckDB's own: text they make, answers"),
)


@dataclass(frozen=True, slots=True)
class Memory:
    """The parts of a promise, in bytes."""

    gate: int
    in_flight: int
    decode: int
    duckdb: int
    tick: int
    questions: int

    def room(self, body: int) -> int:
        """Return how many bytes of messages the gate may hold beside a copy of one of *body* bytes."""
        return min(self.in_flight, max(self.gate - body, self.gate // 4))

    @property
    def store(self) -> int:
        """Return what the store process may hold beyond the loaded program."""
        return self.duckdb + self.tick + self.questions

    @property
    def promise(self) -> int:
        """Return what all processes together hold at most."""
        return PROGRAMS + self.gate + self.in_flight + self.decode + self.store


def divide(memory: int, *, in_flight: int | None = None, duckdb: int | None = None) -> Memory:
    """Return the parts of *memory* bytes; a part of another size changes the promise by the difference."""
    rest = memory - PROGRAMS
    shares = {part.name: rest * part.share // 100 // MIB * MIB for part in PARTS}
    shares["questions"] += rest - sum(shares.values())
    given = {"in_flight": in_flight, "duckdb": duckdb}
    return Memory(**shares | {name: size for name, size in given.items() if size is not None})
