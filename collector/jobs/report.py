"""Makes a report of a store: reads what it needs in one snapshot, lets `report.build` think, stores nothing."""

from __future__ import annotations

from collector.control import Control
from collector.model.report import Report, Span
from collector.report.build import DAY_NS, HISTORY_DAYS, Inputs, build
from collector.settings import Settings
from collector.store import anomaly_series
from collector.store.anomaly_series import Range
from collector.store.database import Database, Handle

PROJECT = "default"


def make(
    database: Database,
    control: Control,
    settings: Settings,
    *,
    schedule: str,
    period: Span,
    zone: str,
    as_of_ns: int,
) -> Report:
    """Return what there is to report of *period*, as it looks at *as_of_ns*, in times of *zone* (IANA name).

    *schedule*: whose reports tell what is new and what goes on. Reads only; may run on any thread.
    """
    range_ = Range(PROJECT, period.from_ns - HISTORY_DAYS * DAY_NS, period.from_ns, period.to_ns)

    def read(h: Handle) -> Inputs:
        activity = anomaly_series.activity(h, range_)
        length = period.to_ns - period.from_ns
        first = activity["hour_ns"].min()
        known = first is not None and int(first) <= period.from_ns - length  # type: ignore[arg-type]
        return Inputs(
            project=PROJECT,
            schedule=schedule,
            zone=zone,
            period=period,
            as_of_ns=as_of_ns,
            totals=anomaly_series.totals(h, PROJECT, period.from_ns, period.to_ns, before=known),
            activity=activity,
        )

    return build(database.reading(read))
