"""Recorded files as tests write them, and a collector that takes what is sent from them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from collector.cli import recordings
from collector.cli.recordings import Recorded, Trouble
from collector.decode import Batch
from collector.model.errors import BadInput
from collector.model.signals import BY_PATH, Signal
from collector.otlp import answers
from collector.settings import Limits


@dataclass
class Taken:
    """What a stub of a collector was sent."""

    url: str = ""
    requests: list[tuple[Signal, bytes]] = field(default_factory=list)


@contextmanager
def collector() -> Iterator[Taken]:
    """Run a stub that decodes requests as the collector does and answers them."""
    taken = Taken()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            signal, encoding = BY_PATH[self.path], answers.encoding_of(self.headers["content-type"])
            assert encoding is not None
            try:
                accepted = Batch(Limits()).add(signal, encoding, body, project="p", received_ns=1795600000000000000)
                code, answer = (
                    200,
                    answers.success(signal, encoding, rejected=accepted.rejected, message=accepted.message),
                )
                taken.requests.append((signal, body))
            except BadInput as e:
                code, answer = 400, answers.encode_status(answers.status(3, e.message), encoding)
            self.send_response(code)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    taken.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield taken
    finally:
        server.shutdown()
        server.server_close()


def resource(text: str) -> dict[str, Any]:
    """Return a ResourceLogs with one record, whose text is *text*."""
    record = {"timeUnixNano": "1795600000000000000", "severityNumber": 9, "body": {"stringValue": text}}
    return {"resource": {"attributes": []}, "scopeLogs": [{"scope": {"name": "w"}, "logRecords": [record]}]}


def request(text: str) -> dict[str, Any]:
    """Return a request of one record, whose text is *text*."""
    return {"resourceLogs": [resource(text)]}


def read(path: Path, content: bytes) -> tuple[list[Recorded], list[Trouble]]:
    """Return what a file of *content* is read as, and what is told of it."""
    path.write_bytes(content)
    told: list[Trouble] = []
    return list(recordings.read(str(path), told.append)), told


def texts(requests: list[Recorded]) -> list[str]:
    """Return the texts of the records of *requests*."""
    found = []
    for r in requests:
        if r.encoding == "json":
            tree = json.loads(r.body)
            found += [
                record["body"]["stringValue"]
                for resource in tree["resourceLogs"]
                for scope in resource["scopeLogs"]
                for record in scope["logRecords"]
            ]
        else:
            message = r.signal.request.FromString(r.body)
            found += [
                record.body.string_value
                for resource in message.resource_logs
                for scope in resource.scope_logs
                for record in scope.log_records
            ]
    return found
