"""What may be asked of the API: every endpoint with its parameters. Routes and docs/api.md are made from this table."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.api import parameters
from collector.api.parameters import (
    FLAG,
    LIST,
    LIST_OR_NONE,
    MOMENT,
    TEXT,
    TEXT_OR_NONE,
    Kind,
    Parameter,
    one_of,
    some_of,
    text,
    whole,
)
from collector.model.affected import Affected
from collector.model.errors import BadInput, Unsupported
from collector.model.words import RunStatus
from collector.rules.rule import SEVERITIES
from collector.store.named import Query
from collector.store.run_records import Anchor

FORMATS = ("json", "html", "md")
_POPULATIONS = ("live", "replay", "development", "all")
_KINDS = {
    "limit": whole(0, 1_000),
    "offset": whole(0, 10**9),
    "bucket_ns": whole(1),
    **dict.fromkeys(("environment", "platform_project"), TEXT_OR_NONE),
}
ENDLESS = 2**63 - 1
"""End of a range that has none, ns."""
AT = ("active", "start", "end")
"""What of a run may be asked to lie in a time range."""
AFFECTED = Kind(
    "runs of a kind of anomaly, such as failures:charge-order or duration:charge-order:::over90000000000",
    lambda text, _: Affected.read(str(text)),
    "affected runs",
)
ANCHOR = Kind(
    "a list such as logs, or a place in one as earlier and later name it",
    lambda text, _: Anchor.read(str(text)),
    "place in a list",
)
_TYPES = {"bigint": whole(), "boolean": FLAG, "varchar": TEXT}
_MOST_BUCKETS = 10_000
NOW = "0s"
"""Default of a time: no span back from what spans count back from."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is asked at one path. *parameters*: None where the handler knows them, or whatever is given is ignored."""

    parameters: tuple[Parameter, ...] | None = ()
    most_bytes: int = 0
    """Longest body; parameters are its fields then.

    Its content type must be JSON's: a foreign web page cannot send that without asking first, and nobody tells it yes.
    """


def _only(name: str, what: str) -> Parameter:
    kind = _KINDS.get(name, TEXT)
    return Parameter(name, kind, f"only {what}{'; empty: of none' if kind.empty else ''}", unless="all")


_TASK = _only("task", "runs of this task")
_QUEUE = _only("queue", "runs of this queue")
_ENVIRONMENT = _only("environment", "runs of this environment")
_PLATFORM_PROJECT = _only("platform_project", "runs of this project of the platform")
_SCHEDULE = _only("schedule", "those of this schedule")
_LINKS = (Parameter("dashboard", TEXT, "address that links lead to", unless="`reports.dashboard`"),)


def _limit(default: str) -> Parameter:
    return Parameter("limit", whole(1, 1_000), "how many at most", default)


ENDPOINTS: dict[str, Endpoint] = {
    "GET /healthz": Endpoint(None),
    "GET /readyz": Endpoint(None),
    "GET /metrics": Endpoint(None),
    "GET /api/v1/status": Endpoint(),
    "GET /api/v1/query": Endpoint(),
    "GET /api/v1/query/{name}": Endpoint(None),
    "GET /api/v1/stats": Endpoint(),
    "GET /api/v1/stats/{name}": Endpoint(
        (
            Parameter("as_of", MOMENT, "the time at which to judge: what is too young to count, open, overdue", NOW),
            Parameter(
                "from",
                MOMENT,
                "begin of the time range; where many runs touch it, it is widened to whole hours",
                "24h",
                back_from="as_of",
            ),
            Parameter("to", MOMENT, "its end", NOW, unless="`as_of`", back_from="as_of"),
            _TASK,
            _QUEUE,
            _ENVIRONMENT,
            _PLATFORM_PROJECT,
            _only("version", "runs or attempts of this version"),
            Parameter("population", one_of(_POPULATIONS), "which runs; test runs are in none", unless="what counts"),
            Parameter("by", LIST_OR_NONE, "columns to group by; an empty one gives one total", unless="see below"),
            Parameter("measures", LIST, "only these numbers", unless="all"),
            Parameter("total", FLAG, "also rows of all groups together, which `is_total` tells", "false"),
        )
    ),
    "GET /api/v1/runs": Endpoint(
        (
            Parameter("from", MOMENT, "begin of the time range", "0"),
            Parameter("to", MOMENT, "its end", str(ENDLESS), unless="no end"),
            Parameter("at", one_of(AT), "what of a run lies in the range, see below", "active"),
            Parameter("status", some_of(RunStatus, "statuses with commas"), "only these", unless="all"),
            _TASK,
            _QUEUE,
            _ENVIRONMENT,
            _PLATFORM_PROJECT,
            Parameter("retried", FLAG, "`true`: only runs of more than one attempt, `false`: of one", unless="all"),
            Parameter(
                "counted",
                FLAG,
                "`true`: only runs that [figures count](#get-apiv1stats-get-apiv1statsname), `false`: the others",
                unless="all",
            ),
            _only("error_group", "runs of which an attempt that began in the time range failed so, see below"),
            _only("version", "runs of this version: that of their last attempt"),
            Parameter(
                "affected", AFFECTED, "only runs that an anomaly counts in the time range, see below", unless="all"
            ),
            Parameter("q", TEXT, "text in ids, task, error and tags", unless="all"),
            Parameter("limit", _KINDS["limit"], "how many at most", "50"),
            Parameter("offset", _KINDS["offset"], "how many to leave out before them", "0"),
        )
    ),
    "GET /api/v1/runs/{run_id:path}": Endpoint(
        (
            Parameter("run_key", TEXT, "which, where several runs share the id", unless="the latest"),
            Parameter(
                "before", ANCHOR, "only the list it names, the page before that place", unless="the last page of each"
            ),
            Parameter("after", ANCHOR, "likewise, the page after it", unless="see `before`"),
        )
    ),
    "GET /api/v1/schema": Endpoint(),
    "POST /api/v1/sql": Endpoint(
        (Parameter("sql", text("one SELECT statement", r".*\S.*"), "one SELECT statement", required=True),), 100_000
    ),
    "GET /api/v1/findings": Endpoint(
        (
            Parameter("since", MOMENT, "records since then", unless="`24h`; with `run_key` all"),
            _only("code", "findings of this rule"),
            _only("task", "findings of this task"),
            Parameter("severity", one_of(SEVERITIES), "only findings of this severity", unless="all"),
            _only("run_key", "findings of this run"),
            _only("environment", "what runs of this environment add"),
            _only("platform_project", "what runs of this project of the platform add"),
        )
    ),
    "GET /api/v1/check": Endpoint(
        (
            Parameter("since", MOMENT, "what was received since then", "24h"),
            Parameter(
                "rules",
                LIST_OR_NONE,
                "codes of rules with commas; an empty one chooses none",
                unless="those that the collector judges by",
            ),
            Parameter("task", LIST, "only runs and records of these tasks", unless="all"),
            Parameter("service", LIST, "only runs with a record of these services, and their records", unless="all"),
            Parameter("environment", LIST, "only runs and records of these environments", unless="all"),
        )
    ),
    "GET /api/v1/rules": Endpoint(),
    "GET /api/v1/reports": Endpoint((_SCHEDULE, _limit("50"))),
    "POST /api/v1/reports": Endpoint(
        (
            Parameter("schedule", TEXT, "the schedule it is of", unless="none"),
            Parameter("until", MOMENT, "end of the period", unless="now; of a schedule its latest period's"),
            Parameter(
                "since",
                MOMENT,
                "begin of the period; a span counts back from `until`",
                unless="`24h`; of a schedule its latest period's",
                back_from="until",
            ),
            Parameter("deliver", FLAG, "send it to the schedule's channels", "false"),
            Parameter("dry_run", FLAG, "keep and send nothing", "false"),
            Parameter("format", one_of(FORMATS), "HTML or Markdown come beside the report, as `rendered`", "json"),
        ),
        10_000,
    ),
    "GET /api/v1/reports/next": Endpoint((Parameter("n", whole(1, 100), "firings of each schedule", "3"),)),
    "GET /api/v1/reports/deliveries": Endpoint((_only("report", "those of this report"), _limit("100"))),
    "GET /api/v1/reports/firings": Endpoint((_SCHEDULE, _limit("100"))),
    "GET /api/v1/reports/feedback": Endpoint(),
    "POST /api/v1/reports/feedback": Endpoint(
        (
            Parameter(
                "key",
                text("the key of an anomaly, as its report has it", r"[0-9A-Za-z._:-]{1,64}"),
                "the anomaly, by its key in a report",
                required=True,
            ),
            Parameter("expected", FLAG, "`false` takes it back", "true"),
            Parameter("note", text("a text of at most 500 characters", r".{0,500}"), "why", "", unless="empty"),
            Parameter("until", MOMENT, "it is expected until then", unless="for good"),
        ),
        10_000,
    ),
    "GET /api/v1/reports/{id:str}.{format:str}": Endpoint(_LINKS),
    "GET /api/v1/reports/{id:str}": Endpoint(_LINKS),
}
"""By method and path."""

Handler: TypeAlias = Callable[[Request, dict[str, Any]], Awaitable[Response]]
"""What answers a request, whose parameters have been read."""


def route(name: str, handler: Handler) -> Route:
    """Return the route of the endpoint of that *name*."""
    method, _, path = name.partition(" ")

    async def asked(request: Request) -> Response:
        return await handler(request, await _read_request(request, name))

    return Route(path, asked, methods=[method])


def read(name: str, raw: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    """Return values for the parameters of the endpoint of that *name*; raise BadInput naming the one that is wrong."""
    expected = ENDPOINTS[name].parameters
    return {} if expected is None else parameters.read(expected, raw, now_ns)


async def _read_request(request: Request, name: str) -> dict[str, Any]:
    endpoint = ENDPOINTS[name]
    if endpoint.parameters is None:
        return {}
    raw = parameters.of_address(request)
    if endpoint.most_bytes:
        parameters.read((), raw, 0)
        if _content_type(request) != "application/json":
            raise Unsupported("expected application/json", field="content-type")
        raw = await parameters.of_body(request, [p.name for p in endpoint.parameters], endpoint.most_bytes)
    return read(name, raw, time.time_ns())


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def bound(query: Query, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for the parameters of a named query; raise BadInput naming the one that is wrong."""
    expected = [Parameter(p.name, _KINDS.get(p.name) or _TYPES[p.type], required=p.required) for p in query.parameters]
    values = parameters.read(expected, raw, 0)
    bucket_ns, from_ns, to_ns = (values.get(name) for name in ("bucket_ns", "from_ns", "to_ns"))
    if bucket_ns and from_ns is not None and to_ns is not None and (to_ns - from_ns) // bucket_ns > _MOST_BUCKETS:
        raise BadInput(f"expected wider ones: the time range may have {_MOST_BUCKETS} of them", field="bucket_ns")
    return values
