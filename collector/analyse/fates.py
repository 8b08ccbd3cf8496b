"""What logs say of an operation beyond the conventions' five phases: that it was canceled, interrupted, skipped, or is
to be tried again.

Enter: logs and spans as events. Leave: the same, with operation and phase where a message is `{operation}_{word}` and
that very operation has started in the same attempt. Anything else that ends in such a word is an event of the
task's own (`order_canceled` within `order_sync`), and stays one.
"""

from __future__ import annotations

import polars as pl

from collector.analyse.evidence import RUN

WORDS = ("canceled", "cancelled", "interrupted", "skipped", "retrying")
SAYS = rf"^\s*([a-z0-9]+(?:_[a-z0-9]+)*)_({'|'.join(WORDS)})\s*$"
"""A message that says so, as a regular expression."""
_MARK = "fate"


def read(events: pl.DataFrame) -> pl.DataFrame:
    """Return *events* with what they say of the fate of operations that have started in their run. Adds `fate`."""
    texts = [pl.coalesce(name) for name in ("body", "event_name") if name in events.columns]
    said = pl.coalesce(*(text.str.extract_groups(SAYS).struct.field("1") for text in texts))
    word = pl.coalesce(*(text.str.extract_groups(SAYS).struct.field("2") for text in texts))
    of_run = pl.col("run_key").is_not_null() & pl.col("phase").is_null()
    found = events.with_columns(
        told=pl.when(of_run).then(said), word=pl.when(of_run).then(word.replace("cancelled", "canceled"))
    )
    if found["told"].null_count() == found.height:
        return events.with_columns(pl.lit(False).alias(_MARK))
    started = _started(events, RUN).select(*RUN, told="operation", begun=True)
    fate = pl.col("begun").fill_null(False)
    return (
        found.join(started, on=[*RUN, "told"], how="left", nulls_equal=True, maintain_order="left")
        .with_columns(
            operation=pl.when(fate).then("told").otherwise("operation"),
            phase=pl.when(fate).then("word").otherwise("phase"),
            **{_MARK: fate},
        )
        .drop("told", "word", "begun")
    )


def of_attempt(events: pl.DataFrame) -> pl.DataFrame:
    """Return numbered *events* without the fates of operations that did not start in their attempt."""
    if not events[_MARK].any():
        return events.drop(_MARK)
    attempt = [*RUN, "attempt"]
    started = _started(events, attempt).select(*attempt, "operation", begun=True)
    holds = ~pl.col(_MARK) | pl.col("begun").fill_null(False)
    return (
        events.join(started, on=[*attempt, "operation"], how="left", nulls_equal=True, maintain_order="left")
        .with_columns(pl.when(holds).then(name).alias(name) for name in ("operation", "phase"))
        .drop(_MARK, "begun")
    )


def _started(events: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    return events.filter(pl.col("phase") == "started").select(*by, "operation").unique()
