"""An error is new by what happened: a known text with other values is none, nor is any after an upgrade."""

from __future__ import annotations

from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from collector.analyse.anomalies import novelty
from collector.jobs import report
from collector.jobs.runs import RunsJob
from collector.settings import Runs, Store
from collector.store.anomaly_series import Range
from collector.store.database import Database
from collector.store.places import Memory
from tests.analyse.story import SECOND, T0, attempt
from tests.jobs.invented import store

HOUR = 3600
PERIOD = T0 + 48 * HOUR * SECOND
END = PERIOD + 24 * HOUR * SECOND
RANGE = Range("default", T0, PERIOD, END)


def failing(run: str, at_s: int, kind: str, message: str) -> tuple[str, dict[str, object]]:
    """Return the span of an attempt that fails."""
    about = {"task_id": "send", "environment": "prod", "error_type": kind, "error_message": message}
    return "spans", attempt(run, 1, at_s, at_s + 1, failed=True, **about)


@pytest.mark.parametrize("upgraded", [0, 30, 69], ids=["as built", "half built again", "none built again"])
def test_a_new_error_is_a_new_group(tmp_path: Path, upgraded: int) -> None:
    """Of sixty runs before, some failed for an order and all by `Error`: other orders are not new, another reason is;
    also while an upgrade has built only some of the runs again, whose rows lack a group."""
    before = [failing(f"b{i}", 60 * i, "Error", f"order {i} of 'ann{i}' was refused") for i in range(60)]
    now = [failing(f"n{i}", 49 * HOUR + i, "Error", f"order {900 + i} of 'bob{i}' was refused") for i in range(5)]
    new = [failing(f"x{i}", 49 * HOUR + i, "Error", f"no more stock of 'x{i}'") for i in range(4)]
    database = Database.open(tmp_path, Store(threads=1), on_fatal=lambda e: None)
    store(database, 1, [*before, *now, *new])
    RunsJob(database, Runs(), Memory()).tick(END)
    built = database.reading(lambda h: report.errors(h, RANGE))
    database.writing(
        lambda h: h.run(
            "UPDATE attempts SET error_group = NULL WHERE run_key IN "
            f"(SELECT run_key FROM attempts ORDER BY started_ns, run_key LIMIT {upgraded})"
        )
    )
    errors = database.reading(lambda h: report.errors(h, RANGE))
    assert_frame_equal(errors, built, check_row_order=False)
    told = errors.select("error", "before", "now").sort("error").rows()
    assert told == [("Error: no more stock of <value>", 0, 4), ("Error: order <value> of <value> was refused", 60, 5)]
    by = ["name", "environment"]
    chances = errors.group_by(by).agg(n_before=60, n_now=9)
    assert novelty.unseen(errors, chances, by)["error"].to_list() == ["Error: no more stock of <value>"]
    database.close()
