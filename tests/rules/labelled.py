"""A labelled set of strings as task logs hold them, made from a seed: what is personal or secret, and what is not.

`generate()` yields `Sample(family, key, text, kinds)`. Labels come from how a string was made, not from any detector.
Families named `hard_…` are true but out of reach by design (digits without context, addresses spelled out).
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SEED = 20261124
EACH = 300

FIRST = [
    "maria",
    "jonas",
    "amina",
    "li",
    "wei",
    "tomás",
    "zoë",
    "fatima",
    "ivan",
    "chloe",
    "noah",
    "priya",
    "kenji",
    "olu",
    "sarah",
    "peter",
    "anna",
    "lukas",
    "ines",
    "omar",
]
LAST = [
    "schmidt",
    "okafor",
    "garcía",
    "novak",
    "tanaka",
    "silva",
    "ivanova",
    "murphy",
    "dubois",
    "hansen",
    "kowalski",
    "rossi",
    "chen",
    "patel",
    "yilmaz",
]
HOSTS = [
    "gmail.com",
    "outlook.com",
    "proton.me",
    "acme.io",
    "uni-bonn.de",
    "bbc.co.uk",
    "mail.ru",
    "onet.pl",
    "firma.at",
    "clinic.health",
    "startup.dev",
    "eu.acme-group.com",
    "studio.berlin",
    "mail.sub.domain.org",
    "yahoo.co.jp",
]
FRAMES = [
    "{}",
    "user {} not found",
    "sent to {}.",
    "to=<{}>",
    '{{"contact": "{}"}}',
    "{}; retry",
    "login failed for ({})",
]


@dataclass(frozen=True, slots=True)
class Sample:
    """One string: where it comes from, its key, and which kinds it truly holds."""

    family: str
    key: str
    text: str
    kinds: frozenset[str]


Make = Callable[[random.Random], tuple[str, str]]


def _framed(dice: random.Random, value: str) -> tuple[str, str]:
    return "detail", dice.choice(FRAMES).format(value)


def _ascii(word: str) -> str:
    return word.replace("á", "a").replace("í", "i").replace("ë", "e")


def email(dice: random.Random) -> tuple[str, str]:
    first, last = _ascii(dice.choice(FIRST)), _ascii(dice.choice(LAST))
    local = dice.choice(
        [
            f"{first}.{last}",
            f"{first[0]}{last}",
            f"{first}_{last}{dice.randrange(99)}",
            f"{last}+task",
            f"{first}-{last}",
            f"{first.upper()}.{last}",
            f"{first}{dice.randrange(1950, 2010)}",
            f"o'{last}",
        ]
    )
    return _framed(dice, f"{local}@{dice.choice(HOSTS)}")


def _luhn(digits: str) -> str:
    total = 0
    for i, c in enumerate(reversed(digits)):
        n = int(c) * (2 if i % 2 == 0 else 1)
        total += n - 9 if n > 9 else n
    return digits + str(-total % 10)


def _card(dice: random.Random) -> str:
    prefix, length = dice.choice(
        [("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16)]
    )
    return _luhn(prefix + "".join(dice.choices("0123456789", k=length - 1 - len(prefix))))


def card_grouped(dice: random.Random) -> tuple[str, str]:
    c, gap = _card(dice), dice.choice(" -")
    parts = [c[:4], c[4:10], c[10:]] if len(c) == 15 else [c[:4], c[4:8], c[8:12], c[12:]]
    return _framed(dice, gap.join(parts))


def card_named(dice: random.Random) -> tuple[str, str]:
    return dice.choice(
        [("card_number", _card(dice)), ("detail", f"charging card {_card(dice)} now"), ("cc", _card(dice))]
    )


def card_bare(dice: random.Random) -> tuple[str, str]:
    return "detail", dice.choice(["value {}", "{}", "got {} back"]).format(_card(dice))


def phone(dice: random.Random) -> tuple[str, str]:
    n = lambda k: "".join(dice.choices("23456789", k=k))  # noqa: E731
    return _framed(
        dice,
        dice.choice(
            [
                f"+1 415 {n(3)} {n(4)}",
                f"+1-212-{n(3)}-{n(4)}",
                f"+49 30 {n(8)}",
                f"+44 20 7{n(3)} {n(4)}",
                f"+33 6 {n(2)} {n(2)} {n(2)} {n(2)}",
                f"+1415{n(7)}",
                f"+4915{dice.choice('12')}{n(8)}",
            ]
        ),
    )


def us_ssn(dice: random.Random) -> tuple[str, str]:
    area = dice.choice([a for a in range(1, 900) if a != 666])
    return _framed(dice, f"{area:03}-{dice.randrange(1, 100):02}-{dice.randrange(1000, 9999):04}")


def iban_number(dice: random.Random) -> tuple[str, str]:
    country, length = dice.choice([("DE", 18), ("FR", 23), ("NL", 14), ("GB", 18)])
    if country == "NL":
        body = "ABNA" + "".join(dice.choices(string.digits, k=10))
    elif country == "GB":
        body = "NWBK" + "".join(dice.choices(string.digits, k=14))
    elif country == "FR":
        bank = "".join(dice.choices(string.digits, k=21))
        body = bank + f"{97 - (89 * int(bank[:5]) + 15 * int(bank[5:10]) + 3 * int(bank[10:21])) % 97:02}"
    else:
        body = "".join(dice.choices(string.digits, k=length))
    as_digits = "".join(str(int(c, 36)) for c in body + country + "00")
    whole = f"{country}{98 - int(as_digits) % 97:02}{body}"
    spaced = " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))
    return _framed(dice, dice.choice([whole, spaced]))


def _token(dice: random.Random, n: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(dice.choices(alphabet, k=n))


def _jwt(dice: random.Random) -> str:
    pack = lambda d: base64.urlsafe_b64encode(json.dumps(d).encode()).decode().rstrip("=")  # noqa: E731
    return f"{pack({'alg': 'HS256', 'typ': 'JWT'})}.{pack({'sub': dice.randrange(10**6)})}.{_token(dice, 43)}"


def secret(dice: random.Random) -> tuple[str, str]:
    return _framed(
        dice,
        dice.choice(
            [
                f"Bearer {_token(dice, 40)}",
                f"authorization: bearer {_jwt(dice)}",
                _jwt(dice),
                f"AKIA{_token(dice, 16, string.ascii_uppercase + string.digits)}",
                f"ghp_{_token(dice, 36)}",
                f"sk_live_{_token(dice, 24)}",
                f"xoxb-{_token(dice, 12, string.digits)}-{_token(dice, 24)}",
                f"AIza{_token(dice, 35)}",
                f"tr_prod_{_token(dice, 20)}",
                f"postgres://app:{_token(dice, 12)}@db.acme.io:5432/main",
                f"sk-proj-{_token(dice, 40)}",
                f"https://svc:{_token(dice, 10)}@api.acme.io/v1",
                f"glpat-{_token(dice, 20)}",
                "-----BEGIN RSA PRIVATE KEY-----",
                f"npm_{_token(dice, 36)}",
                f"SG.{_token(dice, 22)}.{_token(dice, 43)}",
            ]
        ),
    )


def email_spelled(dice: random.Random) -> tuple[str, str]:
    return _framed(dice, f"{_ascii(dice.choice(FIRST))} [at] {dice.choice(HOSTS).replace('.', ' dot ')}")


def identifier(dice: random.Random) -> tuple[str, str]:
    hexes = f"{dice.getrandbits(128):032x}"
    return "detail", dice.choice(
        [
            str(uuid.UUID(int=dice.getrandbits(128))),
            hexes,
            f"run_{_token(dice, 25, string.ascii_lowercase + string.digits)}",
            f"order-{dice.randrange(10**9)}",
            f"doc-{hexes[:8]}",
            f"0x{hexes}",
            f"arn:aws:iam::{dice.randrange(10**11, 10**12)}:role/x",
            f"sha256:{hexes}{hexes}",
            f"req-{hexes[:4]}-{hexes[4:6]}-{hexes[6:10]}",
        ]
    )


def number(dice: random.Random) -> tuple[str, str]:
    return "detail", dice.choice(
        [
            str(dice.randrange(10**12, 10**16)),
            str(dice.randrange(10**15, 10**16)),
            str(1_790_000_000_000_000_000 + dice.getrandbits(50)),
            str(dice.randrange(10**8, 10**9)),
            f"{dice.random() * 1000:.12f}",
            f"-{dice.randrange(10**10)}",
            f"{dice.randrange(1000, 9999)} {dice.randrange(1000, 9999)} bytes",
            f"+{dice.randrange(10, 99999)} ms",
            f"1e+{dice.randrange(10, 99)}",
        ]
    )


def moment(dice: random.Random) -> tuple[str, str]:
    y, m, d = dice.randrange(1990, 2030), dice.randrange(1, 13), dice.randrange(1, 28)
    return "detail", dice.choice(
        [
            f"{y}-{m:02}-{d:02}T{dice.randrange(24):02}:15:00+02:00",
            f"{y}-{m:02}-{d:02}",
            f"{y}{m:02}{d:02}123456",
            f"{d:02}/{m:02}/{y}",
            f"{d:02}.{m:02}.{y} 12:30",
            f"+{dice.randrange(13):02}00",
            f"{y}-{m:02}-{d:02} 10:00:00.{dice.randrange(10**9)}",
        ]
    )


def package(dice: random.Random) -> tuple[str, str]:
    v = f"{dice.randrange(9)}.{dice.randrange(40)}.{dice.randrange(40)}"
    return "detail", dice.choice(
        [
            f"lodash@{v}",
            f"@acme/tasks@{v}",
            f"npm install left-pad@^{v}",
            f"react@{v}-beta.{dice.randrange(9)}",
            "sprite@2x.png",
            f"git@github.com:acme/app-{dice.randrange(999)}.git",
            f"logo-{dice.randrange(99)}@3x.webp",
            f"acme/worker@sha256:{dice.getrandbits(256):064x}",
            f"celery@worker-{dice.randrange(99)}.acme.io",
            f"at Object.<anonymous> (/app/node_modules/x@{v}/index.js:{dice.randrange(900)}:7)",
            f"module@{v}.py",
            "task@queue.py",
        ]
    )


def role_mail(dice: random.Random) -> tuple[str, str]:
    return _framed(
        dice,
        dice.choice(
            [
                f"no-reply@{dice.choice(HOSTS)}",
                f"support@{dice.choice(HOSTS)}",
                f"maria{dice.randrange(99)}@example.com",
                "jo@sub.example.org",
                f"user{dice.randrange(999)}@host.test",
                f"x{dice.randrange(99)}@localhost",
                "postmaster@acme.io",
                f"app@node-{dice.randrange(9)}.internal",
            ]
        ),
    )


def web(dice: random.Random) -> tuple[str, str]:
    return "detail", dice.choice(
        [
            f"https://api.acme.io/v1/users/{dice.randrange(10**6)}?page={dice.randrange(99)}",
            f"https://{_token(dice, 32).lower()}@o1.ingest.acme.io/4",
            "postgres://app@db.acme.io/main",
            "redis://:***@cache.acme.io:6379",
            "postgres://app:${DB_PASSWORD}@db/main",
            "http://127.0.0.1:4318/v1/logs",
            f"10.0.{dice.randrange(255)}.{dice.randrange(255)}:8080",
            f"https://medium.acme.io/@writer/story-{dice.randrange(999)}",
            "amqp://user:<password>@mq.acme.io//",
            f"s3://bucket-{dice.randrange(99)}/2026/11/24/part-{dice.randrange(9999):05}.parquet",
            f"::ffff:{dice.randrange(255)}.0.0.1",
        ]
    )


def prose(dice: random.Random) -> tuple[str, str]:
    return "detail", dice.choice(
        [
            f"the bearer of {dice.randrange(99)} tokens was refused",
            "Authorization: Bearer [REDACTED]",
            "Basic understanding of authentication",
            f"card declined after {dice.randrange(9)} tries",
            "phone call failed",
            f"retry {dice.randrange(9)}/5 @ {dice.randrange(60)} s",
            "ssn lookup skipped",
            f"pan {dice.randrange(100, 999)} zoom {dice.randrange(9)}",
            f"queue depth {dice.randrange(9999)} @ node.{dice.randrange(9)}",
            "secret rotation completed",
            f"C++ 17 @ -O{dice.randrange(3)}",
            f"a+{dice.randrange(10**6)}",
            "eyJ is how a token begins",
            f"ISBN 978-3-16-{dice.randrange(10**5, 10**6)}-0",
        ]
    )


def near_miss(dice: random.Random) -> tuple[str, str]:
    c = _card(dice)
    wrong = c[:-1] + str((int(c[-1]) + 1 + dice.randrange(9)) % 10) if dice.random() < 0.5 else "9" + c[1:]
    wrong = wrong if wrong != c else c[:-1] + str((int(c[-1]) + 5) % 10)
    return _framed(
        dice,
        dice.choice(
            [
                f"card {wrong[:-1]}{(int(c[-1]) + 1) % 10}",
                f"666-{dice.randrange(10, 99)}-{dice.randrange(1000, 9999)}",
                f"000-{dice.randrange(10, 99)}-{dice.randrange(1000, 9999)}",
                f"{dice.randrange(100, 899)}-00-{dice.randrange(1000, 9999)}",
                f"DE00{_token(dice, 18, string.digits)}",
                "+1 000 000 0000",
                "+999 123 456",
                f"AKIA{_token(dice, 8, string.ascii_uppercase)}",
                "ghp_short",
                "sk_live_",
                f"{dice.randrange(100, 1000)}-{dice.randrange(100, 1000)}-{dice.randrange(10**4):04}",
                "user@",
                "@host.com",
                "a@b",
            ]
        ),
    )


FAMILIES: dict[str, tuple[Make, frozenset[str], int]] = {
    "email": (email, frozenset({"email"}), 4),
    "card_grouped": (card_grouped, frozenset({"card"}), 2),
    "card_named": (card_named, frozenset({"card"}), 2),
    "phone": (phone, frozenset({"phone"}), 3),
    "ssn": (us_ssn, frozenset({"ssn"}), 2),
    "iban": (iban_number, frozenset({"iban"}), 2),
    "secret": (secret, frozenset({"secret"}), 4),
    "hard_card_bare": (card_bare, frozenset({"card"}), 1),
    "hard_email_spelled": (email_spelled, frozenset({"email"}), 1),
    "identifier": (identifier, frozenset(), 4),
    "number": (number, frozenset(), 4),
    "moment": (moment, frozenset(), 2),
    "package": (package, frozenset(), 2),
    "role_mail": (role_mail, frozenset(), 2),
    "web": (web, frozenset(), 2),
    "prose": (prose, frozenset(), 2),
    "near_miss": (near_miss, frozenset(), 2),
}
"""Family → (maker, the kinds its strings hold, share in multiples of EACH)."""


def generate(seed: int = SEED, each: int = EACH) -> Iterator[Sample]:
    """Yield every family's samples, the same for the same *seed*."""
    for family, (make, kinds, share) in FAMILIES.items():
        dice = random.Random(f"{seed}-{family}")
        for _ in range(each * share):
            key, text = make(dice)
            yield Sample(family, key, text, kinds)
