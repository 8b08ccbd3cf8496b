"""On which days of the week something is usually done at a time of the day, from the days on which it was.

An hour or slot is usual on a weekday if it was kept on three quarters of at least three such days. With less history
it borrows from what is beside it: a weekday from itself where two weeks are alike, working days from each other once a
weekend was seen to be quiet, all days from each other once eight of them were alike (the first seven days of a month
are no daily schedule), and times of the day from the hours around them. What history does not tell is not expected.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from collector.analyse.anomalies.wall import Bools, Ints

MOST_OF = 0.75
"""Share of days on which it has to be kept."""
LEAST_WEEKS = 3
"""Days of one weekday from which it speaks for itself."""
LEAST_WORKING, LEAST_DAYS = 5, 8
"""Days from which working days, and all days, speak for each other."""
LEAST_REPEATS = 5
"""Days that came a week after one of their weekday from which a week speaks for the next one."""
_NEAR_S = 7200
_CLEAR = 0.8
_NOISY = 0.4
"""Share of its days on which a time has to be kept where those around it are."""
_LEAST_NEAR = 6


def usual(kept: Bools, seen: Bools, weekdays: Ints, seconds: Ints) -> Bools:
    """Return (times, 7): whether each of the times of the day *seconds* (ascending) is usual on a weekday, Monday 0.

    *kept*, *seen*: (times, days), whether it was kept, and whether that could be told. *weekdays*: of the days.
    """
    seen = seen & ~_at_rest(kept, seen, weekdays)
    on = np.eye(7, dtype=np.int64)[weekdays]
    k, n = (kept & seen) @ on, seen @ on
    near_k, near_n = _near(k, seconds), _near(n, seconds)
    near = near_k >= MOST_OF * near_n
    before, after = (
        _near(k, seconds, *reach) >= MOST_OF * _near(n, seconds, *reach) for reach in ((_NEAR_S, 0), (0, _NEAR_S))
    )
    own = (n >= LEAST_WEEKS) & (k >= MOST_OF * n)
    noisy = (k > 0) & (near_n >= _LEAST_NEAR) & (near_k >= _CLEAR * near_n)
    working, weekend, all_ = (v[:, None] for v in (_alike(k, n, 0, 5), _quiet(k, n), _alike(k, n, 0, 7)))
    is_daily = all_ & (k.sum(axis=1, keepdims=True) >= LEAST_DAYS)
    is_working = working & weekend & (k[:, :5].sum(axis=1, keepdims=True) >= LEAST_WORKING) & (np.arange(7) < 5)
    alike = is_daily | is_working
    is_pure = _pure(k, n) & (k == n) & (k > 0) & (before | after)
    out: Bools = (
        own | is_pure | (alike & near & ((n < LEAST_WEEKS) | noisy)) | (noisy & (n >= LEAST_WEEKS) & (k > 0.4 * n))
    )
    return out


def _alike(k: Ints, n: Ints, first: int, end: int) -> Bools:
    out: Bools = k[:, first:end].sum(axis=1) >= MOST_OF * np.maximum(n[:, first:end].sum(axis=1), 1)
    return out


def _pure(k: Ints, n: Ints) -> Bools:
    """Return which times, (times, 1), have weekdays that are alike week after week, as far as weeks are seen."""
    repeats = np.maximum(n - 1, 0).sum(axis=1, keepdims=True)
    against = np.minimum(k, n - k).sum(axis=1, keepdims=True)
    out: Bools = (
        (repeats >= LEAST_REPEATS) & (10 * against <= repeats) & (k.sum(axis=1, keepdims=True) >= LEAST_REPEATS - 1)
    )
    return out


def _quiet(k: Ints, n: Ints) -> Bools:
    """Return which times were seen on a weekend, and never kept there."""
    out: Bools = (n[:, 5:].sum(axis=1) > 0) & (k[:, 5:].sum(axis=1) == 0)
    return out


def _at_rest(kept: Bools, seen: Bools, weekdays: Ints) -> npt.NDArray[np.bool_]:
    """Return the days, (1, days), on which nothing at all was kept though most days of that weekday have something.

    Few days alone say nothing against the others; more than a quarter of a weekday's days do.
    """
    is_seen, is_kept = seen.any(axis=0), (kept & seen).any(axis=0)
    on = np.eye(7, dtype=np.int64)[weekdays]
    k, n = is_kept @ on, is_seen @ on
    working = k[:5].sum() >= MOST_OF * max(int(n[:5].sum()), 1) and n[:5].sum() >= LEAST_WORKING
    mostly = (2 * k > n) | ((np.arange(7) < 5) & bool(working) & (k > 0) & (2 * k >= n))
    resting = is_seen & ~is_kept & mostly[weekdays]
    if resting.sum() > (1 - MOST_OF) * is_seen.sum():
        resting[:] = False
    return resting[None, :]


def _near(counts: Ints, seconds: Ints, before: int = _NEAR_S, after: int = _NEAR_S) -> Ints:
    """Return sums over the times of the day within so many seconds."""
    low = np.searchsorted(seconds, seconds - before, "left")
    high = np.searchsorted(seconds, seconds + after, "right")
    sums = np.vstack([np.zeros((1, counts.shape[1]), np.int64), counts.cumsum(axis=0)])
    out: Ints = sums[high] - sums[low]
    return out
