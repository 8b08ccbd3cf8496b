"""Addresses as URLs, and the content type of what is asked there."""

from __future__ import annotations

import re

ARROW = "application/vnd.apache.arrow.stream"
"""Content type of tables."""
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)?(?:.*@)?(?P<rest>[^?#]*).*", re.I | re.S)


def http_url(host: str, port: int) -> str:
    """Return the URL of *host* and *port*; an IPv6 address goes in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def without_credentials(url: str) -> str:
    """Return *url*, valid or not, as it may be told: without what stands before an @, without query and fragment."""
    return _URL.sub(lambda m: f"{m['scheme'] or ''}{m['rest']}", url, count=1)
