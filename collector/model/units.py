"""Lengths of time in nanoseconds, which every time and duration is in."""

from __future__ import annotations

MS_NS = 10**6
SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
