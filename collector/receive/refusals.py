"""What was refused: counts per kind, kept in memory and written to the control file now and then.

A kind ends when its sender is taken again; what is taken between two refusals tells that it has not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from collector.control import refusals
from collector.control.refusals import MOST, SLOT_NS, Look, Reason, Refusal, Traffic, Where
from collector.receive.via import Via
from collector.telemetry.log import cause

if TYPE_CHECKING:
    from collector.control import Control

log = structlog.get_logger()
_SAVE_S = 5.0
_APART_NS = 900 * 10**9
"""Refusals further apart than this are not one spell."""

_Key = tuple[str, ...]
_Identity = tuple[str, str, str]
"""(agent, version, signal); empty ones stand for any."""


class Refusals:
    """The bounded table of what was refused. Every method may be called from any thread."""

    def __init__(self, control: Control, clock: Callable[[], int] = time.time_ns) -> None:
        self._control = control
        self._clock = clock
        self._lock = threading.Lock()
        kinds, traffic = control.reading(refusals.load)
        self._kinds: dict[_Key, Refusal] = {r.key: r for r in reversed(kinds)}
        self._slot = traffic[0] if traffic else Traffic(0)
        self._slots: dict[int, Traffic] = {}
        """Slots that are not written yet, the present one among them."""
        self._waiting: dict[_Identity, set[_Key]] = {}
        """Kinds whose sender has not been taken since, by who that is."""
        for r in kinds:
            if r.taken_ns < r.last_ns:
                self._waiting.setdefault(_identity(r), set()).add(r.key)
        self._changed: set[_Key] = set()
        self._gone: set[_Key] = set()
        self._fresh = False
        """Whether somebody who looks now would not see what has begun or ended."""
        self._saved = time.monotonic()

    def refused(self, via: Via, kind: tuple[Where, str], look: Look, reason: Reason) -> None:
        """Note a refused request; *kind*: what its path is, and the signal that it names. Our own are left out."""
        if via.from_runwell:
            return
        now_ns = self._clock()
        key = (via.transport, *kind, look, reason, via.agent, via.agent_version)
        with self._lock:
            self._count(now_ns, look)
            r = self._kinds.pop(key, None)
            if r is None or r.taken_ns > r.last_ns:
                self._fresh = True
            if r is None:
                r = Refusal(via.transport, *kind, look, reason, via.agent, via.agent_version, first_ns=now_ns)
                self._make_room()
            apart = now_ns - r.last_ns > _APART_NS
            r.mixed = 0 if apart else max(r.mixed, int(r.taken_ns > r.last_ns))
            r.count += 1
            r.last_ns, r.taken_ns = now_ns, 0
            self._kinds[key] = r  # at the end: the first is always the one not seen for longest
            self._gone.discard(key)
            self._changed.add(key)
            self._waiting.setdefault(_identity(r), set()).add(key)

    def taken(self, via: Via, signal: str) -> None:
        """Note a request that was taken."""
        now_ns = self._clock()
        with self._lock:
            self._count(now_ns, None)
            if not self._waiting or via.from_runwell:
                return
            for identity in {(via.agent, via.agent_version, signal), (via.agent, via.agent_version, ""), ("", "", "")}:
                for key in self._waiting.pop(identity, ()):
                    self._kinds[key].taken_ns = now_ns
                    self._changed.add(key)
                    self._fresh = True

    def _count(self, now_ns: int, look: Look | None) -> None:
        slot_ns = now_ns - now_ns % SLOT_NS
        if self._slot.slot_ns != slot_ns:
            self._slot = Traffic(slot_ns)
        self._slots[slot_ns] = self._slot
        self._slot.answered += 1
        match look:
            case "exporter":
                self._slot.exporter += 1
            case "sender":
                self._slot.sender += 1
            case "visitor":
                self._slot.visitor += 1

    def _make_room(self) -> None:
        """Drop the kind that says least: a visitor before anything else, then the one not seen for longest."""
        while len(self._kinds) >= MOST:
            oldest = next((k for k, r in self._kinds.items() if r.look == "visitor"), next(iter(self._kinds)))
            waits = self._waiting.get(_identity(self._kinds.pop(oldest)))
            if waits is not None:
                waits.discard(oldest)
            self._changed.discard(oldest)
            self._gone.add(oldest)

    def save(self, *, now: bool = False) -> None:
        """Write what changed; counts alone at most every few seconds, unless it must be *now*."""
        with self._lock:
            if not (self._fresh or now or time.monotonic() - self._saved >= _SAVE_S):
                return
            changed = [replace(self._kinds[key]) for key in self._changed]
            gone, traffic = list(self._gone), [replace(t) for t in self._slots.values()]
            self._changed.clear()
            self._gone.clear()
            self._slots.clear()
            self._fresh = False
        self._saved = time.monotonic()
        if not (changed or gone or traffic):
            return
        try:
            self._control.writing(refusals.save, changed, gone, traffic)
        except Exception as e:  # a table for people; tried again in a few seconds
            with self._lock:
                self._changed |= {r.key for r in changed if r.key in self._kinds}
                self._gone |= {key for key in gone if key not in self._kinds}
                self._slots = {t.slot_ns: t for t in traffic} | self._slots
            log.error("refusals_save_failed", **cause(e))


def _identity(r: Refusal) -> _Identity:
    """Return whose being taken ends *r*: anybody's, where nothing is known of the sender."""
    return ("", "", "") if r.agent == "none" and r.where == "none" else (r.agent, r.agent_version, r.signal)
