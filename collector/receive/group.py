"""One group of requests as a value: unpacked, decoded, and decided what is said to each.

Enter: requests in the order they came. Leave: the rows of those that are new, and what each sender is told once they
are on disk. What is wrong with one request concerns only that one. Reads no clock and writes nothing (`writer` does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import structlog

from collector.decode import Accepted, Batch
from collector.decode.names import Projects
from collector.model.errors import BadInput, Refused
from collector.model.signals import Encoding, Signal
from collector.otlp.compression import decompress
from collector.receive.books import Settled
from collector.receive.resends import Resends
from collector.receive.via import Via
from collector.settings import Limits
from collector.telemetry.log import cause

log = structlog.get_logger()

_MOST_PLAIN_BYTES = 32 * 2**20
_EMPTY = Accepted(0, 0, "")
"""What is said to a request without records."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came, and how its sender is answered."""

    project: str
    signal: Signal
    encoding: Encoding
    compression: str
    body: bytes
    received_ns: int
    via: Via
    answer: Callable[[Accepted | Refused], None]
    """Tells the sender; may be called from any thread."""


@dataclass(frozen=True, slots=True)
class Plain:
    """The body of a request as it was before it was compressed, and the digest by which it is known again."""

    body: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Decided:
    """What is said to a request."""

    request: Request
    said: Accepted | Refused
    needs_rows: bool = False
    """Whether that is true only when the rows of the group are written."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """When a request came that is new, and what is said to it."""

    received_ns: int
    said: Accepted


@dataclass(frozen=True, slots=True)
class Group:
    """Requests that are written together: *fresh* are the new ones by digest, *rows* what they hold."""

    rows: Batch
    decided: list[Decided] = field(default_factory=list)
    fresh: dict[bytes, Fresh] = field(default_factory=dict)

    @property
    def received_ns(self) -> int:
        """Return when the first of the new requests came."""
        return min(one.received_ns for one in self.fresh.values())

    @property
    def from_runwell(self) -> bool:
        """Tell whether all of it is a runwell's own telemetry."""
        return all(d.request.via.from_runwell for d in self.decided)

    def settled(self, *, written: bool) -> Iterator[Settled]:
        """Yield the requests that were decoded; without the rows *written*, copies of them are lost too."""
        for d in self.decided:
            if isinstance(d.said, Accepted):
                stored = written or not d.needs_rows
                said = d.said if stored else replace(d.said, duplicate=False)
                yield Settled(d.request.signal.name, d.request.via, said, written=stored)


def unpack(request: Request, most_bytes: int) -> Plain:
    """Return the plain body of *request*, of at most *most_bytes*; raise Refused when it cannot be had."""
    body = decompress(request.body, request.compression, most_bytes)
    h = blake2b(digest_size=16)
    h.update(f"{request.project}\0{request.signal.name}\0{request.encoding}\0".encode())
    h.update(body)
    return Plain(body, h.digest())


class Decoder:
    """Makes groups of requests, knowing the names and the requests taken before. For one thread."""

    def __init__(self, limits: Limits, names: Projects, resends: Resends) -> None:
        self._limits = limits
        self._names = names
        self._resends = resends

    def group(self, requests: Sequence[Request]) -> Group:
        """Return the group of *requests*, or of the first of them where more rows would be held at once."""
        group = Group(Batch(self._limits, self._names))
        size = 0
        for request in requests:
            if size > _MOST_PLAIN_BYTES:
                break
            try:
                plain = unpack(request, self._limits.body)
                size += len(plain.body)
                decided = self._decided(request, plain, group)
            except Refused as e:
                decided = Decided(request, e)
            except Exception as e:  # a defect of ours must not take the other requests with it
                log.error("request_decode_failed", **cause(e), signal=request.signal.name)
                decided = Decided(request, BadInput("this request could not be read; please report it"))
            group.decided.append(decided)
        return group

    def _decided(self, request: Request, plain: Plain, group: Group) -> Decided:
        """Decide a request: empty, taken before, the copy of another in the group, or new, its rows then with it."""
        if plain.body == (b"{}" if request.encoding == "json" else b""):
            return Decided(request, _EMPTY)
        if before := self._resends.find(plain.digest, request.received_ns):
            return Decided(request, before if before.records >= 0 else self._read_again(request, plain))
        if twin := group.fresh.get(plain.digest):
            return Decided(request, replace(twin.said, duplicate=True), needs_rows=True)
        said = _read(request, plain, group.rows)
        if said.records:
            group.fresh[plain.digest] = Fresh(request.received_ns, said)
        return Decided(request, said, needs_rows=said.records > 0)

    def _read_again(self, request: Request, plain: Plain) -> Accepted:
        """Return what is said to a request that was taken before the last start: the same, without storing it."""
        try:
            said = replace(_read(request, plain, Batch(self._limits, self._names)), duplicate=True)
        except Refused:  # taken under other limits
            said = Accepted(0, 0, "", duplicate=True)
        self._resends.learn(plain.digest, said)
        return said


def _read(request: Request, plain: Plain, rows: Batch) -> Accepted:
    """Add what a request holds to *rows*: here bytes become columns."""
    return rows.add(
        request.signal, request.encoding, plain.body, project=request.project, received_ns=request.received_ns
    )
