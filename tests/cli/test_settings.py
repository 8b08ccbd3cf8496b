"""Where settings come from, which wins, and what is said about wrong ones."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from collector import settings
from collector.cli import root
from collector.model.errors import UsageError
from collector.settings import replaced
from tests.store import kept
from tests.vectors.stores import make


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
    loaded = settings.load({"data": tmp_path, "http_port": 3})
    assert (loaded.http_port, loaded.grpc_port, loaded.api_port, loaded.dashboard_port) == (3, 2, 1, 8501)


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
        ("[[queues.overrides]]\nqueue = 'mail'\nenvironment = 'live'\nlimit = -1", "queues.overrides.0.limit: "),
        ("[[queues.overrides]]\nqueue = 'mail'\nproject = 'x'\nlimit = 1", "queues.overrides.0.project: "),
        ("[[queues.overrides]]\nqueue = 'mail'\nlimit = 1", "name a platform_project or an environment"),
        ("[[queues.overrides]]\nqueue = 'mail'\nenvironment = 'live'\nlimit = []", "give a number of slots"),
        ("[queues.limits]\nmail = []", "give a number of slots"),
        ("[queues.limits]\nmail = true", "give a number of slots"),
        ("[queues]\noverrides = 5", "queues.overrides: give `[[queues.overrides]]` tables"),
        (2 * "[[queues.overrides]]\nqueue = 'mail'\nenvironment = 'live'\nlimit = 1\n", "has two limits for the same"),
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
        ("replay wrong.jsonl", "wrong.jsonl:1"),
        ("replay directory", "directory"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str, names: str
) -> None:
    """Each error is one line on stderr that names the option or path, and an exit code that is not 0."""
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "wrong.jsonl").write_text('{"signal": "smoke"}\n')
    (tmp_path / "directory").mkdir()
    assert root.run(line.split()) in (1, 2)
    written = capsys.readouterr()
    assert names in written.err
    assert written.err.startswith("runwell: ")
    assert written.err.count("\n") == 1
    assert written.out == ""


def test_help_lists_the_verbs_and_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names what there is; each verb explains its own options."""
    assert root.run(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in ("serve", "up", "dashboard", "demo", "replay", "sql"):
        assert verb in text
        assert root.run([verb, "--help"]) == 0
        assert "--data" in capsys.readouterr().out


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say that some settings had other names."""
    table = {
        "store.cache": "store.memory",
        "limits.held": "journal.full_size",
        "otlp_port": "http_port",
        "exporter.key": "telemetry.headers",
        "cors.allowed": "cors.origins",
        "place": "data",
    }
    monkeypatch.setattr(replaced, "REPLACED", table)


def load(capsys: pytest.CaptureFixture[str], **options: object) -> tuple[settings.Settings, list[str]]:
    """Return the settings, and the lines that were told."""
    loaded = settings.load(options)
    return loaded, capsys.readouterr().err.splitlines()


@pytest.mark.usefixtures("renamed")
def test_an_old_name_is_read_as_the_new_one_and_the_line_to_write_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the file, as a variable (whose section may be JSON, or be gone) and as an option: each is one line that says
    what was read and what to write instead, without the value where that may be a secret."""
    file = tmp_path / "runwell.toml"
    file.write_text('otlp_port = 7\n[limits]\nheld = "3GiB"\n')
    monkeypatch.setenv("RUNWELL_STORE", '{"cache": "1GiB", "threads": 1}')
    monkeypatch.setenv("runwell_exporter__key", "a=secret")
    monkeypatch.setenv("RUNWELL_CORS__ALLOWED", '["https://app.example.com"]')
    loaded, lines = load(capsys, data=tmp_path)
    assert (loaded.store.memory, loaded.store.threads, loaded.journal.full_size) == (2**30, 1, 3 * 2**30)
    assert (loaded.http_port, loaded.telemetry.header_fields()) == (7, {"a": "secret"})
    assert loaded.cors.origins == ("https://app.example.com",)
    assert sorted(lines) == sorted(
        [
            "runwell: RUNWELL_STORE: store.cache is read as store.memory; write instead: RUNWELL_STORE__MEMORY=1GiB",
            "runwell: runwell_exporter__key is read as telemetry.headers; write instead: RUNWELL_TELEMETRY__HEADERS=…",
            "runwell: RUNWELL_CORS__ALLOWED is read as cors.origins; "
            'write instead: RUNWELL_CORS__ORIGINS=["https://app.example.com"]',
            f"runwell: {file}: limits.held is read as journal.full_size; "
            'write instead: full_size = "3GiB" in [journal]',
            f"runwell: {file}: otlp_port is read as http_port; write instead: http_port = 7 before the first section",
        ]
    )
    with pytest.raises(UsageError, match="cache2: no such setting"):
        settings.load({"data": tmp_path, "store": {"cache2": 1}})


@pytest.mark.usefixtures("renamed")
def test_a_new_name_wins_over_the_old_one_wherever_either_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old one is told as not read; of two old ones the variable wins over the file."""
    (tmp_path / "runwell.toml").write_text('otlp_port = 7\n[store]\nmemory = "1GiB"\n[limits]\nheld = "3GiB"\n')
    monkeypatch.setenv("RUNWELL_STORE__CACHE", "2GiB")
    monkeypatch.setenv("RUNWELL_LIMITS__HELD", "5GiB")
    monkeypatch.setenv("RUNWELL_PLACE", str(tmp_path))
    loaded, lines = load(capsys, http_port=9)
    assert (loaded.data, loaded.http_port) == (tmp_path, 9)
    assert (loaded.store.memory, loaded.journal.full_size) == (2**30, 5 * 2**30)
    not_read = [line.split(" is not read, since ")[0] for line in lines if "take it out" in line]
    file = tmp_path / "runwell.toml"
    assert sorted(not_read) == sorted(
        [
            f"runwell: {file}: otlp_port",
            "runwell: RUNWELL_STORE__CACHE",
            f"runwell: {file}: limits.held",
        ]
    )
    assert len(lines) == 5


@pytest.mark.usefixtures("renamed")
def test_an_old_option_of_the_command_line_is_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told like the others, and a wrong value under its new name; an option that never was stays an error."""
    arguments = ["serve", "--data", str(tmp_path)]
    assert root.run([*arguments, "--otlp-port=70000"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "runwell: --otlp-port is read as http_port; write instead: --http-port 70000"
    assert second.startswith("runwell: --http-port (RUNWELL_HTTP_PORT): ")
    assert root.run([*arguments, "--otlp-ports", "1"]) == 2
    assert "--otlp-ports" in capsys.readouterr().err


def test_children_of_a_runwell_read_no_old_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is passed to them has new names, and an old variable in their environment is no error."""
    monkeypatch.setattr(replaced, "REPLACED", {"store.cache": "store.memory"})
    monkeypatch.setenv("RUNWELL_STORE__CACHE", "1GiB")
    passed = settings.load({}, tell=lambda _: None).model_dump_json(context={"secrets": True})
    assert settings.Settings.model_validate_json(passed).store.memory == 2**30


def test_the_names_that_replace_others_are_settings_and_the_old_ones_are_not() -> None:
    """No row of the table leads nowhere, to another row, or hides a setting."""
    there = set(names(settings.Settings))
    assert set(replaced.REPLACED.values()) <= there
    assert not set(replaced.REPLACED) & there


def names(section: type[BaseModel], before: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings."""
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from names(inner, f"{before}{name}.")
        else:
            yield before + name


@pytest.mark.parametrize("version", kept.VERSIONS)
def test_the_settings_file_of_every_version_is_read_whole(version: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Every name that a version had is read, by itself or as the one that replaced it, and only those are told."""
    path = make.HERE / str(version) / "runwell.toml"
    tables = tomllib.loads(path.read_text("utf-8"))
    old = [name for name in replaced.REPLACED if replaced.take(tables, "")[1]]
    loaded = settings.load({}, config=path)
    assert len(capsys.readouterr().err.splitlines()) == len(old)
    assert loaded.reports.schedules[0].name == "year"
    assert loaded.model_fields_set >= set(tables) - {name.split(".")[0] for name in old}


def test_hosts_are_names_and_addresses_in_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`hosts` comes from the file or as JSON from its variable; schemes, ports and `*` are told. Others are
    asked for in vain, but where a key judges."""
    config = tmp_path / "other.toml"
    config.write_text('hosts = ["Runwell.Example.com.", "10.9.8.7"]')
    known = settings.load({"data": tmp_path}, config=config).known_hosts
    assert known.judge(["runwell.example.com:1"]) is known.judge(["10.9.8.7"]) is None
    assert known.judge(["a.example"]) is not None
    assert settings.load({"data": tmp_path, "keys": "required"}, config=config).known_hosts.judge(["a.example"]) is None
    for wrong in ("https://a.example", "a.example:80", "*", "*.example", "", "a b", "[::1", "localhost/"):
        monkeypatch.setenv("RUNWELL_HOSTS", json.dumps([wrong]))
        with pytest.raises(UsageError, match="without scheme, port and"):
            settings.load({"data": tmp_path})
