"""OTLP/gRPC: generic handlers that take bytes undecoded, so both wires meet in `admit`.

gRPC reads a message whole before a handler runs: memory is bounded by message size times streams per connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import structlog
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from collector.decode import Accepted
from collector.model.errors import Refused
from collector.model.signals import RECEIVED, Signal
from collector.otlp import answers
from collector.receive.admit import Admit
from collector.receive.errors import told
from collector.receive.http import PROJECT
from collector.receive.via import OWN_HEADER, via
from collector.settings import Limits
from collector.telemetry.log import cause

log = structlog.get_logger()

Export = Callable[[bytes, "grpc.aio.ServicerContext[bytes, bytes]"], Awaitable[bytes]]


def server(admit: Admit, limits: Limits) -> grpc.aio.Server:
    """Return a server for the OTLP services, with no port yet."""
    made = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", int(limits.body)),
            ("grpc.max_concurrent_streams", limits.grpc_streams),
            ("grpc.so_reuseport", 0),
            # It refuses streams that begin before the last ones are forgotten: a client at the limit would be hit.
            ("grpc.http.overload_protection", 0),
            # Clients may ping every 10 s, calls or none; gRPC's own default is five minutes.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ]
    )
    made.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(
                signal.grpc_service, {"Export": grpc.unary_unary_rpc_method_handler(_export(admit, signal))}
            )
            for signal in RECEIVED
        )
    )
    return made


def _export(admit: Admit, signal: Signal) -> Export:
    async def export(body: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        sent = {str(k): str(v) for k, v in context.invocation_metadata() or ()}
        came = via("grpc", sent.get("user-agent", ""), OWN_HEADER in sent)
        result: Accepted | Refused | None = None
        try:
            with admit.hold() as hold:
                hold.add(len(body))
                # gRPC has decompressed the message already.
                accepted = result = await admit.admit(PROJECT, signal, "protobuf", "", body, came)
        except Exception as e:
            if isinstance(e, Refused):
                result = e
            else:
                log.error("request_receive_failed", **cause(e))
            answer = told(e)
            await context.abort(
                answer.grpc,
                answer.status.message[:1024].encode("ascii", "replace").decode(),
                trailing_metadata=_details(answer.status),
            )
            raise AssertionError("abort always raises") from None
        finally:
            admit.books.answered(signal.name, came, "protobuf", result, len(body))
        return answers.success(signal, "protobuf", rejected=accepted.rejected, message=accepted.message)

    return export


def _details(status: Status) -> tuple[tuple[str, bytes], ...]:
    """Return *status* as trailing metadata; the Python exporter looks for the delay under a name of its own."""
    delays = (d.value for d in status.details if d.Is(RetryInfo.DESCRIPTOR))
    return (
        ("grpc-status-details-bin", status.SerializeToString()),
        *(("google.rpc.retryinfo-bin", delay) for delay in delays),
    )
