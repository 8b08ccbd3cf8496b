"""The store process: journal groups in, run model kept, questions answered. Its normal start is a recovery."""

from __future__ import annotations

import asyncio
import sys
import time

import anyio.to_thread

from collector.api import refusals, routes
from collector.api.strays import Strays
from collector.app import child, listen
from collector.app.keeper import Keeper
from collector.app.lending import Lending
from collector.app.reports import Reports
from collector.app.statements import Statements
from collector.app.web import UvicornChild
from collector.app.without import without
from collector.control import CHECKPOINTED, Control
from collector.jobs.books import Books
from collector.journal import Reader, files
from collector.model.resident import resident_bytes
from collector.receive.keyring import judge, keyring, of_api
from collector.receive.terms import Terms
from collector.settings import Settings
from collector.store import apply
from collector.store.database import TEMPORARY, Database
from collector.store.errors import NoMemory
from collector.telemetry import log
from collector.telemetry.export import Export

_FINISH_S, _LAST_S = 2.0, 2.9
"""For what is being worked out when the process is told to stop, and until it is over."""
_MOST_OTHER = 8
"""Requests for reports that are worked on at once, beside the one that is made."""
_SPARE_DISK = 256 * 2**20
"""Bytes of disk beyond `journal.free_disk` that statements leave: between two looks they may write that much."""
_SWITCH_S = 0.001
"""How long a thread that makes rows may keep the loop waiting, once for each thread; Python's own is 5 ms."""


async def main(settings: Settings) -> None:
    """Keep and answer until told to stop."""
    without("pandas")  # pyarrow would load it with the first table
    child.data_directory(settings.data)
    held = child.lock(settings.data, "store")
    socket = listen.bind(settings.host, settings.api_port, "--api-port")
    starting = log.started("store_start")
    files.refuse_newer(settings.data)  # which it only reads
    control = Control.open(settings.data)
    lending = Lending(control)
    duckdb = lending.times * settings.parts.duckdb
    try:
        # The supervisor has looked at its version (`newer`).
        database = Database.open(settings.data, settings.store, lending.gave_up, memory=duckdb, looked_at=True)
    except NoMemory:
        lending.more()
        raise
    reader = Reader(settings.data)
    if control.mark(CHECKPOINTED) > apply.applied(database):  # the journal must not forget what is to be rebuilt
        control.set_mark(CHECKPOINTED, apply.applied(database))
    if database.damaged_file:
        from collector.store import salvage  # rare, and the decoder comes with it

        salvaging = log.started("store_salvage", file=database.damaged_file)
        salvaging.completed(rows=salvage.take_over(database, settings.data, reader.first_seq()))
    books = Books()
    keeper = Keeper(settings, database, reader, control, books, lending)
    reports = Reports(settings, database, lambda: keeper.complete_ns)
    strays = Strays()
    statements = Statements(settings.data, books)
    database.watchdog.look_at_memory(
        resident_bytes() + settings.parts.store - settings.parts.duckdb + duckdb,
        statements.note,
        share=settings.parts.questions,
    )
    database.watchdog.look_at_disk(settings.data / TEMPORARY, int(settings.journal.free_disk) + _SPARE_DISK)
    http = UvicornChild(
        routes.application(
            database,
            settings,
            lambda: {**keeper.status(), **statements.status()},
            keeper.ready,
            books.text,
            reports.routes(),
            strays,
            statements.require_allowed,
            keeper.want_judged,
        ),
        Terms(
            settings.api_limits,
            "api_limits",
            "HTTP/1.1",
            lambda error, _: refusals.encode_refusal(error),
            hosts=settings.known_hosts,
            body=int(settings.api_limits.body),
            always=routes.HEALTH,
            judge=judge(keyring(settings.data, settings.keys), of_api),
            noted=strays.walled,
        ),
        child.GRACE_S,
    )
    sys.setswitchinterval(_SWITCH_S)
    anyio.to_thread.current_default_thread_limiter().total_tokens = _MOST_OTHER
    keeper.start()
    reports.start()
    serving = await http.start([socket])
    port = socket.getsockname()[1]
    child.announce({"api": {"host": settings.host, "port": port}})
    starting.completed(api_port=port, applied_seq=keeper.applied_seq)
    export = Export(settings.telemetry, books.registry)
    await child.until_told(_LAST_S)
    stopping = log.started("store_stop")
    ends = time.monotonic() + _FINISH_S
    keeper.ask_to_stop()
    reports.ask_to_stop()
    http.should_exit = True
    await serving
    database.watchdog.end_all("the store is stopping; ask again")
    await asyncio.to_thread(keeper.join, max(0.0, ends - time.monotonic()))
    unfinished = [*keeper.unfinished, *await asyncio.to_thread(reports.stop)]
    if not unfinished:  # else it is undone, and done by the next start
        reader.close()
        database.close()
        reports.close()
        control.close()
        held.close()
    stopping.completed(unfinished=unfinished)
    export.close()


if __name__ == "__main__":
    sys.exit(child.run("store", main))
