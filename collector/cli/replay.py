"""`runwell replay`: recorded requests to a collector, as they were or moved to end now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from collector.cli.options import DEFAULT, CommonOptions
from collector.model.address import http_url
from collector.model.errors import UsageError

if TYPE_CHECKING:
    from collector.cli.recordings import Recorded

_AT_ONCE = 4


def replay(
    *files: Annotated[str, Parameter(allow_leading_hyphen=True)],
    endpoint: Annotated[str | None, Parameter(help="OTLP/HTTP endpoint [default: the one on --data].")] = None,
    shift_to_now: Annotated[bool, Parameter(help="Move all times so that the last is now.")] = False,
    common: CommonOptions = DEFAULT,
) -> int:
    """Send recorded telemetry to a collector.

    Parameters
    ----------
    files
        Recorded requests (.jsonl, .gz, .zst), OTLP/JSON lines as the OpenTelemetry Collector's file exporter
        writes them, or - for stdin.
    """
    from collector.cli import recordings

    if not files:
        raise UsageError("FILE: give at least one recording, or - for stdin.")
    for name in files:
        if name.startswith("-") and name != "-":
            raise UsageError(f"{name}: no such option of replay; `runwell replay --help` lists what there is.")
    settings = common.settings()
    requests = [request for path in files for request in recordings.read(path)]
    if not requests:
        raise UsageError(f"{', '.join(files)}: no requests in it; give a recording.")
    result = send(
        to_now(requests) if shift_to_now else requests,
        endpoint or _endpoint(settings.data) or http_url(settings.host, settings.http_port),
    )
    print(result.sentence())  # noqa: T201
    return 1 if result.refused else 0


def to_now(requests: list[Recorded]) -> list[Recorded]:
    """Return *requests* with all times moved by one constant, so that the latest is now."""
    import time

    from collector.cli import recordings

    newest = max(map(recordings.newest_ns, requests), default=0)
    by_ns = time.time_ns() - newest
    return [recordings.shift(r, by_ns) for r in requests] if newest else requests


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


def send(requests: list[Recorded], endpoint: str) -> Result:
    """Post *requests* in order, a few at a time, with a progress bar; wait when the collector asks to."""
    import threading
    from collections.abc import Iterator

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    result = Result()
    waiting: Iterator[Recorded] = iter(requests)
    lock = threading.Lock()
    failure: list[BaseException] = []

    console = Console(stderr=True)
    with Progress(
        TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TextColumn("requests"), console=console
    ) as progress:
        bar = progress.add_task("replay", total=len(requests))

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
                            else:
                                result.sent += 1
                        progress.advance(bar)
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

        from collector.otlp.answers import CONTENT_TYPES

        deadline = time.monotonic() + 60
        while True:
            try:
                answer = self._http.post(
                    request.signal.path,
                    content=request.body,
                    headers={"content-type": CONTENT_TYPES[request.encoding]},
                )
            except httpx.TransportError:
                if time.monotonic() > deadline - 50:
                    raise UsageError(
                        f"--endpoint {self._endpoint}: nothing answers there; "
                        "start `runwell serve` or name another endpoint."
                    ) from None
                time.sleep(0.5)
                continue
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                raise UsageError(
                    f"--endpoint {self._endpoint}: expected a URL such as http://127.0.0.1:4318."
                ) from None
            if answer.status_code in (429, 502, 503, 504) and time.monotonic() < deadline:
                stated = answer.headers.get("retry-after", "1")
                time.sleep(min(5.0, float(stated) if stated.isdigit() else 1.0))
                continue
            break
        if answer.is_error:
            return f"{answer.status_code}: {_reason(answer.content, request.encoding)}", 0
        if request.encoding == "json":
            partial = json.loads(answer.content or b"{}").get("partialSuccess", {})
            return "", sum(int(n) for key, n in partial.items() if key.startswith("rejected"))
        response = request.signal.response()
        response.ParseFromString(answer.content)
        return "", int(getattr(response.partial_success, request.signal.rejected_field))


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
        return "the answer is not OTLP's"


def _endpoint(data: Path) -> str | None:
    import json

    try:
        where = json.loads((data / "runwell.json").read_text("utf-8"))["http"]
        return http_url(where["host"], where["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
