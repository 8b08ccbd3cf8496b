"""Stdin is a file like any other, wherever `-` stands on a command line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.cli import root
from collector.cli.check import each_input
from tests.cli.files import collector, request
from tests.cli.test_files_text import dump

OPTIONS = (["--fail-on", "never"], ["--format", "json"], ["--strict"], ["--select=KEY001"])


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return names of a file and of stdin, each with a request."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(dump(request("b_completed")))))
    (tmp_path / "a.jsonl").write_bytes(dump(request("a_completed")))
    return {"A": str(tmp_path / "a.jsonl"), "-": "-"}


@pytest.mark.parametrize(
    "line",
    [
        "--input -",
        "--input=-",
        "--select=KEY001 --input -",
        "--input A -",
        "--input - A",
        "--input A --input -",
        "--input=A -",
    ],
)
def test_check_reads_stdin(line: str, paths: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each form takes stdin and leaves the options behind it to be options."""
    arguments = [word.replace("A", paths["A"]) for word in line.split()] + ["--fail-on", "never", "--format", "json"]
    assert root.run(["check", *arguments]) == 0
    said = capsys.readouterr()
    assert said.err == "" and json.loads(said.out)
    root.run(["check", *(word.replace("A", paths["A"]) for word in line.split()), "--nope"])
    assert "--nope" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["-", "A -", "- A", "--endpoint URL -", "- --endpoint URL", "--endpoint URL -- -"])
def test_replay_reads_stdin(line: str, paths: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The same for what is sent."""
    with collector() as taken:
        words = line.split() if "URL" in line else ["--endpoint", "URL", *line.split()]
        code = root.run(["replay", *({**paths, "URL": taken.url}.get(word, word) for word in words)])
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    bodies = [json.loads(body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"] for _, body in taken.requests]
    assert {record["body"]["stringValue"] for (record,) in bodies} == (
        {"a_completed", "b_completed"} if "A" in line else {"b_completed"}
    )


@given(st.lists(st.lists(st.sampled_from(("-", "a", "b c", "=")), min_size=1, max_size=3) | st.sampled_from(OPTIONS)))
def test_files_are_told_from_options(groups: list[list[str]]) -> None:
    """Every value of `--input` is a file, and nothing else is moved or lost."""
    line, files, rest = [], [], []
    for group in groups:
        if group in OPTIONS:
            rest += group
            line += group
        else:
            files += group
            line += ["--input", *group]
    spelled = each_input(line)
    assert [word.removeprefix("--input=") for word in spelled if word.startswith("--input=")] == files
    assert [word for word in spelled if not word.startswith("--input=")] == rest
