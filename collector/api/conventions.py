"""Routes for the conventions: findings since a time, and the rules with what they cover."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import polars as pl
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.api import form
from collector.api.endpoints import route
from collector.api.turns import Turns
from collector.model.errors import BadInput
from collector.model.scope import Scope, Unknown
from collector.model.units import DAY_NS
from collector.report import conventions
from collector.rules import catalogue, checked, outline, remedies
from collector.rules.checked import Checked
from collector.rules.guideline import SENTENCES
from collector.rules.profiles import Chosen, choose, phone_countries
from collector.settings import Rules
from collector.store import apply, came
from collector.store import findings as stored
from collector.store.database import Database
from collector.store.handle import Handle

_MOST = 2
"""Questions for findings that are worked on at once."""


def routes(
    database: Database, project: str, wait_s: float, settings: Rules, want_judged: Callable[[], int]
) -> list[Route]:
    """Return the routes, answering from *database* for *project*; who has waited *wait_s* is told to come back.

    *settings*: the rules that this collector judges by. *want_judged*: as `api.routes.application` takes it.
    """
    judged, countries = choose(catalogue.RULES, settings), phone_countries(settings)
    turns = Turns(_MOST, wait_s)

    async def findings(request: Request, params: dict[str, Any]) -> Response:
        """Answer the findings since a time, the most severe and frequent first."""
        now_ns = time.time_ns()
        if params["since"] is None:
            params["since"] = 0 if params["run_key"] else now_ns - DAY_NS
        return form.answer(await turns.run(lambda: _findings(database, project, now_ns, countries=countries, **params)))

    async def rules(request: Request, params: dict[str, Any]) -> Response:
        """Answer every rule, and every sentence of the guideline with what telemetry can say of it."""
        return form.answer(_catalogue())

    async def check(request: Request, params: dict[str, Any]) -> Response:
        """Answer what was received since a time, how much of it rules looked at, and what they found there."""
        now_ns = time.time_ns()
        scope = Scope(*(tuple(params[kind] or ()) for kind in ("task", "service", "environment")))
        codes = None if params["rules"] is None else set(params["rules"])
        if unknown := sorted((codes or set()) - set(catalogue.RULES)):
            raise BadInput(f"no rule {unknown[0][:40]!r}; /api/v1/rules lists them", field="rules")
        chosen = [c for c in judged if codes is None or c.rule.code in codes]

        def ask() -> dict[str, Any]:
            return _check(database, project, now_ns, params["since"], scope, chosen, want_judged(), countries)

        return form.answer(await turns.run(ask))

    return [
        route("GET /api/v1/findings", findings),
        route("GET /api/v1/check", check),
        route("GET /api/v1/rules", rules),
    ]


def _check(
    database: Database,
    project: str,
    now_ns: int,
    since_ns: int,
    scope: Scope,
    chosen: list[Chosen],
    journal_seq: int,
    countries: tuple[str, ...],
) -> dict[str, Any]:
    def look(h: Handle) -> tuple[list[Unknown], bool, Checked, pl.DataFrame, dict[str, int]]:
        came_ = came.of_findings(h, project, scope, since_ns)
        groups = came.records(h, project, scope, since_ns)
        tally = checked.tally_groups(groups, h.frame("SELECT scope_id, name FROM scopes"))
        looked = checked.looked_at([tally], chosen, came_.runs.height, apart=True)
        findings = conventions.of_came(h, project, came_, since_ns, now_ns, countries)
        of_runs, of_window = stored.judged(h)
        newest = max(journal_seq, apply.watermark(h, apply.NAME))
        judged = {
            "journal_seq": newest,
            "run_rules_seq": of_runs,
            "window_rules_seq": of_window,
            "passed_over": int(groups.filter("is_passed_over")["n"].sum()),
        }
        return came.strangers(h, project, scope), came.anything(h, project), looked, findings, judged

    with database.aside():
        strangers, anything, looked, findings, judged = database.reading(look)
    rows = findings.filter(pl.col("code").is_in([c.rule.code for c in chosen])).drop("project").to_dicts()
    for row in rows:
        row["samples"] = json.loads(row["samples"])
    return {
        "since_ns": since_ns,
        "as_of_ns": now_ns,
        "unknown": [asdict(name) for name in strangers],
        "came": anything,
        "judged": judged,
        "rules": [c.rule.code for c in chosen],
        "checked": looked.document(),
        "findings": rows,
        "not_observable": catalogue.not_observable(),
    }


def _findings(
    database: Database,
    project: str,
    now_ns: int,
    *,
    since: int,
    code: str | None,
    task: str | None,
    severity: str | None,
    run_key: str | None,
    environment: str | None,
    platform_project: str | None,
    countries: tuple[str, ...],
) -> dict[str, Any]:
    def look(h: Handle) -> tuple[pl.DataFrame, tuple[int, int], bool]:
        of = {"environment": environment, "platform_project": platform_project}
        findings = conventions.findings(
            h, project, since, now_ns, code=code, run_key=run_key, countries=countries, **of
        )
        return findings, stored.compliance(h, project, since, **of), all(stored.judged(h))

    with database.aside():
        findings, (runs, clean), judged = database.reading(look)
    for column, wanted in (("task_id", task), ("severity", severity)):
        if wanted is not None:
            findings = findings.filter(findings[column] == wanted)
    rows = findings.drop("project").to_dicts()
    for row in rows:
        row["samples"] = json.loads(row["samples"])
    return {
        "since_ns": since,
        "as_of_ns": now_ns,
        "judged": judged,
        "runs": runs,
        "runs_without_errors": clean,
        "findings": rows,
        "transform": remedies.transform(findings),
        "not_observable": catalogue.not_observable(),
    }


def _catalogue() -> dict[str, Any]:
    return {
        "rules": [
            {
                "code": r.code,
                "slug": r.slug,
                "family": r.family,
                "severity": r.severity,
                "matter": outline.matter(r.code),
                "grain": r.grain,
                "on": r.on,
                "summary": r.summary,
                "why": r.section("Why"),
                "how_to_fix": r.section("How to fix"),
                "not_flagged": r.section("Not flagged"),
                "sentences": list(r.sentences),
            }
            for r in catalogue.RULES.values()
        ],
        "guideline": [
            {
                "number": s.number,
                "text": s.text,
                "state": catalogue.state(s),
                "rules": catalogue.of_sentence(s),
                "wanting": s.wanting,
            }
            for s in SENTENCES
        ],
    }
