"""Phone numbers: what the plan of its country knows, international with its `+`, national ones only where asked for.

A number that is dialled within a country is told from any other digits by nothing but the country: `countries` names
those (ISO 3166, `DE`) whose numbers are looked for, as they are written there, and with the prefix for abroad (`00`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

from collector.personal.plain import Plain, Span

COUNTRIES = frozenset(phonenumbers.SUPPORTED_REGIONS)
_BETWEEN = "[ ().\\-/\u00a0\u2011\u2013]{0,3}"
_INTERNATIONAL = re.compile(
    rf"(?<![^\W_])(?<![+\uff0b])[+\uff0b]\(?[1-9](?:(?! -[0-9]){_BETWEEN}[0-9]){{6,14}}"
    rf"(?!(?!_|x[0-9]{{1,6}}(?!\w))[\w+])"
)
_SHORTER = re.compile(rf"(?<=[0-9])(?=[ ./\-(\u00a0\u2013]{_BETWEEN}[0-9])")
_DECIMAL = re.compile(r"[+\uff0b]?[0-9]+\.[0-9]+")
_AMOUNT = re.compile(
    r"(?i)(?:(?:offset|delta|diff(?:erence)?|drift|skew|change|balance|amount|total|sum|price|cost|gain|profit|score"
    r"|seconds|(?-i:(?<![A-Za-z])(?:[mnu]?s|MS)|(?<=[a-z])[MNU]s)|epoch|timestamp)[\"'\\]{0,3}\s?[=:]|(?<![A-Za-z])[xyz]\s?=)[\s\"'\\]{0,3}$"
)
_UNIT = re.compile(r" ?(?:[mnuµ]?s|secs?|seconds|minutes|[kmgt]?i?b|bytes|rows|points|%|€|eur|usd)(?![A-Za-z])", re.I)
_NATIONAL = re.compile(rf"(?<![\w.,+\uff0b#/-])(?<![\W\d_]:)\(?[0-9](?:{_BETWEEN}[0-9]){{5,14}}(?![\w-]|[.,:/][0-9])")
_WORD = re.compile(
    r"(?i)(?<![a-z])(?:to(?=[=:])|tel|phone|t[eé]l[eé]phone|tel[eé]fon[oe]?|mobile?|mobil|cell|handy|call(?:ed|ing)?|sms|fax|whatsapp|dial"
    r"|m[oó]vil|portable|rufnummer)(?:[_ -]?(?:number|nummer|nr|no))?(?![a-z])[^0-9A-Za-z]{0,8}$"
)


def find(plain: Plain, about: str, countries: tuple[str, ...] = ()) -> Iterator[Span]:
    """Yield where phone numbers stand in *plain*. *about*: its key."""
    for match in _INTERNATIONAL.finditer(plain.text):
        if end := _international_end(plain.text, match):
            yield from plain.place([(match.start(), end)])
    for match in _NATIONAL.finditer(plain.text) if countries else ():
        said = _WORD.search(plain.text[max(0, match.start() - 32) : match.start()] or f"{about.replace('.', '_')} ")
        if any(_is_national(match[0], country, said is not None) for country in countries):
            yield from plain.place([match.span()])


def _international_end(text: str, match: re.Match[str]) -> int:
    """Return where the number that *match* begins with ends, 0 where it begins with none."""
    before, written = text[max(0, match.start() - 24) : match.start()], match[0]
    if _DECIMAL.fullmatch(written) or _AMOUNT.search(before) or _UNIT.match(text, match.end()):
        return 0
    # What follows after a space may be another number.
    ends = [len(written), *(m.start() for m in reversed(list(_SHORTER.finditer(written))))]
    return next((match.start() + end for end in ends if end > 7 and _is_valid(written[:end], None)), 0)


def _is_valid(written: str, country: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, country))
    except phonenumbers.NumberParseException:
        return False


def _is_national(written: str, country: str, said: bool) -> bool:
    """Tell whether *written* is a number as it is dialled in *country*; *said*: a word before it says phone."""
    plan = phonenumbers.PhoneMetadata.metadata_for_region(country)
    if plan is None or not _is_valid(written, country):
        return False
    digits = re.sub(r"\D", "", written)
    number = phonenumbers.parse(written, country)
    if number.country_code != plan.country_code:
        return digits.startswith(("00", "011"))
    if said:
        return True
    if written == digits or _DECIMAL.fullmatch(written):
        return False  # any id, an amount
    if plan.national_prefix == "0" and digits.startswith("0") and re.search(r"[1-9]", digits[:3]):
        return True
    # Without a prefix it needs the groups of its country, and three digits each are any amount.
    usual = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    groups = re.findall(r"\d+", written)
    return groups == re.findall(r"\d+", usual) and len(groups) > 1 and {len(group) for group in groups} != {3}
