"""`runwell schema`: what `runwell sql` may be asked of."""

from __future__ import annotations

from typing import Any

import pytest

from collector.cli import root
from collector.store import meanings

TABLES = meanings.tables()


@pytest.mark.parametrize("columns", ["80", "200"])
@pytest.mark.parametrize("table", TABLES, ids=[t["name"] for t in TABLES])
def test_every_column_is_told_whatever_the_width(
    table: dict[str, Any], columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table shows its row and each column with type and meaning, in lines that fit; the list has its row."""
    monkeypatch.setenv("COLUMNS", columns)
    assert root.run(["schema", table["name"]]) == 0
    lines = capsys.readouterr().out.splitlines()
    text = " ".join(" ".join(lines).split())
    assert table["row"] in text
    assert all(f"{c['name']} {c['type']} {c['meaning']}" in text for c in table["columns"])
    assert all(len(line) <= min(int(columns), 120) or " " not in line.strip() for line in lines)
    assert root.run(["schema"]) == 0
    assert f"{table['name']} {table['layer']} {table['row']}" in " ".join(capsys.readouterr().out.split())


def test_a_table_that_is_not_there_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """A private table is no more there than one that never was: exit code 2, and what lists them."""
    for name in ("run_links", "nothing"):
        assert root.run(["schema", name]) == 2
        assert capsys.readouterr().err == f"runwell: {name}: no such table; `runwell schema` lists them.\n"
