"""Every knob. Read once by the command line and passed by argument; no other room takes one from the environment.

Order of precedence: command line, `RUNWELL_…` environment variables (nested with `__`, as in
`RUNWELL_JOURNAL__KEEP=PT48H`), the TOML file (`--config`, else `runwell.toml` in the data directory), defaults.
"""

from collector.settings.knobs import (
    ApiLimits,
    Connections,
    Cors,
    Journal,
    Limits,
    Names,
    RuleOverride,
    Rules,
    Runs,
    Settings,
    Store,
    Telemetry,
)
from collector.settings.queues import QueueOverride, Queues
from collector.settings.read import LOOPBACK, load

__all__ = [
    "LOOPBACK",
    "ApiLimits",
    "Connections",
    "Cors",
    "Journal",
    "Limits",
    "Names",
    "QueueOverride",
    "Queues",
    "RuleOverride",
    "Rules",
    "Runs",
    "Settings",
    "Store",
    "Telemetry",
    "load",
]
