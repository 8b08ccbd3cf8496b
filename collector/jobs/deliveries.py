"""Delivers what is owed: a thread for each channel, so that one that is down or slow holds up no other.

What is owed stands in the control file. It is crossed out after the channel took it, so a process that is killed in
between sends it again, with the same key: at least once, never lost. What fails is tried again after ten seconds, then
after twice as long each time up to half an hour, until `reports.give_up`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import structlog

from collector.control import Control, firings, reports
from collector.control.firings import Delivery
from collector.settings.reports import Channel, Reports
from collector.settings.section import nanoseconds
from collector.telemetry.log import cause

if TYPE_CHECKING:
    from collector.report.notify.message import Message

_TURN_S = 1.0
_FIRST_S, _LONGEST_S = 10.0, 1800.0
_LEAST_ATTEMPTS = 5
"""A clock that jumps gives nothing up before it was tried so often."""
_MOST_NOTE = 200

Send: TypeAlias = "Callable[[Channel, Message], str]"


def _send(settings: Reports) -> Send:
    def send(channel: Channel, message: Message) -> str:
        from collector.report.notify import channels  # Apprise and the renderer are heavy

        return channels.send(channel, message, settings.internal_hosts, int(time.time()))

    return send


class Deliveries:
    """All channels. The control file may be shared with the thread that makes reports."""

    def __init__(
        self,
        control: Control,
        settings: Reports,
        send: Send | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        send = send or _send(settings)
        self._control = control
        self._clock = clock
        self.postmen = {c.name: Postman(control, settings, c, send, clock) for c in settings.channels}

    def start(self) -> None:
        """Give up what is owed to channels that are no more, and begin with the rest."""
        for d in self._control.reading(firings.waiting):
            if d.channel not in self.postmen:
                why = "its channel is not in the settings any more"
                self._control.writing(firings.update, replace(d, state="given_up", ended_ns=self._clock(), note=why))
        for postman in self.postmen.values():
            postman.start()

    def wake(self) -> None:
        """Say that something may be owed; without it, it is noticed within a second."""
        for postman in self.postmen.values():
            postman.wake()

    def stop(self, timeout_s: float) -> bool:
        """End what can be ended within *timeout_s*; tell whether all did. What was on its way is sent again."""
        for postman in self.postmen.values():
            postman.ask_to_stop()
        deadline = time.monotonic() + timeout_s
        for postman in self.postmen.values():
            if postman.is_alive():
                postman.join(max(0.0, deadline - time.monotonic()))
        return not any(postman.is_alive() for postman in self.postmen.values())


class Postman(threading.Thread):
    """Delivers to one channel, one report after the other."""

    def __init__(
        self, control: Control, settings: Reports, channel: Channel, send: Send, clock: Callable[[], int]
    ) -> None:
        super().__init__(name="store-postman", daemon=True)
        self._control = control
        self._channel = channel
        self._dashboard = str(settings.dashboard) if settings.dashboard else None
        self._give_up_ns = nanoseconds(settings.give_up)
        self._send = send
        self._clock = clock
        self._woken = threading.Event()
        self._stop_asked = False
        self._failed = False

    def run(self) -> None:
        """Work until told to stop; what fails is tried again."""
        while not self._stop_asked:
            try:
                self.turn()
                self._failed = False
            except Exception as e:
                if not self._failed:
                    structlog.get_logger().error("report_deliver_failed", **cause(e))
                self._failed = True
            self._woken.wait(_TURN_S)
            self._woken.clear()

    def wake(self) -> None:
        """Look again at once."""
        self._woken.set()

    def ask_to_stop(self) -> None:
        """End after what is on its way."""
        self._stop_asked = True
        self._woken.set()

    def turn(self) -> None:
        """Try what is due, the oldest first."""
        for d in self._control.reading(firings.waiting):
            # A clock that went back must not put a delivery off beyond the longest pause.
            wait_ns = d.due_ns - self._clock()
            if d.channel == self._channel.name and not 0 < wait_ns <= _LONGEST_S * 2e9 and not self._stop_asked:
                self._control.writing(firings.update, self._attempt(d))

    def _attempt(self, d: Delivery) -> Delivery:
        """Return what came of one attempt to deliver *d*."""
        from collector.report.notify import NotSent

        report = self._control.reading(reports.load, d.report_id)
        if report is None:
            why = "its report is not kept any more, or is of another version of runwell"
            return replace(d, state="given_up", ended_ns=self._clock(), note=why)
        from collector.report.notify.message import Message

        log = structlog.get_logger()
        fields = {"report_id": d.report_id, "channel": d.channel, "attempts": d.attempts + 1}
        wait_s = None
        try:
            note = self._send(self._channel, Message(report, d.key, self._dashboard))
        except NotSent as e:
            reason, wait_s = e.reason, e.retry_after_s
            error = {"error_type": "NotSent", "error_message": reason}
        except Exception as e:  # what is ours or a library's must not end the thread, nor the others' turn
            reason, error = f"{type(e).__name__}; the store's log says more", cause(e)
        else:
            log.info("report_deliver_completed", **fields)
            return replace(d, state="sent", attempts=d.attempts + 1, ended_ns=self._clock(), note=note[:_MOST_NOTE])
        now_ns = self._clock()
        tried = replace(d, attempts=d.attempts + 1, note=reason[:_MOST_NOTE])
        given_up = now_ns - d.created_ns >= self._give_up_ns and tried.attempts >= _LEAST_ATTEMPTS
        log.error("report_deliver_failed", **fields, given_up=given_up, **error)
        if given_up:
            return replace(tried, state="given_up", ended_ns=now_ns)
        pause_s = max(min(_FIRST_S * 2.0 ** min(d.attempts, 20), _LONGEST_S), wait_s or 0.0)
        return replace(tried, due_ns=now_ns + int(pause_s * 1e9))
