"""docs/otlp.md names every row of the specification's table, and only tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "otlp.md").read_text("utf-8")
IDS = {
    f"{family}{n}"
    for family, last in {"H": 20, "S": 6, "F": 7, "G": 10, "J": 16, "B": 10}.items()
    for n in range(1, last + 1)
}
ROW = re.compile(r"^\| ([HSFGJB]\d+) \| (.+?) \| (.+?) \| (.+) \|$", re.M)


def defined() -> set[str]:
    """Return the names of the tests here."""
    return {name for path in HERE.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}


def test_every_row_is_documented_once() -> None:
    """Each id has one line with a state."""
    rows = ROW.findall(PAGE)
    assert sorted(row[0] for row in rows) == sorted(IDS)
    assert all(re.match(r"(met|not)\b", state) for _, _, state, _ in rows)


def test_named_tests_exist_and_choices_too() -> None:
    """A row that is met names a test or a file that is there; a choice has its number below."""
    names_of_tests = defined()
    for ident, _, state, tests in ROW.findall(PAGE):
        names = re.findall(r"`(test_\w+)`", tests)
        files = re.findall(r"tests/\S+\.py", tests)
        assert names or files, ident
        assert set(names) <= names_of_tests, ident
        assert all((HERE.parents[1] / file).is_file() for file in files), ident
        for choice in re.findall(r"choice (\d+)", state):
            assert re.search(rf"^{choice}\. ", PAGE, re.M), ident


def test_tests_that_name_a_row_are_listed_there() -> None:
    """The page is complete in the other direction as well."""
    listed = {ident: set(re.findall(r"`(test_\w+)`", tests)) for ident, _, _, tests in ROW.findall(PAGE)}
    for name in defined():
        if match := re.match(r"test_((?:[hsfgjb]\d+_)+)", name):
            for ident in match[1].strip("_").upper().split("_"):
                assert name in listed[ident], (ident, name)


def test_bounds_are_the_defaults() -> None:
    """The numbers of the page are those of the settings."""
    from collector.settings import Limits, Settings

    limits = Limits()
    stated = {
        "limits.body": f"{int(limits.body) // 2**20} MiB",
        "limits.records": f"{limits.records:,}",
        "limits.parts": f"{limits.parts:,}",
        "limits.attributes": f"{limits.attributes:,}",
        "limits.key": f"{limits.key}",
        "limits.value": f"{int(limits.value):,}",
        "limits.log_body": f"{int(limits.log_body):,}",
        "limits.nodes": f"{limits.nodes:,}",
        "limits.depth": f"{limits.depth}",
        "limits.connections": f"{limits.connections:,}",
        "limits.in_flight": f"{Settings().parts.in_flight // 2**20} MiB",
    }
    for name, value in stated.items():
        line = next(line for line in PAGE.splitlines() if line.startswith("| ") and f"`{name}`" in line)
        assert re.search(rf"(?<![\d,]){re.escape(value)}(?!,?\d)", line), line
