"""The receive process: journal, HTTP, and gRPC behind the gate, in one loop. Imports no duckdb, polars or streamlit."""

from __future__ import annotations

import asyncio
import sys

from collector.app import child, listen
from collector.app.web import UvicornChild
from collector.app.without import without
from collector.control import Control
from collector.receive import grpcport
from collector.receive.admit import Admit
from collector.receive.books import Books
from collector.receive.errors import encode_failure
from collector.receive.http import HttpPort
from collector.receive.keyring import judge, keyring, of_otlp
from collector.receive.terms import Terms
from collector.receive.trim import settle
from collector.settings import Settings
from collector.telemetry import log
from collector.telemetry.export import Export

_SETTLE_S = 0.7
"""For requests that wait to be written; whoever waits for longer is told to come back while connections last."""


async def main(settings: Settings) -> None:
    """Serve until told to stop, then finish what was begun."""
    without("pandas")  # pyarrow would load it with the first request: 1 s of CPU and 50 MB for nothing
    child.data_directory(settings.data)
    lock = child.lock(settings.data, "receive")
    http_socket = listen.inherited() or listen.bind(settings.host, settings.http_port, "--http-port")
    starting = log.started("receive_start")
    control = Control.open(settings.data)
    books = Books()
    admit = Admit(settings, control, books)
    grpc_server = grpcport.server(admit, settings.limits)
    grpc_server.add_insecure_port(listen.inside(settings.data))
    application = HttpPort(admit, settings.limits, settings.cors)
    terms = Terms(
        settings.limits,
        "limits",
        "HTTP/1.1, or OTLP/gRPC on its own port",
        encode_failure,
        judge=judge(keyring(settings.data, settings.keys), of_otlp),
        hosts=settings.known_hosts,
        noted=application.walled,
    )
    http = UvicornChild(application, terms, child.GRACE_S)
    await grpc_server.start()
    serving = await http.start([http_socket])
    port = http_socket.getsockname()[1]
    child.announce({"http": {"host": settings.host, "port": port}})
    starting.completed(http_port=port)
    export = Export(settings.telemetry, books.registry)
    settle()
    await child.until_told()
    await asyncio.to_thread(export.flush)  # while we can still take it, if it is for us
    stopping = log.started("receive_stop")
    admit.drain()
    asyncio.get_running_loop().call_later(_SETTLE_S, admit.turn_away)
    http.should_exit = True
    await asyncio.gather(grpc_server.stop(child.GRACE_S), serving)
    admit.close()
    control.close()
    lock.close()
    stopping.completed()
    export.close()


if __name__ == "__main__":
    sys.exit(child.run("receive", main))
