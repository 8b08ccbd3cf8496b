"""The filters of the Runs page: what they are when nothing is asked for, and what the API is asked for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FILTERS: dict[str, Any] = {
    "q": "",
    "status": [],
    "task": None,
    "queue": None,
    "error_group": None,
    "version": None,
    "affected": None,
    "retried": False,
    "at": "active",
    "counted": False,
    "hours": False,
}
"""By the key of their widgets and of the URL. *hours*: the range is widened to whole hours, as statistics are of."""
BY_START: dict[str, Any] = {"at": "start", "counted": True}
"""What pages count runs by: their start, and only those that count."""


def asked(chosen: Mapping[str, Any], window: tuple[int, int], here: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the parameters of `Client.runs` for what is *chosen* in *window*, (from, to) in ns.

    *here*: environment and platform project.
    """
    state = {**FILTERS, **chosen}
    return {
        "from_": window[0],
        "to": window[1],
        "at": state["at"],
        "q": state["q"] or None,
        "status": ",".join(state["status"]) or None,
        "task": state["task"],
        "queue": state["queue"],
        **here,
        "error_group": state["error_group"],
        "version": state["version"],
        "affected": state["affected"],
        "retried": True if state["retried"] else None,
        "counted": True if state["counted"] else None,
    }
