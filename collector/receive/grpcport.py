"""OTLP/gRPC behind the gate: handlers that take bytes undecoded, so both wires meet in `admit`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc.aio
import structlog

from collector.decode import Accepted
from collector.model.errors import BadInput, NotNow, Refused
from collector.model.signals import SIGNALS, Signal
from collector.otlp import answers
from collector.otlp.compression import GRPC_DEFLATE, packing_of
from collector.receive import gate, labels, recognise
from collector.receive.admit import Admit
from collector.receive.books import NO_SIGNAL
from collector.receive.errors import NoSuchPath, failure_of
from collector.receive.owner import owner
from collector.receive.turns import Who
from collector.receive.via import OWN_HEADER, Via, via
from collector.settings import Limits
from collector.telemetry.log import cause

log = structlog.get_logger()


def server(admit: Admit, limits: Limits) -> grpc.aio.Server:
    """Return a server for the gate alone, with no port yet."""
    # All callers of the gate are one connection here: what bounds them is `limits.in_flight`.
    return gate.server(
        lambda signal: _export(admit, signal),
        _refuse(admit),
        limits,
        largest=int(limits.body),
        streams=gate.MOST_CALLS,
    )


def _refuse(admit: Admit) -> gate.Refuse:
    """Return what refuses a method that is not OTLP's, and keeps account of it."""

    async def refuse(method: str, context: gate.Context) -> bytes:
        sent = {str(k): str(v) for k, v in context.invocation_metadata() or ()}
        came = via("grpc", sent.get(gate.AGENT, ""), OWN_HEADER in sent)
        error = NoSuchPath(f"no such method; OTLP has {', '.join(f'{s.grpc_service}/Export' for s in SIGNALS)}")
        asked = sent.get(gate.METHOD, method)
        admit.books.answered(NO_SIGNAL, came, None, error, 0)
        admit.refusals.refused(came, recognise.where(asked), recognise.look_of_call(asked, came), "no_such_grpc_method")
        await failure_of(error).abort(context)

    return refuse


def _export(admit: Admit, signal: Signal) -> gate.Export:
    async def export(context: gate.Context) -> bytes:
        sent = {str(k): str(v) for k, v in context.invocation_metadata() or ()}
        came = via("grpc", sent.get(gate.AGENT, ""), OWN_HEADER in sent)
        result: Accepted | Exception | None = None
        size = int(sent.get(gate.SIZE, "0"))
        pieces = _pieces(context, size)
        try:
            project = owner(sent)
            if refusal := admit.ready:
                raise NotNow(refusal)
            with admit.hold() as hold:
                hold.add(size)
                parts = [piece async for piece in pieces]
                packing = _packing(parts[0])
                head = labels.head(parts, packing)
                try:
                    accepted = result = await admit.admit(project, signal, "protobuf", packing, parts, came, _who(sent))
                except BadInput as e:
                    parts.clear()  # the error knows this frame
                    raise labels.over_grpc(e, head, packing, signal) from None
        except Exception as e:
            result = e
            if not isinstance(e, Refused):
                log.error("request_receive_failed", **cause(e))
            async for _ in pieces:  # the gate hears no answer while it sends
                pass
            await failure_of(e).abort(context)
        finally:
            admit.books.answered(signal.name, came, "protobuf", result, size)
            if result is not None:
                _note(admit, signal, came, result)
        return answers.success(signal, "protobuf", rejected=accepted.rejected, message=accepted.message)

    return export


def _note(admit: Admit, signal: Signal, came: Via, result: Accepted | Exception) -> None:
    """Keep account of what a call is answered."""
    why = recognise.unkept(result) if isinstance(result, Accepted) else recognise.reason(result)
    if why is None:
        admit.refusals.taken(came, signal.name)
    else:
        looks = recognise.look_of_call(f"/{signal.grpc_service}/Export", came)
        admit.refusals.refused(came, ("otlp", signal.name), looks, why)


def _who(sent: dict[str, str]) -> Who:
    """Return who sends, by gRPC's name of the caller's connection, whose last part is the port."""
    peer = sent.get(gate.PEER, "")
    return Who(peer.rpartition(":")[0], peer)


async def _pieces(context: gate.Context, size: int) -> AsyncIterator[bytes]:
    """Yield a message of *size* bytes, which comes in pieces where it is large."""
    left = size
    try:
        while True:
            piece = await gate.one_message(context)
            yield piece
            left -= len(piece)
            if left <= 0:
                return
    except BadInput:  # the caller went away, or the gate
        raise asyncio.CancelledError from None


def _packing(body: bytes) -> str:
    """Return how a message is packed, which gRPC's library keeps to itself."""
    return {"gzip": "gzip", "deflate": GRPC_DEFLATE}.get(packing_of(body), "")
