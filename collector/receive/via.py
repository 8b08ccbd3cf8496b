"""How a request came: the wire, and the exporter's family as its User-Agent names it. Never the raw header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from collector.decode.origin import version
from collector.telemetry.export import OWN_HEADER

Transport = Literal["http", "grpc"]
__all__ = ["EXPORTERS", "OWN_HEADER", "TRANSPORTS", "Transport", "Via", "via"]
TRANSPORTS: tuple[Transport, ...] = ("http", "grpc")

_FAMILIES: tuple[tuple[str, str], ...] = (
    ("js", r"OTel-OTLP-Exporter-JavaScript/(\S+)"),
    ("python", r"OTel-OTLP-Exporter-Python/(\S+)"),
    ("java", r"OTel-OTLP-Exporter-Java/(\S+)"),
    ("go", r"OTel[- ]OTLP[- ]Exporter[- ]Go/(\S+)"),
    ("dotnet", r"OTel-OTLP-Exporter-Dotnet/(\S+)"),
    ("ruby", r"OTel-OTLP-Exporter-Ruby/(\S+)"),
    ("php", r"OTel-OTLP-Exporter-PHP/(\S+)"),
    ("rust", r"OTel-OTLP-Exporter-Rust/(\S+)"),
    ("cpp", r"OTel-OTLP-Exporter-Cpp/(\S+)"),
    ("collector", r"OpenTelemetry Collector[^/]{0,40}/(\S+)"),
    ("replay", r"runwell-replay/(\S+)"),
    ("curl", r"curl/(\S+)"),
    ("grpc", r"grpc-[a-z+-]{1,12}/(\S+)"),
)
_COMPILED = tuple((family, re.compile(pattern, re.IGNORECASE)) for family, pattern in _FAMILIES)
FAMILIES = (*(family for family, _ in _FAMILIES), "other", "none")
EXPORTERS = frozenset(FAMILIES) - {"replay", "curl", "other", "none"}
"""Families whose every request is meant as telemetry."""


@dataclass(frozen=True, slots=True)
class Via:
    """The wire and the exporter; *from_runwell* marks a runwell's own telemetry."""

    transport: Transport
    agent: str = "none"
    agent_version: str = ""
    from_runwell: bool = False


def via(transport: Transport, user_agent: str, from_runwell: bool = False) -> Via:
    """Return how a request with this User-Agent came."""
    return _via(transport, user_agent[:256], from_runwell)


@lru_cache(maxsize=512)
def _via(transport: Transport, user_agent: str, from_runwell: bool) -> Via:
    if not user_agent:
        return Via(transport, from_runwell=from_runwell)
    for family, pattern in _COMPILED:
        if match := pattern.search(user_agent):
            return Via(transport, family, version(match[1]), from_runwell)
    return Via(transport, "other", from_runwell=from_runwell)
