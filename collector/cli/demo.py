"""`runwell demo`: everything at once, filled with sample data that ends now."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from collector.cli import exits
from collector.cli.options import DEFAULT, CommonOptions
from collector.model.address import http_url
from collector.model.errors import Refused, UsageError

if TYPE_CHECKING:
    from collector.app.supervisor import Supervisor
    from collector.settings import Settings

T = TypeVar("T")


_APPLY_S = 180.0


def demo(
    *,
    once: Annotated[bool, Parameter(help="Check that everything shows what was sent, then end.")] = False,
    samples: Annotated[Path | None, Parameter(help="Folder of recordings [default: sample_data].")] = None,
    common: CommonOptions = DEFAULT,
) -> int:
    """Start collector and dashboard and fill them with the sample data, moved to end now.

    Without --data everything is kept in a temporary directory and gone afterwards.
    """
    import tempfile

    from collector.cli.dashboard import beside

    folder = samples or _samples()
    files = sorted(str(p) for p in folder.rglob("*.jsonl.*") if "truth" not in p.name)
    if not files:
        raise UsageError(f"--samples {folder}: no recordings (*.jsonl.gz, *.jsonl.zst) in it; name another folder.")
    with tempfile.TemporaryDirectory(prefix="runwell-demo-") as temporary:
        # A check must not fail because somebody listens on the usual ports.
        free = {"http_port": 0, "grpc_port": 0, "api_port": 0, "dashboard_port": 0} if once else {}
        more = {name: port for name, port in free.items() if getattr(common, name) is None}
        config = folder / "runwell.toml"
        common = common if common.config or not config.exists() else replace(common, config=config)
        settings = common.settings(**more, **({} if common.data else {"data": Path(temporary)}))
        if settings.keys != "off":
            raise UsageError("demo: sends without a key; leave RUNWELL_KEYS off for it.")
        return asyncio.run(_run(beside(settings), files, folder, once=once))


def _samples() -> Path:
    """Return the sample data beside the project, wherever it is run from."""
    for base in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (base / "sample_data").is_dir():
            return base / "sample_data"
    raise UsageError("sample_data: not found here; run from the project's folder or give --samples FOLDER.")


async def _run(settings: Settings, files: list[str], folder: Path, *, once: bool) -> int:
    from collector.app.supervisor import Supervisor
    from collector.cli.serve import print_addresses

    supervisor = Supervisor(settings, ("receive", "store"))
    code = 0

    async def work(addresses: dict[str, dict[str, Any]]) -> None:
        nonlocal code
        code = await _fill_and_show(supervisor, settings, addresses, files, folder, once=once)

    await supervisor.run(print_addresses, work)
    return code


async def _fill_and_show(
    supervisor: Supervisor,
    settings: Settings,
    addresses: dict[str, dict[str, Any]],
    files: list[str],
    folder: Path,
    *,
    once: bool,
) -> int:
    from collector.cli.dashboard import end, show, start
    from collector.cli.serve import print_addresses

    http, api = (http_url(**addresses[name]) for name in ("http", "api"))
    try:
        result = await _on_thread(lambda: _fill(files, http))
        _say(result)
        await _applied(api)
        if not once:
            await show(supervisor, settings, addresses)  # until Ctrl-C
            return 0
        from collector.client import Access

        process, port = await start(settings, api, Access())
        print_addresses({"dashboard": {"host": settings.host, "port": port}})
        try:
            for line in await _on_thread(lambda: _check(api, folder)):
                _say(line)
        finally:
            await end(process)
        return 0
    except (Refused, UsageError) as e:
        sys.stderr.write(f"runwell: {e}\n")
        return exits.of(e)


async def _on_thread(act: Callable[[], T]) -> T:
    """Return what *act* returns, on a thread that nobody waits for once we are told to stop."""
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()

    def work() -> None:
        try:
            done.set_result(act())
        except BaseException as e:
            done.set_exception(e)

    threading.Thread(target=work, name="demo", daemon=True).start()
    return await asyncio.wrap_future(done)


def _fill(files: list[str], endpoint: str) -> str:
    """Send each recording, moved to end now; return a summary."""
    from collector.cli import recordings
    from collector.cli.replay import send, to_now

    requests = [r for path in files for r in to_now(list(recordings.read(path)))]
    result = send(requests, endpoint)
    if result.refused or result.rejected_records:
        raise exits.Amiss(f"the collector did not take all sample data: {result.sentence()}")
    return result.sentence()


async def _applied(api: str) -> None:
    """Wait until all that was acknowledged can be read."""
    from collector.client import Client

    client = Client(api)
    deadline = asyncio.get_running_loop().time() + _APPLY_S
    while True:
        status = await _on_thread(client.status)
        if status["journal_seq"] == status["applied_seq"] == status["runs_seq"]:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise exits.Amiss(f"the store had not taken up everything after {_APPLY_S:g} s")
        await asyncio.sleep(0.2)


def _check(api: str, folder: Path) -> list[str]:
    """Return what was checked; raise Refused when a run of the ground truth or the Overview is missing."""
    from collector.client import Client
    from collector.model.words import DEVELOPMENT

    client = Client(api)
    seen = set(client.sql("SELECT DISTINCT run_id FROM runs").table["run_id"].to_pylist())
    lines = []
    for path in sorted(folder.rglob("*.truth.jsonl*")):
        named_silent = path.with_name(path.name.split(".truth")[0] + ".silent.json")
        silent = json.loads(named_silent.read_text()) if named_silent.exists() else []
        runs = {_run_id(json.loads(line)) for line in _lines(path)} - set(silent)
        missing = runs - seen
        if missing:
            raise exits.Amiss(f"{path.name}: {len(missing)} of {len(runs)} runs cannot be read, such as {min(missing)}")
        lines.append(
            f"{path.name}: {len(runs)} runs readable" + (f", {len(silent)} left no telemetry" if silent else "")
        )
    shown, start_ns, end_ns = _overview_runs(api)
    total = (
        client.sql(
            "SELECT count(*) AS n FROM runs WHERE is_test IS NOT TRUE AND is_replay IS NOT TRUE "  # noqa: S608 -- ours
            f"AND coalesce(lower(environment), '') NOT IN {DEVELOPMENT} AND at_ns >= {start_ns} AND at_ns < {end_ns}"
        )
        .table["n"][0]
        .as_py()
    )
    if shown != total:
        raise exits.Amiss(f"the Overview shows {shown} live runs of the last 24 hours, the API says {total}")
    lines.append(f"Overview shows {shown} live runs of the last 24 hours, as the API says")
    return lines


def _lines(path: Path) -> list[str]:
    import gzip

    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    return [line for line in text.splitlines() if line.strip()]


def _run_id(truth: dict[str, Any]) -> str:
    return str(truth.get("runId") or truth["run_id"])


def _overview_runs(api: str) -> tuple[int, int, int]:
    """Return the number of runs that the Overview page shows and of which window (ns), by running the app."""
    import logging
    import os
    import re
    from importlib.util import find_spec

    from streamlit.testing.v1 import AppTest

    from collector.cli.dashboard import API_VARIABLE

    os.environ[API_VARIABLE] = api
    # The app runs without a browser here, which Streamlit warns of.
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel(logging.ERROR)
    spec = find_spec("dashboard")
    assert spec is not None
    assert spec.origin is not None
    app = AppTest.from_file(str(Path(spec.origin).parent / "streamlit_app.py"), default_timeout=60).run()
    if app.exception:
        raise exits.Amiss(f"the Overview page fails: {app.exception[0].value}")
    html = " ".join(block.proto.body for block in app.get("html"))
    runs = re.search(r'data-kpi="runs"[^>]*data-value="(\d+)"', html)
    window = re.search(r'data-from="(\d+)" data-to="(\d+)"', html)
    if not runs or not window:
        raise exits.Amiss("the Overview page shows no number of runs")
    return int(runs[1]), int(window[1]), int(window[2])


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
