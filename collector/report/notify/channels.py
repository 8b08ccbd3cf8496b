"""One door to every kind of channel: send a report, or tell where it would go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from collector.report.notify import NotSent
from collector.report.notify.message import Message
from collector.settings.reports import Channel


def send(channel: Channel, message: Message, internal_hosts: Sequence[str], now_s: int) -> str:
    """Send *message* to *channel*; return a note, or raise NotSent. May take as long as the other side's limits."""
    url = channel.url.get_secret_value()
    if channel.type == "webhook":
        from collector.report.notify import webhook

        assert channel.secret is not None
        return webhook.send(message, url, channel.secret.get_secret_value(), allowed=internal_hosts, now_s=now_s)
    from apprise.plugins.email import NotifyEmail

    from collector.report.notify import chat, mail

    plugin = chat.plugin(url)
    if type(plugin) is NotifyEmail:
        return mail.send(message, plugin, datetime.fromtimestamp(now_s, UTC))
    return chat.send(message, plugin)


def where(channel: Channel) -> tuple[str, bool]:
    """Return where *channel* leads, without its secrets, and whether a picture goes along.

    Raise NotSent where it leads nowhere.
    """
    url = channel.url.get_secret_value()
    if channel.type == "webhook":
        parts = urlsplit(url)  # its path may be a secret as well
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/…", False
    from collector.report.notify import chat

    plugin: Any = chat.plugin(url)
    return str(plugin.url(privacy=True)).partition("?")[0], bool(plugin.attachment_support)


def check(channel: Channel) -> str:
    """Return why nothing can be sent to *channel* as it is written; empty when it can be tried."""
    try:
        where(channel)
    except NotSent as e:
        return e.reason
    return ""
