"""What raw rows say that were written before there was a column for it: the platform project, by their resource.

Rows stay as they were written; whoever builds runs of them asks here, so that runs from before and after an upgrade
are of one project. Links, which name no resource, are completed.
"""

from __future__ import annotations

import polars as pl

from collector.decode.dialects import DIALECTS
from collector.store.handle import Handle

_STATED = "trigger_dev"
"""The dialect whose resources always state a project: rows of others without one are not looked up."""
_KEYS = next(d.resource["platform_project"] for d in DIALECTS if d.name == _STATED)
_TOLD = ", ".join(f"""json_extract_string(attributes, '$."{key}"')""" for key in _KEYS)


def with_project(h: Handle, rows: pl.DataFrame) -> pl.DataFrame:
    """Return raw *rows* of logs or spans with `platform_project` where their resource states it and they do not."""
    lacking = rows.filter(pl.col("platform_project").is_null() & (pl.col("dialect") == _STATED))
    if lacking.is_empty():
        return rows
    key = ["project", "resource_id"]
    told = h.frame(
        f"SELECT project, resource_id, coalesce({_TOLD}) AS told FROM resources "  # noqa: S608 -- keys of ours
        "SEMI JOIN lacking USING (project, resource_id)",
        lacking=lacking.select(key).unique(),
    )
    return (
        rows.join(told.unique(key), on=key, how="left", maintain_order="left")
        .with_columns(platform_project=pl.coalesce("platform_project", "told"))
        .drop("told")
    )


def complete_links(h: Handle) -> None:
    """Write the project that the resource of a trigger states into the links of it that lack one."""
    h.run(
        f"""
        UPDATE run_links SET platform_project = s.told FROM (
            SELECT project, seq, run_key, min(told) AS told FROM spans
            JOIN (SELECT project, resource_id, coalesce({_TOLD}) AS told FROM resources) USING (project, resource_id)
            WHERE dialect = '{_STATED}' AND span_type IN ('trigger', 'wait') AND told IS NOT NULL GROUP BY ALL
        ) s
        WHERE run_links.platform_project IS NULL AND run_links.project = s.project AND run_links.seq = s.seq
          AND run_links.parent_run_key = s.run_key
        """  # noqa: S608 -- names and keys of ours
    )
