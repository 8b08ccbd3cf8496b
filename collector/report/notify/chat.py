"""Chat and everything else that Apprise knows, but mail over SMTP."""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Any

from collector.report.notify import NotSent
from collector.report.notify.message import Message, inert

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase


class _Status(logging.Handler):
    """Keeps the number of the answer that Apprise logs when it fails, and nothing else of it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.number = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Look for the number of an HTTP status."""
        if record.thread == self._thread and (match := re.search(r"\berror=(\d{3})\b", record.getMessage())):
            self.number = match[1]


def plugin(url: str) -> NotifyBase:
    """Return what Apprise makes of *url*; raise NotSent where it makes nothing."""
    import apprise

    asset = apprise.AppriseAsset(
        app_id="runwell",
        app_desc="runwell",
        app_url="",
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        secure_logging=True,
        http_redirects=False,
        async_mode=False,
    )
    made: Any = apprise.Apprise.instantiate(url, asset=asset)
    if made is None:
        raise NotSent("its URL is none that Apprise can use; see the page of the service in Apprise's documentation")
    service: NotifyBase = made
    return service


def send(message: Message, to: NotifyBase) -> str:
    """Send *message*, with the picture where the service takes one; raise NotSent where Apprise could not."""
    import apprise
    from apprise.attachment.memory import AttachMemory

    attached = None
    if to.attachment_support and message.picture is not None:
        attached = apprise.AppriseAttachment(
            AttachMemory(message.picture, name=f"{message.stem}.png", mimetype="image/png")  # type: ignore[no-untyped-call]
        )
    status = _Status()
    log = logging.getLogger("apprise")
    log.addHandler(status)
    try:
        taken = to.notify(
            body=message.chat, title=inert(message.subject), body_format=apprise.NotifyFormat.TEXT, attach=attached
        )
    except (TypeError, apprise.exception.AppriseException) as e:
        raise NotSent(f"Apprise could not send it ({type(e).__name__})") from None
    finally:
        log.removeHandler(status)
    if not taken:
        raise NotSent(f"it answered {status.number}" if status.number else "Apprise could not send it")
    return ""
