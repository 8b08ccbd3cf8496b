"""Where settings come from, which wins, and what is said about wrong ones."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from collector import settings
from collector.cli import root
from collector.model.errors import UsageError


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the machine's own variables and directory out of the tests."""
    import os

    for name in [n for n in os.environ if n.startswith("RUNWELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_an_option_wins_over_a_variable_over_a_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each source counts where those above it say nothing."""
    (tmp_path / "runwell.toml").write_text('http_port = 1\ngrpc_port = 1\napi_port = 1\n[store]\nmemory = "1GiB"\n')
    monkeypatch.setenv("RUNWELL_HTTP_PORT", "2")
    monkeypatch.setenv("RUNWELL_GRPC_PORT", "2")
    found = settings.load({"data": tmp_path, "http_port": 3})
    assert (found.http_port, found.grpc_port, found.api_port, found.dashboard_port) == (3, 2, 1, 8501)


def test_sections_are_merged_setting_by_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A variable for one setting of a section leaves the file's others, and both leave the defaults."""
    config = tmp_path / "other.toml"
    config.write_text('[journal]\nkeep = "PT1H"\nresend_window = "PT2H"\n')
    monkeypatch.setenv("RUNWELL_JOURNAL__KEEP", "PT48H")
    journal = settings.load({"data": tmp_path}, config=config).journal
    assert (journal.keep, journal.resend_window) == (timedelta(hours=48), timedelta(hours=2))
    assert journal.keep_size == settings.Journal().keep_size


def test_the_file_in_the_data_directory_is_found_by_option_or_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`runwell.toml` in whichever data directory is meant is read without being named."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "runwell.toml").write_text("api_port = 7\n")
    assert settings.load({"data": tmp_path / "here"}).api_port == 7
    monkeypatch.setenv("RUNWELL_DATA", str(tmp_path / "here"))
    assert settings.load().api_port == 7


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("http_port = 'x'", "http-port"),
        ("http_port = 70000", "70000"),
        ("colour = 'red'", "colour"),
        ("[store]\ncolour = 'red'", "store.colour"),
        ("[store]\nthreads = 'many'", "store.threads"),
        ("[store]\nquery_time = 'long'", "store.query_time"),
        ("http_port = ", "runwell.toml"),
        ("\udcff", "runwell.toml"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence_that_names_the_setting(tmp_path: Path, text: str, names: str) -> None:
    """Unknown settings, values of the wrong form and unreadable files are named, with what to do or expect."""
    (tmp_path / "runwell.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as wrong:
        settings.load({"data": tmp_path})
    assert names in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence gives the variable beside the option."""
    monkeypatch.setenv("RUNWELL_HTTP_PORT", "x")
    with pytest.raises(UsageError, match=r"--http-port \(RUNWELL_HTTP_PORT\).*'x'"):
        settings.load()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("serve --host 0.0.0.0", "--host 0.0.0.0"),
        ("serve --host example.com", "--host example.com"),
        ("serve --http-port x", "--http-port"),
        ("serve --http-port 70000", "--http-port"),
        ("serve --http-port=-1", "--http-port"),
        ("serve --config nothing.toml", "--config nothing.toml"),
        ("serve --only everything", "--only"),
        ("serve --colour red", "--colour"),
        ("sing", "sing"),
        ("sql", "--query"),
        ("sql --url http://127.0.0.1:9 select", "http://127.0.0.1:9"),
        ("sql --format xml select", "--format"),
        ("replay", "FILE"),
        ("replay --colour red", "--colour"),
        ("replay nothing.jsonl", "nothing.jsonl"),
        ("replay empty.jsonl", "empty.jsonl"),
        ("replay wrong.jsonl", "wrong.jsonl:2"),
        ("replay directory", "directory"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str, names: str
) -> None:
    """Each error is one line on stderr that names the option or path, and an exit code that is not 0."""
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "wrong.jsonl").write_text('{"resourceLogs": []}\n{"signal": "smoke"}\n')
    (tmp_path / "directory").mkdir()
    assert root.run(line.split()) in (1, 2)
    told = capsys.readouterr()
    assert names in told.err
    assert told.err.startswith("runwell: ")
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_help_lists_the_verbs_and_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names what there is; each verb explains its own options."""
    assert root.run(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in ("serve", "up", "dashboard", "demo", "replay", "sql"):
        assert verb in text
        assert root.run([verb, "--help"]) == 0
        assert "--data" in capsys.readouterr().out
