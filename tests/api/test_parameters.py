"""Parameters of all endpoints: read alike, refused alike, and explained in the documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from collector.api import endpoints, routes
from collector.api.endpoints import ENDPOINTS
from collector.api.parameters import TEXT_OR_NONE
from collector.api.strays import Strays
from collector.app.reports import Reports
from collector.model.errors import BadInput
from collector.settings import Settings, Store
from collector.store.database import Database
from tools import api_tables

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
CHECKED = {name: e for name, e in ENDPOINTS.items() if e.parameters is not None}
NONE_IS_A_CHOICE = {"by", "rules", "environment", "platform_project"}
HARMLESS = {"GET /healthz", "GET /readyz", "GET /metrics"}
OF_ADDRESS = st.text()
OF_BODY = st.one_of(OF_ADDRESS, st.integers(), st.floats(), st.booleans(), st.lists(st.text()), st.none())


class Unwatched(Strays):
    """Leaves the application as it is, so that its routes can be read."""

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return *app*."""
        return app


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Return a client of the whole API over an empty store."""
    data = tmp_path_factory.mktemp("data")
    database = Database.open(data, Store(threads=1), on_fatal=lambda e: None)
    reports = Reports(Settings(data=data), database, lambda: 0)
    app = routes.application(database, Settings(data=data), dict, str, bytes, reports.routes(), Unwatched())
    yield TestClient(app, raise_server_exceptions=False)
    reports.close()
    database.close()


def ask(api: TestClient, name: str, params: list[tuple[str, str]]) -> tuple[int, str]:
    """Return status and error of a request with these parameters where they belong."""
    method, _, path = name.partition(" ")
    path = re.sub(r"\{name\}", "tasks" if "stats" in path else "page_choices", path)
    path = re.sub(r"\{format.*\}", "md", re.sub(r"\{(run_)?id.*?\}", "one", path))
    if method == "POST":
        body = "{" + ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in params) + "}"
        answer = api.post(path, content=body, headers={"content-type": "application/json"})
    else:
        answer = api.get(path, params=params)
    return answer.status_code, answer.text if answer.status_code in (400, 422) else ""


@pytest.mark.parametrize("name", sorted(set(ENDPOINTS) - HARMLESS))
def test_what_is_not_known_or_given_twice_is_refused_alike_everywhere(api: TestClient, name: str) -> None:
    """Every endpoint answers 400 and one sentence that names the parameter and says which there are."""
    status, body = ask(api, name, [("colour", "red")])
    there = ", ".join(p.name for p in ENDPOINTS[name].parameters or ()) or "none"
    assert (status, json.loads(body)) == (400, {"error": f"colour: no such parameter; there are {there}"})
    status, body = ask(api, name, [("colour", "red"), ("colour", "red")])
    assert (status, json.loads(body)) == (400, {"error": "colour: given more than once; give it once"})


def test_a_rule_that_there_is_not_is_refused(api: TestClient) -> None:
    """A gate that asks for it would be told of none; one that the collector does not judge by is left out."""
    answer = api.get("/api/v1/check", params={"rules": "KEY001,FOO9"})
    assert (answer.status_code, answer.json()["error"].startswith("rules: no rule 'FOO9'")) == (400, True)
    answer = api.get("/api/v1/check", params={"rules": "KEY001,MSG008"})
    assert (answer.status_code, answer.json()["rules"]) == (200, ["KEY001"])


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_probes_may_give_what_they_like(api: TestClient, name: str) -> None:
    """Health, readiness and metrics are answered whatever a probe or scraper adds to the address."""
    assert ask(api, name, [("colour", "red"), ("colour", "red")]) == (200, "")


@pytest.mark.parametrize("name", [name for name in ENDPOINTS if name.startswith("POST")])
def test_parameters_of_a_body_do_not_stand_in_the_address(api: TestClient, name: str) -> None:
    """A request with a body is refused if its address has parameters too."""
    answer = api.post(name.partition(" ")[2] + "?sql=x", json={"sql": "select 1"})
    assert (answer.status_code, answer.json()["error"][:4]) == (400, "sql:")


@given(data=st.data())
@pytest.mark.parametrize(("name", "parameter"), [(n, p.name) for n, e in CHECKED.items() for p in e.parameters or ()])
def test_any_value_is_read_or_refused_by_name(name: str, parameter: str, data: st.DataObject) -> None:
    """Whatever JSON or a query string can hold gives a value or BadInput, whose sentence names what was expected."""
    (about,) = (p for p in ENDPOINTS[name].parameters or () if p.name == parameter)
    needed = (
        {"sql": "select 1"} if "sql" in name else {"key": "a1"} if name.startswith("POST") and "feed" in name else {}
    )
    value = data.draw(OF_BODY if name.startswith("POST") else OF_ADDRESS)
    try:
        values = endpoints.read(name, needed | {parameter: value}, 10**18)
    except BadInput as e:
        assert e.message.startswith(f"{parameter}: expected {about.kind.expected}")
    else:
        assert list(values) == [p.name for p in ENDPOINTS[name].parameters or ()]


@pytest.mark.parametrize("name", CHECKED)
def test_an_empty_value_is_as_good_as_none(name: str) -> None:
    """Every parameter that is empty has its default, but where none is a choice of its own: columns to group by, rules
    to judge by, and environment and platform project, which a run may not state.
    """
    optional = [p for p in ENDPOINTS[name].parameters or () if not p.required]
    needed = {p.name: "a" for p in ENDPOINTS[name].parameters or () if p.required}
    choices = [p for p in optional if p.kind.empty]
    empty = endpoints.read(name, needed | {p.name: "" for p in optional if p not in choices}, 10**18)
    assert empty == endpoints.read(name, needed, 10**18)
    assert {p.name for p in choices} <= NONE_IS_A_CHOICE
    for choice in choices:
        none = "" if choice.kind is TEXT_OR_NONE else []
        assert (empty[choice.name], endpoints.read(name, {choice.name: ""}, 10**18)[choice.name]) == (None, none)


def test_every_route_is_in_the_documentation_with_all_its_parameters(api: TestClient) -> None:
    """docs/api.md names every route of the app, and has a table for every endpoint that takes parameters."""
    page = PAGE.read_text("utf-8")
    served = {f"{m} {r.path}" for r in api.app.routes for m in r.methods - {"HEAD"}}
    assert served == set(ENDPOINTS)
    tables = {name for names in re.findall(r"<!-- parameters: (.+) -->", page) for name in names.split(", ")}
    for name, endpoint in ENDPOINTS.items():
        assert f"`{api_tables.plain(name)}`" in page
        assert (api_tables.plain(name) in tables) == bool(endpoint.parameters)
