"""How full queues are: work that comes in six parts of each hour, slots that do so much of it, and what is left waits.

Load follows the day; of some queues it drifts towards the limit, until they fill daily at much the same hours.
"""

from __future__ import annotations

import numpy as np

from bench.worlds.ground import HOURS, QUEUES, Floats, Planter, clock, log_uniform, wander

_PARTS = 6
_MOST_WAITING = 12.0  # parts of an hour's work; what comes on top is dropped by its sender
_DRIFTING = 0.27
_INCIDENTS = 2.0


def saturations(planter: Planter) -> Floats:
    """Return the share of each hour in which a queue is full while work waits, (queues, hours)."""
    rng = planter.rng
    hour, weekday, _ = clock()
    peak = rng.uniform(0.3, 0.72, QUEUES)
    day = np.exp(
        rng.uniform(0.2, 0.9, (QUEUES, 1)) * (np.cos(2 * np.pi * (hour - rng.uniform(9, 17, (QUEUES, 1))) / 24) - 1)
    )
    load = peak[:, None] * day * np.where(weekday >= 5, rng.uniform(0.3, 0.9, (QUEUES, 1)), 1.0)
    load = load * np.exp(wander(rng, rng.uniform(0.03, 0.1, QUEUES), rng.uniform(0.7, 0.95, QUEUES)))
    drifts = rng.random(QUEUES) < _DRIFTING
    ends = rng.uniform(0.95, 1.25, QUEUES) / peak
    begins, along = rng.uniform(0.2, 0.6, QUEUES), np.arange(HOURS) / HOURS
    rise = np.clip((along - begins[:, None]) / (1 - begins[:, None]), 0, 1)
    load = load * np.where(drifts[:, None], 1 + (ends[:, None] - 1) * rise, 1.0)
    more = load.copy()
    spans = []
    for _ in range(planter.times(_INCIDENTS)):
        length = int(rng.choice([3, 4, 6, 12]))
        span = planter.choose("saturation", length, np.ones((QUEUES, HOURS)), 1, np.flatnonzero(~drifts))
        if span is not None:
            more[planter.series, span] = np.maximum(load[planter.series, span] * 2, rng.uniform(1.1, 1.6))
            spans.append((planter.series, span))
    grain = log_uniform(rng, 30, 300, QUEUES)
    jitter = rng.standard_normal((QUEUES, HOURS, _PARTS)) / np.sqrt(grain)[:, None, None]
    full, usual = _full(more, jitter), _full(load, jitter)
    for s, span in spans:
        planter.label("saturation", "up", "full", s, span, float((full - usual)[s, span].sum() * _PARTS))
    return full


def _full(load: Floats, jitter: Floats) -> Floats:
    """Return the share of time with a backlog; *load*: work that comes in an hour, in what its slots can do."""
    waits = np.zeros(QUEUES)
    full = np.zeros((QUEUES, HOURS))
    for h in range(HOURS):
        for k in range(_PARTS):
            waits = np.clip(waits + load[:, h] + np.sqrt(load[:, h]) * jitter[:, h, k] - 1, 0.0, _MOST_WAITING)
            full[:, h] += waits > 0
    return full / _PARTS
