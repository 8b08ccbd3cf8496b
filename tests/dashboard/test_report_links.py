"""Where anomalies lead: pages that read every parameter of a link, and lists of exactly the runs that are meant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.client import Client
from collector.model import affected as affected_
from collector.model import links
from collector.model.affected import Affected
from collector.model.project import PROJECT
from collector.model.report import Anomaly, Behind, Cause, Change, Kind, Span, Subject
from collector.model.units import SECOND_NS
from collector.store import anomaly_runs
from dashboard import data
from dashboard.parts import chosen
from dashboard.parts.run_filters import FILTERS, asked
from tests.dashboard.conftest import Open, World, stored
from tests.dashboard.test_one_number import AS_OF, OLD, told
from tests.dashboard.test_pages import said
from tests.report import a_report

READ = {"span", "range", *chosen.KEYS}
PAGES = {
    "runs": {*FILTERS, *READ},
    "tasks": {"task", *READ},
    "queues": {"queue", *READ},
    "conventions": {"code", *READ},
    "run": {"run_id", "run_key"},
    "reports": {"report", "anomaly"},
}
ERROR = "UpstreamError: no answer"
SUBJECTS = {
    "task": ("charge", "mail", "plain"),
    "queue": ("payments", "letters"),
    "service": ("smtp",),
    "operation": ("send_mail",),
}
OF = {
    **dict.fromkeys((Kind.CALL_FAILURES, Kind.CALL_DURATION), "service"),
    **dict.fromkeys((Kind.OPERATION_FAILURES, Kind.OPERATION_DURATION), "operation"),
    **dict.fromkeys((Kind.QUEUE_WAIT, Kind.SATURATION), "queue"),
}


def anomaly(kind: Kind, name: str, **more: object) -> Anomaly:
    """Return an anomaly of a kind in whole hours of the store."""
    type_ = OF.get(kind, "task")
    task_id = "mail" if type_ == "operation" else None
    fields: dict[str, object] = {
        "kind": kind,
        "subject": Subject(type=type_, name=name, task_id=task_id),  # type: ignore[arg-type]
        "span": Span(from_ns=OLD[0], to_ns=OLD[1]),
        "threshold_ns": 12 * SECOND_NS if type_ != "service" else 1,
        "detail": {Kind.NEW_ERROR: ERROR, Kind.FINDINGS: "KEY001", Kind.STUCK: "lost"}.get(kind, ""),
        "nearest": Change(type="version", label="v", at_ns=OLD[0], task_id=name, version="1"),
        "behind": Behind(runs=3, tasks=("charge",), queue="payments", error_group=ERROR),
    }
    return a_report.failures(**{**fields, **more})


def linked(kind: Kind, name: str, **more: object) -> dict[str, str]:
    """Return the parameters of the first link of an anomaly."""
    return dict(links.of(anomaly(kind, name, **more))[0].params)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a store of runs of every end, as they are told."""
    with stored(tmp_path_factory.mktemp("linked"), told(), AS_OF, payments=1, letters=2) as world:
        yield world


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("cause", [None, *(Cause(dimension=d, value="1") for d in ("version", "error", "machine"))])
def test_pages_read_what_links_say(kind: Kind, cause: Cause | None) -> None:
    """Every link of every kind of anomaly leads to a page with parameters that the page reads, each named once."""
    of = links.of(anomaly(kind, "charge", cause=cause))
    assert of
    assert len({link.label for link in of}) == len(of)
    a = anomaly(kind, "charge")
    every = [*of, links.rule("KEY001"), links.report("0" * 16, a.key), *map(links.run, a.affected_runs)]
    for link in every:
        names = [name for name, _ in link.params]
        assert set(names) <= PAGES[link.page]
        assert len(set(names)) == len(names) or link.params.count(("status", "running")) == 1


def test_every_kind_has_affected_runs_or_none() -> None:
    """Of every kind is known in words which runs it affects, or that nobody but its report can tell."""
    assert {k for k in Kind if Affected.of(anomaly(k, "charge")) is None} == affected_.UNASKED
    assert affected_.UNASKED | affected_.DID.keys() == set(Kind)


@given(st.sampled_from(Kind), st.text(max_size=20), st.text(max_size=20), st.integers(0, 2**62), st.booleans())
def test_affected_runs_are_one_word(kind: Kind, name: str, detail: str, threshold_ns: int, down: bool) -> None:
    """Whatever a task or error is called, the word for its affected runs is read back as it was written."""
    a = anomaly(kind, name, detail=detail, threshold_ns=threshold_ns, direction="down" if down else "up")
    affected = Affected.of(a) if name else None
    assert affected is None or Affected.read(affected.write()) == affected


@given(st.text(max_size=30) | st.from_regex(r"[a-z_]{1,10}(:[a-z%0-9]{0,8}){0,6}", fullmatch=True))
def test_another_word_is_refused(text: str) -> None:
    """Anything else is a ValueError, or stands for affected runs that are written so again."""
    try:
        affected = Affected.read(text)
    except ValueError:
        return
    assert Affected.read(affected.write()) == affected


@given(st.integers(0, 2**62), st.integers(1, 400 * 24 * 3600 * SECOND_NS))
def test_a_stretch_of_time_holds_what_it_was_written_for(from_ns: int, length_ns: int) -> None:
    """A stretch is widened to whole five minutes, as a range of a page too, and is read back as it was written."""
    span = Span(from_ns=from_ns, to_ns=from_ns + length_ns)
    read = links.read_span(text := links.write_span(span))
    assert read is not None
    assert links.write_span(read) == text
    start, end = data.Range.of(read).window()
    assert start <= read.from_ns <= from_ns < span.to_ns <= read.to_ns <= end
    assert read.to_ns - read.from_ns < length_ns + 600 * SECOND_NS


@pytest.mark.parametrize("text", ["", "20261123T200000Z", "20261123T200000Z-20261123T190000Z", "20261323T200000Z-x"])
def test_what_is_no_stretch_is_none(text: str) -> None:
    """A stretch that is cut, of no day or of no length, is none."""
    assert links.read_span(text) is None


def test_a_link_lists_the_affected_runs(world: World, api: Client) -> None:
    """For every kind whose affected runs the store can tell, the linked list has as many as the report had."""
    told_ = 0
    for kind in Kind:
        for name in SUBJECTS[OF.get(kind, "task")]:
            a = anomaly(kind, name)
            if (affected := Affected.of(a)) is None:
                continue
            asked_ = anomaly_runs.Asked(
                kind, name, a.subject.task_id, None, None, a.detail, *OLD, threshold_ns=affected.threshold_ns
            )
            n = world[0].reading(lambda h, about=asked_: len(anomaly_runs.affected_keys(h, PROJECT, about)))
            params = linked(kind, name)
            window = links.read_span(params.pop("span"))
            assert window is not None
            wanted = asked(params, (window.from_ns, window.to_ns), {})
            assert api.runs(**wanted, limit=1).total == n, (kind, name)
            told_ += n > 0
    assert told_ > 8


def test_the_page_shows_the_linked_list(world: World, app: Open, api: Client) -> None:
    """The page Runs has the hours, the version and the affected runs of a link, and says how many there are."""
    about = anomaly_runs.Asked(Kind.RETRIES, "charge", None, None, None, "", *OLD)
    retried = world[0].reading(lambda h: anomaly_runs.runs(h, PROJECT, about)).filter("affected")["version"].to_list()
    assert 0 < retried.count("1") < len(retried)
    page = app("http://here", "runs", **linked(Kind.RETRIES, "charge"))
    assert not page.exception
    assert f"**{len(retried)}** run" in said(page)
    page.selectbox(key="linked_affected").set_value(None).run()
    of = next(link for link in links.of(anomaly(Kind.RETRIES, "charge")) if link.label == "Version 1")
    page = app("http://here", "runs", **dict(of.params), affected="retries:charge")
    assert f"**{retried.count('1')}** run" in said(page)


@pytest.mark.parametrize("page", ["tasks", "queues"])
def test_what_is_gone_is_said(page: str, world: World, app: Open, api: Client) -> None:
    """A link to a task or queue that did nothing in its hours, or is no more, opens the page and says so."""
    shown = app("http://here", page, **{page[:-1]: "gone"}, span=links.write_span(Span(from_ns=OLD[0], to_ns=OLD[1])))
    assert not shown.exception
    assert "Nothing of **gone**" in said(shown)
