"""What differs from what was expected: tests on hourly counts, the decision over all of them, and their events.

Pure: frames enter and leave. `counts.tests` tests shares (and, through `volume`, arrivals) of every series; `decide`
judges all tests of a report together; `events.merge` makes one event of tests that overlap. `durations` turns
histograms into counts, `gauges` tests what is not a count. Definitions and how well it does: docs/anomalies.md.
"""
