"""Exit codes of every verb: the one table that the verbs use and that help and docs/exit-codes.md show."""

from __future__ import annotations

from cyclopts import CycloptsError

from collector.model.errors import NotFound, Refused, UsageError

DONE, FOUND, NOTHING, STOPPED = 0, 1, 2, 130
CODES = {
    DONE: "clean: everything was done, and nothing was found",
    FOUND: "findings, something that was left out, or a name that telemetry does not know",
    NOTHING: "nothing was checked, or it could not be: the command line is wrong, a file is of no use, nobody answers",
    STOPPED: "ended by Ctrl-C",
}
"""What each code says of any verb."""

_STARTS = "it could not start: a port or the data directory is in use or of no use"
_ASKS = "no collector answers, or it refuses the question"
VERBS: dict[str, tuple[str, str, str]] = {
    "serve": ("it was told to stop", "", _STARTS),
    "up": ("it was told to stop", "", _STARTS),
    "dashboard": ("it was told to stop", "", "it could not start, or ended by itself"),
    "demo": (
        "it was told to stop; with --once everything shows what was sent",
        "something of what was sent is refused or not shown",
        f"{_STARTS}, or there are no recordings",
    ),
    "replay": (
        "all of it was sent and taken",
        "something was left out or refused, which is named",
        "a file cannot be used at all, or nobody answers",
    ),
    "sql": (
        "every row is there",
        "the answer was cut at a limit of the store, which is named",
        f"{_ASKS}, or the rows cannot be written",
    ),
    "schema": ("it is shown", "", "no such table"),
    "stats": (
        "the numbers are shown, also where the time range has none",
        "telemetry never had a task, queue, environment, platform project or version of that name",
        _ASKS,
    ),
    "doctor": ("all is well", "there is a problem", "the settings cannot be read"),
    "check": (
        "something was checked, and there is no finding at or above --fail-on",
        "there is one, something of a file was left out, or telemetry never had a task, service or environment of that "
        "name",
        "nothing was checked, or less than --require-records; a file is of no use at all; no collector answers, or its "
        "rules have not judged what it received",
    ),
    "rules": ("they are shown", "", "no such rule"),
    "keys": (
        "it is made, shown or revoked",
        "no such key",
        "the data directory is of no use",
    ),
    "reports": (
        "it is shown or made, whatever is in it",
        "no such report or schedule",
        f"{_ASKS}, there is no report yet, or it cannot be written",
    ),
}
"""By verb what 0, 1 and 2 mean of it; empty: it never ends so. What is wrong with a command line is always 2."""


class Amiss(Refused):
    """What was looked at is not as it should be."""


def of(error: Exception) -> int:
    """Return the exit code of a verb that ends with *error*."""
    if isinstance(error, CycloptsError | UsageError):
        return NOTHING
    # What a store does not have is unknown; a store that cannot be asked tells nothing.
    return FOUND if isinstance(error, NotFound | Amiss) or getattr(error, "unknown", False) else NOTHING


def epilogue(verb: str | None = None) -> str:
    """Return what help says at its end, of one verb or of all."""
    if verb is None:
        return "Exit codes: " + "; ".join(f"{code}: {said}" for code, said in CODES.items()) + "."
    said = "; ".join(f"{code}: {text}" for code, text in enumerate(VERBS[verb]) if text)
    return f"Exit codes: {said}. A wrong command line is 2."


def page() -> str:
    """Return docs/exit-codes.md without its first line."""
    lines = [
        "# Exit codes\n",
        "The same of every verb; `runwell VERB --help` says its own.\n",
        "| code | means |\n|---|---|",
        *(f"| {code} | {said} |" for code, said in CODES.items()),
        "\nWhere several hold, the highest counts. Names that runwell itself fixes (verbs, options, rules, profiles, "
        "tables) are part of the command line: a wrong one is 2. Names that come from telemetry (tasks, services, "
        "queues, environments, platform projects, versions), reports and schedules are looked up: an unknown one is "
        "1, and stderr says which there are.\n",
        "| verb | 0 | 1 | 2, beside a wrong command line |\n|---|---|---|---|",
        *(f"| `{verb}` | " + " | ".join(text or "never" for text in texts) + " |" for verb, texts in VERBS.items()),
    ]
    return "\n".join([*lines, "", *_GATE])


_GATE = [
    "## A gate that cannot pass on nothing\n",
    "`runwell check` in a pipeline is a gate: it must fail where telemetry is missing, not only where it is wrong.\n",
    "```sh",
    "runwell check --input telemetry.jsonl --require-records 100 --fail-on warning",
    "runwell check --since 1h --service shop --environment staging --require-records 100",
    "```\n",
    "*Checked* are the log records and spans that the chosen rules looked at: those of runs, and those of none where "
    "a rule looks at such; of a running collector what was received since `--since`, whatever times it states. Where "
    "that is none, or fewer than `--require-records` (at least 1), the code is 2 and stderr says how many there were. "
    "JSON has them as `checked`: `records`, `logs`, `spans`, `runs`, `came` (records there were, looked at or not) and "
    "by `services`.\n",
    "* `--select` of a rule that looks at nothing there checks nothing; so does one that the collector does not "
    "judge by.",
    "* `--task`, `--service` and `--environment` take several, with commas or given again. A run is of a service where "
    "any of its records is, and is checked whole.",
    "* A running collector takes records up at once and judges them soon after. `check` waits until all that was "
    "acknowledged when it was asked has been judged, for at most a minute; else it ends with 2 and says what was not.",
    "* A running collector judges records of no run by rules of single records alone, and tells what only many runs "
    "show of a task where all its runs that came are among those asked for.",
    "* A name that telemetry never had ends with 1 and the nearest there are; one that it had, but not in that time, "
    "with 2.\n",
]
