"""`runwell check`: the conventions, checked on recordings without a collector, or as a running one found them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from collector.cli import exits
from collector.cli.access import ANYBODY, AccessOptions
from collector.cli.names import listed
from collector.cli.options import DEFAULT, CommonOptions
from collector.cli.recordings.told import sentence
from collector.model.address import http_url
from collector.model.errors import NotFound, Refused, UsageError
from collector.model.project import PROJECT
from collector.model.scope import ALL, Scope, Unknown
from collector.model.shown import counted, visible

if TYPE_CHECKING:
    import polars as pl

    from collector.client import Access
    from collector.jobs.recording import Recording
    from collector.rules.checked import Checked
    from collector.rules.profiles import Chosen
    from collector.settings import Settings

_TOGETHER = 16 * 2**20
"""Bytes of requests that are stored at once."""
_PATIENCE_S, _SILENT_S, _PAUSE_S = 60.0, 3.0, 2.0
"""How long a check waits for rules, how long of it without a word, and the longest between two questions."""
Format = Literal["text", "json", "markdown"]
FailOn = Literal["error", "warning", "info", "never"]


def check(
    *,
    input: Annotated[
        tuple[str, ...], Parameter(help="Files as replay takes them; - is stdin.", consume_multiple=True)
    ] = (),
    since: Annotated[
        str | None, Parameter(help="What a running collector found since then, such as 24h or a time [default: 24h].")
    ] = None,
    url: Annotated[str | None, Parameter(help="URL of the read API [default: the one on --data].")] = None,
    format: Annotated[Format, Parameter(help="Form of the report.")] = "text",
    select: Annotated[tuple[str, ...], Parameter(help="Only these rules: codes, slugs or families.")] = (),
    ignore: Annotated[tuple[str, ...], Parameter(help="Not these rules.")] = (),
    profile: Annotated[str | None, Parameter(help="guideline or trigger-v4-current [default].")] = None,
    strict: Annotated[bool | None, Parameter(help="Ask for the three ids on every record.", negative=())] = None,
    task: Annotated[tuple[str, ...], Parameter(help="Only runs and records of these tasks.")] = (),
    service: Annotated[tuple[str, ...], Parameter(help="Only runs and records of these services.")] = (),
    environment: Annotated[tuple[str, ...], Parameter(help="Only runs and records of these environments.")] = (),
    require_records: Annotated[int, Parameter(help="How many records have to be checked, else it ends with 2.")] = 1,
    fail_on: Annotated[FailOn, Parameter(help="Least severity that makes the exit code 1.")] = "warning",
    common: CommonOptions = DEFAULT,
    to: AccessOptions = ANYBODY,
) -> int:
    """Check the conventions on telemetry."""
    from collector.rules import catalogue
    from collector.rules.profiles import choose

    settings = common.settings()
    overrides = {
        "profile": profile,
        "strict": strict,
        "select": list(listed(select)) or None,
        "ignore": list(listed(ignore)) or None,
    }
    rules = settings.rules.model_copy(update={k: v for k, v in overrides.items() if v is not None})
    chosen = choose(catalogue.RULES, rules)
    scope = Scope(*map(_named, ("task", "service", "environment"), (task, service, environment)))
    if require_records < 1:
        raise UsageError(f"--require-records {require_records}: expected at least 1; a check of nothing is none.")
    if input and (since or url):
        raise UsageError("--input: recordings are checked without a collector; leave out --since and --url.")
    if input:
        outcome = judged(input, settings, chosen, scope)
    else:
        if profile or strict:
            option = "--profile" if profile else "--strict"
            raise UsageError(
                f"{option}: the collector judges by its own settings; set rules.{option[2:]} there, or give --input."
            )
        outcome = _stored(settings, url, since or "24h", {c.rule.code for c in chosen}, scope, to.access())
    return _tell(outcome, format, fail_on, require_records)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What rules found, in what, and how much of it they looked at."""

    findings: pl.DataFrame
    looked_at: str
    """In words."""
    checked: Checked
    nothing: str
    """Why nothing was checked, where that is so."""
    left_out: int = exits.DONE
    """Exit code of what could not be read."""


def _tell(outcome: Outcome, format: Format, fail_on: FailOn, least: int) -> int:
    """Write the report, say on stderr where too little was checked, and return the exit code."""
    from collector.rules import catalogue, render

    findings, checked = outcome.findings, outcome.checked
    if format == "json":
        sys.stdout.write(render.document(findings, catalogue.RULES, catalogue.not_observable(), checked.document()))
    elif checked.records:
        write = render.markdown if format == "markdown" else render.text
        sys.stdout.write(write(findings, outcome.looked_at))
    elif format == "markdown":
        sys.stdout.write(f"# Conventions\n\nNothing was checked: {render.prose(outcome.nothing)}.\n")
    sys.stdout.flush()
    if checked.records < least:
        were = "was" if checked.records == 1 else "were"
        said = (
            f"only {counted(checked.records, 'record')} {were} checked of the {least:,} that --require-records asks for"
        )
        _say(said if checked.records else f"nothing was checked: {outcome.nothing}")
        return exits.NOTHING
    return max(outcome.left_out, exits.FOUND if render.reaches(findings, fail_on) else exits.DONE)


def each_input(arguments: list[str]) -> list[str]:
    """Return a command line of check with each of its files behind an `--input=` of its own.

    Else - would be taken for an option there, and where files may begin like one, options would be taken for files.
    """
    spelled: list[str] = []
    among_files = False
    for at, argument in enumerate(arguments):
        if argument == "--":
            return spelled + arguments[at:]
        if argument == "--input" and any(map(_is_file, arguments[at + 1 : at + 2])):
            among_files = True
        elif among_files and _is_file(argument):
            spelled.append(f"--input={argument}")
        else:
            among_files = argument.startswith("--input=")
            spelled.append(argument)
    return spelled


def _is_file(argument: str) -> bool:
    return argument == "-" or not argument.startswith("-")


def _named(kind: str, options: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names an option was given; an option that names nothing must not leave everything in."""
    names = listed(options)
    if options and not names:
        raise UsageError(f"--{kind}: is empty; name at least one.")
    return names


def findings(files: tuple[str, ...], settings: Settings, chosen: list[Chosen]) -> tuple[pl.DataFrame, str]:
    """Return what the rules find in *files*, and what was looked at; see `judged`."""
    outcome = judged(files, settings, chosen)
    return outcome.findings, outcome.looked_at


def judged(files: tuple[str, ...], settings: Settings, chosen: list[Chosen], scope: Scope = ALL) -> Outcome:
    """Return what the rules find in what *scope* has of *files*.

    Says on stderr which rules failed on what, and judged the rest.
    """
    from collector.jobs.recording import recording
    from collector.rules import render
    from collector.store.aside import reason

    with recording(settings) as of_files:
        left_out = read(files, settings, of_files)
        done = of_files.judge(PROJECT, chosen, scope)
    for code, piece, why in done.left:
        what = f"run {piece[1]}" if piece else "these records"
        _say(f"{code}: {what} could not be judged ({reason(why)})")
    names = ", ".join("stdin" if name == "-" else visible(name) for name in files)
    all_of = f"{names} has {counted(done.logs, 'log record')} and {counted(done.spans, 'span')}"
    nothing = _nothing(
        all_of if done.logs + done.spans else f"{names} has no log record and no span", done.checked, scope, chosen
    )
    said = render.looked_at(done.checked, done.runs, done.newest) + str(scope)
    left_out = max(left_out, exits.FOUND if done.left else exits.DONE)
    return Outcome(done.findings, said, done.checked, nothing, left_out)


def _nothing(there: str, checked: Checked, scope: Scope, rules: Sized) -> str:
    """Return why nothing was checked; *there*: what there was, whatever was asked for."""
    if not len(rules):
        return "no rule is chosen that is judged by"
    if scope and not checked.came:
        return f"{there}, none{scope}"
    if checked.came:
        return f"none of {counted(checked.came, 'record')}{scope} is one that the chosen rules look at"
    return there


def _stored(settings: Settings, url: str | None, since: str, codes: set[str], scope: Scope, access: Access) -> Outcome:
    """Return what the collector on *url* or the data directory found of the rules *codes* in what it received."""
    import json

    import polars as pl

    from collector.client import ApiError, Client, address
    from collector.rules import render
    from collector.rules.checked import Checked
    from collector.rules.findings import SCHEMA

    where = url or address(settings.data) or http_url(settings.host, settings.api_port)
    asked = dict(scope.kinds())
    client = Client(where, access=access)
    try:
        answer = _judged(lambda begin: client.check(since=begin, rules=sorted(codes), **asked), since)
    except ApiError as e:
        if e.message.startswith("since: "):
            raise UsageError(f"--since {since}: {e.message.removeprefix('since: ')}.") from None
        raise
    if answer["unknown"] and answer["came"]:
        raise NotFound(" ".join(str(Unknown(**name)) for name in answer["unknown"]))
    stored = [{**row, "project": PROJECT, "samples": json.dumps(row["samples"])} for row in answer["findings"]]
    if passed_over := answer["judged"]["passed_over"]:
        were = "was" if passed_over == 1 else "were"
        _say(
            f"{counted(passed_over, 'record')} of no run {were} not checked: of those a collector judges the newest "
            "logs of a day"
        )
    checked = Checked.of_document(answer["checked"])
    received = f"that the collector received since {visible(since)}"
    said = render.looked_at(checked, checked.runs, checked.runs) + f"{scope} {received}"
    nothing = _nothing(
        f"the collector received no log record and no span since {visible(since)}", checked, scope, answer["rules"]
    )
    return Outcome(pl.DataFrame(stored, schema=SCHEMA), said, checked, nothing)


def _judged(ask: Callable[[str | int], dict[str, Any]], since: str) -> dict[str, Any]:
    """Return what *ask* answers of what came *since* then, once rules judged all that was there at the first question.

    Raises Refused where they do not in time.
    """
    import time

    began, told, pause_s = time.monotonic(), False, 0.2
    answer = ask(since)
    upto = answer["judged"]["journal_seq"]
    while upto > min(answer["judged"]["run_rules_seq"], answer["judged"]["window_rules_seq"]):
        waited_s = time.monotonic() - began
        if waited_s > _PATIENCE_S:
            of_runs, of_window = (min(upto, answer["judged"][f"{name}_rules_seq"]) for name in ("run", "window"))
            raise Refused(
                f"rules did not judge all that the collector had received, within {_PATIENCE_S:.0f} s: of {upto:,} "
                f"groups of records {upto - of_runs:,} are not judged by rules of runs, and "
                f"{upto - of_window:,} not by those of tasks, queues and records of no run; runwell doctor says more"
            )
        if waited_s > _SILENT_S and not told:
            _say("waiting for rules to judge what the collector has received")
            told = True
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _PAUSE_S)
        answer = ask(answer["since_ns"])
    return answer


def _say(text: str) -> None:
    print(f"runwell: {sentence(text)}", file=sys.stderr)  # noqa: T201 -- for people


def read(files: tuple[str, ...], settings: Settings, into: Recording) -> int:
    """Store the records of *files*, as if all of them had arrived now; return the exit code of what was left out.

    Raises UsageError where there is nothing to look at.
    """
    import time

    from collector.cli import recordings
    from collector.cli.progress import progress
    from collector.cli.sources import Sources
    from collector.decode import Batch
    from collector.model.errors import BadInput

    for name in files:
        recordings.readable(name)
    batch, held = Batch(settings.limits), 0
    now = time.time_ns()
    with Sources(files) as sources, progress(sources.size) as bar:
        for request in sources.requests(bar):
            try:
                said = batch.add(request.signal, request.encoding, request.body, project=PROJECT, received_ns=now)
            except BadInput as e:
                sources.refused(request.place, e.message)
                sources.unread()
                continue
            sources.answered(request.place, said.message, rejected=said.rejected)
            if not said.records:
                sources.unread()
            bar.sent()
            held += len(request.body)
            if held > _TOGETHER:
                into.add(batch.tables(), now)
                batch, held = Batch(settings.limits), 0
    if sources.useless:
        names = ", ".join("stdin" if name == "-" else name for name in files)
        raise UsageError(f"nothing was checked: {names}: no valid requests in it; give a recording of valid OTLP.")
    into.add(batch.tables(), now)
    return sources.exit_code()
