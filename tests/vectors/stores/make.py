"""Make the store that is kept of a schema version, with the code that is imported: that of the commit that raised it.

    PYTHONPATH=CHECKOUT python tests/vectors/stores/make.py OUT

CHECKOUT is a work tree of that commit, OUT the directory to fill. What is kept is what a kill leaves: a store with
runs, statistics and findings, groups that are stored and not in the run model yet, others that only the journal has,
and write-ahead logs. Files are compressed by xz. `unpack` is how tests get one.
"""

from __future__ import annotations

import json
import lzma
import sys
import tempfile
from pathlib import Path
from typing import Any

from collector import decode, journal
from collector.cli.recordings import Recorded, newest_ns, read
from collector.control import CHECKPOINTED, Control
from collector.jobs.runner import Runner
from collector.jobs.runs import RunsJob
from collector.model.signals import BY_NAME
from collector.settings import Limits, Settings
from collector.store import apply as store
from collector.store.database import Database
from collector.store.places import Memory

HERE = Path(__file__).parent
SECOND = 1_000_000_000
_RECORDED = HERE.parent.parent.parent / "sample_data" / "trigger-dev-4.8.3"
_KEPT = (
    "runwell.duckdb",
    "runwell.duckdb.wal",
    "journal.sqlite",
    "journal.sqlite-wal",
    "journal.head",
    "control.sqlite",
    "control.sqlite-wal",
)
_EXAMPLES: dict[str, Any] = {
    "cors": {"origins": ["https://app.example.com"]},
    "queues": {"limits": {"mail": 2, "media": [["2026-11-01T00:00:00Z", 3], ["2026-11-20T00:00:00Z", 4]]}},
    # Nobody listens there; and not before an hour has passed.
    "telemetry": {"endpoint": "http://127.0.0.1:9/", "headers": "x-key=a-key", "interval": "PT1H"},
    "rules": {"overrides": [{"rules": ["KEY"], "task": "send*", "operation": "*", "severity": "info", "options": {}}]},
    "reports": {
        "schedules": [{"name": "year", "cron": "0 9 1 1 *", "zone": "UTC", "period": "PT24H", "deliver": ["hook"]}],
        "channels": [
            {
                "name": "hook",
                "type": "webhook",
                "url": "https://hooks.example.com/runwell",
                "secret": "0123456789abcdef0123456789abcdef",
                "when": "new",
            },
        ],
        "dashboard": "https://runwell.example.com/",
        "internal_hosts": ["hooks.internal"],
    },
}
"""Values of settings whose defaults are empty, so that every name stands in the file."""


def requests(first: int = 0, count: int = 12) -> list[list[Recorded]]:
    """Return groups of requests: recorded ones of Trigger.dev, and of *count* workers, *first* and those after."""
    recorded = list(read(str(_RECORDED / "http-proto.jsonl.gz")))
    at_ns = min(filter(None, map(newest_ns, recorded)))
    sent = [[*_worker(n, at_ns + n * SECOND), *_numbered(n, at_ns + n * SECOND)] for n in range(first, first + count)]
    parts = [recorded[i : i + 4] for i in range(0, len(recorded), 4)]
    if first:
        return [[request] for some in sent for request in some]
    return [[*part, *some] for part, some in zip(parts, [*sent, *([] for _ in parts)], strict=False)]


def _worker(number: int, at_ns: int) -> list[Recorded]:
    """Return the logs of a worker's run, one of which only its span knows, and the span.

    One run in six states a wait that an unsigned subtraction gives when it wraps, another one below 0.
    """
    said = {1: 2_147_483.0, 4: -5.0}.get(number % 6, 1_500.0)
    ids = {"traceId": f"{number + 1:032x}", "spanId": f"{number + 1:016x}"}
    run = {"run_id": f"worker-{number}", "task_id": "import_file", "attempt": 1, "queue": "mail"}
    ending = "failed" if number % 5 == 3 else "completed"
    logs = [
        _log(at_ns, "import_file_started", **run, queue_wait_ms=said),
        _log(at_ns + SECOND, "row_parsed", ids),
        *([] if number % 6 == 5 else [_log(at_ns + 2 * SECOND, f"import_file_{ending}", **run)]),
    ]
    span = {**ids, "name": "import", "kind": 1, "attributes": _attributes(run)}
    span |= {"startTimeUnixNano": str(at_ns), "endTimeUnixNano": str(at_ns + 2 * SECOND)}
    about = {"resource": {"attributes": _attributes({"service.name": "worker", "deployment.environment.name": "live"})}}
    return [
        _request("logs", {"resourceLogs": [{**about, "scopeLogs": [{"logRecords": logs}]}]}),
        _request("traces", {"resourceSpans": [{**about, "scopeSpans": [{"spans": [span]}]}]}),
    ]


def _numbered(number: int, at_ns: int) -> list[Recorded]:
    """Return the logs and the span of a job that its queue numbers, as another one does, and of a child of it.

    One log of it only its span knows. Of the child only the first record states its environment.
    """
    ids = {"traceId": f"{number + 900:032x}", "spanId": f"{number + 900:016x}"}
    run = {"run_id": str(number // 2), "task_id": "render", "queue": ("mail", "pdf")[number % 2]}
    child = {"run_id": f"child-{number}", "task_id": "send"}
    parent = {"parent_run_id": run["run_id"], "environment": "live"}
    logs = [
        _log(at_ns, "page_render_started", **run),
        _log(at_ns + SECOND, "page_drawn", ids),
        _log(at_ns + 2 * SECOND, "page_render_completed", **run),
        _log(at_ns + SECOND, "page_send_started", **child, **parent),
        _log(at_ns + 2 * SECOND, "page_send_completed", **child),
    ]
    span = {**ids, "name": "render", "kind": 1, "attributes": _attributes(run)}
    span |= {"startTimeUnixNano": str(at_ns), "endTimeUnixNano": str(at_ns + 2 * SECOND)}
    about = {"resource": {"attributes": _attributes({"service.name": "renderer"})}}
    return [
        _request("logs", {"resourceLogs": [{**about, "scopeLogs": [{"logRecords": logs}]}]}),
        _request("traces", {"resourceSpans": [{**about, "scopeSpans": [{"spans": [span]}]}]}),
    ]


def _request(signal: str, body: dict[str, Any]) -> Recorded:
    return Recorded(BY_NAME[signal], "json", json.dumps(body).encode())


def _log(at_ns: int, body: str, ids: dict[str, str] | None = None, **named: Any) -> dict[str, Any]:
    return {
        "timeUnixNano": str(at_ns),
        "severityNumber": 9,
        "body": {"stringValue": body},
        "attributes": _attributes(named),
        **(ids or {}),
    }


def _attributes(named: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", int: "intValue", float: "doubleValue"}
    return [{"key": key, "value": {kinds[type(value)]: value}} for key, value in named.items()]


def group(requests: list[Recorded], received_ns: int) -> dict[str, Any]:
    """Return the tables of one journal group."""
    batch = decode.Batch(Limits())
    for r in requests:
        batch.add(r.signal, r.encoding, r.body, project="default", received_ns=received_ns)
    return batch.tables()


def fill(directory: Path) -> None:
    """Make a store in *directory*, copy it while it is open, as a kill would leave it, and compress what was copied."""
    settings = Settings(data=directory)
    log, control = journal.Journal.open(directory), Control.open(directory)
    reader = journal.Reader(directory)
    database, memory = Database.open(directory, settings.store), Memory()
    runs, runner = RunsJob(database, settings.runs, memory), Runner(database, control, memory, settings)
    groups = requests()
    received_ns = 0
    for n, some in enumerate(groups):
        received_ns = max([received_ns, *filter(None, map(newest_ns, some))]) + 1
        log.append(group(some, received_ns), [n.to_bytes(16, "big")], received_ns)
    entries = reader.entries(0, 2**40)
    known, stored = len(groups) - 5, len(groups) - 2
    for upto in (known // 2, known):
        store.apply(database, entries[:upto])
        as_of_ns = entries[upto - 1].received_ns + SECOND
        while runs.tick(as_of_ns):
            pass
        for _ in range(3):  # what rare jobs work out is published by the next time
            runner.run(as_of_ns)
        if upto < known:
            database.checkpoint()
            control.set_mark(CHECKPOINTED, upto)
    store.apply(database, entries[:stored])
    control.set_mark("applied", stored)
    out = directory / "out"
    out.mkdir()
    for name in _KEPT:
        (out / f"{name}.xz").write_bytes(lzma.compress((directory / name).read_bytes(), preset=9))
    (out / "runwell.toml").write_text(settings_file(), "utf-8")


def settings_file() -> str:
    """Return a settings file with every name there is but those of a place: `data` and ports."""
    given = Settings(**_EXAMPLES).model_dump(mode="json", context={"secrets": True}, exclude_none=True)
    sections = {name: value for name, value in given.items() if isinstance(value, dict)}
    return "\n".join(f"[{name}]\n{_lines(value)}" for name, value in sections.items())


def _lines(section: dict[str, Any]) -> str:
    return "".join(f"{name} = {_toml(value)}\n" for name, value in section.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {_toml(v)}" for name, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def main(out: Path) -> None:
    """Write the files into *out*, in place of what is there."""
    with tempfile.TemporaryDirectory() as directory:
        fill(Path(directory))
        out.mkdir(parents=True, exist_ok=True)
        for old in (*out.glob("*.xz"), out / "runwell.toml"):
            old.unlink(missing_ok=True)
        for made in (Path(directory) / "out").iterdir():
            (out / made.name).write_bytes(made.read_bytes())


def unpack(version: int, directory: Path) -> Path:
    """Write the files kept of *version* into *directory*, which is returned."""
    directory.mkdir(parents=True, exist_ok=True)
    for packed in (HERE / str(version)).glob("*.xz"):
        (directory / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
    (directory / "runwell.toml").write_bytes((HERE / str(version) / "runwell.toml").read_bytes())
    return directory


if __name__ == "__main__":
    main(Path(sys.argv[1]))
