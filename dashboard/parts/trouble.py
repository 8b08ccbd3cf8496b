"""What the store has trouble with, as items that need attention: it cannot write, jobs fail, what is set aside."""

from __future__ import annotations

from typing import Any

from collector.model.shown import left_out
from dashboard import strings
from dashboard.parts.attention import Item
from dashboard.parts.text import count, safe

_PAGES = {"rule": "conventions"}
"""Where that is seen which was set aside, apart from runs; without a page it leads nowhere."""
LONGEST = 200


def items(status: dict[str, Any]) -> list[Item]:
    """Return what `/api/v1/status` tells of trouble; a store of an older version tells less."""
    return [*_writer(status), *_jobs(status), *_set_aside(status)]


def unknown(message: str) -> list[Item]:
    """Return the item that stands for all others while the store does not tell."""
    return [Item("help", "red", strings.STATUS_UNKNOWN, safe(message, LONGEST), (-5, 0), "", {})]


def _writer(status: dict[str, Any]) -> list[Item]:
    if not (why := status.get("writer")):
        return []
    detail = strings.WRITER_FAILS_DETAIL.format(reason=safe(str(why), LONGEST))
    return [Item("edit_off", "red", strings.WRITER_FAILS, detail, (-5, 0), "", {})]


def _jobs(status: dict[str, Any]) -> list[Item]:
    return [
        Item(
            "sync_problem",
            "red",
            strings.JOB_FAILS.format(job=safe(job)),
            strings.JOB_FAILS_DETAIL.format(reason=safe(str(why), LONGEST)),
            (-4, rank),
            "",
            {},
        )
        for rank, (job, why) in enumerate((status.get("failing_jobs") or {}).items())
    ]


def _set_aside(status: dict[str, Any]) -> list[Item]:
    """Return an item for each thing that was set aside, the newest first; a run leads to its page."""
    asides = status.get("set_aside_items") or []
    n = max(status.get("set_aside_count") or 0, len(asides))
    if n and not asides:
        return [
            Item("rule", "orange", strings.SET_ASIDE_COUNT.format(n=count(n)), strings.SET_ASIDE_ASK, (-3, 0), "", {})
        ]
    made = []
    for rank, item in enumerate(asides):
        run_id = item.get("run_id") if item["kind"] == "run" else None
        name = safe(str(run_id or item.get("key") or strings.UNKNOWN))
        stage = str(item["stage"])
        why = strings.SET_ASIDE_WHY.get(stage) or strings.SET_ASIDE_WHY_LEFT_OUT.format(stage=safe(stage))
        detail = strings.SET_ASIDE_DETAIL.format(why=why, reason=safe(str(item["reason"]), LONGEST))
        if n > 1:
            detail = f"{detail}; {strings.SET_ASIDE_ONE_OF.format(n=count(n))}"
        page, params = _PAGES.get(item["kind"], ""), {}
        if run_id:
            page, params = "run", {"run_id": run_id, **({"run_key": item["key"]} if item.get("key") else {})}
        kind = safe(left_out(str(item["kind"]), stage).capitalize())
        title = strings.SET_ASIDE.format(kind=kind, name=name)
        made.append(Item("rule", "orange", title, detail, (-3, rank), page, {}, params))
    return made
