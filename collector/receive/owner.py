"""Whose a request is: asked by both ports of its head, before its body is read."""

from __future__ import annotations

from collections.abc import Mapping

from collector.model.project import PROJECT


def owner(headers: Mapping[str, str]) -> str:
    """Return the project that a request with these *headers* is for; there is one until keys name others."""
    return PROJECT
