"""Cheap tests that let through every text in which something may be found, and few others.

They are patterns without looking around and without references back, so that engines in linear time (polars, RE2) take
them; a text and its writing as a JSON string both pass.
"""

from __future__ import annotations

import re

from collector.personal import assigned, vendors

# Small patterns, each led by bytes that are rare in telemetry: together a third of what all in one take.
# One for each separator of digits: led by either of two bytes, the pattern would be a walk through the whole text.
TRACES = (
    r"@[^\s@.]{1,63}\.|\+\(?[1-9][^A-Za-z@:;,\"]{6}",
    r"%[0-9A-Fa-f]{2}|\\u00[2-7]",
    r" [0-9]{2,6} [0-9]{4}",
    r"-[0-9]{2,6}-[0-9]{4}",
    r"(?:AD|AE|AL|AT|AZ|BA|BE|BG|BH|BI|BR|BY|CH|CR|CY|CZ|DE|DJ|DK|DO|EE|EG|ES|FI|FK|FO|FR|GB|GE|GI|GL|GR|GT|HN|HR|HU"
    r"|IE|IL|IQ|IS|IT|JO|KW|KZ|LB|LC|LI|LT|LU|LV|LY|MC|MD|ME|MK|MN|MR|MT|MU|NI|NL|NO|OM|PK|PL|PS|PT|QA|RO|RS|RU|SA|SC"
    r"|SD|SE|SI|SK|SM|SO|ST|SV|TL|TN|TR|UA|VA|VG|XK|YE)[0-9]{2}[ A-Z0-9-]",
    r"(?:earer|EARER|asic|ASIC|orization|ORIZATION)[^A-Za-z0-9_-]",
    r"://|eyJ|PRIVATE KEY",
    rf"(?:{assigned.LEADS})[^A-Za-z0-9_-]",
    vendors.LEADS,
)
"""What `kinds` finds matches one of them."""
CARD_TRACES = (r"[Cc]ard|CARD|[Vv]isa|VISA|amex|Amex|AMEX", r"(?:cc|CC|Cc|pan|PAN|Pan)(?:[^a-z0-9]|$)")
CARD_DIGITS = r"[0-9]{13}"
"""A bare card number has such a word and such digits; one record in a hundred has the word at the end of some id."""
NATIONAL = r"[0-9](?:[^A-Za-z@:;,\"]{0,3}[0-9]){5}"
"""What a phone number has that is dialled within its country."""

_ANY = re.compile("|".join((*TRACES, CARD_DIGITS)))
_ANY_NATIONAL = re.compile(NATIONAL)


def may_hold(text: str, *, national: bool = False) -> bool:
    """Tell whether *text* may hold something; *national*: also phone numbers without a country."""
    return bool(_ANY.search(text) or (national and _ANY_NATIONAL.search(text)))
