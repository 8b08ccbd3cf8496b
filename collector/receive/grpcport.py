"""OTLP/gRPC behind the gate: handlers that take bytes undecoded, so both wires meet in `admit`."""

from __future__ import annotations

import grpc.aio
import structlog

from collector.decode import Accepted
from collector.model.errors import Refused
from collector.model.signals import Signal
from collector.otlp import answers
from collector.receive import gate
from collector.receive.admit import Admit
from collector.receive.errors import told
from collector.receive.http import PROJECT
from collector.receive.via import OWN_HEADER, via
from collector.settings import Limits
from collector.telemetry.log import cause

log = structlog.get_logger()


def server(admit: Admit, limits: Limits) -> grpc.aio.Server:
    """Return a server for the gate alone, with no port yet."""
    # All callers of the gate are one connection here: what bounds them is `limits.in_flight`.
    return gate.server(lambda signal: _export(admit, signal), limits, streams=gate.MOST_CALLS)


def _export(admit: Admit, signal: Signal) -> gate.Export:
    async def export(body: bytes, context: gate.Context) -> bytes:
        sent = {str(k): str(v) for k, v in context.invocation_metadata() or ()}
        came = via("grpc", sent.get(gate.AGENT, ""), OWN_HEADER in sent)
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
            await told(e).abort(context)
        finally:
            admit.books.answered(signal.name, came, "protobuf", result, len(body))
        return answers.success(signal, "protobuf", rejected=accepted.rejected, message=accepted.message)

    return export
