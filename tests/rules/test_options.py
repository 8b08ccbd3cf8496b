"""Every number that a rule lets people choose decides something: its cases lie close to the default on both sides."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest
from tell import of_case, settings

from collector.rules import catalogue
from collector.rules.engine import evaluate
from collector.rules.frames import Frames
from collector.rules.profiles import choose
from collector.rules.rule import Case, Rule

_EVERY = [
    (rule, name, default)
    for rule in catalogue.RULES.values()
    for name, default in rule.options.items()
    if isinstance(default, (int, float)) and not isinstance(default, bool)
]
NUMBERS = [
    pytest.param(*one, id=f"{one[0].code}-{one[1]}", marks=() if i % 3 == 0 else pytest.mark.long("properties"))
    for i, one in enumerate(_EVERY)
]
"""Every number; briefly each third."""


UNDECIDING = {
    ("SCH003", "least_runs", 7): "a late run makes two gaps of ten irregular: fewer runs than ten have no cadence then",
    ("CTX008", "most_ids", 6975): "its cases lower it, and the test below says where it is from",
    ("CTX008", "most_ids", 11625): "likewise",
}
"""Rule, option and number that no case can tell from the default, or none of a sensible size."""


def beside(default: float) -> list[float]:
    """Return the numbers a quarter below and above *default*: whole ones are others, shares are at most 1."""
    if default == 0:
        return [1]
    if isinstance(default, int):
        return [math.floor(default * 0.75), math.ceil(default * 1.25)]
    return [default * 0.75, min(default * 1.25, 1.0) if default < 1 else default * 1.25]


@cache
def _cases(code: str) -> list[tuple[Case, Frames, bool]]:
    """Return the cases of a rule, what is told of each, and whether it is bad."""
    rule = catalogue.RULES[code]
    return [(case, of_case(case), bad) for some, bad in ((rule.bad, True), (rule.good, False)) for case in some]


def _is_noticed(rule: Rule, options: dict[str, float]) -> bool:
    """Tell whether *rule* judges some case otherwise with *options*, unless the case itself says another."""
    for case, frames, bad in _cases(rule.code):
        chosen = choose(catalogue.RULES, settings(rule, replace(case, options={**options, **case.options})))
        if evaluate(frames, chosen).is_empty() is bad:
            return True
    return False


@pytest.mark.parametrize(("rule", "name", "default"), NUMBERS)
def test_another_number_would_be_noticed(rule: Rule, name: str, default: float) -> None:
    """With a quarter less or more than the default some case of the rule is judged otherwise."""
    unnoticed = [number for number in beside(default) if not _is_noticed(rule, {name: number})]
    assert unnoticed == [number for number in beside(default) if (rule.code, name, number) in UNDECIDING]


def test_so_many_short_ids_collide_with_a_chance_of_one_percent() -> None:
    """CTX008 speaks of a chance of 1 %: two of so many ids of eight hexadecimal digits are the same that often."""
    n = catalogue.RULES["CTX008"].options["most_ids"]
    assert isinstance(n, int)
    assert 1 - math.exp(-n * (n - 1) / (2 * 16**8)) == pytest.approx(0.01, rel=0.01)
