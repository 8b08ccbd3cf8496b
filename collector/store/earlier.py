"""What raw rows say that were written before there was a column for it: the platform project, by their resource.

Rows stay as they were written; whoever builds runs of them asks here, so that runs from before and after an upgrade
are of one project.
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
