"""Mail. Apprise reads the URL (`mailto://`, `mailtos://`); the mail is written and handed over here.

Apprise makes a new Message-ID for each attempt, by which nobody could tell that a mail was sent again, and returns
only yes or no. So the mail has a Message-ID of report and channel, and what the server said is told by its number.
"""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from typing import TYPE_CHECKING

from collector.report.notify import NotSent
from collector.report.notify.message import PICTURE_ADDRESS, Message

if TYPE_CHECKING:
    from datetime import datetime

    from apprise.plugins.email import NotifyEmail

_TIME_S = 15.0


def send(message: Message, to: NotifyEmail, now: datetime) -> str:
    """Send *message* to those *to* names; raise NotSent unless the server took it for at least one of them."""
    mail = write(message, to, now)
    recipients = [address for _, address in to.targets] + sorted(to.cc | to.bcc)
    try:
        server = _connect(to)
        try:
            refused = server.send_message(mail, from_addr=_sender(to)[1], to_addrs=recipients)
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):  # it has the mail, or was told why not
                server.quit()
    except smtplib.SMTPAuthenticationError as e:
        raise NotSent(f"the mail server refused the login ({e.smtp_code})") from None
    except smtplib.SMTPRecipientsRefused as e:
        codes = sorted({str(code) for code, _ in e.recipients.values()})
        raise NotSent(f"the mail server refused every recipient ({', '.join(codes)})") from None
    except smtplib.SMTPResponseException as e:
        raise NotSent(f"the mail server answered {e.smtp_code}") from None
    except ssl.SSLError:
        raise NotSent("the mail server's certificate or TLS was not accepted") from None
    except (smtplib.SMTPException, OSError, ValueError):
        raise NotSent("the mail server does not answer, or ended the connection") from None
    return f"{len(refused)} of {len(recipients)} recipients were refused" if refused else ""


def write(message: Message, to: NotifyEmail, now: datetime) -> EmailMessage:
    """Return the mail: text, page with the chart inside, and the whole report attached."""
    mail = EmailMessage()
    name, address = _sender(to)
    mail["From"] = formataddr((name, address))
    mail["To"] = ", ".join(formataddr((str(name or ""), str(address))) for name, address in to.targets)
    if to.cc:
        mail["Cc"] = ", ".join(sorted(to.cc))
    if to.reply_to:
        mail["Reply-To"] = ", ".join(sorted(to.reply_to))
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message.key}.runwell@{Address(addr_spec=address).domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    mail.add_alternative(message.mail, subtype="html")
    if message.picture is not None:
        _, page = mail.iter_parts()
        page.add_related(
            message.picture,
            "image",
            "png",
            cid=f"<{PICTURE_ADDRESS.removeprefix('cid:')}>",
            disposition="inline",
            filename="chart.png",
        )
    mail.add_attachment(message.page.encode(), "text", "html", filename=f"{message.stem}.html")
    return mail


def _sender(to: NotifyEmail) -> tuple[str, str]:
    """Return name and address that the mail comes from."""
    name, address = to.from_addr
    return (str(name) if name and name != to.app_id else "runwell"), str(address)


def _connect(to: NotifyEmail) -> smtplib.SMTP:
    """Return a connection as the URL asks for: its TLS, its login."""
    context = ssl.create_default_context()
    if not to.verify_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if to.secure_mode == "ssl":
        server: smtplib.SMTP = smtplib.SMTP_SSL(to.smtp_host, to.port or 0, timeout=_TIME_S, context=context)
    else:
        server = smtplib.SMTP(to.smtp_host, to.port or 0, timeout=_TIME_S)
    try:
        if to.secure_mode == "starttls":
            server.starttls(context=context)
        if to.user and to.password:
            server.login(to.user, to.password)
    except BaseException:
        server.close()
        raise
    return server
