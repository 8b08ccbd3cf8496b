"""What does not fit into memory is refused, alone."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from collector.api import form, routes
from collector.settings import Settings, Store
from collector.store.database import Database
from collector.store.handle import Handle

_SMALL = 32 * 2**20


def test_a_question_that_does_not_fit_into_memory_is_told_so_and_the_store_goes_on(tmp_path: Path) -> None:
    """What DuckDB has no memory for, limited in time or not, gets 503, when to come back and what to do; the next
    question is answered, and rows are written.
    """
    database = Database.open(tmp_path, Store(), memory=_SMALL)

    def large(h: Handle) -> int:
        return int(h.value("SELECT len(list(i::VARCHAR || 'of some length')) FROM range(10_000_000) t(i)"))

    async def plain(request: Request) -> Response:
        return form.answer(database.reading(large))

    async def limited(request: Request) -> Response:
        return form.answer(database.limited(large, seconds=60, prepare=lambda h: None))

    more = [Route("/plain", plain), Route("/limited", limited)]
    app = routes.application(database, Settings(), dict, lambda: "", lambda: b"", more)
    api = TestClient(app, raise_server_exceptions=False)
    for path in ("/plain", "/limited"):
        answer = api.get(path)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "memory" in answer.json()["error"] and "ask for less" in answer.json()["error"]
    with pytest.raises(duckdb.OutOfMemoryException):
        database.writing(large)
    database.writing(lambda h: h.run("INSERT INTO meta VALUES ('after', '1')"))
    assert api.get("/api/v1/runs", params={"from": 0, "to": 1, "limit": 5}).status_code == 200
    assert database.reading(lambda h: h.value("SELECT value FROM meta WHERE name = 'after'")) == "1"
    database.close()
