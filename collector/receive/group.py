"""One group of requests as a value: unpacked, decoded, and decided what is said to each.

Enter: requests in the order they came. Leave: the rows of those that are new, and what each sender is told once they
are on disk. What is wrong with one request concerns only that one. Reads no clock and writes nothing (`writer` does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from collector.decode import Accepted, Batch, Beyond
from collector.decode.names import Name, Projects
from collector.model.errors import BadInput, Refused, TooLarge
from collector.model.signals import Encoding, Signal
from collector.receive.books import Settled
from collector.receive.plain import Plain, unpack
from collector.receive.resends import Resends
from collector.receive.turns import NOBODY, Who
from collector.receive.via import Via
from collector.settings import Limits
from collector.telemetry.log import cause

log = structlog.get_logger()

_MOST_PACKED_BYTES = 64 * 2**10
_MOST_BYTES: dict[Encoding, int] = {"protobuf": 256 * 2**10, "json": 64 * 2**10}
"""Bytes of a body that is decoded here: parsing them takes 12 ms at most, with the interpreter held."""
_MOST_WORK = 30_000
"""Units of `decode.work` of a body that is decoded here."""
_GROUP_WORK = 20_000
_GROUP_REQUESTS = 2_048
_REQUEST_WORK, _BYTES_WORK = 50, 50
"""Units of a request, and its bytes a unit, whatever it holds."""
_EMPTY = Accepted(0, 0, "")
"""What is said to a request without records."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came, and how its sender is answered."""

    project: str
    signal: Signal
    encoding: Encoding
    compression: str
    parts: Sequence[bytes | bytearray]
    """The body as it came."""
    received_ns: int
    via: Via
    answer: Callable[[Accepted | Refused], None]
    """Tells the sender; may be called from any thread."""
    who: Who = NOBODY

    @property
    def size(self) -> int:
        """Return the bytes of the body as it came."""
        return sum(map(len, self.parts))

    @property
    def is_large(self) -> bool:
        """Tell whether the body is to be decoded apart, as far as its size as it came tells."""
        return self.size > (_MOST_PACKED_BYTES if self.compression else _MOST_BYTES[self.encoding])


@dataclass(frozen=True, slots=True)
class Decoded:
    """A request that was decoded apart."""

    request: Request
    digest: bytes
    """Empty where the body could not be unpacked."""
    said: Accepted | Refused
    rows: bytearray
    """As the journal packs them."""
    names: list[Name]
    """Names that it is the first to use."""


class Line(Protocol):
    """Requests that wait for a group."""

    def next(self) -> Request | None:
        """Return whose turn it is, None when nobody waits."""
        ...

    def charge(self, request: Request, cost: float) -> None:
        """Count what *request* cost its sender."""
        ...


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
    packed: bytearray = field(default_factory=bytearray)
    """Rows that were decoded apart, as the journal packs them."""
    decided: list[Decided] = field(default_factory=list)
    fresh: dict[bytes, Fresh] = field(default_factory=dict)
    apart: list[Request] = field(default_factory=list)
    """Requests that are left to be decoded apart."""

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


class Decoder:
    """Makes groups of requests, knowing the names and the requests taken before. For one thread."""

    def __init__(self, limits: Limits, names: Projects, resends: Resends) -> None:
        self._limits = limits
        self._names = names
        self._resends = resends

    def group(self, line: Line) -> Group:
        """Return the group of those who are first in *line*, as many as there is work for in one."""
        group = Group(Batch(self._limits, self._names, _MOST_WORK))
        work = 0.0
        while work < _GROUP_WORK and len(group.decided) < _GROUP_REQUESTS and (request := line.next()) is not None:
            spent = group.rows.spent
            try:
                group.decided.append(self._decided(request, group))
            except Beyond:
                group.apart.append(request)
            cost = _REQUEST_WORK + group.rows.spent - spent + request.size / _BYTES_WORK
            line.charge(request, cost)
            work += cost
        return group

    def _decided(self, request: Request, group: Group) -> Decided:
        """Decide a request, whatever is wrong with it; raise Beyond when it is to be decoded apart."""
        try:
            return self._read(request, self._unpacked(request), group)
        except Refused as e:
            return Decided(request, e)
        except Beyond:
            raise
        except Exception as e:  # a defect of ours must not take the other requests with it
            log.error("request_decode_failed", **cause(e), signal=request.signal.name)
            return Decided(request, BadInput("this request could not be read; please report it"))

    def _unpacked(self, request: Request) -> Plain:
        """Return the plain body; raise Beyond where it is too large to be read here."""
        r, most = request, int(self._limits.body)
        here = min(most, _MOST_BYTES[r.encoding])
        try:
            # Joined, one part is the part itself.
            return unpack(r.project, r.signal.name, r.encoding, r.compression, b"".join(r.parts), here)
        except TooLarge:
            if here < most:
                raise Beyond from None
            raise

    def _read(self, request: Request, plain: Plain, group: Group) -> Decided:
        """Decide a request: empty, taken before, the copy of another in the group, or new, its rows then with it."""
        if plain.is_empty(request.encoding):
            return Decided(request, _EMPTY)
        if before := self._resends.find(plain.digest, request.received_ns):
            return Decided(request, before if before.records >= 0 else self._read_again(request, plain))
        if twin := group.fresh.get(plain.digest):
            return Decided(request, replace(twin.said, duplicate=True), needs_rows=True)
        return self._taken(request, plain.digest, _rows(request, plain, group.rows), group)

    def _read_again(self, request: Request, plain: Plain) -> Accepted:
        """Return what is said to a request that was taken before the last start: the same, without storing it."""
        try:
            said = _rows(request, plain, Batch(self._limits, self._names, _MOST_WORK))
        except Refused as e:
            return self._known(plain.digest, e)
        return self._known(plain.digest, said)

    def _known(self, digest: bytes, said: Accepted | Refused) -> Accepted:
        """Return *said*, if not under other limits than when it was taken, of a request that is stored."""
        known = replace(said, duplicate=True) if isinstance(said, Accepted) else Accepted(0, 0, "", duplicate=True)
        self._resends.learn(digest, known)
        return known

    def _taken(self, request: Request, digest: bytes, said: Accepted, group: Group) -> Decided:
        if said.records:
            group.fresh[digest] = Fresh(request.received_ns, said)
        return Decided(request, said, needs_rows=said.records > 0)

    def apart(self, decoded: Decoded) -> Group:
        """Return the group of one request that was decoded apart; it is to be decoded again where its names find no
        room any more.
        """
        request, digest, said = decoded.request, decoded.digest, decoded.said
        group = Group(Batch(self._limits, self._names), packed=decoded.rows)
        before = self._resends.find(digest, request.received_ns) if digest else None
        fits = (before is not None and before.records >= 0) or self._names.adopt(decoded.names)
        if before is not None:
            decided = Decided(request, before if before.records >= 0 else self._known(digest, said))
        elif isinstance(said, Refused):
            decided = Decided(request, said)
        elif fits:
            decided = self._taken(request, digest, said, group)
        else:
            group.apart.append(request)
            return group
        group.decided.append(decided)
        return group


def _rows(request: Request, plain: Plain, rows: Batch) -> Accepted:
    """Add what a request holds to *rows*: here bytes become columns."""
    return rows.add(
        request.signal, request.encoding, plain.body, project=request.project, received_ns=request.received_ns
    )
