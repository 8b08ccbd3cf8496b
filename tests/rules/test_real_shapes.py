"""Rules of schedules, hooks, queues and ids on Trigger.dev's own telemetry, through `runwell check --input`.

Each story is recorded runs with one thing changed that the recorded project did not do; beside it the same runs
without that thing, of which the rule says nothing. The recorded sets as they are know none of these findings.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from collector.cli import check
from collector.cli.root import run
from collector.rules import catalogue
from collector.rules.profiles import choose
from collector.settings import Settings
from tests.length import also
from tests.rules.edited import Record, cloned, of_run, records, write

RECORDED = records()
HOUR = 3600.0
_OWN_LOGS = ("started", "completed", "failed")
_NUMBERS = count(1)


def findings_of(
    path: Path, sent: list[Record], code: str, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, object]]:
    """Return what the command finds of rule *code*."""
    run(["check", "--input", write(path / "edited.jsonl", sent), "--select", code, "--format", "json"])
    findings: list[dict[str, object]] = json.loads(capsys.readouterr().out)["findings"]
    return findings


def at(run_of: list[Record], seconds: float, *, lasts: float | None = None) -> list[Record]:
    """Return a run as another one, *seconds* later; *lasts*: how long its attempt and function then take."""
    copies = cloned(run_of, next(_NUMBERS), seconds)
    if lasts is not None:
        for record in copies:
            if record.name == "run()" or record.name.startswith("Attempt"):
                record.end(lasts)
            elif record.name.endswith("_completed"):
                record.move(lasts)
    return copies


def every(seconds: float, n: int, *, lasts: float | None = None, but: dict[int, float] | None = None) -> list[Record]:
    """Return *n* runs of `sync-crm`, one every so many seconds; *but*: by number, how much later instead."""
    crm = of_run(RECORDED, "sync-crm", lambda r: r[0].get("ctx.run.tags") is None)
    late = but or {}
    return [r for k in range(n) if late.get(k, 0.0) >= 0 for r in at(crm, k * seconds + late.get(k, 0.0), lasts=lasts)]


def heard(seconds: float, n: int) -> list[Record]:
    """Return runs of another task, so that something else is heard of all the time."""
    invoice = of_run(RECORDED, "validate-invoice")
    return [r for k in range(n) for r in at(invoice, k * seconds + 17.3 * (k % 7))]


def scheduled(sent: list[Record], slot: str) -> list[Record]:
    """Return the run with what a schedule's payload says on its first record."""
    first = next(r for r in sent if r.name.endswith("_started"))
    first.put("schedule_id", "sched_k81x")
    first.put("scheduled_at", slot)
    return sent


def twice(second: str) -> list[Record]:
    """Return two runs of a schedule, the second for the slot *second*."""
    crm = of_run(RECORDED, "sync-crm")
    return [*scheduled(at(crm, 0), "2026-11-24T09:00:00Z"), *scheduled(at(crm, 60), second)]


def hook_of(attempt: int, seconds: float) -> list[Record]:
    """Return the run that failed for good, its failure hook in *attempt* and moved."""
    tried = at(of_run(RECORDED, "process-document", lambda r: any(x.name == "onFailure()" for x in r)), 0)
    hook = next(r for r in tried if r.name == "onFailure()")
    hook.put("$metadata.ctx.attempt.number", attempt)
    hook.move(seconds)
    return tried


def failed(task: str, kind: str, message: str, *, later_s: float = 0.0, spans: bool = True) -> list[Record]:
    """Return a run of one attempt that ends in this exception, *later_s* after its last wait."""
    only = at(
        of_run(
            RECORDED,
            task,
            lambda r: any(x.name == "wait.for()" for x in r) and not any(x.name == "Attempt 2" for x in r),
        ),
        0,
    )
    only = [r for r in only if not r.name.endswith("_completed")]
    if not spans:
        only = [r for r in only if r.name not in ("triggerAndWait()", "classify-document", "tags.set()")]
    for record in only:
        if record.name in ("Attempt 1", "run()"):
            record.body["endTimeUnixNano"] = str(int(record.body["endTimeUnixNano"]) + round(later_s * 1e9))
            record.fail(kind, message)
    return only


def failed_hook(code: int) -> list[Record]:
    """Return a run whose `onStart` hook has this status."""
    made = at(of_run(RECORDED, "process-document"), 0)
    for record in made:
        if record.name == "onStart()":
            record.body["status"] = {"code": code}
    return made


def shared_queue(wait: float) -> list[Record]:
    """Return 20 children in a quiet hour and 20 in one in which an import holds the queue; the latter wait so long."""
    parent = of_run(RECORDED, "process-document", lambda r: not any(x.name == "Attempt 2" for x in r))
    child_id = next(r for r in parent if r.name == "triggerAndWait()").get("runId")
    child = [r for r in RECORDED if r.get("$metadata.ctx.run.id") == child_id]
    start = min(int(r.body["startTimeUnixNano"]) for r in parent if r.name == "Attempt 1") / 1e9
    to_hour = HOUR - start % HOUR + 60
    made: list[Record] = []
    for hour, waits in ((0, 0.0), (1, wait)):
        for k in range(20):
            number, seconds = next(_NUMBERS), to_hour + hour * HOUR + k * 150
            made += [*cloned(parent, number, seconds), *cloned(child, number, seconds + waits)]
    for k in range(10):
        made += at(of_run(RECORDED, "import-rows"), to_hour + HOUR + k * 330, lasts=300)
    for record in made:
        if record.get("$metadata.ctx.task.id") in ("extract-text", "import-rows"):
            record.put("$metadata.ctx.queue.name", "files")
    return made


def named(*ids: tuple[str, str, str]) -> list[Record]:
    """Return a run of `validate-invoice` for each (correlation id, request id, invoice id)."""
    invoice = of_run(RECORDED, "validate-invoice")
    made: list[Record] = []
    for k, (correlation, request, entity) in enumerate(ids):
        one = at(invoice, k * 5.0)
        for record in one:
            if record.name.endswith(_OWN_LOGS):
                record.put("correlation_id", correlation)
                record.put("request_id", request)
                record.put("invoiceId", entity)
        made += one
    return made


def v7(minute: int, *, tail: bool) -> str:
    """Return eight characters of a UUIDv7 of that minute: its end, or its beginning, which is the time."""
    whole = f"{0x0199A3F4 + minute:08x}4c7b7c1b9d{(minute + 1) * 2_654_435_761 % 2**48:012x}"
    return whole[-8:] if tail else whole[:8]


Story = Callable[[], list[Record]]
LOST = "Connection terminated unexpectedly"
MISSING = "Cannot read properties of undefined (reading 'id')"
STORIES: dict[str, tuple[Story, Story]] = {
    "SCH001": (lambda: every(60, 10, lasts=90), lambda: every(60, 10, lasts=40)),
    "SCH002": (lambda: [*every(600, 20, but={9: -1}), *heard(100, 120)], lambda: [*every(600, 20), *heard(100, 120)]),
    "SCH003": (lambda: every(HOUR, 24, but={9: 700}), lambda: every(HOUR, 24, but={9: 100})),
    "SCH004": (lambda: twice("2026-11-24T09:00:00Z"), lambda: twice("2026-11-24T09:01:00Z")),
    "SCH005": (lambda: every(60, 12, lasts=55), lambda: every(60, 12, lasts=20)),
    "HOK001": (lambda: hook_of(1, -2.0), lambda: hook_of(3, 0.0)),
    "HOK002": (
        lambda: failed("process-document", "Error", LOST, later_s=1),
        lambda: failed("process-document", "Error", LOST, later_s=60),
    ),
    "HOK003": (lambda: failed_hook(2), lambda: failed_hook(0)),
    "HOK005": (
        lambda: failed("process-document", "TypeError", "invoice.total is not a function"),
        lambda: failed("process-document", "TypeError", "invoice.total is not a function", later_s=60),
    ),
    "TSK004": (
        lambda: failed("process-document", "TypeError", MISSING),
        lambda: failed("process-document", "TypeError", MISSING, spans=False),
    ),
    "CON007": (lambda: shared_queue(45.0), lambda: shared_queue(0.5)),
    "CTX007": (
        lambda: named(("inv-056da559", "req_1", "056da559-aa17"), ("inv-056da559", "req_2", "056da559-bb90")),
        lambda: named(("inv-056da559", "req_1", "056da559-aa17"), ("inv-056da559", "req_2", "056da559-aa17")),
    ),
    "CTX008": (
        lambda: named(*((f"inv-{v7(k, tail=False)}", f"req_{k}", f"inv_{k}") for k in range(25))),
        lambda: named(*((f"inv-{v7(k, tail=True)}", f"req_{k}", f"inv_{k}") for k in range(25))),
    ),
}


BRIEFLY = ("HOK001", "CON007", "SCH002", "CTX007")


@pytest.fixture(scope="module")
def found_as_recorded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the codes of rules that find something in the recorded sets as they are."""
    path = write(tmp_path_factory.mktemp("recorded") / "whole.jsonl", RECORDED)
    findings, _ = check.findings((path,), Settings(), choose(catalogue.RULES, Settings().rules))
    return set(findings["code"])


@pytest.mark.parametrize("code", [*BRIEFLY, *also("properties", *(code for code in STORIES if code not in BRIEFLY))])
def test_a_rule_finds_its_story_in_the_platforms_own_telemetry(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], found_as_recorded: set[str]
) -> None:
    """Recorded runs that do what the rule is about give its finding, and the same runs without it give none."""
    broken, kept = STORIES[code]
    said = findings_of(tmp_path, broken(), code, capsys)
    assert {f["code"] for f in said} == {code}
    assert all(f["message"] and f["remedy"] and f["task_id"] for f in said)
    assert findings_of(tmp_path, kept(), code, capsys) == []
    assert code not in found_as_recorded
