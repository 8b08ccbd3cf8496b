"""All verbs, and how their errors are told."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import traceback
from collections.abc import Callable

from cyclopts import App, CycloptsError

from collector import __version__
from collector.cli import (
    check,
    dashboard,
    demo,
    doctor,
    exits,
    keys,
    options,
    replay,
    reports,
    rules,
    schema,
    serve,
    sql,
    stats,
)
from collector.model.errors import Refused, UsageError
from collector.model.shown import lines

app = App(
    name="runwell",
    help="Do my task runs run well? An OpenTelemetry collector, run model and dashboard for background tasks.",
    version=__version__,
    help_epilogue=exits.epilogue(),
)
_VERBS: dict[str, Callable[..., object]] = {
    "serve": serve.serve,
    "up": serve.up,
    "dashboard": dashboard.dashboard,
    "demo": demo.demo,
    "replay": replay.replay,
    "sql": sql.sql,
    "schema": schema.schema,
    "stats": stats.stats,
    "doctor": doctor.doctor,
    "check": check.check,
}
for verb, act in _VERBS.items():
    app.command(act, name=verb, help_epilogue=exits.epilogue(verb))
for group in (rules.app, reports.app, keys.app):
    app.command(group)


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    try:
        result = _called(arguments)
        return result if isinstance(result, int) else exits.DONE
    except CycloptsError as e:
        return _say(" ".join(str(e).split()) + " `runwell --help` lists what there is.", exits.of(e))
    except (UsageError, Refused) as e:
        return _say(str(e), exits.of(e))
    except KeyboardInterrupt:
        return exits.STOPPED
    except BrokenPipeError:
        return exits.NOTHING
    except OSError as e:
        return _say(f"{e.filename or 'stdout'}: {e.strerror or e}.", exits.NOTHING)
    except Exception as e:
        return _say(f"{type(e).__name__} within runwell, a defect of it; {_trace(e)} says where.", exits.NOTHING)


def _trace(error: Exception) -> str:
    """Return the name of a file that holds where *error* comes from: a defect is never told as findings."""
    with tempfile.NamedTemporaryFile("w", prefix="runwell-", suffix=".trace", delete=False, encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return file.name


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
    with contextlib.suppress(OSError):
        sys.stderr.write(lines(f"runwell: {sentence}\n"))  # names of telemetry may be in it
    return code
