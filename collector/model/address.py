"""Addresses as URLs, and the content type of what is asked there."""

from __future__ import annotations

ARROW = "application/vnd.apache.arrow.stream"
"""Content type of tables."""


def http_url(host: str, port: int) -> str:
    """Return the URL of *host* and *port*; an IPv6 address goes in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
