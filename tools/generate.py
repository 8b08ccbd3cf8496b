"""Write the pages that derive from the code, or check that they are up to date (`--check`)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client import Metric
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from collector.cli import exits
from collector.jobs import books as store_books
from collector.model.shown import duration
from collector.receive import books
from collector.rules import pages
from collector.rules.catalogue import RULES
from collector.settings import Settings, memory
from collector.store import meanings
from collector.store.named import queries
from tools import api_tables, recorded, sql_page

ROOT = Path(__file__).parents[1]
NOTE = "<!-- Written by `make docs` from the code; edit that instead. -->\n"


ONE_RUN = """## Which records make one run

1. Records of one run id are one run, unless they state different environments.
2. Where the id is a bare number (1 to 15 digits), which queues and services give anew, different services or queues are
   different runs too; so is a number that begins again after `runs.reuse` without a record.
3. A record that leaves one of these open belongs to the only run that it agrees with.
4. If it agrees with several, it stands as a run of its own, `runs.ambiguous`: rule [TEL008](rules/TEL.md).
5. `run_key` is the run's, in every table; `run_id` alone may be that of several runs.
"""
"""What docs/schema.md says of runs, before its tables."""


def schema() -> str:
    """Return docs/schema.md: every public table and column, and what they mean."""
    parts = [
        NOTE,
        "# Tables and columns\n",
        "What `runwell sql` and `POST /api/v1/sql` see; `runwell schema TABLE` and `GET /api/v1/schema` tell the same. "
        "Columns that OTLP names (`…_unix_nano`) hold what was sent; "
        "ours end in `_ns` and are nanoseconds since 1970 UTC or a length in nanoseconds. `time`, `started_at` and "
        "`ended_at` are UTC timestamps without a zone. `…_source` says how a value is known: measured, phase, derived, "
        "inferred, unknown; an unknown value is NULL, never 0.\n",
    ]
    parts += [ONE_RUN]
    for table in meanings.tables():
        key = "Key: " + ", ".join(f"`{name}`" for name in table["key"]) if table["key"] else "No key"
        parts.append(f"## `{table['name']}`\n")
        parts.append(f"{table['row']} {key}; {table['layer']} table.\n")
        parts.append("| column | type | meaning |\n|---|---|---|")
        parts.extend(f"| `{c['name']}` | {c['type']} | {_one_line(c['meaning'])} |" for c in table["columns"])
        parts.append("")
    return "\n".join(parts)


def settings() -> str:
    """Return docs/settings.md: every setting, its variable, default and meaning."""
    parts = [
        NOTE,
        "# Settings\n",
        "Each can be given as an environment variable or in a TOML file (`--config FILE`, else `runwell.toml` in the "
        "data directory); the first seven also as options. Precedence: option, variable, file, default. Durations are "
        'ISO 8601 (`"PT5M"`), in the file also seconds; sizes bytes or text such as `"64MiB"`.\n',
        "| setting | variable | default | meaning |\n|---|---|---|---|",
    ]
    for path, field in _fields(Settings, ()):
        name = ".".join(path)
        variable = "RUNWELL_" + "__".join(path).upper()
        parts.append(f"| `{name}` | `{variable}` | `{_default(field)}` | {_one_line(field.description)} |")
    return "\n".join([*parts, "", *_memory(), ""])


def _memory() -> Iterator[str]:
    """Yield how `memory` is divided, row by row."""
    parts = memory.divide(memory.DEFAULT)
    total = parts.promise // memory.MIB
    yield "## Memory\n"
    yield (
        "`memory` is what all processes of `runwell up` hold together, the dashboard's included: the sum of their "
        "proportional set sizes (`Pss` in `/proc/PID/smaps_rollup`), in which a page that several share counts once. "
        "What the loaded programs need is the same for every size; the rest is shared out. A part that has a setting "
        "of its own may be given another size, and `memory` grows or shrinks by the difference.\n\n"
        "The sum is what is promised and tested. Within it the store goes beyond its parts for seconds where a report, "
        "eight questions and a writer that is behind meet ([measured](performance.md)).\n"
    )
    yield f"| part | process | of {memory.DEFAULT // memory.MIB:,} MiB | what for | setting |\n|---|---|---|---|---|"
    programs = memory.PROGRAMS // memory.MIB
    yield f"| `programs` | all | {programs} MiB | {memory.PROGRAMS_ARE} | |"
    for part in memory.PARTS:
        size = f"{getattr(parts, part.name) // memory.MIB} MiB ({part.share} % of the rest)"
        setting = f"`{part.setting}`" if part.setting else ""
        yield f"| `{part.name}` | {part.process} | {size} | {part.what} | {setting} |"
    yield f"| together | | {total:,} MiB | | `memory`, at least {memory.LEAST // memory.MIB:,} MiB |"


def _fields(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, (*above, name))
        else:
            yield (*above, name), field


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, timedelta):
        return duration(value.total_seconds() * 1e9)
    if hasattr(value, "human_readable"):
        return str(value.human_readable())
    return str(value)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def query_table() -> str:
    """Return docs/queries.md: every named query and its parameters."""
    parts = [
        NOTE,
        "# Named queries\n",
        "`GET /api/v1/query/{name}`, parameters in the query string; see [the API](api.md).\n",
        "| query | returns | parameters |\n|---|---|---|",
    ]
    for q in queries().values():
        parameters = (
            ", ".join(f"`{p.name}` {p.type}{'' if p.required else ' (optional)'}" for p in q.parameters) or "none"
        )
        parts.append(f"| `{q.name}` | {_one_line(q.description)} | {parameters} |")
    return "\n".join([*parts, ""])


def _rules(family: str) -> Callable[[], str]:
    return lambda: NOTE + "\n" + pages.page(family)


def metrics() -> str:
    """Return docs/metrics.md: every metric of both processes, its labels and their values."""
    parts = [
        NOTE,
        "# Metrics\n",
        "`GET /metrics` in Prometheus' text format: `runwell_receive_…` on the OTLP/HTTP port, `runwell_store_…` on "
        "the API port. Values of labels are of these sets and nothing else. [doctor.md](doctor.md) says what adds up "
        "to what.\n",
        "| metric | type | meaning | labels |\n|---|---|---|---|",
    ]
    families = (f for b in (books.Books(), store_books.Books()) for f in b.registry.collect())
    for family in families:
        if family.name.startswith("runwell_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            parts.append(f"| `{name}` | {family.type} | {family.documentation} | {_labels(family)} |")
    parts.append("\nBoth also show the usual `process_…` metrics: memory, CPU, open files, start time.\n")
    return "\n".join(parts)


def _labels(family: Metric) -> str:
    values: dict[str, dict[str, None]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le":
                values.setdefault(label, {})[value] = None
    labels = (f"`{label}`: {', '.join(seen)}" for label, seen in values.items() if label != "version")
    return "; ".join(labels)


PAGES: dict[str, Callable[[], str]] = {
    "docs/api.md": lambda: api_tables.filled((ROOT / "docs" / "api.md").read_text("utf-8")),
    "docs/schema.md": schema,
    "docs/sql.md": lambda: f"{NOTE}\n{sql_page.body()}",
    "docs/settings.md": settings,
    "docs/queries.md": query_table,
    "docs/metrics.md": metrics,
    "docs/exit-codes.md": lambda: f"{NOTE}\n{exits.page()}",
    "docs/rules/README.md": lambda: NOTE + "\n" + pages.index(),
    "tests/rules/recorded-sets.md": lambda: NOTE + "\n" + recorded.page(),
    "docs/rules/example-report.md": lambda: NOTE + "\n" + recorded.example(),
    **{f"docs/rules/{family}.md": _rules(family) for family in dict.fromkeys(r.family for r in RULES.values())},
}


def main(check: bool) -> int:
    """Write or check every page; return the exit code."""
    stale = []
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if check and (not path.exists() or path.read_text("utf-8") != text):
            stale.append(name)
        elif not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make docs`.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
