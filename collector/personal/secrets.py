"""Credentials with a form of their own: vendors' keys, tokens in headers, passwords in URLs, private keys."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator

from collector.personal import assigned, vendors
from collector.personal.masks import is_example, is_masked
from collector.personal.plain import Plain, Span

_PRIVATE = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s\\]{0,8192}")
_HEADER = re.compile(
    r"(?<![A-Za-z0-9_])(?:([Bb]earer|BEARER|[Bb]asic|BASIC)"
    r"|(?:[Aa]uthorization|AUTHORIZATION)[\"'\\]{0,4} ?[:=][\s\"'\\]{0,4}[A-Za-z][A-Za-z0-9-]{1,24})"
    r"\s{1,4}([A-Za-z0-9._~+/-]{8,4096}={0,2})"
)
_BARE_HEADER = re.compile(
    r"(?<![A-Za-z0-9_])(?:[Aa]uthorization|AUTHORIZATION)[\"'\\]{0,4} ?[:=][\s\"'\\]{0,4}"
    r"([A-Za-z0-9._~+/-]{20,4096}={0,2})(?![\w:%@(])(?! [A-Za-z0-9])"
)
_SCHEMES = ("earer", "EARER", "asic", "ASIC", "uthorization", "UTHORIZATION")
_JWT = re.compile(r"(?<![A-Za-z0-9_-])(eyJ[A-Za-z0-9_-]{8,2048})\.eyJ[A-Za-z0-9_-]{4,4096}\.[A-Za-z0-9_-]{8,1024}")
_URL_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@\"']{0,128}:([^\s/@\"']{1,256})@[A-Za-z0-9\[]")


def find(plain: Plain, about: str) -> Iterator[Span]:
    """Yield where credentials stand in *plain*, none within another."""
    text = plain.text
    spans = [
        *(m.span() for m in vendors.keys(text) if not is_example(m[0])),
        *(m.span() for m in _PRIVATE.finditer(text)),
        *(m.span() for m in _matches(_JWT, text, "eyJ") if _is_json(m[1]) and not is_example(m[0])),
        *(m.span(2) for m in _matches(_HEADER, text, *_SCHEMES) if _is_token(m[1] or "", m[2])),
        *(
            m.span(1)
            for m in _matches(_BARE_HEADER, text, *_SCHEMES[-2:])
            if assigned.is_value("api_key", m[1]) and re.search(r"[0-9]", m[1])
        ),
        *_url_passwords(text),
        *assigned.find(text),
    ]
    placed = list(plain.place(spans))
    if plain.starts is not None:  # A password that a URL escapes ends where the URL says, not where it then reads.
        placed += _url_passwords(plain.raw)
    last = 0
    for start, end in sorted(placed, key=lambda span: (span[0], -span[1])):
        if end > last:
            yield max(start, last), end
            last = end


def _url_passwords(text: str) -> list[Span]:
    return [m.span(1) for m in _matches(_URL_PASSWORD, text, "://") if not is_masked(m[1])]


def _matches(pattern: re.Pattern[str], text: str, *parts: str) -> Iterable[re.Match[str]]:
    """Return what *pattern* finds, which has one of *parts*: looking for those first is cheap."""
    return pattern.finditer(text) if any(part in text for part in parts) else ()


def _is_json(header: str) -> bool:
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))), dict)
    except (binascii.Error, ValueError):
        return False


def _is_token(scheme: str, token: str) -> bool:
    """Tell a credential from prose: it mixes letters with digits or capitals; a short one is a name and a password."""
    if is_masked(token) or is_example(token):
        return False
    if len(token) < 16:
        return scheme.lower() == "basic" and _is_pair(token)
    return bool(re.search(r"[0-9]", token) or (re.search(r"[a-z]", token) and re.search(r".[A-Z]", token)))


def _is_pair(token: str) -> bool:
    try:
        pair = base64.b64decode(token + "=" * (-len(token) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in pair and pair.isascii()
