"""`runwell replay`: recorded requests to a collector, as they were or moved to end now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from collector.cli.options import DEFAULT, CommonOptions
from collector.cli.progress import progress
from collector.model.address import http_url
from collector.model.errors import UsageError

if TYPE_CHECKING:
    from collector.cli.recordings import Recorded

_AT_ONCE = 4
_NOT_OTLP = "the answer is not OTLP's"


def replay(
    *files: Annotated[str, Parameter(allow_leading_hyphen=True)],
    endpoint: Annotated[str | None, Parameter(help="OTLP/HTTP endpoint [default: the one on --data].")] = None,
    shift_to_now: Annotated[bool, Parameter(help="Move all times so that the last is now.")] = False,
    common: CommonOptions = DEFAULT,
) -> int:
    """Send recorded telemetry to a collector.

    Exit code 0: all of it was sent and taken. 1: something was left out or refused, which is named. 2: the command line
    is wrong, or a file cannot be used at all.

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
    with Sources(files, twice=shift_to_now) as sources, progress(sources.size) as bar:
        if shift_to_now:
            by_ns = _until_now(map(recordings.newest_ns, sources.requests()))
            result = send(sources.requests(bar, by_ns), where, sources.refused, bar.sent)
        else:
            result = send(sources.requests(bar), where, sources.refused, bar.sent)
    code = sources.exit_code(lost=bool(result.refused or result.rejected_records))
    if result.sent or result.refused or code != 2:
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


@dataclass(slots=True)
class Result:
    """What a collector said to a replay."""

    sent: int = 0
    refused: int = 0
    rejected_records: int = 0
    last_refusal: str = ""

    def sentence(self) -> str:
        """Return a summary line."""
        text = f"{self.sent} requests accepted, {self.rejected_records} records in them rejected"
        return text + (f", {self.refused} requests refused ({self.last_refusal})" if self.refused else "")


def send(
    requests: Iterable[Recorded],
    endpoint: str,
    refused: Callable[[str, str], None] = lambda place, why: None,
    sent: Callable[[], None] = lambda: None,
) -> Result:
    """Post *requests* in order, a few at a time; wait when the collector asks to.

    *refused* hears where a request stands and why it was refused, or records of it; *sent* that one was answered.
    """
    import threading

    result = Result()
    waiting = iter(requests)
    lock = threading.Lock()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            with _Sender(endpoint) as sender:
                while not failure:
                    with lock:
                        request = next(waiting, None)
                    if request is None:
                        return
                    refusal, rejected = sender.post(request)
                    with lock:
                        result.rejected_records += rejected
                        if refusal:
                            result.refused += 1
                            result.last_refusal = refusal
                            refused(request.place, refusal)
                        else:
                            result.sent += 1
                            if rejected:
                                refused(request.place, f"{rejected} records rejected")
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
    def __init__(self, endpoint: str) -> None:
        import httpx

        self._http = httpx.Client(base_url=endpoint.rstrip("/"), timeout=30, trust_env=False)
        self._endpoint = endpoint

    def __enter__(self) -> _Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post(self, request: Recorded) -> tuple[str, int]:
        """Return (why it was refused, empty if not; records rejected)."""
        import json
        import time

        import httpx
        from google.protobuf.message import DecodeError

        from collector.otlp.answers import CONTENT_TYPES

        deadline = time.monotonic() + 60
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
            except httpx.TransportError:
                if time.monotonic() > deadline - 50:
                    raise UsageError(
                        f"--endpoint {self._endpoint}: nothing answers there; "
                        "start `runwell serve` or name another endpoint."
                    ) from None
                time.sleep(0.5)
                continue
            if answer.status_code in (429, 502, 503, 504) and time.monotonic() < deadline:
                stated = answer.headers.get("retry-after", "1")
                time.sleep(min(5.0, float(stated) if stated.isdigit() else 1.0))
                continue
            break
        if answer.is_error:
            return f"{answer.status_code}: {_reason(answer.content, request.encoding)}", 0
        try:
            if request.encoding == "json":
                partial = json.loads(answer.content or b"{}").get("partialSuccess", {})
                return "", sum(int(n) for key, n in partial.items() if key.startswith("rejected"))
            response = request.signal.response()
            response.ParseFromString(answer.content)
            return "", int(getattr(response.partial_success, request.signal.rejected_field))
        except (ValueError, TypeError, AttributeError, DecodeError):
            return f"{answer.status_code}, but {_NOT_OTLP}", 0


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
        return _NOT_OTLP


def _endpoint(data: Path) -> str | None:
    import json

    try:
        where = json.loads((data / "runwell.json").read_text("utf-8"))["http"]
        return http_url(where["host"], where["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
