"""Files that users had trouble with, from public threads: `tests/vectors/field`."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.cli import recordings, root
from tests.cli.files import Taken, collector
from tests.inprocess import Pipeline

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "field" / "files"
CASES = [json.loads(path.read_bytes()) for path in sorted(FOLDER.glob("*.json"))]


@pytest.fixture(scope="module")
def taken() -> Iterator[Taken]:
    """Run a collector."""
    with collector() as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_files_of_the_field_are_read(
    case: dict[str, Any],
    taken: Taken,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What can be read is sent or checked, what cannot is named, and the exit code says which."""
    (step,) = case["send"]
    content = base64.b64decode(step["base64"]) if "base64" in step else step["text"].encode()
    verb = "replay" if "replay" in step else "check"
    path = tmp_path / ("stdin" if step.get("stdin") else step[verb])
    path.write_bytes(content)
    name = "-" if step.get("stdin") else str(path)
    if step.get("stdin"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    code = root.run(["replay", name, "--endpoint", taken.url] if verb == "replay" else ["check", "--input", name])
    said = capsys.readouterr()
    assert code in step["exit"], said.err
    assert re.search(step["says"], said.out + said.err), said
    assert "Traceback" not in said.err
    if code and verb == "replay":
        assert f"{path}:" in said.err
    if case["rows"]:
        with Pipeline(tmp_path / "data") as pipeline:
            pipeline.group(recordings.read(str(path), lambda trouble: None), 1)
            pipeline.apply()
            pipeline.tick(2 * 10**18)
            for row in case["rows"]:
                rows = pipeline.database.reading(lambda h, sql=row["sql"]: h.rows(sql))
                assert [list(r) for r in rows] == row["is"]
