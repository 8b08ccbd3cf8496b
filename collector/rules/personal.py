"""Personal data and secrets in text: what looks like one is verified, and only what passes is named.

Enter: strings. Leave: kinds, never the values. `suspects` is the cheap test of whole columns (linear-time
patterns of polars); `kinds` verifies one string that passed it; `key_kind` judges a key and its value together.

Digits alone prove nothing: a phone number needs its `+`, a social security number its dashes, a card number its
groups or a word that says card. Everything quantified is bounded, so time is linear in the text.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

import phonenumbers
import polars as pl
from stdnum import iban, luhn
from stdnum.us import ssn

EMAIL, CARD, PHONE, SSN, IBAN, SECRET = "email", "card", "phone", "ssn", "iban", "secret"

# fmt: off
SERVICE_MAILBOXES = (
    "noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "mailer-daemon", "bounce", "bounces", "postmaster",
    "hostmaster", "webmaster", "abuse", "security", "support", "help", "info", "hello", "contact", "sales", "billing",
    "admin", "team", "office", "notifications", "notification", "alerts", "news", "newsletter", "jobs", "press",
    "root", "git", "svn", "celery", "worker", "deploy", "ubuntu", "ec2-user", "postgres", "service",
)
# fmt: on
"""Local parts that belong to a role or a program."""

# fmt: off
_GENERIC_TLDS = frozenset({
    "com", "org", "net", "edu", "gov", "mil", "int", "info", "biz", "name", "pro", "mobi", "app", "dev", "xyz",
    "online", "site", "shop", "store", "tech", "cloud", "email", "live", "life", "world", "today", "news", "blog",
    "agency", "digital", "studio", "design", "media", "group", "company", "solutions", "services", "systems",
    "network", "software", "games", "academy", "school", "health", "care", "dental", "legal", "law", "finance",
    "bank", "money", "fund", "family", "social", "chat", "club", "team", "work", "works", "jobs", "gmbh", "london",
    "berlin", "paris", "nyc", "tokyo", "amsterdam", "africa", "asia",
})
# fmt: on
_TLDS = _GENERIC_TLDS | {r.lower() for r in phonenumbers.SUPPORTED_REGIONS} | {"uk", "eu", "su"}
_ALSO_SUFFIXES = frozenset({"py", "sh", "md", "rs", "so", "ps"})
"""Country codes that more often end a file's name, unless something stands before the last two parts."""
_RESERVED = re.compile(r"(?:^|\.)example(?:\.(?:com|org|net|edu))?$|\.(?:test|invalid|local|localhost|internal)$")

_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@((?:[A-Za-z0-9-]{1,63}\.){1,8}([A-Za-z]{2,24}))(?![A-Za-z0-9-])")
_PHONE = re.compile(r"(?<![\w+/=.:-])\+[1-9](?:[ ().-]{0,2}[0-9]){6,14}(?![\w+/=])")
_SSN = re.compile(r"(?<![\w-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w-])")
_IBAN = re.compile(r"(?<![A-Za-z0-9-])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{1,4}){3,8}(?![A-Za-z0-9-])")
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
_SECRETS = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])"
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_-]{20,64}|npm_[A-Za-z0-9]{36}"
    r"|(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}|whsec_[A-Za-z0-9+/]{24,255}={0,2}"
    r"|tr_(?:dev|prod|stg|preview)_[A-Za-z0-9]{16,64}|sk-(?:proj-|ant-|svcacct-)?[A-Za-z0-9_-]{20,255}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}|AIza[0-9A-Za-z_-]{35}|SG\.[A-Za-z0-9_-]{16,40}\.[A-Za-z0-9_-]{16,64}"
    r"|hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{0,64}"
    r"|-----BEGIN (?:[A-Z]{2,10} )?PRIVATE KEY-----[A-Za-z0-9+/=\s\\]{0,8192})"
)
_BEARER = re.compile(
    r"(?<![A-Za-z0-9_])(?:[Bb]earer|BEARER|[Bb]asic|BASIC)[ \t\r\n]{1,4}([A-Za-z0-9._~+/-]{16,4096}={0,2})"
)
_JWT = re.compile(r"(?<![A-Za-z0-9_-])(eyJ[A-Za-z0-9_-]{8,2048})\.eyJ[A-Za-z0-9_-]{4,4096}\.[A-Za-z0-9_-]{8,1024}")
_URL_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@\"']{0,128}:([^\s/@\"']{1,256})@[A-Za-z0-9\[]")
_MASKED = re.compile(
    r"(?i)^(?:[*x•.#-]{2,}|\[?<?(?:redacted|masked|hidden|removed|filtered|secret|password|token|none|null|undefined)>?\]?"
    r"|.{0,8}\*{3,}.{0,8}|<[^>]{1,64}>|\$?\{[^}]{1,64}\}|%\(?\w{0,32}\)?s?|\[[^\]]{1,64}\])$"
)

# Small patterns, each led by bytes that are rare in telemetry: together 0.35 us a record where all in one take 1.3 us.
# One for each separator of digits: led by either of two bytes, the pattern would be a walk through the whole text.
_TRACES = (
    r"@[A-Za-z0-9-]{1,63}\.|\+[1-9][0-9 ().-]{6}",
    r" [0-9]{2,6} [0-9]{4}",
    r"-[0-9]{2,6}-[0-9]{4}",
    r"(?:AD|AE|AL|AT|AZ|BA|BE|BG|BH|BI|BR|BY|CH|CR|CY|CZ|DE|DJ|DK|DO|EE|EG|ES|FI|FK|FO|FR|GB|GE|GI|GL|GR|GT|HN|HR|HU"
    r"|IE|IL|IQ|IS|IT|JO|KW|KZ|LB|LC|LI|LT|LU|LV|LY|MC|MD|ME|MK|MN|MR|MT|MU|NI|NL|NO|OM|PK|PL|PS|PT|QA|RO|RS|RU|SA|SC"
    r"|SD|SE|SI|SK|SM|SO|ST|SV|TL|TN|TR|UA|VA|VG|XK|YE)[0-9]{2}[ A-Z0-9]",
    r"(?:earer|EARER|asic|ASIC)[ \t\r\n\\]",
    r"://|eyJ|AKIA|ASIA|AIza|SG\.|gh[pousr]_|github_pat|glpat-|npm_|k_live_|k_test_|whsec_|tr_[dps]|sk-|xox|PRIVATE K"
    r"|hooks\.slack",
)
_CARD_TRACES = (r"[Cc]ard|CARD|[Vv]isa|VISA|amex|Amex|AMEX", r"(?:cc|CC|Cc|pan|PAN|Pan)(?:[^a-z0-9]|$)")
_CARD_DIGITS = r"[0-9]{13}"
"""A bare card number has such a word and such digits; one record in a hundred has the word at the end of some id."""

_ANY_TRACE = re.compile("|".join((*_TRACES, _CARD_DIGITS)))


def suspects(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return the rows whose text in *column* may hold something: all that `kinds` would find, and few others."""
    text = pl.col(column)
    seen = pl.any_horizontal(text.str.contains(pattern) for pattern in _TRACES)
    said = pl.any_horizontal(text.str.contains(pattern) for pattern in _CARD_TRACES)
    marked = frame.filter(seen | said)
    return marked.filter(seen | text.str.contains(_CARD_DIGITS))


Span = tuple[int, int]
"""Where something stands in a text: first character, and the one after the last."""
Finder = Callable[[str, str, tuple[str, ...]], Iterator[Span]]


@lru_cache(maxsize=8_192)
def kinds(text: str, about: str = "", mailboxes: tuple[str, ...] = SERVICE_MAILBOXES) -> tuple[str, ...]:
    """Return what *text* holds, sorted. *about*: its key, which may say card."""
    return tuple(kind for kind, find in _FINDERS.items() if next(find(text, about, mailboxes), None) is not None)


@lru_cache(maxsize=1_024)
def redact(text: str, about: str = "", mailboxes: tuple[str, ...] = SERVICE_MAILBOXES) -> str:
    """Return *text* with everything `kinds` finds replaced by `[email]`, `[card]`, …"""
    if not _ANY_TRACE.search(text):
        return text
    for kind, find in _FINDERS.items():
        for start, end in reversed(list(find(text, about, mailboxes))):
            text = f"{text[:start]}[{kind}]{text[end:]}"
    return text


def _emails(text: str, about: str, mailboxes: tuple[str, ...]) -> Iterator[Span]:
    return (match.span() for match in _EMAIL.finditer(text) if _is_address(text, match, mailboxes))


def _is_address(text: str, match: re.Match[str], mailboxes: tuple[str, ...]) -> bool:
    local, domain, tld = match[0].rsplit("@", 1)[0].lstrip("'"), match[1].lower(), match[2].lower()
    if tld not in _TLDS or _RESERVED.search(domain) or re.match(r"v?\d+\.\d", domain):
        return False
    if not local or ".." in local or local[0] in ".-" or local[-1] == "." or not re.search(r"[A-Za-z0-9]", local):
        return False
    if tld in _ALSO_SUFFIXES and domain.count(".") == 1:
        return False
    if local.lower().split("+")[0] in mailboxes:
        return False
    before = text[max(0, match.start() - 300) : match.start()]
    if "://" in before and not re.search(r"[\s?&=,;\"']", before.rsplit("://", 1)[1]):
        return False  # the user part of an address on the web
    if before.endswith("@"):
        return False  # a handle such as @name@host
    # A mail's message id is an opaque token between angle brackets.
    message_id = before.endswith("<") and text[match.end() : match.end() + 1] == ">"
    return not (message_id and len(local) > 20 and sum(c.isdigit() for c in local) > 4)


def _cards(text: str, about: str, mailboxes: tuple[str, ...]) -> Iterator[Span]:
    # The groups of four of an account number look like a card's.
    accounts = [match.span() for match in _IBAN.finditer(text)]
    said = bool(_CARD_WORD.search(about) or _CARD_WORD.search(text))
    for pattern in (_CARD_GROUPS, _CARD_BARE) if said else (_CARD_GROUPS,):
        for match in pattern.finditer(text):
            inside = any(start <= match.start() < end for start, end in accounts)
            if not inside and _is_card(re.sub(r"\D", "", match[0])):
                yield match.span()


def _is_card(digits: str) -> bool:
    branded = any(brand.match(digits) and len(digits) in lengths for brand, lengths in _BRANDS)
    return branded and len(set(digits)) > 1 and bool(luhn.is_valid(digits))


def _phones(text: str, about: str, mailboxes: tuple[str, ...]) -> Iterator[Span]:
    return (match.span() for match in _PHONE.finditer(text) if _is_phone(match[0]))


def _is_phone(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def _ssns(text: str, about: str, mailboxes: tuple[str, ...]) -> Iterator[Span]:
    return (match.span() for match in _SSN.finditer(text) if ssn.is_valid(match[0]))


def _ibans(text: str, about: str, mailboxes: tuple[str, ...]) -> Iterator[Span]:
    return (match.span() for match in _IBAN.finditer(text) if iban.is_valid(match[0]))


def _secrets(text: str, about: str, mailboxes: tuple[str, ...]) -> Iterator[Span]:
    spans = [
        *(m.span() for m in _SECRETS.finditer(text)),
        *(m.span() for m in _JWT.finditer(text) if _is_json(m[1])),
        *(m.span(1) for m in _BEARER.finditer(text) if _is_token(m[1])),
        *(m.span(1) for m in _URL_PASSWORD.finditer(text) if not _MASKED.match(m[1])),
    ]
    last = 0
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= last:
            last = end
            yield start, end


def _is_json(header: str) -> bool:
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))), dict)
    except (binascii.Error, ValueError):
        return False


def _is_token(token: str) -> bool:
    """Tell a credential from prose: it mixes letters with digits or capitals."""
    mixed = re.search(r"[0-9]", token) or (re.search(r"[a-z]", token) and re.search(r".[A-Z]", token))
    return bool(mixed) and not _MASKED.match(token)


_FINDERS: dict[str, Finder] = {
    CARD: _cards,
    EMAIL: _emails,
    IBAN: _ibans,
    PHONE: _phones,
    SECRET: _secrets,
    SSN: _ssns,
}

_NAME = re.compile(r"(?:^|_)(?:first|last|middle|given|family|maiden|full)_?name$|^surname$")
_MAIL = re.compile(r"(?:^|_)e_?mail(?:_address|_addr)?$")
_TEL = re.compile(r"(?:^|_)(?:phone|telephone|mobile|cell)(?:_?(?:number|no))?$")
_ADDRESS = re.compile(r"^address$|(?:^|_)(?:street|home|postal|mailing|billing|shipping|residential)_address$|^street$")
_BORN = re.compile(r"^(?:dob|birth_?date|birthday|date_of_birth)$|_(?:dob|date_of_birth|birthday|birth_date)$")
_NUMBER = re.compile(r"(?:^|_)(?:ssn|social_security(?:_number)?|passport(?:_number)?|national_id(?:_number)?|tax_id)$")
_PASSWORD = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|client_secret|api_?key|secret_key|private_key|access_token|refresh_token"
    r"|auth_token|bearer_token|session_token)$|^(?:secret|authorization|set_cookie)$"
)
_OPAQUE = re.compile(
    r"(?i)^(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?:sha(?:1|256|512)|md5|hmac)[:-].+|[0-9a-f]{16,}|true|false"
    r"|yes|no|unknown|n/?a|\d{1,3}|[a-z]{2,8}_[a-z0-9]{6,})$"
)


def key_kind(key: str, value: object) -> str | None:
    """Return what a literal *value* under *key* is (`name`, `email`, `phone`, `address`, `birth_date`, `number`,
    `secret`), None when the key says nothing or the value is hashed, masked, opaque or no text.

    *key* is read in snake_case; of a nested key the last part counts.
    """
    if not isinstance(value, str) or not names_personal_data(key):
        return None
    if not value.strip() or _MASKED.match(value) or _OPAQUE.match(value):
        return None
    name = _snake(key)
    digits = sum(c.isdigit() for c in value)
    tests: tuple[tuple[re.Pattern[str], str, bool], ...] = (
        (_MAIL, "email", "@" in value),
        (_TEL, "phone", digits >= 7 and digits * 2 >= len(value)),
        (_NAME, "name", any(c.isalpha() for c in value) and not set("/@:\\{") & set(value)),
        (_ADDRESS, "address", any(c.isalpha() for c in value) and "://" not in value and " " in value.strip()),
        (_BORN, "birth_date", digits >= 4),
        (_NUMBER, "number", digits >= 4),
        (
            _PASSWORD,
            "secret",
            len(value) >= 6 and not re.search(r"\s{2}|^(?:arn:|projects/|vault:|\w+://[^@]*$)", value),
        ),
    )
    return next((kind for pattern, kind, literal in tests if literal and pattern.search(name)), None)


@lru_cache(maxsize=8_192)
def names_personal_data(key: str) -> bool:
    """Tell whether `key_kind` may say anything of values under *key*."""
    name = _snake(key)
    return any(p.search(name) for p in (_MAIL, _TEL, _NAME, _ADDRESS, _BORN, _NUMBER, _PASSWORD))


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key.rsplit(".", 1)[-1]).lower().replace("-", "_")
