"""Profiles and a project's own settings: which rules run, how severe they are, with which options.

Enter: the `[rules]` section of the settings. Leave: for every rule one or more *variants*, each a scope (task and
operation patterns), a severity and options. The numbers of the guideline, and of the platform as it is today, are
options of a profile and never of a rule's code.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from collector.model.errors import UsageError
from collector.personal.phones import COUNTRIES
from collector.rules.rule import SEVERITIES, Rule, Severity

if TYPE_CHECKING:
    from collector.settings import RuleOverride, Rules

DEFAULT = "trigger-v4-current"
PROFILES: dict[str, dict[str, dict[str, Any]]] = {
    "guideline": {"BAT001": {"most": 500}, "CFG001": {"max_duration_s": 300}},
    DEFAULT: {"BAT001": {"most": 1_000}},
}
"""Profile → code → options that differ from the rule's defaults."""


@dataclass(frozen=True, slots=True)
class Variant:
    """How a rule judges the records of some tasks and operations."""

    task: str
    operation: str
    severity: Severity | None
    """None: switched off here."""
    options: Mapping[str, Any]

    def applies(self) -> pl.Expr:
        """Return whether a row with `task_id` and `operation` is in scope."""
        return _matches("task_id", self.task) & _matches("operation", self.operation)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A rule that runs, and its variants, the most specific first; the last one is everything else."""

    rule: Rule
    variants: tuple[Variant, ...]

    def pick(self) -> pl.Expr:
        """Return the number of the variant that judges a row."""
        number: pl.Expr = pl.lit(len(self.variants) - 1)
        for i, variant in reversed(list(enumerate(self.variants[:-1]))):
            number = pl.when(variant.applies().fill_null(False)).then(pl.lit(i)).otherwise(number)
        return number.cast(pl.Int32)


def _matches(column: str, pattern: str) -> pl.Expr:
    if pattern == "*":
        return pl.lit(True)
    return pl.col(column).str.contains(f"^(?s:{fnmatch.translate(pattern)[4:-3]})$")


def choose(catalogue: Mapping[str, Rule], settings: Rules) -> list[Chosen]:
    """Return the rules that run under *settings*; raise `UsageError` for a name or option that does not exist."""
    if settings.profile not in PROFILES:
        raise UsageError(f"rules.profile {settings.profile!r}: no such profile; there are {', '.join(PROFILES)}.")
    if unknown := [country for country in phone_countries(settings) if country not in COUNTRIES]:
        raise UsageError(f"rules.phone_countries {unknown[0]!r}: no such country; it is two letters of ISO 3166: `DE`.")
    profile = PROFILES[settings.profile]
    wanted = _codes(catalogue, settings.select, "rules.select")
    unwanted = _codes(catalogue, settings.ignore, "rules.ignore")
    overrides = [(code, o) for o in settings.overrides for code in _codes(catalogue, o.rules, "rules.overrides.rules")]
    chosen = []
    for code, rule in catalogue.items():
        named = code in settings.select or rule.slug in settings.select
        if code in unwanted or (settings.select and code not in wanted) or not (rule.on or named):
            continue
        base = {**rule.options, **profile.get(code, {})}
        for name in ("strict", "phone_countries"):
            if name in base:
                base[name] = getattr(settings, name)
        of_rule = [o for c, o in overrides if c == code]
        variants = [_variant(rule, base, o) for o in sorted(of_rule, key=_breadth)]
        if not variants or (variants[-1].task, variants[-1].operation) != ("*", "*"):
            variants.append(Variant("*", "*", rule.severity, base))
        chosen.append(Chosen(rule, tuple(variants)))
    return chosen


def phone_countries(settings: Rules) -> tuple[str, ...]:
    """Return the countries whose phone numbers some rule looks for without a `+`."""
    asked = {*settings.phone_countries, *(c for o in settings.overrides for c in o.options.get("phone_countries", ()))}
    return tuple(sorted(asked))


def _breadth(o: RuleOverride) -> tuple[int, int]:
    return (o.task.count("*") + (o.task == "*") * 10, o.operation.count("*") + (o.operation == "*") * 10)


def _variant(rule: Rule, base: Mapping[str, Any], o: RuleOverride) -> Variant:
    for name, value in o.options.items():
        if name not in base:
            there = ", ".join(base) or "none"
            raise UsageError(f"rules.overrides.options.{name}: {rule.code} has no such option; it has {there}.")
        _check(rule, name, base[name], value)
    severity = rule.severity if o.severity is None else None if o.severity == "off" else o.severity
    changed = {k: tuple(v) if isinstance(v, list) else v for k, v in o.options.items()}
    return Variant(o.task, o.operation, severity, {**base, **changed})


def _check(rule: Rule, name: str, default: Any, value: Any) -> None:
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, (int, float)):
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif isinstance(default, tuple):
        fits = isinstance(value, (list, tuple))
    else:
        fits = isinstance(value, str)
    if not fits:
        word = {bool: "true or false", tuple: "a list", str: "text"}.get(type(default), "a number")
        raise UsageError(f"rules.overrides.options.{name}: {rule.code} expects {word}, got {value!r}.")


def _codes(catalogue: Mapping[str, Rule], names: Iterable[str], where: str) -> set[str]:
    """Return the codes that *names* (codes, slugs, families) stand for."""
    codes: set[str] = set()
    for name in names:
        matching = {c for c, r in catalogue.items() if name in (c, r.slug, r.family) or name == "ALL"}
        if not matching:
            raise UsageError(f"{where}: no rule or family {name!r}; `runwell rules list` lists them.")
        codes |= matching
    return codes


assert set(SEVERITIES) == {"error", "warning", "info"}
