"""Cases as OTLP/JSON requests, decoded and built into a run model by the real code."""

from __future__ import annotations

import atexit
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import polars as pl

from collector.decode import Batch
from collector.jobs import seen
from collector.jobs.recording import Recording, recording
from collector.model.signals import LOGS, TRACES
from collector.rules import catalogue
from collector.rules.engine import evaluate
from collector.rules.frames import Frames, stated_limits
from collector.rules.profiles import Chosen, choose
from collector.rules.rule import Case, Rule
from collector.settings import Limits, RuleOverride, Rules, Runs, Settings, Store
from collector.settings.section import nanoseconds
from collector.store import looked_at, weights
from collector.store.handle import Handle
from collector.store.places import Places

T0 = 1_790_000_000 * 10**9
NUMBERS = {"debug": 5, "info": 9, "warn": 13, "error": 17, "Log": 9, "Warn": 13, "Error": 17}


def value(v: Any) -> dict[str, Any]:
    """Return an OTLP AnyValue."""
    if isinstance(v, bool):
        return {"boolValue": v}
    if isinstance(v, int):
        return {"intValue": str(v)}
    if isinstance(v, float):
        return {"doubleValue": v}
    if isinstance(v, (list, tuple)):
        return {"arrayValue": {"values": [value(item) for item in v]}}
    if isinstance(v, dict):
        return {"kvlistValue": {"values": attributes(v)}}
    return {} if v is None else {"stringValue": v}


def attributes(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return OTLP attributes."""
    return [{"key": k, "value": value(v)} for k, v in given.items()]


def _context(r: Mapping[str, Any]) -> dict[str, Any]:
    if r["runner"] == "trigger":
        there = {
            "ctx.run.id": r["run"],
            "ctx.run.isTest": False,
            "ctx.task.id": r["task"],
            "ctx.task.filePath": "src/trigger/tasks.ts",
            "ctx.attempt.number": r["attempt"],
            "ctx.queue.name": f"task/{r['task']}",
            **r["context"],
        }
        return {f"$metadata.{k}": v for k, v in there.items() if v is not None}
    there = {"task_id": r["task"], "attempt": r["attempt"], **r["context"]} if r["run"] is not None else r["context"]
    return {k: v for k, v in there.items() if v is not None}


def _resource(r: Mapping[str, Any]) -> dict[str, Any]:
    more = r.get("resource", {})
    if r["runner"] == "trigger":
        return {"$trigger": True, "service.name": "trigger.dev", "ctx.environment.type": "PRODUCTION", **more}
    return {"service.name": "billing-worker", **more}


def requests(logs: Iterable[Mapping[str, Any]], spans: Iterable[Mapping[str, Any]]) -> list[tuple[Any, bytes]]:
    """Return one request per record, logs first."""
    found: list[tuple[Any, bytes]] = []
    for r in logs:
        ns = T0 + round(r["at"] * 1e9)
        record = {
            "timeUnixNano": str(ns),
            "observedTimeUnixNano": str(ns),
            "severityNumber": NUMBERS[r["level"]],
            "severityText": r["level"],
            "body": {"stringValue": r["body"]},
            "attributes": attributes({**r["attributes"], **_context(r)}),
        }
        block = {"scope": {"name": r["scope"]}, "logRecords": [record]}
        found.append(
            (LOGS, {"resourceLogs": [{"resource": {"attributes": attributes(_resource(r))}, "scopeLogs": [block]}]})
        )
    for r in spans:
        record = {
            "traceId": r["trace_id"],
            "spanId": r["span_id"],
            "parentSpanId": r.get("parent_span_id") or "",
            "name": r["name"],
            "kind": r["kind"],
            "startTimeUnixNano": str(T0 + round(r["start"] * 1e9)),
            "endTimeUnixNano": str(T0 + round(r["end"] * 1e9)),
            "status": {"code": 2 if r["failed"] else 0},
            "attributes": attributes({**r["attributes"], **_context(r)}),
            "events": [{**e, "timeUnixNano": "1", "attributes": attributes(e["attributes"])} for e in r["events"]],
            "droppedAttributesCount": r.get("dropped", 0),
        }
        block = {"scope": {"name": r["scope"]}, "spans": [record]}
        found.append(
            (TRACES, {"resourceSpans": [{"resource": {"attributes": attributes(_resource(r))}, "scopeSpans": [block]}]})
        )
    return [(signal, json.dumps(tree, ensure_ascii=False).encode()) for signal, tree in found]


def store(cases: Iterable[tuple[Iterable[Mapping[str, Any]], Iterable[Mapping[str, Any]]]]) -> list[str]:
    """Store logs and spans of *cases*, each as a project of its own, and return the projects; a record arrives when
    it ends."""
    batch = Batch(Limits())
    projects = []
    for logs, spans in cases:
        projects.append(f"case-{next(_number)}")
        logs, spans = list(logs), list(spans)
        ends = [r["at"] for r in logs] + [r["end"] for r in spans]
        for (signal, body), end in zip(requests(logs, spans), ends, strict=True):
            batch.add(signal, "json", body, project=projects[-1], received_ns=T0 + round(end * 1e9) + 10**9)
    if tables := batch.tables():
        _store().add(tables, T0)
    return projects


def frames(logs: Iterable[Mapping[str, Any]] = (), spans: Iterable[Mapping[str, Any]] = ()) -> Frames:
    """Return what rules see of these records."""
    (project,) = store([(logs, spans)])
    return _store().frames(project)


def findings(seen: Frames, chosen: Iterable[Chosen]) -> pl.DataFrame:
    """Return the findings of the *chosen* rules on what `frames` made."""
    project = f"case-{next(_number)}"
    for rows in (seen.runs, seen.logs, seen.spans):
        project = rows["project"][0] if rows.height else project
    return _store().findings(evaluate(seen, chosen), project).with_columns(project=pl.lit("default"))


_number = itertools.count()


@cache
def _store() -> Recording:
    """Return a recording that all cases share, each as a project of its own: opening one takes longer than a case.

    Its samples hide the phone numbers of the countries that cases ask for.
    """
    asked = {
        c for rule in catalogue.RULES.values() for case in rule.bad for c in case.options.get("phone_countries", ())
    }
    opened = recording(Settings(store=Store(threads=1), rules=Rules(phone_countries=tuple(sorted(asked)))))
    atexit.register(opened.__exit__, None, None, None)
    return opened.__enter__()


@cache
def _own() -> dict[int, Frames]:
    """Return what rules see of each case of a rule, by the case's id, each a project of its own.

    All are told as runs and read together: a statement takes as long for one as for all.
    """
    cases = [case for rule in catalogue.RULES.values() for case in (*rule.bad, *rule.good)]
    projects = store((c.logs, c.spans) for c in cases)
    together = _together(projects)
    return {id(case): together[project] for case, project in zip(cases, projects, strict=True)}


def _together(projects: list[str]) -> dict[str, Frames]:
    """Return what `frames` does of each of *projects*, read at one time."""
    last = frames()  # tells all that came as runs

    def read(h: Handle) -> tuple[Frames, dict[str, dict[str, pl.DataFrame]]]:
        keys = h.frame("SELECT project, run_key FROM runs SEMI JOIN asked USING (project)", asked=asked)
        whole = seen.frames(looked_at.whole(h, None, weights.weigh(h, Places(h), keys)), last.as_of_ns)
        of_none = h.frame(
            "SELECT DISTINCT project FROM (FROM logs SELECT project, run_key UNION ALL FROM spans SELECT project, "
            "run_key) SEMI JOIN asked USING (project) WHERE run_key IS NULL",
            asked=asked,
        )
        return whole, {project: looked_at.loose(h, project) for project in of_none["project"]}

    asked = pl.DataFrame({"project": projects})
    whole, loose = _store()._database.reading(read)
    parts = {
        table: getattr(whole, table).partition_by("project", as_dict=True)
        for table in ("logs", "spans", "resources", "runs", "attempts", "phases", "waits", "from_zero", "repeats")
    }
    found = {}
    for project in projects:
        own = {table: of.get((project,), getattr(whole, table).clear()) for table, of in parts.items()}
        one = replace(whole, limits=last.limits, **own)
        one = seen.beside(one, loose[project]) if project in loose else one
        ends = pl.concat([one.logs["time_unix_nano"], one.spans["end_time_unix_nano"].rename("time_unix_nano")])
        newest = 0 if ends.is_empty() else int(ends.max())  # type: ignore[arg-type]
        found[project] = replace(one, as_of_ns=newest + nanoseconds(Runs().stale) + 1)
    return found


def _seen(case: Case) -> Frames:
    """Return what rules see of a case without its limits."""
    own = _own().get(id(case))
    return frames(case.logs, case.spans) if own is None else own


def of_case(case: Case) -> Frames:
    """Return what rules see of a case."""
    found = _seen(case)
    if case.limits:
        limits = stated_limits((queue, None, None, limit) for queue, limit in case.limits.items())
        found = replace(found, limits=limits)
    if case.live_after_s is not None:
        last = max(r["at"] for r in case.logs)
        found = replace(found, live=True, as_of_ns=T0 + round((last + case.live_after_s) * 1e9))
    return found


def settings(rule: Rule, case: Case) -> Rules:
    """Return settings under which *rule* alone judges with the options of *case*."""
    options = {k: v for k, v in case.options.items() if k != "strict"}
    override = RuleOverride(rules=(rule.code,), options=options)
    return Rules(
        select=(rule.code,),
        strict=bool(case.options.get("strict", False)),
        overrides=(override,) if options else (),
    )


def check(rule: Rule, case: Case) -> pl.DataFrame:
    """Return the findings of *rule* on *case*."""
    return findings(of_case(case), choose(catalogue.RULES, settings(rule, case)))
