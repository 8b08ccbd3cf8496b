"""A task and a queue of one name: of two platform projects, and of runs that state none. Each is a row of its own."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest

from collector.api import question
from collector.client import Client
from collector.model.units import HOUR_NS, SECOND_NS
from dashboard import data, strings
from dashboard.parts import attention, charts, figures, queue_frames
from tests.analyse.story import T0, attempt
from tests.dashboard.conftest import Open, World, stored
from tests.dashboard.test_pages import component, html, said

AS_OF = T0 // HOUR_NS * HOUR_NS + 8 * HOUR_NS + 1_300 * SECOND_NS
DAY = data.RANGES["24h"].window(AS_OF)
RUNS = {"a": (8, 6), "b": (7, 0), None: (6, 5)}
"""By project: its runs, and how many of them failed."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a store of these runs after all jobs."""
    spans = [
        attempt(f"{project}{n}", 1, 100.0 * n, 100.0 * n + 9, failed=n < failed, error_type=None, **about)
        for project, (runs, failed) in RUNS.items()
        for about in ({"task_id": "send", "queue": "work", "platform_project": project},)
        for n in range(runs)
    ]
    with stored(tmp_path_factory.mktemp("same_names"), [("spans", span) for span in spans], AS_OF, work=1) as world:
        yield world


@pytest.mark.parametrize("few", [5_000, 0])
def test_an_empty_name_asks_for_what_states_none(api: Client, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics of runs and of queues, queries of runs and of hourly tables, the list of runs and findings are then of
    those without a platform project alone, and of none where all state an environment."""
    monkeypatch.setattr(question, "EXACT_RUNS", few)
    where = {"from_ns": DAY[0], "to_ns": DAY[1]}
    none, every = {"platform_project": ""}, {"platform_project": None}
    for of, runs, projects in ((none, 6, {None}), ({"environment": ""}, 0, set()), (every, 21, {*RUNS})):
        told = api.stats("tasks", from_=DAY[0], to=DAY[1], by="", **of)
        assert (figures.value(figures.pick(told, "runs", "count")) or 0) == runs
        for name in ("page_totals", "page_totals_hours"):
            assert api.query(name, **where, **of)["runs"].item() == runs
        assert api.runs(**of).total == runs
        assert api.findings(since=DAY[0], **of)["runs"] == runs
        held = api.stats("queues", from_=DAY[0], to=DAY[1], measures="level", **of)
        assert {*held["platform_project"]} == projects


def test_what_needs_attention_leads_to_runs_of_that_project(
    api: Client, app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Overview calls them alike in its table, its heat map and what needs attention, which leads to the failed runs
    of the one task and shows by what project, be it the only one; where no filter tells them apart it leads nowhere."""
    drawn: list[pl.DataFrame] = []
    heatmap = charts.heatmap
    monkeypatch.setattr(charts, "heatmap", lambda cells, colors: (drawn.append(cells), heatmap(cells, colors))[1])
    choices = data.choices
    monkeypatch.setattr(data, "choices", lambda kind: ["a"] if kind == "platform_project" else choices(kind))
    page = app("http://here", range="24h")
    assert not page.exception
    labels = {"send · a", "send · b", f"send · {strings.UNKNOWN}"}
    assert set(page.dataframe[-1].value["Task"]) == labels
    assert set(drawn[-1]["label"]) == labels - {"send · b"}  # of which no run is bad
    (fails,) = (b for b in page.button if "fails" in b.label)
    assert f"send · {strings.UNKNOWN} fails" in said(page)
    fails.click().run()
    assert [t.value for t in page.title] == ["Runs"]
    assert (page.selectbox(key="task").value, page.selectbox(key="platform_project").value) == ("send", "a")
    assert "**6** runs" in said(page)


def test_a_full_queue_leads_to_itself() -> None:
    """What needs attention calls queues of one name as the Queues page does, and sets what that page offers."""
    shares = {"time_at_limit": ("share", 0.5), "throttled": ("share", 0.4), "limit": ("max", 1.0)}
    rows = pl.DataFrame(
        [
            {"queue": "work", "environment": "p", "platform_project": project, "measure": measure}
            | {"statistic": statistic, "outcome": None, "value": value}
            for project in ("a", None)
            for measure, (statistic, value) in shares.items()
        ],
        schema_overrides={"outcome": pl.String},
    )
    labels = queue_frames.labelled(rows)["label"].unique(maintain_order=True).to_list()
    made = attention.items({"retrying": 0, "unknown": 0}, pl.DataFrame(), rows, [], [])
    assert [item.state for item in made] == [{"queue": label} for label in labels]
    assert ["work · a" in item.title for item in made] == [True, False]


def test_all_of_a_task_page_is_of_the_runs_without_a_project(api: Client, app: Open) -> None:
    """Figures, funnel and errors count the same runs, and the page says why it has no links to them; those of a stated
    project have links."""
    page = app("http://here", "tasks", range="24h", task=f"send · {strings.UNKNOWN}")
    assert not page.exception
    assert '<div class="v">6</div>' in html(page)
    assert component(page, "funnel_bars")["rows"][0]["value"] == "6"
    errors = next(d.value for d in page.dataframe if "Latest message" in d.value.columns)
    assert errors["Attempts"].sum() == RUNS[None][1]
    assert strings.NO_RUNS_SHOWN in said(page)
    page.selectbox(key="task").set_value("send · a").run()
    assert component(page, "funnel_bars")["rows"][0]["value"] == "8"
    page.button(key="runs_1").click().run()
    assert "**6** runs" in said(page)


def test_all_of_a_queue_page_is_of_the_runs_without_a_project(api: Client, app: Open) -> None:
    """Shares are of the queue whose runs state no platform project, and the page says why it has no links."""
    page = app("http://here", "queues", range="24h", queue=f"work · {strings.UNKNOWN}")
    assert not page.exception
    (share,) = component(page, "slot_share_bars")["rows"]
    assert "54 s" in str(share)
    assert strings.NO_RUNS_SHOWN in said(page)
