"""Routes for reports: list, read, make one now, what comes next, where they went, and what people say of anomalies."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.api import form
from collector.api.endpoints import FORMATS, route
from collector.api.turns import Turns
from collector.control import Control, firings, reports
from collector.model.asked import Ask, Preview
from collector.model.errors import BadInput, NotFound
from collector.model.units import DAY_NS

if TYPE_CHECKING:
    from collector.model.report import Report

_TYPES = {"json": "application/json", "html": "text/html; charset=utf-8", "md": "text/markdown; charset=utf-8"}


class Maker(Protocol):
    """Who makes reports."""

    def make(self, ask: Ask) -> tuple[Report, list[Preview]]:
        """Make a report now; keep it and owe it to channels, unless it is a dry run. BadInput: no such schedule."""
        ...

    def upcoming(self, now_ns: int, n: int) -> list[dict[str, Any]]:
        """Return by schedule its next *n* firings and what they cover."""
        ...


def routes(control: Control, maker: Maker, dashboard: str | None, wait_s: float) -> list[Route]:
    """Return the routes. *dashboard*: where links in reports lead, unless a request names another.

    One report is made at a time; who has waited *wait_s* for it in vain is told to come back.
    """
    making = Turns(1, wait_s)

    async def listed(request: Request, params: dict[str, Any]) -> Response:
        """Answer the newest reports."""
        rows = await run_in_threadpool(lambda: control.reading(reports.rows, params["schedule"], params["limit"]))
        return form.answer([asdict(row) for row in rows])

    async def one(request: Request, params: dict[str, Any]) -> Response:
        """Answer one report in a form."""
        report_id, kind = request.path_params["id"], request.path_params.get("format", "json")
        if kind not in FORMATS:
            raise NotFound(f"reports come as {', '.join(FORMATS)}, not as {kind[:20]!r}")
        report = await run_in_threadpool(lambda: control.reading(reports.load, report_id))
        if report is None:
            raise NotFound(f"no report {report_id[:60]!r} is kept here, or it is of another version's shape")
        text = await run_in_threadpool(lambda: rendered(report, kind, params["dashboard"] or dashboard))
        return _page(text, kind)

    async def upcoming(request: Request, params: dict[str, Any]) -> Response:
        """Answer when each schedule comes round next."""
        return form.answer(await run_in_threadpool(lambda: maker.upcoming(time.time_ns(), params["n"])))

    async def make(request: Request, params: dict[str, Any]) -> Response:
        """Make a report now."""
        kind, ask = params["format"], _ask(params, time.time_ns())
        report, previews = await making.run(lambda: maker.make(ask))
        text = await run_in_threadpool(lambda: rendered(report, kind, dashboard)) if kind != "json" else None
        answer = {
            "saved": not ask.dry_run,
            "deliveries": [asdict(p) for p in previews],
            "report": report.model_dump(mode="json"),
            "rendered": text,
        }
        return form.answer(answer, 200 if ask.dry_run else 201)

    async def sent(request: Request, params: dict[str, Any]) -> Response:
        """Answer where reports went, the latest first."""
        rows = await run_in_threadpool(lambda: control.reading(firings.deliveries, params["report"], params["limit"]))
        return form.answer([asdict(d) for d in rows])

    async def fired(request: Request, params: dict[str, Any]) -> Response:
        """Answer which firings were made, skipped or failed, the latest first."""
        rows = await run_in_threadpool(
            lambda: control.reading(firings.latest, params["schedule"], limit=params["limit"])
        )
        return form.answer([asdict(f) for f in rows])

    async def expected(request: Request, params: dict[str, Any]) -> Response:
        """Answer what was said of anomalies."""
        return form.answer([asdict(f) for f in await run_in_threadpool(lambda: control.reading(reports.feedback))])

    async def say(request: Request, params: dict[str, Any]) -> Response:
        """Remember that an anomaly is expected, or take that back."""

        def act() -> None:
            if params["expected"]:
                control.writing(reports.save_feedback, params["key"], params["note"], params["until"], time.time_ns())
            else:
                control.writing(reports.forget_feedback, params["key"])

        await run_in_threadpool(act)
        return await expected(request, params)

    base = "/api/v1/reports"
    return [
        route(f"GET {base}", listed),
        route(f"POST {base}", make),
        route(f"GET {base}/next", upcoming),
        route(f"GET {base}/deliveries", sent),
        route(f"GET {base}/firings", fired),
        route(f"GET {base}/feedback", expected),
        route(f"POST {base}/feedback", say),
        route(f"GET {base}/{{id:str}}.{{format:str}}", one),
        route(f"GET {base}/{{id:str}}", one),
    ]


def rendered(report: Report, kind: str, dashboard: str | None) -> str:
    """Return *report* as json, html or md, with links to *dashboard*."""
    from collector.report import render  # Vega is heavy

    if kind == "html":
        return render.html(report, dashboard)
    return render.markdown(report, dashboard) if kind == "md" else render.json(report, dashboard)


def _ask(params: dict[str, Any], now_ns: int) -> Ask:
    schedule, from_ns, to_ns = params["schedule"], params["since"], params["until"]
    period = None
    if schedule is None or from_ns is not None or to_ns is not None:
        to_ns = now_ns if to_ns is None else to_ns
        from_ns = to_ns - DAY_NS if from_ns is None else from_ns
        if not 0 <= from_ns < to_ns <= now_ns:
            raise BadInput("expected a time before until, and until not in the future", field="since")
        if to_ns - from_ns > 31 * DAY_NS:
            raise BadInput("expected a period of 31 days at most", field="since")
        period = (from_ns, to_ns)
    if params["deliver"] and schedule is None:
        raise BadInput("a report goes to the channels of its schedule; name one", field="deliver")
    return Ask(schedule, period, params["deliver"], params["dry_run"])


def _page(text: str, kind: str) -> Response:
    headers = {"referrer-policy": "no-referrer"}
    if kind == "html":
        from collector.report import render

        headers["content-security-policy"] = f"{render.policy()}; frame-ancestors 'none'; sandbox"
    return Response(text, media_type=_TYPES[kind], headers=headers)
