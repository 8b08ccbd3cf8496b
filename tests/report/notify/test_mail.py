"""Mail, against a real SMTP server on loopback: text, page, picture, and an id that stays the same."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import pytest

from collector.report.notify import NotSent, channels
from collector.report.notify.message import Message
from collector.settings.reports import Channel
from tests.report import a_report
from tests.report.notify import endpoints
from tests.report.notify.endpoints import Mailbox

NOW = 1_795_500_000
KEY = "0123456789abcdef0123456789abcdef"
MESSAGE = Message(a_report.night(), KEY, "http://127.0.0.1:8501")


class Server:
    """A mail server, and the channel that leads to it."""

    def __init__(self, mailbox: Mailbox, port: int) -> None:
        self.mailbox = mailbox
        self.port = port

    def send(self, message: Message = MESSAGE, *, to: str = "a@example.com", more: str = "") -> str:
        """Send *message* to addresses with commas between them."""
        url = f"mailto://127.0.0.1:{self.port}?from=runs@example.org&to={to}{more}"
        channel = Channel.model_validate({"name": "mail", "type": "apprise", "url": url})
        return channels.send(channel, message, (), NOW)


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve SMTP."""
    with endpoints.smtp() as (mailbox, port):
        yield Server(mailbox, port)


def parts(mail: EmailMessage) -> dict[str, EmailMessage]:
    """Return the parts by type and disposition."""
    by_type: dict[str, EmailMessage] = {}
    for part in mail.walk():
        if not part.is_multipart():
            assert isinstance(part, EmailMessage)
            by_type[f"{part.get_content_type()} {part.get_content_disposition() or ''}".strip()] = part
    return by_type


def test_a_mail_has_text_page_picture_and_the_whole_report(server: Server) -> None:
    """The page shows the chart from within the mail; the whole report is a file that opens without a network."""
    assert server.send() == ""
    (mail,) = server.mailbox.mails
    assert (mail["From"], mail["To"]) == ("runwell <runs@example.org>", "a@example.com")
    assert str(mail["Subject"]) == MESSAGE.subject
    by_type = parts(mail)
    assert list(by_type) == ["text/plain", "text/html", "image/png inline", "text/html attachment"]
    assert by_type["text/plain"].get_content().replace("\r\n", "\n").strip() == MESSAGE.text.strip()
    assert 'src="cid:chart"' in by_type["text/html"].get_content()
    assert by_type["image/png inline"]["Content-ID"] == "<chart>"
    assert by_type["image/png inline"].get_content() == MESSAGE.picture
    assert MESSAGE.picture is not None
    assert MESSAGE.picture.startswith(b"\x89PNG")
    assert by_type["text/html attachment"].get_filename() == f"runwell-morning-{MESSAGE.report.id}.html"
    assert b"<svg" in by_type["text/html attachment"].get_content().encode()


def test_sent_again_a_mail_has_the_same_id(server: Server) -> None:
    """Mail programs and servers that know an id drop the repetition; another report or channel has another."""
    server.send()
    server.send()
    server.send(Message(a_report.nothing(), "f" * 32))
    ids = [mail["Message-ID"] for mail in server.mailbox.mails]
    assert ids == [f"<{KEY}.runwell@example.org>"] * 2 + [f"<{'f' * 32}.runwell@example.org>"]


def test_a_report_without_a_chart_has_no_picture(server: Server) -> None:
    """The page then refers to none."""
    server.send(Message(a_report.nothing(), KEY))
    by_type = parts(server.mailbox.mails[0])
    assert list(by_type) == ["text/plain", "text/html", "text/html attachment"]
    assert "<img" not in by_type["text/html"].get_content()


def test_everybody_the_url_names_gets_it_and_bcc_is_not_told(server: Server) -> None:
    """One mail, with the recipients of its URL."""
    server.send(to="a@example.com,b@example.com", more="&cc=c@example.com&bcc=d@example.com")
    assert server.mailbox.recipients == [["a@example.com", "b@example.com", "c@example.com", "d@example.com"]]
    (mail,) = server.mailbox.mails
    assert (mail["To"], mail["Cc"]) == ("a@example.com, b@example.com", "c@example.com")
    assert b"d@example.com" not in bytes(mail)


def test_a_recipient_that_is_refused_does_not_hold_up_the_others(server: Server) -> None:
    """Who was refused is counted in the note; when all were, it was not sent."""
    server.mailbox.refuse["b@example.com"] = "550 no such user"
    assert server.send(to="a@example.com,b@example.com") == "1 of 2 recipients were refused"
    assert server.mailbox.recipients == [["a@example.com"]]
    with pytest.raises(NotSent, match=r"refused every recipient \(550\)"):
        server.send(to="b@example.com")


def test_a_server_that_says_no_or_nothing_is_told_by_its_number(server: Server) -> None:
    """What it wrote beside the number is not repeated."""
    server.mailbox.answer = "451 secret of the server"
    with pytest.raises(NotSent) as why:
        server.send()
    assert why.value.reason == "the mail server answered 451"
    server.port = endpoints.free_port()
    with pytest.raises(NotSent) as why:
        server.send()
    assert why.value.reason == "the mail server does not answer, or ended the connection"


def test_a_server_that_took_the_mail_has_it_however_it_ends(server: Server) -> None:
    """An error after the mail was taken sends it no second time."""
    server.mailbox.farewell = "421 too busy to say goodbye"
    assert server.send() == ""
    assert len(server.mailbox.mails) == 1


def test_tls_that_was_asked_for_is_not_left_out(server: Server) -> None:
    """A server without STARTTLS gets no mail over `mailtos://`, and no password."""
    url = f"mailtos://me:secret@127.0.0.1:{server.port}?from=runs@example.org&to=a@example.com&mode=starttls"
    channel = Channel.model_validate({"name": "mail", "type": "apprise", "url": url})
    with pytest.raises(NotSent) as why:
        channels.send(channel, MESSAGE, (), NOW)
    assert "secret" not in why.value.reason
    assert server.mailbox.mails == []


@pytest.mark.parametrize(
    ("more", "password", "why"),
    [
        ("&verify=no", "secret", None),
        ("&verify=no", "wrong", "the mail server refused the login (535)"),
        ("", "secret", "the mail server's certificate or TLS was not accepted"),
    ],
)
def test_login_and_tls_are_those_of_the_url(tmp_path: Path, more: str, password: str, why: str | None) -> None:
    """STARTTLS comes before the login, a certificate nobody vouches for is refused, and so is a wrong password told."""
    certificate = endpoints.certificate(tmp_path, "mail.example.com")
    with endpoints.smtp(certificate, (b"me", b"secret")) as (mailbox, port):
        url = f"mailtos://me:{password}@127.0.0.1:{port}?from=r@example.org&to=a@example.com&mode=starttls{more}"
        channel = Channel.model_validate({"name": "mail", "type": "apprise", "url": url})
        if why is None:
            assert channels.send(channel, MESSAGE, (), NOW) == ""
        else:
            with pytest.raises(NotSent) as raised:
                channels.send(channel, MESSAGE, (), NOW)
            assert raised.value.reason == why
        assert len(mailbox.mails) == (why is None)


class Tags(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def test_hostile_names_make_no_header_and_no_markup(server: Server) -> None:
    """Whatever telemetry writes into names, the mail has our headers and our tags alone."""
    server.send(Message(a_report.hostile(), KEY))
    (mail,) = server.mailbox.mails
    plain = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"}
    assert set(mail.keys()) - {"X-Peer", "X-MailFrom", "X-RcptTo"} == plain
    page = Tags()
    page.feed(parts(mail)["text/html"].get_content())
    assert page.tags <= {"html", "head", "meta", "title", "body", "div", "p", "h1", "h2", "img", "table", "tr", "td"}
    assert page.attributes <= {"lang", "charset", "style", "src", "width", "alt", "role"}
    assert "<script>alert(2)</script>" in page.text
