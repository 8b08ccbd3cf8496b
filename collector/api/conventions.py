"""Routes for the conventions: findings since a time, and the rules with what they cover."""

from __future__ import annotations

import json
import time
from typing import Any

import polars as pl
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.api import form
from collector.model.errors import BadInput
from collector.report import conventions
from collector.rules import catalogue, outline, remedies
from collector.rules.guideline import SENTENCES
from collector.rules.rule import SEVERITIES
from collector.store import findings as stored
from collector.store.database import Database, Handle

_DEFAULT_SINCE = "24h"
_PARAMETERS = ("since", "code", "task", "severity", "run_key", "environment")


def routes(database: Database, project: str) -> list[Route]:
    """Return the routes, answering from *database* for *project*."""

    async def findings(request: Request) -> Response:
        """Answer the findings since a time, the most severe and frequent first."""
        given = dict(request.query_params)
        if unknown := sorted(set(given) - set(_PARAMETERS)):
            raise BadInput(f"no such parameter; there are {', '.join(_PARAMETERS)}", field=unknown[0])
        now = time.time_ns()
        since = form.moment(given.get("since", "0" if "run_key" in given else _DEFAULT_SINCE), "since", now)
        severity = given.get("severity")
        if severity is not None and severity not in SEVERITIES:
            raise BadInput(f"expected one of {', '.join(SEVERITIES)}, got {severity[:40]!r}", field="severity")
        chosen = {"code": given.get("code"), "task_id": given.get("task"), "severity": severity}
        one = {name: given.get(name) for name in ("run_key", "environment")}
        answer = await run_in_threadpool(lambda: _findings(database, project, since, now, chosen, one))
        return Response(form.json_bytes(answer), media_type="application/json")

    async def rules(request: Request) -> Response:
        """Answer every rule, and every sentence of the guideline with what telemetry can say of it."""
        return Response(form.json_bytes(_catalogue()), media_type="application/json")

    return [Route("/api/v1/findings", findings), Route("/api/v1/rules", rules)]


def _findings(
    database: Database,
    project: str,
    since_ns: int,
    now_ns: int,
    chosen: dict[str, str | None],
    one: dict[str, str | None],
) -> dict[str, Any]:
    def look(h: Handle) -> tuple[pl.DataFrame, tuple[int, int]]:
        found = conventions.findings(h, project, since_ns, now_ns, code=chosen["code"], **one)
        return found, stored.compliance(h, project, since_ns, one["environment"])

    found, (runs, clean) = database.reading(look)
    for column in ("task_id", "severity"):
        if chosen[column] is not None:
            found = found.filter(found[column] == chosen[column])
    rows = found.drop("project").to_dicts()
    for row in rows:
        row["samples"] = json.loads(row["samples"])
    return {
        "since_ns": since_ns,
        "as_of_ns": now_ns,
        "runs": runs,
        "runs_without_errors": clean,
        "findings": rows,
        "transform": remedies.transform(found),
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
