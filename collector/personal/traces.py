"""Cheap tests that let through every text in which something may be found, and few others.

They are patterns without looking around and without references back, so that engines in linear time (polars, RE2) take
them; a text and its writing as a JSON string both pass.
"""

from __future__ import annotations

from collector.personal import assigned, vendors

_BEGIN = r"(?:^|[^A-Za-z0-9_-]|\\[bfnrt]|\\u00[01][0-9a-f])"
"""What stands before a word, in a text and in its writing as a JSON string."""
_COUNTRIES = (
    "AD|AE|AL|AT|AZ|BA|BE|BG|BH|BI|BR|BY|CH|CR|CY|CZ|DE|DJ|DK|DO|EE|EG|ES|FI|FK|FO|FR|GB|GE|GI|GL|GR|GT|HN|HR|HU|IE|IL"
    "|IQ|IS|IT|JO|KW|KZ|LB|LC|LI|LT|LU|LV|LY|MC|MD|ME|MK|MN|MR|MT|MU|NI|NL|NO|OM|PK|PL|PS|PT|QA|RO|RS|RU|SA|SC|SD|SE|SI"
    "|SK|SM|SO|ST|SV|TL|TN|TR|UA|VA|VG|XK|YE"
)
_TRACES = (
    "[+\uff0b]" r"\(?[1-9]|@|%[0-9A-Fa-f]{2}|\\u00[2-7]|:\\*/|eyJ|PRIVATE KEY",
    r" [0-9]{2,6} [0-9]{4}|-[0-9]{2,6}-[0-9]{4}",
    rf"(?:{_COUNTRIES})[0-9]{{2}}[ A-Z0-9-]",
    r"(?:earer|EARER|asic|ASIC|orization|ORIZATION)[^A-Za-z0-9_-]",
    rf"(?:{assigned.LEADS})[^A-Za-z0-9_-]",
    rf"{_BEGIN}(?:{vendors.LEADS})|{vendors.MIDDLES}",
)
_CARD = r"[Cc]ard|CARD|[Vv]isa|VISA|amex|Amex|AMEX|(?:cc|CC|Cc|pan|PAN|Pan)(?:[^a-z0-9]|$)"
TRACE = "|".join(_TRACES)
"""What `kinds` finds matches it, but for bare card numbers."""
TRACE_OR_CARD = f"{TRACE}|{_CARD}"
"""One pattern is one walk through a text, whatever stands in it; several that could skip through it cost more."""
CARD_DIGITS = r"[0-9]{13}"
"""A bare card number has a word that says so and such digits; one record in a hundred has the word, ending some id."""
NATIONAL = r"[0-9](?:[^A-Za-z@:;,\"]{0,3}[0-9]){5}"
"""What a phone number has that is dialled within its country."""
