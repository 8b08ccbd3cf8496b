"""`runwell keys`: made beside whatever runs, shown once, listed without their texts, revoked for good."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from collector.cli.root import run
from collector.control import FILE, keys


def test_keys_are_made_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several are active at a time; a list has no text of any; a revoked one stays revoked; one that is not is 1."""
    data = tmp_path / "data"

    def told(*words: str, code: int = 0) -> str:
        assert run(["keys", *words, "--data", str(data)]) == code
        return "".join(capsys.readouterr())

    assert "No keys yet" in told("list")
    assert not data.exists()
    shown = told("create", "--scope", "ingest", "--for", "trigger-dev", "--expires", "90d")
    text = re.search(r"rw_i_[0-9a-f]{8}_[\w-]{43}\n", shown)
    assert text is not None
    for line in (f"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20{text[0]}", "logExporters: [new OTLPLogExporter("):
        assert line in shown
    told("create", "--scope", "ingest", "--for", "trigger-dev")
    assert stat.S_IMODE((data / FILE).stat().st_mode) == 0o600
    first, second = keys.read(data / FILE)
    assert first.expires_ns is not None
    assert (first.expires_ns - first.created_ns, second.expires_ns) == (90 * 86_400 * 10**9, None)
    told("revoke", first.id)
    told("revoke", first.id)
    listed = told("list")
    assert [line.split()[-1] for line in listed.splitlines()] == ["status", "revoked", "active"]
    assert text[0].strip() not in listed
    assert "no key 'nothing'" in told("revoke", "nothing", code=1)


@pytest.mark.parametrize("words", [["--expires", "0d"], ["--expires", "soon"], ["--for", " "], ["--for", "a\nb"]])
def test_what_is_no_key_is_not_made(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A duration that is none, and a name that nobody could read, are a wrong command line."""
    options = {"--scope": "read", "--for": "me", **dict([words])}  # type: ignore[list-item]
    assert run(["keys", "create", *(w for pair in options.items() for w in pair), "--data", str(tmp_path / "d")]) == 2
    assert words[0] in capsys.readouterr().err
