"""Chat by Apprise, against real HTTP endpoints on loopback: what is sent, with which picture, and what is told."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

import pytest

from collector.report.notify import NotSent, channels
from collector.report.notify.message import Message, inert
from collector.settings.reports import Channel
from tests.report import a_report
from tests.report.notify import endpoints
from tests.report.notify.endpoints import Endpoint

KEY = "0123456789abcdef0123456789abcdef"
MESSAGE = Message(a_report.night(), KEY, "http://127.0.0.1:8501")
CANARY = "canary6f1c0b77d2"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Serve HTTP on loopback."""
    with endpoints.http() as served:
        served.status = 200
        yield served


def channel(url: str) -> Channel:
    """Return a channel of *url*."""
    return Channel.model_validate({"name": "chat", "type": "apprise", "url": url})


def test_a_service_that_takes_attachments_gets_the_picture(endpoint: Endpoint) -> None:
    """Apprise's JSON service shows what is handed over: title, lines and the first chart as PNG."""
    assert channels.send(channel(f"json://127.0.0.1:{endpoint.port}/x"), MESSAGE, (), 0) == ""
    (got,) = endpoint.arrived
    body = json.loads(got.body)
    (attached,) = body["attachments"]
    assert (body["title"], body["message"]) == (inert(MESSAGE.subject), MESSAGE.chat)
    assert (attached["filename"], attached["mimetype"]) == (f"{MESSAGE.stem}.png", "image/png")
    assert base64.b64decode(attached["base64"]) == MESSAGE.picture


def test_a_service_without_attachments_gets_the_text(endpoint: Endpoint) -> None:
    """The picture is left out, and the text is there."""
    assert channels.send(channel(f"xml://127.0.0.1:{endpoint.port}/x?format=text"), MESSAGE, (), 0) == ""
    assert MESSAGE.chat.splitlines()[0].encode() in endpoint.arrived[0].body


def test_the_lines_say_what_is_new_and_where_to_read_on() -> None:
    """The verdict, the period with its zone, each anomaly with its state and its link, and the report's."""
    lines = MESSAGE.chat.splitlines()
    assert lines[0].startswith("charge-order failed 15 times as often as usual for 5 hours; 1 more is new;")
    assert lines[1].endswith(f"times in {MESSAGE.report.zone}")
    assert [line.split(". ")[0] for line in lines[2:8:2]] == ["1", "2", "3"]
    url = f"http://127.0.0.1:8501/reports?report={MESSAGE.report.id}"
    assert lines[3:9:2] == [f"{url}&anomaly={a.key}" for a in MESSAGE.report.anomalies]
    assert lines[-1] == url


@pytest.mark.parametrize(
    "text",
    [
        "<!channel>",
        "@everyone",
        "@here now",
        "<@U123>",
        "<http://evil.example|click>",
        "[a](http://evil.example)",
        "https://evil.example/x",
        "www.evil.example",
        "*bold* _it_ ~no~ `code`",
        "||spoiler||",
        "#general",
        "a\nb\u202e",
    ],
)
def test_text_of_telemetry_is_inert_in_chat(text: str) -> None:
    """No mention, no link, no markup and no hidden character is left."""
    shown = inert(text)
    assert not re.search(r"<|>|`|\*|(?<!\w)_|~|\||@\w|#\w|://\w|www\.|\n|\u202e", shown)
    assert re.sub(r"\W|_", "", text)[:2] in re.sub(r"\W", "", shown)
    assert inert("send_mail-2 (prod)") == "send_mail-2 (prod)"


def test_what_is_sent_of_hostile_names_is_inert(endpoint: Endpoint) -> None:
    """Title and lines too: of all addresses only the link to the report is left."""
    channels.send(channel(f"json://127.0.0.1:{endpoint.port}/x"), Message(a_report.hostile(), KEY, "http://d"), (), 0)
    body = json.loads(endpoint.arrived[0].body)
    assert "://" not in body["title"]
    url = f"http://d/reports?report={a_report.hostile().id}"
    assert re.findall(r"\S*://\S*", body["message"]) == [
        *(f"{url}&anomaly={a.key}" for a in a_report.hostile().anomalies),
        url,
    ]
    assert not re.search(r"[<>`*|]", body["title"] + body["message"])


def test_a_failure_is_told_by_its_number_alone(endpoint: Endpoint) -> None:
    """What the service answers, and the URL's secrets, are not repeated."""
    endpoint.status = 418
    with pytest.raises(NotSent) as why:
        channels.send(channel(f"json://me:{CANARY}@127.0.0.1:{endpoint.port}/{CANARY}"), MESSAGE, (), 0)
    assert why.value.reason == "it answered 418"


def test_a_redirect_is_not_followed_by_apprise_either(endpoint: Endpoint) -> None:
    """It counts as a failure."""
    with endpoints.http() as other:
        endpoint.status, endpoint.headers = 302, {"location": f"http://127.0.0.1:{other.port}/"}
        with pytest.raises(NotSent):
            channels.send(channel(f"json://127.0.0.1:{endpoint.port}/"), MESSAGE, (), 0)
        assert (len(endpoint.arrived), other.arrived) == (1, [])


@pytest.mark.parametrize("url", ["nosuch://x", "slack://x"])
def test_a_url_that_apprise_cannot_use_is_told(url: str) -> None:
    """It is a failure like any other, before anything is sent."""
    assert "none that Apprise can use" in channels.check(channel(url))
    with pytest.raises(NotSent, match="none that Apprise can use"):
        channels.send(channel(url), MESSAGE, (), 0)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            f"mailtos://me:{CANARY}@example.com?to=a@example.com",
            ("mailtos://me:****@example.com/a%40example.com", True),
        ),
        (f"tgram://123456789:{CANARY}/12315544/", ("tgram://1...2/12315544/", True)),
        (f"json://me:{CANARY}@localhost/path?+x={CANARY}", ("json://me:****@localhost/path", True)),
    ],
)
def test_where_it_would_go_is_shown_without_secrets(url: str, shown: tuple[str, bool]) -> None:
    """The address with its secrets masked, and whether a picture goes along."""
    assert channels.where(channel(url)) == shown


def test_where_a_webhook_would_go_is_its_host() -> None:
    """Its path may be a secret, so it is left out."""
    hook = {"name": "h", "type": "webhook", "url": f"https://h.example/{CANARY}", "secret": "s" * 16}
    assert channels.where(Channel.model_validate(hook)) == ("https://h.example/…", False)
