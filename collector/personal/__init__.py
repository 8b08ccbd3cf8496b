"""Personal data and secrets in text: what looks like one is verified, and only what passes is named.

Enter: strings. Leave: kinds and places, never the values. `kinds` judges a string and `redact` hides what that finds
(`emails`, `phones`, `numbers`, `secrets`, of which `vendors` and `assigned` are tables of shapes and words, each read
through `plain`); `key_kind` judges a key and its value together (`keys`); `traces` are cheap tests before all of them.

Digits alone prove nothing: a phone number needs its `+` or a country that is asked for, a social security number its
dashes, a card number its groups or a word that says card. Everything quantified is bounded, so time is linear in the
text. Only `re` and tables: whoever receives telemetry can use it as well as whoever reports on it.
"""

from collector.personal.keys import key_kind, names_personal_data
from collector.personal.kinds import CARD, EMAIL, IBAN, PHONE, SECRET, SSN, kinds, redact
from collector.personal.traces import CARD_DIGITS, NATIONAL, TRACE, TRACE_OR_CARD

__all__ = [
    "CARD",
    "CARD_DIGITS",
    "EMAIL",
    "IBAN",
    "NATIONAL",
    "PHONE",
    "SECRET",
    "SSN",
    "TRACE",
    "TRACE_OR_CARD",
    "key_kind",
    "kinds",
    "names_personal_data",
    "redact",
]
