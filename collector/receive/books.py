"""The books of receive, as Prometheus metrics: every record that came is stored, rejected, a duplicate or pending.

    records = records_stored + records_rejected + records_duplicate + records_pending

holds at every scrape, by signal and transport, for one life of the process. Label values are of closed sets; nothing
a request says becomes one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from collector import __version__
from collector.decode import Accepted
from collector.decode.names import KINDS
from collector.decode.notes import NOTED, REJECTED
from collector.model.errors import (
    BadInput,
    HeadTooLarge,
    Misdirected,
    NoKey,
    NotHttp,
    NotNow,
    Refused,
    TooLarge,
    TooSlow,
    Unsupported,
    WrongScope,
)
from collector.model.signals import RECEIVED
from collector.receive.errors import NoSuchPath, NotAllowed, WrongMethod
from collector.receive.via import TRANSPORTS, Via

log = structlog.get_logger()

Outcome = Literal[
    "accepted",
    "partial",
    "empty",
    "duplicate",
    "bad_input",
    "too_large",
    "unsupported",
    "unavailable",
    "gone",
    "too_slow",
    "wrong_method",
    "not_allowed",
    "no_such_path",
    "not_http",
    "wrong_host",
    "no_key",
    "wrong_scope",
    "head_too_large",
    "defect",
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
NO_SIGNAL = "none"
"""Signal of a request that names none: another path, or no HTTP at all."""
_ANYWHERE: tuple[Outcome, ...] = (
    "no_such_path",
    "not_http",
    "wrong_host",
    "no_key",
    "wrong_scope",
    "head_too_large",
    "not_allowed",
    "unavailable",
    "defect",
)
"""What becomes of requests without a signal."""
PROBES = ("healthz", "readyz", "metrics", "preflight")
UNAVAILABLE = "unavailable"
"""Reason of records that were read and could not be written; their request was refused and may come again."""
REASONS = (*REJECTED, UNAVAILABLE)
ENCODINGS = ("protobuf", "json", "unknown")
FSYNC_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
disable_created_metrics()  # type: ignore[no-untyped-call]  # a start time for each series helps nobody
_PREFIX = "runwell_receive"
_PATH = ("signal", "transport")
_TELL_S = 10.0

Path = tuple[str, str]
"""(signal, transport)."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A request that was decoded: *said* to its sender, or refused because it could not be written."""

    signal: str
    via: Via
    said: Accepted
    written: bool


_WORDS: tuple[tuple[type[Exception], Outcome], ...] = (
    (TooLarge, "too_large"),
    (Unsupported, "unsupported"),
    (TooSlow, "too_slow"),
    (WrongMethod, "wrong_method"),
    (NotAllowed, "not_allowed"),
    (NoSuchPath, "no_such_path"),
    (NotHttp, "not_http"),
    (Misdirected, "wrong_host"),
    (NoKey, "no_key"),
    (WrongScope, "wrong_scope"),
    (HeadTooLarge, "head_too_large"),
    (BadInput, "bad_input"),
    (NotNow, "unavailable"),
    (MemoryError, "unavailable"),
)


def outcome_of(result: Accepted | Exception | None) -> Outcome:
    """Return the word for what became of a request; None is one whose client went away."""
    match result:
        case Accepted(duplicate=True):
            return "duplicate"
        case Accepted():
            return "partial" if result.rejected else "accepted" if result.records else "empty"
        case None:
            return "gone"
    return next((word for kind, word in _WORDS if isinstance(result, kind)), "defect")


class Books:
    """Counts of one receive process. Every method may be called from any thread.

    Where more than *most_groups* wait for the store, pending turns to stored in coarser steps.
    """

    def __init__(self, most_groups: int = 4_096) -> None:
        self._most_groups = most_groups
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._lock = threading.Lock()
        self._pending: deque[tuple[int, Tally[Path]]] = deque()
        self._last_logged: dict[tuple[str, str, str], tuple[float, int]] = {}
        c = self._counter
        self._gauge("info", "Version of runwell; always 1.", "version").labels(__version__).set(1)
        self.requests = c("requests", "Requests answered.", *_PATH, "encoding", "outcome")
        self.probes = c("probes", "Questions about health and metrics, and of browsers; no part of requests.", "path")
        self.bytes = c("request_bytes", "Bytes of bodies as they came, compressed or not.", *_PATH)
        self.records = c("records", "Records in requests that could be decoded.", *_PATH)
        self.stored = c("records_stored", "Records that the store has taken up.", *_PATH)
        self.rejected = c("records_rejected", "Records not kept, by reason.", *_PATH, "reason")
        self.duplicates = c("records_duplicate", "Records of requests that came again; not stored again.", *_PATH)
        self.pending = self._gauge("records_pending", "Records in the journal, not yet in the store.", *_PATH)
        self.warnings = c("warnings", "What was remarked about records that were kept.", "warning")
        self.names = self._gauge("names", "Distinct names that rows are grouped by.", "kind")
        self.groups = c("journal_groups", "Groups written to the journal.")
        self.decoded_apart = c("decoded_apart", "Requests decoded in the decode process, which large ones are.")
        self.decode_restarts = c("decode_restarts", "Times that the decode process ended before it had an answer.")
        self.journal_bytes = self._gauge("journal_bytes", "Bytes that groups occupy in the journal.")
        self.journal_seq = self._gauge("journal_seq", "Number of the journal's newest group.")
        self.lost_groups = self._gauge("recovery_lost_groups", "Groups found missing when the journal was last opened.")
        self.ready = self._gauge("ready", "1 while requests are taken, 0 while they are refused.")
        self.in_flight = self._gauge("in_flight_bytes", "Bytes of bodies held now.")
        self.fsync = Histogram(
            f"{_PREFIX}_fsync_seconds",
            "Time to write a group and have it on disk.",
            buckets=FSYNC_BUCKETS,
            registry=self.registry,
        )
        self._start_at_zero()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _start_at_zero(self) -> None:
        """Show every series from the start: a missing one and a zero are different things to an alert."""
        for signal in RECEIVED:
            for transport in TRANSPORTS:
                path: Path = (signal.name, transport)
                for metric in (self.bytes, self.records, self.stored, self.duplicates, self.pending):
                    metric.labels(*path)
                for reason in REASONS:
                    self.rejected.labels(*path, reason)
                for encoding in ENCODINGS if transport == "http" else ENCODINGS[:1]:
                    for outcome in OUTCOMES:
                        if outcome not in ("no_such_path", "not_http", "wrong_host", "head_too_large"):
                            self.requests.labels(*path, encoding, outcome)
        for transport in TRANSPORTS:
            for outcome in _ANYWHERE:
                self.requests.labels(NO_SIGNAL, transport, ENCODINGS[-1], outcome)
        for probe in PROBES:
            self.probes.labels(probe)
        for kind in KINDS:
            self.names.labels(kind)
        for warning in NOTED:
            self.warnings.labels(warning)

    def answered(
        self, signal: str, via: Via, encoding: str | None, result: Accepted | Exception | None, body_bytes: int
    ) -> None:
        """Count a request that was answered, and tell of refused ones in the log, not more often than it is useful."""
        outcome = outcome_of(result)
        self.requests.labels(signal, via.transport, encoding or "unknown", outcome).inc()
        if body_bytes:
            self.bytes.labels(signal, via.transport).inc(body_bytes)
        # What asks elsewhere may be anybody; `doctor` tells of it where it looks like an exporter.
        if isinstance(result, Refused) and not via.from_runwell and signal != NO_SIGNAL:
            self._tell(signal, via.transport, outcome, result, body_bytes)

    def _tell(self, signal: str, transport: str, outcome: Outcome, error: Refused, body_bytes: int) -> None:
        key, now = (signal, transport, outcome), time.monotonic()
        with self._lock:
            at, held_back = self._last_logged.get(key, (-_TELL_S, 0))
            if now - at < _TELL_S:
                self._last_logged[key] = (at, held_back + 1)
                return
            self._last_logged[key] = (now, 0)
        # The error's own text may quote the request; its kind is enough here, the sender got the rest.
        log.error(
            "otlp_request_failed",
            request_id=f"request-{time.time_ns():x}",
            signal=signal,
            transport=transport,
            outcome=outcome,
            error_type=type(error).__name__,
            error_message=_WHY[outcome],
            body_bytes=body_bytes,
            held_back=held_back,
        )

    def settled(self, requests: Iterable[Settled], seq: int | None) -> None:
        """Count the records of decoded requests; *seq* is the journal number of what was kept, None if nothing was."""
        journaled: Tally[Path] = Tally()
        with self._lock:
            for r in requests:
                path: Path = (r.signal, r.via.transport)
                self.records.labels(*path).inc(r.said.total)
                if r.said.duplicate:
                    self.duplicates.labels(*path).inc(r.said.total)
                    continue
                for reason, n in r.said.rejections.items():
                    self.rejected.labels(*path, reason).inc(n)
                if not r.written:
                    self.rejected.labels(*path, UNAVAILABLE).inc(r.said.records)
                    continue
                for warning, n in r.said.warnings.items():
                    self.warnings.labels(warning).inc(n)
                journaled[path] += r.said.records
            if seq is not None:
                self.groups.inc()
                self.journal_seq.set(seq)
                for path, n in journaled.items():
                    self.pending.labels(*path).inc(n)
                if len(self._pending) < self._most_groups:
                    self._pending.append((seq, journaled))
                else:  # the store is far behind: coarser steps, the same sums
                    _, last = self._pending.pop()
                    self._pending.append((seq, last + journaled))

    def count_names(self, names: dict[str, int]) -> None:
        """Show how many names of each kind are known."""
        for kind, n in names.items():
            self.names.labels(kind).set(n)

    def taken_up(self, seq: int) -> None:
        """Move what the store holds, up to group *seq*, from pending to stored."""
        with self._lock:
            while self._pending and self._pending[0][0] <= seq:
                for path, n in self._pending.popleft()[1].items():
                    self.pending.labels(*path).dec(n)
                    self.stored.labels(*path).inc(n)

    def observe(self, in_flight_bytes: Callable[[], float], ready: Callable[[], float]) -> None:
        """Read these two when asked."""
        self.in_flight.set_function(in_flight_bytes)
        self.ready.set_function(ready)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        with self._lock:
            return generate_latest(self.registry)


_WHY: dict[Outcome, str] = {
    "bad_input": "the request could not be read",
    "too_large": "the request is over a limit",
    "unsupported": "the request has a content type or encoding that is not read",
    "unavailable": "the request cannot be taken now",
    "too_slow": "the body came too slowly",
    "wrong_method": "the path takes another method",
    "not_allowed": "the browser's origin is not allowed",
    "no_such_path": "the path or method is not one of OTLP's",
    "not_http": "the request can be read in two ways",
    "wrong_host": "the request is for a host that is not known here",
    "no_key": "the request has no key that is taken here",
    "wrong_scope": "the key of the request is of another scope",
    "head_too_large": "the head is over a limit",
    "defect": "the request met a defect of runwell",
}
