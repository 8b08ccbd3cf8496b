"""A month of the synthetic workload with three planted incidents: `python -m bench.weeks DIRECTORY [--out FOLDER]`.

The tasks of `sample_data/workload.py`, logged through the OpenTelemetry SDK on a virtual clock, go through decode,
journal, store and jobs as any telemetry does, which takes about six minutes of CPU. DIRECTORY is then a data directory
that `runwell` can serve; it is made once. At its end the report of the last 24 hours is made: what somebody reads the
morning after. With --out it is written as morning.md and morning.html, with a picture (needs Chromium).

Planted in the last 20 hours, seen from the end: 19 h a deploy that makes `render-report` 1.7 times as long from then
on, 12 h to 10.5 h the `ledger` service failing, 6 h a nightly report that does not start. Three deploys before change
nothing.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import time
from itertools import pairwise
from pathlib import Path

from collector.control import Control
from collector.decode import Batch
from collector.jobs import report
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.journal import Journal, Reader
from collector.model.report import Report, Span
from collector.model.signals import BY_NAME
from collector.model.units import DAY_NS, HOUR_NS
from collector.report import render
from collector.settings import Limits, Settings, load
from collector.store.apply import applied, apply
from collector.store.database import Database
from collector.store.places import Memory
from sample_data.make import Telemetry
from sample_data.workload import HOUR, Run, Story, Trouble, simulate

SEED = 20261124
END_NS = 1_795_507_200 * 10**9  # 2026-11-24T08:00:00Z, nine in the morning in Berlin, a Tuesday
ZONE = "Europe/Berlin"
_PICTURE_PX = 2330
_SETTINGS = Path(__file__).parent.parent / "sample_data" / "runwell.toml"


def story(hours: float) -> Story:
    """Return what happens in *hours* that end in the morning: three incidents in the last of them."""

    def ago(h: float) -> float:
        return (hours - h) * HOUR

    return Story(
        (
            Trouble(ago(19), math.inf, task="render-report", slower=1.7),
            Trouble(ago(12), ago(10.5), service="ledger", failing=0.85, slower=4.0),
            Trouble(ago(7), ago(5), task="nightly-report", skipped=True),
        ),
        ((0.0, "2026.10.4"), (ago(19 * 24), "2026.11.0"), (ago(8 * 24), "2026.11.1"), (ago(19), "2026.11.2")),
    )


def play(directory: Path, days: int, *, end_ns: int = END_NS, planned: Story | None = None) -> tuple[Database, Control]:
    """Fill *directory* with *days* of telemetry that end at *end_ns*, and return its store after all jobs."""
    # Like the sample, it begins at 14:00 UTC, and ends at 08:00.
    hours = days * 24.0 - 6.0
    start_ns = end_ns - round(hours * HOUR_NS)
    dice = random.Random(SEED)
    said = planned or story(hours)
    runs = simulate(hours, dice, said)
    directory.mkdir(parents=True, exist_ok=True)
    settings = _settings(directory)
    journal, reader = Journal.open(directory), Reader(directory)
    database, control, memory = Database.open(directory, settings.store), Control.open(directory), Memory()
    job = RunsJob(database, settings.runs, memory)
    runner = Runner(database, control, memory, settings)
    telemetry = Telemetry(hours, dice, said, start_ns)
    for day in _days(runs, hours):
        for run in day:
            telemetry.tell(run)
        last_ns = 0
        for when, request in sorted(telemetry.batches(), key=lambda pair: pair[0]):
            batch = Batch(Limits())
            signal = "logs" if type(request).__name__ == "ExportLogsServiceRequest" else "traces"
            batch.add(BY_NAME[signal], "protobuf", request.SerializeToString(), project="default", received_ns=when)
            journal.append(batch.tables(), [], when)
            last_ns = when
        while entries := reader.entries(applied(database), 2**23):
            apply(database, entries)
        while job.tick(last_ns):
            pass
        _settle(runner, last_ns)
    while job.tick(end_ns):
        pass
    _settle(runner, end_ns)
    database.checkpoint()
    reader.close()
    journal.close()
    return database, control


def _days(runs: list[Run], hours: float) -> list[list[Run]]:
    edges = [*(24.0 * HOUR * d for d in range(math.ceil(hours / 24))), math.inf]
    return [[r for r in runs if a <= r.triggered_at < b] for a, b in pairwise(edges)]


def _settle(runner: Runner, as_of_ns: int) -> None:
    while runner.run(as_of_ns):
        pass
    if runner.errors:
        raise SystemExit(str(runner.errors))


def _settings(directory: Path) -> Settings:
    return load({"data": directory}, config=_SETTINGS)


def morning(database: Database, control: Control, end_ns: int = END_NS) -> Report:
    """Return the report of the 24 hours before *end_ns*."""
    period = Span(from_ns=end_ns - DAY_NS, to_ns=end_ns)
    return report.make(database, control, schedule="morning", period=period, zone=ZONE, as_of_ns=end_ns)


def write(made: Report, folder: Path) -> None:
    """Write *made* into *folder*: Markdown, a page, and its picture down to the third anomaly."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "morning.md").write_text(render.markdown(made), "utf-8")
    page_file = folder / "morning.html"
    page_file.write_text(render.html(made), "utf-8")
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 860, "height": 1000})
        page.goto(page_file.resolve().as_uri())
        whole = page.locator("body").bounding_box()
        assert whole is not None
        clip = {"x": 0, "y": 0, "width": 860, "height": min(_PICTURE_PX, whole["height"])}
        page.screenshot(path=folder / "morning.png", clip=clip, full_page=True)
        browser.close()


def main() -> None:
    """Make the store, unless it is there, and print the morning's report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    settings = _settings(args.directory)
    if (args.directory / "runwell.duckdb").exists():
        database, control = Database.open(args.directory, settings.store), Control.open(args.directory)
    else:
        began = time.process_time()
        database, control = play(args.directory, args.days)
        print(f"store made with {time.process_time() - began:.0f} s of CPU")
    began, cpu = time.perf_counter(), time.process_time()
    made = morning(database, control)
    print(f"report made in {time.perf_counter() - began:.2f} s, {time.process_time() - cpu:.2f} s of CPU")
    print(render.markdown(made))
    if args.out is not None:
        write(made, args.out)
    database.close()
    control.close()


if __name__ == "__main__":
    main()
