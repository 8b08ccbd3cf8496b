"""`runwell replay`: recorded requests to a collector, as they were or moved to end now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from collector.cli import exits
from collector.cli.access import ANYBODY, AccessOptions
from collector.cli.options import DEFAULT, CommonOptions
from collector.cli.progress import progress
from collector.model.address import http_url, without_credentials
from collector.model.errors import UsageError
from collector.model.shown import counted, visible

if TYPE_CHECKING:
    from collector.cli.recordings import Recorded
    from collector.cli.sources import Sources
    from collector.client import Access

_AT_ONCE = 4
_PATIENCE_S = 10.0
"""How long it is tried again where nobody answers."""
_BUSY_S = 60.0
"""How long, where the answer is to come back later."""
_NOT_OTLP = "the answer is not OTLP's"
_ELSEWHERE = "give --endpoint the address of a port for OTLP/HTTP, such as http://127.0.0.1:4318"


def replay(
    *files: Annotated[str, Parameter(allow_leading_hyphen=True)],
    endpoint: Annotated[str | None, Parameter(help="OTLP/HTTP endpoint [default: the one on --data].")] = None,
    shift_to_now: Annotated[bool, Parameter(help="Move all times so that the last is now.")] = False,
    common: CommonOptions = DEFAULT,
    to: AccessOptions = ANYBODY,
) -> int:
    """Send recorded telemetry to a collector.

    Parameters
    ----------
    files
        OTLP/JSON as lines, documents or arrays, OTLP in protobuf, or recorded requests; plain, gzip, zlib or zstd.
        Stdin is `-`.
    """
    from collector.cli import recordings
    from collector.cli.sources import Sources

    if not files:
        raise UsageError("FILE: give at least one recording, or - for stdin.")
    for name in files:
        if name.startswith("-") and name != "-":
            raise UsageError(f"{name}: no such option of replay; `runwell replay --help` lists what there is.")
        recordings.readable(name)
    settings = common.settings()
    where = endpoint or _endpoint(settings.data) or http_url(settings.host, settings.http_port)
    access = to.access()
    with Sources(files, twice=shift_to_now) as sources, progress(sources.size) as bar:
        if shift_to_now:
            by_ns = _until_now(map(recordings.newest_ns, sources.requests()))
            result = send(sources.requests(bar, by_ns), where, sources, bar.sent, access)
        else:
            result = send(sources.requests(bar), where, sources, bar.sent, access)
    code = sources.exit_code(lost=bool(result.refused or result.rejected_records))
    if result.sent or result.refused or code != exits.NOTHING:
        print(result.sentence())  # noqa: T201
    return code


def to_now(requests: list[Recorded]) -> list[Recorded]:
    """Return *requests* with all times moved by one constant, so that the latest is now."""
    from collector.cli import recordings

    by_ns = _until_now(map(recordings.newest_ns, requests))
    return [recordings.shift(r, by_ns) for r in requests] if by_ns else requests


def _until_now(times_ns: Iterable[int]) -> int:
    """Return by how much to move times so that the latest is now, 0 if there are none."""
    import time

    newest = max(times_ns, default=0)
    return time.time_ns() - newest if newest else 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a collector said to one request."""

    refusal: str = ""
    """Why it was refused; empty if it was not."""
    rejected: int = 0
    """Records of it that were rejected."""
    message: str = ""
    """What else was said of it."""


@dataclass(slots=True)
class Result:
    """What a collector said to a replay."""

    sent: int = 0
    refused: int = 0
    rejected_records: int = 0
    last_refusal: str = ""

    def count(self, answer: Answer) -> None:
        """Count *answer*."""
        self.rejected_records += answer.rejected
        if answer.refusal:
            self.refused += 1
            self.last_refusal = answer.refusal
        else:
            self.sent += 1

    def sentence(self) -> str:
        """Return a summary line."""
        within = "it" if self.sent == 1 else "them"
        text = (
            f"{counted(self.sent, 'request')} accepted, {counted(self.rejected_records, 'record')} in {within} rejected"
        )
        return text + (f", {counted(self.refused, 'request')} refused ({self.last_refusal})" if self.refused else "")


def send(
    requests: Iterable[Recorded],
    endpoint: str,
    sources: Sources | None = None,
    sent: Callable[[], None] = lambda: None,
    access: Access | None = None,
) -> Result:
    """Post *requests* in order, a few at a time; wait when the collector asks to.

    *sources* hears where a request stands and what was said of it; *sent* that one was answered.
    """
    import threading

    result = Result()
    waiting = iter(requests)
    lock = threading.Lock()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            with _Sender(endpoint, access) as sender:
                while not failure:
                    with lock:
                        request = next(waiting, None)
                    if request is None:
                        return
                    answer = sender.post(request)
                    with lock:
                        result.count(answer)
                        if sources and answer.refusal:
                            sources.refused(request.place, answer.refusal)
                        elif sources:
                            sources.answered(request.place, answer.message, rejected=answer.rejected)
                        sent()
        except BaseException as e:
            failure.append(e)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failure:
        raise failure[0]
    return result


class _Sender:
    def __init__(self, endpoint: str, access: Access | None) -> None:
        from collector.client import Access

        self._http = (access or Access()).connections(endpoint.rstrip("/"), 30)
        self._endpoint = visible(without_credentials(endpoint))

    def __enter__(self) -> _Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post(self, request: Recorded) -> Answer:
        """Return what is said to *request*."""
        import json
        import time

        import httpx
        from google.protobuf.message import DecodeError

        from collector.client import not_trusted
        from collector.otlp.answers import CONTENT_TYPES

        began = time.monotonic()
        while True:
            try:
                answer = self._http.post(
                    request.signal.path,
                    content=request.body,
                    headers={"content-type": CONTENT_TYPES[request.encoding]},
                )
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                raise UsageError(
                    f"--endpoint {self._endpoint}: expected a URL such as http://127.0.0.1:4318."
                ) from None
            except httpx.TransportError as e:
                if why := not_trusted(e):
                    raise UsageError(
                        f"--endpoint {self._endpoint}: its certificate is not trusted ({why}); "
                        "name its authority with --ca FILE."
                    ) from None
                if time.monotonic() > began + _PATIENCE_S:
                    raise UsageError(f"--endpoint {self._endpoint}: {_silent(e)}.") from None
                time.sleep(0.5)
                continue
            if answer.status_code in (429, 502, 503, 504) and time.monotonic() < began + _BUSY_S:
                stated = answer.headers.get("retry-after", "1")
                time.sleep(min(5.0, float(stated) if stated.isdigit() else 1.0))
                continue
            break
        if answer.is_error:
            reason = _reason(answer.content, request.encoding) or f"{_NOT_OTLP}; {_ELSEWHERE}"
            more = "; set RUNWELL_KEY to a key that may send" if answer.status_code in (401, 403) else ""
            return Answer(f"{answer.status_code}: {reason}{more}")
        try:
            if request.encoding == "json":
                partial = json.loads(answer.content or b"{}").get("partialSuccess") or {}
                rejected = sum(int(n) for key, n in partial.items() if key.startswith("rejected"))
                return Answer("", rejected, str(partial.get("errorMessage") or ""))
            response = request.signal.response()
            response.ParseFromString(answer.content)
            said = response.partial_success
            return Answer("", int(getattr(said, request.signal.rejected_field)), said.error_message)
        except (ValueError, TypeError, AttributeError, DecodeError):
            return Answer(f"{answer.status_code}, but {_NOT_OTLP}")


def _silent(error: Exception) -> str:
    """Return why there is no answer, and what to do."""
    import httpx

    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error):
        return f"what answers there is no HTTP/1.1, as on a port for gRPC; {_ELSEWHERE}"
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return "nothing answers there; start `runwell serve` or name another endpoint"
    return f"what listens there gives no answer; {_ELSEWHERE}"


def _reason(body: bytes, encoding: str) -> str:
    import json

    from google.rpc import status_pb2

    try:
        if encoding == "json":
            return str(json.loads(body).get("message", ""))
        status = status_pb2.Status()
        status.ParseFromString(body)
        return str(status.message)
    except Exception:  # whatever answered is not an OTLP server
        return ""


def _endpoint(data: Path) -> str | None:
    import json

    try:
        where = json.loads((data / "runwell.json").read_text("utf-8"))["http"]
        return http_url(where["host"], where["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
