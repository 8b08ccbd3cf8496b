"""The gate process: the gRPC port, in front of receive. Imports neither the decoder nor the journal."""

from __future__ import annotations

import sys

from collector.app import child, door, listen
from collector.model.errors import UsageError
from collector.receive.gate import Gate
from collector.receive.keyring import keyring
from collector.receive.trim import settle
from collector.settings import Settings
from collector.telemetry import log


async def main(settings: Settings) -> None:
    """Serve until told to stop, then finish what was begun."""
    lock = child.lock(settings.data, "gate")
    starting = log.started("gate_start")
    parts = settings.parts
    gate = Gate(
        listen.inside(settings.data),
        settings.limits,
        parts.room(settings.limits.body),
        parts.gate,
        keyring(settings.data, settings.keys),
    )
    server = gate.server(min(door.room(), settings.limits.grpc_connections))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError:
        raise UsageError(
            f"--grpc-port {settings.grpc_port}: already in use on {settings.host}; "
            "end what listens there or choose another port (0 picks one)."
        ) from None
    await server.start()
    child.announce({"grpc": {"host": settings.host, "port": port}})
    starting.completed(grpc_port=port)
    settle()
    await child.until_told()
    stopping = log.started("gate_stop")
    await server.stop(child.GRACE_S)
    await gate.close()
    lock.close()
    stopping.completed()


if __name__ == "__main__":
    sys.exit(child.run("gate", main))
