"""The gRPC port: a process that holds the callers' connections and passes each call on to receive.

It decodes nothing and keeps nothing, so it has little to die of; receive does. When receive ends in the middle of a
call, the gate makes the call again to the next one: what was journalled without an answer is known by its digest and
stored once. Exporters that never send again (JavaScript's) lose nothing by a restart of receive this way, and those
that do meet no closed port, after which gRPC waits longer each time before it connects again.

gRPC reads a message whole before a handler runs: memory is bounded by message size times streams per connection.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc
import grpc.aio

from collector.model.errors import NotNow
from collector.model.signals import RECEIVED, Signal
from collector.receive.errors import STATUS_DETAILS, failure_of
from collector.settings import Limits

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Export = Callable[[bytes, Context], Awaitable[bytes]]
Refuse = Callable[[str, Context], Awaitable[bytes]]
"""Refuses a call of a method that is not served, whose path it is given."""

AGENT = "runwell-agent"
"""Metadata in which the caller's User-Agent is passed on: gRPC sets the header itself."""
METHOD = "runwell-method"
"""Metadata in which the method of a call that is not served is passed on, to be counted."""
_UNSERVED = "/runwell.gate/Unserved"
_NOT_IN_METADATA = re.compile(r"[^!-~]")
MOST_CALLS = 4_096
"""Calls at once to receive."""
_LONGEST_S = 30.0
"""How long a call without a deadline waits for receive; exporters give up after ten seconds."""
_PAUSE_S = 0.02
_IDLE_MS = 600_000
"""How long a connection without a call is kept: longer than exporters pause, who then connect again."""


class _Others(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Every method that no other handler serves."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return what refuses the call; its messages are not read."""
        method = handler_call_details.method

        async def refuse(messages: object, context: Context) -> bytes:
            return await self._refuse(method, context)

        return grpc.stream_unary_rpc_method_handler(refuse)


def server(
    export: Callable[[Signal], Export],
    refuse: Refuse,
    limits: Limits,
    *,
    streams: int,
    connections: int | None = None,
) -> grpc.aio.Server:
    """Return a server for the OTLP services that hands bytes to what *export* gives for a signal, and other calls to
    *refuse*, with no port yet.

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
            ("grpc.max_receive_message_length", int(limits.body)),
            ("grpc.max_concurrent_streams", streams),
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
                grpc.method_handlers_generic_handler(
                    signal.grpc_service, {"Export": grpc.unary_unary_rpc_method_handler(export(signal))}
                )
                for signal in RECEIVED
            ),
            _Others(refuse),
        )
    )
    return made


class Gate:
    """Passes calls on to the receive process that listens at *inside* (a gRPC address), whichever one that is."""

    def __init__(self, inside: str, limits: Limits, in_flight: int) -> None:
        self._limits = limits
        self._most_held_bytes = in_flight
        self._held_bytes = 0
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
            streams=self._limits.grpc_streams,
            connections=connections,
        )

    async def close(self) -> None:
        """End the connection to receive."""
        await self._channel.close()

    def _export(self, signal: Signal) -> Export:
        call = self._channel.unary_unary(f"/{signal.grpc_service}/Export")

        async def export(body: bytes, context: Context) -> bytes:
            if self._held_bytes + len(body) > self._most_held_bytes:
                await failure_of(NotNow("more bytes are in flight than limits.in_flight allows; try again")).abort(
                    context
                )
            self._held_bytes += len(body)
            try:
                return await self._pass(call, body, context)
            finally:
                self._held_bytes -= len(body)

        return export

    def _unserved(self) -> Refuse:
        """Return what passes on that a method was asked for that is not served: receive keeps the books of both."""
        call = self._channel.unary_unary(_UNSERVED)

        async def refuse(method: str, context: Context) -> bytes:
            return await self._pass(call, b"", context, ((METHOD, _NOT_IN_METADATA.sub("?", method)[:256]),))

        return refuse

    async def _pass(self, call: Any, body: bytes, context: Context, more: tuple[tuple[str, str], ...] = ()) -> bytes:
        """Return receive's answer to *body*; make the call again as long as nobody has answered."""
        metadata = (*_passed(context), *more)
        ends = time.monotonic() + min(context.time_remaining() or _LONGEST_S, _LONGEST_S)
        while True:
            try:
                answer: bytes = await call(
                    body, metadata=metadata, timeout=ends - time.monotonic(), wait_for_ready=True
                )
                return answer
            except grpc.aio.AioRpcError as e:
                trailing = tuple(e.trailing_metadata() or ())
                if any(key == STATUS_DETAILS for key, _ in trailing):  # an answer, though not a good one
                    await context.abort(e.code(), e.details() or "", trailing_metadata=trailing)
                if e.code() is not grpc.StatusCode.UNAVAILABLE:
                    await failure_of(NotNow("the receive process does not answer; try again")).abort(context)
            await asyncio.sleep(_PAUSE_S)


def _passed(context: Context) -> tuple[tuple[str, str | bytes], ...]:
    """Return the caller's metadata as it is passed on: what belongs to the connection stays out."""
    sent = tuple(context.invocation_metadata() or ())
    passed = tuple(
        (key, value)
        for key, value in sent
        if key not in ("user-agent", "te", "content-type", AGENT, METHOD) and not key.startswith((":", "grpc-"))
    )
    agent = next((value for key, value in sent if key == "user-agent"), "")
    return (*passed, (AGENT, agent))
