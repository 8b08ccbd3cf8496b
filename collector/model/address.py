"""Addresses as URLs."""

from __future__ import annotations


def http_url(host: str, port: int) -> str:
    """Return the URL of *host* and *port*; an IPv6 address goes in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
