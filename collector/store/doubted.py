"""Which runs version 3 sees otherwise than version 2 did: those whose records state what cannot be.

Since version 3 such numbers and times are unknown. The bounds here are wider than those of the run model, so that it
decides; they belong to this one step of `upgrade` and never change.
"""

from __future__ import annotations

from collector.model.units import DAY_NS

_YEAR_NS = 366 * DAY_NS
_CLOCKS_NS = 600 * 10**9
_EARLIEST_US = 10**15


def _ms(column: str) -> str:
    """Return SQL that tells whether a number of ms may be more than a duration: most of what is over 33 minutes is.

    Below that lie two lengths that an unsigned subtraction of ns gives when it wraps.
    """
    return (
        f"NOT coalesce(isfinite({column}) AND {column} BETWEEN 0 AND 2e6 "
        f"AND {column} NOT BETWEEN 2147.4 AND 2147.5 AND {column} NOT BETWEEN 4294.9 AND 4295, true)"
    )


def _beyond(column: str, most: float) -> str:
    return f"NOT coalesce({column} BETWEEN 0 AND {most:.0f}, true)"


_TIME = (
    f"NOT coalesce(epoch_us(x.time) >= {_EARLIEST_US} AND epoch_us(x.time) <= x.received_ns // 1000 + "
    f"{_YEAR_NS // 1000}, true)"
)
_BOTH = [_TIME, _beyond("x.attempt", 1e4), _beyond("x.http_status", 999)]
_LOG = " OR ".join([*_BOTH, _ms("x.reported_ms"), _ms("x.queue_wait_ms")])
_SPAN = " OR ".join(
    [
        *_BOTH,
        _ms("x.compute_ms"),
        _beyond("x.cost_cents", 1e9),
        f"NOT coalesce(x.dequeued_ns // 1000 BETWEEN epoch_us(x.time) - {_YEAR_NS // 1000} "
        f"AND epoch_us(x.time) + {_CLOCKS_NS // 1000}, true)",
        "x.time_source <> 'time'",
        "(x.end_time_unix_nano > 0 AND x.duration_ns IS NULL)",
        _beyond("x.duration_ns", _YEAR_NS),
    ]
)

RUNS = f"""
    SELECT x.project, x.run_key FROM logs x WHERE {_LOG}
    UNION ALL SELECT r.project, r.run_key FROM logs x
        JOIN log_runs r ON r.project = x.project AND r.seq = x.seq AND r.row = x.row WHERE {_LOG}
    UNION ALL SELECT x.project, x.run_key FROM spans x WHERE {_SPAN}
    UNION ALL SELECT project, run_key FROM runs
        WHERE queued_ns > started_ns OR queued_ns > ended_ns OR last_seen_ns - first_seen_ns > {_YEAR_NS}
        OR greatest(active_ns, wait_ns, backoff_ns, queue_wait_ns, end_to_end_ns) > {_YEAR_NS}
    UNION ALL SELECT project, run_key FROM phases WHERE duration_ns > {_YEAR_NS}
    UNION ALL SELECT a.project, a.run_key FROM attempts a JOIN attempts b
        ON b.project = a.project AND b.run_key = a.run_key AND b.number = a.number + 1
        WHERE b.number > 1 AND b.started_ns < a.ended_ns
"""  # noqa: S608 -- our own names and numbers
"""All of them, some more than once."""

HELD_FROM = f"coalesce(first_seen_ns, held_from_ns) - {_YEAR_NS}"
"""Before that nobody can have waited for a slot or held one."""
