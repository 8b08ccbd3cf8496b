"""Who made the records of a request, in words of closed or narrow sets: nothing here is a sender's free text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

LANGUAGES = frozenset(
    {
        "cpp",
        "dotnet",
        "erlang",
        "go",
        "java",
        "nodejs",
        "php",
        "python",
        "ruby",
        "rust",
        "swift",
        "typescript",
        "webjs",
    }
)
"""Values of `telemetry.sdk.language` in the semantic conventions, and Trigger.dev's own `sdk.language`."""

_VERSION = re.compile(r"^v?(\d{1,6}(?:\.\d{1,6}){0,3})(?:[-+.a-zA-Z0-9]{0,40})?$")


@dataclass(frozen=True, slots=True)
class Origin:
    """Records of one dialect and SDK inside a request. *newest_ns*: latest time they state, 0 for none."""

    dialect: str
    language: str
    sdk_version: str
    records: int
    newest_ns: int


def version(text: object) -> str:
    """Return the leading numbers of a version such as `2.8.0-beta.1`, empty for anything else."""
    match = _VERSION.match(text) if isinstance(text, str) else None
    return match[1] if match else ""


def sdk(resource: dict[str, Any]) -> tuple[str, str]:
    """Return (language, version) of the SDK that a resource names."""
    for name in ("telemetry.sdk", "sdk"):
        language = resource.get(f"{name}.language")
        if isinstance(language, str):
            return language if language in LANGUAGES else "other", version(resource.get(f"{name}.version"))
    return "", ""
