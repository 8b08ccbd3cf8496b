"""What cannot be worked out is set aside alone: at every stage, one run among many, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from collector.analyse import calls, cohorts, durations, inference, runs, slots, stuck
from collector.cli import check
from collector.control import Control
from collector.jobs import asides, facts, report
from collector.jobs.recording import recording
from collector.jobs.runner import LEVELS, Runner
from collector.jobs.runs import RunsJob
from collector.journal import Entry
from collector.journal.files import ASIDE
from collector.model.identity import run_key
from collector.model.project import PROJECT
from collector.model.report import Span
from collector.report import watched
from collector.rules import catalogue, engine, records
from collector.rules.profiles import choose
from collector.settings import Settings, Store
from collector.store import apply, aside, looked_at, run_tables, weights
from collector.store.database import Database
from collector.store.errors import Panicked
from collector.store.places import Memory, Places
from tests.analyse.story import SECOND, T0, attempt, frame, log, span
from tests.inprocess import TRIGGER_DEV, canonical

POISON = "poison"
KEY = run_key("default", "generic", "PRODUCTION", "", POISON)
ALL = [POISON, *(f"run_{i}" for i in range(5))]
NOW = T0 + 7200 * SECOND
TIMED = ("attempt_hours", "duration_hours", "phase_hours", "queue_levels", "slot_hours")
"""Statistics in which a run with status unknown and nothing else leaves no row."""


def two_attempts(run: str, start: float) -> list[tuple[str, dict[str, Any]]]:
    """Return the records of a run of two attempts, the first of which fails."""
    about = {"task_id": "send", "queue": "mail", "dialect": "generic", "version": "1"}
    return [
        ("spans", attempt(run, 1, start, start + 5, failed=True, **about)),
        ("logs", log(run, start + 10, "mail_send_started", attempt=2, queue_wait_ms=2e3, **about)),
        (
            "logs",
            log(
                run,
                start + 11,
                "mail_send_calling_smtp",
                attempt=2,
                source="logger",
                attributes='{"userId": "u-1"}',
                **about,
            ),
        ),
        ("logs", log(run, start + 13, "mail_send_completed", attempt=2, **about)),
        ("spans", attempt(run, 2, start + 10, start + 14, **about)),
    ]


@dataclass
class World:
    """A store with its jobs, in one process."""

    directory: Path
    names: list[str]

    def __post_init__(self) -> None:
        self.database = Database.open(self.directory, Store(threads=1), on_fatal=lambda e: None)
        self.control = Control.open(self.directory)
        self.settings = Settings(data=self.directory)
        self.again()
        self.seq = 0
        self.arrive(*(r for i, name in enumerate(ALL) if name in self.names for r in two_attempts(name, 60.0 * i)))

    def again(self) -> None:
        """Let jobs begin anew, as after a restart."""
        self.memory = Memory()
        self.runs = RunsJob(self.database, self.settings.runs, self.memory)
        self.runner = Runner(self.database, self.control, self.memory, self.settings)

    def entry(self, *records: tuple[str, dict[str, Any]]) -> Entry:
        """Return the next journal group, of *records*."""
        self.seq += 1
        tables = {
            name: frame(name, [row for table, row in records if table == name]).drop("seq", "row").to_arrow()
            for name in ("logs", "spans")
        }
        return Entry(self.seq, T0, tables)

    def arrive(self, *records: tuple[str, dict[str, Any]]) -> None:
        """Store *records* as a journal group."""
        apply.apply(self.database, [self.entry(*records)], self.directory)

    def work(self) -> None:
        """Bring everything to where it stays."""
        while self.runs.tick(NOW) or self.runner.run(NOW):
            pass
        assert self.runner.errors == {}

    def table(self, name: str) -> pl.DataFrame:
        """Return the public rows of a table, those of the poison left out."""
        rows = self.database.reading(lambda h: h.frame(f"SELECT * FROM {name}"))
        if "run_id" in rows.columns:
            rows = rows.filter(pl.col("run_id") != POISON)
        return canonical(rows.drop("held_from_ns", "held_until_ns", strict=False))

    def asides(self) -> list[tuple[str, str, str | None]]:
        """Return (stage, kind, run id) of what is set aside."""
        items = self.database.reading(lambda h: aside.newest(h, 50))
        return sorted((a["stage"], a["kind"], a["run_id"]) for a in items)

    def poison(self) -> dict[str, Any]:
        """Return the row of the poison."""
        (row,) = self.database.reading(lambda h: h.frame(f"SELECT * FROM runs WHERE run_id = '{POISON}'")).to_dicts()
        return row

    def close(self) -> None:
        """Close the files."""
        self.control.close()
        self.database.close()


def holds(value: Any, *, worked_out: bool) -> bool:
    """Tell whether *value* has rows of the poison; with *worked_out* only those of a run that was worked out."""
    if isinstance(value, pl.LazyFrame):
        value = value.collect()
    if isinstance(value, pl.DataFrame):
        if "run_key" not in value.columns:
            return False
        rows = value.filter(pl.col("run_key") == KEY)
        if worked_out and "status" in rows.columns:
            rows = rows.filter(pl.col("status") != "unknown")
        return rows.height > 0
    if is_dataclass(value):
        return any(holds(getattr(value, f.name), worked_out=worked_out) for f in fields(value))
    return isinstance(value, (tuple, list)) and any(holds(v, worked_out=worked_out) for v in value)


@contextmanager
def failing(
    module: Any, name: str, *, worked_out: bool = False, error: type[BaseException] = ValueError
) -> Iterator[None]:
    """Let the function *name* of *module* fail whenever it is given rows of the poison."""
    original: Callable[..., Any] = getattr(module, name)

    def trap(*args: Any, **named: Any) -> Any:
        if holds((args, [*named.values()]), worked_out=worked_out):
            raise error("cannot be")
        return original(*args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, trap)
        yield


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield the world in which the poison had never been."""
    world = World(tmp_path_factory.mktemp("without") / "data", ALL[1:])
    world.work()
    yield world
    world.close()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield the world in which nothing ever failed."""
    world = World(tmp_path_factory.mktemp("healthy") / "data", ALL)
    world.work()
    yield world
    world.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Yield the world with the poison, nothing worked out yet."""
    opened = World(tmp_path / "with", ALL)
    yield opened
    opened.close()


def same_but_for_it(world: World, without: World, *, statistics: bool = True) -> None:
    """Assert that every other run, and what is counted of runs that were worked out, is as if it had never been."""
    for name in ("runs", "attempts", "phases", "waits", *(TIMED if statistics else ())):
        assert world.table(name).equals(without.table(name)), name


STAGES: list[tuple[str, Any, str, bool]] = [
    ("runs", runs, "build", False),
    ("retries", cohorts, "run_cohorts", True),
    ("retries", cohorts, "attempt_hours", True),
    ("throughput", cohorts, "flow_hours", True),
    ("durations", durations, "hours", True),
    ("calls", calls, "phase_hours", True),
    (LEVELS, slots, "slots", True),
]


def briefly(*names: str) -> list[Any]:
    """Return the stages, those in `make test` that fail in one of the functions *names*."""
    return [
        pytest.param(*stage, id=f"{stage[0]}-{stage[2]}", marks=() if stage[2] in names else pytest.mark.long("faults"))
        for stage in STAGES
    ]


@pytest.mark.parametrize(("stage", "module", "name", "worked_out"), briefly("build", "slots"))
def test_a_run_that_fails_a_stage_is_set_aside_alone_and_heals(
    stage: str, module: Any, name: str, worked_out: bool, world: World, without: World, healthy: World
) -> None:
    """Its row says unknown and why, others are untouched, the watermark goes on, and a restart makes it right again."""
    with failing(module, name, worked_out=worked_out):
        world.work()
        assert world.asides() == [(stage, "run", POISON)]
        row = world.poison()
        assert (row["status"], row["status_source"], row["set_aside"]) == (
            "unknown",
            "unknown",
            "ValueError: cannot be",
        )
        assert (row["task_id"], row["queue"], row["log_count"], row["span_count"]) == ("send", "mail", 3, 2)
        assert (row["attempt_count"], row["started_ns"], row["ended_ns"], row["queue_wait_ns"]) == (None,) * 4
        same_but_for_it(world, without)
    world.again()
    world.work()
    assert world.asides() == []
    assert (world.poison()["status"], world.poison()["set_aside"]) == ("completed", None)
    for table in ("run_cohorts", "flow_hours", *TIMED):
        assert world.table(table).equals(healthy.table(table)), table


@pytest.mark.parametrize(("stage", "module", "name", "worked_out"), briefly("run_cohorts"))
def test_a_run_that_comes_late_is_set_aside_while_others_go_on(
    stage: str, module: Any, name: str, worked_out: bool, tmp_path: Path, without: World
) -> None:
    """What was counted before stays, what comes after is counted, and the run is tried again when it changes."""
    world = World(tmp_path / "early", ALL[1:])
    world.work()
    world.arrive(*two_attempts(POISON, 0.0))
    with failing(module, name, worked_out=worked_out):
        world.work()
        assert world.asides() == [(stage, "run", POISON)]
        same_but_for_it(world, without)
        world.arrive(*two_attempts("run_9", 600.0))
        world.arrive(("logs", log(POISON, 700.0, "more", task_id="send")))
        world.work()
        assert world.table("runs").height == 6
        assert world.asides() == [(stage, "run", POISON)]
        assert world.poison()["log_count"] == 4
    world.arrive(("logs", log(POISON, 701.0, "and more", task_id="send")))
    world.work()
    assert world.asides() == []
    assert world.poison()["status"] == "completed"
    world.close()


def test_what_looks_at_a_run_sees_that_it_was_set_aside_since(world: World) -> None:
    """What is kept in memory of the last rewrites is no older than the row that says so."""
    while world.runs.tick(NOW):
        pass
    asides.set_aside(world.database, world.memory, [(("default", KEY), ValueError("cannot be"))], "retries", NOW)
    keys = pl.DataFrame({"project": ["default"], "run_key": [KEY]})
    weighed = world.database.writing(lambda h: weights.weigh(h, Places(h), keys))
    seen = world.database.writing(lambda h: looked_at.whole(h, world.memory, weighed))
    assert seen["runs"]["status"].to_list() == ["unknown"]


def test_a_panic_of_polars_is_a_failure_like_any_other(world: World, without: World) -> None:
    """What is no `Exception` to Python does not end the job either."""
    with failing(runs, "build", error=pl.exceptions.PanicException):
        world.work()
    assert world.asides() == [("runs", "run", POISON)]
    same_but_for_it(world, without)

    def panics(_: Any) -> None:
        raise pl.exceptions.PanicException("cannot be")

    for ask in (world.database.reading, world.database.writing):
        with pytest.raises(Panicked):
            ask(panics)


def test_a_full_disk_sets_nothing_aside(world: World) -> None:
    """What does not come of the rows is raised, so that it is tried again."""
    with failing(runs, "build", error=duckdb.IOException), pytest.raises(duckdb.IOException):
        world.work()
    assert world.asides() == []


def test_a_defect_that_fails_for_every_run_blames_none(world: World) -> None:
    """A run model that cannot be built from nothing either stops, says so, and sets nothing aside."""

    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("cannot be")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "build", broken)
        with pytest.raises(ValueError, match="cannot be"):
            world.runs.tick(NOW)
        patch.undo()
        patch.setattr(cohorts, "run_cohorts", broken)
        while world.runs.tick(NOW) or world.runner.run(NOW):
            pass
        assert world.runner.errors == {"retries": "ValueError: cannot be"}
    assert world.asides() == []


def test_a_run_of_which_nothing_can_be_read_has_a_row_all_the_same(world: World, without: World) -> None:
    """Its row holds its key and why it was set aside."""
    original = aside.bare

    def trap(*args: Any, unread: bool = False) -> Any:
        if not unread:
            raise ValueError("cannot be")
        return original(*args, unread=unread)

    with failing(runs, "build"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(aside, "bare", trap)
        world.work()
    (row,) = world.database.reading(lambda h: h.frame("SELECT * FROM runs WHERE set_aside IS NOT NULL")).to_dicts()
    assert (row["run_key"], row["run_id"], row["status"]) == (KEY, None, "unknown")
    same_but_for_it(world, without)


def orphan(at: float, trace: str, span_id: str, body: str = "noted") -> tuple[str, dict[str, Any]]:
    """Return a log that names no run and stands in a span."""
    return "logs", log(None, at, body, trace_id=trace, span_id=span_id)


def test_facts_that_cannot_be_told_leave_out_whose_they_are_alone_and_heal(tmp_path: Path) -> None:
    """Links and logs of others are taken up, a kill loses nothing, and what was left out is there after a restart."""
    trigger = span("poison", "trigger", 1, 2, span_type="trigger", child_run_id="child", dialect="generic")
    other = span("run_0", "work", 61, 62, dialect="generic")
    records = [
        ("spans", trigger),
        ("logs", log("child", 3, "mail_send_started")),
        ("spans", other),
        orphan(61.5, other["trace_id"], other["span_id"]),
        orphan(1.5, trigger["trace_id"], trigger["span_id"]),
        orphan(5, "ab" * 16, "cd" * 8, "bad"),
    ]
    healthy, world = World(tmp_path / "healthy", ALL), World(tmp_path / "with", ALL)
    original = run_tables.advance

    def trap(h: Any, places: Any, done: int, upto: int, **named: Any) -> Any:
        seen = "SELECT count(*) FROM {} WHERE seq > $done AND seq <= $upto AND (run_id = 'poison' OR {})"
        window = {"done": done, "upto": upto}
        if h.value(seen.format("spans", "false"), window) or h.value(seen.format("logs", "body = 'bad'"), window):
            raise ValueError("cannot be")
        return original(h, places, done, upto, **named)

    for of in (healthy, world):
        of.arrive(*records)
    healthy.work()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_tables, "advance", trap)
        world.runs._facts(NOW).take_up()  # and killed
        world.runs._facts(NOW).take_up()
        world.again()
        world.work()
        assert [a[:2] for a in world.asides()] == [(facts.STAGE, "record"), (facts.STAGE, "run")]
        assert world.poison()["status"] == "unknown"
        logs = dict(world.table("runs").select("run_id", "log_count").iter_rows())
        assert (logs["run_0"], logs["child"]) == (4, 1)
        world.arrive(("logs", log("run_1", 90.0, "more", task_id="send")))
        world.work()
    world.again()
    healthy.arrive(("logs", log("run_1", 90.0, "more", task_id="send")))
    for of in (healthy, world):
        of.work()
    assert world.asides() == []
    for table in ("runs", "attempts", "phases", "waits"):
        assert world.table(table).equals(healthy.table(table)), table
    row = world.table("runs").row(by_predicate=pl.col("run_id") == "child", named=True)
    assert row["parent_run_id"] == POISON
    assert world.poison()["log_count"] == healthy.poison()["log_count"] == 4
    healthy.close()
    world.close()


def test_a_run_that_is_set_aside_is_tried_again_while_others_keep_coming(world: World) -> None:
    """It heals in the midst of traffic, and what is owed does not grow."""
    with failing(runs, "build"):
        world.work()
    world.again()
    for i in range(3):
        world.arrive(*two_attempts(f"new_{i}", 700.0 + i))
        world.runs.tick(NOW)
    assert world.poison()["status"] == "completed"
    with failing(runs, "build"):
        for i in range(4):
            world.arrive(("logs", log(POISON, 800.0 + i, "more", task_id="send")), *two_attempts(f"more_{i}", 800.0))
            world.runs.tick(NOW + i)
        owed = "SELECT count(*) FROM run_due WHERE run_key = $key"
        assert world.database.reading(lambda h: h.value(owed, {"key": KEY})) <= 1
    assert world.table("runs").filter(pl.col("status") == "completed").height == 12


def test_a_job_that_fails_for_many_sets_them_aside_and_goes_on(tmp_path: Path) -> None:
    """Twenty of sixty runs: none of the others is touched, and all of them are counted."""
    world = World(tmp_path / "data", [])
    for i in range(60):
        world.arrive(("spans", attempt(f"r{i}", 1, i, i + 1, task_id="send", queue="mail", dialect="generic")))
    original = cohorts.flow_hours

    def trap(rows: pl.DataFrame) -> pl.DataFrame:
        bad = pl.col("run_id").str.contains("[123]$") & (pl.col("status") != "unknown")
        if rows.lazy().filter(bad).collect().height:
            raise ValueError("cannot be")
        return original(rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cohorts, "flow_hours", trap)
        while world.runs.tick(NOW) or world.runner.run(NOW):
            pass
    assert world.runner.errors == {}
    table = world.table("runs")
    assert sorted(table.filter(pl.col("set_aside").is_not_null())["run_id"]) == sorted(
        f"r{i}" for i in range(60) if i % 10 in (1, 2, 3)
    )
    started = world.table("flow_hours").filter(pl.col("event") == "started")
    assert started["runs"].sum() == table["started_ns"].is_not_null().sum() == 42
    world.close()


def test_a_record_that_cannot_be_written_is_left_out_alone_and_kept(world: World, without: World) -> None:
    """The group's other records are stored, the number goes on, and the record lies in a file as it came."""
    entry = world.entry(*two_attempts("run_9", 600.0))
    texts = entry.tables["logs"].column("body").to_pylist()
    damaged = [text.encode() if i != 1 else b"\xff\xfe\xfd" for i, text in enumerate(texts)]
    bad = pa.array(damaged, pa.binary()).view(pa.string()) if hasattr(pa.Array, "view") else None
    assert bad is not None
    index = entry.tables["logs"].schema.get_field_index("body")
    entry.tables["logs"] = entry.tables["logs"].set_column(index, "body", bad)
    apply.apply(world.database, [entry], world.directory)
    assert apply.applied(world.database) == entry.seq
    assert world.asides() == [("applied", "record", None)]
    world.work()
    (row,) = world.table("runs").filter(pl.col("run_id") == "run_9").to_dicts()
    assert (row["log_count"], row["span_count"], row["status"]) == (2, 2, "completed")
    assert [p.name for p in (world.directory / ASIDE).iterdir()] == [f"{entry.seq}-{entry.seq}.arrow"]


def test_a_rule_that_fails_on_a_run_judges_the_others(world: World, without: World) -> None:
    """The run is judged by every other rule, the others by all, and what was left out is told until it is judged."""
    rule = "PHA002"
    original = engine._frame_hits

    def trap(frames: Any, chosen: list[Any], *args: Any) -> Any:
        if any(c.rule.code == rule for c in chosen) and holds(frames.runs, worked_out=False):
            raise ValueError("cannot be")
        return original(frames, chosen, *args)

    findings = "SELECT * EXCLUDE (places) FROM run_findings WHERE run_key IS DISTINCT FROM $key"

    def findings_of(of: World) -> pl.DataFrame:
        return of.database.reading(lambda h: h.frame(findings, {"key": KEY})).filter(~pl.col("window"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_frame_hits", trap)
        world.work()
        assert ("rules", "rule", POISON) in world.asides()
        assert world.poison()["status"] == "completed"
        keys = findings_of(without).columns
        assert findings_of(without).height > 0
        assert findings_of(world).sort(keys).equals(findings_of(without).sort(keys))
    same_but_for_it(world, without, statistics=False)
    world.again()
    world.work()
    assert [a for a in world.asides() if a[0] == "rules"] == []


def test_rules_that_failed_on_nobody_knows_whom_judge_anew_after_an_upgrade(world: World) -> None:
    """Every run is judged again by the next program, and no run's findings are lost by it."""
    world.work()
    wide = aside.Aside("default", "rules", "rule", "PHA002", "RuntimeError: too many", NOW)
    world.database.writing(lambda h: aside.note(h, [wide]))
    before = world.table("run_findings")
    world.again()
    world.work()
    assert world.asides() == [("rules", "rule", None)]
    world.database.writing(lambda h: h.run("UPDATE meta SET value = '0' WHERE name = 'jobs_of'"))
    world.again()
    world.work()
    assert world.asides() == []
    assert before.height > 0
    assert world.table("run_findings").equals(before)


def test_a_run_whose_records_rules_cannot_read_is_left_out_by_rules_alone(world: World, without: World) -> None:
    """A failure before any rule is asked leaves out that run, and its row stays."""
    with failing(records, "select_task_logs"):
        world.work()
        assert {run for _, kind, run in world.asides() if kind == "rule"} == {POISON}
    assert world.poison()["status"] == "completed"
    same_but_for_it(world, without, statistics=False)


def test_limits_are_inferred_of_every_other_queue(world: World) -> None:
    """A queue whose limit cannot be inferred is left out and told; the job does not fail."""
    world.arrive(("spans", attempt("run_7", 1, 10, 20, task_id="send", queue="other", dialect="generic")))
    seen: list[set[str | None]] = []
    original = inference.infer

    def trap(slots_: pl.DataFrame, waiting: pl.DataFrame, **named: Any) -> pl.DataFrame:
        queues = set(slots_["queue"].to_list())
        if "mail" in queues:
            raise ValueError("cannot be")
        seen.append(queues)
        return original(slots_, waiting, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "infer", trap)
        world.work()
    assert ("limits", "series", None) in world.asides()
    assert {"other"} in seen


@pytest.mark.parametrize(("module", "name"), [(watched, "errors"), (watched, "stuck"), (stuck, "usual")])
def test_a_report_leaves_out_alone_what_it_fails_for_and_says_so(module: Any, name: str, world: World) -> None:
    """The report is made, tells which task could not be judged and why, and holds everything else."""
    late = [("spans", attempt("run_8", 1, 100, None, task_id="build", queue="mail", dialect="generic"))]
    world.arrive(*late)
    world.work()

    def made() -> Any:
        period = Span(from_ns=NOW - 86_400 * SECOND, to_ns=NOW)
        return report.make(world.database, world.control, schedule="s", period=period, zone="UTC", as_of_ns=NOW)

    whole = made()
    assert whole.left_out == ()
    original = getattr(module, name)

    def trap(first: Any, *args: Any, **named: Any) -> Any:
        names = first["task_id"].to_list() if isinstance(first, pl.DataFrame) else _tasks(first)
        if "send" in names:
            raise ValueError("`cannot` be")
        return original(first, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, trap)
        shown = made()
    assert {left.name for left in shown.left_out} == {"send"}
    assert {left.reason for left in shown.left_out} == {"ValueError: 'cannot' be"}
    assert shown.totals == whole.totals


def _tasks(inputs: Any) -> list[str]:
    return [*inputs.errors["name"].to_list(), *inputs.stuck["task_id"].to_list(), *inputs.regular["task_id"].to_list()]


def test_check_goes_on_without_a_rule_that_fails_on_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """`runwell check` says which rule could not judge which run, and tells everything else as it would have."""
    files, chosen = (str(TRIGGER_DEV / "http-proto.jsonl.gz"),), choose(catalogue.RULES, Settings().rules)
    whole, _ = check.findings(files, Settings(), chosen)
    original = engine._frame_hits
    with recording(Settings()) as of_files:
        check.read(files, Settings(), of_files)
        run = of_files.frames(PROJECT).runs["run_key"].min()

    def trap(frames: Any, some: list[Any], *args: Any) -> Any:
        if any(c.rule.code == "PHA002" for c in some) and run in frames.runs["run_key"]:
            raise ValueError("cannot be")
        return original(frames, some, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_frame_hits", trap)
        findings, _ = check.findings(files, Settings(), chosen)
    assert capsys.readouterr().err == f"runwell: PHA002: run {run} could not be judged (ValueError: cannot be).\n"
    others = pl.col("code") != "PHA002"
    assert findings.filter(others).equals(whole.filter(others))
