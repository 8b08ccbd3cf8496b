"""One figure, one value: read from every place where it stands, for the same time and population."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from collector.analyse.durations import RELATIVE_ERROR
from collector.analyse.measures import MEASURES
from collector.api import question, stats
from collector.cli.root import run
from collector.client import Client
from collector.jobs import report
from collector.model.report import Report, Span
from collector.model.units import HOUR_NS, SECOND_NS
from dashboard import data, strings
from dashboard.parts import figures, queue_frames, run_links, task_tables, totals
from dashboard.parts.run_filters import BY_START, asked
from tests.analyse.story import T0, attempt, log, span
from tests.dashboard.conftest import APP, World, stored

FIRST = T0 // HOUR_NS * HOUR_NS
AS_OF = FIRST + 30 * HOUR_NS + 1_300 * SECOND_NS
DAY = data.RANGES["24h"].window(AS_OF)
OLD = FIRST + 2 * HOUR_NS, FIRST + 20 * HOUR_NS
"""Whole hours in which nothing can still retry."""
RAGGED = FIRST + 2 * HOUR_NS + 777, FIRST + 20 * HOUR_NS - 77_777_777
WINDOWS = {"day": DAY, "hour": data.RANGES["1h"].window(AS_OF), "whole hours": OLD, "ragged": RAGGED}
DOCUMENTED = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
NUMBERS = [
    name
    for name in stats.STATISTICS
    if name not in ("trees", "funnel", "failures", "holders", "eta", "stuck", "retrying")
]
KEY = ["measure", "statistic", "outcome"]
VALUE = ["unit", "value", "n", "low", "high", "provenance", "coverage", "note"]


def told() -> list[tuple[str, dict[str, Any]]]:
    """Return records of 160 runs in 30 hours: every end, retries, waits, open and young ones, all populations; and of a
    run without a task, before the last day."""
    records: list[tuple[str, dict[str, Any]]] = []
    now = (AS_OF - T0) / SECOND_NS
    for i in range(160):
        name, kind, at = f"run {i}", i % 10, now - 20 - 670.0 * i
        about: dict[str, Any] = {"task_id": "charge", "queue": "payments", "version": str(i % 2)}
        if i % 17 == 3:
            about |= [{"environment": "DEVELOPMENT"}, {"is_test": True}, {"is_replay": True}][i % 3]
        lasts = 11.0 + i % 7 + i / 1000
        spans = "spans"
        match kind:
            case 0 | 1 | 2:  # of a plain logger
                about |= {"task_id": "mail", "queue": "letters", "queue_wait_ms": 100.0 + i}
                end = {0: "completed", 1: "failed", 2: ["skipped", "canceled"][i % 2]}[kind]
                for after, body in ((0.0, "started"), (1.0, "calling_smtp"), (lasts, end)):
                    records.append(("logs", log(name, at + after, f"send_mail_{body}", **about, attempt=1)))
            case 3 | 4 | 5:  # a task in which nothing is cut short
                about |= {"task_id": "plain", "dequeued_ns": T0 + round((at - 2) * SECOND_NS)}
                records.append((spans, attempt(name, 1, at, at + lasts / 10, failed=kind == 4, **about)))
                if kind == 4:
                    records.append((spans, attempt(name, 2, at + 5, at + 6, failed=i % 20 == 4, **about)))
            case 6:  # a first attempt that left no record
                records.append((spans, attempt(name, 2, at, at + lasts, **about)))
            case 7:
                records.append((spans, attempt(name, 1, at, at + 300, failed=True, **about)))
                records.append((spans, attempt(name, 2, at + 301, at + 400, failed=i % 20 == 7, **about)))
            case 8:
                records.append((spans, attempt(name, 1, at, at + 2_000, **about)))
                wait = span(name, "wait.for()", at + 1, at + 1_900, wait_kind="for", attempt=1, **about)
                records.append((spans, wait))
            case _:  # goes on, or fell silent
                records.append((spans, attempt(name, 1, at, None, **about)))
    records.append((spans, attempt("of no task", 1, early := (FIRST + 3 * HOUR_NS - T0) / SECOND_NS, early + 3)))
    trigger = {"span_type": "trigger", "child_task_id": "charge", "attempt": 1, "task_id": "plain"}
    records.append((spans, span("run 3", "trigger()", now - 2029, now - 2028.9, child_run_id="waits", **trigger)))
    return records


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a store of these runs after all jobs, with limits of two queues."""
    with stored(tmp_path_factory.mktemp("one_number"), told(), AS_OF, payments=1, letters=2) as world:
        yield world


def ask(api: Client, name: str, window: tuple[int, int], **more: Any) -> pl.DataFrame:
    """Return the rows of a statistic."""
    return api.stats(name, from_=window[0], to=window[1], **more)


def number(rows: pl.DataFrame, measure: str, statistic: str, what: str = "value", **of: str) -> Any:
    """Return one number over all outcomes."""
    row = figures.pick(rows.filter(**of) if of else rows, measure, statistic)
    return None if row is None else row[what]


def records(rows: pl.DataFrame, by: list[str]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return by key what is said of each number."""
    return {tuple(r[k] for k in (*by, *KEY)): tuple(r[v] for v in VALUE) for r in rows.to_dicts()}


@pytest.mark.parametrize("span_", ["day", "ragged"])
def test_statistics_agree_with_each_other(api: Client, span_: str) -> None:
    """A number that several statistics tell is the same in each, by task, of all together and as a total."""
    window = WINDOWS[span_]
    for by in (["task_id"], ["task_id", "environment", "hour_ns"]):
        seen: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        shared = 0
        for name in ("retries", "throughput", "durations", "tasks"):
            told = records(ask(api, name, window, by=",".join(by)), by)
            assert {k: v for k, v in told.items() if k in seen} == {k: seen[k] for k in told if k in seen}, name
            shared += sum(k in seen for k in told)
            seen |= told
        assert shared > 30
    for name in ("tasks", "durations"):
        both = ask(api, name, window, by="task_id", total=True)
        assert records(both.filter("is_total"), []) == records(ask(api, name, window, by=""), [])
        each = records(both.filter(~pl.col("is_total")), ["task_id"])
        assert each == records(ask(api, name, window, by="task_id"), ["task_id"])
        few = ask(api, name, window, by="task_id", measures="run_retry_rate,runs,execution")
        assert records(few, ["task_id"]).items() <= each.items()
    failures, funnels = (ask(api, name, window, by="task_id") for name in ("failures", "funnel"))
    for task, rows in ask(api, "tasks", window, by="task_id").group_by("task_id"):
        failed = failures.filter(pl.col("task_id").eq_missing(task[0])).to_dicts()[0]
        for mine, other in (("value", "rate"), ("n", "n"), ("low", "low"), ("high", "high")):
            assert number(rows, "run_failure_rate", "share", mine) == failed[other]
        assert number(rows, "immature_runs", "count") == failed["immature"]
        funnel = funnels.filter(pl.col("task_id").eq_missing(task[0])).to_dicts()
        young, begun = number(rows, "immature_runs", "count"), number(rows, "starts", "count")
        assert sum(f["reached"] for f in funnel if f["attempt"] == 1) <= begun - young


@pytest.mark.parametrize("name", NUMBERS)
def test_the_command_line_says_what_the_api_says(
    api: Client, name: str, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    """Every number of `runwell stats --format json` is the API's to the last digit, and so is its mark."""
    window = ["--since", str(RAGGED[0]), "--until", str(RAGGED[1]), "--data", str(tmp_path)]
    assert run(["stats", name, *window, "--format", "json"]) == 0
    said = json.loads(capfdbinary.readouterr().out)
    assert said
    assert said == json.loads(ask(api, name, RAGGED).write_json())


def documented() -> list[str]:
    """Return the statements by which docs/api.md tells figures."""
    part = DOCUMENTED.split("### The same by SQL")[1].split("\n## ")[0]
    return re.findall(r"```sql\n(.*?)```", part, re.DOTALL)


@pytest.mark.parametrize("window", [OLD, RAGGED])
def test_sql_tells_the_same(api: Client, window: tuple[int, int]) -> None:
    """The statements of docs/api.md give the values of the API, of all, of each task and of runs without a task, or it
    says why not."""
    tables = [ask(api, "tasks", window, by="task_id"), ask(api, "tasks", window, by="")]
    seen = set()
    for statement in documented():
        text = statement.replace("$from", str(window[0])).replace("$to", str(window[1]))
        lines = api.sql(text).table.to_pylist()
        assert sorted(line["is_total"] for line in lines if line["task_id"] is None) == [False, True]
        for row in lines:
            task, is_total = row.pop("task_id"), row.pop("is_total")
            for name, value in row.items():
                measure, _, statistic = name.rpartition("_")
                rows = tables[1] if is_total else tables[0].filter(pl.col("task_id").eq_missing(task))
                mark = number(rows, measure, statistic, "note") or ""
                assert number(rows, measure, statistic) == value or mark.startswith(("Kaplan-Meier", "fewer")), name
                seen |= {name} - ({name} if mark else set())
    assert {"runs_count", "run_success_rate_share", "run_retry_rate_share", "execution_p95"} <= seen


def cards(page: AppTest) -> dict[str, str]:
    """Return the values of the cards of a page, as machines read them."""
    shown = " ".join(block.proto.body for block in page.get("html"))
    return dict(re.findall(r'data-kpi="(\w+)" data-value="([^"]*)"', shown))


def opened(span_: str, page: str = "") -> AppTest:
    """Return a page of the dashboard."""
    test = AppTest.from_file(str(APP), default_timeout=60)
    test.query_params["range"] = span_
    test.run()
    if page:
        test.switch_page(f"app_pages/{page}.py").run()
        test.run()
    assert not test.exception
    return test


OVERVIEW: dict[str, tuple[str, str, float]] = {
    "Runs": ("runs", "count", 1),
    "Failed": ("run_failure_rate", "share", 100),
    "Retried": ("run_retry_rate", "share", 100),
    "Median": ("execution", "p50", 1e-9),
    "p95": ("execution", "p95", 1e-9),
}
TASKS: dict[str, tuple[str, str, float]] = {
    "Runs": ("runs", "count", 1),
    "Failed": ("run_failure_rate", "share", 100),
    "Retry rate": ("run_retry_rate", "share", 100),
    "p50": ("execution", "p50", 1e-9),
    "p95": ("execution", "p95", 1e-9),
    "Queue wait p95": ("queue_wait", "p95", 1e-9),
    "Wasted": ("wasted_time", "total", 1e-9),
}
NO_FIGURES = {"Task", "Runs over time", "95 % interval", "p95 before", "Unknown", "Retry trend"}
"""Columns that are names, lines, intervals, of another time, or counted as the list of runs counts."""
ELSEWHERE = {"violations"}
"""Cards that no statistic tells: findings of the conventions."""


def test_every_figure_of_a_page_is_in_this_test() -> None:
    """A card, a figure or a column that is new has to say of which statistic it is."""
    assert set(strings.KPIS) == set(totals.NUMBERS) | ELSEWHERE
    assert {measure for measure, _ in totals.NUMBERS.values()} <= set(MEASURES)
    assert set(strings.FIGURES) <= set(MEASURES)
    assert set(strings.QUEUE_FIGURES) == set(queue_frames.STATISTIC) <= set(MEASURES)
    assert set(task_tables.OVERVIEW) == set(OVERVIEW) | (NO_FIGURES - {"Retry trend"})
    assert set(task_tables.TASKS) == set(TASKS) | (NO_FIGURES - {"Runs over time", "p95 before", "Unknown"})
    assert set(strings.TOTAL_NAMES) == {"runs", "ended", "failed", "retried"}


@pytest.mark.parametrize("few", [True, False], ids=["exact", "in whole hours"])
def test_pages_show_what_the_statistics_say(api: Client, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overview, Tasks and Queues show the API's values of their range, exact or widened and then marked so."""
    if not few:
        monkeypatch.setattr(question, "EXACT_RUNS", 0)
    at = {"as_of": data.judged_at()}
    told = api.statistic("tasks", from_=DAY[0], to=DAY[1], by="", **at)
    window = told.from_ns, told.to_ns
    assert (window == DAY, told.widened) == ((True, "") if few else (False, "whole hours"))
    of_tasks = ask(api, "tasks", window, by="task_id", **at)
    overview, tasks, queues = opened("24h"), opened("24h", "tasks"), opened("24h", "queues")
    rows = pl.concat([told.rows, ask(api, "queues", window, by="", **at)])
    shown = cards(overview)
    for name, (measure, statistic) in totals.NUMBERS.items():
        assert float(shown[name]) == number(rows, measure, statistic), name
    assert int(shown["violations"]) == sum(f["count"] for f in api.findings(since=window[0])["findings"])
    captions = [c.value for page in (overview, tasks) for c in page.caption if "whole hours" in c.value]
    assert len(captions) == (0 if few else 2)
    html = " ".join(block.proto.body for block in overview.get("html"))
    marks = dict(re.findall(r'data-kpi="(\w+)" data-value="[^"]*" data-mark="([^"]*)"', html))
    assert ("whole hours" in marks["success"], "estimated" in marks["p95"]) == (not few, not few)
    for page, columns in ((overview, OVERVIEW), (tasks, TASKS)):
        table = pl.from_pandas(page.dataframe[-1].value)
        assert table.height >= 3
        for line in table.to_dicts():
            of_task = of_tasks.filter(pl.col("task_id") == line["Task"])
            for title, (measure, statistic, scale) in columns.items():
                value = number(of_task, measure, statistic)
                assert line[title] == (None if value is None else pytest.approx(value * scale, rel=1e-15)), title
    pages = ((tasks, strings.FIGURES, of_tasks.filter(pl.col("task_id") == tasks.selectbox(key="task").value)),)
    queue = queues.selectbox(key="queue").value.split(" · ")[0]  # of two environments
    here = {"queue": queue, "environment": queues.selectbox(key="queue").value.split(" · ")[1], **at}
    of_queue, little = ask(api, "queues", DAY, **here), ask(api, "little", DAY, **here)
    pages += ((queues, strings.QUEUE_FIGURES, pl.concat([of_queue, little.select(of_queue.columns)])),)
    kinds = {**queue_frames.STATISTIC, "execution": "p95", "queue_wait": "p95", "runs": "count", "wasted_time": "total"}
    for page, names, numbers in pages:
        html = " ".join(block.proto.body for block in page.get("html"))
        values = re.findall(r'role="listitem"><div class="l">([^<]*)<.*?<div class="v">([^<]*)</div>', html)
        expected = [
            figures.figure(label, figures.pick(numbers, measure, kinds.get(measure, "share")))
            for measure, label in names.items()
        ]
        assert [(f.label, f.value) for f in expected] == values[-len(expected) :]


def listed(api: Client, state: dict[str, Any], window: tuple[int, int]) -> int:
    """Return how many runs the Runs page lists."""
    return api.runs(**asked(state, window, {}), limit=0).total


@pytest.mark.parametrize("span_", ["day", "hour", "whole hours"])
def test_figures_lead_to_the_runs_they_count(api: Client, span_: str) -> None:
    """Runs of a figure are the ones that its link lists, of all and of each task, and as pages count them."""
    window = WINDOWS[span_]
    where = {"from_ns": window[0], "to_ns": window[1]}
    (now,) = api.query("page_totals", **where).to_dicts()
    overall = ask(api, "tasks", window, by="")
    assert listed(api, BY_START, window) == now["runs"] == number(overall, "runs", "count")
    for kind in ("failed", "retrying", "unknown"):
        assert listed(api, {**BY_START, "status": [kind]}, window) == now[kind], kind
    assert now["unknown"] == number(overall, "unknown_runs", "count")
    assert now["open"] + now["retrying"] == number(overall, "open_runs", "count")
    of_tasks = ask(api, "tasks", window, by="task_id")
    for row in api.query("page_tasks", **where, bucket_ns=HOUR_NS).to_dicts():
        if not row["task"]:
            continue  # no filter asks for runs without one
        links = {label: run_links.asked(label, task=row["task"], **BY_START) for label in run_links.LINKS}
        count = number(of_tasks, "runs", "count", task_id=row["task"])
        assert listed(api, links[strings.RUNS_ALL], window) == row["runs"] == count == sum(row["trend"])
        assert row["unknown"] == number(of_tasks, "unknown_runs", "count", task_id=row["task"])
        assert listed(api, links[strings.RUNS_FAILED], window) == row["failed"]
        assert listed(api, links[strings.RUNS_RETRIED], window) == row["retried"]
    if window == OLD:
        for name in ("page_totals", "page_tasks"):
            more = {"bucket_ns": HOUR_NS} if name == "page_tasks" else {}
            hours = api.query(f"{name}_hours", **where, **more)
            assert hours.to_dicts() == api.query(name, **where, **more).to_dicts()
    counts = {p["population"]: p["runs"] for p in api.query("populations", **where).to_dicts()}
    started = {p: number(ask(api, "tasks", window, by="", population=p), "starts", "count") for p in counts}
    assert counts == started


@pytest.mark.parametrize("window", [OLD, DAY])
def test_what_is_not_exact_says_so(api: Client, window: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of hourly tables a range is widened, and every note and the header say whole hours, of which it may have
    been; counts and rates are those of that range, and only percentiles differ, within 2.2 % and marked."""
    monkeypatch.setattr(question, "EXACT_RUNS", 0)
    names = ("retries", "throughput", "durations", "calls")
    wide = {name: api.statistic(name, from_=window[0], to=window[1], by="task_id") for name in names}
    begin, end = window[0] // HOUR_NS * HOUR_NS, -(-window[1] // HOUR_NS) * HOUR_NS
    for answer in wide.values():
        assert (answer.from_ns, answer.to_ns) == (begin, end)
        assert answer.widened == "whole hours"
        assert answer.rows["note"].str.contains(r"whole hours: 20\d\d-.*T\d\d:00Z to 20.*T\d\d:00Z").all()
    monkeypatch.setattr(question, "EXACT_RUNS", 5_000)
    compared = 0
    for name, answer in wide.items():
        by = [c for c in answer.rows.columns if c not in (*KEY, *VALUE)]
        exact = {tuple(r[c] for c in (*by, *KEY)): r for r in ask(api, name, (begin, end), by="task_id").to_dicts()}
        for r in answer.rows.to_dicts():
            key, note = tuple(r[c] for c in (*by, *KEY)), r["note"] or ""
            other = exact[key]
            if "estimated" in note and other["value"] is not None and "Kaplan" not in (other["note"] or ""):
                assert r["value"] == pytest.approx(other["value"], rel=1.01 * RELATIVE_ERROR)
            elif "Kaplan" in (other["note"] or "") or (r["unit"] == "ns" and window == DAY):
                continue
            elif window != DAY or name in ("throughput", "calls"):  # else some hours are too young as a whole
                assert r["value"] == (None if other["value"] is None else pytest.approx(other["value"], rel=1e-12)), key
                compared += 1
    assert compared > 20


def test_what_is_too_young_to_tell_says_so(api: Client) -> None:
    """A rate of runs all of which may still retry is unknown, and says why; one hour has rates of the older ones."""
    last = AS_OF - 170 * SECOND_NS, AS_OF
    rows = ask(api, "tasks", last, by="")
    assert number(rows, "immature_runs", "count") > 0
    assert number(rows, "run_failure_rate", "share") is None
    assert number(rows, "run_failure_rate", "share", "note") == "only runs so young that a retry may still follow"
    assert number(ask(api, "tasks", WINDOWS["hour"], by=""), "run_retry_rate", "share", "n") > 0


@pytest.fixture
def made(world: World) -> Callable[[tuple[int, int]], Report]:
    """Return a function that makes the report of a window."""

    def make(window: tuple[int, int]) -> Report:
        period = Span(from_ns=window[0], to_ns=window[1])
        return report.make(*world[:2], schedule="s", period=period, zone="UTC", as_of_ns=AS_OF)

    return make


@pytest.mark.parametrize("window", [RAGGED, DAY])
def test_a_report_counts_as_statistics_do(
    api: Client, made: Callable[[tuple[int, int]], Report], window: tuple[int, int]
) -> None:
    """Runs and ends of the period, and of the stretch before, are those of `stats throughput`."""
    begin, end = window
    told = made(window).totals
    flow = ask(api, "throughput", window, by="")
    assert (told.runs, told.ended) == (number(flow, "runs", "count"), number(flow, "throughput", "count"))
    live = "is_live(environment, is_test, is_replay)"
    (row,) = api.sql(
        f"SELECT count(*) FILTER (is_failed(status)) failed, count(*) FILTER (attempt_count > 1) retried FROM runs "
        f"WHERE {live} AND is_over(status) AND coalesce(ended_ns, last_seen_ns) >= {begin} "
        f"AND coalesce(ended_ns, last_seen_ns) < {end}"
    ).table.to_pylist()
    assert (told.failed, told.retried) == (row["failed"], row["retried"])
    if told.before_runs is not None:
        before = ask(api, "throughput", (2 * begin - end, begin), by="")
        assert told.before_runs == number(before, "runs", "count")


def test_time_at_the_limit_is_one_value(api: Client) -> None:
    """By five minutes, of each queue and of all together it is the same time at the same limits."""
    for window in (DAY, WINDOWS["hour"], OLD):
        queues = ask(api, "queues", window)
        parts = api.query("page_queue_levels", from_ns=window[0], to_ns=window[1], bucket_ns=300 * SECOND_NS)
        since = max(window[0], int(parts["since_ns"][0]))
        over = min(window[1], AS_OF // (300 * SECOND_NS) * 300 * SECOND_NS + 300 * SECOND_NS, AS_OF) - since
        full = 0
        each = parts.group_by("queue", "environment").agg(pl.col("at_limit_ns").sum())
        for queue, environment, at_limit in each.iter_rows():
            of = {"queue": queue, "environment": environment}
            assert number(queues, "time_at_limit", "share", **of) == at_limit / over
            full += at_limit
        assert number(ask(api, "queues", window, by=""), "time_at_limit", "share") == full / (over * each.height)
