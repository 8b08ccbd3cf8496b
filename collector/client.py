"""The door for dashboard and command line: questions to a running store over HTTP."""

from __future__ import annotations

import io
import json
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import polars as pl
import pyarrow as pa

from collector.model.address import ARROW, http_url, without_credentials
from collector.model.errors import Refused
from collector.model.shown import visible

if TYPE_CHECKING:
    from collector.model.report import Report


_JSON = "application/json"
_KEYS = {
    401: "set RUNWELL_KEY to a key, or to ${file:PATH}",
    403: "set RUNWELL_KEY to a key that may",
}
"""What to do where a request was not let in."""


class ApiError(Refused):
    """The store said no, or there is none; the message is for people. *unknown*: it has nothing by that name."""

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


class KeyRefused(ApiError):
    """The store runs, and asks for a key, or for one that may."""


class Stranger(ApiError):
    """What answers is no read API of a runwell."""


@dataclass(frozen=True, slots=True)
class Access:
    """*headers* that are sent with each request, and the file of the authority *ca* that is trusted, beside none."""

    headers: tuple[tuple[str, str], ...] = ()
    ca: Path | None = None

    def connections(self, url: str, timeout_s: float) -> httpx.Client:
        """Return connections to *url*; raise ApiError for an authority that is none, or what is no header."""
        try:
            trusted = ssl.create_default_context(cafile=self.ca) if self.ca else True
        except (OSError, ssl.SSLError):
            raise ApiError(f"{self.ca}: holds no certificate in PEM") from None
        try:
            # Proxies from the environment are for the world outside; this is our own server.
            return httpx.Client(
                base_url=url, timeout=timeout_s, trust_env=False, headers=dict(self.headers), verify=trusted
            )
        except UnicodeEncodeError:
            raise ApiError("a header has characters that none may have") from None

    def said(self) -> str:
        """Return it as text, for the environment of a process."""
        return json.dumps([self.headers, self.ca and str(self.ca.absolute())])

    @classmethod
    def of_text(cls, text: str) -> Access:
        """Return what *text* says, as `said` writes it."""
        headers, ca = json.loads(text)
        return cls(tuple((name, value) for name, value in headers), Path(ca) if ca else None)


def key_header(text: str) -> dict[str, str]:
    """Return the header of the key that *text* is, or of the one in the file it names as `${file:PATH}`."""
    if named := re.fullmatch(r"\$\{file:(.+)\}", text.strip()):
        try:
            text = Path(named[1]).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise ApiError(f"RUNWELL_KEY: the file {visible(named[1])} cannot be read") from None
    text = text.strip()
    if not text.isascii() or not text.isprintable():
        raise ApiError("RUNWELL_KEY: is no key")
    return {"authorization": f"Bearer {text}"} if text else {}


def not_trusted(error: BaseException) -> str | None:
    """Return why a certificate was not trusted, where that is what *error* comes from."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message)
        cause = cause.__cause__ or cause.__context__
    return "certificate verify failed" if "CERTIFICATE_VERIFY_FAILED" in str(error) else None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of runs and how many match in all."""

    runs: pl.DataFrame
    total: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of a query; *truncated* says which limit cut them short, empty if none did."""

    table: pa.Table
    truncated: str


def address(data: Path) -> str | None:
    """Return the URL of the API that runs on data directory *data*, None when none was started there."""
    try:
        where = json.loads((data / "runwell.json").read_text("utf-8"))["api"]
        return http_url(where["host"], where["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class StatisticRows:
    """Rows of a statistic, the time range that they are of, ns, and in what they are counted where not exactly."""

    rows: pl.DataFrame
    from_ns: int
    to_ns: int
    widened: str = ""


class Client:
    """Asks the API at *url*."""

    def __init__(self, url: str, timeout_s: float = 35.0, access: Access = Access()) -> None:
        self.url = _http(url).rstrip("/")
        self._told = visible(without_credentials(self.url))
        self._timeout_s = timeout_s
        self._access = access
        self._http = self._connections()

    def query(self, name: str, **params: object) -> pl.DataFrame:
        """Return the rows of a named query; parameters that are None are left out."""
        return _frame(_table(self._get(f"/api/v1/query/{name}", params, ARROW)))

    def stats(self, name: str, **filters: object) -> pl.DataFrame:
        """Return the rows of a statistic; filters as in docs/api.md, with `from_` for `from`."""
        return self.statistic(name, **filters).rows

    def statistic(self, name: str, **filters: object) -> StatisticRows:
        """Return the rows of a statistic and the range they are of; filters as in `stats`."""
        params = {key.rstrip("_"): value for key, value in filters.items()}
        response = self._get(f"/api/v1/stats/{_quoted('statistic', name)}", params, ARROW)
        from_ns, to_ns = map(int, response.headers["x-runwell-window"].split("/"))
        widened = response.headers.get("x-runwell-widened", "")
        return StatisticRows(_frame(_table(response)), from_ns, to_ns, widened)

    def runs(self, **filters: object) -> Page:
        """Return a page of runs; filters as in docs/api.md, with `from_` for `from`."""
        params = {key.rstrip("_"): value for key, value in filters.items()}
        response = self._get("/api/v1/runs", params, ARROW)
        return Page(_frame(_table(response)), int(response.headers["x-runwell-total"]))

    def run(
        self, run_id: str, run_key: str | None = None, *, before: str | None = None, after: str | None = None
    ) -> dict[str, Any]:
        """Return one run with attempts, phases, waits, logs, spans and children; ApiError when unknown.

        Of a long list the last part. *before*, *after*: a list, or a place in one that `earlier` or `later` of an
        answer names; then only that part of that list is answered.
        """
        asked: dict[str, object] = {"run_key": run_key, "before": before, "after": after}
        body: dict[str, Any] = self._get(f"/api/v1/runs/{_quoted('run', run_id)}", asked).json()
        return body

    def sql(self, text: str) -> Answer:
        """Return the rows of one SELECT."""
        response = self._send("POST", "/api/v1/sql", again=True, json={"sql": text}, headers={"accept": ARROW})
        return Answer(_table(response), response.headers.get("x-runwell-truncated", ""))

    def schema(self) -> list[dict[str, Any]]:
        """Return the tables that SQL sees, with what their rows and columns mean."""
        body: list[dict[str, Any]] = self._get("/api/v1/schema", {}).json()
        return body

    def findings(self, **filters: object) -> dict[str, Any]:
        """Return `findings` since a time, a `transform` that renames keys, and what is `not_observable`."""
        body: dict[str, Any] = self._get("/api/v1/findings", dict(filters)).json()
        return body

    def check(self, **asked: object) -> dict[str, Any]:
        """Return what was received since a time, how much of it rules looked at, and what they found there."""
        body: dict[str, Any] = self._get("/api/v1/check", dict(asked)).json()
        return body

    def rules(self) -> dict[str, Any]:
        """Return every rule, and the guideline's sentences with what telemetry can say of them."""
        body: dict[str, Any] = self._get("/api/v1/rules", {}).json()
        return body

    def reports(self, schedule: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """Return the newest reports: id, schedule, zone, period, as_of and counts of anomalies."""
        body: list[dict[str, Any]] = self._get("/api/v1/reports", {"schedule": schedule, "limit": limit}).json()
        return body

    def report(self, report_id: str) -> Report:
        """Return a report; ApiError when unknown."""
        from collector.model.report import Report

        body = self._get(f"/api/v1/reports/{_quoted('report', report_id)}", {}).json()
        for name in ("anomalies", "expected", "resolved"):
            for anomaly in body[name]:
                for more in ("vega_lite", "links"):  # made from what is there as well
                    anomaly.pop(more, None)
        return Report.model_validate_json(json.dumps(body))

    def report_text(self, report_id: str, form: str, dashboard: str | None = None) -> str:
        """Return a report as json, html or md, with links to *dashboard*; ApiError when unknown."""
        path = f"/api/v1/reports/{_quoted('report', report_id)}.{form}"
        return self._get(path, {"dashboard": dashboard}, "*/*").text

    def make_report(self, **asked: object) -> dict[str, Any]:
        """Make a report now; fields as in docs/api.md. Return `report`, `rendered`, `deliveries` and `saved`."""
        fields = {k: v for k, v in asked.items() if v is not None}
        body: dict[str, Any] = self._send("POST", "/api/v1/reports", json=fields).json()
        return body

    def next_reports(self, n: int = 3) -> list[dict[str, Any]]:
        """Return by schedule its next *n* firings, with the period each covers."""
        body: list[dict[str, Any]] = self._get("/api/v1/reports/next", {"n": n}).json()
        return body

    def deliveries(self, report_id: str | None = None) -> list[dict[str, Any]]:
        """Return where a report went, or the latest of all."""
        body: list[dict[str, Any]] = self._get("/api/v1/reports/deliveries", {"report": report_id}).json()
        return body

    def firings(self, schedule: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return the latest firings of *schedule*, or of all: made, skipped, failed or due."""
        params: dict[str, object] = {"schedule": schedule, "limit": limit}
        body: list[dict[str, Any]] = self._get("/api/v1/reports/firings", params).json()
        return body

    def feedback(self) -> list[dict[str, Any]]:
        """Return which anomalies were called expected."""
        body: list[dict[str, Any]] = self._get("/api/v1/reports/feedback", {}).json()
        return body

    def say_expected(self, key: str, *, expected: bool = True, note: str = "", until: str | None = None) -> None:
        """Call the anomaly *key* expected, for good or until a time; or take that back."""
        fields = {"key": key, "expected": expected, "note": note, **({"until": until} if until else {})}
        self._send("POST", "/api/v1/reports/feedback", again=True, json=fields)

    def status(self) -> dict[str, Any]:
        """Return how fresh and how full the store is."""
        body: dict[str, Any] = self._get("/api/v1/status", {}).json()
        return body

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def _get(self, path: str, params: dict[str, object], accept: str = _JSON) -> httpx.Response:
        texts = {k: _unicode(k, _text(v)) for k, v in params.items() if v is not None}
        return self._send("GET", path, again=True, params=texts, headers={"accept": accept})

    def _connections(self) -> httpx.Client:
        return self._access.connections(self.url, self._timeout_s)

    def _answer(self, method: str, path: str, again: bool, rest: dict[str, Any]) -> httpx.Response:
        """Ask; the store closes connections nobody has asked on for a while, perhaps just as this one is taken up."""
        try:
            return self._http.request(method, path, **rest)
        except (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError):
            if not again:
                raise
        with self._connections() as new:
            return new.request(method, path, **rest)

    def _send(self, method: str, path: str, *, again: bool = False, **rest: Any) -> httpx.Response:
        """Return the answer. *again*: to ask twice does no more than to ask once."""
        for name, value in rest.get("json", {}).items():
            _unicode(name, _text(value))
        try:
            response = self._answer(method, path, again, rest)
        except httpx.TimeoutException:
            raise ApiError(f"the runwell store at {self._told} did not answer in time") from None
        except httpx.TransportError as e:
            if why := not_trusted(e):
                raise ApiError(
                    f"the certificate of {self._told} is not trusted ({why}); name its authority with --ca FILE"
                ) from None
            raise ApiError(f"no runwell answers at {self._told}; start it with runwell up or runwell serve") from None
        except httpx.InvalidURL as e:
            raise ApiError(f"this cannot be asked of {self._told}{_why(e, self.url)}") from None
        if response.is_error:
            try:
                message, ours = str(response.json()["error"]), True
            except (ValueError, KeyError, TypeError):
                message, ours = f"the store answered {response.status_code}", False
            if response.status_code in _KEYS:
                refused = f"{self._told} did not let this in ({response.status_code})"
                raise KeyRefused(f"{refused}: {message}; {_KEYS[response.status_code]}")
            raise ApiError(message, unknown=ours and response.status_code == 404)
        if not response.is_success or not _as_asked(response, rest):
            raise Stranger(f"what answers at {self._told} is no read API of a runwell; name another --url")
        return response


def _as_asked(response: httpx.Response, rest: dict[str, Any]) -> bool:
    """Tell whether an answer has the form that was asked for."""
    wanted = rest.get("headers", {}).get("accept", _JSON)
    return wanted == "*/*" or str(response.headers.get("content-type", "")).startswith(wanted)


def _http(url: str) -> str:
    """Return *url* if it is the address of an HTTP server; raise ApiError that says what is wrong with it."""
    try:
        parsed = httpx.URL(url)
        parsed.host.encode("idna")
        port = 80 if parsed.port is None else parsed.port
        wrong = "" if parsed.scheme in ("http", "https") and parsed.host else "it names no HTTP server"
        wrong = wrong or ("" if 0 < port < 65_536 else f"there is no port {port}")
    except (httpx.InvalidURL, ValueError) as e:
        wrong = _why(e, url).removeprefix(": ") or "it is no URL"
    if wrong:
        raise ApiError(f"{visible(without_credentials(url))}: expected a URL such as http://127.0.0.1:4319 ({wrong})")
    return url


def _why(error: Exception, url: str) -> str:
    """Return what *error* says of *url*, behind a colon; nothing where it could quote credentials."""
    return f": {visible(str(error))}" if without_credentials(url) == url else ""


def _quoted(name: str, text: str) -> str:
    from urllib.parse import quote

    return quote(_unicode(name, text), safe="")


def _unicode(name: str, text: str) -> str:
    """Return *text*, which is what *name* is to be; raise ApiError where it cannot be sent, as half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ApiError(f"{name}: {text!a} is no valid text") from None
    return text


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value)


def _table(response: httpx.Response) -> pa.Table:
    with pa.ipc.open_stream(io.BytesIO(response.content)) as stream:
        return stream.read_all()


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
