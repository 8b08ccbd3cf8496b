"""What pages ask the API, and for how long its answers are kept."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
import streamlit as st

from dashboard import data


class Counting(http.server.BaseHTTPRequestHandler):
    """Answers every question with its address and how often anything was asked of this server."""

    def do_GET(self) -> None:
        """Answer."""
        self.server.asked = asked = getattr(self.server, "asked", 0) + 1  # type: ignore[attr-defined]
        body = json.dumps([self.server.server_address[1], self.path, asked]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def urls() -> Iterator[list[str]]:
    """Serve two APIs."""
    st.cache_data.clear()
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [f"http://127.0.0.1:{server.server_address[1]}" for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()
    st.cache_data.clear()


def test_an_answer_is_kept_by_store_question_and_what_is_asked(
    urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same question to the same store is asked once, in whatever order its filters are; any other is its own."""
    questions = (
        data.rules,
        data.reports,
        data.next_reports,
        lambda: data.run("a", None),
        lambda: data.run("a", "key"),
        lambda: data.findings(task="a", code="b"),
        lambda: data.findings(task="b", code="a"),
    )
    told = {}
    for url in urls:
        monkeypatch.setenv("RUNWELL_API", url)
        for number, question in enumerate(questions, 1):
            port, path, asked = told[url, number] = question()
            assert (url.endswith(f":{port}"), asked) == (True, number)
            assert question() == [port, path, asked]
        assert data.findings(code="b", task="a") == told[url, 6]
    assert len({path for _, path, _ in told.values()}) == len(questions)
    st.cache_data.clear()
    assert data.rules()[2] == len(questions) + 1
