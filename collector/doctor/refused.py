"""Refused requests: which kinds there were, whether they go on, and what helps; the one table of remedies."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from collector.control.refusals import AGAIN, SLOT_NS, UNKEPT, Reason, Refusal, Traffic
from collector.control.senders import Sender
from collector.doctor.found import LATELY_NS, Check, State, moment
from collector.model.signals import BY_PATH
from collector.model.units import HOUR_NS
from collector.otlp.compression import ACCEPTED

MANY = 0.01
"""Share of the last hour's requests above which refusals are a problem, whoever sent them."""
MANY_VISITS = 10
"""Those that only look have nothing to lose: as many in an hour are a problem, when they are above the share too."""
QUIET_NS = 900 * 10**9
"""After this long without a refusal it is over, where it cannot be told otherwise."""
_NAMED = 40
"""Kinds that are told one by one."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a reason means and what helps. *code*, *grpc_code*: as the sender sees it; {http} and {grpc} are the
    addresses, {signal} the one that was meant, {path} its path.
    """

    code: str
    grpc_code: str
    means: str
    helps: str


REMEDIES: dict[Reason, Remedy] = {
    "no_such_path": Remedy(
        "404",
        "",
        "not a path of OTLP",
        "set the endpoint to {http} and let the exporter add {path}; a setting that is for one signal takes "
        "{http}{path} whole",
    ),
    "wrong_method": Remedy(
        "405",
        "",
        "not a POST",
        "give the exporter {http} itself: a redirect on its way makes a GET of a POST",
    ),
    "preflight": Remedy(
        "403 or 405",
        "",
        "a browser's page that may not send",
        "add the page's origin to cors.origins",
    ),
    "bad_input": Remedy(
        "400",
        "",
        "not OTLP, cut off, in another encoding than its Content-Type says, or of another signal than its path",
        "read the exporter's own log, where the answer names what is wrong; use an official exporter with "
        "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, and send {signal} alone to {http}{path}",
    ),
    "other_signal": Remedy(
        "400",
        "",
        "a body of another signal than its path",
        "set the endpoint to {http} and let the exporter add the path; a setting that is for one signal takes its own: "
        "{http}/v1/logs for logs, {http}/v1/traces for spans, {http}/v1/metrics for metrics",
    ),
    "not_http": Remedy(
        "400",
        "",
        "not HTTP/1.1, or a request that can be read in two ways",
        "find what connects to {http} and point it elsewhere, or use an OTLP/HTTP exporter",
    ),
    "wrong_host": Remedy(
        "421",
        "",
        "for a host that runwell is not known by",
        'name it in runwell.toml, as in hosts = ["runwell.example.com"]: what the exporter\'s endpoint has, or what a '
        "proxy in between passes on",
    ),
    "http2": Remedy(
        "400",
        "",
        "HTTP/2, as a gRPC exporter speaks, on the port for OTLP/HTTP",
        "set the exporter's endpoint to {grpc}, or its protocol to http/protobuf",
    ),
    "tls": Remedy(
        "400",
        "",
        "TLS on a port that speaks plain HTTP",
        "write http:// instead of https:// in the endpoint: {http}",
    ),
    "unsupported_type": Remedy(
        "415",
        "",
        "a Content-Type that is not OTLP's",
        "send application/x-protobuf or application/json: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf or http/json",
    ),
    "unsupported_encoding": Remedy(
        "415",
        "UNIMPLEMENTED",
        "a compression that is not read",
        f"set OTEL_EXPORTER_OTLP_COMPRESSION=gzip; {ACCEPTED} and none are read",
    ),
    "too_large": Remedy(
        "413",
        "RESOURCE_EXHAUSTED",
        "a body above limits.body",
        "send smaller batches (OTEL_BSP_MAX_EXPORT_BATCH_SIZE, OTEL_BLRP_MAX_EXPORT_BATCH_SIZE), or raise limits.body",
    ),
    "head_too_large": Remedy(
        "431",
        "",
        "headers above limits.header_size or limits.headers",
        "send fewer or shorter headers (OTEL_EXPORTER_OTLP_HEADERS), or raise limits.header_size",
    ),
    "too_slow": Remedy(
        "408",
        "INVALID_ARGUMENT",
        "a body that came too slowly",
        "send smaller or compressed batches, or raise limits.body_time",
    ),
    "no_key": Remedy(
        "401",
        "UNAUTHENTICATED",
        "no key, or one that is unknown, expired or revoked",
        "make one with runwell keys create --scope ingest, and set the lines it prints where the exporter is set",
    ),
    "wrong_scope": Remedy(
        "403",
        "PERMISSION_DENIED",
        "a key of another scope, such as one that reads",
        "make one with runwell keys create --scope ingest for what sends",
    ),
    "no_such_grpc_method": Remedy(
        "",
        "UNIMPLEMENTED",
        "a gRPC method that is not OTLP's",
        "use the exporter called otlp, not that of another protocol (Arrow, Jaeger, OpenCensus), at {grpc}",
    ),
    "unavailable": Remedy(
        "503",
        "UNAVAILABLE",
        "receive could not take it then",
        "see what is said here of receive, disk and journal; limits.in_flight and limits.connections bound what is "
        "taken at once",
    ),
    "defect": Remedy(
        "500",
        "INTERNAL",
        "a defect of runwell",
        "report it with receive's log and the versions above",
    ),
    "nothing_read": Remedy(
        "200",
        "OK",
        "there is something where records would be, and it is not OTLP's: nothing of it was read",
        "read the exporter's own log, where the partial success of the answer says what was ignored; use an official "
        "exporter, or the names and places of fields that OTLP has",
    ),
    "all_rejected": Remedy(
        "200",
        "OK",
        "every record was rejected, as with span ids that are none",
        "read the exporter's own log, where the partial success of the answer says why; give each span a trace id of "
        "16 bytes and a span id of 8, in OTLP/JSON as hex",
    ),
    "not_stored": Remedy(
        "200",
        "OK",
        "profiles are read and not kept",
        "leave profiles out of what the exporter sends here; logs, traces and metrics are kept",
    ),
}
GRPC: dict[Reason, Remedy] = {
    "bad_input": Remedy(
        "",
        "INVALID_ARGUMENT",
        "a message that is not OTLP's, or is cut off",
        "read the exporter's own log, where the answer names what is wrong; use an official exporter of OTLP/gRPC, "
        "with its endpoint set to {grpc}",
    ),
    "other_signal": Remedy(
        "",
        "INVALID_ARGUMENT",
        "a message of another signal than its service",
        "call the service of each signal, as official exporters do at {grpc}: LogsService for logs, TraceService for "
        "spans, MetricsService for metrics",
    ),
}
"""What is said of a reason over gRPC, where that differs."""
OVER_HTTP1 = Remedy(
    "404",
    "",
    "a gRPC method over HTTP/1.1, as gRPC-Web or a proxy sends it",
    "set the exporter's endpoint to {grpc}, or its protocol to http/protobuf and its endpoint to {http}",
)
AT_API = Remedy(
    "404 or 400",
    "",
    "this is the port of the read API, which takes no telemetry",
    "point it at {http}, or over gRPC at {grpc}",
)
_WHERE = {"otlp": "", "like_otlp": " on a path like OTLP's", "grpc": "", "other": " on another path", "none": ""}


def refused(
    refusals: list[Refusal], traffic: list[Traffic], now_ns: int, http: str = "", grpc: str = ""
) -> list[Check]:
    """Return a check for each kind of request that was refused in the last 24 hours; *http*, *grpc*: the addresses."""
    lately = [r for r in refusals if r.last_ns >= now_ns - LATELY_NS]
    hour = _sum([t for t in traffic if t.slot_ns > now_ns - HOUR_NS - SLOT_NS])
    if not lately:
        return [Check("refused", "ok", "no request was refused in the last 24 hours", {"answered": hour.answered})]
    states = [(r, _state(r, hour, now_ns)) for r in lately]
    states.sort(key=lambda found: found[1] != "problem")  # the latest first, problems before notes
    checks = [_told(r, state, hour, http, grpc) for r, state in states[:_NAMED]]
    if rest := states[_NAMED:]:
        worst: State = "problem" if any(state == "problem" for _, state in rest) else "note"
        told = f"{sum(r.count for r, _ in rest)} requests of {len(rest)} further kinds were refused; --format json"
        checks.append(Check("refused", worst, told, {"kinds": [asdict(r) for r, _ in rest]}))
    return checks


def strays(rows: list[dict[str, Any]], senders: list[Sender]) -> list[Refusal]:
    """Return what came to the read API, as status tells it, and whether its sender was taken since."""
    names = [f.name for f in fields(Refusal)]
    found = [Refusal(**{name: row[name] for name in names}) for row in rows]
    for r in found:
        anybody = r.agent == "none" and r.where == "none"
        same = [
            s
            for s in senders
            if anybody or ((s.agent, s.agent_version) == (r.agent, r.agent_version) and r.signal in ("", s.signal))
        ]
        r.taken_ns = max((s.last_ns for s in same if s.last_ns > r.last_ns), default=0)
        r.mixed = int(any(s.first_ns < r.last_ns for s in same))
    return found


def _sum(slots: list[Traffic]) -> Traffic:
    return Traffic(
        0,
        sum(t.answered for t in slots),
        sum(t.exporter for t in slots),
        sum(t.sender for t in slots),
        sum(t.visitor for t in slots),
    )


def _state(r: Refusal, hour: Traffic, now_ns: int) -> State:
    if over(r, now_ns):
        return "note"
    if r.reason == "not_stored":  # its sender is told, and goes on with what is kept
        return "note"
    if r.look == "exporter":
        return "problem"
    others = hour.sender + hour.visitor
    many = r.last_ns > now_ns - HOUR_NS and others > MANY * hour.answered
    return "problem" if many and (r.look == "sender" or hour.visitor >= MANY_VISITS) else "note"


def over(r: Refusal, now_ns: int) -> bool:
    """Tell whether it has ended: the same sender was taken since.

    Where nothing is known of the sender, or its requests were taken between refusals too, being taken proves little;
    a while without a refusal has to pass as well. One that may be sent again is over in an hour.
    """
    quiet_ns = now_ns - r.last_ns
    if r.reason in AGAIN:
        return bool(r.taken_ns) or quiet_ns > HOUR_NS
    unsure = r.mixed or r.where == "none"
    return bool(r.taken_ns) and (not unsure or quiet_ns > QUIET_NS)


def remedy_of(reason: Reason, transport: str) -> Remedy:
    """Return what is said of *reason*, in the words of *transport*."""
    return GRPC.get(reason, REMEDIES[reason]) if transport == "grpc" else REMEDIES[reason]


def path_of(signal: str) -> str:
    """Return the path of *signal*."""
    return next(path for path, found in BY_PATH.items() if found.name == signal)


def _told(r: Refusal, state: State, hour: Traffic, http: str, grpc: str) -> Check:
    over_http1 = (r.reason, r.where) == ("no_such_path", "grpc")
    remedy = AT_API if r.transport == "api" else OVER_HTTP1 if over_http1 else remedy_of(r.reason, r.transport)
    who = "-".join(filter(None, (r.agent, r.agent_version))) if r.agent not in ("none", "other") else _WHO[r.look]
    code = remedy.grpc_code if r.transport == "grpc" else REMEDIES[r.reason].code
    times = "once" if r.count == 1 else f"{r.count} times"
    signal = f", {r.signal}" if r.signal else ""
    span = f"last at {moment(r.last_ns)}" if r.count == 1 else f"from {moment(r.first_ns)} to {moment(r.last_ns)}"
    came = "at the read API" if r.transport == "api" else f"over {r.transport}"
    unkept = r.reason in UNKEPT
    was = f"was answered {times} with nothing kept" if unkept else f"was refused {times}"
    told = f"{who} {came} {was} ({code}{signal}{_WHERE[r.where]}), {span}: {remedy.means}"
    if r.look != "visitor":
        again = "a client that sends again loses nothing" if r.reason in AGAIN else "what it had to send is lost"
        told = f"{told}; {again}"
    if r.mixed and state == "problem":
        told = f"{told}; others of the same kind are taken, so it is one of several programs or some of what one sends"
    if state == "problem" or not r.taken_ns:
        signal_name = r.signal or "logs"
        helps = remedy.helps.format(http=http, grpc=grpc, signal=signal_name, path=path_of(signal_name))
        if r.look != "visitor" or state == "problem":
            told = f"{told}. To do: {helps}"
    if state == "note" and r.taken_ns and r.look != "visitor":
        told = f"{told}; it is over: taken since {moment(r.taken_ns)}"
    facts = {**asdict(r), "hour": {k: v for k, v in asdict(hour).items() if k != "slot_ns"}}
    return Check("refused", state, told, facts)


_WHO = {"exporter": "what looks like an exporter", "sender": "something that sends", "visitor": "something that looks"}
