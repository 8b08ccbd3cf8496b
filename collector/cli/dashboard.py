"""`runwell dashboard`: the Streamlit app as a process of its own, told where the API is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from collector.cli.access import ANYBODY, AccessOptions
from collector.cli.options import DEFAULT, CommonOptions
from collector.model.address import http_url
from collector.model.errors import UsageError

if TYPE_CHECKING:
    from collector.app.supervisor import Supervisor
    from collector.client import Access
    from collector.settings import Settings

API_VARIABLE = "RUNWELL_API"
_OWN = "dashboard of runwell up"
_START_S = 60.0


def dashboard(
    *,
    url: Annotated[str | None, Parameter(help="URL of the read API [default: the one on --data].")] = None,
    place: CommonOptions = DEFAULT,
    to: AccessOptions = ANYBODY,
) -> int:
    """Show the dashboard of a collector that runs elsewhere or on --data."""
    from collector.client import address

    settings = place.settings()
    api = url or address(settings.data) or http_url(settings.host, settings.api_port)

    access = to.access()

    async def live() -> None:
        from collector.cli.serve import print_addresses

        process, port = await start(settings, api, access)
        try:
            print_addresses({"dashboard": {"host": settings.host, "port": port}})
            await process.wait()
            raise UsageError("the dashboard ended by itself; see its log above.")
        finally:
            await end(process)

    async def run() -> None:
        import signal

        living = asyncio.create_task(live())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, living.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await living

    asyncio.run(run())
    return 0


def beside(settings: Settings) -> Settings:
    """Return *settings* for a collector with a dashboard: its port is chosen, and links in reports lead there.

    An address that is stated stays: the dashboard may be reached by another one than it listens at.
    """
    from pydantic import AnyHttpUrl

    from collector.app import listen

    if not settings.dashboard_port:
        with contextlib.closing(listen.bind(settings.host, 0, "--dashboard-port")) as probe:
            settings = settings.model_copy(update={"dashboard_port": int(probe.getsockname()[1])})
    if settings.reports.dashboard is not None:
        return settings
    url = AnyHttpUrl(http_url(settings.host, settings.dashboard_port))
    return settings.model_copy(update={"reports": settings.reports.model_copy(update={"dashboard": url})})


async def show(supervisor: Supervisor, settings: Settings, addresses: dict[str, dict[str, Any]]) -> None:
    """Run the dashboard beside a supervisor until cancelled; start it again when it dies."""
    api = http_url(**addresses["api"])
    from collector.cli.serve import print_addresses

    access = _own(settings)
    while True:
        process, port = await start(settings, api, access)
        where = {"host": settings.host, "port": port}
        supervisor.publish("dashboard", where)
        print_addresses({"dashboard": where})
        settings = settings.model_copy(update={"dashboard_port": port})
        try:
            await process.wait()
        finally:
            await end(process)
        await asyncio.sleep(1)


def _own(settings: Settings) -> Access:
    """Return how the dashboard of `runwell up` is let in: with the key of the environment, else one that reads, made
    now in place of the one of the last start.
    """
    from collector.client import Access, key_header

    access = ANYBODY.access()
    if access.headers or settings.keys == "off":
        return access
    from collector.control import Control, keys

    control = Control.open(settings.data)
    try:
        text = control.writing(keys.renew, "read", _OWN, time.time_ns())
    finally:
        control.close()
    return Access(tuple(key_header(text).items()))


async def start(settings: Settings, api: str, access: Access) -> tuple[asyncio.subprocess.Process, int]:
    """Start the dashboard and return its process and port once it answers."""
    import importlib.util

    import httpx

    from collector.app import listen

    found = importlib.util.find_spec("dashboard")
    if found is None or found.origin is None:
        raise UsageError("the dashboard package is not installed beside the collector; install runwell whole.")
    with contextlib.closing(listen.bind(settings.host, settings.dashboard_port, "--dashboard-port")) as probe:
        port = int(probe.getsockname()[1])
    folder = Path(found.origin).parent
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dashboard",
        settings.host,
        str(port),
        *settings.hosts,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,  # it ends when this does: with this process, however that died
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, API_VARIABLE: api, "RUNWELL_ACCESS": access.said()},
        start_new_session=True,
    )
    deadline = time.monotonic() + _START_S
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            while process.returncode is None and time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.get(f"{http_url(settings.host, port)}/_stcore/health")
                    if answer.is_success:
                        return process, port
                await asyncio.sleep(0.1)
        raise UsageError("the dashboard did not start; see its log above.")
    except BaseException:
        await end(process)
        raise


async def end(process: asyncio.subprocess.Process) -> None:
    """End the dashboard, at once: it has nothing to finish."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
