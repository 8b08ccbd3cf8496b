"""A second labelled set: strings made from the documentation of formats, in the surroundings that logs put them in.

Addresses follow RFC 5321, RFC 3986 and the root's list of top-level domains, phone numbers are the examples that every
country's plan has, keys are as their vendor documents them (`vendor_keys`). Nothing here looks at the patterns of
`collector.personal`, and labels come from how a string was made. `generate` yields `labelled.Sample`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import quote

import phonenumbers

from tests.rules.labelled import Sample
from tests.rules.vendor_keys import ALNUM, DIGITS, HEX, KEYS, LOWER, b64, mixed, some

SEED = 20261130
EACH = 250

AROUND = (
    *("{}", "user {} not found", "sent to {}.", "to=<{}>", '{{"contact": "{}"}}', "{}; retry 3", "failed for ({})"),
    *("[{}]", "to={}&page=2", "https://api.acme.io/v1/find?q={}&limit=5", "value: {}", "'{}'", "a,{},b", "| {} |"),
    *("2026-11-24T10:00:00Z INFO sender - {} accepted", "<to>{}</to>", '{{\\"to\\":\\"{}\\"}}', "to:{}", "x\t{}\ty"),
    *("line one\\n{}\\nline three", "{}, attempt 2", "{}: rejected", "lookup({})", "{{to={}}}", "got `{}`", "«{}»"),
)
"""Where a value may stand."""


def _framed(dice: random.Random, value: str) -> tuple[str, str]:
    return dice.choice(("detail", "note", "payload", "error_message")), dice.choice(AROUND).format(value)


@cache
def _tlds() -> list[str]:
    lines = (Path(__file__).parents[2] / "collector/personal/tlds.txt").read_text("ascii").splitlines()
    return [line for line in lines if not line.startswith(("#", "xn--"))]


GIVEN = ("kim", "alex", "noor", "sanjay", "elif", "mateo", "ingrid", "yuki", "oksana", "thabo", "leila", "hugo")
FAMILY = (
    "lee",
    "moreau",
    "haddad",
    "iyer",
    "demir",
    "vargas",
    "nilsen",
    "sato",
    "bondar",
    "dlamini",
    "karimi",
    "weiss",
)
FIRMS = ("atelier", "northwind", "riverbank", "bluepeak", "oakhill", "lumen", "vantage", "harborline", "mondial")


def _local(dice: random.Random) -> str:
    first, last = dice.choice(GIVEN), dice.choice(FAMILY)
    return dice.choice(
        [
            *(
                f"{first}.{last}",
                f"{first[0]}{last}",
                f"{last}_{first}",
                f"{first}{dice.randrange(1, 999)}",
                first,
                last,
            ),
            *(f"{first}+{dice.choice(('spam', 'shop', 'x1'))}", f"{first.title()}.{last.title()}", f"{first}-{last}"),
        ]
    )


def _domain(dice: random.Random) -> str:
    if dice.random() < 0.3:
        return dice.choice(("gmail.com", "hotmail.fr", "web.de", "icloud.com", "qq.com", "libero.it", "wp.pl"))
    under = dice.choice(("", "", "mail.", "eu.", "staff.cs."))
    files_too = {"py", "sh", "md", "rs", "so", "ps", "zip", "mov", "java", "cab", "bar", "dot", "prod"}
    tld = dice.choice([t for t in _tlds() if under or t not in files_too])
    return f"{under}{dice.choice(FIRMS)}{dice.choice(('', '-group', '24'))}.{tld}" if tld != "prod" else "gmx.net"


def email(dice: random.Random) -> tuple[str, str]:
    return _framed(dice, f"{_local(dice)}@{_domain(dice)}")


def email_encoded(dice: random.Random) -> tuple[str, str]:
    address = f"{_local(dice)}@{_domain(dice)}"
    once = quote(address, safe="")
    made = dice.choice((once, once, quote(once, safe=""), once.lower(), once.replace("%40", "%2540")))
    return "url", dice.choice(
        (
            f"/users?email={made}",
            f"GET /v2/contacts/{made}/lists 404",
            f"https://crm.acme.io/search?q={made}&page=1",
            f"next=%2Faccount%3Fmail%3D{made}",
            f"redirect to https://acme.io/confirm?to={made}.",
            f'{{"url": "/u/{made}"}}',
        )
    )


def email_scripts(dice: random.Random) -> tuple[str, str]:
    return _framed(
        dice,
        dice.choice(
            (
                f"jörg.{dice.choice(FAMILY)}@gmx.de",
                f"{dice.choice(GIVEN)}@bücher-{dice.choice(FIRMS)}.de",
                f"{dice.choice(GIVEN)}@xn--bcher-kva.example.de",
                f"иван{dice.randrange(99)}@почта.рф",
                f"{dice.choice(GIVEN)}@{dice.choice(FIRMS)}.xn--p1ai",
            )
        ),
    )


@cache
def _plans() -> list[phonenumbers.PhoneNumber]:
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)
    made = [phonenumbers.example_number_for_type(r, k) for r in sorted(phonenumbers.SUPPORTED_REGIONS) for k in kinds]
    return [number for number in made if number is not None]


def phone(dice: random.Random) -> tuple[str, str]:
    form = phonenumbers.PhoneNumberFormat
    number = dice.choice(_plans())
    return _framed(dice, phonenumbers.format_number(number, dice.choice((form.E164, form.INTERNATIONAL))))


def phone_led(dice: random.Random) -> tuple[str, str]:
    written = phonenumbers.format_number(dice.choice(_plans()), phonenumbers.PhoneNumberFormat.E164)
    return "detail", dice.choice(
        (
            f"tel:{written}",
            f"to={written}&body=hi",
            f"whatsapp:{written}",
            f"/v1/contacts/{written}",
            f"/v1/contacts/{written}/messages",
            f'{{"phone":"{written}"}}',
            f"To=%2B{written[1:]}&From=Acme",
            f"sip:{written}@voice.acme.io",
            f"https://wa.me/{written}",
            f"msisdn={written};",
            f"sms to ({written}) queued",
            f"From:{written},To:x",
            f"phone=\\u002B{written[1:]}",
            f"{written}|DE|ok",
        )
    )


def vendor_key(dice: random.Random) -> tuple[str, str]:
    return _framed(dice, KEYS[dice.choice(list(KEYS))](dice))


def _password(dice: random.Random) -> str:
    word = dice.choice(("Winter", "sunflower", "Tr0ub4dor", "dragon"))
    return dice.choice(
        (
            f"{word}{dice.randrange(10, 9999)}{dice.choice('!$#*')}",
            mixed(dice, ALNUM, dice.randrange(8, 24)),
            mixed(dice, ALNUM + "!#$*+-@^_~", dice.randrange(10, 20)) + "a",
            dice.choice(("swordfish", "letmein", "monkey", "iloveyou", "correct-horse-battery-staple")),
            str(dice.randrange(10**5, 10**9)),
        )
    )


def assigned_password(dice: random.Random) -> tuple[str, str]:
    p = _password(dice)
    word = dice.choice(("password", "Password", "PASSWORD", "passwd", "db_password", "dbPassword", "user-password"))
    quotable = p if dice.random() < 0.5 else mixed(dice, ALNUM, 12)
    return "detail", dice.choice(
        (
            f"{word}={p}",
            f"Server=db;Database=x;User Id=app;{word.title()}={p};Encrypt=true",
            f"host=db port=5432 user=app password={p} dbname=main",
            f'{{"user": "kim", "{word}": "{p}"}}',
            f'{{\\"{word}\\":\\"{p}\\"}}',
            f"jdbc:postgresql://db/x?user=app&password={quote(p)}",
            f"running pg_dump --{dice.choice(('password', 'db-password'))} {quotable} --host db",
            f"running pg_dump --password={p}",
            f"{{'{word}': '{p}', 'host': 'db'}}",
            f"<{word}>{quotable}</{word}>",
            f"PGPASSWORD={quotable} psql",
            f"{word}: '{p}'",
            f"login({word}={quotable})",
            f'{word} = "{p}"',
        )
    )


def assigned_key(dice: random.Random) -> tuple[str, str]:
    k = dice.choice(
        (some(dice, HEX, 32) + "0a", mixed(dice, ALNUM, dice.randrange(20, 44)), b64(dice, 32), some(dice, HEX, 64))
    )
    word = dice.choice(
        [
            *("api_key", "apikey", "apiKey", "API_KEY", "client_secret", "clientSecret", "secret_key", "X-Api-Key"),
            *("secret", "access_token", "refresh_token", "auth_token", "aws_secret_access_key", "private_key"),
        ]
    )
    return "detail", dice.choice(
        (
            f"{word}={quote(k, safe='') if dice.random() < 0.3 else k}",
            f'{{"{word}": "{k}", "v": 1}}',
            f'{{\\"{word}\\":\\"{k}\\"}}',
            f"GET https://api.acme.io/v1/items?{word}={quote(k, safe='')}&page=2",
            f"curl -H '{word}: {k}'",
            f"{word}: {k}",
            f"export {word}='{k}'",
            f"login --{word.replace('_', '-')} {k} --verbose",
            f"{{{word}={k}, region=eu}}",
        )
    )


def nothing_assigned(dice: random.Random) -> tuple[str, str]:
    word = dice.choice(("password", "api_key", "client_secret", "token", "secret", "passwd", "apiKey", "access_token"))
    return "detail", dice.choice(
        (
            f"{word}=***",
            f"{word}=<hidden>",
            f"{word}: is required",
            f"{word}=[REDACTED]",
            f"{word}=${{{word.upper()}}}",
            f"{word}=${word.upper()}",
            f"{word}=None",
            f'{{"{word}": null}}',
            f'{{"{word}": "xxxxxxxx"}}',
            f"{word}_reset=true",
            f"{word}=missing",
            f"{word}: must be at least {dice.randrange(6, 20)} characters",
            f"invalid {word}",
            f"{word} expired {dice.randrange(60)} s ago",
            f"{word}_count={dice.randrange(10**6)}",
            f"{word}=true",
            f"{word}=",
            f'"{word}": {{"type": "string"}}',
            f"{word}=process.env.{word.upper()}",
            f"{word}=os.environ['X']",
            f"{word}=config.{word}",
            f"{word}=getpass()",
            f"{word}: string",
            f"{word}=vault:secret/data/app#{word}",
            f"{word}=arn:aws:secretsmanager:eu-west-1:{some(dice, DIGITS, 12)}:secret:app",
            f"{word}={{{{ {word} }}}}",
            f"{word}=%s",
            f"{word}=<your-{word}>",
            f"{word}=changeme",
            f"the {word} was rotated",
            f"{word}: invalid or expired",
            f'"{word}": "This field is required."',
            f"no {word}: using anonymous access",
            f"{word} mismatch: got {dice.randrange(9)} of {dice.randrange(9)}",
            f"{word}=undefined",
            f"{word}=REDACTED",
            f"next_page_token={some(dice, ALNUM, 40)}",
            f"max_tokens={dice.randrange(10**5)} token={dice.randrange(10**4)}",
            f"--{word} is deprecated",
            f"{word} >= 8",
        )
    )


def documented(dice: random.Random) -> tuple[str, str]:
    return _framed(
        dice,
        dice.choice(
            (
                "AKIAIOSFODNN7EXAMPLE",
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
                "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
                "ghp_" + "x" * 36,
                "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MD"
                "IyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
                "SK" + "X" * 32,
                "sk-YOUR_API_KEY",
                "Bearer <token>",
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
                "sk-...abcd",
            )
        ),
    )


def lookalike(dice: random.Random) -> tuple[str, str]:
    n, hexes = dice.randrange, f"{dice.getrandbits(128):032x}"
    return "detail", dice.choice(
        (
            f"icon-{n(99)}@{n(2, 4)}x.png",
            f"ssh deploy@build-{n(99)}.acme.io",
            f"scp report.csv kim@files{n(9)}.acme.io:/srv",
            f"https://medium.com/@{dice.choice(GIVEN)}.{dice.choice(FAMILY)}/story-{n(99)}",
            f"npm i @acme/ui@{n(9)}.{n(20)}.{n(20)}",
            f"https://cdn.acme.io/npm/react@{n(20)}.{n(9)}.0/index.js",
            f"docker.io/acme/worker@sha256:{hexes}{hexes}",
            f"worker{n(99)}@host-{n(99)}.local",
            f"rabbit@node{n(9)}",
            f"@{dice.choice(GIVEN)}@mastodon.social",
            f"<{n(10**13)}.{hexes[:8]}.{n(10**6)}@mx.acme.io>",
            f"module@{n(9)}.{n(9)}.{n(9)}.tgz",
            f"git+ssh://git@github.com/acme/app.git#v{n(9)}",
            f"amqp://svc@mq.acme.io/{n(9)}",
            f"user%20name%3A{n(99)}",
            f"x=+{n(10**9)}",
            f"offset=+{n(10**10)}",
            f"delta: +{n(10**6)}.{n(99):02}",
            f"diff +{n(10**4)} -{n(10**4)}",
            f"{n(2020, 2030)}-11-24T10:00:00+0{n(1, 9)}:00",
            f"a+{n(10**9)}=b",
            f"+{n(10**7)} bytes",
            f"GMT+{n(1, 12)}",
            f"sk-{dice.choice(('fading-circle', 'cube-grid', 'loading-indicator'))}-component-{n(9)}",
            f"task-{hexes[:12]}-runner",
            f"cache-key-{hexes}",
            f"idempotency_key=order-{n(10**6)}",
            f"idempotencyKey: process-order-{hexes[:8]}",
            f"run_{some(dice, LOWER + DIGITS, 21)}",
            f"req_{some(dice, ALNUM, 16)}",
            f'etag W/"{hexes}"',
            f"sha256:{hexes}{hexes}",
            f"traceparent 00-{hexes}-{hexes[:16]}-01",
            f"arn:aws:iam::{n(10**11, 10**12)}:role/worker",
            f"eyJ{some(dice, ALNUM, 12)}",
            f"order {n(10**12, 10**13)} shipped",
            f"ISBN 978-{n(10)}-{n(10**4):04}-{n(10**4):04}-{n(10)}",
            f"v{n(9)}.{n(30)}.{n(30)}+build.{n(10**8)}",
            f"lat=52.{n(10**6)}, lon=+13.{n(10**6)}",
            f"10.{n(255)}.{n(255)}.{n(255)}:{n(10**4, 6 * 10**4)}",
            f"{dice.randrange(1_600_000_000_000, 1_900_000_000_000)}",
            f"GET /static/app.{hexes[:8]}.js 200 {n(10**5)}",
            f"100%25 of {n(99)} rows",
            f"path=%2Fsrv%2Fdata%2F{n(10**6)}.csv",
            f"price {n(1000)} 000 000 EUR",
            f'class="btn btn-primary" id="a{hexes[:6]}"',
            f"tokens: prompt={n(5000)} completion={n(900)}",
            f"SELECT id FROM users WHERE email = $1 AND token = $2 -- {n(99)}",
            f"Basic plan for {n(99)} seats",
            f"bearer_methods_supported: header, body {n(9)}",
            f"AssertionError: expected {n(9)} to equal {n(9)}",
            f"PWD=/srv/app/{n(99)}",
            f"pass={n(99)} fail={n(9)}",
            f"secretName=app-tls-{n(9)}",
            f"secret=prod-db-credentials-{n(9)}",
            f"author: @{dice.choice(GIVEN)}",
        )
    )


FAMILIES: dict[str, tuple[Callable[[random.Random], tuple[str, str]], frozenset[str], int]] = {
    "email": (email, frozenset({"email"}), 2),
    "email_encoded": (email_encoded, frozenset({"email"}), 1),
    "email_scripts": (email_scripts, frozenset({"email"}), 1),
    "phone": (phone, frozenset({"phone"}), 2),
    "phone_led": (phone_led, frozenset({"phone"}), 2),
    "vendor_key": (vendor_key, frozenset({"secret"}), 4),
    "assigned_password": (assigned_password, frozenset({"secret"}), 2),
    "assigned_key": (assigned_key, frozenset({"secret"}), 2),
    "nothing_assigned": (nothing_assigned, frozenset(), 3),
    "documented": (documented, frozenset(), 1),
    "lookalike": (lookalike, frozenset(), 4),
}
"""Family → (maker, the kinds its strings hold, share in multiples of EACH)."""


def generate(seed: int = SEED, each: int = EACH) -> Iterator[Sample]:
    """Yield every family's samples, the same for the same *seed*."""
    for family, (make, kinds, share) in FAMILIES.items():
        dice = random.Random(f"{seed}-{family}")
        for _ in range(each * share):
            key, text = make(dice)
            yield Sample(f"formats_{family}", key, text, kinds)
