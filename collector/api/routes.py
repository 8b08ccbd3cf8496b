"""HTTP routes over the store. Every answer is JSON or Arrow, every error `{"error": "one sentence"}`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pyarrow as pa
import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from collector.api import conventions, form, live, refusals, stats
from collector.api.analysts import Analysts
from collector.api.browsers import HEADERS, Told
from collector.api.endpoints import ENDLESS, bound, route
from collector.api.parameters import of_address, pasted
from collector.api.question import Basis
from collector.api.strays import Strays
from collector.api.turns import Turns
from collector.model.address import ARROW
from collector.model.affected import Affected
from collector.model.errors import BadInput, NotFound, NotNow, Refused
from collector.model.project import PROJECT
from collector.model.units import DAY_NS
from collector.receive.shared import Shared
from collector.settings import Settings
from collector.store import meanings, run_page
from collector.store.anomaly_runs import Asked, affected_keys
from collector.store.database import Database
from collector.store.errors import NoMemory
from collector.store.handle import Handle
from collector.store.named import queries
from collector.store.run_page import Page
from collector.telemetry.log import cause

log = structlog.get_logger()

HEALTH = frozenset({"/healthz", "/readyz", "/metrics", "/api/v1/status"})
"""What is answered whatever else is asked, on threads of its own."""
_MOST_HEALTH, _MOST_PAGES = 4, 8
"""How many of each kind are worked on at once."""

_NO_MEMORY_S = 3.0

Status = Callable[[], dict[str, Any]]


def application(
    database: Database,
    settings: Settings,
    status: Status,
    ready: Callable[[], str],
    metrics: Callable[[], bytes],
    more: Sequence[Route] = (),
    strays: Strays | None = None,
    allow: Callable[[str], None] = lambda sql: None,
    want_judged: Callable[[], int] = lambda: 0,
) -> ASGIApp:
    """Return the API. *status* tells how fresh the store is, *ready* why it is not, empty when it is.

    *metrics* is the store's own numbers in Prometheus' text format, *more* are routes of others.
    *strays*: notes who was meant for another port. *allow* raises Refused for a statement that is not asked again.
    *want_judged* has rules judge what was acknowledged, and returns the number of its newest group.
    """
    strays = strays or Strays()
    api = _Api(database, settings, lambda: {**status(), "strays": strays.list_kinds()}, ready, metrics)
    routes = [
        route("GET /healthz", api.health),
        route("GET /readyz", api.readiness),
        route("GET /metrics", api.metrics),
        route("GET /api/v1/status", api.status),
        route("GET /api/v1/query", api.catalogue),
        route("GET /api/v1/query/{name}", api.query),
        route("GET /api/v1/stats", api.statistics),
        route("GET /api/v1/stats/{name}", api.statistic),
        route("GET /api/v1/runs", api.runs),
        route("GET /api/v1/runs/{run_id:path}", api.run),
        route("GET /api/v1/schema", api.schema),
        route("POST /api/v1/sql", Analysts(database, settings.store, allow).sql),
        *conventions.routes(database, PROJECT, settings.store.query_time.total_seconds(), settings.rules, want_judged),
        *more,
    ]
    made = Starlette(
        routes=routes,
        middleware=[Middleware(Told)],
        exception_handlers={
            Refused: _refused,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            **dict.fromkeys(NoMemory, _no_memory),
            Exception: _defect,
        },
    )
    return strays.around(made)


class _Api:
    def __init__(
        self,
        database: Database,
        settings: Settings,
        status: Status,
        ready: Callable[[], str],
        metrics: Callable[[], bytes],
    ) -> None:
        self._database = database
        self._query_s = settings.store.query_time.total_seconds()
        grace_ns, lease_ns = (round(s.total_seconds() * 1e9) for s in (settings.runs.retry_grace, settings.runs.stale))
        self._basis = Basis(grace_ns, lease_ns)
        health = Turns(_MOST_HEALTH, self._query_s)
        self._status = Shared(lambda: health.run(lambda: form.json_bytes(status())))
        self._ready = Shared(lambda: health.run(ready))
        self._metrics = Shared(lambda: health.run(metrics))
        self._pages = Turns(_MOST_PAGES, self._query_s)

    async def health(self, request: Request, params: dict[str, Any]) -> Response:
        return PlainTextResponse("ok")

    async def readiness(self, request: Request, params: dict[str, Any]) -> Response:
        reason = await self._ready.get()
        return PlainTextResponse(reason or "ok", status_code=503 if reason else 200)

    async def metrics(self, request: Request, params: dict[str, Any]) -> Response:
        return Response(await self._metrics.get(), media_type=CONTENT_TYPE_LATEST)

    async def status(self, request: Request, params: dict[str, Any]) -> Response:
        return Response(await self._status.get(), media_type="application/json")

    async def catalogue(self, request: Request, params: dict[str, Any]) -> Response:
        """List the named queries."""
        return form.answer(
            [
                {
                    "name": q.name,
                    "description": q.description,
                    "parameters": [{"name": p.name, "type": p.type, "required": p.required} for p in q.parameters],
                }
                for q in queries().values()
            ]
        )

    async def query(self, request: Request, params: dict[str, Any]) -> Response:
        """Answer a named query."""
        name = request.path_params["name"]
        if name not in queries():
            raise NotFound(f"no query {name[:60]!r}; there are {', '.join(queries())}")
        ask = self._asking(name, bound(queries()[name], of_address(request)))
        return await self._pages.run(lambda: _table(request, ask()))

    async def statistics(self, request: Request, params: dict[str, Any]) -> Response:
        """List the statistics."""
        return form.answer(
            [
                {"name": name, "description": (s.make.__doc__ or "").strip(), "by": s.by, "groups": s.groups}
                for name, s in stats.STATISTICS.items()
            ]
        )

    async def statistic(self, request: Request, params: dict[str, Any]) -> Response:
        """Answer a statistic: rows of numbers with n, interval, provenance and coverage, or a list of runs."""
        name = request.path_params["name"]
        if name not in stats.STATISTICS:
            raise NotFound(f"no statistic {name[:60]!r}; there are {', '.join(stats.STATISTICS)}")
        question = stats.question(name, params, PROJECT, self._basis)
        answer = stats.STATISTICS[name].answer

        def ask() -> Response:
            told = self._database.limited(lambda h: answer(h, question), seconds=self._query_s)
            response = _table(request, told.rows.to_arrow())
            response.headers["x-runwell-window"] = f"{told.from_ns}/{told.to_ns}"
            if told.widened:
                response.headers["x-runwell-widened"] = told.widened
            return response

        return await self._pages.run(ask)

    async def runs(self, request: Request, params: dict[str, Any]) -> Response:
        """Answer a page of runs."""
        page = {name: params[name] for name in ("limit", "offset")}
        params["from_ns"], params["to_ns"] = params.pop("from"), params.pop("to")
        params["status"] = ",".join(params["status"] or ()) or None
        if params["from_ns"] <= 0 and params["to_ns"] == ENDLESS and params["at"] == "active":
            params["at"] = "start"  # of all time: every run began in it, and that is sooner told
        params["q"] = pasted(params["q"] or "") or None
        affected = params.pop("affected")
        params |= {"keys": None} if affected is None else await self._affected(affected, params)
        table = await self._ask("run_list", params)
        total = table["total"][0].as_py() if table.num_rows else await self._total(params)
        rows = table.drop_columns(["total"])
        if form.wants_arrow(request):
            response = _table(request, rows)
            response.headers["x-runwell-total"] = str(total)
            return response
        return await self._pages.run(lambda: form.answer({"runs": form.rows(rows), "total": total, **page}))

    async def _affected(self, affected: Affected, params: dict[str, Any]) -> dict[str, Any]:
        """Return what else is asked where only affected runs are: which they are, wherever else they lie in time."""
        asked = Asked(
            affected.kind,
            affected.name,
            affected.task_id,
            params["environment"],
            params["platform_project"],
            affected.detail,
            max(params["from_ns"], DAY_NS),
            min(params["to_ns"], ENDLESS - DAY_NS),
            threshold_ns=affected.threshold_ns,
            is_faster=affected.is_faster,
        )
        keys = await self._pages.run(
            lambda: self._database.limited(lambda h: affected_keys(h, PROJECT, asked), seconds=self._query_s)
        )
        return {"keys": ",".join(keys), "at": "any", "from_ns": asked.from_ns - DAY_NS}

    async def _total(self, params: dict[str, Any]) -> int:
        """Return how many runs match when the page asked for has none: it is behind the last one, or of no rows."""
        if params["limit"] and not params["offset"]:
            return 0
        table = await self._ask("run_list", {**params, "limit": 1, "offset": 0})
        return int(table["total"][0].as_py()) if table.num_rows else 0

    async def run(self, request: Request, params: dict[str, Any]) -> Response:
        """Answer one run with all its records."""
        run_id, run_key = request.path_params["run_id"], params["run_key"]
        before, after = params["before"], params["after"]
        if before and after:
            raise BadInput("given beside before; give one of them", field="after")

        def find(h: Handle) -> Page | None:
            for name in dict.fromkeys((run_id, pasted(run_id))):
                if page := run_page.find(h, PROJECT, name, run_key, before or after, after=after is not None):
                    return page
            return None

        def outlook(run: dict[str, Any]) -> dict[str, Any] | None:
            if not live.may_be_told(run):
                return None
            now_ns = time.time_ns()
            try:
                told = self._database.limited(
                    lambda h: live.of_run(h, self._basis, PROJECT, run, now_ns), seconds=self._query_s
                )
            except (Refused, *NoMemory):  # the page is there without it
                return None
            return next(told.iter_rows(named=True), None)

        def ask() -> Response:
            page = self._database.reading(find)
            if page is None:
                raise NotFound(f"no run {run_id[:100]!r} has left telemetry here")
            parts: dict[str, Any] = {name: form.rows(table) for name, table in page.parts.items()}
            run = parts["run"] = parts["run"][0]
            lists = page.pages.items()
            failure = form.rows(page.failure)[0] if page.failure else None
            more = {} if before or after else {"parent": page.parent, "failure": failure, "outlook": outlook(run)}
            return form.answer(
                {
                    **parts,
                    **{name: form.rows(part.rows) for name, part in lists},
                    "truncated": [name for name, part in lists if part.earlier or part.later],
                    "earlier": {name: str(part.earlier) for name, part in lists if part.earlier},
                    "later": {name: str(part.later) for name, part in lists if part.later},
                    **more,
                }
            )

        return await self._pages.run(ask)

    async def schema(self, request: Request, params: dict[str, Any]) -> Response:
        """List the tables that SQL sees, with what their rows and columns mean."""
        return form.answer(meanings.tables())

    async def _ask(self, name: str, bound: dict[str, Any]) -> pa.Table:
        return await self._pages.run(self._asking(name, bound))

    def _asking(self, name: str, bound: dict[str, Any]) -> Callable[[], pa.Table]:
        """Return what asks named query *name* with values for its parameters."""
        query = queries()[name]

        def ask(h: Handle) -> pa.Table:
            return h.arrow(query.sql, {**bound, "project": PROJECT} if "$project" in query.sql else bound)

        return lambda: self._database.limited(ask, seconds=self._query_s)


def _table(request: Request, table: pa.Table) -> Response:
    if form.wants_arrow(request):
        return Response(form.arrow_bytes(table), media_type=ARROW)
    text, _ = form.json_rows(table)
    return Response(text, media_type="application/json")


Handler = Callable[[Request, Exception], Awaitable[Response]]


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    status, headers, body = refusals.encode_refusal(error)
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})


async def _no_memory(request: Request, error: Exception) -> Response:
    """Answer that this did not fit; nothing else suffers from it."""
    log.warning("request_answer_failed", error_type="NoMemory", error_message="it needs more memory than there is now")
    sentence = "this needs more memory than there is now; ask for less (a shorter time, fewer rows), or raise `memory`"
    return await _refused(request, NotNow(sentence, retry_after_s=_NO_MEMORY_S))


async def _gone(request: Request, error: Exception) -> Response:
    """Return what nobody reads: the client hung up, or the wall refused what it sent."""
    return Response(status_code=400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "no such path; the API is under /api/v1", 405: f"{request.method} is not allowed here"}
    return form.answer({"error": words.get(error.status_code, error.detail)}, error.status_code)


async def _defect(request: Request, error: Exception) -> Response:
    log.error("request_answer_failed", **cause(error))
    answer = form.answer({"error": "the store could not answer this; its log says why"}, 500)
    answer.headers.update(HEADERS)  # it is made outside of all middleware
    return answer
