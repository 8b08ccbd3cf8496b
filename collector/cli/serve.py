"""`runwell serve` and `runwell up`."""

from __future__ import annotations

from typing import Any, Literal

from collector.cli.options import DEFAULT, CommonOptions


def serve(*, only: Literal["receive", "store"] | None = None, place: CommonOptions = DEFAULT) -> int:
    """Run the collector: receive OTLP and keep it.

    Parameters
    ----------
    only
        Run one of the two processes, for containers that share a volume.
    """
    return _supervise(place, only, with_dashboard=False)


def up(*, place: CommonOptions = DEFAULT) -> int:
    """Run the collector and the dashboard."""
    return _supervise(place, None, with_dashboard=True)


def _supervise(place: CommonOptions, only: str | None, *, with_dashboard: bool) -> int:
    import asyncio

    from collector.app.supervisor import Supervisor
    from collector.cli.dashboard import beside, show

    settings = beside(place.settings()) if with_dashboard else place.settings()

    async def run() -> None:
        supervisor = Supervisor(settings, (only,) if only else ("receive", "store"))
        after = (lambda addresses: show(supervisor, settings, addresses)) if with_dashboard else None
        await supervisor.run(print_addresses, after)

    asyncio.run(run())
    return 0


_WORDS = {"http": "OTLP/HTTP", "grpc": "OTLP/gRPC", "api": "read API", "dashboard": "dashboard"}


def print_addresses(addresses: dict[str, dict[str, Any]]) -> None:
    """Print a line per port."""
    for name, where in addresses.items():
        host = f"[{where['host']}]" if ":" in where["host"] else where["host"]
        print(f"{_WORDS.get(name, name):<10} http://{host}:{where['port']}", flush=True)  # noqa: T201
