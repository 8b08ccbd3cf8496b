"""All verbs, and how their errors are told."""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from collector import __version__
from collector.cli import check, dashboard, demo, doctor, options, replay, reports, rules, schema, serve, sql, stats
from collector.model.errors import Refused, UsageError

app = App(
    name="runwell",
    help="Do my task runs run well? An OpenTelemetry collector, run model and dashboard for background tasks.",
    version=__version__,
)
app.command(serve.serve)
app.command(serve.up)
app.command(dashboard.dashboard)
app.command(demo.demo)
app.command(replay.replay)
app.command(sql.sql)
app.command(schema.schema)
app.command(stats.stats)
app.command(doctor.doctor)
app.command(check.check)
app.command(rules.app)
app.command(reports.app)


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    try:
        result = _called(arguments)
        return result if isinstance(result, int) else 0
    except CycloptsError as e:
        return _say(" ".join(str(e).split()) + " `runwell --help` lists what there is.", 2)
    except UsageError as e:
        return _say(str(e), 2)
    except Refused as e:
        return _say(e.message, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1


def _called(arguments: list[str]) -> object:
    """Return what the verb returns. An option under an old name is seen only where the new ones do not have it."""
    options.OLD.clear()
    if arguments[:1] == ["check"]:
        arguments = check.each_input(arguments)
    try:
        return app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError:
        from collector.settings import replaced

        rest, moved = replaced.options(arguments)
        if not moved:
            raise
        options.OLD.extend(moved)
        return app(rest, exit_on_error=False, print_error=False, result_action="return_value")


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(f"runwell: {sentence}\n")
    return code
