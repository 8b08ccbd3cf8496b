"""Whether a request may come in: judged by its head alone at every port, against a table that is kept in memory.

Enter: method, path and headers, or gRPC's metadata. Leave: nothing, or `NoKey` (401, UNAUTHENTICATED) and `WrongScope`
(403, PERMISSION_DENIED). What needs no key stands here and nowhere else.
"""

from __future__ import annotations

import contextlib
import math
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from collector.control import FILE, Control, keys
from collector.control.keys import GRANTS, Key, Scope
from collector.model.errors import NoKey, NotLetIn, NotNow, Refused, WrongScope
from collector.model.units import DAY_NS
from collector.telemetry.log import cause

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Paths that probes ask, which have no key: they tell no more than whether it runs and is ready."""
OPEN_METHODS = "/grpc.health.v1.Health/"
"""How gRPC methods that need no key begin: probes, who are told that there is no such method."""
READ_PATHS = frozenset({"/metrics"})
"""Paths of the port for telemetry that are read."""
QUESTIONS = frozenset({"/api/v1/sql"})
"""Paths of the API that are read, though with a POST."""
_HEADERS = ("authorization", "x-api-key")
_SCHEME = re.compile(r"bearer +", re.IGNORECASE)
_FRESH_S = 2.0
"""How old the table may be before it is looked at again."""
_OLDEST_S = 4.0
"""How old it may be where it cannot be read: a revoked key is taken for five seconds at most."""
_TRIES = 4

Headers = Iterable[tuple[str, str]]
Judge = Callable[[str, str, list[tuple[bytes, bytes]]], None]
"""Raises Refused for method, path and headers of a request that may not come in."""


class Keyring:
    """The keys of the data directory *directory*, read again when its control file has changed."""

    def __init__(self, directory: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._now_s = now_s
        self._keys: dict[str, Key] = {}
        self._seen: object = None
        self._read_s: float | None = None
        self._noted: dict[str, int] = {}

    def require(self, scope: Scope, headers: Headers) -> None:
        """Raise NoKey or WrongScope where *headers* hold no key that may do *scope*; NotNow while keys are unknown."""
        text = _sent(headers)
        found = keys.TEXT.fullmatch(text)
        key = self._table().get(found[1]) if found else None
        if key is None or not key.fits(text):
            raise NoKey("the key is not one of this runwell; runwell keys create makes one")
        now_ns = time.time_ns()
        if (state := key.state(now_ns)) != "active":
            raise NoKey(f"the key {key.prefix} is {state}; runwell keys create makes another")
        if scope not in GRANTS[key.scope]:
            raise WrongScope(f"the key {key.prefix} is of scope {key.scope}; this needs one of scope {scope}")
        self._note(key, now_ns // DAY_NS)

    def _table(self) -> dict[str, Key]:
        """Return the keys by id, at most `_FRESH_S` old."""
        now_s = self._now_s()
        age_s = math.inf if self._read_s is None else now_s - self._read_s
        if age_s < _FRESH_S:
            return self._keys
        try:
            if (seen := self._signature()) != self._seen or not self._seen:
                self._keys = {key.id: key for key in self._read()}
                self._seen = seen
            self._read_s = now_s
        except OSError as e:
            structlog.get_logger().error("keys_read_failed", **cause(e))
            if age_s > _OLDEST_S:  # who was let in before may be revoked by now
                raise NotNow("the keys cannot be read; try again") from None
        return self._keys

    def _read(self) -> list[Key]:
        """Read the keys; the file's index may be gone for a moment, where another process was the last to close it."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(OSError):
                return keys.read(self._directory / FILE)
        return keys.read(self._directory / FILE)

    def _signature(self) -> tuple[tuple[int, int], ...]:
        """Return what changes with every write to the control file."""
        path = self._directory / FILE
        stats = [p.stat() for p in (path, path.with_name(f"{FILE}-wal")) if p.exists()]
        return tuple((s.st_mtime_ns, s.st_size) for s in stats)

    def _note(self, key: Key, day: int) -> None:
        """Keep on which day a key was last used, once a day and beside the requests."""
        if max(key.used_day or 0, self._noted.get(key.id, 0)) < day:
            self._noted[key.id] = day
            threading.Thread(target=self._write, args=(key.id, day), name="key-used", daemon=True).start()

    def _write(self, key_id: str, day: int) -> None:
        try:
            control = Control.open(self._directory)
            try:
                control.writing(keys.used, [key_id], day)
            finally:
                control.close()
        except Exception as e:
            structlog.get_logger().warning("keys_write_failed", **cause(e))


def _sent(headers: Headers) -> str:
    """Return the text of the key that *headers* hold; raise NoKey where they hold none, or two."""
    given = [value.strip() for name, value in headers if name.lower() in _HEADERS and value.strip()]
    texts = dict.fromkeys(_SCHEME.sub("", value, count=1) if _SCHEME.match(value) else value for value in given)
    ours = [text for text in texts if text.startswith("rw_")]  # beside another that is for a proxy on the way
    if len(ours) > 1:
        raise NoKey("two different keys in one request; send one")
    if not texts:
        raise NoKey("no key; send one as Authorization: Bearer KEY, or as x-api-key")
    return ours[0] if ours else next(iter(texts))


def judge(ring: Keyring | None, wanted: Callable[[str, str], Scope]) -> Judge:
    """Return what judges HTTP requests by *ring*, where *wanted* tells the scope by method and path; None: no keys."""
    if ring is None:
        return lambda method, path, headers: None

    def require(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        if path in OPEN_PATHS or (
            method == "OPTIONS" and any(k == b"access-control-request-method" for k, _ in headers)
        ):
            return
        ring.require(wanted(method, path), [(k.decode("latin-1"), v.decode("latin-1")) for k, v in headers])

    return require


def of_otlp(method: str, path: str) -> Scope:
    """Return the scope that a request to the port for telemetry needs."""
    return "read" if path in READ_PATHS else "ingest"


def of_api(method: str, path: str) -> Scope:
    """Return the scope that a request to the read API needs."""
    return "read" if method in ("GET", "HEAD", "OPTIONS") or path in QUESTIONS else "admin"


def keyring(directory: Path, required: str) -> Keyring | None:
    """Return the keys that the setting `keys` asks for."""
    return Keyring(directory) if required == "required" else None


def refused_call(ring: Keyring | None, method: str, metadata: Headers) -> Refused | None:
    """Return why a gRPC call is not passed on, None where it is."""
    if ring is None or method.startswith(OPEN_METHODS):
        return None
    try:
        ring.require("ingest", metadata)
    except (NotLetIn, NotNow) as e:
        return e
    return None
