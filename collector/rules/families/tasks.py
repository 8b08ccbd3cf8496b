"""TSK: task ids are well formed and unique, input is validated before anything happens."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.model.spelling import ascii_snake
from collector.rules.cases import attempt, span
from collector.rules.frames import RUN, Frames
from collector.rules.rule import Case, Options, Rule


def _ill_formed(frames: Frames, options: Options) -> pl.LazyFrame:
    return (
        frames.runs.lazy()
        .filter((pl.col("task_source") == "measured") & ~pl.col("task_id").str.contains(options["pattern"]))
        .select(*RUN, "task_id", "version", time_ns="first_seen_ns")
    )


TSK001 = Rule(
    code="TSK001",
    slug="task-id-format",
    severity="warning",
    grain="run",
    doc="""A task id is not lower-case words with hyphens.

    Why: Task ids stand in URLs, queue names and filters; two spellings of one are two tasks.
    How to fix: Rename the task; runs under the old id stay what they are.
    Not flagged: ids that the option `pattern` allows; tasks that are only known by an operation's name.
    """,
    sentences=("1",),
    needs=("runs",),
    options={"pattern": r"^[a-z0-9]+(?:[-_/.:][a-z0-9]+)*$"},
    each=_ill_formed,
    message="The task id `{task_id}` is not lower-case with hyphens.",
    remedy=lambda f: f"Rename the task to `{ascii_snake(str(f['task_id'])).replace('_', '-')}`.",
    bad=(Case(spans=(attempt(1, 0, 1, task="sendNewsletter"),)), Case(spans=(attempt(1, 0, 1, task="Send mail"),))),
    good=(Case(spans=(attempt(1, 0, 1, task="send-newsletter"),)),),
)


def _duplicated(frames: Frames, options: Options) -> pl.LazyFrame:
    group = ["project", "task_id", "version", "environment"]
    # Where a deploy came between two attempts, nobody knows which version its file is of.
    several = frames.attempts.lazy().group_by(RUN).agg(n=pl.col("version").n_unique()).filter(pl.col("n") > 1)
    return (
        frames.runs.lazy()
        .join(several, on=RUN, how="anti")
        .filter(pl.all_horizontal(pl.col(c).is_not_null() for c in ("task_id", "task_file", "version")))
        .filter((pl.col("task_file").n_unique() > 1).over(group))
        .select(*RUN, "task_id", "version", time_ns="first_seen_ns", detail="task_file")
    )


TSK002 = Rule(
    code="TSK002",
    slug="task-id-duplicated",
    severity="error",
    grain="task",
    doc="""Two files of one version define a task of the same id.

    Why: Which of them runs is chance.
    How to fix: Give one of them another id.
    Not flagged: a task that moved to another file in another version; runs whose attempts ran on several versions.
    """,
    sentences=("1", "6"),
    needs=("runs", "attempts"),
    across=_duplicated,
    message="The task id is defined in several files: {details}.",
    bad=(
        Case(
            spans=(
                attempt(
                    1, 0, 1, run="a", context={"ctx.task.filePath": "src/a.ts"}, keys={"$metadata.worker.version": "1"}
                ),
                attempt(
                    1, 2, 3, run="b", context={"ctx.task.filePath": "src/b.ts"}, keys={"$metadata.worker.version": "1"}
                ),
            )
        ),
    ),
    good=(
        Case(
            spans=(
                attempt(
                    1, 0, 1, run="a", context={"ctx.task.filePath": "src/a.ts"}, keys={"$metadata.worker.version": "1"}
                ),
                attempt(
                    1, 2, 3, run="b", context={"ctx.task.filePath": "src/b.ts"}, keys={"$metadata.worker.version": "2"}
                ),
            )
        ),
    ),
)

_LATE_INPUT = r"(?i)^Cannot (?:read|destructure|set) propert|is not iterable|^Expected .*, received|invalid_type"


def _unvalidated(frames: Frames, options: Options) -> pl.LazyFrame:
    effects = (
        frames.spans.lazy()
        .filter(pl.col("span_type").is_in(["call", "trigger"]) & pl.col("run_key").is_not_null())
        .group_by(*RUN, number="attempt")
        .agg(effect_ns=pl.col("start_ns").min())
    )
    kinds = pl.col("error_type").is_in(["TypeError", "ZodError", "ValidationError", "SchemaError"])
    return (
        frames.attempts.lazy()
        .filter((pl.col("status") == "failed") & (pl.col("number") == 1) & kinds)
        .filter(pl.col("error_message").str.contains(_LATE_INPUT))
        .join(effects, on=[*RUN, "number"])
        .filter(pl.col("effect_ns") < pl.col("ended_ns"))
        .select(*RUN, "task_id", "version", time_ns="ended_ns", key="error_type")
    )


TSK004 = Rule(
    code="TSK004",
    slug="unvalidated-input",
    severity="info",
    grain="run",
    doc="""A run failed on the shape of its data after it had already called or triggered something.

    Why: What it did before stays done, although the input was wrong from the start.
    How to fix: Use `schemaTask` with a schema of the payload.
    Not flagged: the same errors before any call; later attempts.
    """,
    sentences=("3", "4"),
    needs=("attempts", "spans"),
    each=_unvalidated,
    message="Runs fail with `{key}` on their input after they have already had effects.",
    bad=(
        Case(
            spans=(
                attempt(1, 0, 5, error=("TypeError", "Cannot read properties of undefined (reading 'id')")),
                span("POST stripe", 1, 2, kind=3),
            )
        ),
    ),
    good=(Case(spans=(attempt(1, 0, 5, error=("TypeError", "Cannot read properties of undefined (reading 'id')")),)),),
)


def _tags(frames: Frames, options: Options) -> pl.LazyFrame:
    tagged = frames.runs.lazy().filter(pl.col("tags").list.len() > 0).explode("tags")
    group = ["project", "task_id"]
    return (
        tagged.with_columns(prefix=pl.col("tags").str.extract(r"^(.*?)[_:-][^_:-]*$").fill_null(""))
        .filter((pl.len() >= options["least_runs"]).over(*group, "prefix"))
        .filter((pl.col("tags").n_unique() / pl.len() > options["most_share"]).over(*group, "prefix"))
        .select(*RUN, "task_id", "version", time_ns="first_seen_ns", key="prefix")
    )


def _tagged(n: int, values: int) -> tuple[dict[str, Any], ...]:
    return tuple(attempt(1, k, k + 0.5, run=f"r{k}", keys={"ctx.run.tags": [f"order_{k % values}"]}) for k in range(n))


TSK005 = Rule(
    code="TSK005",
    slug="high-cardinality-tag",
    severity="info",
    grain="task",
    doc="""Almost every run of a task has a tag value of its own.

    Why: A tag that names one run filters nothing.
    How to fix: Tag by what runs have in common; ids belong in logs.
    Not flagged: fewer than `least_runs` tagged runs; a share of distinct values up to `most_share`.
    """,
    sentences=("10",),
    needs=("runs",),
    on=False,
    options={"least_runs": 50, "most_share": 0.9},
    across=_tags,
    message=lambda f: f"Almost every run has its own value of the tag `{f['key'] or 'tags'}`.",
    remedy="Tag by what runs have in common.",
    bad=(Case(spans=_tagged(50, 50)),),
    good=(Case(spans=_tagged(50, 40)), Case(spans=_tagged(49, 49), say="too few to tell")),
)

RULES = (TSK001, TSK002, TSK004, TSK005)
