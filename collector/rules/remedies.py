"""Remedies that machines can apply: rename maps, and an OpenTelemetry Collector `transform` that does them."""

from __future__ import annotations

import polars as pl

from collector.model import ids
from collector.model.spelling import snake

_SPELLED = ("KEY001", "KEY002")


def renames(findings: pl.DataFrame) -> dict[str, str]:
    """Return key → name of all top-level keys that findings want renamed; ambiguous ones are left out."""
    told = findings.select("code", "key").drop_nulls().unique().sort("key", "code")
    names = {key: snake(key) for code, key in told.iter_rows() if code in _SPELLED and not ids.of_key(key)}
    names |= {key: ids.of_key(key) or "" for code, key in told.iter_rows() if code == "KEY004"}
    targets = list(names.values())
    return {k: v for k, v in names.items() if v and v != k and targets.count(v) == 1}


def transform(findings: pl.DataFrame) -> str:
    """Return an OpenTelemetry Collector configuration that renames these keys, empty where there are none.

    A key that is there under its right name already is kept as it is.
    """
    wanted = renames(findings)
    if not wanted:
        return ""
    lines = ["processors:", "  transform/runwell_keys:", "    error_mode: ignore", "    log_statements:"]
    for old, new in wanted.items():
        here, there = f'log.attributes["{_quoted(old)}"]', f'log.attributes["{new}"]'
        moved = f"set({there}, {here}) where {here} != nil and {there} == nil"
        gone = f'delete_key(log.attributes, "{_quoted(old)}")'
        lines += [f"      - {_yaml(moved)}", f"      - {_yaml(gone)}"]
    return "\n".join(lines) + "\n"


def _quoted(key: str) -> str:
    return key.replace("\\", "\\\\").replace('"', '\\"')


def _yaml(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
