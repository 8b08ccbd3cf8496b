"""What a text holds, and the text without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

from collector.personal import emails, numbers, phones, secrets
from collector.personal.plain import Plain, Span, unescape

EMAIL, CARD, PHONE, SSN, IBAN, SECRET = "email", "card", "phone", "ssn", "iban", "secret"
_PASSES = 8
Finder = Callable[[Plain, str], Iterator[Span]]


def _finders(countries: tuple[str, ...]) -> dict[str, Finder]:
    return {
        CARD: numbers.cards,
        EMAIL: emails.find,
        IBAN: numbers.ibans,
        PHONE: partial(phones.find, countries=countries),
        SECRET: secrets.find,
        SSN: numbers.ssns,
    }


@lru_cache(maxsize=8_192)
def kinds(text: str, about: str = "", countries: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return what *text* holds, sorted.

    *about*: its key, which may say card. *countries*: those whose phone numbers count without a `+` (ISO 3166).
    """
    plain = unescape(text)
    return tuple(kind for kind, find in _finders(countries).items() if next(find(plain, about), None) is not None)


@lru_cache(maxsize=1_024)
def redact(text: str, about: str = "", countries: tuple[str, ...] = ()) -> str:
    """Return *text* with everything `kinds` finds replaced by `[email]`, `[card]`, …, also what stood in its shadow."""
    for _ in range(_PASSES):
        before, text = text, _redact_once(text, about, countries)
        if text == before:
            break
    return text


def _redact_once(text: str, about: str, countries: tuple[str, ...]) -> str:
    for kind, find in _finders(countries).items():
        pieces: list[str] = []
        last = 0
        for start, end in sorted(find(unescape(text), about)):
            if end > last:
                pieces += text[last : max(start, last)], f"[{kind}]"
                last = end
        text = "".join((*pieces, text[last:]))
    return text
