"""Card numbers, US social security numbers and bank accounts (IBAN): digits whose check digits and writing agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

from stdnum import iban, luhn
from stdnum.us import ssn

from collector.personal.plain import Plain, Span

_SSN = re.compile(r"(?<![\w-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w-])")


def _iban() -> re.Pattern[str]:
    """Return what each country's account numbers look like, as long as they are there and however they are grouped."""
    lengths: dict[int, list[str]] = {}
    for line in files("stdnum").joinpath("iban.dat").read_text("utf-8").splitlines():
        if line[:2].isalpha():
            length = sum(map(int, re.findall(r"(\d+)!", line.rpartition("bban=")[2])))
            lengths.setdefault(length, []).append(line[:2])
    forms = (rf"(?:{'|'.join(of)})[0-9]{{2}}(?:[ -]?[A-Z0-9]){{{length}}}" for length, of in lengths.items())
    return re.compile(rf"(?<![A-Za-z0-9-])(?=[A-Z]{{2}}[0-9]{{2}})(?=({'|'.join(forms)})(?![A-Za-z0-9-]))")


_IBAN = _iban()
_CARD_GROUPS = re.compile(
    r"(?<![\w.-])(?:[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})(?![\w-])"
)
_CARD_BARE = re.compile(r"(?<![\w.-])[0-9]{13,19}(?![\w-])")
_CARD_WORD = re.compile(
    r"(?<![A-Za-z])(?:credit|debit|payment|master)?(?:card|visa|amex)(?![a-z])|(?:Card|Visa|Amex)(?![a-z])"
    r"|(?<![A-Za-z])(?:CREDIT|DEBIT|PAYMENT|MASTER)?(?:CARD|VISA|AMEX)(?![A-Za-z])"
    r"|(?<![A-Za-z0-9])(?:cc|CC|Cc|pan|PAN|Pan)(?![a-z0-9])|(?<=[a-z])(?:Cc|Pan)(?![a-z0-9])"
)
_BRANDS = (
    (re.compile(r"4"), {13, 16, 19}),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"6011|64[4-9]|65|62"), {16, 17, 18, 19}),
    (re.compile(r"35(?:2[89]|[3-8])"), {16}),
    (re.compile(r"30[0-5]|36|38"), {14}),
)


def cards(plain: Plain, about: str) -> Iterator[Span]:
    """Yield where card numbers stand: in groups, or bare where *about* (the key) or the text says card."""
    grouped, bare = (
        [match.span() for match in pattern.finditer(plain.text) if _is_card(re.sub(r"\D", "", match[0]))]
        for pattern in (_CARD_GROUPS, _CARD_BARE)
    )
    if bare and (_CARD_WORD.search(about) or _CARD_WORD.search(plain.text)):
        yield from plain.place(bare)
    if grouped:
        # The groups of four of an account number look like a card's.
        inside = {at for match in _IBAN.finditer(plain.text) for at in range(*match.span(1))}
        yield from plain.place(span for span in grouped if span[0] not in inside)


def _is_card(digits: str) -> bool:
    branded = any(brand.match(digits) and len(digits) in lengths for brand, lengths in _BRANDS)
    return branded and len(set(digits)) > 1 and bool(luhn.is_valid(digits))


def ssns(plain: Plain, about: str) -> Iterator[Span]:
    """Yield where social security numbers stand: dashes, and an area and group that are given out."""
    return plain.place(match.span() for match in _SSN.finditer(plain.text) if ssn.is_valid(match[0]))


def ibans(plain: Plain, about: str) -> Iterator[Span]:
    """Yield where account numbers stand whose check digits, and those of their country, agree."""
    return plain.place(match.span(1) for match in _IBAN.finditer(plain.text) if iban.is_valid(match[1]))
