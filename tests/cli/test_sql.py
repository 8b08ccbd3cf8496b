"""`runwell sql`: what its exit code says."""

from __future__ import annotations

import pyarrow as pa
import pytest

from collector.cli.root import run
from collector.client import Answer, Client


@pytest.mark.parametrize("form", ["table", "json", "csv"])
@pytest.mark.parametrize(("truncated", "code"), [("", 0), ("rows", 1), ("bytes", 1)])
def test_an_answer_that_was_cut_says_so_in_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], form: str, truncated: str, code: int
) -> None:
    """The rows there are come out, one line says which limit cut them, and a script sees it too."""
    monkeypatch.setattr(Client, "sql", lambda self, text: Answer(pa.table({"n": [7]}), truncated))
    assert run(["sql", "select 7 as n", "--format", form, "--url", "http://127.0.0.1:9"]) == code
    out, err = capfdbinary.readouterr()
    assert b"7" in out
    assert (b"was cut at the limit of " + truncated.encode() in err) == bool(truncated)
