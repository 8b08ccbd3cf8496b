"""The gRPC port: a process that holds the callers' connections and passes each call on to receive.

It decodes nothing and keeps nothing, so it has little to die of; receive does. When receive ends in the middle of a
call, the gate makes the call again to the next one: what was journalled without an answer is known by its digest and
stored once. Exporters that never send again (JavaScript's) lose nothing by a restart of receive this way, and those
that do meet no closed port, after which gRPC waits longer each time before it connects again.

gRPC would read every message whole before its handler runs. So to it each call is a stream, of which one message is
read, and no sooner than there is room for it (`room`). Packed messages are passed on as they came.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import grpc
import grpc.aio

from collector.model.errors import BadInput, NotNow, Refused
from collector.model.resident import resident_bytes
from collector.model.signals import RECEIVED, Signal
from collector.receive.errors import STATUS_DETAILS, failure_of
from collector.receive.keyring import Keyring, refused_call
from collector.receive.room import Room
from collector.receive.trim import trim
from collector.settings import Limits

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Export = Callable[[Context], Awaitable[bytes]]
"""Answers a call, of which it reads the message (`one_message`)."""
Refuse = Callable[[str, Context], Awaitable[bytes]]
"""Refuses a call of a method that is not served, whose path it is given."""

AGENT = "runwell-agent"
"""Metadata in which the caller's User-Agent is passed on: gRPC sets the header itself."""
METHOD = "runwell-method"
"""Metadata in which the method of a call that is not served is passed on, to be counted."""
SIZE = "runwell-size"
"""Metadata in which the bytes of the message are passed on, so that it is held before it is read."""
PEER = "runwell-peer"
"""Metadata in which the caller's address is passed on, as gRPC writes it."""
_OURS = "runwell-"
PIECE = 2**20
"""Bytes that are passed on as one message; a larger one goes in several."""
_AHEAD = 32 * 2**10
"""Bytes of a message that may come before it is read."""
_NOT_PASSED = ("user-agent", "te", "content-type", "authorization", "x-api-key")
"""What is not passed on: what belongs to the connection, and keys."""
_UNSERVED = "/runwell.gate/Unserved"
_NOT_IN_METADATA = re.compile(r"[^!-~]")
MOST_CALLS = 4_096
"""Calls at once to receive."""
_PENDING = 8_192
"""Calls of callers that nobody has taken up yet: with what each may send ahead they fit into the part of the gate."""
_LONGEST_S = 30.0
"""How long a call without a deadline waits for receive; exporters give up after ten seconds."""
_WAIT_SHARE = 0.9
"""For how much of its time a call waits until its message is read; in the rest it hears that it was not."""
_PAUSE_S = 0.02
_CALM_S = 0.25
"""How long after the last large message what it took is given back."""
_IDLE_MS = 600_000
"""How long a connection without a call is kept: longer than exporters pause, who then connect again."""


class _Others(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Every method that no other handler serves."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return what refuses the call; its messages are not read."""
        method = handler_call_details.method

        return _handler(partial(self._refuse, method))


def _handler(answer: Export) -> grpc.RpcMethodHandler:
    """Return what answers calls with *answer*, without reading their messages first."""

    async def handle(messages: object, context: Context) -> bytes:
        return await answer(context)

    return grpc.stream_unary_rpc_method_handler(handle)


def server(
    export: Callable[[Signal], Export],
    refuse: Refuse,
    limits: Limits,
    *,
    largest: int,
    streams: int,
    connections: int | None = None,
) -> grpc.aio.Server:
    """Return a server for the OTLP services that hands calls to what *export* gives for a signal, and other calls to
    *refuse*, with no port yet. Messages of up to *largest* bytes can be read, packed as they are.

    *connections*: more are closed as they come, since gRPC closes none to make room and stops where files run out.
    """
    bounds = (
        []
        if connections is None
        else [
            ("grpc.max_allowed_incoming_connections", connections),
            ("grpc.max_connection_idle_ms", _IDLE_MS),
        ]
    )
    made = grpc.aio.server(
        options=[
            *bounds,
            # gRPC's own is two minutes; who connects and says nothing is gone after this.
            ("grpc.server_handshake_timeout_ms", round(limits.header_time.total_seconds() * 1000)),
            ("grpc.max_receive_message_length", largest),
            # Unpacking is receive's, which bounds what it costs.
            ("grpc.per_message_decompression", 0),
            # What comes before anybody reads; without the probe it would grow to megabytes a call.
            ("grpc.http2.lookahead_bytes", _AHEAD),
            ("grpc.http2.bdp_probe", 0),
            ("grpc.max_concurrent_streams", streams),
            # From 1,000 on gRPC would end some at random as CANCELLED, which not every exporter sends again.
            ("grpc.server.max_pending_requests", _PENDING),
            ("grpc.server.max_pending_requests_hard_limit", _PENDING),
            ("grpc.so_reuseport", 0),
            # It refuses streams that begin before the last ones are forgotten: a client at the limit would be hit.
            ("grpc.http.overload_protection", 0),
            # Clients may ping every 10 s, calls or none; gRPC's own default is five minutes.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ]
    )
    made.add_generic_rpc_handlers(
        (
            *(
                grpc.method_handlers_generic_handler(signal.grpc_service, {"Export": _handler(export(signal))})
                for signal in RECEIVED
            ),
            _Others(refuse),
        )
    )
    return made


class Gate:
    """Passes calls on to the receive process that listens at *inside* (a gRPC address), whichever one that is.

    Messages take up at most *in_flight* bytes, from before they are read until they are answered, and with all that
    is kept for the next ones the process *memory* more than it has now. *keys*: calls need one of them.
    """

    def __init__(self, inside: str, limits: Limits, in_flight: int, memory: int, keys: Keyring | None = None) -> None:
        self._limits = limits
        self._keys = keys
        self._room = Room(in_flight, int(limits.body))
        self._most_bytes = resident_bytes() + memory
        self._trim: asyncio.TimerHandle | None = None
        self._channel = grpc.aio.insecure_channel(
            inside,
            options=[
                ("grpc.max_send_message_length", -1),
                # It is on this machine and soon back.
                ("grpc.initial_reconnect_backoff_ms", 50),
                ("grpc.min_reconnect_backoff_ms", 50),
                ("grpc.max_reconnect_backoff_ms", 200),
                ("grpc.enable_retries", 0),
            ],
        )

    def server(self, connections: int) -> grpc.aio.Server:
        """Return the server for callers, with no port yet, that takes so many *connections*."""
        return server(
            self._export,
            self._unserved(),
            self._limits,
            largest=self._room.largest,
            streams=self._limits.grpc_streams,
            connections=connections,
        )

    async def close(self) -> None:
        """End the connection to receive."""
        await self._channel.close()

    def _export(self, signal: Signal) -> Export:
        whole = self._channel.unary_unary(f"/{signal.grpc_service}/Export")
        pieces = self._channel.stream_unary(f"/{signal.grpc_service}/Export")

        async def export(context: Context) -> bytes:
            await self._let_in(f"/{signal.grpc_service}/Export", context)
            peer, longest_s, size = context.peer(), _longest(context), 0
            try:
                place = await self._room.enter(_sender(peer), longest_s * _WAIT_SHARE)
                held: list[bytes] = []  # whoever keeps a frame of a call that was given up keeps no message with it
                try:
                    size = PIECE + 1  # or so, where reading is given up
                    held.append(await place.read(partial(one_message, context), self._limits.body_time.total_seconds()))
                    size = len(held[0])
                    if size > PIECE:
                        self._let_go()  # it came as three copies
                    more = ((SIZE, str(size)), (PEER, peer))
                    return await self._pass(partial(_send, whole, pieces, held), context, more)
                finally:
                    held.clear()
                    place.leave()
            except Refused as e:
                failure = failure_of(e)
            finally:
                if size > PIECE:
                    self._let_go()
            await failure.abort(context)

        return export

    async def _let_in(self, method: str, context: Context) -> None:
        """End a call whose key does not let it in, before its message is read."""
        sent = [(key, str(value)) for key, value in context.invocation_metadata() or ()]
        if refused := refused_call(self._keys, method, sent):
            await failure_of(refused).abort(context)

    def _let_go(self) -> None:
        """Give back what large messages took, once none has come for a moment: until then it serves the next one, which
        would else wait for the kernel to make as many new pages. More than the gate's part goes back at once.
        """
        if self._trim is not None:
            self._trim.cancel()
        now = resident_bytes() > self._most_bytes
        self._trim = asyncio.get_running_loop().call_later(0 if now else _CALM_S, trim)

    def _unserved(self) -> Refuse:
        """Return what passes on that a method was asked for that is not served: receive keeps the books of both."""
        call = self._channel.unary_unary(_UNSERVED)

        async def refuse(method: str, context: Context) -> bytes:
            await self._let_in(method, context)
            asked = (METHOD, _NOT_IN_METADATA.sub("?", method)[:256])
            return await self._pass(partial(call, b""), context, (asked,))

        return refuse

    async def _pass(
        self, send: Callable[..., Awaitable[bytes]], context: Context, more: tuple[tuple[str, str], ...]
    ) -> bytes:
        """Return receive's answer to what *send* sends; make the call again as long as nobody has answered."""
        metadata = (*_passed(context), *more)
        ends = time.monotonic() + _longest(context)
        while True:
            try:
                return await send(metadata=metadata, timeout=ends - time.monotonic(), wait_for_ready=True)
            except grpc.aio.AioRpcError as e:
                trailing = tuple(e.trailing_metadata() or ())
                if any(key == STATUS_DETAILS for key, _ in trailing):  # an answer, though not a good one
                    await context.abort(e.code(), e.details() or "", trailing_metadata=trailing)
                if e.code() is not grpc.StatusCode.UNAVAILABLE:
                    await failure_of(NotNow("the receive process does not answer; try again")).abort(context)
            await asyncio.sleep(_PAUSE_S)


async def _send(whole: Any, pieces: Any, held: list[bytes], **how: Any) -> bytes:
    """Return the answer to the message *held*, sent in pieces where it is large: receive then holds it once, not three
    times.
    """
    size = len(held[0])
    if size <= PIECE:
        answer: bytes = await whole(held[0], **how)
        return answer
    call = pieces(**how)
    with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):  # answered before it was sent
        for at in range(0, size, PIECE):
            await call.write(held[0][at : at + PIECE])
        await call.done_writing()
    answer = await call
    return answer


async def one_message(context: Context) -> bytes:
    """Return the first message of a call; a second one is not read."""
    message = await context.read()
    if message is grpc.aio.EOF:
        raise BadInput("the call ended before a message was complete; it carries one")
    read: bytes = message
    return read


def _longest(context: Context) -> float:
    """Return how long a call may take, in seconds."""
    return min(context.time_remaining() or _LONGEST_S, _LONGEST_S)


def _sender(peer: str) -> str:
    """Return whose message it is by gRPC's name of the connection: an address, on this machine a connection."""
    return peer if peer.startswith(("ipv4:127.", "ipv6:%5B::1%5D", "ipv6:[::1]")) else peer.rpartition(":")[0]


def _passed(context: Context) -> tuple[tuple[str, str | bytes], ...]:
    """Return the caller's metadata as it is passed on: keys and what belongs to the connection stay out,
    what is ours also.
    """
    sent = tuple(context.invocation_metadata() or ())
    passed = tuple(
        (key, value) for key, value in sent if key not in _NOT_PASSED and not key.startswith((":", "grpc-", _OURS))
    )
    agent = next((value for key, value in sent if key == "user-agent"), "")
    return (*passed, (AGENT, agent))
