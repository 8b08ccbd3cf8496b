"""`runwell rules`: what is checked, why, and how much of the guideline that covers."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from collector.cli import exits
from collector.model.errors import UsageError

app = App(name="rules", help="Show the rules that `runwell check` applies.", help_epilogue=exits.epilogue("rules"))


@app.default
def rules(
    *, coverage: Annotated[bool, Parameter(help="Show every sentence of the guideline.", negative=())] = False
) -> int:
    """List the rules, or with --coverage the guideline's sentences with their rules and state."""
    from collector.rules import pages

    sys.stdout.write(pages.coverage_text() if coverage else pages.list_text())
    return 0


@app.command(name="list")
def list_() -> int:
    """List all rules: code, severity, name and what it means."""
    return rules()


@app.command
def explain(code: str) -> int:
    """Explain a rule: why, how to fix it, what it does not flag, its options.

    Parameters
    ----------
    code
        A code such as KEY001, or a name such as camel-case-key.
    """
    from collector.rules import catalogue, guideline, pages

    rule = catalogue.RULES.get(code.upper()) or next((r for r in catalogue.RULES.values() if r.slug == code), None)
    if rule is None:
        absent = next((u for u in guideline.UNOBSERVABLE if u.code == code.upper()), None)
        if absent is None:
            raise UsageError(f"{code}: no such rule; `runwell rules list` lists them.")
        sys.stdout.write(f"{absent.code} {absent.slug}: not observable from telemetry; it needs {absent.wanting}.\n")
        return 0
    sys.stdout.write(pages.explain_text(rule))
    return 0
