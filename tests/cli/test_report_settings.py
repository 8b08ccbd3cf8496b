"""What the `[reports]` section takes, what is said of wrong ones, and that its secrets are never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector import settings
from collector.cli.dashboard import beside
from collector.model.address import http_url
from collector.model.errors import UsageError

CANARY = "canary-6f1c0b77d2"
GOOD = f"""
[reports]
zone = "Europe/Berlin"

[[reports.schedules]]
name = "morning"
cron = "0 9 * * 1-5"
zone = "Asia/Kolkata"
period = "PT24H"
deliver = ["chat", "hook"]

[[reports.channels]]
name = "chat"
type = "apprise"
url = "slack://{CANARY}/b/c"

[[reports.channels]]
name = "hook"
type = "webhook"
url = "https://hooks.example.com/{CANARY}"
secret = "{CANARY}-{CANARY}"
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the machine's own variables and directory out of the tests."""
    import os

    for name in [n for n in os.environ if n.startswith("RUNWELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def load(text: str) -> settings.Settings:
    """Return the settings of a file."""
    Path("given.toml").write_text(text)
    return settings.load({}, config=Path("given.toml"))


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("0 9 * * 1-5", "0 9 * * 9", "schedules.0.cron: bad day-of-week"),
        ("0 9 * * 1-5", "0 9 * *", "schedules.0.cron: expected five fields"),
        ("0 9 * * 1-5", "0 0 9 * * 1", "schedules.0.cron: expected five fields"),
        ("0 9 * * 1-5", "@daily", "'@daily'"),
        ("0 9 * * 1-5", "0 0 30 2 *", "schedules.0.cron: bad day-of-month"),
        ("Asia/Kolkata", "Asia/Kolkatta", "schedules.0.zone: no such time zone"),
        ("Europe/Berlin", "../../etc/passwd", "reports.zone: no such time zone"),
        ('["chat", "hook"]', '["chat", "hat"]', "schedules: morning: deliver: no channel 'hat'; there are chat, hook"),
        ("PT24H", "PT1S", "schedules.0.period: expected a length"),
        ('"hook"\ntype', '"chat"\ntype', "two are called chat"),
        ('"morning"', '"on demand"', "schedules.0.name"),
        ('"webhook"', '"pigeon"', "channels.1.type"),
        ('"webhook"', '"apprise"', "channel hook: secret is for webhooks"),
        ('secret = "', 'colour = "', "channels.1.colour: no such setting"),
        (f'secret = "{CANARY}-{CANARY}"', 'secret = "short"', "channel hook: secret: expected 16 characters"),
        (f'secret = "{CANARY}-{CANARY}"', "", "channel hook: a webhook needs a secret"),
        ("https://hooks.example.com", "ftp://hooks.example.com", "channel hook: url: expected an address"),
        ("slack://", "", "channel chat: url: expected an Apprise URL"),
        ("[reports]", '[reports]\ninternal_hosts = ["a b"]', "internal_hosts.0: expected a host"),
        ("[reports]", '[reports]\ndashboard = "nowhere"', "reports.dashboard"),
        (
            "[reports]",
            '[reports]\ndashboard = "http://me:pw@host"',
            "reports.dashboard: expected an address without login",
        ),
        ("[reports]", '[reports]\ncatch_up = "soon"', "reports.catch_up"),
    ],
)
def test_a_wrong_report_setting_is_one_sentence_that_names_it(old: str, new: str, names: str) -> None:
    """Each mistake is told with its field, what was expected, and without any secret."""
    assert old in GOOD
    with pytest.raises(UsageError) as wrong:
        load(GOOD.replace(old, new, 1))
    assert names in str(wrong.value)
    assert "\n" not in str(wrong.value)
    assert CANARY not in str(wrong.value)


@pytest.mark.parametrize("path", ["channels", "channels.0", "channels.0.url", "channels.1.secret"])
def test_a_secret_in_a_value_of_the_wrong_form_is_not_quoted(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Where a table, a list or a text was expected and something else stands there, the sentence does not repeat it."""
    channels: list[object] = [
        {"name": "chat", "type": "apprise", "url": "slack://a/b"},
        {"name": "hook", "type": "webhook", "url": "https://a.example/", "secret": CANARY},
    ]
    wrong: object = channels
    if path == "channels":
        wrong = CANARY
    elif path == "channels.0":
        channels[0] = CANARY
    else:
        channel = channels[int(path.split(".")[1])]
        assert isinstance(channel, dict)
        channel[path.rpartition(".")[2]] = [CANARY]
    monkeypatch.setenv("RUNWELL_REPORTS", json.dumps({"channels": wrong}))
    with pytest.raises(UsageError, match=f"reports.{path}") as error:
        settings.load()
    assert CANARY not in str(error.value)


def test_a_variable_that_is_no_json_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the variable and does not repeat its value."""
    monkeypatch.setenv("RUNWELL_REPORTS__CHANNELS", f"[{CANARY}")
    with pytest.raises(UsageError, match="RUNWELL_REPORTS") as error:
        settings.load()
    assert CANARY not in str(error.value)


def test_secrets_are_shown_to_a_child_process_alone() -> None:
    """Neither text nor JSON of the settings holds one, unless a child is told; what it reads is the same again."""
    loaded = load(GOOD)
    assert CANARY not in f"{loaded!r} {loaded} {loaded.model_dump()} {loaded.model_dump_json()}"
    text = loaded.model_dump_json(context={"secrets": True})
    assert settings.Settings.model_validate_json(text) == loaded
    assert text.count(CANARY) == 4


def test_a_reference_stands_for_a_file_or_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Inside a URL what is read is encoded, so that it cannot change the URL; alone it is taken as it is."""
    (tmp_path / "password").write_text("p@ss/w:rd?\n")
    monkeypatch.setenv("SIGN", "s" * 20)
    text = GOOD.replace(f"slack://{CANARY}/b/c", f"mailtos://me:${{file:{tmp_path}/password}}@mail.example.com")
    reports = load(text.replace(f"{CANARY}-{CANARY}", "${env:SIGN}")).reports.resolved()
    assert reports.channels[0].url.get_secret_value() == "mailtos://me:p%40ss%2Fw%3Ard%3F@mail.example.com"
    assert reports.channels[1].secret is not None
    assert reports.channels[1].secret.get_secret_value() == "s" * 20


@pytest.mark.parametrize(
    ("reference", "content", "names"),
    [
        ("${file:nowhere}", None, "cannot be read (No such file"),
        ("${file:there}", "", "is empty"),
        ("${file:there}", "short", "expected 16 characters"),
        ("${env:NOT_THERE}", None, "no such variable"),
    ],
)
def test_a_reference_that_leads_nowhere_is_one_sentence(reference: str, content: str | None, names: str) -> None:
    """It names the channel and the field, and what to do."""
    if content is not None:
        Path("there").write_text(content)
    loaded = load(GOOD.replace(f"{CANARY}-{CANARY}", reference))
    with pytest.raises(UsageError) as wrong:
        loaded.reports.resolved()
    assert names in str(wrong.value)
    assert "channel hook: secret" in str(wrong.value)


def test_the_documented_example_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The settings that docs/reports.md shows load, and their references are read."""
    text = (Path(__file__).parents[2] / "docs" / "reports.md").read_text().split("```toml")[1].split("```")[0]
    for name in ("smtp", "hook"):
        (tmp_path / name).write_text(CANARY)
        text = text.replace(f"/run/secrets/{name}", str(tmp_path / name))
    monkeypatch.setenv("SLACK_URL", "slack://a/b/c")
    reports = load(text).reports.resolved()
    assert [c.name for c in reports.channels] == list(reports.schedules[0].deliver)
    assert f"runs:{CANARY}@mail" in reports.channels[0].url.get_secret_value()


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 0), ("::1", 8502)])
def test_up_knows_where_its_reports_lead(host: str, port: int) -> None:
    """With a dashboard beside it, links lead where that listens; an address that is stated stays."""
    known = beside(settings.Settings(host=host, dashboard_port=port))
    assert known.dashboard_port == port or not port
    assert str(known.reports.dashboard) == f"{http_url(host, known.dashboard_port)}/"
    stated = load(GOOD.replace("[reports]", '[reports]\ndashboard = "https://runs.example.com/ops"'))
    assert str(beside(stated).reports.dashboard) == "https://runs.example.com/ops"
