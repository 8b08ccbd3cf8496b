"""The tables of parameters in docs/api.md, from the table of endpoints; the rest of the page is written by hand."""

from __future__ import annotations

import re

from collector.api.endpoints import ENDPOINTS, NOW
from collector.api.parameters import Parameter

_MARKED = re.compile(r"(<!-- parameters: (?P<names>[^\n]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """Return *page* with the tables it asks for: `<!-- parameters: GET /path, POST /path -->`, then `<!-- end -->`."""
    return _MARKED.sub(lambda match: f"{match[1]}\n{_tables(match['names'].split(', '))}\n{match[3]}", page)


def plain(name: str) -> str:
    """Return the *name* of an endpoint as people write it."""
    return re.sub(r":(str|path)\}", "}", name)


def _tables(names: list[str]) -> str:
    by_plain = {plain(name): endpoint for name, endpoint in ENDPOINTS.items()}
    many = len(names) > 1
    lines = ["| request " * many + "| parameter | value | default | meaning |", "|---" * many + "|---|---|---|---|"]
    for name in names:
        for p in by_plain[name].parameters or ():
            lines.append(f"| `{name}` " * many + _row(p))
    return "\n".join([*lines, ""])


def _row(p: Parameter) -> str:
    default = "required" if p.required else p.unless or ("now" if p.default == NOW else f"`{p.default}`")
    return f"| `{p.name}` | {p.kind.short or p.kind.expected} | {default} | {p.meaning} |"
