"""The settings of detection, all of them; docs/anomalies.md says how the defaults were chosen."""

from __future__ import annotations

from dataclasses import dataclass

VOLUME = "volume"
"""The metric whose rows count arrivals (n = x) and are tested against a number, not a share."""
RETRIES = "retries"
"""The metric whose hits are attempts that repeat another."""
SLOW, FAST = "slow", "fast"
"""Metrics made by `durations.exceedances`: shares above the baseline's p90 and below its p10; tested upwards only."""


@dataclass(frozen=True)
class Options:
    """Thresholds of the tests and of the decision. Shares are 0 to 1, lengths in hours or days as named."""

    windows_h: tuple[int, ...] = (1, 6, 24, 72)
    """Lengths of the windows tested, each ending at every hour of the period."""
    volume_windows_h: tuple[int, ...] = (1, 6, 24)
    """The same of arrivals, which drift by themselves over days."""
    history_days: int = 28
    """How far back the baseline reaches."""
    least_history_days: float = 3.0
    """A series first seen later than this before the period is too new to judge."""
    half_life_days: float = 10.0
    """After how long an hour of the baseline counts half."""
    fleet_trials: float = 10.0
    """How many trials of the mean of all series a series' own share is mixed with."""
    hour_trials: float = 60.0
    """How many trials of the series' own share the share of an hour of the day is mixed with."""
    fleet_dispersion_trials: float = 200.0
    """How many trials the dispersion of all series counts for beside a series' own."""

    q: float = 0.02
    """False discovery rate over all eligible tests of a report."""
    retries_q: float = 0.004
    """The same for repeated attempts: one run in trouble has several of them."""
    pace_q: float = 0.015
    """The same for slow and fast ones."""
    volume_q: float = 0.04
    """The same for arrivals."""
    least_n: int = 20
    """Fewest trials in a window for a test of a share."""
    least_excess: float = 7.0
    """Fewest hits beyond (or below) the expected number."""
    least_ratio: float = 1.5
    """Least ratio of observed to expected (or of expected to observed, downwards)."""
    least_difference: float = 0.02
    """Least difference between the observed and the expected share."""
    many_n: int = 1_000
    many_difference: float = 0.01
    """The least difference upwards between shares of as many trials: what fails slowly is seen over days."""
    pace_ratio: float = 1.5
    """The least ratio for shares of slow and fast ones."""
    pace_difference: float = 0.05
    """The least difference for shares of slow and fast ones."""
    least_inside: float = 0.5
    """Least part of the excess that must lie in the period, where a window reaches back before it."""
    pace_least_n: int = 100
    """Fewest durations in the baseline for a percentile of them to be exceeded."""
    pace_margin: float = 1.25
    """How many times the baseline's 90th percentile a slow duration takes at least (a fast one less than its 10th)."""
    usual_days: int = 0
    """On how many days of the baseline something as unusual may have happened before it counts as usual."""

    usual_margin: float = 1.5
    """How many times as unusual as those days of the baseline."""
    volume_usual_margin: float = 1.55
    """The same for arrivals, whose scatter has the heaviest tails."""
    volume_hour_margin: float = 3.5
    """The same for arrivals of windows of less than six hours."""
    told_episodes: int = 3
    """How often in the history a series may have been told of in one direction for these hours to be exceptions."""
    told_days: int = 7
    """For how many days on end it may have been."""

    volume_history_days: float = 14.0
    """A series first seen later than this before the period has no usual days of the week yet."""
    volume_least_expected: float = 10.0
    """Fewest arrivals expected (for a drop) or seen (for a surge) in a window."""
    volume_least_ratio: float = 1.3
    volume_least_excess: float = 10.0
    hour_of_week_weight: tuple[float, float] = (0.05, 100.0)
    """With how many hours of all working days (or weekends) the same hour of one day is mixed: at least, at most."""
    hour_of_week_within: float = 1.5
    """How many times the variance within an hour of the week counts: a mean of few is nearer to them than the truth."""
    trend_arrivals: float = 10.0
    """Arrivals added to what a day of the last week saw and should have seen, so that few say little of a trend."""
    trend_most: float = 2.0
    """How many times what was due the last week may have seen (or have seen less) to be taken for a trend."""
    volume_alpha: tuple[float, float] = (1e-4, 20.0)
    """Least and greatest dispersion of arrivals."""
    volume_fleet_share: float = 0.1
    """How much the dispersion of all series counts beside a series' own."""
    day_off_least_arrivals: float = 10.0
    """Fewest arrivals expected on a day, or on a Sunday, for a series to say whether it was a day off."""
    day_off_ratio: float = 1.5
    """Least ratio between a day and a Sunday for the same."""
    day_off_least_series: int = 5
    """Fewest series that have to say so."""
    day_off_share: float = 0.5
    """Share of them that has to be as on a Sunday."""

    level_h: int = 24
    """What lasts longer is a new level."""
    level_news_h: int = 168
    """How long before the period a level may have begun to be told at all."""
    level_evidence: float = 30.0
    """Least likelihood ratio statistic, divided by the dispersion, for a new level."""

    gauge_z: float = 6.0
    """Least distance from the seasonal median in (scaled) median absolute deviations."""
    gauge_least_difference: float = 0.2
    """Least distance from the seasonal median in the gauge's own unit."""
    gauge_of: tuple[int, int] = (2, 3)
    """How many of how many successive hours must be out."""
    gauge_hours: int = 4
    """Hours whose distances are added up, as parts of the greatest possible one."""
    gauge_least: float = 2.4
    """Least sum of them, in hours,"""
    gauge_ratio: float = 4.0
    """beyond so many times the greatest"""
    gauge_days: int = 7
    """of any of so many days before."""

    merge_gap_h: int = 3
    """Tests of one series at most this far apart are one event."""
